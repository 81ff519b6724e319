/** What the machine itself can make durable in a second: the measure for every write. */
import { randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { openSqlite } from '../src/storage/sqlite.ts';
import { statistics } from './load.ts';
import type { Sample } from './report.ts';

/** A way to make something durable, until it is closed. */
export interface Committer {
  /** Rates are rows a second, latencies those of commits. */
  measure(seconds: number): Promise<Sample>;
  close(): Promise<void>;
}

/** A page written to the end of a file, and flushed. */
export function fileCommitter(folder: string): Committer {
  const file = openSync(join(folder, 'append'), 'a');
  const page = randomBytes(4096);
  const commit = () => {
    writeSync(file, page);
    fdatasyncSync(file);
  };
  return { measure: async (seconds) => repeat(seconds, 1, commit), close: async () => closeSync(file) };
}

/** The sizes are those of a sealed secret of eleven bytes. */
const dataKeyLength = 61;
const valueLength = 40;

/** Versions of secrets, so many in each commit, in the product's own schema and with its settings. */
export async function sqliteCommitter(folder: string, rows: number): Promise<Committer> {
  const path = join(folder, `commits-${rows}.db`);
  await (await openSqlite(path)).close();
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: false });
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;');
  db.exec("insert into vault_keys values ('vault', 1, 'root', x'00'); PRAGMA foreign_keys = ON;");
  const insert = db.prepare(
    "insert into object_versions values ('vault', 'secrets', ?, ?, 1, null, null, 0, 0, 0, null, null, 1, ?, ?)",
  );
  const begin = db.prepare('begin immediate');
  const end = db.prepare('commit');
  let count = 0;
  const add = () => {
    count += 1;
    const version = randomBytes(16).toString('hex');
    insert.run(`PUT-${count % 1000}`, version, randomBytes(dataKeyLength), randomBytes(valueLength));
  };
  const addSome = () => {
    begin.run();
    for (let index = 0; index < rows; index += 1) add();
    end.run();
  };
  return {
    measure: async (seconds) => repeat(seconds, rows, rows === 1 ? add : addSome),
    close: async () => db.close(),
  };
}

/** Rows of a version's size, one in each commit, on so many connections at once. */
export async function postgresCommitter(url: string, connections: number): Promise<Committer> {
  const clients = Array.from({ length: connections }, () => new Client({ connectionString: url }));
  for (const client of clients) await client.connect();
  const table = `commits_${connections}`;
  await clients[0]?.query(`create table ${table} (key text primary key, value bytea not null)`);
  const text = `insert into ${table} values ($1, $2)`;
  const measure = async (seconds: number) => {
    const latencies: number[] = [];
    const started = performance.now();
    const end = started + seconds * 1000;
    const work = async (client: Client) => {
      while (performance.now() < end) {
        const before = performance.now();
        const values = [randomBytes(32).toString('hex'), randomBytes(2 * (dataKeyLength + valueLength))];
        await client.query({ name: 'add', text, values });
        latencies.push(performance.now() - before);
      }
    };
    await Promise.all(clients.map(work));
    return statistics(Float64Array.from(latencies).sort(), performance.now() - started);
  };
  return { measure, close: async () => void (await Promise.all(clients.map((client) => client.end()))) };
}

function repeat(seconds: number, rows: number, commit: () => void): Sample {
  const latencies: number[] = [];
  const started = performance.now();
  while (performance.now() < started + seconds * 1000) {
    const before = performance.now();
    commit();
    latencies.push(performance.now() - before);
  }
  const measured = statistics(Float64Array.from(latencies).sort(), performance.now() - started);
  return { ...measured, perSecond: measured.perSecond * rows };
}

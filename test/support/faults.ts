/**
 * Faults for a server in the test's own process: a database that refuses, that loses its answers or that waits, a full
 * or read-only disk, a full audit log. Each begins and ends when the test says so; the server is not told.
 */
import { type KyselyPlugin, sql } from 'kysely';
import { type FileOperations, systemFiles } from '../../src/audit/files.ts';
import type { TestOnlyFaults } from '../../src/service.ts';
import {
  type Condition,
  type Database,
  type Procedure,
  storageUnavailable,
  type Writer,
} from '../../src/storage/database.ts';
import { onPostgres, type RawResponse, type TestServer } from './server.ts';

/**
 * - `refused`: nothing is written, and the caller gets the 503.
 * - `lost`: it is written, and the caller gets the 503.
 * - `commitFails`: SQLite itself refuses the COMMIT; on PostgreSQL as `refused`.
 */
export type WriteFault = 'none' | 'refused' | 'lost' | 'commitFails';

/** Writes of objects, or reads, that wait until they are let go. */
export interface Hold {
  /** Resolves when so many wait. */
  arrived(count: number): Promise<void>;
  /** Lets go those that wait, and stops no more. */
  release(): void;
}

export interface Faults {
  /** For `startTestServer`. */
  readonly testOnlyFaults: TestOnlyFaults;
  writes: WriteFault;
  /** Whether every read fails, as one does when the database cannot be reached. */
  readsFail: boolean;
  /** Whether the news of changes is out of date, so that nothing in memory may be used. */
  newsIsStale: boolean;
  /** `torn`: half of each write fits, and then no more. */
  auditDisk: 'room' | 'full' | 'torn';
  /** Holds the writes of objects before they are made, or between the commit and its answer. */
  holdWrites(when: 'before' | 'after'): Hold;
  /** Resolves when a write of this procedure has been made. */
  written(procedure: string): Promise<void>;
  /** The database of the running server, without faults. */
  database(): Database;
}

export function createFaults(): Faults {
  let database: Database | undefined;
  let hold: (HeldWrites & { readonly when: 'before' | 'after' }) | undefined;
  const watching = new Map<string, (() => void)[]>();
  const faults: Faults = {
    testOnlyFaults: {
      database(db) {
        database = db;
        return withFaults(db, {
          faults,
          pass: (when) => (hold?.when === when ? hold.pass() : undefined),
          told,
        });
      },
      auditFiles: auditFiles(() => faults.auditDisk),
    },
    writes: 'none',
    readsFail: false,
    newsIsStale: false,
    auditDisk: 'room',
    holdWrites(when) {
      const made = holdAll();
      hold = { ...made, when };
      return made;
    },
    written: (procedure) =>
      new Promise((resolve) => {
        watching.set(procedure, [...(watching.get(procedure) ?? []), resolve]);
      }),
    database() {
      if (database === undefined) throw new Error('no server has been started with these faults');
      return database;
    },
  };
  const told = (procedure: string) => {
    for (const resolve of watching.get(procedure) ?? []) resolve();
    watching.delete(procedure);
  };
  return faults;
}

interface HeldWrites extends Hold {
  pass(): Promise<void>;
}

function holdAll(): HeldWrites {
  let count = 0;
  const watching: { count: number; resolve: () => void }[] = [];
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  return {
    pass() {
      count += 1;
      for (const each of watching) if (count >= each.count) each.resolve();
      return released;
    },
    arrived: (wanted) =>
      new Promise((resolve) => {
        if (count >= wanted) resolve();
        else watching.push({ count: wanted, resolve });
      }),
    release,
  };
}

interface Between {
  readonly faults: Faults;
  readonly pass: (when: 'before' | 'after') => Promise<void> | undefined;
  readonly told: (procedure: string) => void;
}

function withFaults(db: Database, between: Between): Database {
  const { faults } = between;
  return {
    read: db.read.withPlugin(failingReads(faults)),
    feed: {
      fresh: () => !faults.newsIsStale && db.feed.fresh(),
      subscribe: (topic, listener) => db.feed.subscribe(topic, listener),
    },
    write: (procedure, input, condition) => writeWithFaults(db, between, { procedure, input, condition }),
    close: () => db.close(),
  };
}

async function writeWithFaults<I, R>(
  db: Database,
  { faults, pass, told }: Between,
  job: { procedure: Procedure<I, R>; input: I; condition: Condition | undefined },
): Promise<R> {
  const isObject = job.procedure.name.startsWith('objects.');
  if (isObject) await pass('before');
  const fault = faults.writes;
  if (fault === 'refused' || (fault === 'commitFails' && onPostgres)) throw injected();
  // In the same turn of the event loop, so that it shares the transaction with the write itself.
  if (fault === 'commitFails') db.write(breakCommit, null).catch(() => undefined);
  const result = await db.write(job.procedure, job.input, job.condition);
  if (isObject) await pass('after');
  told(job.procedure.name);
  if (fault === 'lost') throw injected();
  return result;
}

/** What the storage says of itself when it cannot be reached. */
function injected(): Error {
  return storageUnavailable(new Error('a fault of the test'));
}

/** A broken foreign key that SQLite looks at in COMMIT only; the tables go with the transaction. */
const breakCommit: Procedure<null, void> = {
  name: 'test.breakCommit',
  async run(tx) {
    await sql`create table fault_parents (id integer primary key)`.execute(tx);
    const reference = sql`references fault_parents (id) deferrable initially deferred`;
    await sql`create table fault_children (parent integer ${reference})`.execute(tx);
    await sql`insert into fault_children values (1)`.execute(tx);
  },
};

function failingReads(faults: Faults): KyselyPlugin {
  return {
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      if (faults.readsFail) throw injected();
      return result;
    },
  };
}

function auditFiles(disk: () => Faults['auditDisk']): FileOperations {
  let torn = false;
  return {
    ...systemFiles,
    write(descriptor, bytes) {
      const state = disk();
      if (state === 'room') return systemFiles.write(descriptor, bytes);
      torn = state === 'torn' && !torn;
      if (torn) return systemFiles.write(descriptor, bytes.subarray(0, bytes.length >> 1));
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    },
  };
}

/**
 * Reads until the answer comes from memory alone, and leaves the database unreadable. On PostgreSQL the news of one's
 * own changes comes back a moment later, and has the memory of them read anew.
 */
export async function fromMemory(faults: Faults, read: () => Promise<RawResponse>): Promise<RawResponse> {
  for (;;) {
    faults.readsFail = false;
    await read();
    faults.readsFail = true;
    const reply = await read();
    if (reply.status !== 503) return reply;
  }
}

/** What the database itself answers with while the fault lasts; PostgreSQL's code and SQLite's pragma for each. */
const databaseFaults = {
  full: '53100',
  readOnly: '25006',
} as const;

/**
 * Makes the database itself refuse to write objects, with the error that it has for a full or a read-only disk; the
 * answer ends that. A SQLite file that is full still takes what needs no new page.
 */
export async function breakDatabase(
  { server, faults }: { server: TestServer; faults: Faults },
  how: keyof typeof databaseFaults,
): Promise<() => Promise<void>> {
  if (onPostgres) return refuseByTrigger(server, databaseFaults[how]);
  if (how === 'readOnly') {
    await onWriter(faults, async (tx) => void (await sql`pragma query_only = 1`.execute(tx)));
    return () => onWriter(faults, async (tx) => void (await sql`pragma query_only = 0`.execute(tx)));
  }
  await onWriter(faults, fillFile);
  return () =>
    onWriter(faults, async (tx) => {
      await sql`pragma max_page_count = 1073741823`.execute(tx);
      await sql`drop table fault_filler`.execute(tx);
    });
}

/** SQLite may take no page beyond those that it has, and none of those is free. */
async function fillFile(tx: Writer): Promise<void> {
  await sql`create table fault_filler (bytes blob)`.execute(tx);
  const free = await numberOf(tx, 'freelist_count');
  const size = await numberOf(tx, 'page_size');
  await sql`insert into fault_filler values (zeroblob(${free * size}))`.execute(tx);
  await sql.raw(`pragma max_page_count = ${await numberOf(tx, 'page_count')}`).execute(tx);
}

async function numberOf(tx: Writer, pragma: string): Promise<number> {
  const { rows } = await sql.raw<Record<string, number>>(`pragma ${pragma}`).execute(tx);
  return rows[0]?.[pragma] ?? 0;
}

/** Runs on the connection that writes, which no other way leads to. */
async function onWriter(faults: Faults, run: (tx: Writer) => Promise<void>): Promise<void> {
  await faults.database().write({ name: 'test.fault', run }, null);
}

async function refuseByTrigger(server: TestServer, code: string): Promise<() => Promise<void>> {
  const tables = ['objects', 'object_versions'];
  await server.alter(
    `create or replace function fault() returns trigger language plpgsql as
     $$ begin raise exception 'a fault of the test' using errcode = '${code}'; end $$`,
  );
  for (const table of tables) {
    await server.alter(
      `create trigger fault before insert or update or delete on ${table} for each statement execute function fault()`,
    );
  }
  return async () => {
    for (const table of tables) await server.alter(`drop trigger fault on ${table}`);
  };
}

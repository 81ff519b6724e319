/**
 * Backup and restore of a whole server: from SQLite into PostgreSQL and from there into SQLite, each restored server
 * compared with the first through the API. Options: `--secrets N` (default 100,000), `--all` to compare every value
 * and not only a sample. Without PostgreSQL, from SQLite into SQLite.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { postgresBinaries, startPostgres } from '../test/support/postgres-cluster.ts';
import { apiVersion, type Client, createClient, type Identity, tokensFor, vaultHost } from './client.ts';
import { type Place, prepare, secrets } from './fill.ts';
import { residentMb } from './processes.ts';
import { startStrongroom, type Target } from './servers.ts';

const { values } = parseArgs({
  options: { secrets: { type: 'string', default: '100000' }, all: { type: 'boolean', default: false } },
});
const count = Number(values.secrets);
/** Of those that all have the same value, how many are compared by it; those set through the API are all. */
const sample = 2000;
const distinct = 500;
const atOnce = 16;
const program = join(import.meta.dirname, '..', 'bin', 'strongroom');

interface Report {
  readonly rows: Readonly<Record<string, number>>;
  readonly bytes: number;
  readonly seconds: number;
}

const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-backup-'));
let backups = 0;
const closers: (() => Promise<unknown>)[] = [];
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await main();
} finally {
  for (const close of closers.reverse()) await close();
}

async function main(): Promise<void> {
  const source: Place = { data: join(folder, 'source') };
  const identity = await prepare(source, secrets('bench', count));
  const first = await serving(source, async (target) => {
    const caller = await callerOf(target, identity);
    await setDistinct(caller);
    const seen = await digestOf(caller);
    caller.client.close();
    // Taken while the server serves.
    return { seen, backup: await backUp(source, 'of SQLite') };
  });
  console.log(`${count} secrets filled in and ${distinct} set, ${first.seen.values} values read\n`);
  let { backup } = first;
  for (const { name, place } of await targets()) {
    await restore(backup, place, `into ${name}`);
    const again = await serving(place, async (target) => {
      const caller = await callerOf(target, identity);
      const seen = await digestOf(caller);
      caller.client.close();
      return { seen, backup: await backUp(place, `of ${name}`) };
    });
    if (JSON.stringify(again.seen) !== JSON.stringify(first.seen))
      throw new Error(`${name}: ${JSON.stringify(again.seen)} in place of ${JSON.stringify(first.seen)}`);
    console.log(
      `${name}: ${again.seen.listed} secrets listed, ${again.seen.values} values read, all the same`,
    );
    backup = again.backup;
  }
}

/** Empty servers that are to be filled one from the other, with the first one's root key. */
async function targets(): Promise<{ name: string; place: Place }[]> {
  const newFolder = (name: string) => {
    const data = join(folder, name);
    mkdirSync(data, { mode: 0o700 });
    copyFileSync(join(folder, 'source', 'root-key.json'), join(data, 'root-key.json'));
    return data;
  };
  const last = { name: 'SQLite', place: { data: newFolder('sqlite') } };
  if (postgresBinaries() === undefined) return [last];
  const postgres = await startPostgres({ durable: true, settings: ['max_wal_size=4GB'] });
  closers.push(() => postgres.remove());
  const { url: databaseUrl } = await postgres.newDatabase();
  return [{ name: 'PostgreSQL', place: { data: newFolder('postgres'), databaseUrl } }, last];
}

async function serving<T>(place: Place, use: (target: Target) => Promise<T>): Promise<T> {
  const target = await startStrongroom('strongroom', place, { workers: 1 });
  try {
    return await use(target);
  } finally {
    for (const node of target.nodes) await node.stop();
  }
}

async function backUp(place: Place, name: string): Promise<string> {
  backups += 1;
  const file = join(folder, `${backups}.backup`);
  await command(`backup ${name}`, ['backup', file], place);
  return file;
}

async function restore(file: string, place: Place, name: string): Promise<void> {
  await command(`restore ${name}`, ['restore', file], place);
}

/** Runs the command and prints what it took. */
async function command(name: string, words: readonly string[], place: Place): Promise<void> {
  const address = place.databaseUrl === undefined ? [] : ['--database-url', place.databaseUrl];
  const before = performance.now();
  const child = spawn(program, [...words, '--json', '--data', place.data, ...address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, residentMb([child.pid ?? 0]));
  }, 50);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`${name} ended with ${code}`);
  const { rows, bytes, seconds } = JSON.parse(text) as Report;
  const total = Object.values(rows).reduce((sum, each) => sum + each, 0);
  console.log(
    `${name.padEnd(24)} ${seconds.toFixed(1)} s (${((performance.now() - before) / 1000).toFixed(1)} s with its start), ` +
      `${(bytes / 1e6).toFixed(1)} MB, ${total} rows, ${Math.round(total / seconds)} rows/s, at most ${most.toFixed(0)} MB resident`,
  );
}

interface Caller {
  readonly client: Client;
  readonly token: string;
}

async function callerOf(target: Target, identity: Identity): Promise<Caller> {
  const client = createClient({ port: target.ports[0] ?? 0, ca: target.ca });
  const [token = ''] = await tokensFor(client, identity, { count: 1 });
  return { client, token };
}

function ask({ client, token }: Caller, method: string, path: string, body?: object) {
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  const text = body === undefined ? {} : { body: JSON.stringify(body) };
  return client.ask({ host: vaultHost, method, path, headers, ...text });
}

async function setDistinct(caller: Caller): Promise<void> {
  await forAll(
    Array.from({ length: distinct }, (_, index) => index),
    async (index) => {
      const value = `value ${index} `.repeat(1 + (index % 50));
      await ask(caller, 'PUT', `/secrets/distinct-${index}?${apiVersion}`, {
        value,
        tags: { n: `${index}` },
      });
    },
  );
}

interface Seen {
  readonly listed: number;
  readonly values: number;
  readonly digest: string;
}

/** All list pages, and the values of all secrets or of a sample, by their digest. */
async function digestOf(caller: Caller): Promise<Seen> {
  const digest = createHash('sha256');
  const before = performance.now();
  const paths: string[] = [];
  let next: string | undefined = `/secrets?maxresults=25&${apiVersion}`;
  while (next !== undefined) {
    const { body } = await ask(caller, 'GET', next);
    const page = JSON.parse(body) as { value: { id: string }[]; nextLink?: string | null };
    digest.update(JSON.stringify(page.value));
    paths.push(...page.value.map(({ id }) => new URL(id).pathname));
    const link = page.nextLink ? new URL(page.nextLink) : undefined;
    next = link && `${link.pathname}${link.search}`;
  }
  console.log(`listed in ${((performance.now() - before) / 1000).toFixed(1)} s`);
  const step = values.all ? 1 : Math.max(1, Math.floor(count / sample));
  const chosen = paths.filter((path, index) => index % step === 0 || path.includes('distinct'));
  const bodies = await forAll(
    chosen,
    async (path) => (await ask(caller, 'GET', `${path}?${apiVersion}`)).body,
  );
  for (const body of bodies) digest.update(body);
  return { listed: paths.length, values: bodies.length, digest: digest.digest('hex') };
}

/** Some at a time; the results in order. */
async function forAll<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const entries = items.entries();
  const work = async () => {
    for (const [index, item] of entries) results[index] = await run(item);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return results;
}

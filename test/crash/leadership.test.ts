/**
 * Proves that a leader which is stopped beyond its lease does no harm when it goes on: the jobs have been done once, by
 * the next leader, and writes of a job that it was in the middle of are refused.
 */
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectVault, signIn } from '../support/cluster-client.ts';
import { hasProc, until, whileStopped } from '../support/cluster-processes.ts';
import { type FastNode, useFastNodes } from '../support/fast-nodes.ts';
import { hasPostgres, newPostgresDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres-cluster.ts';
import type { Running } from '../support/process.ts';

const version = '?api-version=7.4';
const nodes = useFastNodes();

async function startFastNode(name: string, database: TestDatabase, rootKeyOf?: string): Promise<FastNode> {
  const own = nodes.folderOf(name);
  await mkdir(own, { mode: 0o700 });
  if (rootKeyOf !== undefined) await cp(join(rootKeyOf, 'root-key.json'), join(own, 'root-key.json'));
  return nodes.start(own, database.url);
}

/** Makes a secret and deletes it. */
async function leaveDeleted(server: FastNode, name: string): Promise<void> {
  const vault = connectVault(server, await signIn(server));
  for (const [method, body] of [
    ['PUT', { value: 'x' }],
    ['DELETE', undefined],
  ] as const) {
    expect(await vault.send(method, `/secrets/${name}${version}`, body)).toMatchObject({ status: 200 });
  }
  vault.close();
}

async function endAll(all: readonly FastNode[]): Promise<void> {
  for (const node of all) {
    node.child.kill('SIGTERM');
    expect(await node.finished).toMatchObject({ code: 0, signal: null });
  }
}

function said({ stdout, stderr }: Running, text: string): string[] {
  return `${stdout()}${stderr()}`.split('\n').filter((line) => line.includes(text));
}

describe.skipIf(!hasPostgres)('two nodes on PostgreSQL', () => {
  let database: TestDatabase;
  let client: Client;
  /** Has a transaction of its own: within one, the activity of others looks the same each time. */
  let holder: Client;
  beforeAll(async () => {
    database = await newPostgresDatabase();
    client = new Client({ connectionString: database.url });
    holder = new Client({ connectionString: database.url });
    await Promise.all([client.connect(), holder.connect()]);
  });
  afterAll(async () => {
    await Promise.all([client?.end(), holder?.end()]);
    await database?.drop();
  });

  const count = async (text: string, values: unknown[] = []) =>
    (await client.query(text, values)).rowCount ?? 0;
  const leaderIs = async (pid: number) =>
    (await count(`select 1 from leases where name = 'jobs' and holder like '%/' || $1 || '/%'`, [pid])) > 0;

  test('a leader stopped in the middle of a purge: another does it, once, and the old one is refused', async () => {
    const first = await startFastNode('first', database);
    const second = await startFastNode('second', database, first.folder);
    await leaveDeleted(first, 'due');

    // The next look for what is due waits for this lock; by then the job has its fence.
    await holder.query('begin');
    await holder.query('lock table objects in access exclusive mode');
    await holder.query('update objects set purge_at = 1 where deleted = 1');
    const asksWhatIsDue = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%"purge_at" <=%'`;
    await until(async () => (await count(asksWhatIsDue)) > 0);
    // The lead may have moved on while the second started: on a busy machine a lease is soon over here.
    const [old, next] = (await leaderIs(first.pid)) ? [first, second] : [second, first];
    const lost = said(old, 'The lead was lost').length;
    const terms = await whileStopped(old.pid, async () => {
      await holder.query('commit');
      // No longer than that: a query that has waited for 5 seconds is given up, and then there is no write to refuse.
      await until(() => leaderIs(next.pid));
      return (await client.query(`select term from leases where name = 'jobs'`)).rows;
    });
    await until(() => said(old, 'The lead was lost').length > lost);
    // If it was stopped within a beat, which holds the lease's row, the others needed so long that its query is over.
    const purgeFailed = () => said(old, '"job":"purge"').map((line) => JSON.parse(line).error.message);
    await until(() => purgeFailed().length > 0);
    expect(purgeFailed()[0]).toMatch(/Query read timeout|lease/i);
    await until(() => said(next, 'deleted objects purged').length > 0);
    expect(await count(`select 1 from objects where name = 'due'`)).toBe(0);
    expect(said(old, 'deleted objects purged')).toEqual([]);
    expect(said(next, 'deleted objects purged').map((line) => JSON.parse(line).purged)).toEqual([1]);
    expect(await leaderIs(next.pid)).toBe(true);
    expect((await client.query(`select term from leases where name = 'jobs'`)).rows).toEqual(terms);

    await endAll([old, next]);
  });
});

describe.skipIf(!hasProc)('two workers over SQLite', () => {
  test('a leader is stopped beyond its lease: another does the jobs from then on, each once', async () => {
    const own = nodes.folderOf('workers');
    await mkdir(own, { mode: 0o700 });
    const writer = await nodes.start(own, 'writer');
    const old = await nodes.start(own, '1');
    const sql = new DatabaseSync(join(own, 'strongroom.db'), { timeout: 5_000 });
    const lease = () =>
      sql.prepare(`select holder, term from leases where name = 'jobs'`).get() as
        | { holder: string; term: number }
        | undefined;
    const leads = (node: FastNode) => lease()?.holder.includes(`/${node.pid}/`) === true;
    const makeDue = () => sql.prepare('update objects set purge_at = 1 where deleted = 1').run();
    await until(() => leads(old));
    const next = await nodes.start(own, '2');
    await leaveDeleted(old, 'due');
    const term = await whileStopped(old.pid, async () => {
      expect(makeDue().changes).toBe(1);
      await until(() => leads(next));
      await until(() => said(next, 'deleted objects purged').length === 1);
      return lease()?.term;
    });
    await old.seen(/The lead was lost to another process/);
    await leaveDeleted(old, 'due-later');
    expect(makeDue().changes).toBe(1);
    await until(() => said(next, 'deleted objects purged').length === 2);
    expect(said(next, 'deleted objects purged').map((line) => JSON.parse(line).purged)).toEqual([1, 1]);
    expect(said(old, 'deleted objects purged')).toEqual([]);
    expect([lease()?.term, leads(next)]).toEqual([term, true]);
    sql.close();
    await endAll([old, next, writer]);
  });
});

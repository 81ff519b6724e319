import { inspect } from 'node:util';
import { sql } from 'kysely';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasPostgres, newPostgresDatabase } from '../../test/support/postgres.ts';
import type { TestDatabase } from '../../test/support/postgres-cluster.ts';
import { type PostgresProxy, startPostgresProxy } from '../../test/support/postgres-proxy.ts';
import { systemClock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { type Database, LeaseLost, type Procedure, type Writer } from './database.ts';
import { openPostgres } from './postgres.ts';
import { preparedStatementLimit } from './postgres-connections.ts';
import { PostgresError, UnreadableValue } from './postgres-errors.ts';

/** Something that the test waits for, and opens. */
function gate(): { opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

const insert = (id: string, n = 0) => sql`insert into probe (id, n) values (${id}, ${n})`;

/** A procedure for one test; what it shares with the test is in its closure. */
function procedure<R>(run: (tx: Writer) => Promise<R>): Procedure<null, R> {
  return { name: 'test', run, changes: () => [{ topic: 'vault', key: 'test' }] };
}

describe.skipIf(!hasPostgres)('PostgreSQL', () => {
  let home: TestDatabase;
  let admin: Client;
  const opened: Database[] = [];

  const open = async (poolSize = 4, url = home.socketUrl): Promise<Database> => {
    const database = await openPostgres({ clock: systemClock, log: silentLog }, { url, poolSize });
    opened.push(database);
    return database;
  };
  const throughProxy = async (): Promise<{ proxy: PostgresProxy; database: Database }> => {
    const proxy = await startPostgresProxy(Number(new URL(home.url).port));
    proxies.push(proxy);
    const url = new URL(home.url);
    url.port = String(proxy.port);
    return { proxy, database: await open(2, url.href) };
  };
  const proxies: PostgresProxy[] = [];
  const exists = async (id: string) =>
    (await admin.query('select from probe where id = $1', [id])).rowCount === 1;

  beforeAll(async () => {
    home = await newPostgresDatabase();
    admin = new Client({ connectionString: home.url });
    await admin.connect();
    await admin.query('create table probe (id text primary key, n bigint check (n >= 0), b bytea)');
  });

  afterAll(async () => {
    for (const database of opened) await database.close();
    for (const proxy of proxies) await proxy.close();
    await admin?.end();
    await home?.drop();
  });

  test('bigint is a number as far as it is exact, bytea is bytes', async () => {
    const { read } = await open();
    const bytes = new Uint8Array([0, 1, 255]).subarray(1);
    const ask = (n: string) =>
      sql<{ n: number; b: Buffer }>`select ${n}::bigint as n, ${bytes}::bytea as b`.execute(read);
    expect((await ask('9007199254740991')).rows).toEqual([
      { n: Number.MAX_SAFE_INTEGER, b: Buffer.from([1, 255]) },
    ]);
    await expect(ask('9007199254740992')).rejects.toThrow(UnreadableValue);
    expect((await ask('-1')).rows[0]?.n).toBe(-1);
  });

  test('a statement is prepared once in a session, and only so many are', async () => {
    const { read } = await open(1);
    const prepared = () =>
      sql<{ text: string; name: string }>`select statement as text, name from pg_prepared_statements`.execute(
        read,
      );
    for (let i = 0; i < 3; i += 1)
      await read.selectFrom('vaults').select('id').where('id', '=', String(i)).execute();
    const { rows } = await prepared();
    expect(rows.filter(({ text }) => text.includes('"vaults"'))).toHaveLength(1);
    for (let i = 0; i < preparedStatementLimit + 5; i += 1)
      await sql`select ${sql.lit(i)}::int`.execute(read);
    expect((await prepared()).rows).toHaveLength(preparedStatementLimit);
  });

  test('each session commits to disk and has bounds, whatever the database is set to', async () => {
    await admin.query(`do $$ begin
      execute format('alter database %I set synchronous_commit = off', current_database()); end $$`);
    const { read } = await open();
    const { rows } = await sql<{ name: string; value: string }>`select name, setting as value from pg_settings
      where name in ('synchronous_commit', 'statement_timeout', 'lock_timeout',
        'idle_in_transaction_session_timeout', 'application_name') order by name`.execute(read);
    expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual({
      application_name: 'strongroom',
      idle_in_transaction_session_timeout: '10000',
      lock_timeout: '2000',
      statement_timeout: '4000',
      synchronous_commit: 'on',
    });
  });

  test('a refusal takes back what the procedure wrote, and reaches the caller as it is', async () => {
    const database = await open();
    const refusal = new Failure('conflict', 'no');
    const write = database.write(
      procedure(async (tx) => {
        await insert('refused').execute(tx);
        throw refusal;
      }),
      null,
    );
    await expect(write).rejects.toBe(refusal);
    expect(await exists('refused')).toBe(false);
  });

  test('a broken rule is not retried, and told without the values of the row', async () => {
    const database = await open();
    let runs = 0;
    const write = database.write(
      procedure(async (tx) => {
        runs += 1;
        await insert('secret-value', -1).execute(tx);
      }),
      null,
    );
    const error = await write.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: '23514', constraint: 'probe_n_check', trouble: 'other' });
    expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('secret-value');
    expect(runs).toBe(1);
  });

  test('a swallowed error does not pass for a commit', async () => {
    const database = await open();
    const swallow = procedure(async (tx) => {
      await insert('swallowed').execute(tx);
      await insert('swallowed-too', -1)
        .execute(tx)
        .catch(() => undefined);
    });
    // Without changes to record, COMMIT itself is the first to find the transaction failed.
    const write = database.write({ name: swallow.name, run: swallow.run }, null);
    await expect(write).rejects.toThrow(PostgresError);
    expect(await exists('swallowed')).toBe(false);
  });

  test('of two that insert the same, the later runs again and sees the row', async () => {
    const database = await open();
    const inserted = gate();
    const trying = gate();
    const once = procedure(async (tx) => {
      const { rows } = await sql`select from probe where id = 'raced'`.execute(tx);
      if (rows.length > 0) return 'seen';
      await insert('raced').execute(tx);
      inserted.open();
      await trying.opened;
      return 'inserted';
    });
    const first = database.write(once, null);
    await inserted.opened;
    const second = database.write(
      procedure(async (tx) => {
        const { rows } = await sql`select from probe where id = 'raced'`.execute(tx);
        if (rows.length > 0) return 'seen';
        trying.open();
        await insert('raced').execute(tx);
        return 'inserted';
      }),
      null,
    );
    expect(await Promise.all([first, second])).toEqual(['inserted', 'seen']);
  });

  test('a unique violation that stays is told at last', async () => {
    const database = await open();
    await admin.query(`insert into probe values ('taken')`);
    const write = database.write(
      procedure((tx) => insert('taken').execute(tx)),
      null,
    );
    await expect(write).rejects.toMatchObject({ code: '23505', constraint: 'probe_pkey' });
  });

  test('two that wait for one another both get through', async () => {
    const database = await open();
    await admin.query(`insert into probe values ('left', 0), ('right', 0)`);
    const gates = { left: gate(), right: gate() };
    let runs = 0;
    const add = (mine: 'left' | 'right', other: 'left' | 'right') =>
      database.write(
        procedure(async (tx) => {
          runs += 1;
          await sql`update probe set n = n + 1 where id = ${mine}`.execute(tx);
          gates[mine].open();
          await gates[other].opened;
          await sql`update probe set n = n + 1 where id = ${other}`.execute(tx);
        }),
        null,
      );
    await Promise.all([add('left', 'right'), add('right', 'left')]);
    expect(runs).toBeGreaterThan(2);
    const { rows } = await admin.query(`select n from probe where id in ('left', 'right')`);
    expect(rows).toEqual([{ n: '2' }, { n: '2' }]);
  });

  test('a session that ends before COMMIT is replaced, and the procedure runs again', async () => {
    const database = await open();
    let runs = 0;
    await database.write(
      procedure(async (tx) => {
        runs += 1;
        await insert('lost').execute(tx);
        if (runs === 1) await sql`select pg_terminate_backend(pg_backend_pid())`.execute(tx);
      }),
      null,
    );
    expect(runs).toBe(2);
    expect(await exists('lost')).toBe(true);
  });

  test('a session that ends between two statements does no harm', async () => {
    const database = await open();
    let runs = 0;
    await database.write(
      procedure(async (tx) => {
        runs += 1;
        const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
        if (runs === 1) await admin.query('select pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
        await insert('between').execute(tx);
      }),
      null,
    );
    expect(runs).toBe(2);
  });

  test.each([
    ['cut', false],
    ['cutAfter', true],
  ] as const)('COMMIT without an answer (%s) is a 503 and not repeated', async (verdict, tookEffect) => {
    const { proxy, database } = await throughProxy();
    const told: (string | undefined)[] = [];
    database.feed.subscribe('vault', (key) => told.push(key));
    let runs = 0;
    proxy.judge = (chunk) => (chunk.toString('latin1').includes('commit\0') ? verdict : 'pass');
    const write = database.write(
      procedure(async (tx) => {
        runs += 1;
        await insert(`unknown-${verdict}`).execute(tx);
      }),
      null,
    );
    await expect(write).rejects.toMatchObject({ kind: 'unavailable', retryAfter: 1 });
    // Memory must not go on answering with what may have been replaced.
    expect(told).toContain('test');
    expect(runs).toBe(1);
    await expect.poll(() => exists(`unknown-${verdict}`)).toBe(tookEffect);
    proxy.judge = () => 'pass';
    await database.write(
      procedure((tx) => insert(`after-${verdict}`).execute(tx)),
      null,
    );
  });

  test('a read whose connection breaks is tried once more', async () => {
    const { proxy, database } = await throughProxy();
    let cuts = 0;
    const select = () => database.read.selectFrom('vaults').select('id').where('id', '=', 'marker').execute();
    const cutFirst = (most: number) => {
      cuts = 0;
      proxy.judge = (chunk) => (chunk.includes('marker') && ++cuts <= most ? 'cut' : 'pass');
    };
    cutFirst(1);
    expect(await select()).toEqual([]);
    expect(cuts).toBe(2);
    cutFirst(2);
    await expect(select()).rejects.toMatchObject({ kind: 'unavailable' });
    expect(await select()).toEqual([]);
  });

  test('statements that a migration elsewhere has made stale are prepared anew', async () => {
    const database = await open();
    await admin.query('create table grown (id text)');
    await admin.query(`insert into grown values ('x')`);
    const all = procedure(async (tx) => (await sql`select * from grown`.execute(tx)).rows);
    const read = () =>
      database.read
        .selectFrom('grown' as 'tenants')
        .selectAll()
        .execute();
    // Every session of the pool has it prepared.
    await Promise.all([1, 2, 3, 4, 5, 6].map(read));
    await admin.query('alter table grown add column more int');
    expect(await read()).toEqual([{ id: 'x', more: null }]);
    expect(await database.write(all, null)).toEqual([{ id: 'x', more: null }]);
    await admin.query('alter table grown add column still_more int');
    expect(await database.write(all, null)).toEqual([{ id: 'x', more: null, still_more: null }]);
  });

  test('a write whose lease is lost is not made', async () => {
    const database = await open();
    await admin.query(`insert into leases (name, holder, term, beat) values ('jobs', 'me', 7, 0)`);
    const write = (term: number) =>
      database.write(
        procedure((tx) => insert(`term-${term}`).execute(tx)),
        null,
        { lease: 'jobs', term },
      );
    await expect(write(6)).rejects.toThrow(LeaseLost);
    await write(7);
    expect([await exists('term-6'), await exists('term-7')]).toEqual([false, true]);
  });

  test('waiting for a lock ends with a 503', async () => {
    const database = await open();
    await admin.query('begin; lock table probe in access exclusive mode');
    const write = database.write(
      procedure((tx) => insert('locked').execute(tx)),
      null,
    );
    await expect(write).rejects.toMatchObject({ kind: 'unavailable', cause: { code: '55P03' } });
    await admin.query('rollback');
    expect(await exists('locked')).toBe(false);
  });

  test('waiting for a free connection ends with a 503', async () => {
    const database = await open(1);
    const done = gate();
    const holding = gate();
    const write = database.write(
      procedure(async (tx) => {
        await insert('held').execute(tx);
        holding.open();
        await done.opened;
      }),
      null,
    );
    await holding.opened;
    await expect(database.read.selectFrom('vaults').select('id').execute()).rejects.toMatchObject({
      kind: 'unavailable',
    });
    done.open();
    await write;
  });

  test('a transaction for reading sees one state throughout', async () => {
    const { read } = await open();
    await read
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (tx) => {
        const count = () => sql<{ n: number }>`select count(*) as n from probe`.execute(tx);
        const before = await count();
        await admin.query(`insert into probe values ('meanwhile')`);
        expect((await count()).rows).toEqual(before.rows);
      });
  });

  test('closing waits for writes under way; later calls are refused at once', async () => {
    const database = await open(1);
    const done = gate();
    const running = gate();
    const write = database.write(
      procedure(async (tx) => {
        await insert('drained').execute(tx);
        running.open();
        await done.opened;
      }),
      null,
    );
    await running.opened;
    // The only connection is taken: this one has not begun yet.
    const queued = database.write(
      procedure((tx) => insert('drained-too').execute(tx)),
      null,
    );
    const closed = database.close();
    done.open();
    await closed;
    await Promise.all([write, queued]);
    expect([await exists('drained'), await exists('drained-too')]).toEqual([true, true]);
    expect(database.feed.fresh()).toBe(false);
    const unavailable = { kind: 'unavailable' };
    await expect(
      database.write(
        procedure(async () => undefined),
        null,
      ),
    ).rejects.toMatchObject(unavailable);
    await expect(database.read.selectFrom('vaults').select('id').execute()).rejects.toMatchObject(
      unavailable,
    );
  });

  test('a start waits for the locks of others, a little at a time', async () => {
    await admin.query('begin; lock table kysely_migration in access exclusive mode');
    const waiting = gate();
    const log = { ...silentLog, info: () => waiting.open() };
    const opening = openPostgres({ clock: systemClock, log }, { url: home.socketUrl, poolSize: 1 });
    await waiting.opened;
    await admin.query('rollback');
    opened.push(await opening);
  });

  test('what inspects the database can stop its opening', async () => {
    const stop = new Error('stop');
    const settings = { url: home.socketUrl, poolSize: 1 };
    const opening = openPostgres({ clock: systemClock, log: silentLog }, settings, async (read) => {
      await sql`select from vaults`.execute(read);
      throw stop;
    });
    await expect(opening).rejects.toBe(stop);
  });
});

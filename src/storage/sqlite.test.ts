/**
 * Proves what this database promises beyond its queries: writes that arrive together share a flush without sharing
 * their fate, nothing is answered before it is on disk, and the file is private and of the schema that we know.
 */
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Database, LeaseLost, type Procedure, type Reader, type Writer } from './database.ts';
import { createLeaseStore } from './leases.ts';
import { openSqlite } from './sqlite.ts';

let folder: string;
let path: string;
let db: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-sqlite-'));
  path = join(folder, 'test.db');
  db = await openSqlite(path);
});
afterEach(async () => {
  await db.close();
  await rm(folder, { recursive: true });
});

const addTenant = (id: string) => async (tx: Writer) => {
  await tx.insertInto('tenants').values({ id, name: id }).execute();
  return id;
};

/** Writes with a procedure of this test's own; `id` is what caches would have to forget. */
function write<R>(run: (tx: Writer) => Promise<R>, id = 'one'): Promise<R> {
  const procedure: Procedure<string, R> = {
    name: 'test',
    run,
    changes: (key) => [{ topic: 'vault', key }],
  };
  return db.write(procedure, id);
}

async function tenants(): Promise<string[]> {
  return (await db.read.selectFrom('tenants').select('id').orderBy('id').execute()).map(({ id }) => id);
}

/** How many transactions the write-ahead log holds: frames whose header has a database size (SQLite file format §4.1). */
async function commitsInLog(): Promise<number> {
  const log = await readFile(`${path}-wal`);
  const frame = 24 + log.readUInt32BE(8);
  let commits = 0;
  for (let at = 32; at + frame <= log.length; at += frame) {
    // Frames left over from before the log was last begun anew have other salts.
    if (log.readBigUInt64BE(at + 8) !== log.readBigUInt64BE(16)) break;
    if (log.readUInt32BE(at + 4) !== 0) commits += 1;
  }
  return commits;
}

/** Makes the commit itself fail: SQLite looks at a deferred foreign key only then. */
async function breakCommit(tx: Writer): Promise<void> {
  await sql`PRAGMA defer_foreign_keys = ON`.execute(tx);
  await sql`INSERT INTO vault_keys (vault_id, version, root_key_id, sealed) VALUES ('nobody', 1, 'r', x'00')`.execute(
    tx,
  );
}

test('many writes at once share few commits, and each keeps its answer', async () => {
  const before = await commitsInLog();
  const ids = Array.from({ length: 500 }, (_, n) => `t${n}`);
  expect(await Promise.all(ids.map((id) => write(addTenant(id))))).toEqual(ids);
  expect((await commitsInLog()) - before).toBeLessThanOrEqual(3);
  expect(await tenants()).toEqual([...ids].sort());
});

test('writes one after the other are each on disk when they are answered', async () => {
  for (let n = 0; n < 5; n += 1) {
    const before = await commitsInLog();
    await write(addTenant(`t${n}`));
    expect(await commitsInLog()).toBe(before + 1);
  }
});

test('a job that fails undoes all of itself and nothing of the others', async () => {
  const refusal = new Error('refused');
  const outcomes = await Promise.allSettled([
    write(addTenant('a')),
    write(async (tx) => {
      await addTenant('half')(tx);
      throw refusal;
    }),
    write(async (tx) => {
      await addTenant('other half')(tx);
      await addTenant('a')(tx);
    }),
    write(async (tx) => {
      await sql`this is not SQL`.execute(tx);
    }),
    write(addTenant('b')),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'rejected',
    'rejected',
    'fulfilled',
  ]);
  expect(outcomes[1]).toEqual({ status: 'rejected', reason: refusal });
  expect(await tenants()).toEqual(['a', 'b']);
});

test('a commit that fails answers no one, refuses everyone, and the next write works', async () => {
  const seen: string[] = [];
  const outcomes = await Promise.allSettled([
    write(addTenant('a')),
    write(breakCommit),
    // Refused because of what the first job did, which is about to be undone: not to be told to anyone.
    write(async (tx) => {
      const rows = await tx.selectFrom('tenants').select('id').execute();
      seen.push(...rows.map(({ id }) => id));
      throw new Error('a is taken');
    }),
  ]);
  // Run once more, alone in its savepoint, before anybody knows of the commit.
  expect(new Set(seen)).toEqual(new Set(['a']));
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { kind: 'unavailable', retryAfter: 1 } });
  }
  expect(await tenants()).toEqual([]);
  await write(addTenant('b'));
  expect(await tenants()).toEqual(['b']);
});

test('a full disk refuses what does not fit, loses nothing that was answered, and passes', async () => {
  await write(addTenant('before'));
  const pages = await write(async (tx) => {
    const { rows } = await sql<{ page_count: number }>`PRAGMA page_count`.execute(tx);
    const count = rows[0]?.page_count ?? 0;
    await sql`PRAGMA max_page_count = ${sql.lit(count + 1)}`.execute(tx);
    return count;
  });
  const large = write((tx) =>
    tx
      .insertInto('sealed_items')
      .values({ name: 'large', root_key_id: 'r', sealed: Buffer.alloc(1024 * 1024, 1) })
      .execute(),
  );
  await expect(large).rejects.toThrow();
  expect(await tenants()).toEqual(['before']);
  expect(await db.read.selectFrom('sealed_items').selectAll().execute()).toEqual([]);
  await write((tx) => sql`PRAGMA max_page_count = ${sql.lit(pages + 1000)}`.execute(tx));
  await write(addTenant('after'));
  expect(await tenants()).toEqual(['after', 'before']);
});

test('readers see what is committed, and only that', async () => {
  const during = await write(async (tx) => {
    await addTenant('a')(tx);
    return tenants();
  });
  expect(during).toEqual([]);
  expect(await tenants()).toEqual(['a']);
});

test('jobs run one after the other, in the order in which they were asked for', async () => {
  const order: string[] = [];
  const job = (name: string) => async (tx: Writer) => {
    order.push(`${name} begins`);
    await addTenant(name)(tx);
    await new Promise((resolve) => setImmediate(resolve));
    order.push(`${name} ends`);
  };
  await Promise.all(['a', 'b', 'c'].map((name) => write(job(name))));
  expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

test('closing waits for the writes that were asked for; later ones are refused', async () => {
  const written = Promise.all(['a', 'b'].map((id) => write(addTenant(id))));
  await db.close();
  expect(await written).toEqual(['a', 'b']);
  await expect(write(addTenant('c'))).rejects.toMatchObject({ kind: 'unavailable' });
  db = await openSqlite(path);
  expect(await tenants()).toEqual(['a', 'b']);
});

test('the database and all files beside it are private, whatever the umask and the mode before', async () => {
  const umask = process.umask(0);
  try {
    await db.close();
    await rm(path);
    db = await openSqlite(path);
    await write(addTenant('a'));
    const files = await readdir(folder);
    expect(files.sort()).toEqual(['test.db', 'test.db-shm', 'test.db-wal']);
    for (const file of files) expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
    await db.close();
    await chmod(path, 0o644);
    db = await openSqlite(path);
    await write(addTenant('b'));
    for (const file of await readdir(folder))
      expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
  } finally {
    process.umask(umask);
  }
});

/** The schema, and the migrations that made it with the times at which they ran. */
async function schemaOf(database: Database): Promise<unknown[]> {
  const schema = await sql`SELECT type, name, sql FROM sqlite_schema ORDER BY name`.execute(database.read);
  const migrations = await sql`SELECT * FROM kysely_migration ORDER BY name`.execute(database.read);
  return [schema.rows, migrations.rows];
}

test('a file of this schema is opened as it is', async () => {
  await write(addTenant('a'));
  const before = await schemaOf(db);
  await db.close();
  db = await openSqlite(path);
  expect(await schemaOf(db)).toEqual(before);
  expect(await tenants()).toEqual(['a']);
});

test('a file of a newer schema is refused and left alone', async () => {
  await write((tx) =>
    sql`INSERT INTO kysely_migration VALUES ('9999-from-the-future', '2030-01-01')`.execute(tx),
  );
  const before = await schemaOf(db);
  await db.close();
  await expect(openSqlite(path)).rejects.toThrow(/cannot be brought to the schema/);
  const plain = new DatabaseSync(path);
  const names = plain.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all();
  plain.exec("DELETE FROM kysely_migration WHERE name = '9999-from-the-future'");
  plain.close();
  expect(names).toEqual(before[0]);
  db = await openSqlite(path);
});

test('an inspection that throws stops the opening before any table is made', async () => {
  await db.close();
  const other = join(folder, 'other.db');
  const refused = openSqlite(other, {
    async inspect(read) {
      expect(await read.introspection.getTables()).toEqual([]);
      throw new Error('not this one');
    },
  });
  await expect(refused).rejects.toThrow('not this one');
  const inspect = async (read: Reader) => expect(await read.introspection.getTables()).toEqual([]);
  await openSqlite(other, { inspect: async (read) => void (await inspect(read)) }).then((opened) =>
    opened.close(),
  );
  db = await openSqlite(path);
});

test('what is not a database is refused', async () => {
  await db.close();
  const other = join(folder, 'other.db');
  await writeFile(other, 'this is no database, and long enough to be looked at as one.'.repeat(100));
  await expect(openSqlite(other)).rejects.toThrow();
  expect(await readFile(other, 'utf8')).toContain('this is no database');
  db = await openSqlite(path);
});

test('a write is answered only when the changes of its commit have been told to all', async () => {
  await db.close();
  const told: string[][] = [];
  const { promise: heard, resolve: hear } = Promise.withResolvers<void>();
  db = await openSqlite(path, {
    announce(changes) {
      told.push(changes.map(({ key }) => key));
      return heard;
    },
  });
  const here: unknown[] = [];
  db.feed.subscribe('vault', (key) => here.push(key));
  const answered: string[] = [];
  const writes = ['a', 'b'].map((id) => write(addTenant(id), id).then((done) => answered.push(done)));
  const refused = write(() => Promise.reject(new Error('no')), 'c').catch(() => answered.push('refused'));
  while (told.length === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(await tenants()).toEqual(['a', 'b']);
  expect(here).toEqual(told[0]);
  expect(told[0]?.slice(0, 2)).toEqual(['a', 'b']);
  expect(answered).toEqual([]);
  hear();
  await Promise.all([...writes, refused]);
  expect(answered).toEqual(['a', 'b', 'refused']);
});

test('writes go on while the changes of those before them are being told; closing waits for all answers', async () => {
  await db.close();
  const telling: (() => void)[] = [];
  db = await openSqlite(path, { announce: () => new Promise((resolve) => telling.push(resolve)) });
  const first = write(addTenant('a'));
  while (telling.length < 1) await new Promise((resolve) => setImmediate(resolve));
  const second = write(addTenant('b'));
  while (telling.length < 2) await new Promise((resolve) => setImmediate(resolve));
  expect(await tenants()).toEqual(['a', 'b']);
  let closed = false;
  const closing = db.close().then(() => {
    closed = true;
  });
  telling[1]?.();
  expect(await second).toBe('b');
  expect(closed).toBe(false);
  telling[0]?.();
  expect(await first).toBe('a');
  await closing;
  db = await openSqlite(path);
});

test('telling that fails costs no one an answer', async () => {
  await db.close();
  db = await openSqlite(path, { announce: () => Promise.reject(new Error('nobody listens')) });
  expect(await write(addTenant('a'))).toBe('a');
  db.feed.subscribe('vault', () => {
    throw new Error('a listener that fails');
  });
  expect(await write(addTenant('b'))).toBe('b');
});

test('a procedure whose changes cannot be named is refused, and the next write works', async () => {
  const broken: Procedure<string, void> = {
    name: 'broken',
    run: async (tx) => void (await addTenant('half')(tx)),
    changes() {
      throw new TypeError('what is this?');
    },
  };
  await expect(db.write(broken, '')).rejects.toThrow('what is this?');
  expect(await write(addTenant('a'))).toBe('a');
  expect(await tenants()).toEqual(['a']);
});

test('who has lost the lease writes nothing, though all around it is written', async () => {
  const leases = createLeaseStore(db);
  const mine = await leases.take('jobs', 'me', undefined);
  const fence = { lease: 'jobs', term: mine?.term ?? 0 };
  const procedure: Procedure<string, string> = { name: 'fenced', run: (tx, id) => addTenant(id)(tx) };
  expect(await db.write(procedure, 'a', fence)).toBe('a');
  await leases.take('jobs', 'another', mine);
  const outcomes = await Promise.allSettled([
    write(addTenant('b')),
    db.write(procedure, 'stale', fence),
    db.write(procedure, 'of another lease', { lease: 'other', term: 1 }),
    write(addTenant('c')),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
  expect(outcomes[1]).toMatchObject({ reason: expect.any(LeaseLost) });
  expect(await tenants()).toEqual(['a', 'b', 'c']);
});

/** Proves that a SQLite file which cannot be read for now is the 503 for its reader, and no unforeseen error. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { openSqlite, openSqliteReader } from '../../src/storage/sqlite.ts';

test('a file that another process has locked: 503 until it is free', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-locked-'));
  const path = join(folder, 'test.db');
  const db = await openSqlite(path);
  // A connection that was never used is not closed either.
  await db.read.selectFrom('tenants').selectAll().execute();
  await db.close();
  const other = new DatabaseSync(path);
  other.exec('pragma locking_mode = exclusive; begin immediate; create table locked (id); commit');
  const read = openSqliteReader(path);
  try {
    // The reader would wait five seconds for the lock.
    await sql`pragma busy_timeout = 0`.execute(read);
    const query = () => read.selectFrom('tenants').selectAll().execute();
    await expect(query()).rejects.toMatchObject({
      kind: 'unavailable',
      retryAfter: 1,
      cause: { errcode: 5 },
    });
    other.close();
    expect(await query()).toEqual([]);
    await expect(sql`select nothing from tenants`.execute(read)).rejects.toMatchObject({ errcode: 1 });
  } finally {
    await read.destroy();
    if (other.isOpen) other.close();
    await rm(folder, { recursive: true });
  }
});

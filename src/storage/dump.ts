/** Reads everything that a copy of the server holds, as it was at one moment, while others go on writing. */
import { type ControlledTransaction, type Kysely, sql } from 'kysely';
import type { Reader } from './database.ts';
import {
  type CopiedTable,
  columnsOf,
  copiedTables,
  type DumpPage,
  isOfKind,
  keyOf,
  type Value,
} from './dump-tables.ts';
import { openPostgresAlone } from './postgres-alone.ts';
import type { ConnectionDeps } from './postgres-connections.ts';
import type { PostgresSettings } from './postgres-settings.ts';
import type { Schema } from './schema.ts';
import { openSqliteReader } from './sqlite.ts';

const pageLength = 200;

export interface Snapshot {
  /** Sees what was committed before the snapshot was taken, and nothing later. */
  readonly read: Reader;
  /** The newest migration; undefined for a database without a schema. */
  readonly schema: string | undefined;
  close(): Promise<void>;
}

/** SQLite's log keeps what was there while the snapshot is open: nobody waits for it, and it waits for nobody. */
export async function openSqliteSnapshot(path: string): Promise<Snapshot> {
  const db = openSqliteReader(path);
  return openSnapshot(db, () => db.destroy());
}

/** Rejects as `openPostgresAlone` does. */
export async function openPostgresSnapshot(
  deps: ConnectionDeps,
  settings: Omit<PostgresSettings, 'poolSize'>,
): Promise<Snapshot> {
  const { db, close } = await openPostgresAlone(deps, settings);
  return openSnapshot(db, close);
}

async function openSnapshot(db: Kysely<Schema>, end: () => Promise<void>): Promise<Snapshot> {
  let read: ControlledTransaction<Schema> | undefined;
  const close = async () => {
    await read?.rollback().execute();
    await end();
  };
  try {
    read = await db
      .startTransaction()
      .setIsolationLevel('repeatable read')
      .setAccessMode('read only')
      .execute();
    // The first query is what the snapshot is taken at.
    return { read, schema: await schemaOf(read), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const migrationTable = 'kysely_migration';

/** The newest migration that the database has had; undefined if none. */
export async function schemaOf(db: Reader): Promise<string | undefined> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === migrationTable)) return undefined;
  const newest = sql<{
    name: string;
  }>`select name from ${sql.table(migrationTable)} order by name desc limit 1`;
  return (await newest.execute(db)).rows[0]?.name;
}

/** How many rows each table has; those without any are left out. */
export async function countRows(
  db: Reader,
  tables: readonly CopiedTable[] = copiedTables,
): Promise<Partial<Record<CopiedTable, number>>> {
  const counts: Partial<Record<CopiedTable, number>> = {};
  for (const table of tables) {
    const { count } = await db
      .selectFrom(table)
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    if (count > 0) counts[table] = count;
  }
  return counts;
}

/** All rows by pages, in the order of `copiedTables` and of their keys. Throws for a value of an unknown kind. */
export async function* readPages(db: Reader): AsyncGenerator<DumpPage> {
  for (const table of copiedTables) {
    let last: readonly Value[] | undefined;
    do {
      const page = await readPage(db, table, last);
      yield page;
      last = page.rows.length < pageLength ? undefined : lastKey(page);
    } while (last !== undefined);
  }
}

async function readPage(
  db: Reader,
  table: CopiedTable,
  after: readonly Value[] | undefined,
): Promise<DumpPage> {
  const columns = columnsOf(table);
  const list = (names: readonly string[]) => sql.join(names.map((name) => sql.ref(name)));
  const key = list(keyOf(table));
  // A comparison of rows is a range of the primary key's index on both databases.
  const range = after === undefined ? sql`` : sql`where (${key}) > (${sql.join(after)})`;
  const query = sql<Record<string, unknown>>`
    select ${list(columns)} from ${sql.table(table)} ${range} order by ${key} limit ${sql.lit(pageLength)}`;
  const { rows } = await query.execute(db);
  return { table, columns, rows: rows.map((row) => columns.map((name) => checked(table, name, row[name]))) };
}

function checked(table: CopiedTable, column: string, value: unknown): Value {
  if (isOfKind(table, column, value)) return value;
  throw new TypeError(`a value of ${table}.${column} is not of its kind`);
}

function lastKey({ table, columns, rows }: DumpPage): readonly Value[] | undefined {
  const last = rows.at(-1);
  return last && keyOf(table).map((name) => last[columns.indexOf(name)] ?? null);
}

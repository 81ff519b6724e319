/** Fills an empty database with the rows of a copy: all of them in one transaction, or none. */
import { existsSync, rmSync } from 'node:fs';
import { type CompiledQuery, type Kysely, type RawBuilder, sql, type Transaction } from 'kysely';
import { isPostgres } from './dialect.ts';
import { countRows, schemaOf } from './dump.ts';
import { type CopiedTable, copiedTables, type DumpPage, type RowCounts } from './dump-tables.ts';
import { migrate, schemaNames } from './migrate.ts';
import { type Alone, openPostgresAlone } from './postgres-alone.ts';
import type { ConnectionDeps } from './postgres-connections.ts';
import type { PostgresSettings } from './postgres-settings.ts';
import type { Schema } from './schema.ts';
import { openSqliteConnection, openSqliteReader } from './sqlite.ts';

/** The database holds something already. */
export class TargetNotEmpty extends Error {
  constructor() {
    super('the database is not empty');
    this.name = 'TargetNotEmpty';
  }
}

/** The rows that were written are not as many as the copy says. */
export class RestoreIncomplete extends Error {
  constructor(table: string) {
    super(`not all rows of ${table} are there`);
    this.name = 'RestoreIncomplete';
  }
}

export interface TargetState {
  /** The newest migration; undefined for a database without a schema. */
  readonly schema: string | undefined;
  readonly isEmpty: boolean;
}

/** A database that nobody uses. */
export interface RestoreTarget {
  /** Looks, and changes nothing: no file is made. */
  inspect(): Promise<TargetState>;
  /**
   * Brings the empty database to the copy's schema, adds the rows that `read` gives, compares their number with what
   * it resolves to, commits, and brings it up to date. Rejects with `TargetNotEmpty`, `RestoreIncomplete` or what
   * `read` threw; the database is empty then. Only bringing an older
   * schema up to date comes after the commit: a start that follows does it again.
   */
  fill(copy: RestoredCopy): Promise<void>;
}

export interface RestoredCopy {
  readonly schema: string;
  readonly read: (take: (page: DumpPage) => Promise<void>) => Promise<RowCounts>;
}

/** Whether this version can bring a database of that schema up to date. */
export function isKnownSchema(name: string): boolean {
  return schemaNames.includes(name);
}

/** Whoever fills it holds the folder's lock. */
export function sqliteTarget(path: string): RestoreTarget {
  return {
    async inspect() {
      if (!existsSync(path)) return { schema: undefined, isEmpty: true };
      const db = openSqliteReader(path);
      try {
        return await stateOf(db);
      } finally {
        await db.destroy();
      }
    },
    async fill(copy) {
      const isNew = !existsSync(path);
      const db = openSqliteConnection(path);
      try {
        await fill(db, copy);
        await db.destroy();
      } catch (error) {
        await db.destroy();
        if (isNew) for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true });
        throw error;
      }
    },
  };
}

/** Other nodes may begin on the same database: they wait for the rows, or fail. */
export function postgresTarget(
  deps: ConnectionDeps,
  settings: Omit<PostgresSettings, 'poolSize'>,
): RestoreTarget {
  const withDatabase = async <T>(use: (db: Alone['db']) => Promise<T>): Promise<T> => {
    const { db, close } = await openPostgresAlone(deps, settings);
    try {
      return await use(db);
    } finally {
      await close();
    }
  };
  return { inspect: () => withDatabase(stateOf), fill: (copy) => withDatabase((db) => fill(db, copy)) };
}

async function stateOf(db: Kysely<Schema>): Promise<TargetState> {
  return { schema: await schemaOf(db), isEmpty: await isEmpty(db) };
}

async function isEmpty(db: Kysely<Schema>): Promise<boolean> {
  for (const table of await tablesOf(db)) {
    const row = await db.selectFrom(table).select(sql`1`.as('one')).limit(1).executeTakeFirst();
    if (row !== undefined) return false;
  }
  return true;
}

/** The tables of a copy that are in the database: an older schema has not all of them. */
async function tablesOf(db: Kysely<Schema>): Promise<readonly CopiedTable[]> {
  const there = new Set((await db.introspection.getTables()).map(({ name }) => name));
  return copiedTables.filter((table) => there.has(table));
}

async function fill(db: Kysely<Schema>, { schema, read }: RestoredCopy): Promise<void> {
  if (!(await isEmpty(db))) throw new TargetNotEmpty();
  await migrate(db, schema);
  const tables = await tablesOf(db);
  const onPostgres = isPostgres(db as unknown as Kysely<unknown>);
  await db.transaction().execute(async (tx) => {
    if (onPostgres) await lockTables(tx, tables);
    if (!(await isEmpty(tx))) throw new TargetNotEmpty();
    const claimed = await read(createInsert(tx));
    const found = await countRows(tx, tables);
    for (const table of copiedTables) if (claimed[table] !== found[table]) throw new RestoreIncomplete(table);
  });
  await migrate(db);
  // Without them the first plans would be those for small tables.
  if (onPostgres) await sql`analyze ${listOf(tables)}`.execute(db);
}

/** Nobody else writes until the transaction ends; what a starting node would add waits, and finds the rows. */
async function lockTables(tx: Transaction<Schema>, tables: readonly CopiedTable[]): Promise<void> {
  await sql`lock table ${listOf(tables)} in share row exclusive mode`.execute(tx);
}

function listOf(tables: readonly CopiedTable[]): RawBuilder<unknown> {
  return sql.join(tables.map((table) => sql.table(table)));
}

/** Statements are built once for each table and number of rows: the database prepares as few. */
function createInsert(tx: Transaction<Schema>): (page: DumpPage) => Promise<void> {
  const statements = new Map<string, CompiledQuery>();
  return async (page) => {
    const name = `${page.table}/${page.rows.length}/${page.columns.join()}`;
    let statement = statements.get(name);
    if (statement === undefined) {
      statement = compileInsert(tx, page);
      statements.set(name, statement);
    }
    await tx.executeQuery({ ...statement, parameters: page.rows.flat() });
  };
}

function compileInsert(tx: Transaction<Schema>, { table, columns, rows }: DumpPage): CompiledQuery {
  const names = sql.join(columns.map((column) => sql.ref(column)));
  const values = sql.join(rows.map((row) => sql`(${sql.join(row)})`));
  return sql`insert into ${sql.table(table)} (${names}) values ${values}`.compile(tx);
}

/** Where SQLite and PostgreSQL need different words for the same thing. */
import { type Kysely, PostgresAdapter, type SelectQueryBuilder, sql } from 'kysely';

export function isPostgres(db: Kysely<unknown>): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

/**
 * Holds the selected rows until the transaction ends. In SQLite a write transaction is alone anyway; in PostgreSQL
 * two that decide on the same row would otherwise both see it as it was.
 */
export function lockRows<D, T extends keyof D, O>(
  db: Kysely<D>,
  query: SelectQueryBuilder<D, T, O>,
): SelectQueryBuilder<D, T, O> {
  return isPostgres(db as unknown as Kysely<unknown>) ? query.forUpdate() : query;
}

/** As `lockRows`, but several transactions may hold the same rows; none can change them. */
export function lockRowsShared<D, T extends keyof D, O>(
  db: Kysely<D>,
  query: SelectQueryBuilder<D, T, O>,
): SelectQueryBuilder<D, T, O> {
  return isPostgres(db as unknown as Kysely<unknown>) ? query.forShare() : query;
}

/** As `lockRowsShared`, but the rows' own columns may be changed meanwhile; only who holds them by `lockRows` waits. */
export function keepRows<D, T extends keyof D, O>(
  db: Kysely<D>,
  query: SelectQueryBuilder<D, T, O>,
): SelectQueryBuilder<D, T, O> {
  return isPostgres(db as unknown as Kysely<unknown>) ? query.forKeyShare() : query;
}

/** Column types for migrations. Text compares by code unit on both: PostgreSQL would take the locale's order. */
export function columnTypes(db: Kysely<unknown>) {
  return isPostgres(db)
    ? { text: sql`text collate "C"`, bytes: sql`bytea` }
    : { text: sql`text`, bytes: sql`blob` };
}

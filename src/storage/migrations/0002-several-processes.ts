import { type Kysely, sql } from 'kysely';
import { columnTypes, isPostgres } from '../dialect.ts';

/** What several processes over one database need: the root keys in use, leases, and on PostgreSQL a log of changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { text, bytes } = columnTypes(db);
  await db.schema
    .createTable('root_keys')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('handover_by', text)
    .addColumn('handover', bytes)
    .execute();
  await sql`insert into root_keys (id)
    select root_key_id from sealed_items union select root_key_id from vault_keys`.execute(db);
  await db.schema
    .createTable('leases')
    .addColumn('name', text, (c) => c.primaryKey())
    .addColumn('holder', text, (c) => c.notNull())
    .addColumn('term', 'integer', (c) => c.notNull())
    .addColumn('beat', 'integer', (c) => c.notNull())
    .execute();
  if (isPostgres(db)) await changes(db);
}

/** Rows are read by transaction id, so that none that commits late is missed, and removed by age. */
async function changes(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('changes')
    .addColumn('id', 'bigserial', (c) => c.primaryKey())
    .addColumn('xid', sql`xid8`, (c) => c.notNull().defaultTo(sql`pg_current_xact_id()`))
    .addColumn('made', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addColumn('topic', 'text', (c) => c.notNull())
    .addColumn('key', 'text', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('changes_by_xid').on('changes').column('xid').execute();
  await db.schema.createIndex('changes_by_age').on('changes').column('made').execute();
}

import type { Kysely } from 'kysely';
import { columnTypes } from '../dialect.ts';

/** Answers to the challenges of ACME authorities, which may ask any node. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema
    .createTable('acme_challenges')
    .addColumn('token', text, (c) => c.primaryKey())
    .addColumn('key_authorization', text, (c) => c.notNull())
    .addColumn('expires', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('acme_challenges_by_expiry').on('acme_challenges').column('expires').execute();
}

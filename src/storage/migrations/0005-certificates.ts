import type { Kysely } from 'kysely';
import { columnTypes } from '../dialect.ts';

/** Answers to the challenges of ACME authorities, which may ask any node; and which vaults have orders to go on with. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema
    .createTable('acme_challenges')
    .addColumn('token', text, (c) => c.primaryKey())
    .addColumn('key_authorization', text, (c) => c.notNull())
    .addColumn('expires', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema.createIndex('acme_challenges_by_expiry').on('acme_challenges').column('expires').execute();
  await db.schema
    .createIndex('objects_due_by_kind')
    .on('objects')
    .columns(['kind', 'due_at', 'vault_id'])
    .where('due_at' as never, 'is not', null)
    .execute();
}

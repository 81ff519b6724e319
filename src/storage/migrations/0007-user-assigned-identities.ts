import type { Kysely } from 'kysely';
import { columnTypes } from '../dialect.ts';

/** What a managed identity is as a resource; whatever it is as a principal stays with the principals. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema
    .createTable('user_assigned_identities')
    .addColumn('object_id', text, (c) =>
      c.primaryKey().references('principals.object_id').onDelete('cascade'),
    )
    .addColumn('subscription_id', text, (c) => c.notNull())
    .addColumn('group_key', text, (c) => c.notNull())
    .addColumn('name_key', text, (c) => c.notNull())
    .addColumn('resource_group', text, (c) => c.notNull())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('location', text, (c) => c.notNull())
    .addColumn('tags', text, (c) => c.notNull())
    .addColumn('isolation_scope', text)
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addColumn('updated', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('user_assigned_identities_name', ['subscription_id', 'group_key', 'name_key'])
    .execute();
}

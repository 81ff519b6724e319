import type { Kysely } from 'kysely';
import { columnTypes } from '../dialect.ts';

/** What keys need of an object as a whole: its noun's own data (rotation policy), and when a job is to look at it again. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema.alterTable('objects').addColumn('detail', text).execute();
  await db.schema.alterTable('objects').addColumn('due_at', 'bigint').execute();
  await db.schema
    .createIndex('objects_by_due')
    .on('objects')
    .columns(['vault_id', 'kind', 'due_at'])
    .where('due_at' as never, 'is not', null)
    .execute();
}

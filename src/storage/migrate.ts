import type { Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import * as foundations from './migrations/0001-foundations.ts';
import type { Schema } from './schema.ts';

/** In order; a migration that has been released is never edited. */
const migrations: Record<string, Migration> = { '0001-foundations': foundations };

/** Brings the schema up to date; throws, with nothing half-done, for one that a newer version has migrated. */
export async function migrate(db: Kysely<Schema>): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    throw new Error('The database cannot be brought to the schema of this version of Strongroom.', {
      cause: error,
    });
  }
}

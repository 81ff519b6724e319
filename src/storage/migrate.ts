import type { Kysely } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import * as foundations from './migrations/0001-foundations.ts';
import * as severalProcesses from './migrations/0002-several-processes.ts';
import * as keys from './migrations/0003-keys.ts';
import * as management from './migrations/0004-management.ts';
import * as certificates from './migrations/0005-certificates.ts';
import * as tagsAndUris from './migrations/0006-tags-and-uris.ts';
import * as userAssignedIdentities from './migrations/0007-user-assigned-identities.ts';
import type { Schema } from './schema.ts';

/** In order; a migration that has been released is never edited. */
const migrations: Record<string, Migration> = {
  '0001-foundations': foundations,
  '0002-several-processes': severalProcesses,
  '0003-keys': keys,
  '0004-management': management,
  '0005-certificates': certificates,
  '0006-tags-and-uris': tagsAndUris,
  '0007-user-assigned-identities': userAssignedIdentities,
};

/** Every schema that this version can work with or bring up to date, oldest first. */
export const schemaNames: readonly string[] = Object.keys(migrations);
export const newestSchema = schemaNames.at(-1) ?? '';

/**
 * Brings the schema up to date, or to the schema `to`, which must not be older than what is there; throws, with nothing
 * half-done, for one that a newer version has migrated.
 */
export async function migrate(db: Kysely<Schema>, to?: string): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
  const { error } = await (to === undefined ? migrator.migrateToLatest() : migrator.migrateTo(to));
  if (error !== undefined) {
    throw new Error('The database cannot be brought to the schema of this version of Strongroom.', {
      cause: error,
    });
  }
}

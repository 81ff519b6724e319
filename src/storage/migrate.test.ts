/** Proves that what was there before a migration is there after it, in its new place. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { expect, test } from 'vitest';
import { hasPostgres, newPostgresDatabase } from '../../test/support/postgres.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { migrate } from './migrate.ts';
import { openPostgresAlone } from './postgres-alone.ts';
import type { Schema } from './schema.ts';
import { openSqliteConnection } from './sqlite.ts';

async function onSqlite(use: (db: Kysely<Schema>) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-migrate-'));
  const db = openSqliteConnection(join(folder, 'test.db'));
  try {
    await use(db);
  } finally {
    await db.destroy();
    await rm(folder, { recursive: true });
  }
}

async function onPostgres(use: (db: Kysely<Schema>) => Promise<void>): Promise<void> {
  const home = await newPostgresDatabase();
  const { db, close } = await openPostgresAlone({ clock: systemClock, log: silentLog }, { url: home.url });
  try {
    await use(db);
  } finally {
    await close();
    await home.drop();
  }
}

const databases = [
  ['sqlite', onSqlite] as const,
  ...(hasPostgres ? [['postgres', onPostgres] as const] : []),
];

test.each(databases)('on %s, identifier URIs go to the oldest application of a tenant', async (_name, on) => {
  await on(async (db) => {
    await migrate(db, '0005-certificates');
    const application = (id: string, created: number, uris: readonly string[], tenant = 't') => ({
      ...{ object_id: id, tenant_id: tenant, app_id: `app ${id}`, kind: 'application', display_name: id },
      ...{ resource_id: null, resource_key: null, created, user_name: null, user_key: null },
      ...{
        application_id: `registration ${id}`,
        enabled: 1,
        detail: JSON.stringify({ identifierUris: uris }),
      },
    });
    await db
      .insertInto('principals')
      .values([
        application('younger', 2, ['api://a', 'api://b']),
        application('elder', 1, ['api://a', 'api://a']),
        application('foreign', 3, ['api://a'], 'another'),
        { ...application('bare', 4, []), detail: '{}' },
      ])
      .execute();
    await db
      .insertInto('subscriptions')
      .values({ id: 's', tenant_id: 't', name: 'n' } as never)
      .execute();
    await migrate(db);
    const rows = await db
      .selectFrom('identifier_uris')
      .selectAll()
      .orderBy('tenant_id')
      .orderBy('uri')
      .execute();
    expect(rows.map(({ tenant_id, uri, object_id }) => [tenant_id, uri, object_id])).toEqual([
      ['another', 'api://a', 'foreign'],
      ['t', 'api://a', 'elder'],
      ['t', 'api://b', 'younger'],
    ]);
    const subscriptions = await db.selectFrom('subscriptions').selectAll().execute();
    expect(subscriptions).toEqual([{ id: 's', tenant_id: 't', name: 'n', tags: '{}', tag_names: '{}' }]);
  });
});

/**
 * Proves that a copy holds everything that is in a database at one moment, and that it can be put into an empty
 * database of either kind, where it is the same to the last byte, or not at all.
 */
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kysely } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasPostgres, newPostgresDatabase } from '../../test/support/postgres.ts';
import { systemClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import type { Database, Procedure } from './database.ts';
import { countRows, openPostgresSnapshot, openSqliteSnapshot, readPages, type Snapshot } from './dump.ts';
import { decodeDump, encodeDump } from './dump-format.ts';
import { columnsOf, copiedTables, keyOf, leftOutTables } from './dump-tables.ts';
import { newestSchema } from './migrate.ts';
import { openPostgres } from './postgres.ts';
import { openPostgresAlone } from './postgres-alone.ts';
import {
  postgresTarget,
  RestoreIncomplete,
  type RestoreTarget,
  sqliteTarget,
  TargetNotEmpty,
} from './restore.ts';
import type { Schema } from './schema.ts';
import { openSqlite } from './sqlite.ts';

const deps = { clock: systemClock, log: silentLog };

/** A database of one kind, opened in each of the ways that this test needs. */
interface Place {
  open(): Promise<Database>;
  snapshot(): Promise<Snapshot>;
  readonly target: RestoreTarget;
  remove(): Promise<void>;
}

async function sqlitePlace(): Promise<Place & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-dump-'));
  const path = join(folder, 'test.db');
  return {
    folder,
    open: () => openSqlite(path),
    snapshot: () => openSqliteSnapshot(path),
    target: sqliteTarget(path),
    remove: () => rm(folder, { recursive: true }),
  };
}

async function postgresPlace(): Promise<Place> {
  const { url, drop } = await newPostgresDatabase();
  return {
    open: () => openPostgres(deps, { url, poolSize: 4 }),
    snapshot: () => openPostgresSnapshot(deps, { url }),
    target: postgresTarget(deps, { url }),
    remove: drop,
  };
}

const kinds: Readonly<Record<string, () => Promise<Place>>> = {
  sqlite: sqlitePlace,
  ...(hasPostgres ? { postgres: postgresPlace } : {}),
};

const places: Place[] = [];
afterEach(async () => {
  for (const place of places.splice(0)) await place.remove();
});

async function newPlace(kind: string): Promise<Place> {
  const place = await (kinds[kind] ?? sqlitePlace)();
  places.push(place);
  return place;
}

async function using<T>(db: Database, use: (db: Database) => Promise<T>): Promise<T> {
  try {
    return await use(db);
  } finally {
    await db.close();
  }
}

const write = <R>(db: Database, run: Procedure<undefined, R>['run']): Promise<R> =>
  db.write({ name: 'test', run }, undefined);

const vault = (id: string): Schema['vaults'] => ({
  id,
  name_key: `key-${id}`,
  name: `Name ${id}`,
  tenant_id: 'tenant',
  subscription_id: 'subscription',
  resource_group: 'group',
  location: 'local',
  sku: 'standard',
  enable_rbac: 1,
  access_policies: '[]',
  retention_days: 90,
  purge_protection: 0,
  public_network_access: 'Enabled',
  network_rules: '{}',
  tags: '{"an umlaut":"ü","an emoji":"🔑","quotes":"\'\\""}',
  created: 1_700_000_000_123,
  updated: 9_007_199_254_740_991,
  detail: '{}',
  deleted_at: null,
  purge_at: null,
});

const version = (nameKey: string, id: string, value: Uint8Array): Schema['object_versions'] => ({
  vault_id: 'v1',
  kind: 'secrets',
  name_key: nameKey,
  version: id,
  enabled: id.endsWith('0') ? 0 : 1,
  not_before: null,
  expires: 4_102_444_800,
  created: 0,
  updated: -1,
  managed: 0,
  tags: null,
  detail: '{}',
  key_version: 2,
  data_key: Buffer.from([0, 255, 0]),
  value,
});

const object = (nameKey: string, current: string): Schema['objects'] => ({
  vault_id: 'v1',
  kind: 'secrets',
  name_key: nameKey,
  name: nameKey,
  current_version: current,
  deleted: 0,
  deleted_at: null,
  purge_at: null,
  detail: null,
  due_at: null,
});

/** Names whose order differs between a locale and their code units, and more of them than a page has. */
const names = ['A', 'B', 'a', 'b', 'ä', 'é', 'z', 'Z', '-', '_', '10', '9', '~', '𝒳', '\uffee']
  .concat(Array.from({ length: 420 }, (_, index) => `secret-${index}`))
  .sort();

/** Rows in every table, with what the two kinds of database could take differently. */
async function fillEverything(db: Database): Promise<void> {
  await write(db, async (tx) => {
    const handover = { handover_by: 'another', handover: Buffer.from([1, 2, 3]) };
    await tx
      .insertInto('root_keys')
      .values([
        { id: 'key', handover_by: null, handover: null },
        { id: 'new', ...handover },
      ])
      .execute();
    await tx
      .insertInto('sealed_items')
      .values({ name: 'item', root_key_id: 'key', sealed: Buffer.alloc(0) })
      .execute();
    await tx.insertInto('tenants').values({ id: 'tenant', name: '' }).execute();
    await tx
      .insertInto('subscriptions')
      .values({ id: 's', tenant_id: 'tenant', name: 'x'.repeat(100_000), tags: '{}', tag_names: '{}' })
      .execute();
    for (const key of ['B', 'a'])
      await tx
        .insertInto('resource_groups')
        .values({ subscription_id: 's', name_key: key, name: key, location: 'l', tags: '{}' })
        .execute();
    await tx
      .insertInto('vaults')
      .values([vault('v1'), vault('v2')])
      .execute();
    for (const [id, number] of [
      ['v1', 1],
      ['v1', 2],
      ['v2', 1],
    ] as const)
      await tx
        .insertInto('vault_keys')
        .values({ vault_id: id, version: number, root_key_id: 'key', sealed: Buffer.from([number]) })
        .execute();
    for (const name of names) {
      await tx
        .insertInto('objects')
        .values({ ...object(name, '0'), deleted: 1, deleted_at: 5, purge_at: 2 ** 40 })
        .execute();
      await tx
        .insertInto('object_versions')
        .values([version(name, '0', Buffer.from(name)), version(name, '1', Buffer.alloc(0))])
        .execute();
    }
    await tx
      .insertInto('object_versions')
      .values(version('big', '0', Buffer.alloc(3_000_000, 7)))
      .execute();
    const principal = {
      tenant_id: 'tenant',
      kind: 'application',
      display_name: 'n',
      resource_id: null,
      resource_key: null,
      created: 1,
      user_name: null,
      user_key: null,
      application_id: null,
      enabled: 1,
      detail: '{}',
    };
    await tx
      .insertInto('principals')
      .values([
        { object_id: 'p1', app_id: 'app', ...principal },
        { object_id: 'p2', app_id: null, ...principal },
      ])
      .execute();
    await tx
      .insertInto('principal_credentials')
      .values({
        key_id: 'c',
        object_id: 'p1',
        hash: '$',
        hint: 'abc',
        created: 1,
        expires: 2,
        kind: 'secret',
        detail: '{}',
      })
      .execute();
    await tx.insertInto('group_members').values({ group_id: 'p1', member_id: 'p2' }).execute();
    await tx
      .insertInto('identifier_uris')
      .values({ tenant_id: 'tenant', uri: 'api://a', object_id: 'p1' })
      .execute();
    await tx
      .insertInto('user_assigned_identities')
      .values({
        ...{ object_id: 'p2', subscription_id: 's', group_key: 'g', name_key: 'n' },
        ...{ resource_group: 'G', name: 'N', location: 'l', tags: '{}', isolation_scope: null },
        ...{ created: 1, updated: 2 },
      })
      .execute();
    await tx
      .insertInto('role_definitions')
      .values({ id: 'd', tenant_id: 't', name: 'N', name_key: 'n', detail: '{}', created: 1, updated: 2 })
      .execute();
    await tx
      .insertInto('locks')
      .values({ scope_key: '/s', name_key: 'l', scope: '/S', name: 'L', level: 'ReadOnly', detail: '{}' })
      .execute();
    const pool = { tenant_id: 't', subscription_id: 's', resource_group: 'g', location: 'l', detail: '{}' };
    await tx
      .insertInto('managed_hsms')
      .values({
        id: 'h',
        name_key: 'n',
        name: 'N',
        ...pool,
        created: 1,
        updated: 2,
        deleted_at: 3,
        purge_at: 4,
      })
      .execute();
    await tx
      .insertInto('acme_challenges')
      .values({ token: 't', key_authorization: 't.k', expires: 2 })
      .execute();
    await tx
      .insertInto('role_assignments')
      .values({
        id: 'r',
        tenant_id: 'tenant',
        principal_id: 'p1',
        role_id: 'x',
        scope: '/S',
        scope_key: '/s',
        created: 1,
        detail: '{}',
      })
      .execute();
    await tx.insertInto('audit_anchors').values({ log: 'local', seq: 3, mac: 'm' }).execute();
    await tx.insertInto('leases').values({ name: 'jobs', holder: 'me', term: 1, beat: 1 }).execute();
  });
}

async function rowsOf(db: Kysely<Schema>): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {};
  for (const table of copiedTables) {
    const rows = await db.selectFrom(table).selectAll().execute();
    const sortable = rows.map((row) => {
      const entries = Object.entries(row).map(([name, value]) => [
        name,
        value instanceof Uint8Array ? Buffer.from(value) : value,
      ]);
      const key = keyOf(table).map((name) => (row as Record<string, unknown>)[name]);
      return { key: JSON.stringify(key), row: Object.fromEntries(entries) as unknown };
    });
    found[table] = sortable.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ row }) => row);
  }
  return found;
}

const headOf = (snapshot: Snapshot) => ({ schema: snapshot.schema ?? '', rootKeyId: 'key', made: 0 });

async function dump(place: Place): Promise<Buffer> {
  const snapshot = await place.snapshot();
  try {
    const pieces: Uint8Array[] = [];
    for await (const piece of encodeDump(headOf(snapshot), readPages(snapshot.read))) pieces.push(piece);
    return Buffer.concat(pieces);
  } finally {
    await snapshot.close();
  }
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

const restore = (target: RestoreTarget, bytes: Buffer) =>
  target.fill({
    schema: newestSchema,
    read: (take) => decodeDump(inPieces(bytes), { head: () => undefined, page: take }),
  });

const pairs = Object.keys(kinds).flatMap((from) => Object.keys(kinds).map((to) => [from, to] as const));

test.each(pairs)('what is copied from %s into %s is the same in every table', async (from, to) => {
  const [source, target] = [await newPlace(from), await newPlace(to)];
  const expected = await using(await source.open(), async (db) => {
    await fillEverything(db);
    return rowsOf(db.read);
  });
  expect(Object.values(expected).every((rows) => rows.length > 0)).toBe(true);
  expect(expected.objects?.length).toBe(names.length);
  await restore(target.target, await dump(source));
  await using(await target.open(), async (db) => {
    expect(await rowsOf(db.read)).toEqual(expected);
    for (const table of leftOutTables)
      expect(await db.read.selectFrom(table).selectAll().execute()).toEqual([]);
    // Nothing was left behind that keeps others from writing, and what was restored can be changed.
    await write(db, async (tx) => void (await tx.deleteFrom('role_assignments').execute()));
  });
  expect(await target.target.inspect()).toEqual({ schema: newestSchema, isEmpty: false });
});

describe.each(Object.keys(kinds))('on %s', (kind) => {
  test('every table and column of the schema is copied or left out on purpose', async () => {
    const place = await newPlace(kind);
    await using(await place.open(), async (db) => {
      const found = await db.read.introspection.getTables();
      const expected = Object.fromEntries(copiedTables.map((table) => [table, [...columnsOf(table)].sort()]));
      const copied = found.filter(({ name }) => !isLeftOut(name));
      expect(
        Object.fromEntries(
          copied.map(({ name, columns }) => [name, columns.map((column) => column.name).sort()]),
        ),
      ).toEqual(expected);
    });
  });

  test('writers go on, and a copy that is taken meanwhile is of one moment', async () => {
    const [source, target] = [await newPlace(kind), await newPlace('sqlite')];
    await using(await source.open(), async (db) => {
      await fillEverything(db);
      const before = await countRows(db.read);
      const snapshot = await source.snapshot();
      const pages = readPages(snapshot.read);
      const pieces: Uint8Array[] = [];
      // A write between any two pages: a new secret in front and at the end, a new version, and one that goes.
      let round = 0;
      for await (const piece of encodeDump(headOf(snapshot), writingBetween())) pieces.push(piece);
      await snapshot.close();
      async function* writingBetween() {
        for await (const page of pages) {
          round += 1;
          const mark = `${round}`;
          await write(db, async (tx) => {
            for (const name of [`!${mark}`, `~~${mark}`]) {
              await tx.insertInto('objects').values(object(name, mark)).execute();
              await tx
                .insertInto('object_versions')
                .values(version(name, mark, Buffer.from(mark)))
                .execute();
            }
            await tx.updateTable('objects').set({ current_version: mark }).execute();
            await tx.deleteFrom('object_versions').where('name_key', '=', `secret-${mark}`).execute();
            await tx.deleteFrom('objects').where('name_key', '=', `secret-${mark}`).execute();
          });
          yield page;
        }
      }
      expect(round).toBeGreaterThan(copiedTables.length);
      await restore(target.target, Buffer.concat(pieces));
      await using(await target.open(), async (copy) => {
        expect(await countRows(copy.read)).toEqual(before);
        const heads = await copy.read.selectFrom('objects').select('current_version').distinct().execute();
        expect(heads).toEqual([{ current_version: '0' }]);
      });
      const there = await db.read.selectFrom('objects').select('current_version').distinct().execute();
      expect(there).not.toEqual([{ current_version: '0' }]);
    });
  });

  test('a database that holds anything is not filled', async () => {
    const place = await newPlace(kind);
    const bytes = await using(await place.open(), async (db) => {
      await write(
        db,
        async (tx) => void (await tx.insertInto('tenants').values({ id: 't', name: 'n' }).execute()),
      );
      return dump(place);
    });
    expect(await place.target.inspect()).toMatchObject({ isEmpty: false });
    await expect(restore(place.target, bytes)).rejects.toThrow(TargetNotEmpty);
  });

  test('a copy that turns out to be bad, or too small, leaves nothing', async () => {
    const [source, target] = [await newPlace('sqlite'), await newPlace(kind)];
    const bytes = await using(await source.open(), async (db) => {
      await fillEverything(db);
      return dump(source);
    });
    await expect(restore(target.target, bytes.subarray(0, -10))).rejects.toThrow('not whole');
    const less = target.target.fill({
      schema: newestSchema,
      read: async (take) => {
        const counts = await decodeDump(inPieces(bytes), { head: () => undefined, page: take });
        return { ...counts, objects: (counts.objects ?? 0) + 1 };
      },
    });
    await expect(less).rejects.toThrow(RestoreIncomplete);
    const lost = target.target.fill({
      schema: newestSchema,
      read: (take) =>
        decodeDump(inPieces(bytes), {
          head: () => undefined,
          page: async (page) => (page.table === 'vault_keys' ? undefined : take(page)),
        }),
    });
    await expect(lost).rejects.toThrow(/foreign key/i);
    expect(await target.target.inspect()).toMatchObject({ isEmpty: true });
    await restore(target.target, bytes);
    expect(await target.target.inspect()).toMatchObject({ isEmpty: false });
  });
});

function isLeftOut(name: string): boolean {
  // PostgreSQL's own log of what has changed is of use to those who were there.
  return [...leftOutTables, 'changes'].includes(name);
}

test('looking at a SQLite target makes no file, and one that could not be filled is gone', async () => {
  const place = await sqlitePlace();
  places.push(place);
  expect(await place.target.inspect()).toEqual({ schema: undefined, isEmpty: true });
  expect(readdirSync(place.folder)).toEqual([]);
  await expect(restore(place.target, Buffer.from('nonsense'))).rejects.toThrow();
  expect(readdirSync(place.folder)).toEqual([]);
  // A file that was there before stays.
  await (await place.open()).close();
  await expect(restore(place.target, Buffer.from('nonsense'))).rejects.toThrow();
  expect(existsSync(join(place.folder, 'test.db'))).toBe(true);
});

describe.skipIf(!hasPostgres)('while PostgreSQL is filled', () => {
  let url: string;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    ({ url, drop } = await newPostgresDatabase());
  });
  afterAll(() => drop());

  test('a node that starts cannot add anything of its own', async () => {
    const source = await newPlace('sqlite');
    const bytes = await using(await source.open(), async (db) => {
      await fillEverything(db);
      return dump(source);
    });
    let refused: unknown;
    await postgresTarget(deps, { url }).fill({
      schema: newestSchema,
      read: async (take) => {
        const { db, close } = await openPostgresAlone(deps, { url });
        await db
          .insertInto('tenants')
          .values({ id: 'mine', name: 'n' })
          .execute()
          .catch((error) => {
            refused = error;
          });
        await close();
        return decodeDump(inPieces(bytes), { head: () => undefined, page: take });
      },
    });
    expect(refused).toMatchObject({ code: '55P03' });
    const { db, close } = await openPostgresAlone(deps, { url });
    expect(await db.selectFrom('tenants').select('id').execute()).toEqual([{ id: 'tenant' }]);
    await close();
  });
});

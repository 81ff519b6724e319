/** Objects with versions, of every kind: the reader and the writer of `domain/versioned`. */
import type { Insertable, Selectable } from 'kysely';
import type { ObjectKind } from '../core/names.ts';
import {
  type HeadAndVersion,
  type ObjectChange,
  type ObjectHead,
  type ObjectKey,
  type ObjectReader,
  type ObjectVersion,
  type ObjectWriter,
  type SealedVersion,
  StaleVaultKey,
} from '../domain/versioned/object-store.ts';
import type { Database, Reader, Writer } from './database.ts';
import { prepare } from './prepared.ts';
import type { Schema } from './schema.ts';

type HeadRow = Selectable<Schema['objects']>;
type VersionRow = Selectable<Schema['object_versions']>;
type MetadataRow = Omit<VersionRow, 'data_key' | 'value' | 'key_version'>;
interface Key {
  vaultId: string;
  kind: string;
  nameKey: string;
}

const headColumns = [
  'objects.name',
  'objects.current_version',
  'objects.deleted_at',
  'objects.purge_at',
] as const;
const metadataColumns = [
  'object_versions.version',
  'object_versions.enabled',
  'object_versions.not_before',
  'object_versions.expires',
  'object_versions.created',
  'object_versions.updated',
  'object_versions.managed',
  'object_versions.tags',
  'object_versions.detail',
] as const;
const sealedColumns = [
  'object_versions.key_version',
  'object_versions.data_key',
  'object_versions.value',
] as const;

type Metadata = Pick<
  MetadataRow,
  'version' | 'enabled' | 'not_before' | 'expires' | 'created' | 'updated' | 'managed' | 'tags' | 'detail'
>;
type Sealed = Metadata & Pick<VersionRow, 'key_version' | 'data_key' | 'value'>;
type Head = Pick<HeadRow, 'name' | 'current_version' | 'deleted_at' | 'purge_at'>;

export function createObjectReader(db: Database): ObjectReader {
  const queries = prepareReads(db.read);
  return {
    async head(key) {
      const [row] = await queries.head(db.read, key);
      return row === undefined ? undefined : toHead(row);
    },
    async sealedVersion(key, version) {
      const [row] =
        version === undefined
          ? await queries.currentSealed(db.read, key)
          : await queries.versionSealed(db.read, { ...key, version: version.toLowerCase() });
      return row === undefined ? undefined : { head: toHead(row), version: toSealed(row) };
    },
    async listHeads(of, range) {
      const rows = await queries.heads(db.read, {
        ...of,
        deleted: of.deleted ? 1 : 0,
        after: range.after ?? '',
        limit: range.limit,
      });
      return rows.map((row): HeadAndVersion => ({ head: toHead(row), version: toVersion(row) }));
    },
    async listVersions(key, range) {
      const rows = await queries.versions(db.read, { ...key, after: range.after ?? '', limit: range.limit });
      return rows.map(toVersion);
    },
    async listSealedVersions(key, range) {
      const rows = await queries.sealedVersions(db.read, {
        ...key,
        after: range.after ?? '',
        limit: range.limit,
      });
      return rows.map(toSealed);
    },
    async dueForPurge(vaultId, now, limit) {
      const rows = await db.read
        .selectFrom('objects')
        .select(['kind', 'name_key'])
        .where('vault_id', '=', vaultId)
        .where('purge_at', '<=', now)
        .orderBy('purge_at')
        .limit(limit)
        .execute();
      return rows.map((row) => ({ vaultId, kind: row.kind as ObjectKind, nameKey: row.name_key }));
    },
  };
}

function prepareReads(db: Reader) {
  const headsAnd = (db: Reader, key: Key) =>
    db
      .selectFrom('objects')
      .innerJoin('object_versions', (join) =>
        join
          .onRef('object_versions.vault_id', '=', 'objects.vault_id')
          .onRef('object_versions.kind', '=', 'objects.kind')
          .onRef('object_versions.name_key', '=', 'objects.name_key'),
      )
      .where('objects.vault_id', '=', key.vaultId)
      .where('objects.kind', '=', key.kind);
  const versionsOf = (db: Reader, p: Key & { after: string; limit: number }) =>
    db
      .selectFrom('object_versions')
      .where('vault_id', '=', p.vaultId)
      .where('kind', '=', p.kind)
      .where('name_key', '=', p.nameKey)
      .where('version', '>', p.after)
      .orderBy('version')
      .limit(p.limit);
  return {
    head: prepare<Key, Head>(db, (db, p) =>
      db
        .selectFrom('objects')
        .select(headColumns)
        .where('vault_id', '=', p.vaultId)
        .where('kind', '=', p.kind)
        .where('name_key', '=', p.nameKey),
    ),
    currentSealed: prepare<Key, Head & Sealed>(db, (db, p) =>
      headsAnd(db, p)
        .where('objects.name_key', '=', p.nameKey)
        .whereRef('object_versions.version', '=', 'objects.current_version')
        .select([...headColumns, ...metadataColumns, ...sealedColumns]),
    ),
    versionSealed: prepare<Key & { version: string }, Head & Sealed>(db, (db, p) =>
      headsAnd(db, p)
        .where('objects.name_key', '=', p.nameKey)
        .where('object_versions.version', '=', p.version)
        .select([...headColumns, ...metadataColumns, ...sealedColumns]),
    ),
    heads: prepare<
      { vaultId: string; kind: string; deleted: number; after: string; limit: number },
      Head & Metadata
    >(db, (db, p) =>
      headsAnd(db, { ...p, nameKey: '', vaultId: p.vaultId, kind: p.kind })
        .whereRef('object_versions.version', '=', 'objects.current_version')
        .where('objects.deleted', '=', p.deleted)
        .where('objects.name_key', '>', p.after)
        .orderBy('objects.name_key')
        .limit(p.limit)
        .select([...headColumns, ...metadataColumns]),
    ),
    versions: prepare<Key & { after: string; limit: number }, Metadata>(db, (db, p) =>
      versionsOf(db, p).select(metadataColumns),
    ),
    sealedVersions: prepare<Key & { after: string; limit: number }, Sealed>(db, (db, p) =>
      versionsOf(db, p).select([...metadataColumns, ...sealedColumns]),
    ),
  };
}

export function createObjectWriter(db: Database): ObjectWriter {
  const queries = prepareWrites(db.read);
  return {
    change: (key, ask, decide) =>
      db.write(async (tx) => {
        const [head] = await queries.head(tx, key);
        const version = head === undefined ? undefined : (ask.version?.toLowerCase() ?? head.current_version);
        const [row] = version === undefined ? [] : await queries.version(tx, { ...key, version });
        const change = decide({
          head: head === undefined ? undefined : toHead(head),
          version: row === undefined ? undefined : toVersion(row),
        });
        await apply(queries, tx, { key, change });
        return change.result;
      }),
  };
}

type WriteQueries = ReturnType<typeof prepareWrites>;

function prepareWrites(db: Reader) {
  return {
    head: prepareReads(db).head,
    version: prepare<Key & { version: string }, Metadata>(db, (db, p) =>
      db
        .selectFrom('object_versions')
        .select(metadataColumns)
        .where('vault_id', '=', p.vaultId)
        .where('kind', '=', p.kind)
        .where('name_key', '=', p.nameKey)
        .where('version', '=', p.version),
    ),
    putHead: prepare<HeadRow, unknown>(db, (db, p) =>
      db
        .insertInto('objects')
        .values({
          vault_id: p.vault_id,
          kind: p.kind,
          name_key: p.name_key,
          name: p.name,
          current_version: p.current_version,
          deleted: p.deleted,
          deleted_at: p.deleted_at,
          purge_at: p.purge_at,
        })
        .onConflict((conflict) =>
          conflict.columns(['vault_id', 'kind', 'name_key']).doUpdateSet((row) => ({
            current_version: row.ref('excluded.current_version'),
            deleted: row.ref('excluded.deleted'),
            deleted_at: row.ref('excluded.deleted_at'),
            purge_at: row.ref('excluded.purge_at'),
          })),
        ),
    ),
    addVersion: prepare<VersionRow, unknown>(db, (db, p) =>
      db.insertInto('object_versions').values({
        vault_id: p.vault_id,
        kind: p.kind,
        name_key: p.name_key,
        version: p.version,
        enabled: p.enabled,
        not_before: p.not_before,
        expires: p.expires,
        created: p.created,
        updated: p.updated,
        managed: p.managed,
        tags: p.tags,
        detail: p.detail,
        key_version: p.key_version,
        data_key: p.data_key,
        value: p.value,
      }),
    ),
  };
}

async function apply<T>(
  queries: WriteQueries,
  tx: Writer,
  { key, change }: { key: ObjectKey; change: ObjectChange<T> },
): Promise<void> {
  for (const version of change.add ?? []) {
    try {
      await queries.addVersion(tx, toVersionRow(key, version));
    } catch (error) {
      throw isForeignKeyFailure(error) ? new StaleVaultKey() : error;
    }
  }
  if (change.update !== undefined) await updateVersion(tx, key, change.update);
  if (change.head === undefined) {
    for (const table of ['object_versions', 'objects'] as const) {
      await tx
        .deleteFrom(table)
        .where('vault_id', '=', key.vaultId)
        .where('kind', '=', key.kind)
        .where('name_key', '=', key.nameKey)
        .execute();
    }
  } else if (change.head !== 'same') {
    await queries.putHead(tx, toHeadRow(key, change.head));
  }
}

async function updateVersion(tx: Writer, key: ObjectKey, version: ObjectVersion): Promise<void> {
  await tx
    .updateTable('object_versions')
    .set(toMetadataColumns(version))
    .where('vault_id', '=', key.vaultId)
    .where('kind', '=', key.kind)
    .where('name_key', '=', key.nameKey)
    .where('version', '=', version.version)
    .execute();
}

function toHead(row: Head): ObjectHead {
  return {
    name: row.name,
    currentVersion: row.current_version,
    deletedAt: row.deleted_at ?? undefined,
    purgeAt: row.purge_at ?? undefined,
  };
}

function toVersion(row: Metadata): ObjectVersion {
  return {
    version: row.version,
    enabled: row.enabled === 1,
    notBefore: row.not_before ?? undefined,
    expires: row.expires ?? undefined,
    created: row.created,
    updated: row.updated,
    managed: row.managed === 1,
    tags: row.tags === null ? undefined : (JSON.parse(row.tags) as Record<string, string>),
    detail: row.detail ?? undefined,
  };
}

function toSealed(row: Sealed): SealedVersion {
  return {
    ...toVersion(row),
    envelope: { keyVersion: row.key_version, dataKey: row.data_key, value: row.value },
  };
}

function toHeadRow(key: ObjectKey, head: ObjectHead): Insertable<Schema['objects']> & HeadRow {
  return {
    vault_id: key.vaultId,
    kind: key.kind,
    name_key: key.nameKey,
    name: head.name,
    current_version: head.currentVersion,
    deleted: head.deletedAt === undefined ? 0 : 1,
    deleted_at: head.deletedAt ?? null,
    purge_at: head.purgeAt ?? null,
  };
}

function toMetadataColumns(version: ObjectVersion) {
  return {
    enabled: version.enabled ? 1 : 0,
    not_before: version.notBefore ?? null,
    expires: version.expires ?? null,
    created: version.created,
    updated: version.updated,
    managed: version.managed ? 1 : 0,
    tags: version.tags === undefined ? null : JSON.stringify(version.tags),
    detail: version.detail ?? null,
  };
}

function toVersionRow(key: ObjectKey, version: SealedVersion): VersionRow {
  return {
    vault_id: key.vaultId,
    kind: key.kind,
    name_key: key.nameKey,
    version: version.version,
    ...toMetadataColumns(version),
    key_version: version.envelope.keyVersion,
    data_key: version.envelope.dataKey,
    value: version.envelope.value,
  };
}

/** The only foreign key of a version is its vault key. SQLite: extended code 787; PostgreSQL: SQLSTATE 23503. */
function isForeignKeyFailure(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  return errcode === 787 || code === '23503';
}

/** The prepared queries on objects and their versions. */
import { type Compilable, type JoinBuilder, sql } from 'kysely';
import type { Reader } from './database.ts';
import { lockRows } from './dialect.ts';
import {
  type Head,
  type HeadRow,
  headColumns,
  type Metadata,
  metadataColumns,
  type Sealed,
  sealedColumns,
  type VersionRow,
} from './object-rows.ts';
import { prepare } from './prepared.ts';
import type { Schema } from './schema.ts';

interface Key {
  readonly vaultId: string;
  readonly kind: string;
  readonly nameKey: string;
}

interface VersionKey extends Key {
  readonly version: string;
}

interface VersionPage extends Key {
  readonly after: string;
  readonly limit: number;
}

interface HeadPage {
  readonly vaultId: string;
  readonly kind: string;
  readonly deleted: number;
  readonly after: string;
  readonly limit: number;
}

interface DuePage {
  readonly vaultId: string;
  readonly kind: string;
  readonly now: number;
  readonly afterDue: number;
  readonly afterName: string;
  readonly limit: number;
}

/** The columns of a row that an outer join has not found. */
type Absent<T> = { readonly [K in keyof T]: null };

function headOf(db: Reader, p: Key) {
  return db
    .selectFrom('objects')
    .select(headColumns)
    .where('vault_id', '=', p.vaultId)
    .where('kind', '=', p.kind)
    .where('name_key', '=', p.nameKey);
}

function versionOf(db: Reader, p: VersionKey) {
  return db
    .selectFrom('object_versions')
    .where('vault_id', '=', p.vaultId)
    .where('kind', '=', p.kind)
    .where('name_key', '=', p.nameKey)
    .where('version', '=', p.version);
}

function versionsOf(db: Reader, p: VersionPage) {
  return db
    .selectFrom('object_versions')
    .where('vault_id', '=', p.vaultId)
    .where('kind', '=', p.kind)
    .where('name_key', '=', p.nameKey)
    .where('version', '>', p.after)
    .orderBy('version')
    .limit(p.limit);
}

/** A version belongs to the object of its vault, kind and name. */
function ofObject(join: JoinBuilder<Schema, 'objects' | 'object_versions'>) {
  return join
    .onRef('object_versions.vault_id', '=', 'objects.vault_id')
    .onRef('object_versions.kind', '=', 'objects.kind')
    .onRef('object_versions.name_key', '=', 'objects.name_key');
}

function headAnd(db: Reader, p: Key) {
  return db
    .selectFrom('objects')
    .innerJoin('object_versions', ofObject)
    .where('objects.vault_id', '=', p.vaultId)
    .where('objects.kind', '=', p.kind)
    .where('objects.name_key', '=', p.nameKey)
    .select([...headColumns, ...metadataColumns, ...sealedColumns]);
}

function headPage(db: Reader, p: HeadPage) {
  return db
    .selectFrom('objects')
    .selectAll()
    .where('vault_id', '=', p.vaultId)
    .where('kind', '=', p.kind)
    .where('deleted', '=', p.deleted)
    .where('name_key', '>', p.after)
    .orderBy('name_key')
    .limit(p.limit);
}

/** The head, and beside it the version that is asked for or the current one; its columns are null if it is missing. */
function stateOf(db: Reader, p: Key & { version: string | null }) {
  const asked = sql<string>`coalesce(${p.version}, objects.current_version)`;
  return db
    .selectFrom('objects')
    .leftJoin('object_versions', (join) => ofObject(join).on('object_versions.version', '=', asked))
    .where('objects.vault_id', '=', p.vaultId)
    .where('objects.kind', '=', p.kind)
    .where('objects.name_key', '=', p.nameKey)
    .select([...headColumns, ...metadataColumns]);
}

export const objectQueries = {
  head: prepare<Key, Head>(headOf),
  state: prepare<Key & { version: string | null }, Head & (Metadata | Absent<Metadata>)>(
    (db, p) => stateOf(db, p) as Compilable<Head & (Metadata | Absent<Metadata>)>,
  ),
  lockedHead: prepare<Key, Head>((db, p) => lockRows(db, headOf(db, p))),
  version: prepare<VersionKey, Metadata>((db, p) => versionOf(db, p).select(metadataColumns)),
  currentSealed: prepare<Key, Head & Sealed>((db, p) =>
    headAnd(db, p).whereRef('object_versions.version', '=', 'objects.current_version'),
  ),
  versionSealed: prepare<VersionKey, Head & Sealed>((db, p) =>
    headAnd(db, p).where('object_versions.version', '=', p.version),
  ),
  // The page first, its versions then: PostgreSQL's planner would else take the join of both tables for a small one.
  heads: prepare<HeadPage, Head & Metadata>((db, p) =>
    db
      .selectFrom(headPage(db, p).as('objects'))
      .innerJoin('object_versions', (join) =>
        ofObject(join).onRef('object_versions.version', '=', 'objects.current_version'),
      )
      .orderBy('objects.name_key')
      .select([...headColumns, ...metadataColumns]),
  ),
  due: prepare<DuePage, Head & Metadata>((db, p) =>
    db
      .selectFrom('objects')
      .innerJoin('object_versions', (join) =>
        ofObject(join).onRef('object_versions.version', '=', 'objects.current_version'),
      )
      .where('objects.vault_id', '=', p.vaultId)
      .where('objects.kind', '=', p.kind)
      .where('objects.due_at', '<=', p.now)
      .where('objects.due_at', '>=', p.afterDue)
      .where((where) =>
        where.or([where('objects.due_at', '>', p.afterDue), where('objects.name_key', '>', p.afterName)]),
      )
      .where('objects.deleted', '=', 0)
      .orderBy('objects.due_at')
      .orderBy('objects.name_key')
      .limit(p.limit)
      .select([...headColumns, ...metadataColumns]),
  ),
  versions: prepare<VersionPage, Metadata>((db, p) => versionsOf(db, p).select(metadataColumns)),
  sealedVersions: prepare<VersionPage, Sealed>((db, p) =>
    versionsOf(db, p).select([...metadataColumns, ...sealedColumns]),
  ),
  addHead: prepare<HeadRow, unknown>((db, p) => db.insertInto('objects').values(headValues(p))),
  replaceHead: prepare<HeadRow, unknown>((db, p) =>
    db
      .updateTable('objects')
      .set({
        current_version: p.current_version,
        deleted: p.deleted,
        deleted_at: p.deleted_at,
        purge_at: p.purge_at,
        detail: p.detail,
        due_at: p.due_at,
      })
      .where('vault_id', '=', p.vault_id)
      .where('kind', '=', p.kind)
      .where('name_key', '=', p.name_key),
  ),
  addVersion: prepare<VersionRow, unknown>((db, p) =>
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

function headValues(p: HeadRow): HeadRow {
  return {
    vault_id: p.vault_id,
    kind: p.kind,
    name_key: p.name_key,
    name: p.name,
    current_version: p.current_version,
    deleted: p.deleted,
    deleted_at: p.deleted_at,
    purge_at: p.purge_at,
    detail: p.detail,
    due_at: p.due_at,
  };
}

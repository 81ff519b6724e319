/** Rows of objects and versions, and what the domain calls them. */
import type { Insertable, Selectable } from 'kysely';
import type {
  ObjectHead,
  ObjectKey,
  ObjectVersion,
  SealedVersion,
} from '../domain/versioned/object-store.ts';
import type { Schema } from './schema.ts';

export type HeadRow = Selectable<Schema['objects']>;
export type VersionRow = Selectable<Schema['object_versions']>;

export const headColumns = [
  'objects.name',
  'objects.current_version',
  'objects.deleted_at',
  'objects.purge_at',
  'objects.detail as head_detail',
  'objects.due_at',
] as const;
export const metadataColumns = [
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
export const sealedColumns = [
  'object_versions.key_version',
  'object_versions.data_key',
  'object_versions.value',
] as const;

export type Head = Pick<HeadRow, 'name' | 'current_version' | 'deleted_at' | 'purge_at' | 'due_at'> & {
  /** Named apart from the version's column of that name, which is read beside it. */
  readonly head_detail: string | null;
};
export type Metadata = Pick<
  VersionRow,
  'version' | 'enabled' | 'not_before' | 'expires' | 'created' | 'updated' | 'managed' | 'tags' | 'detail'
>;
export type Sealed = Metadata & Pick<VersionRow, 'key_version' | 'data_key' | 'value'>;

export function toHead(row: Head): ObjectHead {
  return {
    name: row.name,
    currentVersion: row.current_version,
    deletedAt: row.deleted_at ?? undefined,
    purgeAt: row.purge_at ?? undefined,
    detail: row.head_detail ?? undefined,
    dueAt: row.due_at ?? undefined,
  };
}

export function toVersion(row: Metadata): ObjectVersion {
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

export function toSealed(row: Sealed): SealedVersion {
  return {
    ...toVersion(row),
    envelope: { keyVersion: row.key_version, dataKey: row.data_key, value: row.value },
  };
}

export function toHeadRow(key: ObjectKey, head: ObjectHead): Insertable<Schema['objects']> & HeadRow {
  return {
    vault_id: key.vaultId,
    kind: key.kind,
    name_key: key.nameKey,
    name: head.name,
    current_version: head.currentVersion,
    deleted: head.deletedAt === undefined ? 0 : 1,
    deleted_at: head.deletedAt ?? null,
    purge_at: head.purgeAt ?? null,
    detail: head.detail ?? null,
    due_at: head.dueAt ?? null,
  };
}

export function toMetadataColumns(version: ObjectVersion) {
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

export function toVersionRow(key: ObjectKey, version: SealedVersion): VersionRow {
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

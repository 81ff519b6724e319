/**
 * What a copy of the whole server holds: every table but those whose rows mean something to the running processes
 * only. A table or column that is in the schema and not here does not compile.
 */
import type { Schema } from './schema.ts';

/**
 * Not copied: the audit log's marks stay with its files, leases with the processes that hold them, and sign-ins that are
 * under way with the server that they are at.
 */
export const leftOutTables = [
  'audit_anchors',
  'leases',
  'login_grants',
  'sign_in_failures',
] as const satisfies readonly (keyof Schema)[];

export type CopiedTable = Exclude<keyof Schema, (typeof leftOutTables)[number]>;

/** A value of either database, in the form that both give and take. */
export type Value = null | number | string | Uint8Array;

type ValueKind<V> =
  NonNullable<V> extends string ? 'text' : NonNullable<V> extends number ? 'integer' : 'bytes';

interface TableShape<T extends CopiedTable> {
  /** The primary key, in the order of its index. */
  readonly key: readonly (keyof Schema[T] & string)[];
  readonly columns: { readonly [C in keyof Schema[T]]: ValueKind<Schema[T][C]> };
}

const tables: { readonly [T in CopiedTable]: TableShape<T> } = {
  root_keys: { key: ['id'], columns: { id: 'text', handover_by: 'text', handover: 'bytes' } },
  sealed_items: { key: ['name'], columns: { name: 'text', root_key_id: 'text', sealed: 'bytes' } },
  tenants: { key: ['id'], columns: { id: 'text', name: 'text' } },
  subscriptions: {
    key: ['id'],
    columns: { id: 'text', tenant_id: 'text', name: 'text', tags: 'text', tag_names: 'text' },
  },
  resource_groups: {
    key: ['subscription_id', 'name_key'],
    columns: { subscription_id: 'text', name_key: 'text', name: 'text', location: 'text', tags: 'text' },
  },
  vaults: {
    key: ['id'],
    columns: {
      id: 'text',
      name_key: 'text',
      name: 'text',
      tenant_id: 'text',
      subscription_id: 'text',
      resource_group: 'text',
      location: 'text',
      sku: 'text',
      enable_rbac: 'integer',
      access_policies: 'text',
      retention_days: 'integer',
      purge_protection: 'integer',
      public_network_access: 'text',
      network_rules: 'text',
      tags: 'text',
      created: 'integer',
      updated: 'integer',
      detail: 'text',
      deleted_at: 'integer',
      purge_at: 'integer',
    },
  },
  vault_keys: {
    key: ['vault_id', 'version'],
    columns: { vault_id: 'text', version: 'integer', root_key_id: 'text', sealed: 'bytes' },
  },
  objects: {
    key: ['vault_id', 'kind', 'name_key'],
    columns: {
      vault_id: 'text',
      kind: 'text',
      name_key: 'text',
      name: 'text',
      current_version: 'text',
      deleted: 'integer',
      deleted_at: 'integer',
      purge_at: 'integer',
      detail: 'text',
      due_at: 'integer',
    },
  },
  object_versions: {
    key: ['vault_id', 'kind', 'name_key', 'version'],
    columns: {
      vault_id: 'text',
      kind: 'text',
      name_key: 'text',
      version: 'text',
      enabled: 'integer',
      not_before: 'integer',
      expires: 'integer',
      created: 'integer',
      updated: 'integer',
      managed: 'integer',
      tags: 'text',
      detail: 'text',
      key_version: 'integer',
      data_key: 'bytes',
      value: 'bytes',
    },
  },
  principals: {
    key: ['object_id'],
    columns: {
      object_id: 'text',
      tenant_id: 'text',
      app_id: 'text',
      kind: 'text',
      display_name: 'text',
      resource_id: 'text',
      resource_key: 'text',
      created: 'integer',
      user_name: 'text',
      user_key: 'text',
      application_id: 'text',
      enabled: 'integer',
      detail: 'text',
    },
  },
  principal_credentials: {
    key: ['key_id'],
    columns: {
      key_id: 'text',
      object_id: 'text',
      hash: 'text',
      hint: 'text',
      created: 'integer',
      expires: 'integer',
      kind: 'text',
      detail: 'text',
    },
  },
  group_members: {
    key: ['group_id', 'member_id'],
    columns: { group_id: 'text', member_id: 'text' },
  },
  user_assigned_identities: {
    key: ['object_id'],
    columns: {
      object_id: 'text',
      subscription_id: 'text',
      group_key: 'text',
      name_key: 'text',
      resource_group: 'text',
      name: 'text',
      location: 'text',
      tags: 'text',
      isolation_scope: 'text',
      created: 'integer',
      updated: 'integer',
    },
  },
  identifier_uris: {
    key: ['tenant_id', 'uri'],
    columns: { tenant_id: 'text', uri: 'text', object_id: 'text' },
  },
  role_definitions: {
    key: ['id'],
    columns: {
      id: 'text',
      tenant_id: 'text',
      name: 'text',
      name_key: 'text',
      detail: 'text',
      created: 'integer',
      updated: 'integer',
    },
  },
  role_assignments: {
    key: ['id'],
    columns: {
      id: 'text',
      tenant_id: 'text',
      principal_id: 'text',
      role_id: 'text',
      scope: 'text',
      scope_key: 'text',
      created: 'integer',
      detail: 'text',
    },
  },
  locks: {
    key: ['scope_key', 'name_key'],
    columns: {
      scope_key: 'text',
      name_key: 'text',
      scope: 'text',
      name: 'text',
      level: 'text',
      detail: 'text',
    },
  },
  managed_hsms: {
    key: ['id'],
    columns: {
      id: 'text',
      name_key: 'text',
      name: 'text',
      tenant_id: 'text',
      subscription_id: 'text',
      resource_group: 'text',
      location: 'text',
      detail: 'text',
      created: 'integer',
      updated: 'integer',
      deleted_at: 'integer',
      purge_at: 'integer',
    },
  },
  // A server that is put back from a copy goes on with orders whose answers an authority has yet to look for.
  acme_challenges: {
    key: ['token'],
    columns: { token: 'text', key_authorization: 'text', expires: 'integer' },
  },
};

/** The tables in the order in which their rows can be added: what a foreign key refers to comes first. */
export const copiedTables = Object.keys(tables) as readonly CopiedTable[];

export function isCopiedTable(name: string): name is CopiedTable {
  return Object.hasOwn(tables, name);
}

export function keyOf(table: CopiedTable): readonly string[] {
  return tables[table].key;
}

export function columnsOf(table: CopiedTable): readonly string[] {
  return Object.keys(tables[table].columns);
}

/** Whether the value, read from this column, is of its kind: a driver's other form of it would not come back equal. */
export function isOfKind(table: CopiedTable, column: string, value: unknown): value is Value {
  if (value === null) return true;
  const columns: Readonly<Record<string, string>> = tables[table].columns;
  switch (columns[column]) {
    case 'text':
      return typeof value === 'string';
    case 'integer':
      return Number.isSafeInteger(value);
    case 'bytes':
      return value instanceof Uint8Array;
    default:
      return false;
  }
}

/** Rows of one table, each with its values in the order of `columns`. */
export interface DumpPage {
  readonly table: CopiedTable;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Value[])[];
}

/** How many rows there are of each table. */
export type RowCounts = Readonly<Partial<Record<CopiedTable, number>>>;

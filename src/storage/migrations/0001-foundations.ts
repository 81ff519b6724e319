import type { Kysely } from 'kysely';
import { columnTypes } from '../dialect.ts';

/** The first schema: sealed items, directory, vaults, objects with versions, principals, roles, audit anchor. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { text, bytes } = columnTypes(db);
  await db.schema
    .createTable('sealed_items')
    .addColumn('name', text, (c) => c.primaryKey())
    .addColumn('root_key_id', text, (c) => c.notNull())
    .addColumn('sealed', bytes, (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('tenants')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('name', text, (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('subscriptions')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('tenant_id', text, (c) => c.notNull())
    .addColumn('name', text, (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('resource_groups')
    .addColumn('subscription_id', text, (c) => c.notNull())
    .addColumn('name_key', text, (c) => c.notNull())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('location', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('resource_groups_pk', ['subscription_id', 'name_key'])
    .execute();
  await vaults(db);
  await objects(db);
  await principals(db);
  await db.schema
    .createTable('audit_anchors')
    .addColumn('log', text, (c) => c.primaryKey())
    .addColumn('seq', 'bigint', (c) => c.notNull())
    .addColumn('mac', text, (c) => c.notNull())
    .execute();
}

async function vaults(db: Kysely<unknown>): Promise<void> {
  const { text, bytes } = columnTypes(db);
  await db.schema
    .createTable('vaults')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('name_key', text, (c) => c.notNull().unique())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('tenant_id', text, (c) => c.notNull())
    .addColumn('subscription_id', text, (c) => c.notNull())
    .addColumn('resource_group', text, (c) => c.notNull())
    .addColumn('location', text, (c) => c.notNull())
    .addColumn('sku', text, (c) => c.notNull())
    .addColumn('enable_rbac', 'integer', (c) => c.notNull())
    .addColumn('access_policies', text, (c) => c.notNull())
    .addColumn('retention_days', 'integer', (c) => c.notNull())
    .addColumn('purge_protection', 'integer', (c) => c.notNull())
    .addColumn('public_network_access', text, (c) => c.notNull())
    .addColumn('network_rules', text, (c) => c.notNull())
    .addColumn('tags', text, (c) => c.notNull())
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addColumn('updated', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createTable('vault_keys')
    .addColumn('vault_id', text, (c) => c.notNull().references('vaults.id'))
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('root_key_id', text, (c) => c.notNull())
    .addColumn('sealed', bytes, (c) => c.notNull())
    .addPrimaryKeyConstraint('vault_keys_pk', ['vault_id', 'version'])
    .execute();
}

async function objects(db: Kysely<unknown>): Promise<void> {
  const { text, bytes } = columnTypes(db);
  await db.schema
    .createTable('objects')
    .addColumn('vault_id', text, (c) => c.notNull())
    .addColumn('kind', text, (c) => c.notNull())
    .addColumn('name_key', text, (c) => c.notNull())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('current_version', text, (c) => c.notNull())
    .addColumn('deleted', 'integer', (c) => c.notNull())
    .addColumn('deleted_at', 'bigint')
    .addColumn('purge_at', 'bigint')
    .addPrimaryKeyConstraint('objects_pk', ['vault_id', 'kind', 'name_key'])
    .execute();
  // Lists show the live or the deleted only; with the state in the index a page costs the same however few match.
  await db.schema
    .createIndex('objects_by_state')
    .on('objects')
    .columns(['vault_id', 'kind', 'deleted', 'name_key'])
    .execute();
  await db.schema
    .createIndex('objects_by_purge')
    .on('objects')
    .columns(['vault_id', 'purge_at'])
    .where('purge_at', 'is not', null)
    .execute();
  // The foreign key on the vault key keeps a rotation from removing a key that a late write still needs.
  await db.schema
    .createTable('object_versions')
    .addColumn('vault_id', text, (c) => c.notNull())
    .addColumn('kind', text, (c) => c.notNull())
    .addColumn('name_key', text, (c) => c.notNull())
    .addColumn('version', text, (c) => c.notNull())
    .addColumn('enabled', 'integer', (c) => c.notNull())
    .addColumn('not_before', 'bigint')
    .addColumn('expires', 'bigint')
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addColumn('updated', 'bigint', (c) => c.notNull())
    .addColumn('managed', 'integer', (c) => c.notNull())
    .addColumn('tags', text)
    .addColumn('detail', text)
    .addColumn('key_version', 'integer', (c) => c.notNull())
    .addColumn('data_key', bytes, (c) => c.notNull())
    .addColumn('value', bytes, (c) => c.notNull())
    .addPrimaryKeyConstraint('object_versions_pk', ['vault_id', 'kind', 'name_key', 'version'])
    .addForeignKeyConstraint('object_versions_key', ['vault_id', 'key_version'], 'vault_keys', [
      'vault_id',
      'version',
    ])
    .execute();
  await db.schema
    .createIndex('object_versions_by_key')
    .on('object_versions')
    .columns(['vault_id', 'key_version'])
    .execute();
}

async function principals(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema
    .createTable('principals')
    .addColumn('object_id', text, (c) => c.primaryKey())
    .addColumn('tenant_id', text, (c) => c.notNull())
    .addColumn('app_id', text, (c) => c.unique())
    .addColumn('kind', text, (c) => c.notNull())
    .addColumn('display_name', text, (c) => c.notNull())
    .addColumn('resource_id', text)
    .addColumn('resource_key', text)
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('principals_resource', ['tenant_id', 'resource_key'])
    .execute();
  await db.schema
    .createTable('principal_credentials')
    .addColumn('key_id', text, (c) => c.primaryKey())
    .addColumn('object_id', text, (c) => c.notNull().references('principals.object_id').onDelete('cascade'))
    .addColumn('hash', text, (c) => c.notNull())
    .addColumn('hint', text, (c) => c.notNull())
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addColumn('expires', 'bigint', (c) => c.notNull())
    .execute();
  await db.schema
    .createIndex('principal_credentials_by_owner')
    .on('principal_credentials')
    .column('object_id')
    .execute();
  await db.schema
    .createTable('role_assignments')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('tenant_id', text, (c) => c.notNull())
    .addColumn('principal_id', text, (c) => c.notNull())
    .addColumn('role_id', text, (c) => c.notNull())
    .addColumn('scope', text, (c) => c.notNull())
    .addColumn('scope_key', text, (c) => c.notNull())
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('role_assignments_once', ['principal_id', 'role_id', 'scope_key'])
    .execute();
}

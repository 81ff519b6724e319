import type { AccessPolicy } from '../authorization/access-policies.ts';
import type { NetworkRules } from '../authorization/network-rules.ts';
import type { Change } from '../core/changes.ts';
import { foldCase } from '../core/names.ts';
import type { VaultKeyRow } from '../domain/sealing/sealing-store.ts';
import type { VaultRecord } from '../domain/vaults/vault.ts';
import type {
  DirectoryStore,
  ResourceGroup,
  Subscription,
  Tenant,
  VaultStore,
} from '../domain/vaults/vault-store.ts';
import type { Database, Procedure } from './database.ts';
import { lockRows } from './dialect.ts';
import type { Schema } from './schema.ts';
import { insertVaultKey } from './sealing.ts';

/** Vault records. */
export function createVaultStore(db: Database): VaultStore {
  return {
    async byName(nameKey) {
      const row = await db.read
        .selectFrom('vaults')
        .selectAll()
        .where('name_key', '=', nameKey)
        .executeTakeFirst();
      return row === undefined ? undefined : toRecord(row);
    },
    async list() {
      return (await db.read.selectFrom('vaults').selectAll().orderBy('name_key').execute()).map(toRecord);
    },
    add: (record, key) => db.write(addVault, { record, key }),
    replace: (record, was) => db.write(replaceVault, { record, was }),
  };
}

export const addVault: Procedure<{ record: VaultRecord; key: VaultKeyRow }, boolean> = {
  name: 'vaults.add',
  async run(tx, { record, key }) {
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('vaults')
      .values(toRow(record))
      .onConflict((conflict) => conflict.column('name_key').doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n) return false;
    await insertVaultKey(tx, key);
    return true;
  },
  changes: ({ record }) => [vaultChange(record)],
};

export const replaceVault: Procedure<{ record: VaultRecord; was: VaultRecord }, boolean> = {
  name: 'vaults.replace',
  async run(tx, { record, was }) {
    const query = tx.selectFrom('vaults').selectAll().where('id', '=', record.id);
    const row = await lockRows(tx, query).executeTakeFirst();
    if (row === undefined || JSON.stringify(toRecord(row)) !== JSON.stringify(was)) return false;
    await tx.updateTable('vaults').set(toRow(record)).where('id', '=', record.id).execute();
    return true;
  },
  changes: ({ record }) => [vaultChange(record)],
};

function vaultChange(record: VaultRecord): Change {
  return { topic: 'vault', key: foldCase(record.name) };
}

/** Tenants, subscriptions and resource groups. */
export function createDirectoryStore(db: Database): DirectoryStore {
  return {
    tenants: () => db.read.selectFrom('tenants').selectAll().orderBy('id').execute(),
    addTenant: (tenant) => db.write(addTenant, tenant),
    async subscriptions() {
      const rows = await db.read.selectFrom('subscriptions').selectAll().orderBy('id').execute();
      return rows.map((row) => ({ id: row.id, tenantId: row.tenant_id, name: row.name }));
    },
    addSubscription: (subscription) => db.write(addSubscription, subscription),
    async resourceGroup(subscriptionId, name) {
      const row = await db.read
        .selectFrom('resource_groups')
        .selectAll()
        .where('subscription_id', '=', subscriptionId)
        .where('name_key', '=', foldCase(name))
        .executeTakeFirst();
      return row === undefined ? undefined : { subscriptionId, name: row.name, location: row.location };
    },
    addResourceGroup: (group) => db.write(addResourceGroup, group),
  };
}

export const addTenant: Procedure<Tenant, void> = {
  name: 'tenants.add',
  async run(tx, { id, name }) {
    await tx
      .insertInto('tenants')
      .values({ id, name })
      .onConflict((c) => c.column('id').doNothing())
      .execute();
  },
};

export const addSubscription: Procedure<Subscription, void> = {
  name: 'subscriptions.add',
  async run(tx, { id, tenantId, name }) {
    await tx
      .insertInto('subscriptions')
      .values({ id, tenant_id: tenantId, name })
      .onConflict((c) => c.column('id').doNothing())
      .execute();
  },
};

export const addResourceGroup: Procedure<ResourceGroup, void> = {
  name: 'resourceGroups.add',
  async run(tx, { subscriptionId, name, location }) {
    await tx
      .insertInto('resource_groups')
      .values({ subscription_id: subscriptionId, name_key: foldCase(name), name, location })
      .onConflict((c) => c.columns(['subscription_id', 'name_key']).doNothing())
      .execute();
  },
};

type Row = Schema['vaults'];

function toRow(record: VaultRecord): Row {
  return {
    id: record.id,
    name_key: foldCase(record.name),
    name: record.name,
    tenant_id: record.tenantId,
    subscription_id: record.subscriptionId,
    resource_group: record.resourceGroup,
    location: record.location,
    sku: record.sku,
    enable_rbac: record.enableRbacAuthorization ? 1 : 0,
    access_policies: JSON.stringify(record.accessPolicies),
    retention_days: record.softDeleteRetentionInDays,
    purge_protection: record.enablePurgeProtection ? 1 : 0,
    public_network_access: record.publicNetworkAccess,
    network_rules: JSON.stringify(record.networkRules),
    tags: JSON.stringify(record.tags),
    created: record.created,
    updated: record.updated,
  };
}

function toRecord(row: Row): VaultRecord {
  return {
    id: row.id,
    name: row.name,
    tenantId: row.tenant_id,
    subscriptionId: row.subscription_id,
    resourceGroup: row.resource_group,
    location: row.location,
    sku: row.sku === 'premium' ? 'premium' : 'standard',
    enableRbacAuthorization: row.enable_rbac === 1,
    accessPolicies: JSON.parse(row.access_policies) as AccessPolicy[],
    softDeleteRetentionInDays: row.retention_days,
    enablePurgeProtection: row.purge_protection === 1,
    publicNetworkAccess: row.public_network_access === 'Disabled' ? 'Disabled' : 'Enabled',
    networkRules: JSON.parse(row.network_rules) as NetworkRules,
    tags: JSON.parse(row.tags) as Record<string, string>,
    created: row.created,
    updated: row.updated,
  };
}

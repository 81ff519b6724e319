import type { AccessPolicy } from '../authorization/access-policies.ts';
import type { NetworkRules } from '../authorization/network-rules.ts';
import { type Change, everyKey } from '../core/changes.ts';
import { foldCase } from '../core/names.ts';
import type { VaultKeyRow } from '../domain/sealing/sealing-store.ts';
import type { VaultRecord } from '../domain/vaults/vault.ts';
import type { VaultRecovery, VaultStore } from '../domain/vaults/vault-store.ts';
import type { Database, Procedure, Writer } from './database.ts';
import { lockRows } from './dialect.ts';
import { groupRow, holdResourceGroup } from './resource-groups.ts';
import type { Schema } from './schema.ts';
import { atOrBelow, vaultScope } from './scopes.ts';
import { insertVaultKey } from './sealing.ts';
import { beginVaultPurge, purgeSomeOfVault } from './vault-purge.ts';

/** Vault records. What is written under a fence is refused once another process leads. */
export function createVaultStore(db: Pick<Database, 'read' | 'write'>): VaultStore {
  const vaults = () => db.read.selectFrom('vaults').selectAll();
  return {
    async byName(nameKey) {
      const row = await vaults().where('name_key', '=', nameKey).executeTakeFirst();
      return row === undefined ? undefined : toRecord(row);
    },
    async list(subscriptionId) {
      const all = vaults().orderBy('name_key');
      const some = subscriptionId === undefined ? all : all.where('subscription_id', '=', subscriptionId);
      return (await some.execute()).map(toRecord);
    },
    async due(now) {
      const rows = await vaults().where('purge_at', '<=', now).orderBy('purge_at').orderBy('id').execute();
      return rows.map(toRecord);
    },
    add: (record, key) => db.write(addVault, { record, key }),
    replace: (record, was) => db.write(replaceVault, { record, was }),
    remove: (vault, now) => db.write(deleteVault, { vault, now }),
    recover: (recovery) => db.write(recoverVault, recovery),
    beginPurge: (purge) => db.write(beginVaultPurge, purge),
    purgeSome: (id) => db.write(purgeSomeOfVault, id),
  };
}

type Added = 'added' | 'taken' | 'groupAbsent';

export const addVault: Procedure<{ record: VaultRecord; key: VaultKeyRow }, Added> = {
  name: 'vaults.add',
  async run(tx, { record, key }) {
    if (!(await holdResourceGroup(tx, groupOf(record)))) return 'groupAbsent';
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('vaults')
      .values(toRow(record))
      .onConflict((conflict) => conflict.column('name_key').doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n) return 'taken';
    await insertVaultKey(tx, key);
    return 'added';
  },
  changes: ({ record }) => [vaultChange(record)],
  targets: ({ record }) => [{ operation: 'write', scope: vaultScope(record) }],
};

export const replaceVault: Procedure<{ record: VaultRecord; was: VaultRecord }, boolean> = {
  name: 'vaults.replace',
  async run(tx, { record, was }) {
    const row = await lockedVault(tx, record.id);
    if (row === undefined || JSON.stringify(toRecord(row)) !== JSON.stringify(toRecord(toRow(was))))
      return false;
    await tx.updateTable('vaults').set(toRow(record)).where('id', '=', record.id).execute();
    return true;
  },
  changes: ({ record }) => [vaultChange(record)],
  targets: ({ record }) => [{ operation: 'write', scope: vaultScope(record) }],
};

/** The group's row first, as whatever gives a role on something in the group does. */
export const deleteVault: Procedure<{ vault: VaultRecord; now: number }, boolean> = {
  name: 'vaults.delete',
  async run(tx, { vault, now }) {
    await lockRows(tx, groupRow(tx, groupOf(vault))).execute();
    const row = await lockedVault(tx, vault.id);
    if (row === undefined || row.deleted_at !== null) return false;
    await softDelete(tx, row, now);
    await tx
      .deleteFrom('role_assignments')
      .where(atOrBelow(foldCase(vaultScope(toRecord(row)))))
      .execute();
    return true;
  },
  targets: ({ vault }) => [{ operation: 'delete', scope: vaultScope(vault) }],
  changes: ({ vault }) => [vaultChange(vault), { topic: 'roleAssignments', key: everyKey }],
};

const dayMs = 86_400_000;

/** The record stays, with its name, until the vault is purged or recovered. The caller holds the row. */
export async function softDelete(tx: Writer, row: Schema['vaults'], now: number): Promise<void> {
  await tx
    .updateTable('vaults')
    .set({ deleted_at: now, purge_at: now + row.retention_days * dayMs })
    .where('id', '=', row.id)
    .execute();
}

export const recoverVault: Procedure<VaultRecovery, 'recovered' | 'absent' | 'groupAbsent'> = {
  name: 'vaults.recover',
  async run(tx, { was, now, updatedBy }) {
    if (!(await holdResourceGroup(tx, groupOf(was)))) return 'groupAbsent';
    const row = await lockedVault(tx, was.id);
    if (row === undefined || row.purge_at === null || row.purge_at <= now) return 'absent';
    const record = { ...toRecord(row), deleted: undefined, updated: now, updatedBy };
    await tx.updateTable('vaults').set(toRow(record)).where('id', '=', row.id).execute();
    return 'recovered';
  },
  changes: ({ was }) => [vaultChange(was)],
  targets: ({ was }) => [{ operation: 'write', scope: vaultScope(was) }],
};

async function lockedVault(tx: Writer, id: string): Promise<Row | undefined> {
  return lockRows(tx, tx.selectFrom('vaults').selectAll().where('id', '=', id)).executeTakeFirst();
}

function groupOf({ subscriptionId, resourceGroup }: VaultRecord) {
  return { subscriptionId, name: resourceGroup };
}

function vaultChange(record: VaultRecord): Change {
  return { topic: 'vault', key: foldCase(record.name) };
}

type Row = Schema['vaults'];

/** What the detail column holds; of a vault from before there was one, nothing. */
type Detail = Partial<Pick<VaultRecord, 'services' | 'connections' | 'createdBy' | 'updatedBy'>>;

function toRow(record: VaultRecord): Row {
  const { services, connections, createdBy, updatedBy } = record;
  const detail: Detail = { services, connections, createdBy, updatedBy };
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
    detail: JSON.stringify(detail),
    deleted_at: record.deleted?.at ?? null,
    purge_at: record.deleted?.purgeAt ?? null,
  };
}

const noServices = { deployment: false, diskEncryption: false, templateDeployment: false };

function toRecord(row: Row): VaultRecord {
  const detail = JSON.parse(row.detail) as Detail;
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
    services: detail.services ?? noServices,
    connections: detail.connections ?? [],
    tags: JSON.parse(row.tags) as Record<string, string>,
    created: row.created,
    updated: row.updated,
    createdBy: detail.createdBy,
    updatedBy: detail.updatedBy,
    deleted: row.deleted_at === null ? undefined : { at: row.deleted_at, purgeAt: row.purge_at ?? 0 },
  };
}

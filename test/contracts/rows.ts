/** Rows that the contracts of the stores are written with. */
import type { VaultKeyRow } from '../../src/domain/sealing/sealing-store.ts';
import type { VaultRecord } from '../../src/domain/vaults/vault.ts';
import type { ObjectKey, SealedVersion } from '../../src/domain/versioned/object-store.ts';

export function guid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

export function vaultRecord(n: number, more: Partial<VaultRecord> = {}): VaultRecord {
  return {
    id: guid(n),
    name: `Vault-${n}`,
    tenantId: guid(900),
    subscriptionId: guid(901),
    resourceGroup: 'Group.1',
    location: 'local',
    sku: 'standard',
    enableRbacAuthorization: true,
    accessPolicies: [],
    softDeleteRetentionInDays: 90,
    enablePurgeProtection: false,
    publicNetworkAccess: 'Enabled',
    networkRules: { defaultAction: 'Allow', bypass: 'AzureServices', ipRules: [] },
    services: { deployment: false, diskEncryption: false, templateDeployment: false },
    connections: [],
    createdBy: undefined,
    updatedBy: undefined,
    deleted: undefined,
    tags: {},
    created: 1_700_000_000_000,
    updated: 1_700_000_000_001,
    ...more,
  };
}

export function vaultKeyRow(vaultId: string, version = 1, rootKeyId = guid(800)): VaultKeyRow {
  return { vaultId, version, rootKeyId, sealed: Buffer.from(`key ${vaultId} ${version}`) };
}

export function objectKey(vault: number, nameKey: string, kind: ObjectKey['kind'] = 'secrets'): ObjectKey {
  return { vaultId: guid(vault), kind, nameKey };
}

/** 32 hexadecimal characters that order as the numbers do. */
export function versionId(n: number): string {
  return n.toString(16).padStart(32, '0');
}

export function sealedVersion(n: number, more: Partial<SealedVersion> = {}): SealedVersion {
  return {
    version: versionId(n),
    enabled: true,
    notBefore: undefined,
    expires: undefined,
    created: 1000 + n,
    updated: 2000 + n,
    managed: false,
    tags: undefined,
    detail: undefined,
    envelope: { keyVersion: 1, dataKey: Buffer.from(`data key ${n}`), value: Buffer.from(`value ${n}`) },
    ...more,
  };
}

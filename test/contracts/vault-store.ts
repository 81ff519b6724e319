/** What every store of vault records and of the directory must do; run on each database. */
import { describe, expect, it } from 'vitest';
import { StaleRootKey, type VaultKeyStore } from '../../src/domain/sealing/sealing-store.ts';
import type { VaultRecord } from '../../src/domain/vaults/vault.ts';
import type { DirectoryStore, VaultStore } from '../../src/domain/vaults/vault-store.ts';
import { guid, vaultKeyRow, vaultRecord } from './rows.ts';

export interface VaultStores {
  readonly vaults: VaultStore;
  readonly vaultKeys: VaultKeyStore;
  readonly directory: DirectoryStore;
}

/** Defines the suite; `makeStores` gives stores of one database each time, empty but for the root key of `rows.ts`. */
export function vaultStoreContract(makeStores: () => Promise<VaultStores>): void {
  describe('vault store', () => {
    const full = vaultRecord(2, {
      sku: 'premium',
      enableRbacAuthorization: false,
      accessPolicies: [
        { tenantId: guid(900), objectId: guid(7), applicationId: guid(8), permissions: { secrets: ['get'] } },
        { tenantId: guid(900), objectId: guid(9), permissions: { secrets: ['all'], storage: [] } },
      ],
      softDeleteRetentionInDays: 7,
      enablePurgeProtection: true,
      publicNetworkAccess: 'Disabled',
      networkRules: { defaultAction: 'Deny', bypass: 'None', ipRules: ['10.0.0.0/8', '192.0.2.1'] },
      tags: { Zoë: '"x"' },
    });

    it('gives back every field, by lower-cased name and in a list by name', async () => {
      const { vaults } = await makeStores();
      expect(await vaults.list()).toEqual([]);
      for (const record of [full, vaultRecord(1)]) {
        expect(await vaults.add(record, vaultKeyRow(record.id))).toBe(true);
      }
      expect(await vaults.byName('vault-2')).toEqual(full);
      expect(await vaults.byName('vault-1')).toEqual(vaultRecord(1));
      expect(await vaults.byName('vault-3')).toBeUndefined();
      expect(await vaults.list()).toEqual([vaultRecord(1), full]);
    });

    it('adds the record and its first key together, or neither when the name is taken in any case', async () => {
      const { vaults, vaultKeys } = await makeStores();
      await vaults.add(vaultRecord(1), vaultKeyRow(guid(1)));
      const taken = vaultRecord(2, { name: 'VAULT-1' });
      expect(await vaults.add(taken, vaultKeyRow(guid(2)))).toBe(false);
      expect(await vaultKeys.vaultKeys(guid(1))).toHaveLength(1);
      expect(await vaultKeys.vaultKeys(guid(2))).toEqual([]);
      expect(await vaults.list()).toEqual([vaultRecord(1)]);
    });

    it('lets one of many who want a name have it', async () => {
      const { vaults } = await makeStores();
      const added = await Promise.all(
        [1, 2, 3].map((n) => vaults.add(vaultRecord(n, { name: 'same' }), vaultKeyRow(guid(n)))),
      );
      expect(added.filter(Boolean)).toHaveLength(1);
    });

    it('replaces one record and no other', async () => {
      const { vaults } = await makeStores();
      for (const n of [1, 2]) await vaults.add(vaultRecord(n), vaultKeyRow(guid(n)));
      expect(await vaults.replace(full, vaultRecord(2))).toBe(true);
      expect(await vaults.byName('vault-2')).toEqual(full);
      expect(await vaults.byName('vault-1')).toEqual(vaultRecord(1));
    });

    it('refuses to replace a record that is not as it was read, or not there', async () => {
      const { vaults } = await makeStores();
      await vaults.add(vaultRecord(2), vaultKeyRow(guid(2)));
      const changes: Partial<VaultRecord>[] = [
        { updated: 1 },
        { tags: { a: 'b' } },
        { accessPolicies: full.accessPolicies },
        { networkRules: full.networkRules },
      ];
      for (const change of changes) {
        expect(await vaults.replace(full, vaultRecord(2, change))).toBe(false);
      }
      expect(await vaults.replace(vaultRecord(3), vaultRecord(3))).toBe(false);
      expect(await vaults.list()).toEqual([vaultRecord(2)]);
      expect(await vaults.replace(full, vaultRecord(2))).toBe(true);
      expect(await vaults.replace(vaultRecord(2), full)).toBe(true);
      expect(await vaults.list()).toEqual([vaultRecord(2)]);
    });

    it('lets one of several who read the same record replace it', async () => {
      const { vaults } = await makeStores();
      await vaults.add(vaultRecord(1), vaultKeyRow(guid(1)));
      const replaced = await Promise.all(
        [1, 2, 3].map((updated) => vaults.replace(vaultRecord(1, { updated }), vaultRecord(1))),
      );
      expect(replaced.filter(Boolean)).toHaveLength(1);
      expect((await vaults.byName('vault-1'))?.updated).toBe(replaced.indexOf(true) + 1);
    });

    it('adds no vault under a root key that is not in use', async () => {
      const { vaults } = await makeStores();
      const stale = vaults.add(vaultRecord(1), vaultKeyRow(guid(1), 1, guid(801)));
      await expect(stale).rejects.toThrow(StaleRootKey);
      expect(await vaults.list()).toEqual([]);
      expect(await vaults.add(vaultRecord(1), vaultKeyRow(guid(1)))).toBe(true);
    });
  });

  describe('directory store', () => {
    it('adds tenants, subscriptions and resource groups once, and keeps the first', async () => {
      const { directory } = await makeStores();
      const tenant = { id: guid(1), name: 'first' };
      const subscription = { id: guid(2), tenantId: guid(1), name: 'first' };
      const group = { subscriptionId: guid(2), name: 'Group', location: 'local' };
      for (const name of ['first', 'second']) {
        await directory.addTenant({ ...tenant, name });
        await directory.addSubscription({ ...subscription, name });
      }
      await directory.addResourceGroup(group);
      await directory.addResourceGroup({ ...group, name: 'GROUP', location: 'elsewhere' });
      expect(await directory.tenants()).toEqual([tenant]);
      expect(await directory.subscriptions()).toEqual([subscription]);
      expect(await directory.resourceGroup(guid(2), 'gROUP')).toEqual(group);
      expect(await directory.resourceGroup(guid(3), 'Group')).toBeUndefined();
      expect(await directory.resourceGroup(guid(2), 'other')).toBeUndefined();
    });
  });
}

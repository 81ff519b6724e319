/** What every store of vault records must do; run on each database. */
import { describe, expect, it } from 'vitest';
import type { RoleAssignmentStore } from '../../src/authorization/role-assignments.ts';
import type { DirectoryStore } from '../../src/domain/resources/directory-store.ts';
import type { LockStore } from '../../src/domain/resources/lock-store.ts';
import { StaleRootKey, type VaultKeyStore } from '../../src/domain/sealing/sealing-store.ts';
import type { VaultRecord } from '../../src/domain/vaults/vault.ts';
import type { VaultStore } from '../../src/domain/vaults/vault-store.ts';
import {
  type ObjectReader,
  type ObjectWriter,
  StaleVaultKey,
} from '../../src/domain/versioned/object-store.ts';
import { guid, objectKey, sealedVersion, vaultKeyRow, vaultRecord, versionId } from './rows.ts';

export interface VaultStores {
  readonly vaults: VaultStore;
  readonly vaultKeys: VaultKeyStore;
  readonly reader: ObjectReader;
  readonly writer: ObjectWriter;
  readonly directory: DirectoryStore;
  readonly locks: LockStore;
  readonly assignments: RoleAssignmentStore;
}

const now = 1_800_000_000_000;
const day = 86_400_000;
const group = { subscriptionId: guid(901), name: 'Group.1' };
const groupScope = `/subscriptions/${group.subscriptionId}/resourceGroups/GROUP.1`;
const scopeOf = (n: number) => `${groupScope}/providers/microsoft.keyvault/VAULTS/vault-${n}`;

function assignmentAt(n: number, scope: string) {
  const ids = { id: guid(n), tenantId: guid(900), principalId: guid(n + 100), roleId: guid(n + 200) };
  return { ...ids, scope, created: 1 };
}

/** Puts an object with some versions into a vault. */
async function addObject({ writer }: VaultStores, vault: number, of: { name: string; versions: number }) {
  const { name, versions } = of;
  const key = objectKey(vault, name.toUpperCase());
  const head = {
    name,
    currentVersion: versionId(1),
    ...{ deletedAt: undefined, purgeAt: undefined, detail: undefined, dueAt: undefined },
  };
  const add = Array.from({ length: versions }, (_, n) => sealedVersion(n + 1));
  await writer.change(key, { version: undefined }, () => ({ head, add, result: undefined }));
}

/**
 * Defines the suites; `makeStores` gives stores of one database each time, empty but for the root key and the resource
 * group of `rows.ts`.
 */
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
      networkRules: {
        defaultAction: 'Deny',
        bypass: 'None',
        ipRules: ['10.0.0.0/8', '192.0.2.1'],
        virtualNetworkRules: [{ id: '/subscriptions/s/subnets/one', ignoreMissingVnetServiceEndpoint: true }],
      },
      services: { deployment: true, diskEncryption: false, templateDeployment: true },
      connections: [
        {
          name: 'c',
          status: 'Approved',
          description: 'why',
          privateEndpointId: '/subscriptions/s/endpoint',
          etag: 'e',
        },
      ],
      createdBy: { by: 'someone@example.com', type: 'User' },
      updatedBy: { by: guid(8), type: 'Application' },
      tags: { Zoë: '"x"' },
    });

    it('gives back every field, by lower-cased name and in a list by name', async () => {
      const { vaults } = await makeStores();
      expect(await vaults.list()).toEqual([]);
      for (const record of [full, vaultRecord(1)]) {
        expect(await vaults.add(record, vaultKeyRow(record.id))).toBe('added');
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
      expect(await vaults.add(taken, vaultKeyRow(guid(2)))).toBe('taken');
      expect(await vaultKeys.vaultKeys(guid(1))).toHaveLength(1);
      expect(await vaultKeys.vaultKeys(guid(2))).toEqual([]);
      expect(await vaults.list()).toEqual([vaultRecord(1)]);
    });

    it('lets one of many who want a name have it', async () => {
      const { vaults } = await makeStores();
      const added = await Promise.all(
        [1, 2, 3].map((n) => vaults.add(vaultRecord(n, { name: 'same' }), vaultKeyRow(guid(n)))),
      );
      expect(added.toSorted()).toEqual(['added', 'taken', 'taken']);
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
        { services: full.services },
        { connections: full.connections },
        { updatedBy: full.updatedBy },
        { deleted: { at: 1, purgeAt: 2 } },
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
      expect(await vaults.add(vaultRecord(1), vaultKeyRow(guid(1)))).toBe('added');
    });
  });
  deletionContract(makeStores);
  purgeContract(makeStores);
}

function deletionContract(makeStores: () => Promise<VaultStores>): void {
  describe('deletion of vaults', () => {
    const made = async (more: Partial<VaultRecord> = {}) => {
      const stores = await makeStores();
      for (const n of [1, 10]) await stores.vaults.add(vaultRecord(n, more), vaultKeyRow(guid(n)));
      return stores;
    };

    it('adds no vault to a group that is not there', async () => {
      const { vaults, vaultKeys } = await made();
      const elsewhere = vaultRecord(2, { resourceGroup: 'other' });
      expect(await vaults.add(elsewhere, vaultKeyRow(guid(2)))).toBe('groupAbsent');
      expect(await vaults.byName('vault-2')).toBeUndefined();
      expect(await vaultKeys.vaultKeys(guid(2))).toEqual([]);
    });

    it('keeps the record and the name, and takes the role assignments on the vault and below it', async () => {
      const stores = await made();
      const { vaults, assignments } = stores;
      const kept = [
        assignmentAt(11, groupScope),
        assignmentAt(12, scopeOf(10)),
        assignmentAt(13, `${scopeOf(10)}/secrets/s`),
      ];
      const gone = [assignmentAt(14, scopeOf(1)), assignmentAt(15, `${scopeOf(1)}/secrets/s`)];
      for (const assignment of [...kept, ...gone]) await assignments.add(assignment);
      expect(await vaults.remove(vaultRecord(1), now)).toBe(true);
      const deleted = { at: now, purgeAt: now + 90 * day };
      expect(await vaults.byName('vault-1')).toEqual(vaultRecord(1, { deleted }));
      expect((await assignments.list()).map(({ id }) => id)).toEqual(kept.map(({ id }) => id));
      expect(await vaults.add(vaultRecord(3, { name: 'VAULT-1' }), vaultKeyRow(guid(3)))).toBe('taken');
      expect(await vaults.remove(vaultRecord(1), now + 1)).toBe(false);
      expect(await vaults.byName('vault-1')).toEqual(vaultRecord(1, { deleted }));
      expect(await vaults.remove(vaultRecord(5), now)).toBe(false);
    });

    it('is undone by recovery, once, and only before the purge date', async () => {
      const { vaults } = await made({ softDeleteRetentionInDays: 7 });
      await vaults.remove(vaultRecord(1), now);
      const was = await vaults.byName('vault-1');
      if (was === undefined) throw new Error('the record is gone');
      const updatedBy = { by: 'x', type: 'User' } as const;
      const at = (time: number) => vaults.recover({ was, now: time, updatedBy });
      expect(await at(now + 7 * day)).toBe('absent');
      expect(await at(now + 7 * day - 1)).toBe('recovered');
      expect(await at(now + 7 * day - 1)).toBe('absent');
      expect(await vaults.byName('vault-1')).toEqual(
        vaultRecord(1, { softDeleteRetentionInDays: 7, updated: now + 7 * day - 1, updatedBy }),
      );
    });

    it('is not undone while the group is gone', async () => {
      const { vaults, directory } = await made();
      await directory.removeResourceGroup({ ...group, now });
      const was = await vaults.byName('vault-1');
      expect(was?.deleted).toEqual({ at: now, purgeAt: now + 90 * day });
      if (was === undefined) return;
      const recover = () => vaults.recover({ was, now, updatedBy: undefined });
      expect(await recover()).toBe('groupAbsent');
      await directory.addResourceGroup({ ...group, location: 'local', tags: {} });
      expect(await recover()).toBe('recovered');
    });
  });
}

function purgeContract(makeStores: () => Promise<VaultStores>): void {
  describe('purge of vaults', () => {
    const made = async (more: Partial<VaultRecord> = {}) => {
      const stores = await makeStores();
      for (const n of [1, 2]) await stores.vaults.add(vaultRecord(n, more), vaultKeyRow(guid(n)));
      await stores.vaults.remove(vaultRecord(1, more), now);
      return stores;
    };

    it('begins for a deleted vault only, and then cannot be stopped', async () => {
      const { vaults } = await made();
      const begin = (n: number) => vaults.beginPurge({ id: guid(n), now, atWish: true });
      expect([await begin(2), await begin(3)]).toEqual(['absent', 'absent']);
      await expect(vaults.purgeSome(guid(2))).rejects.toThrow();
      await expect(vaults.purgeSome(guid(1))).rejects.toThrow();
      expect(await begin(1)).toBe('begun');
      const was = await vaults.byName('vault-1');
      expect(was?.deleted).toEqual({ at: now, purgeAt: 0 });
      if (was === undefined) return;
      expect(await vaults.recover({ was, now, updatedBy: undefined })).toBe('absent');
      expect(await begin(1)).toBe('begun');
    });

    it('waits for the purge date of a protected vault, and begins then by itself', async () => {
      const { vaults } = await made({ enablePurgeProtection: true });
      const begin = (time: number, atWish: boolean) => vaults.beginPurge({ id: guid(1), now: time, atWish });
      expect(await begin(now, true)).toBe('protected');
      expect(await begin(now + 90 * day - 1, false)).toBe('early');
      expect((await vaults.due(now + 90 * day - 1)).map(({ id }) => id)).toEqual([]);
      expect((await vaults.due(now + 90 * day)).map(({ id }) => id)).toEqual([guid(1)]);
      expect(await begin(now + 90 * day, false)).toBe('begun');
    });

    it('leaves nothing of the vault, in batches, and nothing of another is touched', async () => {
      const stores = await made();
      const { vaults, vaultKeys, reader } = stores;
      await addObject(stores, 1, { name: 'many', versions: 700 });
      await addObject(stores, 1, { name: 'one', versions: 1 });
      await addObject(stores, 2, { name: 'one', versions: 2 });
      await vaults.beginPurge({ id: guid(1), now, atWish: true });
      expect(await vaults.purgeSome(guid(1))).toBe(false);
      // What a purge that was cut short has left is found again, before everything else.
      expect((await vaults.due(0)).map(({ id }) => id)).toEqual([guid(1)]);
      let steps = 1;
      while (!(await vaults.purgeSome(guid(1)))) steps += 1;
      expect(steps).toBeGreaterThanOrEqual(3);
      expect(await vaults.purgeSome(guid(1))).toBe(true);
      expect(await vaults.byName('vault-1')).toBeUndefined();
      expect(await vaultKeys.vaultKeys(guid(1))).toEqual([]);
      const range = { after: undefined, limit: 10 };
      for (const nameKey of ['MANY', 'ONE']) {
        expect(await reader.head(objectKey(1, nameKey))).toBeUndefined();
        expect(await reader.listVersions(objectKey(1, nameKey), range)).toEqual([]);
      }
      expect(await reader.listVersions(objectKey(2, 'ONE'), range)).toHaveLength(2);
      expect(await vaults.add(vaultRecord(4, { name: 'Vault-1' }), vaultKeyRow(guid(4)))).toBe('added');
    });

    it('leaves no version that is written meanwhile by who has not heard of the deletion', async () => {
      const stores = await made();
      const { vaults, reader } = stores;
      await vaults.beginPurge({ id: guid(1), now, atWish: true });
      const writes = ['a', 'b', 'c', 'd'].map((name) => addObject(stores, 1, { name, versions: 1 }));
      const purge = async () => {
        while (!(await vaults.purgeSome(guid(1))));
      };
      const [, ...written] = await Promise.allSettled([purge(), ...writes]);
      const late = await addObject(stores, 1, { name: 'e', versions: 1 }).catch((error: unknown) => error);
      expect(late).toBeInstanceOf(StaleVaultKey);
      for (const outcome of written)
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StaleVaultKey);
      const of = { vaultId: guid(1), kind: 'secrets', deleted: false } as const;
      expect(await reader.listHeads(of, { after: undefined, limit: 10 })).toEqual([]);
      expect(await vaults.byName('vault-1')).toBeUndefined();
    });
  });
}

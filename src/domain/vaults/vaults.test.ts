/**
 * Proves that a vault in memory is never older than the last news of it, and is bypassed while there is none; and that
 * changes of one record by several processes add up.
 */
import { expect, test } from 'vitest';
import { guid, vaultRecord } from '../../../test/contracts/rows.ts';
import { manualClock } from '../../../test/support/identity.ts';
import { createChangeHub } from '../../core/changes.ts';
import { foldCase } from '../../core/names.ts';
import { systemRandom } from '../../crypto/random.ts';
import type { DirectoryStore } from '../resources/directory-store.ts';
import type { VaultKeys } from '../sealing/vault-keys.ts';
import type { VaultRecord } from './vault.ts';
import type { VaultStore } from './vault-store.ts';
import { createVaults } from './vaults.ts';

/** Vaults over records in memory whose reads can be held back after they have seen the rows. */
function vaultsOf(...records: VaultRecord[]) {
  const rows = new Map(records.map((record) => [foldCase(record.name), record]));
  const news = { fresh: true };
  const hub = createChangeHub(() => news.fresh);
  let reads = 0;
  let held: Promise<void> = Promise.resolve();
  const beforeReplace: (() => void)[] = [];
  const store: VaultStore = {
    async byName(nameKey) {
      reads += 1;
      const found = rows.get(nameKey);
      await held;
      return found;
    },
    list: async () => [...rows.values()],
    add: async () => 'taken',
    remove: async () => false,
    recover: async () => 'absent',
    beginPurge: async () => 'absent',
    purgeSome: async () => true,
    due: async () => [],
    async replace(record, was) {
      beforeReplace.shift()?.();
      const nameKey = foldCase(record.name);
      if (JSON.stringify(rows.get(nameKey)) !== JSON.stringify(was)) return false;
      rows.set(nameKey, record);
      hub.publish([{ topic: 'vault', key: nameKey }]);
      return true;
    },
  };
  const unused = () => Promise.reject(new Error('not in this test'));
  const directory = { subscriptions: unused, resourceGroup: unused } as unknown as DirectoryStore;
  const vaultKeys = { create: unused } as unknown as VaultKeys;
  const deps = { store, directory, feed: hub, vaultKeys, clock: manualClock(), random: systemRandom };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return resolve;
  };
  const set = (record: VaultRecord) => rows.set(foldCase(record.name), record);
  return { vaults: createVaults(deps), rows, news, hub, hold, set, beforeReplace, reads: () => reads };
}

const retention = (vault: { softDeleteRetentionInDays: number } | undefined) =>
  vault?.softDeleteRetentionInDays;

test('a vault is read once, and again when it has changed here or elsewhere', async () => {
  const { vaults, hub, set, reads } = vaultsOf(vaultRecord(1), vaultRecord(2));
  expect(vaults.known('vault-1')).toBeUndefined();
  for (let n = 0; n < 3; n += 1) expect(retention(await vaults.find('VAULT-1'))).toBe(90);
  await vaults.find('vault-2');
  expect(reads()).toBe(2);
  set(vaultRecord(1, { softDeleteRetentionInDays: 7 }));
  hub.publish([{ topic: 'vault', key: 'vault-1' }]);
  expect(vaults.known('vault-1')).toBeUndefined();
  expect(vaults.known('vault-2')).toBeDefined();
  expect(retention(await vaults.find('vault-1'))).toBe(7);
  hub.lapse();
  expect(vaults.known('vault-2')).toBeUndefined();
});

test('without fresh news every request reads the record', async () => {
  const { vaults, news, set, reads } = vaultsOf(vaultRecord(1));
  await vaults.find('vault-1');
  news.fresh = false;
  set(vaultRecord(1, { softDeleteRetentionInDays: 7 }));
  expect(vaults.known('vault-1')).toBeUndefined();
  for (let n = 0; n < 2; n += 1) expect(retention(await vaults.find('vault-1'))).toBe(7);
  expect(reads()).toBe(3);
});

test.each(['its own', 'lapse'] as const)(
  'what was read before news (%s) is not kept after it',
  async (kind) => {
    const { vaults, hub, hold, set } = vaultsOf(vaultRecord(1));
    const release = hold();
    const slow = vaults.find('vault-1');
    set(vaultRecord(1, { softDeleteRetentionInDays: 7 }));
    if (kind === 'lapse') hub.lapse();
    else hub.publish([{ topic: 'vault', key: 'vault-1' }]);
    release();
    await slow;
    expect(vaults.known('vault-1')).toBeUndefined();
    expect(retention(await vaults.find('vault-1'))).toBe(7);
  },
);

test('a vault that was not there is looked for again', async () => {
  const { vaults, set } = vaultsOf();
  expect(await vaults.find('vault-1')).toBeUndefined();
  set(vaultRecord(1));
  expect((await vaults.find('vault-1'))?.id).toBe(guid(1));
});

test('policies that two processes set at once are all there, and each answers what it wrote', async () => {
  const record = vaultRecord(1, { enableRbacAuthorization: false });
  const { vaults, rows, set, beforeReplace } = vaultsOf(record);
  const policy = (n: number) => ({
    tenantId: guid(900),
    objectId: guid(n),
    permissions: { secrets: ['get' as const] },
  });
  await vaults.find('vault-1');
  // Another process comes first, between the reading and the replacing.
  beforeReplace.push(() => set({ ...record, accessPolicies: [policy(20)] }));
  const answer = await vaults.setAccessPolicy('Vault-1', policy(10));
  expect(answer.accessPolicies).toEqual([policy(20), policy(10)]);
  expect(rows.get('vault-1')?.accessPolicies).toEqual([policy(20), policy(10)]);
  expect((await vaults.find('vault-1'))?.accessPolicies).toHaveLength(2);
});

/** What every store of tenants, subscriptions, resource groups and locks must do; run on each database. */
import { describe, expect, it } from 'vitest';
import type { RoleAssignmentStore } from '../../src/authorization/role-assignments.ts';
import type { DirectoryStore } from '../../src/domain/resources/directory-store.ts';
import type { Lock, LockStore } from '../../src/domain/resources/lock-store.ts';
import type { VaultStore } from '../../src/domain/vaults/vault-store.ts';
import { guid, vaultKeyRow, vaultRecord } from './rows.ts';

interface Stores {
  readonly directory: DirectoryStore;
  readonly locks: LockStore;
  readonly vaults: VaultStore;
  readonly assignments: RoleAssignmentStore;
}

const subscriptionId = guid(901);
const group = { subscriptionId, name: 'Group.1', location: 'local', tags: { a: '1' } };
const groupScope = `/subscriptions/${subscriptionId}/resourceGroups/Group.1`;
const now = 1_800_000_000_000;
const removal = { subscriptionId, name: 'gROUP.1', now };

function lockOn(scope: string, more: Partial<Lock> = {}): Lock {
  return { scope, name: 'Keep', level: 'CanNotDelete', notes: undefined, owners: [], ...more };
}

function assignmentAt(n: number, scope: string) {
  const ids = { id: guid(n), tenantId: guid(900), principalId: guid(n + 100), roleId: guid(n + 200) };
  return { ...ids, scope, created: 1 };
}

export function directoryStoreContract(makeStores: () => Promise<Stores>): void {
  describe('directory store', () => {
    it('adds tenants, subscriptions and resource groups once, and keeps the first', async () => {
      const { directory } = await makeStores();
      const tenant = { id: guid(1), name: 'first' };
      const subscription = { id: guid(2), tenantId: guid(1), name: 'first' };
      for (const name of ['first', 'second']) {
        await directory.addTenant({ ...tenant, name });
        await directory.addSubscription({ ...subscription, name });
      }
      expect(await directory.addResourceGroup(group)).toBe(true);
      expect(await directory.addResourceGroup({ ...group, name: 'GROUP.1', location: 'x' })).toBe(false);
      expect(await directory.tenants()).toEqual([tenant]);
      expect(await directory.subscriptions()).toEqual([{ ...subscription, tags: {} }]);
      expect(await directory.resourceGroup(subscriptionId, 'gROUP.1')).toEqual(group);
      expect(await directory.resourceGroup(guid(3), 'Group.1')).toBeUndefined();
      expect(await directory.resourceGroup(subscriptionId, 'other')).toBeUndefined();
    });

    it("replaces a subscription's tags, and its tag names, only as long as they are what was read", async () => {
      const { directory } = await makeStores();
      for (const n of [2, 3]) await directory.addSubscription({ id: guid(n), tenantId: guid(1), name: 's' });
      const tags = { a: '1', ['__proto__']: 'x' };
      expect(await directory.replaceSubscriptionTags(guid(2), tags, {})).toBe(true);
      expect(await directory.replaceSubscriptionTags(guid(2), {}, { a: '1' })).toBe(false);
      const names = { a: ['1'], b: [] };
      expect(await directory.replaceTagNames(guid(2), names, { a: [] })).toBe(false);
      expect(await directory.replaceTagNames(guid(2), names, {})).toBe(true);
      expect((await directory.subscriptions()).map((each) => each.tags)).toEqual([tags, {}]);
      expect([await directory.tagNames(guid(2)), await directory.tagNames(guid(3))]).toEqual([names, {}]);
      expect(await directory.tagNames(guid(4))).toEqual({});
      expect(await directory.replaceTagNames(guid(4), names, {})).toBe(false);
    });

    it("lists a subscription's groups in the order of their lower-cased names", async () => {
      const { directory } = await makeStores();
      for (const name of ['b', 'A', 'C']) await directory.addResourceGroup({ ...group, name });
      await directory.addResourceGroup({ ...group, subscriptionId: guid(3), name: 'other' });
      const names = (await directory.resourceGroups(subscriptionId)).map(({ name }) => name);
      expect(names).toEqual(['A', 'b', 'C']);
    });

    it('replaces a group only as long as it is what was read', async () => {
      const { directory } = await makeStores();
      await directory.addResourceGroup(group);
      const next = { ...group, tags: { b: '2' } };
      const outcomes = await Promise.all([1, 2, 3].map(() => directory.replaceResourceGroup(next, group)));
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      expect(await directory.resourceGroup(subscriptionId, 'group.1')).toEqual(next);
    });

    it('removes a group with all that is in it, and nothing else', async () => {
      const { directory, vaults, assignments } = await makeStores();
      await directory.addResourceGroup(group);
      await directory.addResourceGroup({ ...group, name: 'Group.10' });
      const inside = vaultRecord(1, { resourceGroup: 'GROUP.1' });
      const outside = vaultRecord(2, { resourceGroup: 'Group.10' });
      const elsewhere = vaultRecord(3, { subscriptionId: guid(902) });
      await directory.addResourceGroup({ ...group, subscriptionId: guid(902) });
      for (const [index, vault] of [inside, outside, elsewhere].entries())
        await vaults.add(vault, vaultKeyRow(guid(index + 1)));
      const below = `${groupScope}/providers/Microsoft.KeyVault/vaults/Vault-1`;
      const kept = [`${groupScope}0`, `/subscriptions/${subscriptionId}`].map((scope, n) =>
        assignmentAt(n + 50, scope),
      );
      for (const [n, scope] of [groupScope.toUpperCase(), below].entries())
        await assignments.add(assignmentAt(n + 40, scope));
      for (const assignment of kept) await assignments.add(assignment);

      expect(await directory.removeResourceGroup(removal)).toBe(true);
      expect(await directory.removeResourceGroup(removal)).toBe(false);
      expect(await directory.resourceGroups(subscriptionId)).toEqual([{ ...group, name: 'Group.10' }]);
      const deletions = (await vaults.list()).map(({ name, deleted }) => [name, deleted]);
      expect(deletions).toEqual([
        ['Vault-1', { at: now, purgeAt: now + 90 * 86_400_000 }],
        ['Vault-2', undefined],
        ['Vault-3', undefined],
      ]);
      expect((await assignments.list()).map(({ id }) => id)).toEqual([guid(50), guid(51)]);
    });
  });

  describe('lock store', () => {
    it('keeps one lock for each scope and name, without regard to case', async () => {
      const { directory, locks } = await makeStores();
      await directory.addResourceGroup(group);
      const at = { subscriptionId, name: 'group.1' };
      const lock = lockOn(groupScope, { notes: 'why', owners: ['o'] });
      expect(await locks.put(lock, at)).toBe('created');
      expect(await locks.put({ ...lock, name: 'KEEP', level: 'ReadOnly', owners: [] }, at)).toBe('replaced');
      expect(await locks.ofSubscription(subscriptionId)).toEqual([
        { ...lock, level: 'ReadOnly', owners: [] },
      ]);
      expect(await locks.ofSubscription(guid(902))).toEqual([]);
      expect(await locks.remove(groupScope.toUpperCase(), 'keep')).toBe(true);
      expect(await locks.remove(groupScope, 'keep')).toBe(false);
    });

    it('locks nothing in a group that is not there', async () => {
      const { locks } = await makeStores();
      expect(await locks.put(lockOn(groupScope), { subscriptionId, name: 'Group.1' })).toBe('groupAbsent');
      expect(await locks.ofSubscription(subscriptionId)).toEqual([]);
    });

    it('lists the locks of a subscription and of what is in it', async () => {
      const { locks } = await makeStores();
      const scopes = [`/subscriptions/${subscriptionId}`, groupScope, `${groupScope}/providers/x/y/z`];
      for (const scope of [...scopes, `/subscriptions/${subscriptionId}0`])
        await locks.put(lockOn(scope), undefined);
      expect((await locks.ofSubscription(subscriptionId)).map(({ scope }) => scope)).toEqual(scopes);
    });
  });
}

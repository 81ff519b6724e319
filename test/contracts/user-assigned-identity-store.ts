/** What every store of user-assigned identities must do; run on each database. */
import { describe, expect, it } from 'vitest';
import type { RoleAssignmentStore } from '../../src/authorization/role-assignments.ts';
import type { ChangeFeed } from '../../src/core/changes.ts';
import type { DirectoryStore } from '../../src/domain/resources/directory-store.ts';
import {
  identityId,
  type UserAssignedIdentity,
  type UserAssignedIdentityStore,
} from '../../src/domain/resources/user-assigned-identity-store.ts';
import type { ClientCredential, PrincipalRecord, PrincipalStore } from '../../src/identity/principals.ts';
import { guid } from './rows.ts';

interface Stores {
  readonly identities: UserAssignedIdentityStore;
  readonly principals: PrincipalStore;
  readonly directory: DirectoryStore;
  readonly assignments: RoleAssignmentStore;
  readonly feed: ChangeFeed;
}

const subscriptionId = guid(901);
const group = { subscriptionId, name: 'Group.1', location: 'local', tags: {} };

export function identityRecord(n: number, more: Partial<UserAssignedIdentity> = {}): UserAssignedIdentity {
  return {
    ...{ objectId: guid(n), clientId: guid(n + 100), tenantId: guid(900), subscriptionId },
    ...{ resourceGroup: 'Group.1', name: `Identity-${n}`, location: 'local', tags: { a: '1' } },
    ...{ isolationScope: undefined, created: 1, updated: 2, ...more },
  };
}

export function federatedCredential(objectId: string): ClientCredential {
  const federated = { name: 'Trusted', issuer: 'https://i', subject: 's', audiences: ['a'] };
  const none = { hash: '', hint: '', created: 1, expires: 2 };
  return { kind: 'federated', detail: { federated }, keyId: guid(700), objectId, ...none };
}

const groupRecord: PrincipalRecord = {
  ...{ objectId: guid(600), tenantId: guid(900), appId: undefined, kind: 'group', displayName: 'g' },
  ...{ resourceId: undefined, created: 1, userName: undefined, applicationId: undefined },
  ...{ enabled: true, detail: {} },
};

async function seeded(makeStores: () => Promise<Stores>): Promise<Stores> {
  const stores = await makeStores();
  await stores.directory.addResourceGroup(group);
  return stores;
}

/** Gives the identity all that it can have: a credential, a membership, and a role that somebody has on it. */
async function furnish(stores: Stores, identity: UserAssignedIdentity): Promise<void> {
  await stores.principals.addCredential(federatedCredential(identity.objectId));
  await stores.principals.add(groupRecord);
  await stores.principals.addMember(groupRecord.objectId, identity.objectId);
  for (const [n, scope] of [identityId(identity).toUpperCase(), `${identityId(identity)}0`].entries()) {
    const ids = { id: guid(n + 40), tenantId: guid(900), principalId: guid(500), roleId: guid(400) };
    await stores.assignments.add({ ...ids, scope, created: 1 });
  }
}

export function userAssignedIdentityStoreContract(makeStores: () => Promise<Stores>): void {
  describe('store of user-assigned identities', () => {
    it('makes an identity and its principal together, and finds it in any case', async () => {
      const { identities, principals } = await seeded(makeStores);
      const one = identityRecord(1, { isolationScope: 'Regional' });
      expect(await identities.add(one)).toBe('added');
      const anyCase = { subscriptionId, resourceGroup: 'gROUP.1', name: 'iDENTITY-1' };
      expect(await identities.find(anyCase)).toEqual(one);
      expect(await identities.find({ ...anyCase, resourceGroup: 'group.10' })).toBeUndefined();
      expect(await identities.find({ ...anyCase, subscriptionId: guid(902) })).toBeUndefined();
      expect(await identities.list(subscriptionId)).toEqual([one]);
      expect(await identities.list(guid(902))).toEqual([]);
      expect(await principals.byResourceId(guid(900), identityId(one).toUpperCase())).toEqual({
        ...{ objectId: guid(1), tenantId: guid(900), appId: guid(101), kind: 'managedIdentity' },
        ...{ displayName: 'Identity-1', resourceId: identityId(one), created: 1, enabled: true },
        ...{ userName: undefined, applicationId: undefined, detail: { managedIdentity: 'user' } },
      });
    });

    it('makes one of each name, and none in the place of a principal that has its id or in no group', async () => {
      const { identities, principals } = await seeded(makeStores);
      const outcomes = await Promise.all(
        [1, 2, 3].map((n) => identities.add(identityRecord(n, { name: `${n === 1 ? 'Same' : 'SAME'}` }))),
      );
      expect(outcomes.toSorted()).toEqual(['added', 'taken', 'taken']);
      const resourceId = identityId(identityRecord(4));
      await principals.add({ ...groupRecord, kind: 'managedIdentity', resourceId });
      expect(await identities.add(identityRecord(4, { name: 'IDENTITY-4' }))).toBe('taken');
      expect(await identities.add(identityRecord(5, { resourceGroup: 'none' }))).toBe('groupAbsent');
      expect(await principals.byObjectId(guid(5))).toBeUndefined();
      expect(await identities.list(subscriptionId)).toHaveLength(1);
    });

    it('replaces tags and isolation only as long as they are what was read', async () => {
      const { identities } = await seeded(makeStores);
      const was = identityRecord(1);
      await identities.add(was);
      const next = { ...was, tags: { b: '2' }, isolationScope: 'None', updated: 3 } as const;
      const outcomes = await Promise.all([1, 2, 3].map(() => identities.replace(next, was)));
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      expect(await identities.find(was)).toEqual(next);
    });

    it('removes it with its principal and all that it had, and tells whoever remembers', async () => {
      const stores = await seeded(makeStores);
      const { identities, principals, assignments } = stores;
      const one = identityRecord(1);
      await identities.add(one);
      await identities.add(identityRecord(2));
      await furnish(stores, one);
      const told: (string | undefined)[] = [];
      stores.feed.subscribe('principal', (key) => told.push(key));
      expect(await identities.remove(one)).toBe(true);
      expect(told).toContain(undefined);
      expect(await identities.remove(one)).toBe(false);
      expect(await identities.list(subscriptionId)).toEqual([identityRecord(2)]);
      expect(await principals.byObjectId(one.objectId)).toBeUndefined();
      expect(await principals.credentialsOf(one.objectId)).toEqual([]);
      expect(await principals.membersOf(groupRecord.objectId)).toEqual([]);
      expect((await assignments.list()).map(({ id }) => id)).toEqual([guid(41)]);
    });

    it('goes with its resource group, and no other does', async () => {
      const stores = await seeded(makeStores);
      const { identities, principals, directory } = stores;
      await directory.addResourceGroup({ ...group, name: 'Group.10' });
      const inside = identityRecord(1, { resourceGroup: 'GROUP.1' });
      const outside = identityRecord(2, { resourceGroup: 'Group.10' });
      for (const identity of [inside, outside]) await identities.add(identity);
      await furnish(stores, inside);
      const told: (string | undefined)[] = [];
      stores.feed.subscribe('principal', (key) => told.push(key));
      expect(await directory.removeResourceGroup({ subscriptionId, name: 'group.1', now: 3 })).toBe(true);
      expect(told).toContain(undefined);
      expect(await identities.list(subscriptionId)).toEqual([outside]);
      expect(await principals.byObjectId(inside.objectId)).toBeUndefined();
      expect(await principals.credentialsOf(inside.objectId)).toEqual([]);
      expect(await principals.byObjectId(outside.objectId)).toMatchObject({ appId: outside.clientId });
    });

    it('is not removed as a principal, and is not among those that are no resources', async () => {
      const { identities, principals } = await seeded(makeStores);
      await identities.add(identityRecord(1));
      await principals.add({ ...groupRecord, kind: 'managedIdentity' });
      await expect(principals.remove(guid(1))).rejects.toMatchObject({ kind: 'conflict' });
      expect(await identities.find(identityRecord(1))).toBeDefined();
      const page = { limit: 10, after: undefined };
      const listed = await principals.list({ tenantId: guid(900), resources: false }, page);
      expect(listed.items.map(({ objectId }) => objectId)).toEqual([guid(600)]);
      expect((await principals.list({ tenantId: guid(900) }, page)).items).toHaveLength(2);
    });

    it('lets either the removal of a group or what is to be in it win, never both', async () => {
      const { identities, principals, directory } = await seeded(makeStores);
      for (const n of [11, 12, 13, 14]) {
        const at = { ...group, name: `race-${n}` };
        await directory.addResourceGroup(at);
        await Promise.all([
          directory.removeResourceGroup({ subscriptionId, name: at.name, now: 3 }),
          identities.add(identityRecord(n, { resourceGroup: at.name })),
        ]);
        expect(await identities.list(subscriptionId)).toEqual([]);
        expect(await principals.byObjectId(guid(n))).toBeUndefined();
      }
    });
  });
}

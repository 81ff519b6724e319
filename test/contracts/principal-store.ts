/** What every principal store must do; run on each implementation. */
import { describe, expect, it } from 'vitest';
import type { ClientCredential, PrincipalRecord, PrincipalStore } from '../../src/identity/principals.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenant = '22222222-2222-4222-8222-222222222222';

const guid = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

function principal(n: number, more: Partial<PrincipalRecord> = {}): PrincipalRecord {
  return {
    objectId: guid(n),
    tenantId,
    appId: guid(1000 + n),
    kind: 'application',
    displayName: `application ${n}`,
    resourceId: undefined,
    created: 1_700_000_000_000 + n,
    ...more,
  };
}

function credential(n: number, of: PrincipalRecord): ClientCredential {
  const hash = `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'B'.repeat(43)}`;
  return { keyId: guid(5000 + n), objectId: of.objectId, hash, hint: 'abc', created: n, expires: n + 1000 };
}

/** Defines the suite; `makeStore` gives an empty store each time. */
export function principalStoreContract(makeStore: () => Promise<PrincipalStore>): void {
  describe('principal store', () => {
    it('gives back what was added, by each of its ids, and undefined for unknown ones', async () => {
      const store = await makeStore();
      const resourceId =
        '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Web';
      const identity = principal(1, { kind: 'managedIdentity', resourceId });
      const user = principal(2, { kind: 'user', appId: undefined, displayName: 'Zoë Ångström' });
      await store.add(identity);
      await store.add(user);
      expect(await store.byAppId(guid(1001))).toEqual(identity);
      expect(await store.byObjectId(identity.objectId)).toEqual(identity);
      expect(await store.byResourceId(tenantId, resourceId.toUpperCase())).toEqual(identity);
      expect(await store.byObjectId(user.objectId)).toEqual(user);
      expect(await store.byAppId(guid(9))).toBeUndefined();
      expect(await store.byObjectId(guid(9))).toBeUndefined();
      expect(await store.byResourceId(otherTenant, resourceId)).toBeUndefined();
    });

    it('refuses an object id, an app id or a resource id that is taken, and changes nothing', async () => {
      const store = await makeStore();
      const first = principal(1, { resourceId: '/subscriptions/s/x' });
      await store.add(first);
      for (const taken of [
        principal(2, { objectId: first.objectId }),
        principal(3, { appId: guid(1001) }),
        principal(4, { resourceId: '/Subscriptions/S/X' }),
      ]) {
        await expect(store.add(taken)).rejects.toMatchObject({ kind: 'alreadyExists' });
      }
      const { items } = await store.list({ tenantId }, { limit: 25, after: undefined });
      expect(items).toEqual([first]);
    });

    it('takes users without app ids and identities of two tenants with one resource id', async () => {
      const store = await makeStore();
      await store.add(principal(1, { kind: 'user', appId: undefined }));
      await store.add(principal(2, { kind: 'user', appId: undefined }));
      await store.add(principal(3, { resourceId: '/x' }));
      await store.add(principal(4, { resourceId: '/x', tenantId: otherTenant }));
      expect(await store.byResourceId(otherTenant, '/X')).toMatchObject({ objectId: guid(4) });
    });

    it('lists one tenant, one kind, in the order of object ids, page by page', async () => {
      const store = await makeStore();
      for (const n of [3, 1, 2]) await store.add(principal(n));
      await store.add(principal(4, { kind: 'managedIdentity' }));
      await store.add(principal(5, { tenantId: otherTenant }));
      const first = await store.list({ tenantId, kind: 'application' }, { limit: 2, after: undefined });
      expect(first.items.map((row) => row.objectId)).toEqual([guid(1), guid(2)]);
      expect(first.next).toBe(guid(2));
      const last = await store.list({ tenantId, kind: 'application' }, { limit: 2, after: first.next });
      expect(last.items.map((row) => row.objectId)).toEqual([guid(3)]);
      expect(last.next).toBeUndefined();
      const all = await store.list({ tenantId }, { limit: 25, after: undefined });
      expect(all.items).toHaveLength(4);
    });

    it('keeps the credentials of each principal apart, oldest first', async () => {
      const store = await makeStore();
      const [a, b] = [principal(1), principal(2)];
      await store.add(a);
      await store.add(b);
      await store.addCredential(credential(2, a));
      await store.addCredential(credential(1, a));
      await store.addCredential(credential(3, b));
      expect(await store.credentialsOf(a.objectId)).toEqual([credential(1, a), credential(2, a)]);
      expect(await store.credentialsOf(guid(9))).toEqual([]);
    });

    it('refuses credentials of nobody and key ids that are taken', async () => {
      const store = await makeStore();
      const a = principal(1);
      await expect(store.addCredential(credential(1, a))).rejects.toMatchObject({ kind: 'notFound' });
      await store.add(a);
      await store.addCredential(credential(1, a));
      await expect(store.addCredential(credential(1, a))).rejects.toMatchObject({ kind: 'alreadyExists' });
      expect(await store.credentialsOf(a.objectId)).toHaveLength(1);
    });

    it('removes a credential of its own principal only, and says whether there was one', async () => {
      const store = await makeStore();
      const [a, b] = [principal(1), principal(2)];
      await store.add(a);
      await store.add(b);
      const { keyId } = credential(1, a);
      await store.addCredential(credential(1, a));
      expect(await store.removeCredential(b.objectId, keyId)).toBe(false);
      expect(await store.removeCredential(a.objectId, keyId)).toBe(true);
      expect(await store.removeCredential(a.objectId, keyId)).toBe(false);
      expect(await store.credentialsOf(a.objectId)).toEqual([]);
    });
  });
}

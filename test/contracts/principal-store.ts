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
    userName: undefined,
    applicationId: undefined,
    enabled: true,
    detail: {},
    ...more,
  };
}

function credential(n: number, of: PrincipalRecord): ClientCredential {
  const hash = `$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'B'.repeat(43)}`;
  const ids = { keyId: guid(5000 + n), objectId: of.objectId };
  return { kind: 'secret', detail: {}, ...ids, hash, hint: 'abc', created: n, expires: n + 1000 };
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

    it('gives back every field of users, groups and applications, found by their own names', async () => {
      const store = await makeStore();
      const user = principal(1, {
        kind: 'user',
        appId: undefined,
        userName: 'Ada@Example.com',
        enabled: false,
        detail: { givenName: 'Ada', directoryAdministrator: true, declared: { jobTitle: 'a\u0000b' } },
      });
      const application = principal(2, {
        applicationId: guid(2002),
        detail: { redirectUris: ['https://x'] },
      });
      await store.add(user);
      await store.add(application);
      expect(await store.byUserName(tenantId, 'ADA@example.COM')).toEqual(user);
      expect(await store.byUserName(otherTenant, 'ada@example.com')).toBeUndefined();
      expect(await store.byApplicationId(guid(2002))).toEqual(application);
      expect(await store.byApplicationId(guid(2))).toBeUndefined();
      const both = await store.list({ tenantId, kind: ['user', 'group'] }, { limit: 25, after: undefined });
      expect(both.items).toEqual([user]);
    });

    it('refuses names that are taken, within the tenant for users', async () => {
      const store = await makeStore();
      const named = (n: number, more: Partial<PrincipalRecord>) =>
        principal(n, { kind: 'user', appId: undefined, ...more });
      await store.add(named(1, { userName: 'ada@example.com' }));
      await store.add(named(2, { userName: 'ada@example.com', tenantId: otherTenant }));
      await store.add(principal(3, { applicationId: guid(2003) }));
      for (const taken of [
        named(4, { userName: 'ADA@EXAMPLE.COM' }),
        principal(5, { applicationId: guid(2003) }),
      ]) {
        await expect(store.add(taken)).rejects.toMatchObject({ kind: 'alreadyExists' });
      }
    });

    it('gives an identifier URI to one application of a tenant, until it lets it go', async () => {
      const store = await makeStore();
      const withUris = (n: number, uris: readonly string[], more: Partial<PrincipalRecord> = {}) =>
        principal(n, { detail: { identifierUris: uris }, ...more });
      const first = withUris(1, ['api://a', 'api://b', 'api://a']);
      const foreign = withUris(3, ['api://a'], { tenantId: otherTenant });
      await store.add(first);
      await store.add(foreign);
      await expect(store.add(withUris(2, ['api://new', 'api://b']))).rejects.toMatchObject({
        kind: 'alreadyExists',
      });
      expect(await store.byObjectId(guid(2))).toBeUndefined();
      expect(await store.byIdentifierUri(tenantId, 'api://new')).toBeUndefined();
      expect(await store.byIdentifierUri(tenantId, 'api://b')).toEqual(first);
      expect(await store.byIdentifierUri(tenantId, 'API://b')).toBeUndefined();
      expect(await store.byIdentifierUri(otherTenant, 'api://a')).toEqual(foreign);
      expect(await store.byIdentifierUri(otherTenant, 'api://b')).toBeUndefined();

      const second = withUris(2, ['api://c']);
      await store.add(second);
      await expect(store.replace(withUris(2, ['api://a', 'api://d']), second)).rejects.toMatchObject({
        kind: 'alreadyExists',
      });
      expect(await store.byIdentifierUri(tenantId, 'api://c')).toEqual(second);
      const narrowed = withUris(1, ['api://b', 'api://e']);
      expect(await store.replace(narrowed, first)).toBe(true);
      const widened = withUris(2, ['api://a', 'api://c']);
      expect(await store.replace(widened, second)).toBe(true);
      expect(await store.byIdentifierUri(tenantId, 'api://a')).toEqual(widened);
      expect(await store.byIdentifierUri(tenantId, 'api://e')).toEqual(narrowed);

      const moved = { ...narrowed, objectId: guid(11) };
      expect(await store.replace(moved, narrowed)).toBe(true);
      expect(await store.byIdentifierUri(tenantId, 'api://e')).toEqual(moved);
      await store.remove(guid(11));
      expect(await store.byIdentifierUri(tenantId, 'api://e')).toBeUndefined();
      expect(await store.replace(withUris(2, ['api://e']), widened)).toBe(true);
    });

    it('of several who want one identifier URI at once, one gets it', async () => {
      const store = await makeStore();
      const bare = [1, 2, 3].map((n) => principal(n));
      for (const record of bare) await store.add(record);
      const detail = { identifierUris: ['api://b', 'api://a'] };
      const asked = [
        ...bare.map((was) => store.replace({ ...was, detail }, was)),
        ...[4, 5, 6].map((n) => store.add(principal(n, { detail }))),
      ];
      const outcomes = await Promise.allSettled(asked);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ kind: 'alreadyExists' });
      const owners = await Promise.all(
        detail.identifierUris.map((uri) => store.byIdentifierUri(tenantId, uri)),
      );
      expect(owners[0]).toEqual(owners[1]);
      expect(owners[0]).toBeDefined();
    });

    it('replaces a record that is as it was read, and no other', async () => {
      const store = await makeStore();
      const was = principal(1, { userName: undefined });
      await store.add(was);
      await store.add(principal(2, { userName: 'taken@example.com', resourceId: '/taken' }));
      const next = { ...was, displayName: 'renamed', enabled: false, detail: { tags: ['x'] } };
      expect(await store.replace(next, was)).toBe(true);
      expect(await store.byObjectId(was.objectId)).toEqual(next);
      expect(await store.replace({ ...next, displayName: 'late' }, was)).toBe(false);
      expect(await store.replace(principal(9), principal(9))).toBe(false);
      for (const taken of [
        { ...next, userName: 'TAKEN@example.com' },
        { ...next, resourceId: '/TAKEN' },
        { ...next, appId: guid(1002) },
      ]) {
        await expect(store.replace(taken, next)).rejects.toMatchObject({ kind: 'alreadyExists' });
      }
      expect(await store.byObjectId(was.objectId)).toEqual(next);
    });

    it('lets one of several who read the same record replace it', async () => {
      const store = await makeStore();
      const was = principal(1);
      await store.add(was);
      const results = await Promise.all(
        [1, 2, 3, 4].map((n) => store.replace({ ...was, displayName: `writer ${n}` }, was)),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
    });

    it('takes credentials along to a new object id, and leaves memberships behind', async () => {
      const store = await makeStore();
      const [was, group] = [principal(1), principal(2, { kind: 'group', appId: undefined })];
      await store.add(was);
      await store.add(group);
      await store.addCredential(credential(1, was));
      await store.addMember(group.objectId, was.objectId);
      const next = { ...was, objectId: guid(7) };
      expect(await store.replace(next, was)).toBe(true);
      expect(await store.byObjectId(was.objectId)).toBeUndefined();
      expect(await store.byAppId(was.appId ?? '')).toEqual(next);
      expect(await store.credentialsOf(next.objectId)).toEqual([credential(1, next)]);
      expect(await store.membersOf(group.objectId)).toEqual([]);
      expect(await store.groupsOf(next.objectId)).toEqual([]);
      await expect(store.replace({ ...next, objectId: group.objectId }, next)).rejects.toMatchObject({
        kind: 'alreadyExists',
      });
    });

    it('removes a principal with its credentials and memberships', async () => {
      const store = await makeStore();
      const [user, group] = [principal(1), principal(2, { kind: 'group', appId: undefined })];
      await store.add(user);
      await store.add(group);
      await store.addCredential(credential(1, user));
      await store.addMember(group.objectId, user.objectId);
      expect(await store.remove(user.objectId)).toBe(true);
      expect(await store.remove(user.objectId)).toBe(false);
      expect(await store.membersOf(group.objectId)).toEqual([]);
      await store.add(user);
      expect(await store.credentialsOf(user.objectId)).toEqual([]);
      expect(await store.groupsOf(user.objectId)).toEqual([]);
    });

    it('finds every group above a principal once, in circles too', async () => {
      const store = await makeStore();
      const groups = [1, 2, 3, 4].map((n) => principal(n, { kind: 'group', appId: undefined }));
      const user = principal(9);
      for (const one of [...groups, user]) await store.add(one);
      const add = (group: number, member: number) => store.addMember(guid(group), guid(member));
      await add(1, 9);
      await add(2, 1);
      await add(3, 2);
      await add(3, 1);
      await add(1, 3);
      expect(await store.groupsOf(user.objectId)).toEqual([guid(1), guid(2), guid(3)]);
      expect(await store.directGroupsOf(user.objectId)).toEqual([guid(1)]);
      expect(await store.directGroupsOf(guid(1))).toEqual([guid(2), guid(3)]);
      // A group in a circle is in the others of it, and not in itself.
      expect(await store.groupsOf(guid(1))).toEqual([guid(2), guid(3)]);
      expect(await store.groupsOf(guid(4))).toEqual([]);
      expect((await store.membersOf(guid(1))).map((row) => row.objectId)).toEqual([guid(3), guid(9)]);
      expect(await store.removeMember(guid(1), user.objectId)).toBe(true);
      expect(await store.removeMember(guid(1), user.objectId)).toBe(false);
      expect(await store.groupsOf(user.objectId)).toEqual([]);
    });

    it('refuses members of what is no group, strangers, and members that are there', async () => {
      const store = await makeStore();
      const [user, group] = [principal(1), principal(2, { kind: 'group', appId: undefined })];
      await store.add(user);
      await store.add(group);
      await store.addMember(group.objectId, user.objectId);
      const attempts: [string, string, string][] = [
        [user.objectId, group.objectId, 'notFound'],
        [guid(8), user.objectId, 'notFound'],
        [group.objectId, guid(8), 'notFound'],
        [group.objectId, user.objectId, 'alreadyExists'],
      ];
      for (const [to, member, kind] of attempts)
        await expect(store.addMember(to, member)).rejects.toMatchObject({ kind });
      expect(await store.membersOf(group.objectId)).toEqual([user]);
    });

    it('keeps credentials of every kind, and replaces what is kept of one', async () => {
      const store = await makeStore();
      const owner = principal(1);
      await store.add(owner);
      const federated = { name: 'n', issuer: 'https://x', subject: 's', audiences: ['a'] };
      const kept: ClientCredential = {
        ...credential(1, owner),
        ...{ kind: 'federated' as const, hash: '', hint: '', detail: { federated } },
      };
      await store.addCredential(kept);
      expect(await store.credentialsOf(owner.objectId)).toEqual([kept]);
      const changed = { ...kept, detail: { federated: { ...federated, subject: 't' } } };
      expect(await store.replaceCredential(changed)).toBe(true);
      expect(await store.credentialsOf(owner.objectId)).toEqual([changed]);
      expect(await store.replaceCredential({ ...changed, objectId: guid(8) })).toBe(false);
      expect(await store.replaceCredential({ ...changed, keyId: guid(8) })).toBe(false);
    });
  });
}

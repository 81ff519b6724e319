/** Proves that what is kept in memory is never older than the last news, and is bypassed while there is none. */
import { expect, test } from 'vitest';
import { createChangeHub, everyKey } from '../core/changes.ts';
import { cacheAssignments, type RoleHolder } from './assignment-cache.ts';
import { allowingAssignment } from './authorize-management.ts';
import type { RoleAssignment, RoleAssignmentStore } from './role-assignments.ts';
import type { RoleDefinition } from './role-definitions.ts';
import { findRole } from './roles.ts';

const reader = findRole('Reader')?.id ?? '';

function assignment(id: string, principalId = 'p', roleId = reader): RoleAssignment {
  return { id, tenantId: 't', principalId, roleId, scope: '/', created: 0 };
}

function holder(objectId: string, groups: readonly string[] = []): RoleHolder {
  return { objectId, tenantId: 't', groups };
}

/** A store that tells of changes, and whose reads can be held back after they have seen the rows. */
function slowStore() {
  let rows: readonly RoleAssignment[] = [];
  let reads = 0;
  let held: Promise<void> = Promise.resolve();
  const news = { fresh: true };
  const hub = createChangeHub(() => news.fresh);
  const store: RoleAssignmentStore = {
    async ofPrincipals(principalIds) {
      reads += 1;
      const found = rows.filter((row) => principalIds.includes(row.principalId));
      await held;
      return found;
    },
    list: async () => rows,
    byId: async (id) => rows.find((row) => row.id === id),
    async add(added) {
      rows = [...rows, added];
      hub.publish([{ topic: 'roleAssignments', key: added.principalId }]);
      return added;
    },
    put: () => Promise.reject(new Error('not asked for here')),
    async remove({ id }) {
      const before = rows.length;
      rows = rows.filter((row) => row.id !== id);
      hub.publish([{ topic: 'roleAssignments', key: everyKey }]);
      return rows.length < before ? 'removed' : 'missing';
    },
  };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return resolve;
  };
  /** Who is in which groups; a principal that is not here is not known. */
  const directory = new Map<string, readonly string[]>();
  const roles: RoleDefinition[] = [];
  const deps = {
    definitions: { byIds: async (ids: readonly string[]) => roles.filter(({ id }) => ids.includes(id)) },
    groupsOf: async ({ objectId }: RoleHolder) => directory.get(objectId),
  };
  const cache = cacheAssignments({ ...deps, store, feed: hub });
  const other = cacheAssignments({ ...deps, store, feed: createChangeHub() });
  const idsOf = async (of: RoleHolder) =>
    (await cache.rolesOf(of)).assignments.map(({ assignment: { id } }) => id);
  return { store, cache, other, hub, news, hold, directory, roles, deps, idsOf, reads: () => reads };
}

const p = holder('p');

test('a principal is read once until something changes', async () => {
  const { cache, idsOf, reads } = slowStore();
  await cache.add(assignment('a'));
  for (let n = 0; n < 3; n += 1) expect(await idsOf(p)).toEqual(['a']);
  expect(reads()).toBe(1);
  await cache.add(assignment('b'));
  expect(await idsOf(p)).toEqual(['a', 'b']);
  await cache.remove({ id: 'a' });
  expect(await idsOf(p)).toEqual(['b']);
  expect(await idsOf(holder('q'))).toEqual([]);
});

test('what was read before a removal is not kept after it', async () => {
  const { cache, idsOf, hold } = slowStore();
  await cache.add(assignment('a'));
  const release = hold();
  const slow = cache.rolesOf(p);
  await cache.remove({ id: 'a' });
  release();
  await slow;
  expect(await idsOf(p)).toEqual([]);
});

test('a read that fails is tried again', async () => {
  const { store, hub, deps } = slowStore();
  let fails = true;
  const failing = {
    ...store,
    async ofPrincipals(principalIds: readonly string[]) {
      if (fails) throw new Error('not now');
      return store.ofPrincipals(principalIds);
    },
  };
  const cache = cacheAssignments({ ...deps, store: failing, feed: hub });
  await expect(cache.rolesOf(p)).rejects.toThrow('not now');
  fails = false;
  expect((await cache.rolesOf(p)).assignments).toEqual([]);
});

test('a change elsewhere is forgotten when it is told, for the principal that it is about', async () => {
  const { cache, other, hub, reads, idsOf } = slowStore();
  const q = holder('q');
  await cache.add(assignment('a'));
  await cache.add(assignment('b', 'q'));
  for (const principal of [p, q]) await cache.rolesOf(principal);
  expect(reads()).toBe(2);
  // As another process does it: past this cache, with the news later.
  await other.remove({ id: 'a' });
  expect(cache.knownRoles(p)).toBeUndefined();
  expect(await idsOf(p)).toEqual([]);
  await cache.rolesOf(q);
  hub.publish([{ topic: 'roleAssignments', key: 'q' }]);
  expect(cache.knownRoles(q)).toBeUndefined();
  expect(cache.knownRoles(p)).toBeDefined();
  hub.lapse();
  expect(cache.knownRoles(p)).toBeUndefined();
});

test('without fresh news every question goes to the store', async () => {
  const { cache, news, reads, idsOf } = slowStore();
  await cache.add(assignment('a'));
  await cache.rolesOf(p);
  news.fresh = false;
  expect(cache.knownRoles(p)).toBeUndefined();
  for (let n = 0; n < 3; n += 1) expect(await idsOf(p)).toEqual(['a']);
  expect(reads()).toBe(4);
  news.fresh = true;
  expect(cache.knownRoles(p)).toBeDefined();
});

test.each(['lapse', 'every', 'its own', 'its group', 'a role', 'the directory'] as const)(
  'what was read before news (%s) is not kept after it',
  async (kind) => {
    const { cache, hub, hold, directory } = slowStore();
    directory.set('p', ['g']);
    const release = hold();
    const slow = cache.rolesOf(p);
    if (kind === 'lapse') hub.lapse();
    else if (kind === 'a role') hub.publish([{ topic: 'roleDefinitions', key: 'r' }]);
    else if (kind === 'the directory') hub.publish([{ topic: 'principal', key: 'x' }]);
    else
      hub.publish([
        { topic: 'roleAssignments', key: { every: everyKey, 'its own': 'p', 'its group': 'g' }[kind] },
      ]);
    release();
    await slow;
    expect(cache.knownRoles(p)).toBeUndefined();
    await cache.rolesOf(p);
    expect(cache.knownRoles(p)).toBeDefined();
  },
);

test('roles are those of the principal and of all its groups, and news of a group is news of its members', async () => {
  const { cache, hub, directory, idsOf } = slowStore();
  directory.set('p', ['g', 'outer']);
  await cache.add(assignment('own'));
  await cache.add(assignment('inner', 'g'));
  expect(await idsOf(p)).toEqual(['own', 'inner']);
  await cache.add(assignment('outermost', 'outer'));
  expect(await idsOf(p)).toEqual(['own', 'inner', 'outermost']);
  directory.set('p', ['g']);
  hub.publish([{ topic: 'principal', key: 'p' }]);
  expect(await idsOf(p)).toEqual(['own', 'inner']);
  expect((await cache.rolesOf(p)).groups).toEqual(['g']);
  directory.set('p', []);
  hub.publish([{ topic: 'principal', key: 'g' }]);
  expect(await idsOf(p)).toEqual(['own']);
});

test('a token is believed about groups only if the directory does not know the principal', async () => {
  const { cache, directory, hub, idsOf } = slowStore();
  await cache.add(assignment('of g', 'g'));
  directory.set('p', []);
  expect(await idsOf(holder('p', ['g']))).toEqual([]);
  expect(await idsOf(holder('stranger', ['g']))).toEqual(['of g']);
  // The next token of the same stranger may say something else.
  expect(cache.knownRoles(holder('stranger', []))).toBeUndefined();
  expect(cache.knownRoles(holder('stranger', ['h']))).toBeUndefined();
  expect(cache.knownRoles(holder('stranger', ['g']))).toBeDefined();
  expect(await idsOf(holder('stranger'))).toEqual([]);
  expect(await idsOf(holder('stranger', ['g', 'h']))).toEqual(['of g']);
  directory.set('stranger', []);
  hub.publish([{ topic: 'principal', key: 'stranger' }]);
  expect(await idsOf(holder('stranger', ['g', 'h']))).toEqual([]);
});

test('what is known of a principal of one tenant is not for its namesake of another', async () => {
  const { cache } = slowStore();
  await cache.rolesOf(p);
  expect(cache.knownRoles(p)).toBeDefined();
  expect(cache.knownRoles({ ...p, tenantId: 'u' })).toBeUndefined();
});

test("a change of a tenant's own role counts at once", async () => {
  const { cache, roles, hub } = slowStore();
  const role: RoleDefinition = {
    ...{ id: 'r', name: 'r', description: '', tenantId: 't', condition: undefined, assignableScopes: ['/'] },
    ...{ actions: ['a/read'], notActions: [], dataActions: [], notDataActions: [] },
    ...{ created: 0, updated: 0, createdBy: 'x', updatedBy: 'x' },
  };
  await cache.add(assignment('a', 'p', 'r'));
  const principal = { ...p, appId: undefined, kind: 'user', issuer: 'i', userName: undefined } as const;
  const may = async (action: string) =>
    allowingAssignment({ principal, action, scope: '/' }, await cache.rolesOf(p)) !== undefined;
  expect(await may('a/read')).toBe(false);
  roles.push(role);
  hub.publish([{ topic: 'roleDefinitions', key: 'r' }]);
  expect([await may('a/read'), await may('a/write')]).toEqual([true, false]);
  roles[0] = { ...role, actions: ['a/write'] };
  hub.publish([{ topic: 'roleDefinitions', key: 'r' }]);
  expect([await may('a/read'), await may('a/write')]).toEqual([false, true]);
});

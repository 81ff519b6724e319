/** Proves that what is kept in memory is never older than the last news, and is bypassed while there is none. */
import { expect, test } from 'vitest';
import { createChangeHub, everyKey } from '../core/changes.ts';
import { cacheAssignments } from './assignment-cache.ts';
import type { RoleAssignment, RoleAssignmentStore } from './role-assignments.ts';

function assignment(id: string, principalId = 'p'): RoleAssignment {
  return { id, tenantId: 't', principalId, roleId: 'r', scope: '/', created: 0 };
}

/** A store that tells of changes, and whose reads can be held back after they have seen the rows. */
function slowStore() {
  let rows: readonly RoleAssignment[] = [];
  let reads = 0;
  let held: Promise<void> = Promise.resolve();
  const news = { fresh: true };
  const hub = createChangeHub(() => news.fresh);
  const store: RoleAssignmentStore = {
    async ofPrincipal(principalId) {
      reads += 1;
      const found = rows.filter((row) => row.principalId === principalId);
      await held;
      return found;
    },
    list: async () => rows,
    async add(added) {
      rows = [...rows, added];
      hub.publish([{ topic: 'roleAssignments', key: added.principalId }]);
      return added;
    },
    async remove(id) {
      const before = rows.length;
      rows = rows.filter((row) => row.id !== id);
      hub.publish([{ topic: 'roleAssignments', key: everyKey }]);
      return rows.length < before;
    },
  };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return resolve;
  };
  const cache = cacheAssignments(store, hub);
  return { store, cache, hub, news, hold, reads: () => reads };
}

test('a principal is read once until something changes', async () => {
  const { cache, reads } = slowStore();
  await cache.add(assignment('a'));
  for (let n = 0; n < 3; n += 1) expect(await cache.ofPrincipal('p')).toHaveLength(1);
  expect(reads()).toBe(1);
  await cache.add(assignment('b'));
  expect(await cache.ofPrincipal('p')).toHaveLength(2);
  await cache.remove('a');
  expect(await cache.ofPrincipal('p')).toHaveLength(1);
  expect(await cache.ofPrincipal('q')).toEqual([]);
});

test('what was read before a removal is not kept after it', async () => {
  const { cache, hold } = slowStore();
  await cache.add(assignment('a'));
  const release = hold();
  const slow = cache.ofPrincipal('p');
  await cache.remove('a');
  release();
  await slow;
  expect(await cache.ofPrincipal('p')).toEqual([]);
});

test('a read that fails is tried again', async () => {
  const { store, hub } = slowStore();
  let fails = true;
  const failing = {
    ...store,
    async ofPrincipal(principalId: string) {
      if (fails) throw new Error('not now');
      return store.ofPrincipal(principalId);
    },
  };
  const cache = cacheAssignments(failing, hub);
  await expect(cache.ofPrincipal('p')).rejects.toThrow('not now');
  fails = false;
  expect(await cache.ofPrincipal('p')).toEqual([]);
});

test('a change elsewhere is forgotten when it is told, for the principal that it is about', async () => {
  const { store, cache, hub, reads } = slowStore();
  await cache.add(assignment('a'));
  await cache.add(assignment('b', 'q'));
  for (const principal of ['p', 'q']) await cache.rolesOf(principal);
  expect(reads()).toBe(2);
  // As another process does it: past this cache, with the news later.
  const other = cacheAssignments(store, createChangeHub());
  await other.remove('a');
  expect(cache.knownRoles('p')).toBeUndefined();
  expect((await cache.rolesOf('p')).assignments).toEqual([]);
  await cache.rolesOf('q');
  hub.publish([{ topic: 'roleAssignments', key: 'q' }]);
  expect(cache.knownRoles('q')).toBeUndefined();
  expect(cache.knownRoles('p')).toBeDefined();
  hub.lapse();
  expect(cache.knownRoles('p')).toBeUndefined();
});

test('without fresh news every question goes to the store', async () => {
  const { cache, news, reads } = slowStore();
  await cache.add(assignment('a'));
  await cache.rolesOf('p');
  news.fresh = false;
  expect(cache.knownRoles('p')).toBeUndefined();
  for (let n = 0; n < 3; n += 1) expect(await cache.ofPrincipal('p')).toHaveLength(1);
  expect(reads()).toBe(4);
  news.fresh = true;
  expect(cache.knownRoles('p')).toBeDefined();
});

test.each(['lapse', 'every', 'its own'] as const)(
  'what was read before news (%s) is not kept after it',
  async (kind) => {
    const { cache, hub, hold } = slowStore();
    const release = hold();
    const slow = cache.rolesOf('p');
    if (kind === 'lapse') hub.lapse();
    else hub.publish([{ topic: 'roleAssignments', key: kind === 'every' ? everyKey : 'p' }]);
    release();
    await slow;
    expect(cache.knownRoles('p')).toBeUndefined();
    await cache.rolesOf('p');
    expect(cache.knownRoles('p')).toBeDefined();
  },
);

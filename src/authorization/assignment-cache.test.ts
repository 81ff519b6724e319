/** Proves that what is kept in memory is never older than the last change made through it. */
import { expect, test } from 'vitest';
import { cacheAssignments } from './assignment-cache.ts';
import type { RoleAssignment, RoleAssignmentStore } from './role-assignments.ts';

function assignment(id: string, principalId = 'p'): RoleAssignment {
  return { id, tenantId: 't', principalId, roleId: 'r', scope: '/', created: 0 };
}

/** A store whose reads can be held back after they have seen the rows. */
function slowStore() {
  let rows: readonly RoleAssignment[] = [];
  let reads = 0;
  let held: Promise<void> = Promise.resolve();
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
      return added;
    },
    async remove(id) {
      const before = rows.length;
      rows = rows.filter((row) => row.id !== id);
      return rows.length < before;
    },
  };
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return resolve;
  };
  return { store, hold, reads: () => reads };
}

test('a principal is read once until something changes', async () => {
  const { store, reads } = slowStore();
  const cache = cacheAssignments(store);
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
  const { store, hold } = slowStore();
  const cache = cacheAssignments(store);
  await cache.add(assignment('a'));
  const release = hold();
  const slow = cache.ofPrincipal('p');
  await cache.remove('a');
  release();
  await slow;
  expect(await cache.ofPrincipal('p')).toEqual([]);
});

test('a read that fails is tried again', async () => {
  const { store } = slowStore();
  let fails = true;
  const cache = cacheAssignments({
    ...store,
    async ofPrincipal(principalId) {
      if (fails) throw new Error('not now');
      return store.ofPrincipal(principalId);
    },
  });
  await expect(cache.ofPrincipal('p')).rejects.toThrow('not now');
  fails = false;
  expect(await cache.ofPrincipal('p')).toEqual([]);
});

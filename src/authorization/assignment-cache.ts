import type { RoleAssignment, RoleAssignmentStore } from './role-assignments.ts';

const mostPrincipals = 10_000;

/** Keeps each principal's assignments in memory, and forgets them all when any is added or removed through it. */
export function cacheAssignments(store: RoleAssignmentStore): RoleAssignmentStore {
  const kept = new Map<string, Promise<readonly RoleAssignment[]>>();
  return {
    ofPrincipal(principalId) {
      const known = kept.get(principalId);
      if (known !== undefined) return known;
      if (kept.size >= mostPrincipals) kept.clear();
      const read = store.ofPrincipal(principalId);
      kept.set(principalId, read);
      read.catch(() => kept.delete(principalId));
      return read;
    },
    list: () => store.list(),
    async add(assignment) {
      const added = await store.add(assignment);
      kept.clear();
      return added;
    },
    async remove(id) {
      const removed = await store.remove(id);
      kept.clear();
      return removed;
    },
  };
}

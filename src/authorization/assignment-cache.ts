import type { ChangeFeed } from '../core/changes.ts';
import { type PrincipalRoles, rolesFrom } from './authorize.ts';
import type { RoleAssignmentStore } from './role-assignments.ts';

const mostPrincipals = 10_000;

export interface CachedAssignments extends RoleAssignmentStore {
  rolesOf(principalId: string): Promise<PrincipalRoles>;
  /** The same for a principal that is in memory, without waiting. */
  knownRoles(principalId: string): PrincipalRoles | undefined;
}

/** Keeps each principal's assignments in memory, as long as the feed vouches for them. */
export function cacheAssignments(store: RoleAssignmentStore, feed: ChangeFeed): CachedAssignments {
  const kept = new Map<string, PrincipalRoles>();
  let changes = 0;
  feed.subscribe('roleAssignments', (principalId) => {
    changes += 1;
    if (principalId === undefined) kept.clear();
    else kept.delete(principalId);
  });
  const known = (principalId: string) => (feed.fresh() ? kept.get(principalId) : undefined);
  const rolesOf = async (principalId: string): Promise<PrincipalRoles> => {
    const there = known(principalId);
    if (there !== undefined) return there;
    const before = changes;
    const roles = rolesFrom(await store.ofPrincipal(principalId));
    // What was read before a change must not be kept after it.
    if (before === changes) {
      if (kept.size >= mostPrincipals) kept.clear();
      kept.set(principalId, roles);
    }
    return roles;
  };
  return {
    rolesOf,
    knownRoles: known,
    ofPrincipal: async (principalId) => (await rolesOf(principalId)).assignments,
    list: () => store.list(),
    add: (assignment) => store.add(assignment),
    remove: (id) => store.remove(id),
  };
}

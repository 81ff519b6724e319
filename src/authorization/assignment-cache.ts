import { type PrincipalRoles, rolesFrom } from './authorize.ts';
import type { RoleAssignmentStore } from './role-assignments.ts';

const mostPrincipals = 10_000;

export interface CachedAssignments extends RoleAssignmentStore {
  rolesOf(principalId: string): Promise<PrincipalRoles>;
  /** The same for a principal that is in memory, without waiting. */
  knownRoles(principalId: string): PrincipalRoles | undefined;
}

/** Keeps each principal's assignments in memory, and forgets them all when any is added or removed through it. */
export function cacheAssignments(store: RoleAssignmentStore): CachedAssignments {
  const kept = new Map<string, PrincipalRoles>();
  let changes = 0;
  const forget = () => {
    changes += 1;
    kept.clear();
  };
  const rolesOf = async (principalId: string): Promise<PrincipalRoles> => {
    const known = kept.get(principalId);
    if (known !== undefined) return known;
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
    knownRoles: (principalId) => kept.get(principalId),
    ofPrincipal: async (principalId) => (await rolesOf(principalId)).assignments,
    list: () => store.list(),
    add: (assignment) => store.add(assignment).finally(forget),
    remove: (id) => store.remove(id).finally(forget),
  };
}

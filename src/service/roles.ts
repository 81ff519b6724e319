/** Builds what decides on roles: their stores, what is kept of them in memory, and the rules of changing them. */
import { type CachedAssignments, cacheAssignments } from '../authorization/assignment-cache.ts';
import type { AssignmentManagementDeps } from '../authorization/assignment-management.ts';
import type { Clock } from '../core/clock.ts';
import { createDirectoryCache, type DirectoryCache } from '../identity/directory-cache.ts';
import { principalTypeOf } from '../identity/principal-type.ts';
import type { Database } from '../storage/database.ts';
import { createPrincipalStore } from '../storage/principals.ts';
import { createRoleAssignmentStore } from '../storage/role-assignments.ts';
import { createRoleDefinitionStore } from '../storage/role-definitions.ts';

export interface RoleParts {
  readonly directoryCache: DirectoryCache;
  readonly assignments: CachedAssignments;
  /** For the rows of Microsoft.Authorization. */
  readonly roleManagement: AssignmentManagementDeps;
}

export function buildRoles(db: Database, clock: Clock): RoleParts {
  const directoryCache = createDirectoryCache(createPrincipalStore(db), db.feed);
  const definitions = createRoleDefinitionStore(db);
  const assignments = cacheAssignments({
    store: createRoleAssignmentStore(db),
    definitions,
    feed: db.feed,
    async groupsOf({ objectId, tenantId }) {
      const { principal, groups } = await directoryCache.entryOf(objectId);
      return principal?.tenantId === tenantId ? groups : undefined;
    },
  });
  const findPrincipal = async (objectId: string) => {
    const { principal } = await directoryCache.entryOf(objectId);
    if (principal === undefined) return undefined;
    return { tenantId: principal.tenantId, type: principalTypeOf(principal) };
  };
  const groupsOf = async (objectId: string) => directoryCache.groupsOf(objectId);
  return {
    directoryCache,
    assignments,
    roleManagement: { assignments, definitions, findPrincipal, groupsOf, clock },
  };
}

import { foldCase } from '../core/names.ts';

/** A role given to a principal at a scope and everything below it. */
export interface RoleAssignment {
  /** GUID. */
  readonly id: string;
  readonly tenantId: string;
  readonly principalId: string;
  /** The role definition's GUID. */
  readonly roleId: string;
  /** `/`, or an ARM id: subscription, resource group, vault, or one object of a vault. */
  readonly scope: string;
  readonly created: number;
}

/** Port: the assignments of one principal, and changing them. */
export interface RoleAssignmentStore {
  ofPrincipal(principalId: string): Promise<readonly RoleAssignment[]>;
  list(): Promise<readonly RoleAssignment[]>;
  /** Adds the assignment; answers the one already there with the same principal, role and scope, if any. */
  add(assignment: RoleAssignment): Promise<RoleAssignment>;
  remove(id: string): Promise<boolean>;
}

/** Whether `scope` is `target` or above it, by whole segments: `vaults/kv1` does not cover `vaults/kv10`. */
export function scopeCovers(scope: string, target: string): boolean {
  if (scope === '/') return true;
  if (!scope.startsWith('/')) return false;
  const above = foldCase(scope.endsWith('/') ? scope.slice(0, -1) : scope);
  const below = foldCase(target);
  return below.startsWith(above) && (below.length === above.length || below[above.length] === '/');
}

import type { ChangeFeed } from '../core/changes.ts';
import type { Principal } from '../core/principal.ts';
import { type PrincipalRoles, rolesFrom } from './principal-roles.ts';
import type { RoleAssignment, RoleAssignmentStore } from './role-assignments.ts';
import type { RoleDefinitionStore } from './role-definitions.ts';
import { findRole } from './roles.ts';

/** Principals, with one more for each assignment of theirs: what bounds the memory. */
const most = 200_000;

/** Whose roles are asked for: a principal of a verified token. */
export type RoleHolder = Pick<Principal, 'objectId' | 'tenantId' | 'groups'>;

export interface CachedAssignments extends RoleAssignmentStore {
  rolesOf(principal: RoleHolder): Promise<PrincipalRoles>;
  /** The same for a principal that is in memory, without waiting. */
  knownRoles(principal: RoleHolder): PrincipalRoles | undefined;
}

export interface AssignmentCacheDeps {
  readonly store: RoleAssignmentStore;
  readonly definitions: Pick<RoleDefinitionStore, 'byIds'>;
  /**
   * Object ids of all groups of a principal of the tenant, however they are nested; undefined if the directory does not
   * know it, and its token is to be believed.
   */
  readonly groupsOf: (principal: RoleHolder) => Promise<readonly string[] | undefined>;
  readonly feed: ChangeFeed;
}

interface Kept {
  readonly tenantId: string;
  /** What the token says, where that counts; undefined where the directory's word does. */
  readonly tokenGroups: readonly string[] | undefined;
  readonly roles: PrincipalRoles;
}

/** Keeps each principal's roles in memory, as long as the feed vouches for all that they are made of. */
export function cacheAssignments(deps: AssignmentCacheDeps): CachedAssignments {
  const { store, feed } = deps;
  const memory = createMemory(feed);
  const known = (principal: RoleHolder) => {
    const kept = feed.fresh() ? memory.get(principal.objectId) : undefined;
    return kept !== undefined && isFor(kept, principal) ? kept.roles : undefined;
  };
  return {
    ...store,
    knownRoles: known,
    async rolesOf(principal) {
      const there = known(principal);
      if (there !== undefined) return there;
      const before = memory.changes();
      const made = await readRoles(deps, principal);
      // What was read before a change must not be kept after it.
      if (before === memory.changes()) memory.set(principal.objectId, made);
      return made.roles;
    },
  };
}

function isFor({ tenantId, tokenGroups }: Kept, principal: RoleHolder): boolean {
  if (tenantId !== principal.tenantId) return false;
  if (tokenGroups === undefined || tokenGroups === principal.groups) return true;
  const { groups } = principal;
  return tokenGroups.length === groups.length && tokenGroups.every((group, at) => group === groups[at]);
}

async function readRoles(deps: AssignmentCacheDeps, principal: RoleHolder): Promise<Kept> {
  const { objectId, tenantId } = principal;
  const fromDirectory = await deps.groupsOf(principal);
  const groups = fromDirectory ?? principal.groups;
  const assignments = await deps.store.ofPrincipals([objectId, ...groups]);
  const customRoles = await deps.definitions.byIds(customRoleIds(assignments));
  return {
    tenantId,
    tokenGroups: fromDirectory === undefined ? principal.groups : undefined,
    roles: rolesFrom({ assignments, groups, customRoles }),
  };
}

function customRoleIds(assignments: readonly RoleAssignment[]): readonly string[] {
  const ids = new Set(assignments.map(({ roleId }) => roleId));
  return [...ids].filter((id) => findRole(id) === undefined);
}

function createMemory(feed: ChangeFeed) {
  const kept = new Map<string, Kept>();
  let weight = 0;
  let changes = 0;
  const forgetAll = () => {
    changes += 1;
    weight = 0;
    kept.clear();
  };
  const forget = (objectId: string) => {
    const there = kept.get(objectId);
    if (there === undefined) return;
    weight -= weightOf(there);
    kept.delete(objectId);
  };
  /** A principal's news is news to all who are in it, if it is a group. */
  const forgetWith = (objectId: string | undefined) => {
    if (objectId === undefined) return forgetAll();
    changes += 1;
    forget(objectId);
    for (const [id, { roles }] of kept) if (roles.groups.includes(objectId)) forget(id);
  };
  feed.subscribe('roleAssignments', forgetWith);
  feed.subscribe('principal', forgetWith);
  feed.subscribe('roleDefinitions', forgetAll);
  return {
    get: (objectId: string) => kept.get(objectId),
    changes: () => changes,
    set(objectId: string, made: Kept) {
      forget(objectId);
      if (weight + weightOf(made) > most) forgetAll();
      weight += weightOf(made);
      kept.set(objectId, made);
    },
  };
}

function weightOf({ roles }: Kept): number {
  return 1 + roles.assignments.length + roles.groups.length;
}

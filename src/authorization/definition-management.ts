/** What a caller of the management plane may do to role definitions: the rules of a tenant's own roles. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { foldCase, isGuid } from '../core/names.ts';
import type { CachedAssignments } from './assignment-cache.ts';
import type { AtScope } from './assignment-management.ts';
import { authorizeManagement } from './authorize-management.ts';
import { builtInRoles } from './built-in-roles.ts';
import {
  assertValidRole,
  isAssignable,
  mostDefinitions,
  type PutRoleOutcome,
  type RoleDefinition,
  type RoleDefinitionStore,
} from './role-definitions.ts';
import { findRole, type Role } from './roles.ts';
import { keysAbove, scopeKey } from './scopes.ts';

export interface DefinitionManagementDeps {
  readonly assignments: Pick<CachedAssignments, 'rolesOf'>;
  readonly definitions: RoleDefinitionStore;
  readonly clock: Clock;
}

export type DefinitionInput = Pick<
  Role,
  'name' | 'description' | 'actions' | 'notActions' | 'dataActions' | 'notDataActions' | 'assignableScopes'
>;

export interface DefinitionFilter {
  readonly roleName?: string;
  readonly type?: 'BuiltInRole' | 'CustomRole';
  /** Also roles that can be given below the scope only. */
  readonly andBelow?: boolean;
}

/** The roles that can be given at the scope, in the order of their ids. */
export async function listDefinitions(
  { definitions }: DefinitionManagementDeps,
  { tenantId, scope }: AtScope,
  filter: DefinitionFilter,
): Promise<readonly Role[]> {
  const above = keysAbove(scope, tenantId);
  const below = scope === '/' ? '/' : `${scopeKey(scope)}/`;
  const custom = filter.type === 'BuiltInRole' ? [] : await definitions.list(tenantId);
  const builtIn = filter.type === 'CustomRole' ? [] : builtInRoles;
  const name = filter.roleName === undefined ? undefined : foldCase(filter.roleName);
  const found = [...builtIn, ...custom].filter(
    (role) =>
      (name === undefined || foldCase(role.name) === name) &&
      (isAssignable(role, above) ||
        (filter.andBelow === true &&
          role.assignableScopes.some((assignable) => scopeKey(assignable).startsWith(below)))),
  );
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The role of this GUID: a built-in one, or one of the tenant's own. */
export async function findDefinition(
  { definitions }: Pick<DefinitionManagementDeps, 'definitions'>,
  tenantId: string,
  name: string,
): Promise<Role | undefined> {
  const id = foldCase(name);
  if (!isGuid(id)) return undefined;
  const role = findRole(id) ?? (await definitions.byIds([id]))[0];
  return role !== undefined && (role.tenantId ?? tenantId) === tenantId ? role : undefined;
}

/** Whether the role is a tenant's own; those have more to show. */
export function isCustom(role: Role): role is RoleDefinition {
  return role.tenantId !== undefined;
}

/**
 * Writes a custom role. The caller must be allowed to at every scope where it can be assigned, now and before: a role
 * changes what its holders may do at all of them.
 */
export async function putDefinition(
  deps: DefinitionManagementDeps,
  at: AtScope,
  { name, input }: { name: string; input: DefinitionInput },
): Promise<RoleDefinition> {
  const id = foldCase(name);
  if (!isGuid(id))
    throw new Failure('invalidRoleDefinitionId', `The role definition ID '${name}' is not valid.`);
  if (findRole(id) !== undefined) throw builtIn();
  const now = deps.clock.now();
  const by = at.principal.objectId;
  const { tenantId } = at;
  const definition: RoleDefinition = {
    ...{ ...input, id, tenantId, condition: undefined },
    ...{ created: now, updated: now, createdBy: by, updatedBy: by },
  };
  assertValidRole(definition);
  for (;;) {
    const was = await findCustom(deps, at, id);
    await authorizeEverywhere(deps, at, {
      action: 'Microsoft.Authorization/roleDefinitions/write',
      scopes: [...definition.assignableScopes, ...(was?.assignableScopes ?? [])],
    });
    if (findRole(definition.name) !== undefined) throw sameName(definition.name);
    const outcome = await deps.definitions.put({ definition, was, most: mostDefinitions });
    // Somebody else has written it since: whether the caller may replace that one is asked again.
    if (outcome === 'changed') continue;
    assertWritten(outcome, definition);
    return was === undefined ? definition : { ...definition, created: was.created, createdBy: was.createdBy };
  }
}

function assertWritten(outcome: PutRoleOutcome, { id, name }: RoleDefinition): void {
  switch (outcome) {
    case 'taken':
      throw sameName(name);
    case 'foreign':
      throw new Failure('conflict', `The role definition ID '${id}' is in use.`);
    case 'full':
      throw new Failure(
        'roleDefinitionLimitExceeded',
        'Role definition limit exceeded. No more role definitions can be created.',
      );
  }
}

async function findCustom(
  deps: Pick<DefinitionManagementDeps, 'definitions'>,
  { tenantId }: AtScope,
  id: string,
): Promise<RoleDefinition | undefined> {
  const role = await findDefinition(deps, tenantId, id);
  return role !== undefined && isCustom(role) ? role : undefined;
}

/** Removes a custom role that is assigned to nobody, and answers what it was; undefined if there was none. */
export async function removeDefinition(
  deps: DefinitionManagementDeps,
  at: AtScope,
  name: string,
): Promise<RoleDefinition | undefined> {
  for (;;) {
    const role = await findDefinition(deps, at.tenantId, name);
    if (role === undefined) return undefined;
    if (!isCustom(role)) throw builtIn();
    await authorizeEverywhere(deps, at, {
      action: 'Microsoft.Authorization/roleDefinitions/delete',
      scopes: role.assignableScopes,
    });
    switch (await deps.definitions.remove(role)) {
      case 'assigned':
        throw new Failure(
          'roleDefinitionHasAssignments',
          'There are existing role assignments referencing this role definition. Remove them before deleting it.',
        );
      case 'missing':
        return undefined;
      case 'removed':
        return role;
      case 'changed':
        continue;
    }
  }
}

async function authorizeEverywhere(
  { assignments }: DefinitionManagementDeps,
  { principal, tenantId }: AtScope,
  { action, scopes }: { action: string; scopes: readonly string[] },
): Promise<void> {
  const roles = await assignments.rolesOf(principal);
  for (const scope of new Set(scopes)) authorizeManagement({ principal, tenantId, action, scope }, roles);
}

function builtIn(): Failure {
  return new Failure('builtInRole', 'Built-in roles can be neither changed nor deleted.');
}

function sameName(name: string): Failure {
  return new Failure(
    'roleDefinitionWithSameNameExists',
    `There is a role named '${name}' in this tenant already.`,
  );
}

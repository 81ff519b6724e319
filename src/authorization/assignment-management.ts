/** What a caller of the management plane may do to role assignments: the rules of writing, removing and listing them. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { foldCase, isGuid } from '../core/names.ts';
import type { Principal } from '../core/principal.ts';
import type { CachedAssignments } from './assignment-cache.ts';
import { authorizeManagement } from './authorize-management.ts';
import { ConditionRefused, conditionActions, parseCondition } from './condition-parser.ts';
import type { AttributeValues } from './conditions.ts';
import {
  type AssignmentWrite,
  mostAssignments,
  type PrincipalType,
  type RoleAssignment,
} from './role-assignments.ts';
import { isAssignable, type RoleDefinitionStore } from './role-definitions.ts';
import { findRole, type Role, rolePermits } from './roles.ts';
import { keysAbove, parseScope, scopeKey } from './scopes.ts';

/** What is known of an object id. */
export interface KnownPrincipal {
  readonly tenantId: string;
  /** Undefined where the directory does not tell users from applications, as for subjects of an issuer outside. */
  readonly type: PrincipalType | undefined;
}

export interface AssignmentManagementDeps {
  readonly assignments: CachedAssignments;
  readonly definitions: RoleDefinitionStore;
  readonly findPrincipal: (objectId: string) => Promise<KnownPrincipal | undefined>;
  /** All groups of a principal, however they are nested. */
  readonly groupsOf: (objectId: string) => Promise<readonly string[]>;
  readonly clock: Clock;
}

/** Where a caller asks for something. */
export interface AtScope {
  readonly principal: Principal;
  readonly tenantId: string;
  /** `/` or an ARM id. */
  readonly scope: string;
}

export interface AssignmentInput {
  /** The assignment's id, which the caller chooses. */
  readonly name: string;
  readonly roleDefinitionId: string;
  readonly principalId: string;
  readonly principalType: PrincipalType | undefined;
  readonly condition: string | undefined;
  readonly conditionVersion: string | undefined;
  readonly description: string | undefined;
}

const [writeAction, deleteAction] = conditionActions;

/**
 * Gives a role, or another condition and description to what was given under the same name. Fails with Azure's kinds;
 * `authorizationFailed` if the caller's own roles, with their conditions, do not allow this very assignment.
 */
export async function putAssignment(
  deps: AssignmentManagementDeps,
  at: AtScope,
  input: AssignmentInput,
): Promise<RoleAssignment> {
  const name = foldCase(input.name);
  if (!isGuid(name)) {
    throw new Failure(
      'invalidRoleAssignmentId',
      `The role assignment ID '${input.name}' is not valid. The role assignment ID must be a GUID.`,
    );
  }
  const place = placeOf(at);
  const role = await findAssignable(deps, at, input.roleDefinitionId);
  const condition = checkedCondition(role, input);
  const principalId = foldCase(input.principalId);
  const known = isGuid(principalId) ? await deps.findPrincipal(principalId) : undefined;
  // What the directory does not know has no type but the one that the caller would like it to have.
  await authorizeWrite(deps, at, attributesOf({ roleId: role.id, principalId }, known?.type));
  const assignment: RoleAssignment = {
    id: name,
    tenantId: at.tenantId,
    principalId,
    roleId: role.id,
    scope: at.scope,
    created: deps.clock.now(),
    principalType: checkedType(at, { ...input, principalId }, known),
    condition,
    description: input.description,
    createdBy: at.principal.objectId,
    updatedBy: at.principal.objectId,
  };
  const isCustomRole = role.tenantId !== undefined;
  return write(deps, { assignment, place, isCustomRole, most: mostAssignments });
}

async function authorizeWrite(
  { assignments }: AssignmentManagementDeps,
  { principal, tenantId, scope }: AtScope,
  request: AttributeValues,
): Promise<void> {
  const question = { principal, tenantId, scope, action: writeAction, request: { Request: request } };
  authorizeManagement(question, await assignments.rolesOf(principal));
}

function attributesOf(
  of: Pick<RoleAssignment, 'roleId' | 'principalId'>,
  type: PrincipalType | undefined,
): AttributeValues {
  const { roleId, principalId } = of;
  return {
    RoleDefinitionId: roleId,
    PrincipalId: principalId,
    ...(type === undefined ? {} : { PrincipalType: type }),
  };
}

/** What must be there for the scope to be; refuses scopes that nothing here can be at. */
function placeOf({ scope, tenantId }: AtScope): AssignmentWrite['place'] {
  const parsed = parseScope(scope);
  switch (parsed?.kind) {
    case 'root':
      return {};
    case 'managementGroup':
      // There is the tenant's root group and no other.
      if (foldCase(parsed.id) === tenantId) return {};
      break;
    case 'subscription':
      return { subscriptionId: foldCase(parsed.subscriptionId) };
    case 'resourceGroup':
      return { subscriptionId: foldCase(parsed.subscriptionId), resourceGroup: parsed.resourceGroup };
    case 'resource': {
      const [type = '', name, objects, ...rest] = parsed.path;
      const kind = foldCase(`${parsed.provider}/${type}`);
      const isVault = kind === 'microsoft.keyvault/vaults';
      const isObject =
        objects === undefined ||
        (['secrets', 'keys', 'certificates'].includes(foldCase(objects)) && rest.length === 1);
      const isIdentity = kind === 'microsoft.managedidentity/userassignedidentities';
      const group = {
        subscriptionId: foldCase(parsed.subscriptionId),
        resourceGroup: parsed.resourceGroup,
      };
      if (isVault && isObject) return { ...group, vault: name };
      if (isIdentity && objects === undefined) return { ...group, identity: name };
      break;
    }
  }
  throw scopeAbsent(scope);
}

function scopeAbsent(scope: string): Failure {
  return new Failure('resourceNotFound', `The scope '${scope}' was not found.`);
}

const definitionsOf = '/providers/microsoft.authorization/roledefinitions/';

/** The GUID of the role that an id names, whatever scope it is written below; undefined if it is no such id. */
function roleIdOf(definitionId: string): string | undefined {
  const folded = foldCase(definitionId);
  const at = folded.lastIndexOf(definitionsOf);
  if (at < 0 || (at > 0 && parseScope(folded.slice(0, at)) === undefined)) return undefined;
  const id = folded.slice(at + definitionsOf.length);
  return isGuid(id) ? id : undefined;
}

async function findAssignable(
  { definitions }: AssignmentManagementDeps,
  { tenantId, scope }: AtScope,
  definitionId: string,
): Promise<Role> {
  const id = roleIdOf(definitionId);
  if (id === undefined)
    throw new Failure('invalidRoleDefinitionId', `The role definition ID '${definitionId}' is not valid.`);
  const role = findRole(id) ?? (await definitions.byIds([id]))[0];
  const isHere = role !== undefined && (role.tenantId ?? tenantId) === tenantId;
  if (!isHere || !isAssignable(role, keysAbove(scope, tenantId)))
    throw new Failure(
      'roleDefinitionDoesNotExist',
      `The specified role definition with ID '${id}' does not exist.`,
    );
  return role;
}

/** The condition, if it is one that is enforced: of a version and grammar that are known, on a role that it constrains. */
function checkedCondition(role: Role, input: AssignmentInput): string | undefined {
  const { condition, conditionVersion } = input;
  if (condition === undefined || condition.trim() === '') {
    if (conditionVersion === undefined || conditionVersion === '') return undefined;
    throw new Failure('conditionNotSupported', 'There is a conditionVersion and no condition.');
  }
  if (conditionVersion !== '2.0')
    throw new Failure('conditionNotSupported', "Conditions are supported in conditionVersion '2.0' only.");
  if (!conditionActions.some((action) => rolePermits(role, 'action', action)))
    throw new Failure(
      'conditionNotSupported',
      'Conditions are supported on roles that may write or delete role assignments only.',
    );
  try {
    parseCondition(condition);
  } catch (error) {
    if (!(error instanceof ConditionRefused)) throw error;
    throw new Failure('conditionNotSupported', `The condition is not supported: ${error.message}.`);
  }
  return condition;
}

function checkedType(
  { tenantId }: AtScope,
  { principalId, principalType }: Pick<AssignmentInput, 'principalId' | 'principalType'>,
  known: KnownPrincipal | undefined,
): PrincipalType {
  // An issuer outside may vouch for subjects that the directory has never seen; their type has to be said.
  const isUnknown = known === undefined && isGuid(principalId) && principalType !== undefined;
  if (isUnknown) return principalType;
  if (known === undefined || known.tenantId !== tenantId) {
    throw new Failure(
      'principalNotFound',
      `Principal ${principalId.replaceAll('-', '')} does not exist in the directory ${tenantId}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype`,
    );
  }
  if (known.type === undefined) return principalType ?? 'ServicePrincipal';
  if (principalType !== undefined && principalType !== known.type) {
    throw new Failure(
      'unmatchedPrincipalType',
      `The PrincipalId '${principalId.replaceAll('-', '')}' has type '${known.type}' , which is different from specified PrinciaplType '${principalType}'.`,
    );
  }
  return known.type;
}

async function write(
  { assignments }: AssignmentManagementDeps,
  asked: AssignmentWrite,
): Promise<RoleAssignment> {
  const result = await assignments.put(asked);
  const { roleId, scope } = asked.assignment;
  switch (result.outcome) {
    case 'created':
    case 'updated':
      return result.assignment;
    case 'exists':
      throw new Failure(
        'roleAssignmentExists',
        `The role assignment already exists. The ID of the existing role assignment is ${result.assignment.id.replaceAll('-', '')}.`,
      );
    case 'differs':
      throw new Failure(
        'roleAssignmentUpdateNotPermitted',
        'Tenant ID, application ID, principal ID, and scope are not allowed to be updated.',
      );
    case 'full':
      throw new Failure(
        'roleAssignmentLimitExceeded',
        `No more role assignments can be created: a subscription has at most ${asked.most}.`,
      );
    case 'roleAbsent':
      throw new Failure(
        'roleDefinitionDoesNotExist',
        `The specified role definition with ID '${roleId}' does not exist.`,
      );
    case 'scopeAbsent':
      throw scopeAbsent(scope);
  }
}

/** The assignment of this name at this very scope; undefined if there is none. */
export async function findAssignment(
  { assignments }: Pick<AssignmentManagementDeps, 'assignments'>,
  { tenantId, scope }: AtScope,
  name: string,
): Promise<RoleAssignment | undefined> {
  const found = await assignments.byId(foldCase(name));
  if (found === undefined || found.tenantId !== tenantId) return undefined;
  return scopeKey(found.scope) === scopeKey(scope) ? found : undefined;
}

/** Takes a role away, and answers what it was; undefined if there was nothing. */
export async function removeAssignment(
  deps: AssignmentManagementDeps,
  at: AtScope,
  name: string,
): Promise<RoleAssignment | undefined> {
  const found = await findAssignment(deps, at, name);
  if (found === undefined) return undefined;
  const { principal, tenantId, scope } = at;
  const type = (await deps.findPrincipal(found.principalId))?.type;
  const request = { Resource: attributesOf(found, type) };
  const roles = await deps.assignments.rolesOf(principal);
  authorizeManagement({ principal, tenantId, scope, action: deleteAction, request }, roles);
  const unlessLastOf = administers(found) ? administratorRoles : undefined;
  switch (await deps.assignments.remove({ id: found.id, was: found, unlessLastOf })) {
    case 'removed':
      return found;
    case 'missing':
      return undefined;
    case 'last':
      throw new Failure('lastAdministrator', 'Cannot delete the last RBAC admin assignment');
  }
}

/** Owner and User Access Administrator: without one of them nobody in a subscription could give access to it. */
const administratorRoles = ['8e3af657-a8ff-443c-a75c-2fe8c4bcb635', '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9'];

/** Azure keeps one of these at each subscription itself, whoever may have a role above it. */
function administers({ roleId, scope, condition }: RoleAssignment): boolean {
  return (
    administratorRoles.includes(roleId) &&
    condition === undefined &&
    parseScope(scope)?.kind === 'subscription'
  );
}

/** What a list is narrowed to; all that is given must hold. */
export interface AssignmentFilter {
  /** At the scope and above it only; otherwise below it too. */
  readonly atScope?: boolean;
  readonly principalId?: string;
  /** Given to this principal or to one of its groups. */
  readonly assignedTo?: string;
}

/** In the order of their ids. */
export async function listAssignments(
  { assignments, groupsOf }: AssignmentManagementDeps,
  { tenantId, scope }: AtScope,
  filter: AssignmentFilter,
): Promise<readonly RoleAssignment[]> {
  const above = keysAbove(scope, tenantId);
  const below = scope === '/' ? '/' : `${scopeKey(scope)}/`;
  const named = [];
  if (filter.principalId !== undefined) named.push([filter.principalId]);
  if (filter.assignedTo !== undefined)
    named.push([filter.assignedTo, ...(await groupsOf(filter.assignedTo))]);
  const [first, second] = named;
  const all = first === undefined ? await assignments.list(tenantId) : await assignments.ofPrincipals(first);
  const found = all.filter((assignment) => {
    const key = scopeKey(assignment.scope);
    return (
      assignment.tenantId === tenantId &&
      (above.includes(key) || (filter.atScope !== true && key.startsWith(below))) &&
      (second === undefined || second.includes(assignment.principalId))
    );
  });
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

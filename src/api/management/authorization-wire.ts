/** JSON of role definitions and assignments, in the order of Azure's members, and the filters of their lists. */
import * as v from 'valibot';
import type { AssignmentFilter } from '../../authorization/assignment-management.ts';
import { type DefinitionFilter, isCustom } from '../../authorization/definition-management.ts';
import type { RoleAssignment } from '../../authorization/role-assignments.ts';
import type { Role } from '../../authorization/roles.ts';
import { isoSevenDecimals } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { objectSchema } from '../vault/wire.ts';

const provider = '/providers/Microsoft.Authorization';
const text = (longest: number) => v.pipe(v.string(), v.maxLength(longest));
const patterns = v.nullish(v.array(v.string()), []);

export const assignmentSchema = objectSchema({
  properties: objectSchema({
    roleDefinitionId: text(1024),
    principalId: text(64),
    principalType: v.nullish(v.picklist(['User', 'Group', 'ServicePrincipal', 'ForeignGroup', 'Device'])),
    condition: v.nullish(text(16_384)),
    conditionVersion: v.nullish(text(16)),
    description: v.nullish(text(2048)),
  }),
});

export const definitionSchema = objectSchema({
  properties: objectSchema({
    roleName: v.string(),
    description: v.nullish(v.string(), ''),
    // Azure has one set of permissions in a custom role.
    permissions: v.pipe(
      v.array(
        objectSchema({
          actions: patterns,
          notActions: patterns,
          dataActions: patterns,
          notDataActions: patterns,
          condition: v.nullish(v.literal('', 'Conditions in custom roles are not supported.')),
        }),
      ),
      v.length(1, 'A custom role has one set of permissions.'),
    ),
    assignableScopes: v.array(v.string()),
    type: v.nullish(v.literal('CustomRole', "The type of a role that is written is 'CustomRole'.")),
  }),
});

/** The prefix of ids at a scope: nothing at the tenant's root. */
function prefixOf(scope: string): string {
  return scope === '/' ? '' : scope;
}

/** Role definitions are named below the subscription, whatever scope in it is asked. */
function definitionPrefix(scope: string): string {
  return /^\/subscriptions\/[^/]+/i.exec(scope)?.[0] ?? '';
}

function permissionsWire(role: Role): object {
  const { actions, notActions, dataActions, notDataActions, condition } = role;
  const lists = { actions, notActions, dataActions, notDataActions };
  return condition === undefined ? lists : { ...lists, conditionVersion: '2.0', condition };
}

export function permissionSet(roles: readonly Role[]): object {
  return { value: roles.map(permissionsWire) };
}

export function definitionWire(role: Role, scope: string): object {
  const { created, updated, createdBy, updatedBy } = isCustom(role)
    ? role
    : { created: undefined, updated: undefined, createdBy: null, updatedBy: null };
  return {
    properties: {
      roleName: role.name,
      type: isCustom(role) ? 'CustomRole' : 'BuiltInRole',
      description: role.description,
      assignableScopes: role.assignableScopes,
      permissions: [permissionsWire(role)],
      createdOn: created === undefined ? undefined : isoSevenDecimals(created),
      updatedOn: updated === undefined ? undefined : isoSevenDecimals(updated),
      createdBy,
      updatedBy,
    },
    id: `${definitionPrefix(scope)}${provider}/roleDefinitions/${role.id}`,
    type: 'Microsoft.Authorization/roleDefinitions',
    name: role.id,
  };
}

export function assignmentId({ id, scope }: Pick<RoleAssignment, 'id' | 'scope'>): string {
  return `${prefixOf(scope)}${provider}/roleAssignments/${id}`;
}

export function assignmentWire(assignment: RoleAssignment): object {
  const { roleId, scope, condition, created, updated = created } = assignment;
  return {
    properties: {
      roleDefinitionId: `${definitionPrefix(scope)}${provider}/roleDefinitions/${roleId}`,
      principalId: assignment.principalId,
      principalType: assignment.principalType ?? 'Unknown',
      scope,
      condition: condition ?? null,
      conditionVersion: condition === undefined ? null : '2.0',
      createdOn: isoSevenDecimals(created),
      updatedOn: isoSevenDecimals(updated),
      createdBy: assignment.createdBy ?? null,
      updatedBy: assignment.updatedBy ?? null,
      delegatedManagedIdentityResourceId: null,
      description: assignment.description ?? null,
    },
    id: assignmentId(assignment),
    type: 'Microsoft.Authorization/roleAssignments',
    name: assignment.id,
  };
}

const term = {
  atScope: /^atScope\(\)$/i,
  andBelow: /^atScopeAndBelow\(\)$/i,
  principalId: /^principalId eq '?([0-9a-f-]{36})'?$/i,
  assignedTo: /^assignedTo\('([0-9a-f-]{36})'\)$/i,
  roleName: /^roleName eq '((?:[^']|'')*)'$/i,
  type: /^type eq '(BuiltInRole|CustomRole)'$/i,
};

const longestFilter = 1024;

/** The parts of a `$filter` that are joined by `and`, outside of texts; a quote in a text is doubled. */
function termsOf(filter: string | null): readonly string[] {
  if (filter === null || filter.trim() === '') return [];
  if (filter.length > longestFilter) throw unsupported(`${filter.slice(0, 64)}…`);
  const terms = [''];
  for (const [at, piece] of filter.split("'").entries()) {
    // Before each piece but the first stood a quote; every second piece is inside.
    const [head = '', ...rest] = at % 2 === 0 ? piece.split(/\s+and\s+/i) : [piece];
    terms.push(`${terms.pop() ?? ''}${at === 0 ? '' : "'"}${head}`, ...rest);
  }
  return terms.map((part) => part.trim());
}

function unsupported(filter: string): Failure {
  return new Failure('invalidFilter', `The filter '${filter}' is not supported.`);
}

export function parseAssignmentFilter(filter: string | null): AssignmentFilter {
  let parsed: AssignmentFilter = {};
  for (const part of termsOf(filter)) {
    const principalId = term.principalId.exec(part)?.[1];
    const assignedTo = term.assignedTo.exec(part)?.[1];
    if (term.atScope.test(part)) parsed = { ...parsed, atScope: true };
    else if (principalId !== undefined && parsed.principalId === undefined)
      parsed = { ...parsed, principalId: foldCase(principalId) };
    else if (assignedTo !== undefined && parsed.assignedTo === undefined)
      parsed = { ...parsed, assignedTo: foldCase(assignedTo) };
    else throw unsupported(part);
  }
  return parsed;
}

export function parseDefinitionFilter(filter: string | null): DefinitionFilter {
  let parsed: DefinitionFilter = {};
  for (const part of termsOf(filter)) {
    const roleName = term.roleName.exec(part)?.[1];
    const type = term.type.exec(part)?.[1];
    if (term.andBelow.test(part)) parsed = { ...parsed, andBelow: true };
    else if (term.atScope.test(part)) continue;
    else if (roleName !== undefined && parsed.roleName === undefined)
      parsed = { ...parsed, roleName: roleName.replaceAll("''", "'") };
    else if (type !== undefined && parsed.type === undefined)
      parsed = { ...parsed, type: foldCase(type) === 'customrole' ? 'CustomRole' : 'BuiltInRole' };
    else throw unsupported(part);
  }
  return parsed;
}

/**
 * Microsoft.Authorization's rows: role definitions, role assignments, and what clients ask besides. Every path begins
 * with a scope, which is empty at the tenant's root.
 */
import {
  type AssignmentManagementDeps,
  type AtScope,
  findAssignment,
  listAssignments,
  putAssignment,
  removeAssignment,
} from '../../authorization/assignment-management.ts';
import { allowingAssignment, authorizeManagement } from '../../authorization/authorize-management.ts';
import {
  findDefinition,
  isCustom,
  listDefinitions,
  putDefinition,
  removeDefinition,
} from '../../authorization/definition-management.ts';
import { rolesAt } from '../../authorization/principal-roles.ts';
import type { Role } from '../../authorization/roles.ts';
import { Failure } from '../../core/errors.ts';
import {
  assignmentId,
  assignmentSchema,
  assignmentWire,
  definitionSchema,
  definitionWire,
  parseAssignmentFilter,
  parseDefinitionFilter,
  permissionSet,
} from './authorization-wire.ts';
import { providerOperations, providerOperationsOf } from './provider-operations-metadata.ts';
import {
  type ManagementCall,
  type ManagementReply,
  type ManagementRoute,
  managementRoute,
  type PathParameters,
} from './route.ts';
import { listReply } from './wire.ts';

export type AuthorizationDeps = AssignmentManagementDeps;

export function authorizationRoutes(deps: AuthorizationDeps): readonly ManagementRoute[] {
  return [...assignmentRoutes(deps), ...definitionRoutes(deps), ...otherRoutes(deps)];
}

const provider = 'Microsoft.Authorization';
const base = `{scope}/providers/${provider}`;

/** The scope as the rules write it. */
function scopeOf(params: PathParameters): string {
  return params.scope === undefined || params.scope === '' ? '/' : params.scope;
}

function atScope({ params, principal, tenantId }: ManagementCall<unknown>): AtScope {
  return { principal, tenantId, scope: scopeOf(params) };
}

function nameOf({ params }: ManagementCall<unknown>): string {
  return params.name ?? '';
}

function ok(body: object, id?: string): ManagementReply {
  return id === undefined ? { status: 200, body } : { status: 200, body, id };
}

/** As Azure: what is gone already is no failure. */
const nothingThere: ManagementReply = { status: 204, body: undefined };

function assignmentRoutes(deps: AuthorizationDeps): readonly ManagementRoute[] {
  const common = { provider, scope: scopeOf };
  const one = `${base}/roleAssignments/:name`;
  return [
    managementRoute({
      ...common,
      operation: 'RoleAssignments_ListForScope',
      audit: 'RoleAssignmentList',
      method: 'GET',
      path: `${base}/roleAssignments`,
      action: 'Microsoft.Authorization/roleAssignments/read',
      async handle(call) {
        const filter = parseAssignmentFilter(call.query.get('$filter'));
        const items = await listAssignments(deps, atScope(call), filter);
        return listReply(call, {
          list: 'roleAssignments',
          items,
          keyOf: ({ id }) => id,
          wire: assignmentWire,
        });
      },
    }),
    managementRoute({
      ...common,
      operation: 'RoleAssignments_Get',
      audit: 'RoleAssignmentGet',
      method: 'GET',
      path: one,
      action: 'Microsoft.Authorization/roleAssignments/read',
      async handle(call) {
        const found = await findAssignment(deps, atScope(call), nameOf(call));
        if (found === undefined)
          throw new Failure('roleAssignmentNotFound', `The role assignment '${nameOf(call)}' is not found.`);
        return ok(assignmentWire(found), assignmentId(found));
      },
    }),
    managementRoute({
      ...common,
      operation: 'RoleAssignments_Create',
      audit: 'RoleAssignmentWrite',
      method: 'PUT',
      path: one,
      action: 'Microsoft.Authorization/roleAssignments/write',
      asksAgain: true,
      schema: assignmentSchema,
      async handle(call) {
        const { properties } = call.body;
        const written = await putAssignment(deps, atScope(call), {
          name: nameOf(call),
          roleDefinitionId: properties.roleDefinitionId,
          principalId: properties.principalId,
          principalType: properties.principalType ?? undefined,
          condition: properties.condition ?? undefined,
          conditionVersion: properties.conditionVersion ?? undefined,
          description: properties.description ?? undefined,
        });
        // Clients of older api-versions take nothing but 201, for a change too.
        return { status: 201, body: assignmentWire(written), id: assignmentId(written) };
      },
    }),
    managementRoute({
      ...common,
      operation: 'RoleAssignments_Delete',
      audit: 'RoleAssignmentDelete',
      method: 'DELETE',
      path: one,
      action: 'Microsoft.Authorization/roleAssignments/delete',
      asksAgain: true,
      async handle(call) {
        const removed = await removeAssignment(deps, atScope(call), nameOf(call));
        return removed === undefined ? nothingThere : ok(assignmentWire(removed), assignmentId(removed));
      },
    }),
  ];
}

const readDefinitions = 'Microsoft.Authorization/roleDefinitions/read';

/**
 * At the tenant's root, where clients look up roles by their ids, everyone sees the built-in ones, which are no secret;
 * a tenant's own only who may read them somewhere.
 */
async function readableDefinitions(
  { assignments }: AuthorizationDeps,
  { principal, tenantId, scope }: AtScope,
): Promise<(role: Role) => boolean> {
  const roles = await assignments.rolesOf(principal);
  const question = { principal, tenantId, action: readDefinitions };
  if (scope !== '/') {
    authorizeManagement({ ...question, scope }, roles);
    return () => true;
  }
  return (role) =>
    !isCustom(role) ||
    role.assignableScopes.some((at) => allowingAssignment({ ...question, scope: at }, roles) !== undefined);
}

function definitionRoutes(deps: AuthorizationDeps): readonly ManagementRoute[] {
  const common = { provider, scope: scopeOf };
  const one = `${base}/roleDefinitions/:name`;
  const wire = (role: Role, call: ManagementCall<unknown>) => definitionWire(role, scopeOf(call.params));
  return [
    managementRoute({
      ...common,
      operation: 'RoleDefinitions_List',
      audit: 'RoleDefinitionList',
      method: 'GET',
      path: `${base}/roleDefinitions`,
      // Asked for by the handler, except at the root.
      action: undefined,
      async handle(call) {
        const at = atScope(call);
        const isReadable = await readableDefinitions(deps, at);
        const found = await listDefinitions(deps, at, parseDefinitionFilter(call.query.get('$filter')));
        return listReply(call, {
          list: 'roleDefinitions',
          items: found.filter(isReadable),
          keyOf: ({ id }) => id,
          wire: (role) => wire(role, call),
        });
      },
    }),
    managementRoute({
      ...common,
      operation: 'RoleDefinitions_Get',
      audit: 'RoleDefinitionGet',
      method: 'GET',
      path: one,
      action: undefined,
      async handle(call) {
        const at = atScope(call);
        const isReadable = await readableDefinitions(deps, at);
        const role = await findDefinition(deps, at.tenantId, nameOf(call));
        if (role === undefined || !isReadable(role))
          throw new Failure(
            'roleDefinitionDoesNotExist',
            `The specified role definition with ID '${nameOf(call)}' does not exist.`,
          );
        return ok(wire(role, call));
      },
    }),
    managementRoute({
      ...common,
      operation: 'RoleDefinitions_CreateOrUpdate',
      audit: 'RoleDefinitionWrite',
      method: 'PUT',
      path: one,
      action: 'Microsoft.Authorization/roleDefinitions/write',
      schema: definitionSchema,
      async handle(call) {
        const { roleName, description, permissions, assignableScopes } = call.body.properties;
        const [{ actions, notActions, dataActions, notDataActions } = noPermissions] = permissions;
        const lists = { actions, notActions, dataActions, notDataActions };
        const input = { name: roleName, description, assignableScopes, ...lists };
        const role = await putDefinition(deps, atScope(call), { name: nameOf(call), input });
        return {
          status: 201,
          body: wire(role, call),
          id: `${base.replace('{scope}', '')}/roleDefinitions/${role.id}`,
        };
      },
    }),
    managementRoute({
      ...common,
      operation: 'RoleDefinitions_Delete',
      audit: 'RoleDefinitionDelete',
      method: 'DELETE',
      path: one,
      action: 'Microsoft.Authorization/roleDefinitions/delete',
      async handle(call) {
        const removed = await removeDefinition(deps, atScope(call), nameOf(call));
        return removed === undefined ? nothingThere : ok(wire(removed, call));
      },
    }),
  ];
}

const noPermissions = { actions: [], notActions: [], dataActions: [], notDataActions: [] };

function otherRoutes(deps: AuthorizationDeps): readonly ManagementRoute[] {
  const common = { provider, scope: scopeOf, method: 'GET' } as const;
  return [
    managementRoute({
      ...common,
      operation: 'Permissions_ListForResource',
      audit: 'PermissionList',
      path: `${base}/permissions`,
      action: 'Microsoft.Authorization/permissions/read',
      async handle(call) {
        const { principal, tenantId, scope } = atScope(call);
        const found = rolesAt(await deps.assignments.rolesOf(principal), { scope, tenantId });
        return ok(permissionSet(found.map(({ role }) => role)));
      },
    }),
    managementRoute({
      ...common,
      operation: 'ProviderOperationsMetadata_List',
      audit: 'ProviderOperationsList',
      path: `${base}/providerOperations`,
      action: undefined,
      handle: async () => ok({ value: providerOperations }),
    }),
    managementRoute({
      ...common,
      operation: 'ProviderOperationsMetadata_Get',
      audit: 'ProviderOperationsGet',
      path: `${base}/providerOperations/:name`,
      action: undefined,
      async handle(call) {
        const found = providerOperationsOf(nameOf(call));
        if (found === undefined)
          throw new Failure('notFound', `The resource provider '${nameOf(call)}' was not found.`);
        return ok(found);
      },
    }),
    managementRoute({
      ...common,
      operation: 'DenyAssignments_ListForScope',
      audit: 'DenyAssignmentList',
      path: `${base}/denyAssignments`,
      action: 'Microsoft.Authorization/denyAssignments/read',
      // Nothing makes any: Azure's come from blueprints and managed applications.
      handle: async () => ok({ value: [] }),
    }),
    managementRoute({
      ...common,
      operation: 'ClassicAdministrators_List',
      audit: 'ClassicAdministratorList',
      path: `${base}/classicAdministrators`,
      action: 'Microsoft.Authorization/classicAdministrators/read',
      handle: async () => ok({ value: [] }),
    }),
  ];
}

/** For each row of the management plane a request that succeeds, for the suite that proves what each row refuses. */
import { keyVaultExamples } from './key-vault-examples.ts';
import { managedIdentityExamples } from './managed-identity-examples.ts';
import type { ManagementCaller } from './management.ts';

/** Where an example acts. */
export interface Place {
  readonly subscriptionId: string;
  readonly tenantId: string;
  /** A GUID that is another in each example. */
  readonly id: string;
}

export interface Example {
  /** The path and, if it needs one, its query. */
  readonly path: (at: Place) => string;
  readonly prepare?: (call: ManagementCaller, at: Place) => Promise<unknown>;
  readonly body?: (at: Place) => object;
  readonly status?: number;
  readonly audit: string;
  /** Of a caller without any role; by default 403. */
  readonly stranger?: 200;
}

const sub = ({ subscriptionId }: Place) => `/subscriptions/${subscriptionId}`;
const group = (at: Place) => `${sub(at)}/resourceGroups/default`;
const vault = (at: Place) => `${group(at)}/providers/Microsoft.KeyVault/vaults/dev`;
const ownGroup = (name: string) => (at: Place) => `${sub(at)}/resourceGroups/${name}`;
const makeGroup = (name: string) => (call: ManagementCaller, at: Place) =>
  call('PUT', ownGroup(name)(at), { location: 'local' });
const tagName = (name: string) => (at: Place) => `${sub(at)}/tagNames/${name}`;
const makeTagName = (name: string) => (call: ManagementCaller, at: Place) => call('PUT', tagName(name)(at));
const rootGroup = ({ tenantId }: Place) => `/providers/Microsoft.Management/managementGroups/${tenantId}`;

const resources: Readonly<Record<string, Example>> = {
  Tenants_List: { path: () => '/tenants', audit: 'TenantList', stranger: 200 },
  Subscriptions_List: { path: () => '/subscriptions', audit: 'SubscriptionList', stranger: 200 },
  Subscriptions_Get: { path: sub, audit: 'SubscriptionGet' },
  Subscriptions_ListLocations: { path: (at) => `${sub(at)}/locations`, audit: 'LocationList' },
  ManagementGroups_List: {
    path: () => '/providers/Microsoft.Management/managementGroups',
    audit: 'ManagementGroupList',
    stranger: 200,
  },
  ManagementGroups_Get: { path: rootGroup, audit: 'ManagementGroupGet' },
  ResourceGroups_List: { path: (at) => `${sub(at)}/resourcegroups`, audit: 'ResourceGroupList' },
  ResourceGroups_Get: { path: group, audit: 'ResourceGroupGet' },
  ResourceGroups_CheckExistence: { path: group, status: 204, audit: 'ResourceGroupCheckExistence' },
  ResourceGroups_CreateOrUpdate: {
    path: ownGroup('new'),
    body: () => ({ location: 'local' }),
    status: 201,
    audit: 'ResourceGroupCreateOrUpdate',
  },
  ResourceGroups_Update: { path: group, body: () => ({ tags: {} }), audit: 'ResourceGroupUpdate' },
  ResourceGroups_Delete: {
    path: ownGroup('gone'),
    prepare: makeGroup('gone'),
    status: 202,
    audit: 'ResourceGroupDelete',
  },
  Resources_List: { path: (at) => `${sub(at)}/resources`, audit: 'ResourceList' },
  Resources_ListByResourceGroup: { path: (at) => `${group(at)}/resources`, audit: 'ResourceList' },
  Resources_CheckExistence: { path: vault, status: 204, audit: 'ResourceCheckExistence' },
  Providers_ListAtTenantScope: { path: () => '/providers', audit: 'ProviderList', stranger: 200 },
  Providers_GetAtTenantScope: {
    path: () => '/providers/Microsoft.KeyVault',
    audit: 'ProviderGet',
    stranger: 200,
  },
  Providers_List: { path: (at) => `${sub(at)}/providers`, audit: 'ProviderList' },
  Providers_Get: { path: (at) => `${sub(at)}/providers/Microsoft.KeyVault`, audit: 'ProviderGet' },
  Providers_Register: {
    path: (at) => `${sub(at)}/providers/Microsoft.KeyVault/register`,
    audit: 'ProviderRegister',
  },
  Providers_Unregister: {
    path: (at) => `${sub(at)}/providers/Microsoft.KeyVault/unregister`,
    audit: 'ProviderUnregister',
  },
  Tags_List: { path: (at) => `${sub(at)}/tagNames`, audit: 'TagNameList' },
  Tags_CreateOrUpdate: { path: tagName('made'), status: 201, audit: 'TagNameCreateOrUpdate' },
  Tags_Delete: { path: tagName('gone'), prepare: makeTagName('gone'), audit: 'TagNameDelete' },
  Tags_CreateOrUpdateValue: {
    path: tagName('valued/tagValues/v'),
    prepare: makeTagName('valued'),
    status: 201,
    audit: 'TagValueCreateOrUpdate',
  },
  Tags_DeleteValue: {
    path: tagName('emptied/tagValues/v'),
    prepare: makeTagName('emptied'),
    status: 204,
    audit: 'TagValueDelete',
  },
  OperationResults_Get: {
    path: (at) => `${sub(at)}/operationresults/${operationId(at)}`,
    audit: 'OperationResultGet',
    stranger: 200,
  },
  KeyVaultOperationResults_Get: {
    path: (at) =>
      `${sub(at)}/providers/Microsoft.KeyVault/locations/local/operationResults/${operationId(at)}`,
    audit: 'OperationResultGet',
    stranger: 200,
  },
};

function operationId({ subscriptionId }: Place): string {
  return Buffer.from(JSON.stringify({ v: 1, started: 1, subscriptionId })).toString('base64url');
}

const tags = (at: Place) => `${group(at)}/providers/Microsoft.Resources/tags/default`;
const lock = (name: string) => (at: Place) =>
  `${ownGroup(`locked-${name}`)(at)}/providers/Microsoft.Authorization/locks/l`;
const lockBody = () => ({ properties: { level: 'CanNotDelete' } });
const makeLock = (name: string) => async (call: ManagementCaller, at: Place) => {
  await makeGroup(`locked-${name}`)(call, at);
  await call('PUT', lock(name)(at), lockBody());
};

const extensions: Readonly<Record<string, Example>> = {
  Tags_GetAtScope: { path: tags, audit: 'TagsGet' },
  Tags_CreateOrUpdateAtScope: {
    path: tags,
    body: () => ({ properties: { tags: {} } }),
    audit: 'TagsCreateOrUpdate',
  },
  Tags_UpdateAtScope: {
    path: tags,
    body: () => ({ operation: 'Merge', properties: { tags: {} } }),
    audit: 'TagsUpdate',
  },
  Tags_DeleteAtScope: { path: tags, audit: 'TagsDelete' },
  ManagementLocks_ListByScope: {
    path: (at) => `${group(at)}/providers/Microsoft.Authorization/locks`,
    audit: 'LockList',
  },
  ManagementLocks_GetByScope: { path: lock('get'), prepare: makeLock('get'), audit: 'LockGet' },
  ManagementLocks_CreateOrUpdateByScope: {
    path: lock('put'),
    prepare: makeGroup('locked-put'),
    body: lockBody,
    status: 201,
    audit: 'LockCreateOrUpdate',
  },
  ManagementLocks_DeleteByScope: { path: lock('delete'), prepare: makeLock('delete'), audit: 'LockDelete' },
};

const authorization = (path: string) => (at: Place) =>
  `${group(at)}/providers/Microsoft.Authorization/${path}`;
const assignment = ({ id, ...at }: Place) => authorization(`roleAssignments/${id}`)({ id, ...at });
/** To nobody, so that no example gives another's caller anything. */
const assignmentBody = ({ id }: Place) => ({
  properties: { roleDefinitionId: reader, principalId: id, principalType: 'ServicePrincipal' },
});
/** Azure's role Reader. */
const reader = '/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7';
const makeAssignment = (call: ManagementCaller, at: Place) =>
  call('PUT', `${assignment(at)}?api-version=2022-04-01`, assignmentBody(at));
const definition = (at: Place) => authorization(`roleDefinitions/${at.id}`)(at);
const definitionBody = (at: Place) => ({
  properties: {
    roleName: `role ${at.id}`,
    permissions: [{ actions: ['*/read'], notActions: [] }],
    assignableScopes: [sub(at)],
  },
});
const makeDefinition = (call: ManagementCaller, at: Place) =>
  call('PUT', `${definition(at)}?api-version=2022-04-01`, definitionBody(at));

const authorizationRows: Readonly<Record<string, Example>> = {
  RoleAssignments_ListForScope: { path: authorization('roleAssignments'), audit: 'RoleAssignmentList' },
  RoleAssignments_Get: { path: assignment, prepare: makeAssignment, audit: 'RoleAssignmentGet' },
  RoleAssignments_Create: {
    path: assignment,
    body: assignmentBody,
    status: 201,
    audit: 'RoleAssignmentWrite',
  },
  RoleAssignments_Delete: { path: assignment, prepare: makeAssignment, audit: 'RoleAssignmentDelete' },
  RoleDefinitions_List: { path: authorization('roleDefinitions'), audit: 'RoleDefinitionList' },
  RoleDefinitions_Get: { path: definition, prepare: makeDefinition, audit: 'RoleDefinitionGet' },
  RoleDefinitions_CreateOrUpdate: {
    path: definition,
    body: definitionBody,
    status: 201,
    audit: 'RoleDefinitionWrite',
  },
  RoleDefinitions_Delete: { path: definition, prepare: makeDefinition, audit: 'RoleDefinitionDelete' },
  Permissions_ListForResource: { path: authorization('permissions'), audit: 'PermissionList' },
  ProviderOperationsMetadata_List: {
    path: () => '/providers/Microsoft.Authorization/providerOperations',
    audit: 'ProviderOperationsList',
    stranger: 200,
  },
  ProviderOperationsMetadata_Get: {
    path: () => '/providers/Microsoft.Authorization/providerOperations/Microsoft.KeyVault',
    audit: 'ProviderOperationsGet',
    stranger: 200,
  },
  DenyAssignments_ListForScope: { path: authorization('denyAssignments'), audit: 'DenyAssignmentList' },
  ClassicAdministrators_List: {
    path: authorization('classicAdministrators'),
    audit: 'ClassicAdministratorList',
  },
};

export const managementExamples: Readonly<Record<string, Example>> = {
  ...resources,
  ...extensions,
  ...authorizationRows,
  ...keyVaultExamples,
  ...managedIdentityExamples,
};

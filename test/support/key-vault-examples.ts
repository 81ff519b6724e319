/** The examples of the resource provider Microsoft.KeyVault; see `management-examples.ts`. */
import type { ManagementCaller } from './management.ts';
import type { Example, Place } from './management-examples.ts';

const version = '?api-version=2026-04-01';
const provider = 'providers/Microsoft.KeyVault';
const sub = ({ subscriptionId }: Place) => `/subscriptions/${subscriptionId}`;
const group = (at: Place) => `${sub(at)}/resourceGroups/default`;
const vaultAt = (name: string) => (at: Place) => `${group(at)}/${provider}/vaults/${name}`;
const dev = vaultAt('dev');
const inDev = (path: string) => (at: Place) => `${dev(at)}/${path}`;
const vaultBody = ({ tenantId }: Place) => ({
  location: 'local',
  properties: { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] },
});
const makeVault = (name: string) => (call: ManagementCaller, at: Place) =>
  call('PUT', `${vaultAt(name)(at)}${version}`, vaultBody(at));
const deletedAt = (name: string) => (at: Place) =>
  `${sub(at)}/${provider}/locations/local/deletedVaults/${name}`;
const makeDeleted = (name: string) => async (call: ManagementCaller, at: Place) => {
  await makeVault(name)(call, at);
  await call('DELETE', `${vaultAt(name)(at)}${version}`);
};

const vaults: Readonly<Record<string, Example>> = {
  Vaults_CreateOrUpdate: { path: vaultAt('new-vault'), body: vaultBody, audit: 'VaultPut' },
  Vaults_Update: { path: dev, body: () => ({ tags: {} }), audit: 'VaultPatch' },
  Vaults_Delete: { path: vaultAt('to-delete'), prepare: makeVault('to-delete'), audit: 'VaultDelete' },
  Vaults_Get: { path: dev, audit: 'VaultGet' },
  Vaults_ListByResourceGroup: { path: (at) => `${group(at)}/${provider}/vaults`, audit: 'VaultList' },
  Vaults_ListBySubscription: { path: (at) => `${sub(at)}/${provider}/vaults`, audit: 'VaultList' },
  Vaults_UpdateAccessPolicy: {
    path: (at) => `${vaultAt('policies')(at)}/accessPolicies/add`,
    prepare: makeVault('policies'),
    body: ({ tenantId, id }) => ({
      properties: { accessPolicies: [{ tenantId, objectId: id, permissions: { secrets: ['get'] } }] },
    }),
    audit: 'VaultAccessPolicyChange',
  },
  Vaults_ListDeleted: { path: (at) => `${sub(at)}/${provider}/deletedVaults`, audit: 'VaultListDeleted' },
  Vaults_GetDeleted: {
    path: deletedAt('deleted-one'),
    prepare: makeDeleted('deleted-one'),
    audit: 'VaultGetDeleted',
  },
  Vaults_PurgeDeleted: {
    path: (at) => `${deletedAt('purged-one')(at)}/purge`,
    prepare: makeDeleted('purged-one'),
    status: 202,
    audit: 'VaultPurge',
  },
  Vaults_CheckNameAvailability: {
    path: (at) => `${sub(at)}/${provider}/checkNameAvailability`,
    body: () => ({ name: 'free-name', type: 'Microsoft.KeyVault/vaults' }),
    audit: 'VaultCheckNameAvailability',
  },
  Operations_List: { path: () => `/${provider}/operations`, audit: 'OperationList', stranger: 200 },
};

const connection = inDev('privateEndpointConnections/c');
const connectionBody = () => ({ properties: { privateLinkServiceConnectionState: { status: 'Approved' } } });
const makeConnection = (call: ManagementCaller, at: Place) =>
  call('PUT', `${connection(at)}${version}`, connectionBody());
const perimeters = 'networkSecurityPerimeterConfigurations';

const network: Readonly<Record<string, Example>> = {
  PrivateEndpointConnections_ListByResource: {
    path: inDev('privateEndpointConnections'),
    audit: 'VaultPrivateEndpointConnectionList',
  },
  PrivateEndpointConnections_Get: {
    path: connection,
    prepare: makeConnection,
    audit: 'VaultPrivateEndpointConnectionGet',
  },
  PrivateEndpointConnections_Put: {
    path: connection,
    body: connectionBody,
    audit: 'VaultPrivateEndpointConnectionPut',
  },
  PrivateEndpointConnections_Delete: {
    path: connection,
    prepare: makeConnection,
    audit: 'VaultPrivateEndpointConnectionDelete',
  },
  PrivateLinkResources_ListByVault: {
    path: inDev('privateLinkResources'),
    audit: 'VaultPrivateLinkResourceList',
  },
  NetworkSecurityPerimeterConfigurations_ListConfigurations: {
    path: inDev(perimeters),
    audit: 'VaultPerimeterConfigurationList',
  },
  NetworkSecurityPerimeterConfigurations_GetConfiguration: {
    path: inDev(`${perimeters}/none`),
    status: 404,
    audit: 'VaultPerimeterConfigurationGet',
  },
  NetworkSecurityPerimeterConfigurations_ReconcileConfiguration: {
    path: inDev(`${perimeters}/none/reconcile`),
    status: 404,
    audit: 'VaultPerimeterConfigurationReconcile',
  },
};

const keyBody = () => ({ properties: { kty: 'EC' } });
const secretBody = () => ({ properties: { value: 'v' } });
const makeKey = (call: ManagementCaller, at: Place) =>
  call('PUT', `${inDev('keys/k')(at)}${version}`, keyBody());
const makeSecret = (call: ManagementCaller, at: Place) =>
  call('PUT', `${inDev('secrets/s')(at)}${version}`, secretBody());

const objects: Readonly<Record<string, Example>> = {
  Keys_CreateIfNotExist: { path: inDev('keys/made'), body: keyBody, audit: 'KeyCreate' },
  Keys_Get: { path: inDev('keys/k'), prepare: makeKey, audit: 'KeyGet' },
  Keys_List: { path: inDev('keys'), audit: 'KeyList' },
  Keys_GetVersion: {
    path: inDev(`keys/k/versions/${'0'.repeat(32)}`),
    prepare: makeKey,
    status: 404,
    audit: 'KeyGet',
  },
  Keys_ListVersions: { path: inDev('keys/k/versions'), prepare: makeKey, audit: 'KeyListVersions' },
  Secrets_CreateOrUpdate: { path: inDev('secrets/made'), body: secretBody, audit: 'SecretSet' },
  Secrets_Update: {
    path: inDev('secrets/s'),
    prepare: makeSecret,
    body: () => ({ tags: {} }),
    audit: 'SecretUpdate',
  },
  Secrets_Get: { path: inDev('secrets/s'), prepare: makeSecret, audit: 'SecretGet' },
  Secrets_List: { path: inDev('secrets'), audit: 'SecretList' },
};

/** There are no pools: what asks for one finds none. */
const pool =
  (path = '') =>
  (at: Place) =>
    `${group(at)}/${provider}/managedHSMs/pool${path}`;
const noPool = (path: string, audit: string): Example => ({ path: pool(path), status: 404, audit });
const deletedPool = (at: Place) => `${sub(at)}/${provider}/locations/local/deletedManagedHSMs/pool`;

const pools: Readonly<Record<string, Example>> = {
  ManagedHsms_ListByResourceGroup: {
    path: (at) => `${group(at)}/${provider}/managedHSMs`,
    audit: 'ManagedHsmList',
  },
  ManagedHsms_ListBySubscription: {
    path: (at) => `${sub(at)}/${provider}/managedHSMs`,
    audit: 'ManagedHsmList',
  },
  ManagedHsms_ListDeleted: {
    path: (at) => `${sub(at)}/${provider}/deletedManagedHSMs`,
    audit: 'ManagedHsmListDeleted',
  },
  ManagedHsms_CheckMhsmNameAvailability: {
    path: (at) => `${sub(at)}/${provider}/checkMhsmNameAvailability`,
    body: () => ({ name: 'free-pool' }),
    audit: 'ManagedHsmCheckNameAvailability',
  },
  ManagedHsms_CreateOrUpdate: { path: pool(), status: 400, audit: 'ManagedHsmPut' },
  ManagedHsms_Update: noPool('', 'ManagedHsmPatch'),
  ManagedHsms_Delete: { path: pool(), status: 204, audit: 'ManagedHsmDelete' },
  ManagedHsms_Get: noPool('', 'ManagedHsmGet'),
  MHSMRegions_ListByResource: noPool('/regions', 'ManagedHsmRegionList'),
  ManagedHsms_GetDeleted: { path: deletedPool, status: 404, audit: 'ManagedHsmGetDeleted' },
  ManagedHsms_PurgeDeleted: {
    path: (at) => `${deletedPool(at)}/purge`,
    status: 404,
    audit: 'ManagedHsmPurge',
  },
  MHSMPrivateEndpointConnections_ListByResource: noPool(
    '/privateEndpointConnections',
    'ManagedHsmPrivateEndpointConnectionList',
  ),
  MHSMPrivateEndpointConnections_Get: noPool(
    '/privateEndpointConnections/c',
    'ManagedHsmPrivateEndpointConnectionGet',
  ),
  MHSMPrivateEndpointConnections_Put: noPool(
    '/privateEndpointConnections/c',
    'ManagedHsmPrivateEndpointConnectionPut',
  ),
  MHSMPrivateEndpointConnections_Delete: noPool(
    '/privateEndpointConnections/c',
    'ManagedHsmPrivateEndpointConnectionDelete',
  ),
  MHSMPrivateLinkResources_ListByMHSMResource: noPool(
    '/privateLinkResources',
    'ManagedHsmPrivateLinkResourceList',
  ),
  ManagedHsmKeys_CreateIfNotExist: noPool('/keys/k', 'ManagedHsmKeyCreateIfNotExist'),
  ManagedHsmKeys_Get: noPool('/keys/k', 'ManagedHsmKeyGet'),
  ManagedHsmKeys_List: noPool('/keys', 'ManagedHsmKeyList'),
  ManagedHsmKeys_GetVersion: noPool('/keys/k/versions/v', 'ManagedHsmKeyGetVersion'),
  ManagedHsmKeys_ListVersions: noPool('/keys/k/versions', 'ManagedHsmKeyList'),
};

export const keyVaultExamples: Readonly<Record<string, Example>> = {
  ...vaults,
  ...network,
  ...objects,
  ...pools,
};

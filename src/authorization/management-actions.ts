/**
 * The actions of the management plane that this server knows (Azure's lists of the providers' permissions): what
 * `test/golden/management-roles.txt` says of each role, and what is told of the providers. A role may name others.
 */

function actions(
  provider: string,
  ofResources: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  return Object.entries(ofResources).flatMap(([resource, verbs]) =>
    verbs.map((verb) => `${provider}/${resource}/${verb}`),
  );
}

const all = ['read', 'write', 'delete'];

export const managementActions: readonly string[] = [
  ...actions('Microsoft.Authorization', {
    classicAdministrators: ['read'],
    denyAssignments: ['read'],
    locks: all,
    permissions: ['read'],
    providerOperations: ['read'],
    roleAssignments: all,
    roleDefinitions: all,
  }),
  'Microsoft.KeyVault/register/action',
  'Microsoft.KeyVault/unregister/action',
  ...actions('Microsoft.KeyVault', {
    checkMhsmNameAvailability: ['read'],
    checkNameAvailability: ['read'],
    deletedManagedHsms: ['read'],
    deletedVaults: ['read'],
    'locations/deletedManagedHsms': ['read', 'purge/action'],
    'locations/deletedVaults': ['read', 'purge/action'],
    'locations/managedHsmOperationResults': ['read'],
    'locations/operationResults': ['read'],
    managedHSMs: [...all, 'PrivateEndpointConnectionsApproval/action'],
    'managedHSMs/keys': ['read', 'write'],
    'managedHSMs/keys/versions': ['read'],
    'managedHSMs/privateEndpointConnections': all,
    'managedHSMs/privateLinkResources': ['read'],
    operations: ['read'],
    vaults: [...all, 'deploy/action', 'PrivateEndpointConnectionsApproval/action', 'joinPerimeter/action'],
    'vaults/accessPolicies': ['write'],
    'vaults/keys': ['read', 'write'],
    'vaults/keys/versions': ['read'],
    'vaults/networkSecurityPerimeterConfigurations': ['read', 'reconcile/action'],
    'vaults/privateEndpointConnections': all,
    'vaults/privateLinkResources': ['read'],
    'vaults/secrets': ['read', 'write'],
  }),
  'Microsoft.ManagedIdentity/register/action',
  'Microsoft.ManagedIdentity/unregister/action',
  ...actions('Microsoft.ManagedIdentity', {
    operations: ['read'],
    userAssignedIdentities: [
      ...all,
      'assign/action',
      'listAssociatedResources/action',
      'revokeTokens/action',
    ],
    'userAssignedIdentities/federatedIdentityCredentials': all,
  }),
  ...actions('Microsoft.Management', { managementGroups: ['read'] }),
  ...actions('Microsoft.Resources', {
    providers: ['read'],
    subscriptions: ['read'],
    'subscriptions/locations': ['read'],
    'subscriptions/operationresults': ['read'],
    'subscriptions/providers': ['read'],
    'subscriptions/resourceGroups': all,
    'subscriptions/resourceGroups/resources': ['read'],
    'subscriptions/resources': ['read'],
    'subscriptions/tagNames': all,
    tags: all,
  }),
];

/**
 * Azure's built-in roles that matter to key vaults and to the identities that use them. Names, GUIDs, actions and the one
 * condition are Azure's (its reference of built-in roles); the descriptions are ours.
 */
import type { Role } from './roles.ts';

const vaults = 'Microsoft.KeyVault/vaults';

/** What the vault roles of Azure may do on the management plane: look around, and run deployments. */
const common = [
  'Microsoft.Authorization/*/read',
  'Microsoft.Insights/alertRules/*',
  'Microsoft.Resources/deployments/*',
  'Microsoft.Resources/subscriptions/resourceGroups/read',
  'Microsoft.Support/*',
  'Microsoft.KeyVault/checkNameAvailability/read',
  'Microsoft.KeyVault/deletedVaults/read',
  'Microsoft.KeyVault/locations/*/read',
  `${vaults}/*/read`,
  'Microsoft.KeyVault/operations/read',
];

const identities = 'Microsoft.ManagedIdentity/userAssignedIdentities';

/** The same for the roles of managed identities. */
const aroundIdentities = [
  'Microsoft.Authorization/*/read',
  'Microsoft.Insights/alertRules/*',
  'Microsoft.Resources/subscriptions/resourceGroups/read',
  'Microsoft.Resources/deployments/*',
  'Microsoft.Support/*',
];

/** The roles that a Key Vault Data Access Administrator may give and take, by their GUIDs. */
const delegable = [
  '00482a5a-887f-4fb3-b363-3b7fe8e74483',
  'a4417e6f-fecd-4de8-b567-7b0420556985',
  '14b46e9e-c2b7-41b4-b07b-48a6ebf60603',
  'e147488a-f6f5-4113-8e2d-b22465e65bf6',
  '12338af0-0e69-4776-bea7-57ae8d297424',
  '21090545-7ca7-4776-b22c-e363652d74d2',
  'b86a8fe4-44ce-4948-aee5-eccb2c155cd7',
  '4633458b-17de-408a-b874-0445c86b69e6',
].join(', ');

function unlessRole(action: string, source: 'Request' | 'Resource'): string {
  const attribute = `@${source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId]`;
  return `((!(ActionMatches{'Microsoft.Authorization/roleAssignments/${action}'})) OR (${attribute} ForAnyOfAnyValues:GuidEquals{${delegable}}))`;
}

type Rights = Partial<Pick<Role, 'actions' | 'notActions' | 'dataActions' | 'condition'>>;

function role(id: string, [name, description]: readonly [string, string], rights: Rights): Role {
  return {
    id,
    name,
    description,
    tenantId: undefined,
    assignableScopes: ['/'],
    actions: rights.actions ?? [],
    notActions: rights.notActions ?? [],
    dataActions: (rights.dataActions ?? []).map((action) => `${vaults}/${action}`),
    notDataActions: [],
    condition: rights.condition,
  };
}

/** In the order of their names; the general ones first. */
export const builtInRoles: readonly Role[] = [
  role(
    'b24988ac-6180-42a0-ab88-20f7382dd24c',
    ['Contributor', 'Manages all resources, and neither access to them nor the data in them.'],
    {
      actions: ['*'],
      notActions: [
        'Microsoft.Authorization/*/Delete',
        'Microsoft.Authorization/*/Write',
        'Microsoft.Authorization/elevateAccess/Action',
        'Microsoft.Blueprint/blueprintAssignments/write',
        'Microsoft.Blueprint/blueprintAssignments/delete',
        'Microsoft.Compute/galleries/share/action',
        'Microsoft.Purview/consents/write',
        'Microsoft.Purview/consents/delete',
        'Microsoft.Resources/deploymentStacks/manageDenySetting/action',
      ],
    },
  ),
  role('8e3af657-a8ff-443c-a75c-2fe8c4bcb635', ['Owner', 'Manages all resources and access to them.'], {
    actions: ['*'],
  }),
  role('acdd72a7-3385-48ef-bd42-f606fba81ae7', ['Reader', 'Sees all resources and changes none.'], {
    actions: ['*/read'],
  }),
  role(
    'f58310d9-a9f6-439a-9e8d-f62e7b41a168',
    ['Role Based Access Control Administrator', 'Manages access by role assignments and by nothing else.'],
    {
      actions: [
        'Microsoft.Authorization/roleAssignments/write',
        'Microsoft.Authorization/roleAssignments/delete',
        '*/read',
        'Microsoft.Support/*',
      ],
    },
  ),
  role(
    '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9',
    ['User Access Administrator', 'Manages access to all resources.'],
    { actions: ['*/read', 'Microsoft.Authorization/*', 'Microsoft.Support/*'] },
  ),
  role(
    '00482a5a-887f-4fb3-b363-3b7fe8e74483',
    [
      'Key Vault Administrator',
      'Does everything with the objects of vaults; manages neither vaults nor access.',
    ],
    { actions: common, dataActions: ['*'] },
  ),
  role(
    'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba',
    ['Key Vault Certificate User', 'Reads certificates with their private keys.'],
    {
      dataActions: [
        'certificates/read',
        'secrets/getSecret/action',
        'secrets/readMetadata/action',
        'keys/read',
      ],
    },
  ),
  role(
    'a4417e6f-fecd-4de8-b567-7b0420556985',
    ['Key Vault Certificates Officer', 'Does everything with certificates; does not manage access.'],
    { actions: common, dataActions: ['certificatecas/*', 'certificates/*', 'certificatecontacts/write'] },
  ),
  role(
    'f25e0fa2-a7c8-4377-a976-54943a77a395',
    ['Key Vault Contributor', 'Manages vaults; has no role-based access to what is in them.'],
    {
      actions: [
        'Microsoft.Authorization/*/read',
        'Microsoft.Insights/alertRules/*',
        'Microsoft.KeyVault/*',
        'Microsoft.Resources/deployments/*',
        'Microsoft.Resources/subscriptions/resourceGroups/read',
        'Microsoft.Support/*',
      ],
      notActions: [
        'Microsoft.KeyVault/locations/deletedVaults/purge/action',
        'Microsoft.KeyVault/hsmPools/*',
        'Microsoft.KeyVault/managedHsms/*',
      ],
    },
  ),
  role(
    '14b46e9e-c2b7-41b4-b07b-48a6ebf60603',
    ['Key Vault Crypto Officer', 'Does everything with keys; does not manage access.'],
    { actions: common, dataActions: ['keys/*', 'keyrotationpolicies/*'] },
  ),
  role(
    'e147488a-f6f5-4113-8e2d-b22465e65bf6',
    ['Key Vault Crypto Service Encryption User', 'Sees keys, and wraps and unwraps with them.'],
    {
      actions: ['write', 'read', 'delete'].map((verb) => `Microsoft.EventGrid/eventSubscriptions/${verb}`),
      dataActions: ['keys/read', 'keys/wrap/action', 'keys/unwrap/action'],
    },
  ),
  role('08bbd89e-9f13-488c-ac41-acfcb10c90ab', ['Key Vault Crypto Service Release User', 'Releases keys.'], {
    dataActions: ['keys/release/action'],
  }),
  role('12338af0-0e69-4776-bea7-57ae8d297424', ['Key Vault Crypto User', 'Uses keys for cryptography.'], {
    dataActions: [
      'keys/read',
      'keys/update/action',
      'keys/backup/action',
      'keys/encrypt/action',
      'keys/decrypt/action',
      'keys/wrap/action',
      'keys/unwrap/action',
      'keys/sign/action',
      'keys/verify/action',
    ],
  }),
  role(
    '8b54135c-b56d-4d72-a534-26097cfdc8d8',
    ['Key Vault Data Access Administrator', 'Gives and takes eight of the roles on what is in vaults.'],
    {
      actions: [
        'Microsoft.Authorization/roleAssignments/write',
        'Microsoft.Authorization/roleAssignments/delete',
        'Microsoft.Authorization/*/read',
        'Microsoft.Resources/deployments/*',
        'Microsoft.Resources/subscriptions/resourceGroups/read',
        'Microsoft.Resources/subscriptions/read',
        'Microsoft.Management/managementGroups/read',
        'Microsoft.Support/*',
        `${vaults}/*/read`,
      ],
      condition: `${unlessRole('write', 'Request')} AND ${unlessRole('delete', 'Resource')}`,
    },
  ),
  role(
    // Its actions are not in Azure's page of security roles; they are from a public copy of its role definitions.
    'a68e7c17-0ab2-4c09-9a58-125dae29748c',
    ['Key Vault Purge Operator', 'Removes deleted vaults for good.'],
    {
      actions: [
        'Microsoft.Authorization/*/read',
        'Microsoft.Insights/alertRules/*',
        'Microsoft.Resources/deployments/*',
        'Microsoft.Resources/subscriptions/resourceGroups/read',
        'Microsoft.KeyVault/deletedVaults/read',
        'Microsoft.KeyVault/locations/deletedVaults/read',
        'Microsoft.KeyVault/locations/deletedVaults/purge/action',
        'Microsoft.KeyVault/locations/operationResults/read',
      ],
    },
  ),
  role(
    '21090545-7ca7-4776-b22c-e363652d74d2',
    ['Key Vault Reader', 'Sees vaults and what is in them, without values and key material.'],
    { actions: common, dataActions: ['*/read', 'secrets/readMetadata/action'] },
  ),
  role(
    'b86a8fe4-44ce-4948-aee5-eccb2c155cd7',
    ['Key Vault Secrets Officer', 'Does everything with secrets; does not manage access.'],
    { actions: common, dataActions: ['secrets/*'] },
  ),
  role('4633458b-17de-408a-b874-0445c86b69e6', ['Key Vault Secrets User', 'Reads secrets.'], {
    dataActions: ['secrets/getSecret/action', 'secrets/readMetadata/action'],
  }),
  role(
    '18500a29-7fe2-46b2-a342-b16a415e101d',
    ['Managed HSM contributor', 'Manages managed HSMs; has no access to what is in them.'],
    {
      actions: [
        'Microsoft.KeyVault/managedHSMs/*',
        'Microsoft.KeyVault/deletedManagedHsms/read',
        'Microsoft.KeyVault/locations/deletedManagedHsms/read',
        'Microsoft.KeyVault/locations/deletedManagedHsms/purge/action',
        'Microsoft.KeyVault/locations/managedHsmOperationResults/read',
      ],
    },
  ),
  role(
    'e40ec5ca-96e0-45a2-b4ff-59039f2c2b59',
    [
      'Managed Identity Contributor',
      'Manages user-assigned identities and their federated credentials; gives them no access.',
    ],
    {
      actions: [
        ...['read', 'write', 'delete'].map((verb) => `${identities}/${verb}`),
        ...['read', 'write', 'delete'].map((verb) => `${identities}/federatedIdentityCredentials/${verb}`),
        `${identities}/revokeTokens/action`,
        ...aroundIdentities,
      ],
    },
  ),
  role(
    'f1a07417-d97a-45cb-824c-7a7467783830',
    ['Managed Identity Operator', 'Sees user-assigned identities, and assigns them to resources.'],
    { actions: [`${identities}/*/read`, `${identities}/*/assign/action`, ...aroundIdentities] },
  ),
];

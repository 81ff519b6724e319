/**
 * Azure's built-in roles for key vaults, and what their wildcards cover. Names, GUIDs and data actions are Azure's
 * (its built-in roles reference); management actions join with the management plane.
 */

export interface Role {
  /** The role definition's GUID. */
  readonly id: string;
  readonly name: string;
  readonly dataActions: readonly string[];
}

const vaults = 'Microsoft.KeyVault/vaults';

function role(id: string, name: string, ...dataActions: string[]): Role {
  return { id, name, dataActions: dataActions.map((action) => `${vaults}/${action}`) };
}

export const builtInRoles: readonly Role[] = [
  role('00482a5a-887f-4fb3-b363-3b7fe8e74483', 'Key Vault Administrator', '*'),
  role(
    'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba',
    'Key Vault Certificate User',
    'certificates/read',
    'secrets/getSecret/action',
    'secrets/readMetadata/action',
    'keys/read',
  ),
  role(
    'a4417e6f-fecd-4de8-b567-7b0420556985',
    'Key Vault Certificates Officer',
    'certificatecas/*',
    'certificates/*',
    'certificatecontacts/write',
  ),
  role('f25e0fa2-a7c8-4377-a976-54943a77a395', 'Key Vault Contributor'),
  role('14b46e9e-c2b7-41b4-b07b-48a6ebf60603', 'Key Vault Crypto Officer', 'keys/*', 'keyrotationpolicies/*'),
  role(
    'e147488a-f6f5-4113-8e2d-b22465e65bf6',
    'Key Vault Crypto Service Encryption User',
    'keys/read',
    'keys/wrap/action',
    'keys/unwrap/action',
  ),
  role(
    '08bbd89e-9f13-488c-ac41-acfcb10c90ab',
    'Key Vault Crypto Service Release User',
    'keys/release/action',
  ),
  role(
    '12338af0-0e69-4776-bea7-57ae8d297424',
    'Key Vault Crypto User',
    'keys/read',
    'keys/update/action',
    'keys/backup/action',
    'keys/encrypt/action',
    'keys/decrypt/action',
    'keys/wrap/action',
    'keys/unwrap/action',
    'keys/sign/action',
    'keys/verify/action',
  ),
  role('8b54135c-b56d-4d72-a534-26097cfdc8d8', 'Key Vault Data Access Administrator'),
  role('21090545-7ca7-4776-b22c-e363652d74d2', 'Key Vault Reader', '*/read', 'secrets/readMetadata/action'),
  role('b86a8fe4-44ce-4948-aee5-eccb2c155cd7', 'Key Vault Secrets Officer', 'secrets/*'),
  role(
    '4633458b-17de-408a-b874-0445c86b69e6',
    'Key Vault Secrets User',
    'secrets/getSecret/action',
    'secrets/readMetadata/action',
  ),
];

const byId = new Map(builtInRoles.map((entry) => [entry.id, entry]));
const byName = new Map(builtInRoles.map((entry) => [entry.name.toLowerCase(), entry]));

/** The built-in role with this GUID or this display name (without regard to case); undefined if there is none. */
export function findRole(idOrName: string): Role | undefined {
  const folded = idOrName.toLowerCase();
  return byId.get(folded) ?? byName.get(folded);
}

const patterns = new Map(builtInRoles.map((entry) => [entry.id, entry.dataActions.map(patternOf)] as const));

/** Whether the role with this GUID has a data action that covers `dataAction`. Unknown roles allow nothing. */
export function roleAllows(roleId: string, dataAction: string): boolean {
  return patterns.get(roleId)?.some((pattern) => pattern.test(dataAction)) ?? false;
}

/** `*` stands for any characters, slashes included (shape of Azure's `*\/read`); names compare without case. */
function patternOf(action: string): RegExp {
  const escaped = action.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 'i');
}

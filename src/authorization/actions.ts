/**
 * What may be done, as rows: the Azure RBAC data action and the access-policy permission of each operation
 * (OPERATIONS: the OpenAPI's descriptions and Azure's list of data actions). The golden file
 * `test/golden/roles.txt` shows which role allows which.
 */

export type PolicyKind = 'secrets' | 'keys' | 'certificates';

export interface Action {
  /** Full name, `Microsoft.KeyVault/vaults/…`. */
  readonly dataAction: string;
  readonly policyKind: PolicyKind;
  /** Lower-case verb of an access policy. */
  readonly permission: string;
  /** Another verb that allows it too. */
  readonly orPermission?: string;
}

function secretAction(dataAction: string, permission: string): Action {
  return { dataAction: `Microsoft.KeyVault/vaults/secrets/${dataAction}`, policyKind: 'secrets', permission };
}

/** Operations on secrets and deleted secrets. Reading a deleted one shows no value, hence `readMetadata`. */
export const secretActions = {
  list: secretAction('readMetadata/action', 'list'),
  get: secretAction('getSecret/action', 'get'),
  set: secretAction('setSecret/action', 'set'),
  update: secretAction('update/action', 'set'),
  delete: secretAction('delete', 'delete'),
  backup: secretAction('backup/action', 'backup'),
  restore: secretAction('restore/action', 'restore'),
  recover: secretAction('recover/action', 'recover'),
  purge: secretAction('purge/action', 'purge'),
  getDeleted: secretAction('readMetadata/action', 'get'),
} as const satisfies Record<string, Action>;

function keyAction(dataAction: string, permission: string): Action {
  return { dataAction: `Microsoft.KeyVault/vaults/${dataAction}`, policyKind: 'keys', permission };
}

/** Operations on keys and deleted keys; rotation policies have data actions of their own. */
export const keyActions = {
  list: keyAction('keys/read', 'list'),
  get: keyAction('keys/read', 'get'),
  getDeleted: keyAction('keys/read', 'get'),
  create: keyAction('keys/create/action', 'create'),
  import: keyAction('keys/import/action', 'import'),
  update: keyAction('keys/update/action', 'update'),
  delete: keyAction('keys/delete', 'delete'),
  backup: keyAction('keys/backup/action', 'backup'),
  restore: keyAction('keys/restore/action', 'restore'),
  recover: keyAction('keys/recover/action', 'recover'),
  purge: keyAction('keys/purge/action', 'purge'),
  encrypt: keyAction('keys/encrypt/action', 'encrypt'),
  decrypt: keyAction('keys/decrypt/action', 'decrypt'),
  wrapKey: keyAction('keys/wrap/action', 'wrapkey'),
  unwrapKey: keyAction('keys/unwrap/action', 'unwrapkey'),
  sign: keyAction('keys/sign/action', 'sign'),
  verify: keyAction('keys/verify/action', 'verify'),
  release: keyAction('keys/release/action', 'release'),
  rotate: keyAction('keys/rotate/action', 'rotate'),
  getRotationPolicy: keyAction('keyrotationpolicies/read', 'getrotationpolicy'),
  setRotationPolicy: keyAction('keyrotationpolicies/write', 'setrotationpolicy'),
} as const satisfies Record<string, Action>;

function certificateAction(dataAction: string, permission: string): Action {
  return { dataAction: `Microsoft.KeyVault/vaults/${dataAction}`, policyKind: 'certificates', permission };
}

/** An action on issuers; whoever manages them may do all of them. */
function issuerAction(dataAction: string, permission: string): Action {
  return { ...certificateAction(`certificatecas/${dataAction}`, permission), orPermission: 'manageissuers' };
}

/** Operations on certificates, deleted certificates and pending operations. */
export const certificateActions = {
  list: certificateAction('certificates/read', 'list'),
  get: certificateAction('certificates/read', 'get'),
  getDeleted: certificateAction('certificates/read', 'get'),
  create: certificateAction('certificates/create/action', 'create'),
  import: certificateAction('certificates/import/action', 'import'),
  update: certificateAction('certificates/update/action', 'update'),
  delete: certificateAction('certificates/delete', 'delete'),
  backup: certificateAction('certificates/backup/action', 'backup'),
  restore: certificateAction('certificates/restore/action', 'restore'),
  recover: certificateAction('certificates/recover/action', 'recover'),
  purge: certificateAction('certificates/purge/action', 'purge'),
} as const satisfies Record<string, Action>;

/** Operations on a vault's issuers. */
export const issuerActions = {
  list: issuerAction('read', 'listissuers'),
  get: issuerAction('read', 'getissuers'),
  set: issuerAction('write', 'setissuers'),
  delete: issuerAction('delete', 'deleteissuers'),
} as const satisfies Record<string, Action>;

/** Operations on a vault's contacts: Azure has published one data action for all of them. */
export const contactActions = {
  manage: certificateAction('certificatecontacts/write', 'managecontacts'),
} as const satisfies Record<string, Action>;

/** Every data action, each once. */
export const dataActions: readonly string[] = [
  ...new Set(
    [secretActions, keyActions, certificateActions, issuerActions, contactActions].flatMap((actions) =>
      Object.values<Action>(actions).map(({ dataAction }) => dataAction),
    ),
  ),
];

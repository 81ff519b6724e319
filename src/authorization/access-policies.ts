/** Vault access policies: the older of the two permission models, used when a vault does not use Azure RBAC. */
import type { Principal } from '../core/principal.ts';
import type { Action, PolicyKind } from './actions.ts';

/**
 * One entry of a vault's `accessPolicies`; `all` stands for all but `purge`. Ids and permissions are lower case where
 * they are evaluated, and in a vault's record as they were written.
 */
export interface AccessPolicy {
  readonly tenantId: string;
  readonly objectId: string;
  readonly applicationId?: string | undefined;
  readonly permissions: Readonly<Partial<Record<PolicyKind | 'storage', readonly string[]>>>;
}

/** What a policy may say of secrets (Azure's `SecretPermissions`). */
export const secretPermissions = [
  'all',
  'get',
  'list',
  'set',
  'delete',
  'backup',
  'restore',
  'recover',
  'purge',
] as const;

/** What a policy may say of keys (Azure's `KeyPermissions`). */
export const keyPermissions = [
  'all',
  'encrypt',
  'decrypt',
  'wrapkey',
  'unwrapkey',
  'sign',
  'verify',
  'get',
  'list',
  'create',
  'update',
  'import',
  'delete',
  'backup',
  'restore',
  'recover',
  'purge',
  'release',
  'rotate',
  'getrotationpolicy',
  'setrotationpolicy',
] as const;

/** What a policy may say of certificates (Azure's `CertificatePermissions`). */
export const certificatePermissions = [
  'all',
  'get',
  'list',
  'delete',
  'create',
  'import',
  'update',
  'managecontacts',
  'getissuers',
  'listissuers',
  'setissuers',
  'deleteissuers',
  'manageissuers',
  'recover',
  'purge',
  'backup',
  'restore',
] as const;

/** What a policy may say of storage accounts (Azure's `StoragePermissions`); kept and shown, nothing asks for them. */
export const storagePermissions = [
  'all',
  'get',
  'list',
  'delete',
  'set',
  'update',
  'regeneratekey',
  'recover',
  'purge',
  'backup',
  'restore',
  'setsas',
  'listsas',
  'getsas',
  'deletesas',
] as const;

/** What the policies say: allowed, named but without the permission, or not named at all. */
export type PolicyVerdict = 'allowed' | 'missing' | 'unknown';

/** The policies that name the principal or one of its groups. */
export function policiesNaming(
  policies: readonly AccessPolicy[],
  objectIds: { objectId: string; groups: readonly string[] },
): readonly AccessPolicy[] {
  const named = new Set([objectIds.objectId, ...objectIds.groups]);
  return policies.filter((policy) => named.has(policy.objectId));
}

/** What the policies, all of which name the principal or one of its groups, say of an action. */
export function evaluatePolicies(
  policies: readonly AccessPolicy[],
  principal: Pick<Principal, 'tenantId' | 'appId'>,
  action: Action,
): PolicyVerdict {
  let verdict: PolicyVerdict = 'unknown';
  for (const policy of policies) {
    if (!appliesTo(policy, principal)) continue;
    const granted = policy.permissions[action.policyKind];
    if (grants(granted, action.permission) || grants(granted, action.orPermission)) return 'allowed';
    verdict = 'missing';
  }
  return verdict;
}

function appliesTo(policy: AccessPolicy, principal: Pick<Principal, 'tenantId' | 'appId'>): boolean {
  if (policy.tenantId !== principal.tenantId) return false;
  return policy.applicationId === undefined || policy.applicationId === principal.appId;
}

function grants(permissions: readonly string[] | undefined, permission: string | undefined): boolean {
  if (permissions === undefined || permission === undefined) return false;
  return permissions.includes(permission) || (permission !== 'purge' && permissions.includes('all'));
}

/** Vault access policies: the older of the two permission models, used when a vault does not use Azure RBAC. */
import type { Principal } from '../core/principal.ts';
import type { Action, PolicyKind } from './actions.ts';

/** One entry of a vault's `accessPolicies`. Permissions are lower case; `all` stands for all but `purge`. */
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

/** What the policies say: allowed, named but without the permission, or not named at all. */
export type PolicyVerdict = 'allowed' | 'missing' | 'unknown';

export function evaluatePolicies(
  policies: readonly AccessPolicy[],
  principal: Principal,
  action: Action,
): PolicyVerdict {
  let verdict: PolicyVerdict = 'unknown';
  for (const policy of policies) {
    if (!appliesTo(policy, principal)) continue;
    if (grants(policy.permissions[action.policyKind], action.permission)) return 'allowed';
    verdict = 'missing';
  }
  return verdict;
}

function appliesTo(policy: AccessPolicy, principal: Principal): boolean {
  if (policy.tenantId !== principal.tenantId) return false;
  if (policy.objectId !== principal.objectId && !principal.groups.includes(policy.objectId)) return false;
  return policy.applicationId === undefined || policy.applicationId === principal.appId;
}

function grants(permissions: readonly string[] | undefined, permission: string): boolean {
  if (permissions === undefined) return false;
  return permissions.includes(permission) || (permission !== 'purge' && permissions.includes('all'));
}

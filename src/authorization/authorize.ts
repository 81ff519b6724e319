/** The decision on one request, as a pure function of the vault's rules, the caller, the action and the target. */
import { Failure } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import { type AccessPolicy, evaluatePolicies } from './access-policies.ts';
import type { Action } from './actions.ts';
import type { NetworkCheck } from './network-rules.ts';
import { type RoleAssignment, scopeCovers } from './role-assignments.ts';
import { roleAllows } from './roles.ts';

/** What authorization needs to know of a vault. */
export interface ProtectedVault {
  readonly id: string;
  readonly name: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly enableRbacAuthorization: boolean;
  readonly accessPolicies: readonly AccessPolicy[];
  readonly publicNetworkAccess: 'Enabled' | 'Disabled';
  readonly networkCheck: NetworkCheck;
}

/** The vault's ARM id. */
export function vaultScope(vault: ProtectedVault): string {
  return `/subscriptions/${vault.subscriptionId}/resourceGroups/${vault.resourceGroup}/providers/Microsoft.KeyVault/vaults/${vault.name}`;
}

/** What is acted upon: the vault itself, or one of its objects. */
export interface Target {
  readonly kind: string;
  readonly name: string | undefined;
}

/**
 * A principal's role assignments, and what they were found to allow on whole vaults: the assignment's id, or '' for
 * none. A vault that changes becomes another object, so that nothing found for the old one is looked at again.
 */
export interface PrincipalRoles {
  readonly assignments: readonly RoleAssignment[];
  readonly vaultWide: WeakMap<ProtectedVault, Map<Action, string>>;
}

/** To be made anew whenever an assignment changes. */
export function rolesFrom(assignments: readonly RoleAssignment[]): PrincipalRoles {
  return { assignments, vaultWide: new WeakMap() };
}

export interface Question {
  readonly vault: ProtectedVault;
  readonly principal: Principal;
  readonly action: Action;
  readonly target: Target;
}

/** Throws the refusal of a caller whose address the vault's network rules keep out. */
export function assertNetworkAllows(vault: ProtectedVault, principal: Principal, address: string): void {
  if (vault.publicNetworkAccess === 'Disabled') {
    throw new Failure(
      'forbiddenByConnection',
      `Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\n${callerLine(principal)}\r\n${vaultLine(vault)}`,
    );
  }
  if (vault.networkCheck(address)) return;
  throw new Failure(
    'forbiddenByFirewall',
    `Client address is not authorized and caller is not a trusted service.\r\nClient address: ${address}\r\n${callerLine(principal)}\r\n${vaultLine(vault)}`,
  );
}

/**
 * Allows or throws. Returns the id of the role assignment that allowed it, undefined under access policies.
 * With RBAC on, access policies count for nothing, and the other way round.
 */
export function authorize(question: Question, roles: PrincipalRoles): string | undefined {
  const { vault, principal, action } = question;
  if (!vault.enableRbacAuthorization) {
    const verdict = evaluatePolicies(vault.accessPolicies, principal, action);
    if (verdict === 'allowed') return undefined;
    throw new Failure(verdict === 'missing' ? 'forbiddenByPolicy' : 'accessDenied', policyRefusal(question));
  }
  const decided = vaultWide(question, roles);
  if (decided !== undefined) return decided;
  const target = targetScope(question);
  const found = roles.assignments.find((assignment) => allows(assignment, { vault, action, scope: target }));
  if (found !== undefined) return found.id;
  throw new Failure('forbiddenByRbac', rbacRefusal(question));
}

/** The assignment that allows the action on the whole vault, looked for once. */
function vaultWide({ vault, action }: Question, roles: PrincipalRoles): string | undefined {
  let decided = roles.vaultWide.get(vault);
  if (decided === undefined) {
    decided = new Map();
    roles.vaultWide.set(vault, decided);
  }
  let id = decided.get(action);
  if (id === undefined) {
    const scope = vaultScope(vault);
    id = roles.assignments.find((assignment) => allows(assignment, { vault, action, scope }))?.id ?? '';
    decided.set(action, id);
  }
  return id === '' ? undefined : id;
}

function allows(
  assignment: RoleAssignment,
  at: { vault: ProtectedVault; action: Action; scope: string },
): boolean {
  return (
    assignment.tenantId === at.vault.tenantId &&
    roleAllows(assignment.roleId, at.action.dataAction) &&
    scopeCovers(assignment.scope, at.scope)
  );
}

function targetScope({ vault, target }: Question): string {
  const scope = vaultScope(vault);
  return target.name === undefined ? scope : `${scope}/${target.kind}/${target.name}`;
}

function callerLine(principal: Principal): string {
  return `Caller: appid=${principal.appId ?? ''};oid=${principal.objectId};iss=${principal.issuer}`;
}

function vaultLine(vault: ProtectedVault): string {
  return `Vault: ${vault.name};location=${vault.location}`;
}

function rbacRefusal(question: Question): string {
  const { vault, principal, action, target } = question;
  const object = target.name === undefined ? '' : `/${target.kind}/${target.name}`;
  const resource = `/subscriptions/${vault.subscriptionId}/resourcegroups/${vault.resourceGroup.toLowerCase()}/providers/microsoft.keyvault/vaults/${vault.name.toLowerCase()}${object}`;
  return [
    'Caller is not authorized to perform action on resource.',
    'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
    callerLine(principal),
    `Action: '${action.dataAction}'`,
    `Resource: '${resource}'`,
    'Assignment: (not found)',
    'DenyAssignmentId: null',
    'DecisionReason: null ',
    vaultLine(vault),
    '',
  ].join('\r\n');
}

function policyRefusal({ vault, principal, action }: Question): string {
  const groups = principal.kind === 'user' ? `numgroups=${principal.groups.length};` : '';
  const caller = `appid=${principal.appId ?? ''};oid=${principal.objectId};${groups}iss=${principal.issuer}`;
  return `The user, group or application '${caller}' does not have ${action.policyKind} ${action.permission} permission on key vault '${vault.name};location=${vault.location}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`;
}

/** The decision on one request, as a pure function of the vault's rules, the caller, the action and the target. */
import { Failure } from '../core/errors.ts';
import { foldCase } from '../core/names.ts';
import type { Principal } from '../core/principal.ts';
import { type AccessPolicy, evaluatePolicies, policiesNaming } from './access-policies.ts';
import type { Action } from './actions.ts';
import type { NetworkCheck } from './network-rules.ts';
import { allowingFirst, decisionsOn, type PrincipalRoles, type VaultDecisions } from './principal-roles.ts';
import { keysAbove } from './scopes.ts';

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
  /** Whether an address is one that an approved private endpoint connection brings. */
  readonly privateCheck?: NetworkCheck;
}

/** The vault's ARM id. */
export function vaultScope(vault: Pick<ProtectedVault, 'subscriptionId' | 'resourceGroup' | 'name'>): string {
  return `/subscriptions/${vault.subscriptionId}/resourceGroups/${vault.resourceGroup}/providers/Microsoft.KeyVault/vaults/${vault.name}`;
}

/** What is acted upon: the vault itself, or one of its objects. */
export interface Target {
  readonly kind: string;
  readonly name: string | undefined;
}

export interface Question {
  readonly vault: ProtectedVault;
  readonly principal: Principal;
  readonly action: Action;
  readonly target: Target;
}

/** Whether the vault's network lets the address in: by a private endpoint, or publicly and by the rules. */
export function isReachableFrom(vault: ProtectedVault, address: string): boolean {
  if (vault.publicNetworkAccess === 'Enabled' && vault.networkCheck(address)) return true;
  return vault.privateCheck?.(address) === true;
}

/** Throws the refusal of a caller whose address the vault's network keeps out. */
export function assertNetworkAllows(vault: ProtectedVault, principal: Principal, address: string): void {
  if (isReachableFrom(vault, address)) return;
  if (vault.publicNetworkAccess === 'Disabled') {
    throw new Failure(
      'forbiddenByConnection',
      `Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\n${callerLine(principal)}\r\n${vaultLine(vault)}`,
    );
  }
  throw new Failure(
    'forbiddenByFirewall',
    `Client address is not authorized and caller is not a trusted service.\r\nClient address: ${address}\r\n${callerLine(principal)}\r\n${vaultLine(vault)}`,
  );
}

/**
 * Allows or throws. Returns the id of the role assignment that allowed it, undefined under access policies.
 * With RBAC on, access policies count for nothing, and the other way round. `roles` are the principal's.
 */
export function authorize(question: Question, roles: PrincipalRoles): string | undefined {
  const { vault } = question;
  const decisions = decisionsOn(roles, vault);
  if (!vault.enableRbacAuthorization) return askPolicies(question, roles, decisions);
  const found = vaultWide(question, roles, decisions) || onObject(question, roles, decisions);
  if (found !== '') return found;
  throw new Failure('forbiddenByRbac', rbacRefusal(question));
}

function askPolicies(question: Question, { groups }: PrincipalRoles, decisions: VaultDecisions): undefined {
  const { vault, principal, action } = question;
  const { objectId } = principal;
  decisions.policies ??= policiesNaming(vault.accessPolicies, { objectId, groups });
  const verdict = evaluatePolicies(decisions.policies, principal, action);
  if (verdict === 'allowed') return undefined;
  throw new Failure(
    verdict === 'missing' ? 'forbiddenByPolicy' : 'accessDenied',
    policyRefusal(question, groups.length),
  );
}

/** The assignment that allows the action on the whole vault, looked for once; '' for none. */
function vaultWide({ vault, action }: Question, roles: PrincipalRoles, decisions: VaultDecisions): string {
  const { dataAction } = action;
  let id = decisions.wide.get(dataAction);
  if (id === undefined) {
    const { tenantId } = vault;
    const keys = vaultKeys(vault, decisions);
    id =
      allowingFirst(roles, { kind: 'dataAction', action: dataAction, tenantId, keys })?.assignment.id ?? '';
    decisions.wide.set(dataAction, id);
  }
  return id;
}

/** The assignment that allows the action on the one object that is asked for; '' for none. */
function onObject(
  { vault, action, target }: Question,
  roles: PrincipalRoles,
  decisions: VaultDecisions,
): string {
  if (target.name === undefined) return '';
  const kind = `${vaultKeys(vault, decisions).at(-1)}/${foldCase(target.kind)}`;
  const keys = [kind, `${kind}/${foldCase(target.name)}`];
  const asked = { kind: 'dataAction', action: action.dataAction, tenantId: vault.tenantId, keys } as const;
  return allowingFirst(roles, asked)?.assignment.id ?? '';
}

function vaultKeys(vault: ProtectedVault, decisions: VaultDecisions): readonly string[] {
  decisions.keys ??= keysAbove(vaultScope(vault), vault.tenantId);
  return decisions.keys;
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

/** As the API document spells the permissions that are not in lower case there. */
const spellings: Readonly<Record<string, string>> = { wrapkey: 'wrapKey', unwrapkey: 'unwrapKey' };

function policyRefusal({ vault, principal, action }: Question, numGroups: number): string {
  const groups = principal.kind === 'user' ? `numgroups=${numGroups};` : '';
  const caller = `appid=${principal.appId ?? ''};oid=${principal.objectId};${groups}iss=${principal.issuer}`;
  return `The user, group or application '${caller}' does not have ${action.policyKind} ${spellings[action.permission] ?? action.permission} permission on key vault '${vault.name};location=${vault.location}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`;
}

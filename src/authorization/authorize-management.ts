/** The decision on a request to the management plane, where Azure RBAC is all there is; access policies do not count. */
import { Failure } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { ConditionSubject } from './conditions.ts';
import { allowing, type PrincipalRoles } from './principal-roles.ts';
import { keysAbove } from './scopes.ts';

export interface ManagementQuestion {
  readonly principal: Principal;
  /** Such as `Microsoft.KeyVault/vaults/write`. */
  readonly action: string;
  /** `/` or an ARM id. */
  readonly scope: string;
  /** Of what is at the scope; by default the caller's. One tenant's callers can do nothing in another. */
  readonly tenantId?: string;
  /**
   * What conditions may ask about. Without it, an assignment whose condition asks about it does not count. `pending`:
   * it does count for now, since whoever handles the request asks again when the request has been read.
   */
  readonly request?: ConditionSubject | 'pending';
}

/** Allows or throws `authorizationFailed`; nothing is allowed by default. `roles` are the principal's. */
export function authorizeManagement(question: ManagementQuestion, roles: PrincipalRoles): void {
  if (allowingAssignment(question, roles) !== undefined) return;
  const { principal, action, scope } = question;
  throw new Failure(
    'authorizationFailed',
    `The client '${principal.userName ?? principal.objectId}' with object id '${principal.objectId}' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  );
}

/** The same as an answer: the assignment's id, or undefined. */
export function allowingAssignment(question: ManagementQuestion, roles: PrincipalRoles): string | undefined {
  const { principal, action, scope, request } = question;
  const tenantId = question.tenantId ?? principal.tenantId;
  if (principal.tenantId !== tenantId) return undefined;
  const pending = request === 'pending';
  const keys = keysAbove(scope === '' ? '/' : scope, tenantId);
  const subject = request === undefined || pending ? {} : request;
  for (const { assignment } of allowing(roles, { kind: 'action', action, tenantId, keys, subject }, pending))
    return assignment.id;
  return undefined;
}

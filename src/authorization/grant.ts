/**
 * Permission as an argument. A grant says that a caller may do one action on one target of one vault; domain
 * operations take it and act on its target only, so that nobody can authorize A and read B.
 */
import type { Action } from './actions.ts';
import { authorize, type ProtectedVault, type Question, type Target } from './authorize.ts';
import type { PrincipalRoles } from './principal-roles.ts';

declare const minted: unique symbol;

export interface Grant<V extends ProtectedVault = ProtectedVault> {
  readonly [minted]: true;
  readonly vault: V;
  readonly action: Action;
  readonly target: Target;
  /** The role assignment that allowed it, where one did. */
  readonly assignmentId: string | undefined;
}

/** Mints the grant for an authorized request, or throws the refusal. Called by the pipeline only. */
export function grantRequest<V extends ProtectedVault>(
  question: Question & { vault: V },
  roles: PrincipalRoles,
): Grant<V> {
  const { vault, action, target } = question;
  return { vault, action, target, assignmentId: authorize(question, roles) } as Grant<V>;
}

/** A grant for the server's own jobs, which act for nobody: scheduled purge, rotation, renewal. */
export function systemGrant<V extends ProtectedVault>(vault: V, action: Action, target: Target): Grant<V> {
  return { vault, action, target, assignmentId: undefined } as Grant<V>;
}

/** A grant for an object of a vault that the management plane has authorized by an action of its own. */
export function managementGrant<V extends ProtectedVault>(
  vault: V,
  action: Action,
  target: Target,
): Grant<V> {
  return { vault, action, target, assignmentId: undefined } as Grant<V>;
}

/** Throws unless the grant is for one of these actions: a route that names the wrong action must not work. */
export function assertGranted(grant: Grant, ...actions: readonly Action[]): void {
  if (!actions.includes(grant.action))
    throw new TypeError(`a grant for ${grant.action.dataAction} does not allow this`);
}

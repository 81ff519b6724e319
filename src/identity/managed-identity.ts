/**
 * Tokens for workloads on this machine, as the instance metadata service gives them: which managed identity a
 * request means, and a token of 24 hours for it. Who may ask is the endpoint's business.
 */
import { Failure } from '../core/errors.ts';
import type { IssuedToken, TokenIssuer } from './issuer.ts';
import type { PrincipalRecord, PrincipalStore } from './principals.ts';
import { longestTokenLifetime } from './signing-keys.ts';

/** The identity that a request names, by at most one of these; by none it means one that the operator made. */
export interface IdentitySelector {
  readonly clientId?: string;
  readonly objectId?: string;
  /** `msi_res_id`, an Azure resource id. */
  readonly resourceId?: string;
}

/** The tenant that this machine belongs to, and the identity that it has of its own, if any. */
export interface MachineIdentity {
  readonly tenantId: string;
  /** Object id of the system-assigned identity. */
  readonly systemAssigned?: string;
}

/** A token with the identity that it is for. */
export interface ManagedIdentityToken extends IssuedToken {
  readonly principal: PrincipalRecord;
  readonly clientId: string;
}

/**
 * Issues a v1.0 token for the identity that `selector` names. Fails with `invalidRequest` in IMDS's words if there
 * is no such identity, if it is another tenant's, or if none is named and several exist.
 */
export async function issueManagedIdentityToken(
  deps: { store: PrincipalStore; issuer: TokenIssuer },
  machine: MachineIdentity,
  request: { selector: IdentitySelector; audience: string; issuer: string },
): Promise<ManagedIdentityToken> {
  const principal = await pickIdentity(deps.store, machine, request.selector);
  if (principal.appId === undefined) throw notFound();
  const issued = await deps.issuer.issueToken({
    principal,
    audience: request.audience,
    version: '1.0',
    issuer: request.issuer,
    lifetimeSeconds: longestTokenLifetime,
    clientAuthentication: '2',
    ...(principal.resourceId === undefined ? {} : { xms_mirid: principal.resourceId }),
  });
  return { ...issued, principal, clientId: principal.appId };
}

async function pickIdentity(
  store: PrincipalStore,
  machine: MachineIdentity,
  selector: IdentitySelector,
): Promise<PrincipalRecord> {
  const { clientId, objectId, resourceId } = selector;
  const given = [clientId, objectId, resourceId].filter((name) => name !== undefined);
  const named = given.length;
  // PostgreSQL's text holds no U+0000, and nobody's name does.
  if (given.some((name) => name.includes('\0'))) throw notFound();
  if (named > 1) {
    throw new Failure('invalidRequest', 'At most one of client_id, object_id and msi_res_id can be given.');
  }
  const found =
    named === 0
      ? await defaultIdentity(store, machine)
      : await namedIdentity(store, machine.tenantId, selector);
  if (found?.kind !== 'managedIdentity' || found.tenantId !== machine.tenantId || !found.enabled)
    throw notFound();
  return found;
}

function namedIdentity(
  store: PrincipalStore,
  tenantId: string,
  { clientId, objectId, resourceId }: IdentitySelector,
): Promise<PrincipalRecord | undefined> {
  if (clientId !== undefined) return store.byAppId(clientId.toLowerCase());
  if (objectId !== undefined) return store.byObjectId(objectId.toLowerCase());
  return store.byResourceId(tenantId, resourceId ?? '');
}

async function defaultIdentity(
  store: PrincipalStore,
  { tenantId, systemAssigned }: MachineIdentity,
): Promise<PrincipalRecord | undefined> {
  if (systemAssigned !== undefined) return store.byObjectId(systemAssigned);
  // Callers of the management plane make the others: who names no identity must not be given theirs, or refused for them.
  const machines = { tenantId, kind: 'managedIdentity', resources: false } as const;
  const { items } = await store.list(machines, { limit: 2, after: undefined });
  if (items.length > 1) {
    throw new Failure(
      'invalidRequest',
      'Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request',
    );
  }
  return items[0];
}

function notFound(): Failure {
  return new Failure('invalidRequest', 'Identity not found');
}

/**
 * Who the client of a token request is, and how it proved it: by a secret (in the form or by HTTP Basic), by an
 * assertion signed with its certificate or by an issuer outside, or not at all, where it is a public client.
 */
import { Failure, isFailure } from '../../core/errors.ts';
import { isGuid } from '../../core/names.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { disabledApplication, findApplication } from '../../identity/applications.ts';
import {
  type AssertionVerifier,
  isSelfIssued,
  type PresentedAssertion,
} from '../../identity/client-assertions.ts';
import type { ClientSecretVerifier } from '../../identity/client-secrets.ts';
import type { ClientAuthentication } from '../../identity/issuer.ts';
import type { PrincipalRecord, PrincipalStore } from '../../identity/principals.ts';
import { findPublicClient } from '../../identity/public-clients.ts';
import type { LoginCall } from './routes.ts';
import { applicationAudience } from './scopes.ts';
import { isTenantAddress } from './tenants.ts';

export interface ClientDeps {
  readonly principals: PrincipalStore;
  readonly verifyClientSecret: ClientSecretVerifier;
  readonly verifyCertificateAssertion: AssertionVerifier;
  readonly verifyFederatedAssertion: AssertionVerifier;
}

/** A client that is who it says, or one that has shown nothing (`'0'`), whose grant decides whether that will do. */
export interface Client {
  /** Lower case. */
  readonly clientId: string;
  /** For people. */
  readonly name: string;
  readonly authentication: ClientAuthentication;
  /** Undefined for Microsoft's own public clients, which are of every tenant. */
  readonly application: PrincipalRecord | undefined;
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Authenticates the client of a token request; fails with `invalidClient`, `unauthorizedClient`, `invalidRequest`. */
export async function authenticateClient(call: LoginCall, form: URLSearchParams): Promise<Client> {
  const { clientId, secret } = credentialsOf(call, form);
  if (clientId === '') {
    throw new Failure(
      'invalidRequest',
      "The request body must contain the following parameter: 'client_id'.",
    );
  }
  const assertion = form.get('client_assertion');
  // RFC 6749 §2.3: no more than one method in a request.
  if (assertion !== null && secret !== undefined)
    throw new Failure('invalidRequest', 'A client proves itself in one way: by a secret or by an assertion.');
  if (assertion !== null) return byAssertion(call, form, clientId);
  return secret === undefined ? unproven(call, clientId) : bySecret(call, { clientId, secret });
}

/** Fails with `invalidClient` for a client that has shown nothing, unless users sign in through it without that. */
export function assertProven(client: Client, isPublicUse = isPublicClient(client)): void {
  if (client.authentication === '0' && !isPublicUse) throw notProven();
}

/** True for a client that can keep no secret. */
export function isPublicClient({ application }: Pick<Client, 'application'>): boolean {
  return application === undefined || application.detail.isPublicClient === true;
}

/** The client of that id, as far as anybody can name it; fails with `invalidClient` for one that is not known. */
export async function unproven(call: LoginCall, clientId: string): Promise<Client> {
  const wellKnown = findPublicClient(clientId);
  if (wellKnown !== undefined)
    return { clientId, name: wellKnown.name, authentication: '0', application: undefined };
  const { tenantId, deps } = call;
  const application = await findApplication(deps.principals, { clientId, tenantId });
  // In the words for a client that must prove itself: client ids cannot be probed.
  if (application === undefined) throw notProven();
  if (!application.enabled) throw disabledApplication(clientId);
  return { clientId, name: application.displayName, authentication: '0', application };
}

async function bySecret(
  call: LoginCall,
  { clientId, secret }: { clientId: string; secret: SecretBytes },
): Promise<Client> {
  const tenantId = (await tenantOf(call, clientId)) ?? '';
  const presented = { appId: clientId, secret, tenantId };
  return proven(clientId, await call.deps.verifyClientSecret(presented), '1');
}

/** Where the path names no tenant the application's own is meant; undefined for an application that is not known. */
async function tenantOf({ tenantId, deps }: LoginCall, clientId: string): Promise<string | undefined> {
  if (tenantId !== undefined || !isGuid(clientId)) return tenantId;
  return (await deps.principals.byAppId(clientId))?.tenantId;
}

async function byAssertion(call: LoginCall, form: URLSearchParams, clientId: string): Promise<Client> {
  if (form.get('client_assertion_type') !== assertionType) {
    throw new Failure('invalidRequest', `The parameter 'client_assertion_type' must be '${assertionType}'.`);
  }
  // Python reads federated tokens from files, with the newline at their end.
  const assertion = (form.get('client_assertion') ?? '').trim();
  const { hosts, tenants, verifyCertificateAssertion, verifyFederatedAssertion } = call.deps;
  const tenantId = (await tenantOf(call, clientId)) ?? '';
  const at = { hosts, tenants: await tenants(), tenantId };
  const presented: PresentedAssertion = {
    assertion,
    clientId,
    tenantId,
    isOwnAudience: (audience) => isTenantAddress(audience, at),
    resource: form.get('grant_type') === 'client_credentials' ? applicationAudience(form) : undefined,
    address: call.exchange.clientAddress,
  };
  try {
    const verify = isSelfIssued(assertion, clientId) ? verifyCertificateAssertion : verifyFederatedAssertion;
    return proven(clientId, await verify(presented), '2');
  } catch (error) {
    if (!isFailure(error, 'unauthorized')) throw error;
    throw new Failure('invalidClient', `AADSTS50027: ${error.message}`, { cause: error });
  }
}

function proven(
  clientId: string,
  application: PrincipalRecord,
  authentication: ClientAuthentication,
): Client {
  return { clientId, name: application.displayName, authentication, application };
}

/** By the form, or by HTTP Basic (RFC 6749 §2.3.1), whose parts are form-encoded. The id is in lower case. */
function credentialsOf(
  call: LoginCall,
  form: URLSearchParams,
): { clientId: string; secret: SecretBytes | undefined } {
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(call.exchange.request.headers.authorization ?? '')?.[1];
  // RFC 6749 §5.2: a refusal names the scheme by which the client tried to authenticate.
  if (basic !== undefined) call.exchange.challenge = `Basic realm="${call.origin}"`;
  // RFC 6749 §2.3 again: which of two secrets counts would be a matter of taste.
  if (basic !== undefined && form.has('client_secret'))
    throw new Failure(
      'invalidRequest',
      'A client secret is given in the form or in the header, not in both.',
    );
  const [id, secret] =
    basic === undefined
      ? [form.get('client_id'), form.get('client_secret')]
      : Buffer.from(basic, 'base64').toString('utf8').split(/:(.*)/s).map(formDecoded);
  const clientId = (id ?? '').toLowerCase();
  if (form.has('client_id') && form.get('client_id')?.toLowerCase() !== clientId)
    throw new Failure('invalidRequest', 'The form and the header name different clients.');
  const isGiven = secret !== undefined && secret !== null && secret !== '';
  return { clientId, secret: isGiven ? SecretBytes.fromText(secret) : undefined };
}

function formDecoded(text: string): string {
  return new URLSearchParams(`v=${text}`).get('v') ?? '';
}

function notProven(): Failure {
  return new Failure(
    'invalidClient',
    "AADSTS7000218: The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  );
}

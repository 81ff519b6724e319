/** The token endpoint: OAuth 2.0 client credentials (RFC 6749 §4.4) in Entra ID's v1.0 and v2.0 forms. */
import { Failure } from '../../core/errors.ts';
import type { Principal } from '../../core/principal.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { ClientSecretVerifier } from '../../identity/client-secrets.ts';
import { issuerOf, type TokenVersion } from '../../identity/issuer-names.ts';
import type { PrincipalRecord, PrincipalStore } from '../../identity/principals.ts';
import { readText } from '../body.ts';
import type { LoginCall } from './routes.ts';

export interface TokenDeps {
  readonly verifyClientSecret: ClientSecretVerifier;
  readonly principals: PrincipalStore;
}

/** One hour, as Entra's tokens for applications. */
const lifetimeSeconds = 3600;
const largestForm = 64 * 1024;
const defaultScope = '/.default';
/** OpenID Connect Core 1.0 §5.4 and §11. */
const openIdScopes: readonly string[] = ['openid', 'profile', 'email', 'offline_access'];

/** Answers a token request of the given endpoint version. */
export async function issueForClient(call: LoginCall, endpoint: TokenVersion): Promise<object> {
  const form = await readForm(call);
  const { tenantId } = call;
  if (tenantId === undefined) {
    throw new Failure(
      'invalidRequest',
      'An application signs in to a tenant: use its id in place of common or organizations.',
    );
  }
  assertGrantType(form);
  const { appId, secret } = credentialsOf(call, form);
  const principal = await call.deps.verifyClientSecret({ appId, secret, tenantId });
  const audience = audienceOf(form);
  const version = await versionFor(call, { audience, endpoint });
  const issuer = issuerOf(call.issuerNames, version, tenantId);
  call.exchange.principal = callerOf(principal, issuer);
  const issued = await call.deps.issuer.issueToken({
    principal,
    audience,
    version,
    issuer,
    lifetimeSeconds,
    idtyp: 'app',
    clientAuthentication: '1',
  });
  const expiresIn = lifetimeSeconds - 1;
  if (endpoint === '2.0' || call.authority.toLowerCase() === 'adfs') {
    return {
      token_type: 'Bearer',
      expires_in: expiresIn,
      ext_expires_in: expiresIn,
      access_token: issued.token,
    };
  }
  return {
    token_type: 'Bearer',
    expires_in: String(expiresIn),
    ext_expires_in: String(expiresIn),
    expires_on: String(issued.expiresAt),
    not_before: String(issued.notBefore),
    resource: audience,
    access_token: issued.token,
  };
}

async function readForm(call: LoginCall): Promise<URLSearchParams> {
  const { request } = call.exchange;
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')) {
    throw new Failure('invalidRequest', 'The body must be application/x-www-form-urlencoded.');
  }
  const form = new URLSearchParams(await readText(call.exchange, largestForm));
  for (const name of form.keys()) {
    // RFC 6749 §3.2: parameters must not be included more than once.
    if (form.getAll(name).length > 1)
      throw new Failure('invalidRequest', 'A parameter is given more than once.');
  }
  return form;
}

function assertGrantType(form: URLSearchParams): void {
  const grantType = form.get('grant_type');
  if (grantType === null) {
    throw new Failure(
      'invalidRequest',
      "The request body must contain the following parameter: 'grant_type'.",
    );
  }
  if (grantType !== 'client_credentials') {
    throw new Failure(
      'unsupportedGrantType',
      'This version of Strongroom issues tokens for client_credentials only.',
    );
  }
}

/** By the form, or by HTTP Basic (RFC 6749 §2.3.1), whose parts are form-encoded. */
function credentialsOf(call: LoginCall, form: URLSearchParams): { appId: string; secret: SecretBytes } {
  if (form.has('client_assertion')) {
    throw new Failure(
      'invalidClient',
      'This version of Strongroom accepts client secrets only, no client assertions.',
    );
  }
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(call.exchange.request.headers.authorization ?? '')?.[1];
  // RFC 6749 §5.2: a refusal names the scheme by which the client tried to authenticate.
  if (basic !== undefined) call.exchange.challenge = `Basic realm="${call.origin}"`;
  const [id, secret] =
    basic === undefined
      ? [form.get('client_id'), form.get('client_secret')]
      : Buffer.from(basic, 'base64').toString('utf8').split(/:(.*)/s).map(formDecoded);
  if (id === undefined || id === null || id === '') {
    throw new Failure(
      'invalidRequest',
      "The request body must contain the following parameter: 'client_id'.",
    );
  }
  if (secret === undefined || secret === null || secret === '') {
    throw new Failure(
      'invalidClient',
      "AADSTS7000218: The request body must contain the following parameter: 'client_secret'.",
    );
  }
  return { appId: id.toLowerCase(), secret: SecretBytes.fromText(secret) };
}

function formDecoded(text: string): string {
  return new URLSearchParams(`v=${text}`).get('v') ?? '';
}

/** `resource`, or the resource of the one scope `RESOURCE/.default`, kept to the letter: a trailing slash stays. */
function audienceOf(form: URLSearchParams): string {
  const resource = form.get('resource');
  if (resource !== null && resource !== '') return resource;
  const asked = (form.get('scope') ?? '').split(/\s+/).filter((word) => word !== '');
  if (asked.length === 0) {
    throw new Failure('invalidRequest', "The request body must contain the following parameter: 'scope'.");
  }
  // MSAL for Go and others ask for these in every request; they mean nothing where no user signs in.
  const [scope, ...others] = asked.filter((word) => !openIdScopes.includes(word));
  if (scope === undefined || others.length > 0 || !scope.endsWith(defaultScope) || scope === defaultScope) {
    throw new Failure(
      'invalidScope',
      `The provided value for the input parameter 'scope' is not valid. An application asks for one resource, by its identifier with '${defaultScope}' after it.`,
    );
  }
  return scope.slice(0, -defaultScope.length);
}

/**
 * The form of token that the resource takes: Azure's own services take v1.0 whichever endpoint was used, registered
 * applications that of the endpoint. Refuses a resource that nobody here stands for.
 */
async function versionFor(
  call: LoginCall,
  of: { audience: string; endpoint: TokenVersion },
): Promise<TokenVersion> {
  if (call.deps.hosts.audienceFamily(of.audience) !== undefined) return '1.0';
  const appId = /^(?:api:\/\/)?([0-9a-f-]{36})$/i.exec(of.audience)?.[1];
  if (appId !== undefined && (await call.deps.principals.byAppId(appId.toLowerCase())) !== undefined)
    return of.endpoint;
  throw new Failure(
    'invalidResource',
    `The resource principal named ${of.audience.slice(0, 256)} was not found in the tenant named ${call.tenantId ?? ''}.`,
  );
}

/** An application as the audit record shows it. */
export function callerOf(principal: PrincipalRecord, issuer: string): Principal {
  const { objectId, tenantId, appId } = principal;
  return { objectId, tenantId, appId, kind: 'application', issuer, userName: undefined, groups: [] };
}

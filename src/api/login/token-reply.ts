/** Tokens and replies: which form of token a resource takes, and what a user's client is told. */
import { Failure } from '../../core/errors.ts';
import type { Principal } from '../../core/principal.ts';
import { issuerOf, type TokenVersion } from '../../identity/issuer-names.ts';
import type { PrincipalRecord } from '../../identity/principals.ts';
import { tokenVersionOf } from '../../identity/resource-applications.ts';
import type { Client } from './client-authentication.ts';
import type { GrantRequest } from './grants/grant.ts';
import type { LoginCall } from './routes.ts';
import type { AskedScopes } from './scopes.ts';

/** Seconds: one hour, as Entra's. */
export const tokenLifetime = 3600;

/** Whether the reply's times are numbers: not on v1.0, unless by `adfs`, whose clients read numbers. */
export function hasNumbers(call: LoginCall, endpoint: TokenVersion): boolean {
  return endpoint === '2.0' || call.authority.toLowerCase() === 'adfs';
}

/** What a token for a resource says of it. */
export interface Resource {
  readonly version: TokenVersion;
  /** `aud`: in v1.0 as it was asked for, in v2.0 the application's client id. */
  readonly audience: string;
}

/**
 * The form of token that the resource takes, whichever endpoint was used: Azure's own services take v1.0, registered
 * applications what they ask for. Fails with `invalidResource` for one that nobody here stands for.
 */
export async function resourceOf(
  call: LoginCall,
  of: { audience: string; tenantId: string },
): Promise<Resource> {
  const { audience, tenantId } = of;
  if (call.deps.hosts.audienceFamily(audience) !== undefined) return { version: '1.0', audience };
  const application = await call.deps.findResource(tenantId, audience);
  if (application?.appId !== undefined) {
    const version = tokenVersionOf(application);
    return { version, audience: version === '1.0' ? audience : application.appId };
  }
  throw new Failure(
    'invalidResource',
    `The resource principal named ${of.audience.slice(0, 256)} was not found in the tenant named ${of.tenantId}.`,
  );
}

/** The resource of scopes that name none: Microsoft Graph, by the family of names that the client uses. */
export function graphAudience({ deps, family }: LoginCall): string {
  return family === 'azure'
    ? 'https://graph.microsoft.com'
    : deps.hosts.ownLoginOrigin().replace('https://login.', 'https://graph.');
}

/** A user who has signed in through the request's client. */
export interface SignedIn {
  readonly user: PrincipalRecord;
  readonly scopes: AskedScopes;
  readonly nonce?: string | undefined;
  /** What the client gets its next tokens with. */
  readonly refreshToken?: string | undefined;
}

/**
 * Throws unless user and client are of one tenant, which is that of the path if it names one: `invalidGrant` or
 * `unauthorizedClient`.
 */
export function assertSameTenant(call: LoginCall, user: PrincipalRecord, { application }: Client): void {
  if (call.tenantId !== undefined && call.tenantId !== user.tenantId)
    throw new Failure('invalidGrant', 'AADSTS50020: The user account does not exist in this tenant.');
  if (application !== undefined && application.tenantId !== user.tenantId)
    throw new Failure(
      'unauthorizedClient',
      'AADSTS700016: The application was not found in the tenant of the user.',
    );
}

/** The reply for a user's client; records who it was. */
export async function replyForUser(
  { call, endpoint, form, client }: GrantRequest,
  { user, scopes, nonce, refreshToken }: SignedIn,
): Promise<object> {
  const { issuer: tokens, principals } = call.deps;
  const { tenantId, objectId } = user;
  const { scp } = scopes;
  const userName = user.userName ?? '';
  const { clientId, authentication } = client;
  const { version, audience } = await resourceOf(call, { audience: scopes.audience, tenantId });
  const issuer = issuerOf(call.issuerNames, version, tenantId);
  call.exchange.principal = userCaller(user, { clientId, issuer });
  const groups = await principals.groupsOf(objectId);
  const common = { principal: user, lifetimeSeconds: tokenLifetime };
  const issued = await tokens.issueToken({
    ...common,
    audience,
    version,
    issuer,
    clientAuthentication: authentication,
    user: { userName, clientId, scope: scp, groups },
  });
  const idTokenIssuer = issuerOf(call.issuerNames, endpoint, tenantId);
  const idToken = scopes.openId
    ? await tokens.issueIdToken({
        ...common,
        userName,
        clientId,
        version: endpoint,
        issuer: idTokenIssuer,
        nonce,
      })
    : undefined;
  return {
    ...timesOf({ call, endpoint }, { ...issued, audience: scopes.audience }),
    scope: endpoint === '2.0' ? [...scopes.granted, ...openIdGranted(scopes)].join(' ') : scp,
    access_token: issued.token,
    ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    ...(idToken === undefined ? {} : { id_token: idToken }),
    ...(form.get('client_info') === '1' ? { client_info: clientInfo(user) } : {}),
  };
}

function timesOf(
  { call, endpoint }: Pick<GrantRequest, 'call' | 'endpoint'>,
  { expiresAt, notBefore, audience }: { expiresAt: number; notBefore: number; audience: string },
): object {
  const seconds = tokenLifetime - 1;
  if (hasNumbers(call, endpoint)) {
    const resource = endpoint === '2.0' ? {} : { resource: audience };
    return { token_type: 'Bearer', expires_in: seconds, ext_expires_in: seconds, ...resource };
  }
  return {
    token_type: 'Bearer',
    expires_in: String(seconds),
    ext_expires_in: String(seconds),
    expires_on: String(expiresAt),
    not_before: String(notBefore),
    resource: audience,
  };
}

function openIdGranted({ openId }: AskedScopes): readonly string[] {
  return openId ? ['openid', 'profile'] : [];
}

/** What MSAL makes account names of. */
function clientInfo({ objectId, tenantId }: PrincipalRecord): string {
  return Buffer.from(JSON.stringify({ uid: objectId, utid: tenantId })).toString('base64url');
}

/** An application as the audit record shows it. */
export function callerOf(principal: PrincipalRecord, issuer: string): Principal {
  const { objectId, tenantId, appId } = principal;
  return { objectId, tenantId, appId, kind: 'application', issuer, userName: undefined, groups: [] };
}

/** A user who signed in through a client, as the audit record shows it. */
export function userCaller(
  { objectId, tenantId, userName }: PrincipalRecord,
  by: { clientId: string; issuer: string },
): Principal {
  return { objectId, tenantId, appId: by.clientId, kind: 'user', issuer: by.issuer, userName, groups: [] };
}

/** What the grants of users share: the scopes that are asked for, and the session that begins or goes on. */
import { Failure, isFailure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { TokenVersion } from '../../identity/issuer-names.ts';
import type { LoginGrant } from '../../identity/login-grants.ts';
import type { PrincipalRecord } from '../../identity/principals.ts';
import { revoked } from '../../identity/sessions.ts';
import { disabledUser, passwordOf, type UserSignIn } from '../../identity/sign-in.ts';
import type { Client } from './client-authentication.ts';
import { required } from './form.ts';
import type { GrantRequest } from './grants/grant.ts';
import type { LoginCall } from './routes.ts';
import { type AskedScopes, resourceAsScope, userScopes } from './scopes.ts';
import { assertSameTenant, graphAudience, resourceOf } from './token-reply.ts';

export interface Asked {
  /** As it was asked for, to be asked for again. */
  readonly text: string;
  readonly scopes: AskedScopes;
}

/** What the form asks for; `before` is what was asked for when the sign-in began. Fails with `invalidScope`. */
export function scopesAsked({ call, form, endpoint }: GrantRequest, before?: string): Asked {
  const given = resourceAsScope(form) ?? form.get('scope') ?? before;
  const text = given ?? (endpoint === '1.0' ? '' : required(form, 'scope'));
  return parseAsked(call, { text, endpoint });
}

/** Parses scopes of the login host that was asked. */
export function parseAsked(call: LoginCall, of: { text: string; endpoint: TokenVersion }): Asked {
  // v1.0 knows no scopes of OpenID Connect: it gives all three tokens.
  const text = of.endpoint === '1.0' ? `${of.text} openid offline_access` : of.text;
  if (text.length > longestScope) throw new Failure('invalidScope', "The parameter 'scope' is too long.");
  return { text, scopes: userScopes(text, graphAudience(call)) };
}

const longestScope = 4096;

/** Signs a user in by name and password, for a client of the user's tenant; fails with `invalidGrant`, `throttled`. */
export async function signIn(
  call: LoginCall,
  given: { userName: string; password: string; client: Client },
): Promise<UserSignIn> {
  const { tenantId, deps, exchange } = call;
  const tenantIds = tenantId === undefined ? (await deps.tenants()).map(({ id }) => id) : [tenantId];
  // One guess each at many names locks none of them: who guesses is counted too.
  await deps.passwordLimit.assertFree(exchange.clientAddress);
  const signedIn = await deps
    .verifyPassword({
      userName: given.userName,
      password: SecretBytes.fromText(given.password),
      tenantIds,
      // For the audit record of a sign-in that fails: whose name it was. What was typed may be anything, a password too.
      onFound: (found) => {
        exchange.resourceId = `/tenants/${found.tenantId}/users/${found.objectId}`;
      },
    })
    .catch(async (error: unknown) => {
      if (isFailure(error, 'invalidGrant')) await deps.passwordLimit.count(exchange.clientAddress);
      throw error;
    });
  assertSameTenant(call, signedIn.user, given.client);
  return signedIn;
}

/**
 * The user of an earlier sign-in, who must be there still, enabled, and have the password of that time: by its key id,
 * since a time could not tell a sign-in with the old one from a change at the same moment. Fails with `invalidGrant`.
 */
export async function userOf(
  call: LoginCall,
  { objectId, passwordId }: { objectId: string; passwordId: string },
): Promise<PrincipalRecord> {
  const { principals } = call.deps;
  const user = await principals.byObjectId(objectId);
  if (user?.kind !== 'user')
    throw new Failure('invalidGrant', 'AADSTS50034: The user account does not exist.');
  if (!user.enabled) throw disabledUser();
  if ((await passwordOf(principals, objectId))?.keyId !== passwordId) throw revoked();
  return user;
}

/**
 * Begins a session if a refresh token is wanted, and uses up the code that it comes of; resolves to the refresh token.
 * Fails with `invalidResource` before anything is used up, and throws what `lost` makes if another was first.
 */
export async function beginSession(
  { call, client }: GrantRequest,
  begin: UserSignIn & { asked: Asked; from?: LoginGrant; lost?: () => Promise<never> },
): Promise<string | undefined> {
  const { user, passwordId, asked, from } = begin;
  const { objectId, tenantId } = user;
  await resourceOf(call, { audience: asked.scopes.audience, tenantId });
  const { sessions, loginGrants, clock } = call.deps;
  if (asked.scopes.offline) {
    const subject = {
      objectId,
      tenantId,
      clientId: client.clientId,
      scope: asked.text,
      isProven: client.authentication !== '0',
      passwordId,
    };
    const token = await sessions.begin(subject, from);
    if (token !== undefined) return token;
  } else {
    if (from === undefined) return undefined;
    const becomes = { ...from, used: clock.now() };
    if (await loginGrants.exchange({ from: { was: from, becomes }, adds: [] })) return undefined;
  }
  return begin.lost?.();
}

/** RFC 6749 §6: the user's session goes on, for the same resource or for another one. */
import { isFailure } from '../../../core/errors.ts';
import type { PrincipalRecord } from '../../../identity/principals.ts';
import type { RefreshGrant } from '../../../identity/sessions.ts';
import { assertProven } from '../client-authentication.ts';
import { required } from '../form.ts';
import { assertSameTenant, replyForUser, resourceOf } from '../token-reply.ts';
import { scopesAsked, userOf } from '../user-sessions.ts';
import type { GrantHandler, GrantRequest } from './grant.ts';

export const refreshTokenGrant: GrantHandler = async (request) => {
  const { call, form, client } = request;
  const { sessions } = call.deps;
  const found = await sessions.find(required(form, 'refresh_token'), client.clientId);
  // A session that began with proof goes on with proof.
  assertProven(client, !found.isProven);
  const user = await userOfSession(request, found);
  assertSameTenant(call, user, client);
  const asked = scopesAsked(request, found.scope);
  const { audience } = asked.scopes;
  await resourceOf(call, { audience, tenantId: user.tenantId });
  const refreshToken = await sessions.rotate(found);
  return replyForUser(request, { user, scopes: asked.scopes, refreshToken });
};

/** The session ends with its user, with the user's being disabled, and with a new password. */
async function userOfSession({ call }: GrantRequest, found: RefreshGrant): Promise<PrincipalRecord> {
  try {
    return await userOf(call, found);
  } catch (error) {
    if (isFailure(error, 'invalidGrant')) await call.deps.sessions.end(found);
    throw error;
  }
}

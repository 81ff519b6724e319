/** RFC 6749 §4.1.3: a client redeems the code that its user's browser brought it. */
import { isRegisteredRedirect } from '../../../identity/redirect-uris.ts';
import { assertProven, isPublicClient } from '../client-authentication.ts';
import { required } from '../form.ts';
import { assertSameTenant, replyForUser } from '../token-reply.ts';
import { beginSession, scopesAsked, userOf } from '../user-sessions.ts';
import type { GrantHandler } from './grant.ts';

export const authorizationCodeGrant: GrantHandler = async (request) => {
  const { call, form, client } = request;
  const redirectUri = form.get('redirect_uri') ?? undefined;
  const { publicRedirectUris = [], spaRedirectUris = [] } = client.application?.detail ?? {};
  const isPublicAddress = isRegisteredRedirect(redirectUri ?? '', [
    ...publicRedirectUris,
    ...spaRedirectUris,
  ]);
  assertProven(client, isPublicClient(client) || isPublicAddress);
  const { codes } = call.deps;
  const { subject, grant } = await codes.redeem(required(form, 'code'), {
    clientId: client.clientId,
    redirectUri,
    verifier: form.get('code_verifier') ?? undefined,
  });
  const user = await userOf(call, subject);
  assertSameTenant(call, user, client);
  const asked = scopesAsked(request, subject.scope);
  const refreshToken = await beginSession(request, {
    user,
    passwordId: subject.passwordId,
    asked,
    from: grant,
    lost: () => codes.refuseReuse(grant),
  });
  return replyForUser(request, { user, scopes: asked.scopes, nonce: subject.nonce, refreshToken });
};

/** RFC 6749 §4.3: a client that has been told the user's name and password. */
import { assertProven } from '../client-authentication.ts';
import { required } from '../form.ts';
import { replyForUser } from '../token-reply.ts';
import { beginSession, scopesAsked, signIn } from '../user-sessions.ts';
import type { GrantHandler } from './grant.ts';

export const passwordGrant: GrantHandler = async (request) => {
  const { call, form, client } = request;
  assertProven(client);
  const asked = scopesAsked(request);
  const { user, passwordId } = await signIn(call, {
    userName: required(form, 'username'),
    password: required(form, 'password'),
    client,
  });
  const refreshToken = await beginSession(request, { user, passwordId, asked });
  return replyForUser(request, { user, scopes: asked.scopes, refreshToken });
};

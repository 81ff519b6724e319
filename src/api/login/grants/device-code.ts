/** RFC 8628 §3.4: a client asks whether its user has signed in elsewhere. */
import { Failure } from '../../../core/errors.ts';
import { assertProven } from '../client-authentication.ts';
import { required } from '../form.ts';
import { assertSameTenant, replyForUser } from '../token-reply.ts';
import { beginSession, parseAsked, userOf } from '../user-sessions.ts';
import type { GrantHandler } from './grant.ts';

export const deviceCodeGrant: GrantHandler = async (request) => {
  const { call, form, client, endpoint } = request;
  assertProven(client);
  // v1.0's clients send `code`, az sends both.
  const code = form.get('device_code') ?? form.get('code') ?? required(form, 'device_code');
  const device = await call.deps.devices.poll(code, client.clientId);
  const user = await userOf(call, device);
  assertSameTenant(call, user, client);
  const asked = parseAsked(call, { text: device.scope, endpoint });
  const refreshToken = await beginSession(request, {
    user,
    passwordId: device.passwordId,
    asked,
    from: device.grant,
    lost: () => {
      throw new Failure('invalidGrant', 'AADSTS54005: The device code was already redeemed.');
    },
  });
  return replyForUser(request, { user, scopes: asked.scopes, refreshToken });
};

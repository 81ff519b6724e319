/** RFC 6749 §4.4: an application asks for a token of its own. */
import { Failure } from '../../../core/errors.ts';
import { issuerOf } from '../../../identity/issuer-names.ts';
import { assertProven } from '../client-authentication.ts';
import { applicationAudience } from '../scopes.ts';
import { callerOf, hasNumbers, resourceOf, tokenLifetime } from '../token-reply.ts';
import type { GrantHandler } from './grant.ts';

export const clientCredentialsGrant: GrantHandler = async ({ call, endpoint, form, client }) => {
  const { tenantId } = call;
  if (tenantId === undefined) {
    throw new Failure(
      'invalidRequest',
      'An application signs in to a tenant: use its id in place of common or organizations.',
    );
  }
  assertProven(client, false);
  const { application } = client;
  if (application === undefined)
    throw new Failure('unauthorizedClient', 'The client is no application here.');
  const asked = applicationAudience(form);
  const { version, audience } = await resourceOf(call, { audience: asked, tenantId });
  const issuer = issuerOf(call.issuerNames, version, tenantId);
  call.exchange.principal = callerOf(application, issuer);
  const issued = await call.deps.issuer.issueToken({
    principal: application,
    audience,
    version,
    issuer,
    lifetimeSeconds: tokenLifetime,
    clientAuthentication: client.authentication,
  });
  const expiresIn = tokenLifetime - 1;
  if (hasNumbers(call, endpoint)) {
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
    resource: asked,
    access_token: issued.token,
  };
};

/** The token endpoint (RFC 6749 §3.2) in Entra ID's v1.0 and v2.0 forms: the client proves itself, its grant is served. */
import { Failure } from '../../core/errors.ts';
import type { TokenVersion } from '../../identity/issuer-names.ts';
import { authenticateClient } from './client-authentication.ts';
import { readForm, required } from './form.ts';
import { authorizationCodeGrant } from './grants/authorization-code.ts';
import { clientCredentialsGrant } from './grants/client-credentials.ts';
import { deviceCodeGrant } from './grants/device-code.ts';
import type { GrantHandler } from './grants/grant.ts';
import { passwordGrant } from './grants/password.ts';
import { refreshTokenGrant } from './grants/refresh-token.ts';
import type { LoginCall } from './routes.ts';

const deviceCode = 'urn:ietf:params:oauth:grant-type:device_code';

/** One row for each `grant_type`. */
const grants: ReadonlyMap<string, GrantHandler> = new Map([
  ['client_credentials', clientCredentialsGrant],
  ['password', passwordGrant],
  ['authorization_code', authorizationCodeGrant],
  ['refresh_token', refreshTokenGrant],
  [deviceCode, deviceCodeGrant],
  // v1.0's name for it.
  ['device_code', deviceCodeGrant],
]);

/** The grant types of discovery documents. */
export const grantTypes: readonly string[] = [...grants.keys()].filter((name) => name !== 'device_code');

/** Answers a token request of the given endpoint version. */
export async function issueToken(call: LoginCall, endpoint: TokenVersion): Promise<object> {
  const form = await readForm(call.exchange);
  const grant = grants.get(required(form, 'grant_type'));
  if (grant === undefined) {
    throw new Failure('unsupportedGrantType', 'The app requested an unsupported grant type.');
  }
  const client = await authenticateClient(call, form);
  return grant({ call, endpoint, form, client });
}

/** OpenID Connect discovery, the key set, and the instance discovery that Microsoft's libraries begin with. */
import { Failure } from '../../core/errors.ts';
import { issuerOf, type TokenVersion } from '../../identity/issuer-names.ts';
import type { LoginCall } from './routes.ts';
import { grantTypes } from './token.ts';
import { graphAudience } from './token-reply.ts';

/** OpenID Connect Discovery 1.0 §3, with the members that Microsoft's libraries read. */
export function openIdConfiguration(call: LoginCall, version: TokenVersion): object {
  const base = `${call.origin}/${call.authority}`;
  const oauth = version === '2.0' ? `${base}/oauth2/v2.0` : `${base}/oauth2`;
  return {
    token_endpoint: `${oauth}/token`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic', 'private_key_jwt'],
    jwks_uri: version === '2.0' ? `${base}/discovery/v2.0/keys` : `${base}/discovery/keys`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    response_types_supported: ['code'],
    grant_types_supported: grantTypes,
    code_challenge_methods_supported: ['S256', 'plain'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    // Entra writes the placeholder itself where the path names no tenant.
    issuer: issuerOf(call.issuerNames, version, call.tenantId ?? '{tenantid}'),
    authorization_endpoint: `${oauth}/authorize`,
    device_authorization_endpoint: `${oauth}/devicecode`,
    end_session_endpoint: `${oauth}/logout`,
    tenant_region_scope: null,
    cloud_instance_name: new URL(call.origin).host,
    msgraph_host: new URL(graphAudience(call)).host,
  };
}

/** RFC 7517 §5. */
export function keySet(call: LoginCall): Promise<object> {
  return call.deps.issuer.jwks();
}

const azureAliases = [
  'login.microsoftonline.com',
  'login.windows.net',
  'login.microsoft.com',
  'sts.windows.net',
];

/** Confirms that the authority which a client is about to use is this server, and by which names it goes. */
export function instanceDiscovery(call: LoginCall): object {
  const endpoint = call.exchange.query.get('authorization_endpoint') ?? '';
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  // Some clients leave the port out (seen with MSAL for Python), so that only the host is compared.
  const target = url === undefined ? undefined : call.deps.hosts.find(url.hostname);
  if (url === undefined || url.protocol !== 'https:' || target?.api !== 'login') {
    throw new Failure('invalidInstance', 'The authorization endpoint is not of this server.');
  }
  const tenant = url.pathname.split('/')[1] || 'common';
  const azure = target.family === 'azure';
  const own = [...new Set([url.hostname, new URL(call.origin).host])];
  return {
    tenant_discovery_endpoint: `https://${url.host}/${tenant}/v2.0/.well-known/openid-configuration`,
    'api-version': '1.1',
    metadata: [
      {
        preferred_network: azure ? 'login.microsoftonline.com' : url.host,
        preferred_cache: azure ? 'login.windows.net' : url.host,
        aliases: azure ? azureAliases : own,
      },
    ],
  };
}

/** The identity service's endpoints, as rows, in the paths of Entra ID's v1.0 and v2.0. */
import FindMyWay from 'find-my-way';
import { Failure } from '../../core/errors.ts';
import type { Tenant } from '../../domain/vaults/vault-store.ts';
import type { TokenIssuer } from '../../identity/issuer.ts';
import { azureIssuerNames, type IssuerNames, ownIssuerNames } from '../../identity/issuer-names.ts';
import { type Answer, type Exchange, header } from '../exchange.ts';
import type { Hosts, HostTarget } from '../hosts.ts';
import type { Method } from '../route.ts';
import { instanceDiscovery, keySet, openIdConfiguration } from './discovery.ts';
import { issueForClient, type TokenDeps } from './token.ts';

export interface LoginDeps extends TokenDeps {
  readonly hosts: Hosts;
  readonly issuer: TokenIssuer;
  readonly tenants: () => Promise<readonly Tenant[]>;
}

/** One request to a login endpoint. */
export interface LoginCall {
  readonly exchange: Exchange;
  readonly deps: LoginDeps;
  /** `https://host[:port]` as the client reached us. */
  readonly origin: string;
  readonly issuerNames: IssuerNames;
  /** What stands in the path for the tenant: its id, its name, or `common`, `organizations`, `adfs`. */
  readonly authority: string;
  /** The tenant meant; undefined for `common` and `organizations`. */
  readonly tenantId: string | undefined;
}

interface LoginRoute {
  readonly audit: string;
  readonly method: Method;
  readonly path: string;
  readonly handle: (call: LoginCall) => Promise<object>;
}

const routes: readonly LoginRoute[] = [
  {
    audit: 'InstanceDiscoveryGet',
    method: 'GET',
    path: '/common/discovery/instance',
    handle: async (call) => instanceDiscovery(call),
  },
  {
    audit: 'OpenIdConfigurationGet',
    method: 'GET',
    path: '/:authority/v2.0/.well-known/openid-configuration',
    handle: async (call) => openIdConfiguration(call, '2.0'),
  },
  {
    audit: 'OpenIdConfigurationGet',
    method: 'GET',
    path: '/:authority/.well-known/openid-configuration',
    handle: async (call) => openIdConfiguration(call, '1.0'),
  },
  {
    audit: 'KeySetGet',
    method: 'GET',
    path: '/:authority/discovery/v2.0/keys',
    handle: (call) => keySet(call),
  },
  { audit: 'KeySetGet', method: 'GET', path: '/:authority/discovery/keys', handle: (call) => keySet(call) },
  {
    audit: 'TokenIssue',
    method: 'POST',
    path: '/:authority/oauth2/v2.0/token',
    handle: (call) => issueForClient(call, '2.0'),
  },
  {
    audit: 'TokenIssue',
    method: 'POST',
    path: '/:authority/oauth2/token',
    handle: (call) => issueForClient(call, '1.0'),
  },
];

export interface LoginApi {
  answer(exchange: Exchange, target: HostTarget): Promise<Answer>;
}

export function createLoginApi(deps: LoginDeps): LoginApi {
  const router = FindMyWay({ caseSensitive: false, ignoreTrailingSlash: true, ignoreDuplicateSlashes: true });
  for (const route of routes) router.on(route.method, route.path, () => undefined, route);
  return {
    async answer(exchange, target) {
      // The token endpoints name the caller's id differently from the data plane (seen with MSAL's clients).
      const clientRequestId = header(exchange.request, 'client-request-id') ?? '';
      exchange.clientRequestId = /^[\w-]{1,64}$/.test(clientRequestId) ? clientRequestId : undefined;
      const found = router.find(exchange.method as FindMyWay.HTTPMethod, exchange.path);
      if (found === null) throw new Failure('notFound', 'The identity service has no such endpoint.');
      const route = found.store as LoginRoute;
      exchange.operation = route.audit;
      const authority = found.params.authority ?? 'common';
      const tenantId = await tenantOf(deps, authority);
      if (tenantId !== undefined) exchange.resourceId = `/tenants/${tenantId}`;
      const issuerNames =
        target.family === 'azure' ? azureIssuerNames : ownIssuerNames(deps.hosts.ownLoginOrigin());
      const call = {
        exchange,
        deps,
        origin: `https://${target.authority}`,
        issuerNames,
        authority,
        tenantId,
      };
      const body = JSON.stringify(await route.handle(call));
      return { status: 200, body, headers: [], failure: undefined, id: undefined };
    },
  };
}

/**
 * The tenant that a path segment names. `adfs` is what clients use to go without instance discovery; it stands for
 * the only tenant there is.
 */
async function tenantOf(deps: LoginDeps, authority: string): Promise<string | undefined> {
  const folded = authority.toLowerCase();
  if (folded === 'common' || folded === 'organizations') return undefined;
  const tenants = await deps.tenants();
  if (folded === 'adfs' && tenants.length === 1) return tenants[0]?.id;
  const tenant = tenants.find((entry) => entry.id === folded || entry.name.toLowerCase() === folded);
  if (tenant !== undefined) return tenant.id;
  throw new Failure(
    'tenantNotFound',
    `Tenant '${authority.slice(0, 64)}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.`,
  );
}

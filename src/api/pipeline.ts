/**
 * The one path of every request to an API, inside the frame of `serve.ts` (limit, open the audit record … close it,
 * send), in this order: host, find the vault, authenticate, network rule, route, authorize, parse, handle.
 */
import type { RequestListener } from 'node:http';
import type { CachedAssignments } from '../authorization/assignment-cache.ts';
import { assertNetworkAllows, isReachableFrom, vaultScope } from '../authorization/authorize.ts';
import { grantRequest } from '../authorization/grant.ts';
import { type TrustedService, trustsService } from '../authorization/trusted-services.ts';
import { Failure } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import { rememberByIdentity } from '../core/remember.ts';
import type { Vault } from '../domain/vaults/vault.ts';
import type { Vaults } from '../domain/vaults/vaults.ts';
import type { ExpectedToken, TokenValidator } from '../identity/validator.ts';
import { readJson } from './body.ts';
import type { ClientAddressOf } from './client-address.ts';
import { bearerToken } from './connection.ts';
import {
  dataPlaneBody,
  graphBody,
  managementBody,
  managementCode,
  managementRefusalHeaders,
  tokenBody,
} from './errors.ts';
import type { Answer, Exchange } from './exchange.ts';
import type { GraphApi } from './graph/routes.ts';
import type { ApiName, Hosts, HostTarget } from './hosts.ts';
import type { LoginApi } from './login/routes.ts';
import type { ManagementApi } from './management/api.ts';
import {
  createManagementHeaders,
  createVaultHeaders,
  graphHeaders,
  loginHeaders,
} from './response-headers.ts';
import { type ServeDeps, type Served, serveRequests } from './serve.ts';
import { operationNotAllowed, type VaultRouter } from './vault/router.ts';
import { parseBody } from './vault/wire.ts';
import { has, parseApiVersion } from './versions.ts';

export interface PipelineDeps extends ServeDeps {
  readonly hosts: Hosts;
  readonly vaults: Vaults;
  readonly validator: TokenValidator;
  readonly assignments: CachedAssignments;
  readonly vaultRouter: VaultRouter;
  readonly login: LoginApi;
  readonly management: ManagementApi;
  readonly graph: GraphApi;
  /** The Azure service that a principal stands for; undefined for most. */
  readonly serviceOf: (principal: Principal) => Promise<TrustedService | undefined>;
  readonly clientAddressOf: ClientAddressOf;
}

interface Deps extends PipelineDeps {
  /** The vault's ARM id; a vault that was changed is another object. */
  readonly scopeOf: (vault: Vault) => string;
}

export function createPipeline(given: PipelineDeps): RequestListener {
  const deps: Deps = { ...given, scopeOf: rememberByIdentity(vaultScope) };
  const dialects = createDialects(deps);
  // What is refused before its target is looked up is refused in its target's own dialect too.
  const dialectOf = ({ target, request }: Exchange): Dialect =>
    dialects[(target ?? deps.hosts.find(request.headers.host ?? ''))?.api ?? 'vault'];
  return serveRequests(deps, {
    methodOverride: true,
    clientAddressOf: deps.clientAddressOf,
    answer: (exchange) => answerTo(deps, exchange),
    headers: (exchange) => dialectOf(exchange).headers(exchange),
    refusalBody: (failure, exchange) => dialectOf(exchange).refusalBody(failure, exchange),
    resultCode: (failure, exchange) => dialectOf(exchange).resultCode?.(failure, exchange),
    refusalHeaders: (failure, exchange) => dialectOf(exchange).refusalHeaders?.(failure, exchange) ?? [],
  });
}

/** How an API's answers look, whatever they say. */
type Dialect = Pick<Served, 'headers' | 'refusalBody' | 'refusalHeaders' | 'resultCode'>;

function createDialects({ clock }: Deps): Readonly<Record<ApiName, Dialect>> {
  const vault: Dialect = { headers: createVaultHeaders(), refusalBody: dataPlaneBody };
  const login: Dialect = {
    headers: loginHeaders,
    refusalBody(failure, { requestId, clientRequestId }) {
      return tokenBody(failure, {
        requestId,
        correlationId: clientRequestId ?? requestId,
        time: clock.now(),
      });
    },
  };
  const management: Dialect = {
    headers: createManagementHeaders(),
    refusalBody: managementBody,
    refusalHeaders: managementRefusalHeaders,
    resultCode: managementCode,
  };
  const graph: Dialect = {
    headers: graphHeaders,
    refusalBody(failure, { requestId, clientRequestId = requestId }) {
      return graphBody(failure, { requestId, clientRequestId, time: clock.now() });
    },
  };
  return { vault, managedhsm: vault, console: vault, graph, login, management };
}

function answerTo(deps: Deps, exchange: Exchange): Promise<Answer> {
  const host = exchange.request.headers.host ?? '';
  // RFC 9112 §3.2: two Hosts are joined by a comma here, and a target in absolute form would be a second one.
  if (host.includes(',') || !exchange.path.startsWith('/'))
    throw new Failure('badParameter', 'A request has one Host header, and a path as its target.');
  const target = deps.hosts.find(host);
  if (target === undefined)
    throw new Failure('hostNotServed', 'This server does not answer to the host name that was asked for.');
  exchange.target = target;
  switch (target.api) {
    case 'vault':
      return answerVault(deps, exchange, target);
    case 'login':
      return deps.limiter.signIn(() => deps.login.answer(exchange, target));
    case 'management':
      return deps.management.answer(exchange, target);
    case 'graph':
      return deps.graph.answer(exchange, target);
    default:
      throw new Failure('hostNotServed', `This version of Strongroom does not serve the ${target.api} API.`);
  }
}

async function answerVault(deps: Deps, exchange: Exchange, target: HostTarget): Promise<Answer> {
  // What is in memory is taken without waiting: on the usual request each turn of the queue would cost as much.
  const vaultName = target.name ?? '';
  const vault = deps.vaults.known(vaultName) ?? (await deps.vaults.find(vaultName));
  if (vault === undefined) throw new Failure('vaultNotFound', `The vault '${target.name}' does not exist.`);
  exchange.resourceId = deps.scopeOf(vault);
  exchange.region = vault.location;
  exchange.operation = 'Authentication';
  const expected = { audiences: target.audiences, tenantId: vault.tenantId };
  const { connection } = exchange;
  const token = bearerToken(exchange.request, connection);
  const principal =
    (token === undefined ? undefined : deps.validator.cached(token, expected, connection.lastToken)) ??
    (await authenticate(deps, exchange, { token, expected, target }));
  exchange.principal = principal;
  exchange.operation = 'Unknown';
  deps.limiter.transaction(vault.id);
  if (!isReachableFrom(vault, exchange.clientAddress) && !(await isTrusted(deps, vault, principal)))
    assertNetworkAllows(vault, principal, exchange.clientAddress);

  const { route, name, version } = deps.vaultRouter.find(exchange);
  exchange.operation = route.audit;
  const apiVersion = parseApiVersion(exchange.query.get('api-version'));
  if (route.since !== undefined && !has(apiVersion, route.since))
    throw operationNotAllowed(route.method, route.path.split('/').at(-1) ?? '');
  const question = { vault, principal, action: route.action, target: { kind: route.kind, name } };
  const grant = grantRequest(
    question,
    deps.assignments.knownRoles(principal) ?? (await deps.assignments.rolesOf(principal)),
  );
  exchange.assignmentId = grant.assignmentId;

  const { schema } = route;
  const body = schema === undefined ? undefined : parseBody(schema, await readJson(exchange, route.maxBody));
  const { origin } = target;
  const call = { grant, apiVersion, version, query: exchange.query, body: body as never, origin };
  const replied = route.handle(call);
  const reply = replied instanceof Promise ? await replied : replied;
  return {
    status: reply.status,
    body: reply.body === undefined ? reply.text : JSON.stringify(reply.body),
    headers: reply.headers ?? [],
    failure: undefined,
    id: reply.id,
  };
}

/** Whether the caller is a service that the vault lets past its firewall. Asked only of who is kept out by it. */
async function isTrusted(
  { serviceOf }: PipelineDeps,
  { networkRules: { bypass }, services }: Vault,
  principal: Principal,
): Promise<boolean> {
  const service = await serviceOf(principal);
  return service !== undefined && trustsService({ bypass, services }, service);
}

async function authenticate(
  deps: PipelineDeps,
  exchange: Exchange,
  at: { token: string | undefined; expected: ExpectedToken; target: HostTarget },
): Promise<Principal> {
  const { token, expected, target } = at;
  try {
    if (token === undefined) {
      throw new Failure('unauthorized', 'AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token.');
    }
    return await deps.validator.validate(token, expected);
  } catch (error) {
    const authority = `${deps.hosts.loginOrigin(target)}/${expected.tenantId}`;
    exchange.challenge = `Bearer authorization="${authority}", resource="${target.audiences[0] ?? ''}"`;
    throw error;
  }
}

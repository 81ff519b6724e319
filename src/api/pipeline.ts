/**
 * The one path of every request, in this order: limit, host, open the audit record, find the vault, authenticate,
 * network rule, route, authorize, parse, handle, close the audit record, answer. Nothing is answered before its
 * audit record is written; a request whose record cannot be written fails.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AuditLog } from '../audit/log.ts';
import type { CachedAssignments } from '../authorization/assignment-cache.ts';
import {
  assertNetworkAllows,
  type PrincipalRoles,
  type Question,
  rolesFrom,
  vaultScope,
} from '../authorization/authorize.ts';
import { grantRequest } from '../authorization/grant.ts';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Principal } from '../core/principal.ts';
import type { Random } from '../core/random.ts';
import type { Vaults } from '../domain/vaults/vaults.ts';
import type { ExpectedToken, LastToken, TokenValidator } from '../identity/validator.ts';
import { readJson } from './body.ts';
import { asFailure, dataPlaneBody, resultCode, statusOf, tokenBody } from './errors.ts';
import { type Answer, auditEntry, type Exchange, openExchange } from './exchange.ts';
import { answerHealth, type Readiness } from './health.ts';
import type { Hosts, HostTarget } from './hosts.ts';
import type { Limiter } from './limits.ts';
import type { LoginApi } from './login/routes.ts';
import { loginHeaders, vaultHeaders } from './response-headers.ts';
import type { VaultRouter } from './vault/router.ts';
import { parseBody } from './vault/wire.ts';
import { parseApiVersion } from './versions.ts';

export interface PipelineDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly audit: AuditLog;
  readonly hosts: Hosts;
  readonly limiter: Limiter;
  readonly readiness: Readiness;
  readonly vaults: Vaults;
  readonly validator: TokenValidator;
  readonly assignments: CachedAssignments;
  readonly vaultRouter: VaultRouter;
  readonly login: LoginApi;
}

export function createPipeline(deps: PipelineDeps): RequestListener {
  return (request, response) => {
    if (answerHealth(deps.readiness, request, response)) return;
    serve(deps, request, response).catch((error: unknown) => {
      // Nothing is known to end here; if something does, it is one connection that ends and not the server.
      deps.log.error('request could not be answered', { error });
      response.destroy();
    });
  };
}

async function serve(deps: PipelineDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const requestId = deps.random.guid();
  const exchange = openExchange(request, {
    response,
    now: deps.clock.now(),
    requestId,
    methodOverride: true,
  });
  let answer: Answer;
  let entered = false;
  try {
    deps.limiter.enter();
    entered = true;
    answer = await answerTo(deps, exchange);
  } catch (error) {
    answer = refusal(deps, exchange, error);
  }
  try {
    await deps.audit.append(auditEntry(exchange, answer, deps.clock.now()));
  } catch (error) {
    const unrecorded = new Failure('unavailable', 'The request cannot be recorded.', {
      cause: error,
      retryAfter: 1,
    });
    answer = refusal(deps, exchange, unrecorded);
  }
  if (entered) deps.limiter.leave();
  send(deps, { exchange, answer }, response);
}

function answerTo(deps: PipelineDeps, exchange: Exchange): Promise<Answer> {
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
    default:
      throw new Failure('hostNotServed', `This version of Strongroom does not serve the ${target.api} API.`);
  }
}

async function answerVault(deps: PipelineDeps, exchange: Exchange, target: HostTarget): Promise<Answer> {
  // What is in memory is taken without waiting: on the usual request each turn of the queue would cost as much.
  const vaultName = target.name ?? '';
  const vault = deps.vaults.known(vaultName) ?? (await deps.vaults.find(vaultName));
  if (vault === undefined) throw new Failure('vaultNotFound', `The vault '${target.name}' does not exist.`);
  exchange.resourceId = vaultScope(vault);
  exchange.region = vault.location;
  exchange.operation = 'Authentication';
  const expected = { audiences: target.audiences, tenantId: vault.tenantId };
  const token = bearerToken(exchange.request);
  const principal =
    (token === undefined ? undefined : deps.validator.cached(token, expected, lastToken(exchange.request))) ??
    (await authenticate(deps, exchange, { token, expected, target }));
  exchange.principal = principal;
  exchange.operation = 'Unknown';
  deps.limiter.transaction(vault.id);
  assertNetworkAllows(vault, principal, exchange.clientAddress);

  const { route, name, version } = deps.vaultRouter.find(exchange);
  exchange.operation = route.audit;
  const apiVersion = parseApiVersion(exchange.query.get('api-version'));
  const question = { vault, principal, action: route.action, target: { kind: route.kind, name } };
  const grant = grantRequest(
    question,
    deps.assignments.knownRoles(principal.objectId) ?? (await rolesFor(deps, question)),
  );
  exchange.assignmentId = grant.assignmentId;

  const { schema } = route;
  const body = schema === undefined ? undefined : parseBody(schema, await readJson(exchange, route.maxBody));
  const origin = `https://${target.authority}`;
  const call = { grant, apiVersion, version, query: exchange.query, body: body as never, origin };
  const reply = await route.handle(call);
  return {
    status: reply.status,
    body: reply.body === undefined ? undefined : JSON.stringify(reply.body),
    headers: [],
    failure: undefined,
    id: reply.id,
  };
}

/** Where a connection's last token is kept: on its socket, which nothing outlives. */
const lastTokenKey = Symbol('last token');

function lastToken(request: IncomingMessage): LastToken {
  const socket: Socket & { [lastTokenKey]?: LastToken } = request.socket;
  socket[lastTokenKey] ??= { token: '', digest: '' };
  return socket[lastTokenKey];
}

/** The token of the Authorization header (RFC 6750 §2.1); undefined if there is none. */
function bearerToken(request: IncomingMessage): string | undefined {
  const authorization = request.headers.authorization;
  return authorization !== undefined && /^bearer /i.test(authorization)
    ? authorization.slice(7).trim()
    : undefined;
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

const noRoles = rolesFrom([]);

async function rolesFor(deps: PipelineDeps, { vault, principal }: Question): Promise<PrincipalRoles> {
  // Under access policies role assignments count for nothing, and need not be read.
  return vault.enableRbacAuthorization ? deps.assignments.rolesOf(principal.objectId) : noRoles;
}

function refusal(deps: PipelineDeps, exchange: Exchange, error: unknown): Answer {
  const failure = asFailure(error, exchange.requestId);
  if (failure.cause !== undefined) {
    const unforeseen = failure.kind === 'internal';
    deps.log[unforeseen ? 'error' : 'warn'](unforeseen ? 'request failed' : failure.message, {
      requestId: exchange.requestId,
      operation: exchange.operation,
      error: failure.cause,
    });
  }
  const headers: string[] = [];
  const isChallenge = failure.kind === 'unauthorized' || failure.kind === 'invalidClient';
  if (isChallenge && exchange.challenge !== undefined) headers.push('WWW-Authenticate', exchange.challenge);
  if (failure.retryAfter !== undefined) headers.push('Retry-After', String(failure.retryAfter));
  const ids = {
    requestId: exchange.requestId,
    correlationId: exchange.clientRequestId ?? exchange.requestId,
  };
  const body =
    exchange.target?.api === 'login'
      ? tokenBody(failure, { ...ids, time: deps.clock.now() })
      : dataPlaneBody(failure);
  return {
    status: statusOf(failure.kind),
    body,
    headers,
    failure: { code: resultCode(failure.kind), description: failure.message },
    id: undefined,
  };
}

/** A body that nobody read and that is large or of unknown length is not worth waiting for: the connection ends. */
const drainedBody = 1024 * 1024;

function send(
  deps: PipelineDeps,
  done: { exchange: Exchange; answer: Answer },
  response: ServerResponse,
): void {
  const { exchange, answer } = done;
  const { request } = exchange;
  const common = exchange.target?.api === 'login' ? loginHeaders(exchange) : vaultHeaders(exchange);
  const headers = [...common, ...answer.headers];
  if (answer.body !== undefined) {
    headers.push('Content-Type', 'application/json; charset=utf-8');
    headers.push('Content-Length', String(Buffer.byteLength(answer.body)));
  }
  const unread =
    !request.complete && !(Number(request.headers['content-length'] ?? Number.NaN) <= drainedBody);
  if (deps.readiness.draining || (unread && request.method !== 'GET')) headers.push('Connection', 'close');
  response.writeHead(answer.status, headers);
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

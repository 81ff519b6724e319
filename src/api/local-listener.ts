/**
 * The loopback listener's requests, plain HTTP: health, managed identity, and the metadata address as a proxy
 * request. A page in a browser must not get at it through a name of its own, so that the Host is checked.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../core/clock.ts';
import { Failure, isFailure } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { asFailure, managedIdentityBody, resultCode, statusOf } from './errors.ts';
import { type Answer, auditEntry, type Exchange, openExchange } from './exchange.ts';
import { answerHealth, type Readiness } from './health.ts';
import { answerManagedIdentity, type ManagedIdentityDeps } from './login/managed-identity.ts';
import { loginHeaders } from './response-headers.ts';

export interface LocalDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly audit: AuditLog;
  readonly readiness: Readiness;
  readonly managedIdentity: ManagedIdentityDeps;
}

/** Azure's metadata address, which clients reach through the proxy in absolute form. */
const metadataAddress = '169.254.169.254';
const loopbackHost = /^(?:localhost|127\.0\.0\.1|\[::1\]|169\.254\.169\.254)(?::\d{1,5})?$/i;

export function createLocalHandler(deps: LocalDeps): RequestListener {
  return (request, response) => {
    if (answerHealth(deps.readiness, request, response)) return;
    serve(deps, request, response).catch((error: unknown) => {
      deps.log.error('request could not be answered', { error });
      response.destroy();
    });
  };
}

async function serve(deps: LocalDeps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const absolute = `http://${metadataAddress}`;
  if (request.url?.startsWith(`${absolute}/`)) request.url = request.url.slice(absolute.length);
  const exchange = openExchange(request, {
    response,
    now: deps.clock.now(),
    requestId: deps.random.guid(),
    methodOverride: false,
  });
  exchange.operation = 'ManagedIdentityTokenIssue';
  exchange.resourceId = `/tenants/${deps.managedIdentity.machine.tenantId}`;
  let answer: Answer;
  try {
    answer = await answerTo(deps, exchange);
  } catch (error) {
    answer = refusal(deps, exchange, error);
  }
  try {
    await deps.audit.append(auditEntry(exchange, answer, deps.clock.now()));
  } catch (cause) {
    answer = refusal(
      deps,
      exchange,
      new Failure('unavailable', 'The request cannot be recorded.', { cause, retryAfter: 1 }),
    );
  }
  const body = answer.body ?? '';
  response.writeHead(answer.status, [
    ...loginHeaders(exchange),
    ...answer.headers,
    'Content-Type',
    'application/json; charset=utf-8',
    'Content-Length',
    String(Buffer.byteLength(body)),
  ]);
  response.end(body);
}

async function answerTo(deps: LocalDeps, exchange: Exchange): Promise<Answer> {
  if (!loopbackHost.test(exchange.request.headers.host ?? '')) {
    throw new Failure('hostNotServed', 'The loopback listener answers to loopback addresses only.');
  }
  if (exchange.method !== 'GET' && exchange.method !== 'POST') {
    throw new Failure('methodNotAllowed', `HTTP ${exchange.method.slice(0, 16)} not allowed`);
  }
  const body = JSON.stringify(await answerManagedIdentity(deps.managedIdentity, exchange));
  return { status: 200, body, headers: [], failure: undefined, id: undefined };
}

function refusal(deps: LocalDeps, exchange: Exchange, error: unknown): Answer {
  const failure = asFailure(error, exchange.requestId);
  if (isFailure(failure, 'internal'))
    deps.log.error('managed identity request failed', { error: failure.cause });
  return {
    status: statusOf(failure.kind),
    body: managedIdentityBody(failure),
    headers: failure.retryAfter === undefined ? [] : ['Retry-After', String(failure.retryAfter)],
    failure: { code: resultCode(failure.kind), description: failure.message },
    id: undefined,
  };
}

/**
 * The frame of every request on either listener: health apart, it is counted in, answered or refused, recorded, and
 * only then sent. Nothing is answered before its audit record is written; a request whose record cannot be written
 * fails.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AuditLog } from '../audit/log.ts';
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { type ClientAddressOf, directAddress } from './client-address.ts';
import { asFailure, resultCode, statusOf } from './errors.ts';
import { type Answer, auditEntry, type Exchange, openExchange } from './exchange.ts';
import { answerHealth, type Readiness } from './health.ts';
import type { Limiter } from './limits.ts';
import { createTargetParser, type TargetParser } from './request-target.ts';

export interface ServeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly audit: AuditLog;
  readonly limiter: Limiter;
  readonly readiness: Readiness;
}

/** What tells the requests of one listener from those of the other. */
export interface Served {
  /** Whether a POST may name the verb that it stands for. */
  readonly methodOverride: boolean;
  /** Whose address a request has; by default the connection's. */
  readonly clientAddressOf?: ClientAddressOf;
  /** Answers, or throws the refusal. */
  readonly answer: (exchange: Exchange) => Promise<Answer>;
  readonly refusalBody: (failure: Failure, exchange: Exchange) => string;
  /** The code that the audit record gives, if it is not the data plane's. */
  readonly resultCode?: (failure: Failure, exchange: Exchange) => string | undefined;
  /** What a refusal has besides, as name and value in turn. */
  readonly refusalHeaders?: (failure: Failure, exchange: Exchange) => readonly string[];
  /** The headers of every answer, as name and value in turn, in a list that is the caller's to add to. */
  readonly headers: (exchange: Exchange) => string[];
}

export function serveRequests(given: ServeDeps, served: Served): RequestListener {
  const { clock, random, log, audit, limiter, readiness } = given;
  const deps: Deps = {
    clock,
    random,
    log,
    audit,
    limiter,
    readiness,
    served,
    parseTarget: createTargetParser(),
  };
  return (request, response) => {
    if (answerHealth(readiness, request, response)) return;
    serve(deps, request, response).catch((error: unknown) => {
      // Nothing is known to end here; if something does, it is one connection that ends and not the server.
      log.error('request could not be answered', { error });
      response.destroy();
    });
  };
}

interface Deps extends ServeDeps {
  readonly served: Served;
  readonly parseTarget: TargetParser;
}

async function serve(deps: Deps, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const exchange = openExchange(request, {
    response,
    now: deps.clock.now(),
    requestId: deps.random.guid(),
    methodOverride: deps.served.methodOverride,
    parseTarget: deps.parseTarget,
    clientAddressOf: deps.served.clientAddressOf ?? directAddress,
  });
  let answer: Answer;
  let entered = false;
  try {
    deps.limiter.enter();
    entered = true;
    // A disk that someone has filled must not let changes through unrecorded.
    deps.audit.assertWritable();
    answer = await deps.served.answer(exchange);
  } catch (error) {
    answer = refusal(deps, exchange, error);
  }
  try {
    await deps.audit.append(auditEntry(exchange, answer, deps.clock.now()));
  } catch (cause) {
    const unrecorded = new Failure('unavailable', 'The request cannot be recorded.', {
      cause,
      retryAfter: 1,
    });
    answer = refusal(deps, exchange, unrecorded);
  }
  if (entered) deps.limiter.leave();
  send(deps, { exchange, answer }, response);
}

function refusal(deps: Deps, exchange: Exchange, error: unknown): Answer {
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
  const status = statusOf(failure.kind);
  if (status === 401 && exchange.challenge !== undefined)
    headers.push('WWW-Authenticate', exchange.challenge);
  if (failure.retryAfter !== undefined) headers.push('Retry-After', String(failure.retryAfter));
  headers.push(...(deps.served.refusalHeaders?.(failure, exchange) ?? []));
  return {
    status,
    body: deps.served.refusalBody(failure, exchange),
    headers,
    failure: {
      code: deps.served.resultCode?.(failure, exchange) ?? resultCode(failure.kind),
      description: failure.message,
    },
    id: undefined,
  };
}

/** A body that nobody read and that is large or of unknown length is not worth waiting for: the connection ends. */
const drainedBody = 1024 * 1024;

function send(deps: Deps, done: { exchange: Exchange; answer: Answer }, response: ServerResponse): void {
  const { exchange, answer } = done;
  const { request } = exchange;
  const headers = deps.served.headers(exchange);
  for (const text of answer.headers) headers.push(text);
  if (answer.body !== undefined) {
    headers.push('Content-Type', answer.contentType ?? 'application/json; charset=utf-8');
    headers.push('Content-Length', String(Buffer.byteLength(answer.body)));
  } else if (answer.status !== 204) headers.push('Content-Length', '0');
  const unread =
    !request.complete && !(Number(request.headers['content-length'] ?? Number.NaN) <= drainedBody);
  if (deps.readiness.draining || (unread && request.method !== 'GET')) headers.push('Connection', 'close');
  response.writeHead(answer.status, headers);
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

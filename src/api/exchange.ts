/**
 * One request and what becomes known of it on its way through the pipeline: the open audit record. Mutable on
 * purpose, and seen by the pipeline only.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditEntry } from '../audit/record.ts';
import type { Principal } from '../core/principal.ts';
import type { HostTarget } from './hosts.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  /** See `BodySource`. */
  readonly proceed: (() => void) | undefined;
  readonly started: number;
  /** GUID, sent as `x-ms-request-id`. */
  readonly requestId: string;
  /** The caller's own id, echoed; undefined if it sent none that can be. */
  clientRequestId: string | undefined;
  readonly clientAddress: string;
  readonly method: string;
  /** The path as sent, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  target: HostTarget | undefined;
  /** The audit record's operationName. */
  operation: string;
  resourceId: string;
  principal: Principal | undefined;
  region: string;
  assignmentId: string | undefined;
  /** The challenge for a 401. */
  challenge: string | undefined;
}

/** What is sent: `body` is JSON text. `headers` are name and value in turn. */
export interface Answer {
  readonly status: number;
  readonly body: string | undefined;
  readonly headers: readonly string[];
  readonly failure: { readonly code: string; readonly description: string } | undefined;
  /** The identifier of the object in the body, for the audit record. */
  readonly id: string | undefined;
}

const echoable = /^[\x20-\x7e]{1,128}$/;

export function openExchange(
  request: IncomingMessage,
  at: { response: ServerResponse; now: number; requestId: string; methodOverride: boolean },
): Exchange {
  const url = request.url ?? '/';
  const mark = url.indexOf('?');
  const clientRequestId = header(request, 'x-ms-client-request-id');
  return {
    request,
    proceed: request.headers.expect === undefined ? undefined : () => at.response.writeContinue(),
    started: at.now,
    requestId: at.requestId,
    clientRequestId:
      clientRequestId !== undefined && echoable.test(clientRequestId) ? clientRequestId : undefined,
    clientAddress: plainAddress(request.socket.remoteAddress ?? ''),
    method: at.methodOverride ? methodOf(request) : (request.method ?? 'GET'),
    path: mark < 0 ? url : url.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)),
    target: undefined,
    operation: 'Unknown',
    resourceId: '',
    principal: undefined,
    region: '',
    assignmentId: undefined,
    challenge: undefined,
  };
}

/** A header's one value; undefined when it is missing. */
export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Azure lets a POST stand in for another verb, named in `X-HTTP-METHOD`. */
function methodOf(request: IncomingMessage): string {
  const method = request.method ?? 'GET';
  if (method !== 'POST') return method;
  return (header(request, 'x-http-method') ?? method).toUpperCase();
}

/** An IPv4 address that came over an IPv6 socket, as the IPv4 address that it is. */
function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

export function auditEntry(exchange: Exchange, answer: Answer, now: number): AuditEntry {
  const { request } = exchange;
  return {
    time: exchange.started,
    resourceId: exchange.resourceId,
    operationName: exchange.operation,
    operationVersion: exchange.query.get('api-version') ?? '',
    status: answer.status,
    failure: answer.failure,
    durationMs: now - exchange.started,
    callerIpAddress: exchange.clientAddress,
    correlationId: exchange.clientRequestId ?? exchange.requestId,
    principal: exchange.principal,
    userAgent: request.headers['user-agent'] ?? '',
    requestUri: `https://${request.headers.host ?? ''}${request.url ?? ''}`,
    id: answer.id,
  };
}

/**
 * One request and what becomes known of it on its way through the pipeline: the open audit record. Mutable on
 * purpose, and seen by the pipeline only.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditEntry } from '../audit/record.ts';
import type { Principal } from '../core/principal.ts';
import type { ClientAddressOf } from './client-address.ts';
import { type Connection, connectionOf } from './connection.ts';
import type { HostTarget } from './hosts.ts';
import type { Query, TargetParser } from './request-target.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly connection: Connection;
  /** The client's IP address; empty if a proxy of ours does not say it. */
  readonly clientAddress: string;
  /** See `BodySource`. */
  readonly proceed: (() => void) | undefined;
  readonly started: number;
  /** GUID, sent as `x-ms-request-id`. */
  readonly requestId: string;
  /** The caller's own id, echoed; undefined if it sent none that can be. */
  clientRequestId: string | undefined;
  readonly method: string;
  /** The path as sent, without the query. */
  readonly path: string;
  readonly query: Query;
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

/** What is sent: `body` is JSON text unless `contentType` says otherwise. `headers` are name and value in turn. */
export interface Answer {
  readonly status: number;
  readonly body: string | undefined;
  readonly contentType?: string;
  readonly headers: readonly string[];
  readonly failure: { readonly code: string; readonly description: string } | undefined;
  /** The identifier of the object in the body, for the audit record. */
  readonly id: string | undefined;
}

const echoable = /^[\x20-\x7e]{1,128}$/;

export function openExchange(
  request: IncomingMessage,
  at: {
    response: ServerResponse;
    now: number;
    requestId: string;
    methodOverride: boolean;
    parseTarget: TargetParser;
    clientAddressOf: ClientAddressOf;
  },
): Exchange {
  const { path, query } = at.parseTarget(request.url ?? '/');
  const { headers } = request;
  const clientRequestId = single(headers['x-ms-client-request-id']);
  const connection = connectionOf(request);
  return {
    request,
    connection,
    clientAddress: at.clientAddressOf(request, connection),
    proceed: headers.expect === undefined ? undefined : () => at.response.writeContinue(),
    started: at.now,
    requestId: at.requestId,
    clientRequestId:
      clientRequestId !== undefined && echoable.test(clientRequestId) ? clientRequestId : undefined,
    method: at.methodOverride ? methodOf(request) : (request.method ?? 'GET'),
    path,
    query,
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
  return single(request.headers[name]);
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === 'object' ? value[0] : value;
}

/** Azure lets a POST stand in for another verb, named in `X-HTTP-METHOD`. */
function methodOf(request: IncomingMessage): string {
  const method = request.method ?? 'GET';
  if (method !== 'POST') return method;
  return (header(request, 'x-http-method') ?? method).toUpperCase();
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

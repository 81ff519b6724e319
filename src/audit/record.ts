/**
 * One audit record as a line of JSON, in the shape and field order of Azure Monitor's AuditEvent. Values that a
 * caller controls are bounded, escaped and, in the query of the URI, removed unless known to be harmless.
 */

import { isoSevenDecimals } from '../core/clock.ts';
import type { Principal } from '../core/principal.ts';

/** What is known about a request once its answer is ready. */
export interface AuditEntry {
  /** When the request arrived, in milliseconds since 1970. */
  readonly time: number;
  /** ARM id of the vault or pool, in any case. */
  readonly resourceId: string;
  /** Azure's object-and-verb name, such as `SecretGet`. */
  readonly operationName: string;
  /** The `api-version` that was asked for. */
  readonly operationVersion: string;
  /** HTTP status of the answer. */
  readonly status: number;
  /** The error that is answered; undefined for a success. */
  readonly failure: { readonly code: string; readonly description: string } | undefined;
  readonly durationMs: number;
  readonly callerIpAddress: string;
  readonly correlationId: string;
  /** Undefined when no token was accepted. */
  readonly principal: Principal | undefined;
  readonly userAgent: string;
  /** As received; `formatRecord` redacts it. */
  readonly requestUri: string;
  /** Identifier of the object that the answer carries. */
  readonly id: string | undefined;
}

/** The most UTF-16 units kept of each field, so that no request can make a record large. */
const longest = {
  resourceId: 1024,
  operation: 128,
  code: 128,
  description: 1024,
  address: 64,
  correlationId: 128,
  claim: 256,
  userAgent: 512,
  uri: 2048,
} as const;

/** RFC 9110 §15 and RFC 6585: what Azure writes as `resultSignature`. */
const reasonPhrases: ReadonlyMap<number, string> = new Map([
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [204, 'No Content'],
  [302, 'Found'],
  [304, 'Not Modified'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [411, 'Length Required'],
  [412, 'Precondition Failed'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [415, 'Unsupported Media Type'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
]);

/** The record of `entry` as one line of JSON without a line end; `sequence` is its number in the log. */
export function formatRecord(entry: AuditEntry, sequence: number): string {
  return `${formatUnnumbered(entry)},"seq":${sequence}}`;
}

/** `formatRecord` up to the sequence number, which is known only when the line is written. */
export function formatUnnumbered(entry: AuditEntry): string {
  const { failure } = entry;
  const signature = reasonPhrases.get(entry.status) ?? String(entry.status);
  const resultType = failure?.code ?? (entry.status < 400 ? 'Success' : signature.replaceAll(' ', ''));
  return (
    `{"time":"${isoSevenDecimals(entry.time)}"` +
    `,"resourceId":${quote(entry.resourceId.toUpperCase(), longest.resourceId)}` +
    `,"operationName":${quote(entry.operationName, longest.operation)}` +
    `,"operationVersion":${quote(entry.operationVersion, longest.operation)}` +
    `,"category":"AuditEvent"` +
    `,"resultType":${quote(resultType, longest.code)}` +
    `,"resultSignature":"${signature}"` +
    `,"resultDescription":${quote(failure?.description ?? '', longest.description)}` +
    `,"durationMs":"${Math.round(entry.durationMs)}"` +
    `,"callerIpAddress":${quote(entry.callerIpAddress, longest.address)}` +
    `,"correlationId":${quote(entry.correlationId, longest.correlationId)}` +
    `,"identity":{"claim":${formatClaims(entry.principal)}}` +
    `,"properties":${formatProperties(entry)}`
  );
}

/** Object ids are unique only within a tenant, so the tenant stands next to Azure's three claims. */
function formatClaims(principal: Principal | undefined): string {
  if (principal === undefined) return '{}';
  let claims = `{"http://schemas.microsoft.com/identity/claims/objectidentifier":${quote(principal.objectId, longest.claim)}`;
  if (principal.userName !== undefined) {
    claims += `,"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":${quote(principal.userName, longest.claim)}`;
  }
  if (principal.appId !== undefined) claims += `,"appid":${quote(principal.appId, longest.claim)}`;
  return `${claims},"http://schemas.microsoft.com/identity/claims/tenantid":${quote(principal.tenantId, longest.claim)}}`;
}

function formatProperties(entry: AuditEntry): string {
  const id = entry.id === undefined ? '' : `,"id":${quote(entry.id, longest.uri)}`;
  const status = Number.isInteger(entry.status) ? entry.status : 0;
  return (
    `{"clientInfo":${quote(entry.userAgent, longest.userAgent)}` +
    `,"requestUri":${quote(redactUri(entry.requestUri), longest.uri)}` +
    `${id},"httpStatusCode":${status}}`
  );
}

/**
 * What JSON must escape, and what must not reach a terminal or a line reader as it is: C1 controls, line
 * separators and invisible or direction-changing characters, which could hide or forge text on a screen.
 */
const unsafe = /["\\\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;
const unsafeInJson = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

function quote(text: string, limit: number): string {
  const kept = text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
  if (!unsafe.test(kept)) return `"${kept}"`;
  return JSON.stringify(kept).replace(unsafeInJson, escapeUnits);
}

function escapeUnits(character: string): string {
  let escaped = '';
  for (let i = 0; i < character.length; i += 1) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}

/** Query names, in lower case, whose values say what was asked and never hold a credential. */
const harmlessNames: ReadonlySet<string> = new Set([
  'api-version',
  'maxresults',
  '$skiptoken',
  'outcontenttype',
  'resource',
  'client_id',
  'object_id',
  'msi_res_id',
  'scope',
  'includepending',
  'request_id',
  '$filter',
  '$top',
]);

/** `uri` without user information and fragment, and with every query value that is not known to be harmless replaced. */
export function redactUri(uri: string): string {
  const fragment = uri.indexOf('#');
  const whole = fragment === -1 ? uri : uri.slice(0, fragment);
  const question = whole.indexOf('?');
  if (question === -1) return withoutUserInformation(whole);
  return `${withoutUserInformation(whole.slice(0, question))}?${redactQuery(whole.slice(question + 1))}`;
}

/** The scheme and slashes, counted as generously as URL parsers do, then the authority up to its last `@`. */
const userInformation = /^([^/\\]*[/\\]{2,}|[^/\\]*:[/\\]|(?![/\\]))[^/\\]*@/;

function withoutUserInformation(beforeQuery: string): string {
  return beforeQuery.includes('@') ? beforeQuery.replace(userInformation, '$1') : beforeQuery;
}

/** Parts end at `&`, and at `;` as in older parsers, so that a value cannot ride along behind a harmless name. */
function redactQuery(query: string): string {
  let redacted = '';
  let start = 0;
  for (let i = 0; i <= query.length; i += 1) {
    const unit = query[i];
    if (i < query.length && unit !== '&' && unit !== ';') continue;
    redacted += redactPart(query.slice(start, i)) + (unit ?? '');
    start = i + 1;
  }
  return redacted;
}

function redactPart(part: string): string {
  if (part === '') return '';
  const equals = part.indexOf('=');
  // Without a `=`, the text may as well be a value.
  if (equals === -1) return isHarmless(part) ? part : 'REDACTED';
  const name = part.slice(0, equals);
  return isHarmless(name) ? part : `${name}=REDACTED`;
}

function isHarmless(name: string): boolean {
  if (!name.includes('%')) return harmlessNames.has(name.toLowerCase());
  try {
    return harmlessNames.has(decodeURIComponent(name).toLowerCase());
  } catch {
    // Not percent-encoding: no name that the server knows.
    return false;
  }
}

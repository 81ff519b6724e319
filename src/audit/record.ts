/**
 * One audit record as a line of JSON, in the shape and field order of Azure Monitor's AuditEvent. Values that a
 * caller controls are bounded, escaped and, in the query of the URI, removed unless known to be harmless.
 * What many records share is formatted once and remembered: a busy server writes a record for every request.
 */

import { isoSevenDecimals } from '../core/clock.ts';
import type { Principal } from '../core/principal.ts';
import { redactUri } from './redact-uri.ts';

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
  /** As received; the formatter redacts it. */
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

/** Turns entries into lines; what it remembers is bounded, and only makes it faster. */
export interface RecordFormatter {
  /** `entry` as one line of JSON without its end: the number, which is known only when it is written, and `}`. */
  format(entry: AuditEntry): string;
}

export function createRecordFormatter(): RecordFormatter {
  const timeOf = isoBySecond();
  const resourceOf = remembered(longest.resourceId, (id) => escapeText(id.toUpperCase(), longest.resourceId));
  const agentOf = remembered(longest.userAgent, (agent) => escapeText(agent, longest.userAgent));
  const claimsOf = claimsByPrincipal();
  const format = (entry: AuditEntry) =>
    `{"time":"${timeOf(entry.time)}","resourceId":"${resourceOf(entry.resourceId)}` +
    `","operationName":"${escapeText(entry.operationName, longest.operation)}` +
    `","operationVersion":"${escapeText(entry.operationVersion, longest.operation)}` +
    `","category":"AuditEvent${formatOutcome(entry)}","durationMs":"${Math.round(entry.durationMs)}` +
    `","callerIpAddress":"${escapeText(entry.callerIpAddress, longest.address)}` +
    `","correlationId":"${escapeText(entry.correlationId, longest.correlationId)}` +
    `","identity":{"claim":${claimsOf(entry.principal)}},"properties":{"clientInfo":"${agentOf(entry.userAgent)}` +
    `","requestUri":"${formatUri(entry.requestUri)}${formatEnd(entry)}`;
  return { format };
}

/** `isoSevenDecimals`, with all but the milliseconds kept from the last call. */
function isoBySecond(): (time: number) => string {
  let second = Number.NaN;
  let upToSecond = '';
  return (time) => {
    const ofTime = Math.floor(time / 1000);
    if (ofTime !== second) {
      upToSecond = isoSevenDecimals(time).slice(0, -'6780000Z'.length);
      second = ofTime;
    }
    return `${upToSecond}${String(1000 + Math.floor(time - ofTime * 1000)).slice(1)}0000Z`;
  };
}

/** How many values are remembered; more are forgotten all at once, so that no caller can fill the memory. */
const mostRemembered = 256;

/** `make`, remembering what it made for texts of at most `limit` UTF-16 units. */
function remembered(limit: number, make: (text: string) => string): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const found = known.get(text);
    if (found !== undefined) return found;
    const made = make(text);
    if (known.size >= mostRemembered) known.clear();
    if (text.length <= limit) known.set(text, made);
    return made;
  };
}

/** A principal is the same object for as long as its token is remembered. */
function claimsByPrincipal(): (principal: Principal | undefined) => string {
  const known = new WeakMap<Principal, string>();
  return (principal) => {
    if (principal === undefined) return '{}';
    let claims = known.get(principal);
    if (claims === undefined) {
      claims = formatClaims(principal);
      known.set(principal, claims);
    }
    return claims;
  };
}

/** Object ids are unique only within a tenant, so the tenant stands next to Azure's three claims. */
function formatClaims({ objectId, userName, appId, tenantId }: Principal): string {
  const claim = (value: string) => `"${escapeText(value, longest.claim)}"`;
  return (
    `{"http://schemas.microsoft.com/identity/claims/objectidentifier":${claim(objectId)}` +
    (userName === undefined
      ? ''
      : `,"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":${claim(userName)}`) +
    (appId === undefined ? '' : `,"appid":${claim(appId)}`) +
    `,"http://schemas.microsoft.com/identity/claims/tenantid":${claim(tenantId)}}`
  );
}

function formatOutcome({ status, failure }: AuditEntry): string {
  if (status === 200 && failure === undefined) {
    return '","resultType":"Success","resultSignature":"OK","resultDescription":"';
  }
  const signature = reasonPhrases.get(status) ?? String(status);
  const resultType = failure?.code ?? (status < 400 ? 'Success' : signature.replaceAll(' ', ''));
  return (
    `","resultType":"${escapeText(resultType, longest.code)}","resultSignature":"${signature}` +
    `","resultDescription":"${escapeText(failure?.description ?? '', longest.description)}`
  );
}

/** Nearly every request's: nothing in it is to be redacted or escaped. */
const plainUri = /^[\w\-.~:/%]*(?:\?api-version=[\w\-.]*)?$/;

function formatUri(uri: string): string {
  return uri.length <= longest.uri && plainUri.test(uri) ? uri : escapeText(redactUri(uri), longest.uri);
}

function formatEnd({ id, status }: AuditEntry): string {
  const code = `","httpStatusCode":${Number.isInteger(status) ? status : 0}}`;
  return id === undefined ? code : `","id":"${escapeText(id, longest.uri)}${code}`;
}

/** Printable ASCII that JSON leaves as it is: nearly every value, so that one cheap test serves nearly always. */
const plain = /^[ !#-[\]-~]*$/;

/**
 * What must not reach a terminal or a line reader as it is, on top of what JSON escapes: C1 controls, line
 * separators and invisible or direction-changing characters, which could hide or forge text on a screen.
 */
const unsafeInJson = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** `text` as it stands between the quotes of a JSON string, cut to `limit` UTF-16 units. */
function escapeText(text: string, limit: number): string {
  if (text.length <= limit && plain.test(text)) return text;
  const kept = text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
  return JSON.stringify(kept).slice(1, -1).replace(unsafeInJson, escapeUnits);
}

function escapeUnits(character: string): string {
  let escaped = '';
  for (let i = 0; i < character.length; i += 1) {
    escaped += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
  }
  return escaped;
}

/**
 * One audit record as a line of JSON, in the shape and field order of Azure Monitor's AuditEvent. Values that a
 * caller controls are bounded, escaped and, in the query of the URI, removed unless known to be harmless.
 * What many records share is formatted once and remembered: a busy server writes a record for every request.
 */

import { isoSevenDecimals } from '../core/clock.ts';
import type { Principal } from '../core/principal.ts';
import { remember, rememberByIdentity } from '../core/remember.ts';
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

/** Each part comes with the punctuation around it: the fewer pieces a line is joined from, the less it costs. */
export function createRecordFormatter(): RecordFormatter {
  const timeOf = isoByMillisecond();
  const resourceOf = part(longest.resourceId, (id, limit) => {
    return `","resourceId":"${escapeText(id.toUpperCase(), limit)}","operationName":"`;
  });
  const operationOf = part(longest.operation, (name, limit) => {
    return `${escapeText(name, limit)}","operationVersion":"`;
  });
  const versionOf = part(longest.operation, (version, limit) => {
    return `${escapeText(version, limit)}","category":"AuditEvent","resultType":"`;
  });
  const addressOf = part(longest.address, (address, limit) => {
    return `","callerIpAddress":"${escapeText(address, limit)}","correlationId":"`;
  });
  const claimsOf = rememberByIdentity((principal: Principal) => joined(formatIdentity(principal)));
  const agentOf = part(longest.userAgent, (agent, limit) => {
    return `${escapeText(agent, limit)}","requestUri":"`;
  });
  const format = (entry: AuditEntry) =>
    `{"time":"${timeOf(entry.time)}${resourceOf(entry.resourceId)}${operationOf(entry.operationName)}` +
    `${versionOf(entry.operationVersion)}${formatOutcome(entry)}${Math.round(entry.durationMs)}` +
    `${addressOf(entry.callerIpAddress)}${escapeText(entry.correlationId, longest.correlationId)}` +
    `${entry.principal === undefined ? noIdentity : claimsOf(entry.principal)}${agentOf(entry.userAgent)}` +
    `${formatUri(entry.requestUri)}${formatEnd(entry)}`;
  return { format };
}

/** `isoSevenDecimals`, made once for all records of a millisecond, and for the most part once for those of a second. */
function isoByMillisecond(): (time: number) => string {
  let last = Number.NaN;
  let text = '';
  let second = Number.NaN;
  let upToSecond = '';
  return (time) => {
    if (time === last) return text;
    const ofTime = Math.floor(time / 1000);
    if (ofTime !== second) {
      upToSecond = isoSevenDecimals(time).slice(0, -'6780000Z'.length);
      second = ofTime;
    }
    text = `${upToSecond}${String(1000 + Math.floor(time - ofTime * 1000)).slice(1)}0000Z`;
    last = time;
    return text;
  };
}

/** `make`, remembered for texts that come again and again. */
function part(limit: number, make: (text: string, limit: number) => string): (text: string) => string {
  return remember({ longest: limit, most: 256 }, (text) => joined(make(text, limit)));
}

/** The same text in one piece: V8 joins lazily, and would walk through the pieces for each record. */
function joined(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

const noIdentity = '","identity":{"claim":{}},"properties":{"clientInfo":"';

/** Object ids are unique only within a tenant, so the tenant stands next to Azure's three claims. */
function formatIdentity({ objectId, userName, appId, tenantId }: Principal): string {
  const claim = (value: string) => `"${escapeText(value, longest.claim)}"`;
  return (
    `","identity":{"claim":{"http://schemas.microsoft.com/identity/claims/objectidentifier":${claim(objectId)}` +
    (userName === undefined
      ? ''
      : `,"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":${claim(userName)}`) +
    (appId === undefined ? '' : `,"appid":${claim(appId)}`) +
    `,"http://schemas.microsoft.com/identity/claims/tenantid":${claim(tenantId)}}},"properties":{"clientInfo":"`
  );
}

function formatOutcome({ status, failure }: AuditEntry): string {
  if (status === 200 && failure === undefined) {
    return 'Success","resultSignature":"OK","resultDescription":"","durationMs":"';
  }
  const signature = reasonPhrases.get(status) ?? String(status);
  const resultType = failure?.code ?? (status < 400 ? 'Success' : signature.replaceAll(' ', ''));
  return (
    `${escapeText(resultType, longest.code)}","resultSignature":"${signature}` +
    `","resultDescription":"${escapeText(failure?.description ?? '', longest.description)}","durationMs":"`
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

/** Kinds of failure to status codes and bodies, in the dialect of each API. The only place that knows both. */
import { Failure, type FailureKind } from '../core/errors.ts';

interface Row {
  readonly status: number;
  /** `error.code` of the data plane, or `error` of the token endpoints. */
  readonly code: string;
  /** `error.innererror.code`. */
  readonly inner?: string;
}

const rows: Readonly<Record<FailureKind, Row>> = {
  badParameter: { status: 400, code: 'BadParameter' },
  malformedBackupBlob: { status: 400, code: 'Malformed backup blob' },
  unauthorized: { status: 401, code: 'Unauthorized' },
  forbiddenByRbac: { status: 403, code: 'Forbidden', inner: 'ForbiddenByRbac' },
  forbiddenByPolicy: { status: 403, code: 'Forbidden', inner: 'ForbiddenByPolicy' },
  accessDenied: { status: 403, code: 'Forbidden', inner: 'AccessDenied' },
  forbiddenByFirewall: { status: 403, code: 'Forbidden', inner: 'ForbiddenByFirewall' },
  forbiddenByConnection: { status: 403, code: 'Forbidden', inner: 'ForbiddenByConnection' },
  purgeProtected: { status: 403, code: 'Forbidden' },
  secretDisabled: { status: 403, code: 'Forbidden', inner: 'SecretDisabled' },
  secretManaged: { status: 403, code: 'Forbidden', inner: 'SecretManagedByKeyVault' },
  keyOperationForbidden: { status: 403, code: 'Forbidden', inner: 'KeyOperationForbidden' },
  keyDisabled: { status: 403, code: 'Forbidden', inner: 'KeyDisabled' },
  keyExpired: { status: 403, code: 'Forbidden', inner: 'KeyExpired' },
  keyNotYetValid: { status: 403, code: 'Forbidden', inner: 'KeyNotYetValid' },
  keyNotFound: { status: 404, code: 'KeyNotFound' },
  secretNotFound: { status: 404, code: 'SecretNotFound' },
  vaultNotFound: { status: 404, code: 'VaultNotFound' },
  notFound: { status: 404, code: 'NotFound' },
  hostNotServed: { status: 421, code: 'HostNotServed' },
  methodNotAllowed: { status: 405, code: 'MethodNotAllowed' },
  notDeleted: { status: 400, code: 'MethodNotAllowed', inner: 'RequestNotAllowedOnNonDeletedObject' },
  notDeletedBeforePurge: {
    status: 400,
    code: 'MethodNotAllowed',
    inner: 'ObjectMustBeDeletedPriorToBeingPurged',
  },
  deletedButRecoverable: { status: 409, code: 'Conflict', inner: 'ObjectIsDeletedButRecoverable' },
  conflict: { status: 409, code: 'Conflict' },
  alreadyExists: { status: 409, code: 'AlreadyExists' },
  tooLarge: { status: 413, code: 'RequestBodyTooLarge' },
  unsupportedMediaType: { status: 415, code: 'UnsupportedMediaType' },
  throttled: { status: 429, code: 'Throttled' },
  unavailable: { status: 503, code: 'ServiceUnavailable' },
  internal: { status: 500, code: 'ServerError' },
  invalidRequest: { status: 400, code: 'invalid_request' },
  invalidClient: { status: 401, code: 'invalid_client' },
  unauthorizedClient: { status: 400, code: 'unauthorized_client' },
  unsupportedGrantType: { status: 400, code: 'unsupported_grant_type' },
  invalidScope: { status: 400, code: 'invalid_scope' },
  invalidResource: { status: 400, code: 'invalid_resource' },
  invalidInstance: { status: 400, code: 'invalid_instance' },
  tenantNotFound: { status: 400, code: 'invalid_request' },
};

export function statusOf(kind: FailureKind): number {
  return rows[kind].status;
}

/** The code that the audit log gives as `resultType`: the most telling one. */
export function resultCode(kind: FailureKind): string {
  return rows[kind].inner ?? rows[kind].code;
}

/** Any thrown value as a failure; what is not one becomes `internal`, its text kept for the log. */
export function asFailure(error: unknown, requestId: string): Failure {
  if (error instanceof Failure) return error;
  return new Failure('internal', `ActivityId: ${requestId}`, { cause: error });
}

/** The envelope of the vault data plane: code, message and, where there is one, the inner code. */
export function dataPlaneBody(failure: Failure): string {
  const { code, inner } = rows[failure.kind];
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return JSON.stringify({ error: { code, message: failure.message, ...innererror } });
}

/** The number that Entra's texts begin with, for messages that do not begin with one of their own. */
const aadsts: Readonly<Partial<Record<FailureKind, number>>> = {
  invalidRequest: 900144,
  invalidClient: 7000215,
  unauthorizedClient: 700016,
  unsupportedGrantType: 70003,
  invalidScope: 70011,
  invalidResource: 500011,
  invalidInstance: 50049,
  tenantNotFound: 90002,
};
const numbered = /^AADSTS(\d+): /;

/** The envelope of the token endpoints (RFC 6749 §5.2 with Entra's members). `time` is Unix milliseconds. */
export function tokenBody(
  failure: Failure,
  of: { requestId: string; correlationId: string; time: number },
): string {
  const given = numbered.exec(failure.message)?.[1];
  const number = given === undefined ? aadsts[failure.kind] : Number(given);
  const timestamp = new Date(of.time)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
  const prefix = given !== undefined || number === undefined ? '' : `AADSTS${number}: `;
  const trailer = `Trace ID: ${of.requestId} Correlation ID: ${of.correlationId} Timestamp: ${timestamp}`;
  return JSON.stringify({
    error: number === undefined ? oauthCode(failure.kind) : rows[failure.kind].code,
    error_description: `${prefix}${failure.message} ${trailer}`,
    error_codes: number === undefined ? [] : [number],
    timestamp,
    trace_id: of.requestId,
    correlation_id: of.correlationId,
  });
}

/** The envelope of managed identity: that of OAuth 2.0 and nothing more, as the metadata service answers. */
export function managedIdentityBody(failure: Failure): string {
  const isOauth = aadsts[failure.kind] !== undefined;
  return JSON.stringify({
    error: isOauth ? rows[failure.kind].code : oauthCode(failure.kind),
    error_description: failure.message,
  });
}

/** RFC 6749 §4.1.2.1 names the two codes that are no one's fault but the server's. */
function oauthCode(kind: FailureKind): string {
  if (kind === 'throttled' || kind === 'unavailable') return 'temporarily_unavailable';
  return kind === 'internal' ? 'server_error' : 'invalid_request';
}

/** Kinds of failure to status codes and bodies, in the dialect of each API. The only place that knows both. */
import { Failure, type FailureKind } from '../core/errors.ts';

interface Row {
  readonly status: number;
  /** `error.code` of the data plane, or `error` of the token endpoints. */
  readonly code: string;
  /** `error.innererror.code`. */
  readonly inner?: string;
  /** `error.code` of the management plane, where it is not `code`. */
  readonly arm?: string;
  /** Whether Azure's gateway refuses so, before a resource provider is asked. */
  readonly gateway?: true;
}

const rows: Readonly<Record<FailureKind, Row>> = {
  badParameter: { status: 400, code: 'BadParameter', arm: 'BadRequest' },
  malformedBackupBlob: { status: 400, code: 'Malformed backup blob' },
  unauthorized: { status: 401, code: 'Unauthorized', arm: 'InvalidAuthenticationToken', gateway: true },
  forbiddenByRbac: { status: 403, code: 'Forbidden', inner: 'ForbiddenByRbac' },
  forbiddenByPolicy: { status: 403, code: 'Forbidden', inner: 'ForbiddenByPolicy' },
  accessDenied: { status: 403, code: 'Forbidden', inner: 'AccessDenied' },
  forbiddenByFirewall: { status: 403, code: 'Forbidden', inner: 'ForbiddenByFirewall' },
  forbiddenByConnection: { status: 403, code: 'Forbidden', inner: 'ForbiddenByConnection' },
  purgeProtected: { status: 403, code: 'Forbidden' },
  secretDisabled: { status: 403, code: 'Forbidden', inner: 'SecretDisabled' },
  secretManaged: { status: 403, code: 'Forbidden', inner: 'SecretManagedByKeyVault' },
  keyManaged: { status: 403, code: 'Forbidden', inner: 'KeyManagedByKeyVault' },
  keyOperationForbidden: { status: 403, code: 'Forbidden', inner: 'KeyOperationForbidden' },
  keyDisabled: { status: 403, code: 'Forbidden', inner: 'KeyDisabled' },
  keyExpired: { status: 403, code: 'Forbidden', inner: 'KeyExpired' },
  keyNotYetValid: { status: 403, code: 'Forbidden', inner: 'KeyNotYetValid' },
  keyNotFound: { status: 404, code: 'KeyNotFound' },
  secretNotFound: { status: 404, code: 'SecretNotFound' },
  certificateNotFound: { status: 404, code: 'CertificateNotFound' },
  pendingCertificateNotFound: { status: 404, code: 'PendingCertificateNotFound' },
  certificateIssuerNotFound: { status: 404, code: 'CertificateIssuerNotFound' },
  contactsNotFound: { status: 404, code: 'ContactsNotFound' },
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
  throttled: { status: 429, code: 'Throttled', arm: 'TooManyRequests' },
  unavailable: { status: 503, code: 'ServiceUnavailable' },
  internal: { status: 500, code: 'ServerError', arm: 'InternalServerError' },
  missingApiVersion: { status: 400, code: 'MissingApiVersionParameter', gateway: true },
  invalidApiVersion: { status: 400, code: 'InvalidApiVersionParameter', gateway: true },
  authenticationFailed: { status: 401, code: 'AuthenticationFailed', gateway: true },
  wrongTenant: { status: 401, code: 'InvalidAuthenticationTokenTenant', gateway: true },
  invalidSubscriptionId: { status: 400, code: 'InvalidSubscriptionId', gateway: true },
  invalidRequestContent: { status: 400, code: 'InvalidRequestContent', gateway: true },
  invalidRequestUri: { status: 400, code: 'InvalidRequestUri', gateway: true },
  invalidFilter: { status: 400, code: 'InvalidFilterInQueryString', gateway: true },
  locationRequired: { status: 400, code: 'LocationRequired', gateway: true },
  invalidResourceGroup: { status: 400, code: 'InvalidResourceGroup', gateway: true },
  subscriptionNotFound: { status: 404, code: 'SubscriptionNotFound', gateway: true },
  resourceGroupNotFound: { status: 404, code: 'ResourceGroupNotFound', gateway: true },
  resourceNotFound: { status: 404, code: 'ResourceNotFound', gateway: true },
  resourceTypeNotFound: { status: 404, code: 'InvalidResourceType', gateway: true },
  resourceNamespaceNotFound: { status: 404, code: 'InvalidResourceNamespace', gateway: true },
  lockNotFound: { status: 404, code: 'LockNotFound', gateway: true },
  resourceGroupLocation: { status: 409, code: 'InvalidResourceGroupLocation', gateway: true },
  scopeLocked: { status: 409, code: 'ScopeLocked', gateway: true },
  vaultNameNotValid: { status: 400, code: 'VaultNameNotValid' },
  vaultAlreadyExists: { status: 409, code: 'VaultAlreadyExists' },
  deletedVaultExists: { status: 409, code: 'ConflictError' },
  deletedVaultNotFound: { status: 404, code: 'DeletedVaultNotFound' },
  resourceLocation: { status: 409, code: 'InvalidResourceLocation', gateway: true },
  authorizationFailed: { status: 403, code: 'AuthorizationFailed', gateway: true },
  invalidRoleAssignmentId: { status: 400, code: 'InvalidRoleAssignmentId' },
  roleAssignmentNotFound: { status: 404, code: 'RoleAssignmentNotFound' },
  roleAssignmentExists: { status: 409, code: 'RoleAssignmentExists' },
  roleAssignmentUpdateNotPermitted: { status: 400, code: 'RoleAssignmentUpdateNotPermitted' },
  roleAssignmentLimitExceeded: { status: 400, code: 'RoleAssignmentLimitExceeded' },
  lastAdministrator: { status: 412, code: 'CannotDeleteLastRbacAdminAssignment' },
  principalNotFound: { status: 400, code: 'PrincipalNotFound' },
  unmatchedPrincipalType: { status: 400, code: 'UnmatchedPrincipalType' },
  conditionNotSupported: { status: 400, code: 'ConditionNotSupported' },
  roleDefinitionDoesNotExist: { status: 404, code: 'RoleDefinitionDoesNotExist' },
  invalidRoleDefinitionId: { status: 400, code: 'InvalidRoleDefinitionId' },
  badRoleDefinition: { status: 400, code: 'BadRequestFormat' },
  invalidActionOrNotAction: { status: 400, code: 'InvalidActionOrNotAction' },
  linkedInvalidPropertyId: { status: 400, code: 'LinkedInvalidPropertyId' },
  builtInRole: { status: 403, code: 'RoleDefinitionUpdateNotPermitted' },
  roleDefinitionHasAssignments: { status: 409, code: 'RoleDefinitionHasAssignments' },
  roleDefinitionWithSameNameExists: { status: 409, code: 'RoleDefinitionWithSameNameExists' },
  roleDefinitionLimitExceeded: { status: 400, code: 'RoleDefinitionLimitExceeded' },
  unsupportedQuery: { status: 400, code: 'Request_UnsupportedQuery' },
  unknownSegment: { status: 400, code: 'BadRequest' },
  invalidRequest: { status: 400, code: 'invalid_request' },
  invalidClient: { status: 401, code: 'invalid_client' },
  unauthorizedClient: { status: 400, code: 'unauthorized_client' },
  unsupportedGrantType: { status: 400, code: 'unsupported_grant_type' },
  invalidScope: { status: 400, code: 'invalid_scope' },
  invalidResource: { status: 400, code: 'invalid_resource' },
  invalidInstance: { status: 400, code: 'invalid_instance' },
  tenantNotFound: { status: 400, code: 'invalid_request' },
  invalidGrant: { status: 400, code: 'invalid_grant' },
  unsupportedResponseType: { status: 400, code: 'unsupported_response_type' },
  loginRequired: { status: 400, code: 'login_required' },
  signInDeclined: { status: 400, code: 'access_denied' },
  authorizationPending: { status: 400, code: 'authorization_pending' },
  slowDown: { status: 400, code: 'slow_down' },
  expiredToken: { status: 400, code: 'expired_token' },
  authorizationDeclined: { status: 400, code: 'authorization_declined' },
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

/** The envelope of the management plane: code and message. */
export function managementBody(failure: Failure): string {
  return JSON.stringify({ error: { code: managementCode(failure), message: failure.message } });
}

/** `error.code` of the management plane. */
export function managementCode({ kind }: Failure): string {
  return rows[kind].arm ?? rows[kind].code;
}

/** What the management plane's refusals have besides: which of Azure's two layers refuses. */
export function managementRefusalHeaders(failure: Failure): readonly string[] {
  return rows[failure.kind].gateway === true ? ['x-ms-failure-cause', 'gateway'] : [];
}

/** Graph's codes, where they are its own. */
const graphCodes: Readonly<Partial<Record<FailureKind, string>>> = {
  badParameter: 'Request_BadRequest',
  unauthorized: 'InvalidAuthenticationToken',
  accessDenied: 'Authorization_RequestDenied',
  notFound: 'Request_ResourceNotFound',
  alreadyExists: 'Request_MultipleObjectsWithSameKeyValue',
  throttled: 'TooManyRequests',
  internal: 'InternalServerError',
};

/** The envelope of Microsoft Graph. `time` is Unix milliseconds. */
export function graphBody(
  failure: Failure,
  of: { requestId: string; clientRequestId: string; time: number },
): string {
  const innerError = {
    date: new Date(of.time).toISOString().replace(/\.\d+Z$/, ''),
    'request-id': of.requestId,
    'client-request-id': of.clientRequestId,
  };
  const code = graphCodes[failure.kind] ?? rows[failure.kind].code;
  return JSON.stringify({ error: { code, message: failure.message, innerError } });
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
  invalidGrant: 70000,
  unsupportedResponseType: 700054,
  loginRequired: 50058,
  signInDeclined: 65004,
  authorizationPending: 70016,
  slowDown: 70016,
  expiredToken: 70019,
  authorizationDeclined: 70018,
};
const numbered = /^AADSTS(\d+): /;

/** The envelope of the token endpoints (RFC 6749 §5.2 with Entra's members). `time` is Unix milliseconds. */
export function tokenBody(
  failure: Failure,
  of: { requestId: string; correlationId: string; time: number },
): string {
  const { error, number, description } = oauthError(failure);
  const timestamp = new Date(of.time)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
  const trailer = `Trace ID: ${of.requestId} Correlation ID: ${of.correlationId} Timestamp: ${timestamp}`;
  return JSON.stringify({
    error,
    error_description: `${description} ${trailer}`,
    error_codes: number === undefined ? [] : [number],
    timestamp,
    trace_id: of.requestId,
    correlation_id: of.correlationId,
  });
}

/** OAuth's code for a failure, Entra's number where it has one, and the text that begins with it. */
export function oauthError(failure: Failure): {
  error: string;
  number: number | undefined;
  description: string;
} {
  const given = numbered.exec(failure.message)?.[1];
  const number = given === undefined ? aadsts[failure.kind] : Number(given);
  const prefix = given !== undefined || number === undefined ? '' : `AADSTS${number}: `;
  return {
    error: number === undefined ? oauthCode(failure.kind) : rows[failure.kind].code,
    number,
    description: `${prefix}${failure.message}`,
  };
}

/**
 * The envelope of managed identity: that of OAuth 2.0, as the metadata service answers, and with App Service's own
 * members where its form was asked for: its clients show nothing else.
 */
export function managedIdentityBody(failure: Failure, form: 'imds' | 'appService'): string {
  const isOauth = aadsts[failure.kind] !== undefined;
  return JSON.stringify({
    ...(form === 'appService' ? { statusCode: statusOf(failure.kind), message: failure.message } : {}),
    error: isOauth ? rows[failure.kind].code : oauthCode(failure.kind),
    error_description: failure.message,
  });
}

/** RFC 6749 §4.1.2.1 names the two codes that are no one's fault but the server's. */
function oauthCode(kind: FailureKind): string {
  if (kind === 'throttled' || kind === 'unavailable') return 'temporarily_unavailable';
  return kind === 'internal' ? 'server_error' : 'invalid_request';
}

/**
 * Failures that a caller may see. A failure has a kind from a closed list; `api/errors.ts` alone maps kinds
 * to status codes and bodies. `message` may reach the caller, `cause` goes to the log only.
 */

/** Every way in which an operation can be refused; one row each in `api/errors.ts`. */
export type FailureKind =
  | 'badParameter'
  | 'malformedBackupBlob'
  | 'unauthorized'
  | 'forbiddenByRbac'
  | 'forbiddenByPolicy'
  | 'accessDenied'
  | 'forbiddenByFirewall'
  | 'forbiddenByConnection'
  | 'purgeProtected'
  | 'secretDisabled'
  | 'secretManaged'
  | 'keyManaged'
  | 'secretNotFound'
  | 'keyOperationForbidden'
  | 'keyDisabled'
  | 'keyExpired'
  | 'keyNotYetValid'
  | 'keyNotFound'
  | 'certificateNotFound'
  | 'pendingCertificateNotFound'
  | 'certificateIssuerNotFound'
  | 'contactsNotFound'
  | 'vaultNotFound'
  | 'notFound'
  | 'hostNotServed'
  | 'methodNotAllowed'
  | 'notDeleted'
  | 'notDeletedBeforePurge'
  | 'deletedButRecoverable'
  | 'conflict'
  | 'alreadyExists'
  | 'tooLarge'
  | 'unsupportedMediaType'
  | 'throttled'
  | 'unavailable'
  | 'internal'
  // Azure Resource Manager's, for the management plane.
  | 'missingApiVersion'
  | 'invalidApiVersion'
  | 'authenticationFailed'
  | 'wrongTenant'
  | 'invalidSubscriptionId'
  | 'invalidRequestContent'
  | 'invalidRequestUri'
  | 'invalidFilter'
  | 'locationRequired'
  | 'invalidResourceGroup'
  | 'subscriptionNotFound'
  | 'resourceGroupNotFound'
  | 'resourceNotFound'
  | 'resourceTypeNotFound'
  | 'resourceNamespaceNotFound'
  | 'lockNotFound'
  | 'resourceGroupLocation'
  | 'scopeLocked'
  // Microsoft.KeyVault's, of vaults as resources.
  | 'vaultNameNotValid'
  | 'vaultAlreadyExists'
  | 'deletedVaultExists'
  | 'deletedVaultNotFound'
  | 'resourceLocation'
  // Microsoft.Authorization's.
  | 'authorizationFailed'
  | 'invalidRoleAssignmentId'
  | 'roleAssignmentNotFound'
  | 'roleAssignmentExists'
  | 'roleAssignmentUpdateNotPermitted'
  | 'roleAssignmentLimitExceeded'
  | 'lastAdministrator'
  | 'principalNotFound'
  | 'unmatchedPrincipalType'
  | 'conditionNotSupported'
  | 'roleDefinitionDoesNotExist'
  | 'invalidRoleDefinitionId'
  | 'badRoleDefinition'
  | 'invalidActionOrNotAction'
  | 'linkedInvalidPropertyId'
  | 'builtInRole'
  | 'roleDefinitionHasAssignments'
  | 'roleDefinitionWithSameNameExists'
  | 'roleDefinitionLimitExceeded'
  // Microsoft Graph: a query option, or a part of a filter, that is not served.
  | 'unsupportedQuery'
  | 'unknownSegment'
  // RFC 6749 §5.2 and Entra's additions, for the token endpoints.
  | 'invalidRequest'
  | 'invalidClient'
  | 'invalidGrant'
  | 'unauthorizedClient'
  | 'unsupportedGrantType'
  | 'invalidScope'
  | 'invalidResource'
  | 'invalidInstance'
  | 'tenantNotFound'
  // RFC 6749 §4.1.2.1 and OpenID Connect Core 1.0 §3.1.2.6, for the page where users sign in.
  | 'unsupportedResponseType'
  | 'loginRequired'
  | 'signInDeclined'
  // RFC 8628 §3.5, with the two words that are Entra's own.
  | 'authorizationPending'
  | 'slowDown'
  | 'expiredToken'
  | 'authorizationDeclined';

/** A refusal with a message that is safe to show. Anything else that is thrown becomes a 500 without text. */
export class Failure extends Error {
  readonly kind: FailureKind;
  /** Seconds after which a retry makes sense; sent as `Retry-After`. */
  readonly retryAfter: number | undefined;

  constructor(kind: FailureKind, message: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'Failure';
    this.kind = kind;
    this.retryAfter = options.retryAfter;
  }
}

/** True for a `Failure` of the given kind. */
export function isFailure(error: unknown, kind?: FailureKind): error is Failure {
  return error instanceof Failure && (kind === undefined || error.kind === kind);
}

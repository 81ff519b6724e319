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
  | 'secretNotFound'
  | 'keyOperationForbidden'
  | 'keyDisabled'
  | 'keyExpired'
  | 'keyNotYetValid'
  | 'keyNotFound'
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
  // RFC 6749 §5.2 and Entra's additions, for the token endpoints.
  | 'invalidRequest'
  | 'invalidClient'
  | 'unauthorizedClient'
  | 'unsupportedGrantType'
  | 'invalidScope'
  | 'invalidResource'
  | 'invalidInstance'
  | 'tenantNotFound';

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

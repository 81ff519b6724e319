/**
 * What PostgreSQL and the way to it report, sorted by what to do about it. Errors are told without the values of
 * rows (PostgreSQL's `detail` has them) and without anything of the connection's settings.
 */
import { DatabaseError } from 'pg';
import { Failure } from '../core/errors.ts';
import { storageUnavailable } from './database.ts';

/**
 * - `conflict`: another transaction came in between; run again.
 * - `stale`: the session's prepared statements no longer fit; use another session.
 * - `lost`: the connection is gone, and with it the knowledge of what the last statement did.
 * - `unavailable`: the server cannot do it now.
 * - `other`: a broken constraint or a wrong statement, which another try would not mend.
 */
export type Trouble = 'conflict' | 'stale' | 'lost' | 'unavailable' | 'other';

/** An error of the server or of the connection to it. */
export class PostgresError extends Error {
  /** The SQLSTATE, undefined for errors of the connection. */
  readonly code: string | undefined;
  readonly trouble: Trouble;
  readonly constraint: string | undefined;

  constructor(message: string, { code, trouble, constraint }: PostgresErrorDetails) {
    super(message);
    this.name = 'PostgresError';
    this.code = code;
    this.trouble = trouble;
    this.constraint = constraint;
  }
}

interface PostgresErrorDetails {
  readonly trouble: Trouble;
  readonly code?: string | undefined;
  readonly constraint?: string | undefined;
}

/** COMMIT was sent and no answer came: the transaction may be on disk or not. */
export class CommitUnknown extends Error {
  constructor(cause: unknown) {
    super('the connection failed during COMMIT; whether it took effect is not known', { cause });
    this.name = 'CommitUnknown';
  }
}

/** A value that has no counterpart here; never worth another try. */
export class UnreadableValue extends Error {
  override readonly name = 'UnreadableValue';
}

/**
 * SQLSTATE → trouble; a class of two characters stands for all of its codes. From the appendix "PostgreSQL Error
 * Codes" of its manual.
 */
const troubles: Readonly<Record<string, Trouble>> = {
  // serialization_failure, deadlock_detected, unique_violation (by a racing insert: the next run sees the row)
  '40001': 'conflict',
  '40P01': 'conflict',
  '23505': 'conflict',
  // invalid_sql_statement_name: the session no longer has what was prepared in it
  '26000': 'stale',
  // connection exceptions, idle_in_transaction_session_timeout, shutdowns, idle_session_timeout
  '08': 'lost',
  '25P03': 'lost',
  '57P': 'lost',
  '40003': 'lost',
  // read_only_sql_transaction (a standby, or the old primary of a failover), query_canceled, lock_not_available
  '25006': 'unavailable',
  '57014': 'unavailable',
  '55P03': 'unavailable',
  // disk full, out of memory, too many connections; system and I/O errors; a damaged index or page
  '53': 'unavailable',
  '58': 'unavailable',
  XX: 'unavailable',
};

/** The error that a query ended with, sorted. */
export function postgresError(error: unknown): Error {
  if (error instanceof PostgresError || error instanceof UnreadableValue) return error;
  if (error instanceof DatabaseError) {
    return new PostgresError(error.message, {
      code: error.code,
      // "cached plan must not change result type", after a migration; its code is that of any missing feature.
      trouble: error.routine === 'RevalidateCachedQuery' ? 'stale' : troubleOf(error.code ?? ''),
      constraint: error.constraint,
    });
  }
  // Whatever did not come from the server as an answer is an error of the connection. The driver's own words for
  // "no answer within the bound": another try would take as long.
  const message = messageOf(error);
  return new PostgresError(message, { trouble: message === 'Query read timeout' ? 'unavailable' : 'lost' });
}

function troubleOf(code: string): Trouble {
  return troubles[code] ?? troubles[code.slice(0, 3)] ?? troubles[code.slice(0, 2)] ?? 'other';
}

export function hasTrouble(error: unknown, ...which: readonly Trouble[]): boolean {
  return error instanceof PostgresError && which.includes(error.trouble);
}

/** What a caller of the storage sees: faults that pass become the 503, the rest stays as it is. */
export function forCaller(error: unknown): unknown {
  if (error instanceof Failure) return error;
  if (error instanceof CommitUnknown || hasTrouble(error, 'lost', 'unavailable', 'stale'))
    return storageUnavailable(error);
  if (error instanceof PostgresError && (error.code === '40001' || error.code === '40P01'))
    return storageUnavailable(error);
  return error;
}

/** The text of anything thrown. Several addresses of one host fail as one error without a text of its own. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/**
 * The database, whichever it is: committed reads, and writes as jobs that are durable when their promise resolves.
 * Dialects differ in how they connect and group; the queries are the same.
 */
import type { Kysely, Transaction } from 'kysely';
import { Failure } from '../core/errors.ts';
import type { Schema } from './schema.ts';

export type Reader = Kysely<Schema>;
export type Writer = Transaction<Schema>;

/** What a write does inside its transaction. It may run again after a conflict, so it must have no other effect. */
export type WriteJob<T> = (db: Writer) => Promise<T>;

export interface Database {
  /** Sees committed data only. */
  readonly read: Reader;
  /** Runs the job isolated from others; resolves once its changes are on disk, rejects with none of them made. */
  write<T>(job: WriteJob<T>): Promise<T>;
  close(): Promise<void>;
}

/** A database that cannot be reached, is full or does not answer: 503, and worth another try. */
export function storageUnavailable(cause: unknown): Failure {
  return new Failure('unavailable', 'The storage of this server is not available.', { cause, retryAfter: 1 });
}

/**
 * The database, whichever it is: committed reads, and writes as named procedures that are durable when their promise
 * resolves. Procedures take and give plain data, so that the process that runs one need not be the one that asks.
 * Dialects differ in how they connect, group and lock; the queries are the same.
 */
import type { Kysely, Transaction } from 'kysely';
import type { Change, ChangeFeed } from '../core/changes.ts';
import { Failure } from '../core/errors.ts';
import type { LockTarget } from '../domain/resources/lock-store.ts';
import type { Fence } from '../jobs/lease-store.ts';
import { lockRowsShared } from './dialect.ts';
import { assertUnlocked } from './lock-rows.ts';
import type { Schema } from './schema.ts';

export type Reader = Kysely<Schema>;
export type Writer = Transaction<Schema>;

/** One kind of write. Input and result survive structured cloning; of errors only `Failure` reaches the caller. */
export interface Procedure<I, R> {
  /** Unique, and the same in every process. */
  readonly name: string;
  /** Runs inside a transaction, isolated from others. May run again after a conflict, so it has no other effect. */
  run(tx: Writer, input: I): Promise<R>;
  /** What caches must forget once it has run, or may have. */
  changes?(input: I): readonly Change[];
  /** What it changes or removes, for locks to refuse. Whatever is written under locks says so. */
  targets?(input: I, tx: Writer): readonly LockTarget[] | Promise<readonly LockTarget[]>;
}

export type { Fence };

/** What the transaction of a write makes sure of first: its lease, or that no lock refuses it. */
export type Condition = Fence | 'unlocked';

export interface Database {
  /** Sees committed data only. */
  readonly read: Reader;
  /** Tells of changes made by this process before their promises resolve, and by others soon after. */
  readonly feed: ChangeFeed;
  /**
   * Runs the procedure; resolves once its changes are on disk. Rejects with none of them made, except where a 503 says
   * that storage was lost meanwhile: then all of them may have been made, or none.
   */
  write<I, R>(procedure: Procedure<I, R>, input: I, condition?: Condition): Promise<R>;
  close(): Promise<void>;
}

/** The lease under which a write was asked for is another's by now; nothing was written. */
export class LeaseLost extends Error {
  readonly lease: string;
  constructor(lease: string) {
    super(`the lease '${lease}' was lost`);
    this.name = 'LeaseLost';
    this.lease = lease;
  }
}

/** The same database, with every write under a fence. */
export function fenced(db: Database, fence: Fence): Pick<Database, 'read' | 'write'> {
  return { read: db.read, write: (procedure, input) => db.write(procedure, input, fence) };
}

/** The same database, with every write refused that a lock forbids: for callers of the management plane. */
export function underLocks(db: Database): Database {
  return { ...db, write: (procedure, input) => db.write(procedure, input, 'unlocked') };
}

/** Runs the procedure in an open transaction, after making sure of its condition. */
export async function runProcedure<I, R>(
  tx: Writer,
  { procedure, input, condition }: { procedure: Procedure<I, R>; input: I; condition: Condition | undefined },
): Promise<R> {
  if (condition === 'unlocked') {
    if (procedure.targets === undefined)
      throw new TypeError(`'${procedure.name}' does not say what locks would refuse`);
    for (const target of await procedure.targets(input, tx)) await assertUnlocked(tx, target);
  } else if (condition !== undefined) await assertHolds(tx, condition);
  return procedure.run(tx, input);
}

async function assertHolds(tx: Writer, { lease, term }: Fence): Promise<void> {
  const held = await lockRowsShared(
    tx,
    tx.selectFrom('leases').select('term').where('name', '=', lease).where('term', '=', term),
  ).executeTakeFirst();
  if (held === undefined) throw new LeaseLost(lease);
}

/** A database that cannot be reached, is full or does not answer: 503, and worth another try. */
export function storageUnavailable(cause: unknown): Failure {
  return new Failure('unavailable', 'The storage of this server is not available.', { cause, retryAfter: 1 });
}

/**
 * SQLite through `node:sqlite`. Two connections: one reads committed snapshots (WAL), one writes. Writes that
 * arrive together share one transaction and one flush, and fail each for itself.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import {
  type ControlledTransaction,
  Kysely,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
} from 'kysely';
import { type Change, createChangeHub } from '../core/changes.ts';
import {
  type Condition,
  type Database,
  type Procedure,
  type Reader,
  runProcedure,
  storageUnavailable,
} from './database.ts';
import { migrate } from './migrate.ts';
import type { Schema } from './schema.ts';

/** The most jobs in one transaction: bounds how long the last of them waits for the first. */
const largestBatch = 256;
const statementCacheSize = 200;

export interface SqliteOptions {
  /** Sees what is there before anything is changed, and stops the opening by throwing. */
  readonly inspect?: ((read: Reader) => Promise<void>) | undefined;
  /** Is told of the changes of each commit; the writes of the commit resolve when it does. */
  readonly announce?: ((changes: readonly Change[]) => Promise<void>) | undefined;
}

/** Opens the file, making it if needed, and brings its schema up to date. One process at a time may do so. */
export async function openSqlite(path: string, options: SqliteOptions = {}): Promise<Database> {
  const write = openSqliteConnection(path);
  try {
    await options.inspect?.(write);
    await migrate(write);
  } catch (error) {
    await write.destroy();
    throw error;
  }
  const read = connect(path, { reads: true });
  const hub = createChangeHub();
  const queue = createWriteQueue(write, async (changes) => {
    hub.publish(changes);
    await options.announce?.(changes);
  });
  return {
    read,
    feed: hub,
    write: (procedure, input, condition) => queue.run({ procedure, input, condition }),
    async close() {
      await queue.drain();
      await read.destroy();
      await write.destroy();
    },
  };
}

/** Opens the file, making it if needed, and changes nothing in it. Every write through it is durable by itself. */
export function openSqliteConnection(path: string): Kysely<Schema> {
  // Before SQLite makes it: its log and index files take the mode of the database.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
  return connect(path);
}

/** Reads a file that another process has opened and writes to. */
export function openSqliteReader(path: string): Reader {
  return connect(path, { readOnly: true, reads: true });
}

/** SQLite's DDL is transactional; without being told, the migrator would leave a schema half-made by a crash. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class TransactionalDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

interface ConnectionUse {
  readonly readOnly?: boolean;
  /** Faults of the storage leave as the 503; who writes needs SQLite's own words. */
  readonly reads?: boolean;
}

/** Opens at the first query: Kysely closes what it has opened, and nothing that it was given open. */
function connect(path: string, use: ConnectionUse = {}): Kysely<Schema> {
  return new Kysely<Schema>({ dialect: new TransactionalDialect({ database: async () => open(path, use) }) });
}

function open(path: string, { readOnly = false, reads = false }: ConnectionUse): SqliteDatabase {
  const database = new DatabaseSync(path, { readOnly, enableForeignKeyConstraints: true, timeout: 5000 });
  // FULL: a commit that was answered survives a power cut (https://sqlite.org/pragma.html#pragma_synchronous).
  if (!readOnly) {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;');
  }
  const statements = new Map<string, AdaptedStatement>();
  return {
    close: () => database.close(),
    prepare(sql) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        if (statements.size >= statementCacheSize) statements.clear();
        statement = reads ? adaptReader(database, sql) : adapt(database.prepare(sql));
        statements.set(sql, statement);
      }
      return statement;
    },
  };
}

interface AdaptedStatement {
  readonly reader: boolean;
  all(parameters: readonly unknown[]): unknown[];
  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint };
  iterate(parameters: readonly unknown[]): IterableIterator<unknown>;
}

type Parameter = null | number | bigint | string | Uint8Array;

function adapt(statement: StatementSync): AdaptedStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...(parameters as Parameter[])),
    run: (parameters) => statement.run(...(parameters as Parameter[])),
    iterate: (parameters) => statement.iterate(...(parameters as Parameter[])),
  };
}

/** The same, with faults of the storage as the 503. */
function adaptReader(database: DatabaseSync, sql: string): AdaptedStatement {
  const telling = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw isStorageFault(error) ? storageUnavailable(error) : error;
    }
  };
  const statement = telling(() => adapt(database.prepare(sql)));
  return {
    ...statement,
    all: (parameters) => telling(() => statement.all(parameters)),
    run: (parameters) => telling(() => statement.run(parameters)),
  };
}

interface Job {
  // The queue holds procedures of every kind; each goes with its own input.
  readonly procedure: Procedure<never, unknown>;
  readonly input: unknown;
  readonly condition: Condition | undefined;
}

interface QueuedJob extends Job {
  readonly changes: readonly Change[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface WriteQueue {
  run<I, R>(job: { procedure: Procedure<I, R>; input: I; condition: Condition | undefined }): Promise<R>;
  /** Resolves when everything queued so far has been written. */
  drain(): Promise<void>;
}

type Announce = (changes: readonly Change[]) => Promise<void>;

function createWriteQueue(db: Kysely<Schema>, announce: Announce): WriteQueue {
  let waiting: QueuedJob[] = [];
  let working: Promise<void> | undefined;
  const answering = new Set<Promise<void>>();
  const work = async () => {
    // The jobs of this turn of the event loop are collected first, so that they share the flush.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const batch = waiting.slice(0, largestBatch);
      waiting = waiting.slice(largestBatch);
      const settle = await runBatch(db, batch);
      // The next batch is written while this one's changes are being told.
      const changes = batch.flatMap((job) => job.changes);
      const answered = announce(changes)
        .then(settle, settle)
        .then(() => void answering.delete(answered));
      answering.add(answered);
    }
    working = undefined;
  };
  return {
    run: <I, R>(job: { procedure: Procedure<I, R>; input: I; condition: Condition | undefined }) =>
      new Promise<R>((resolve, reject) => {
        // Before it is queued: an input whose changes cannot be named is refused to its sender alone.
        const changes = job.procedure.changes?.(job.input) ?? [];
        waiting.push({ ...(job as Job), changes, resolve: resolve as (value: unknown) => void, reject });
        working ??= work();
      }),
    drain: async () => {
      while (working !== undefined) await working;
      await Promise.all(answering);
    },
  };
}

/** Writes the batch; answers a function that tells each job how it went. */
async function runBatch(db: Kysely<Schema>, batch: readonly QueuedJob[]): Promise<() => void> {
  try {
    // A job seldom fails, and a savepoint for each costs a third of the whole; with them only where one did.
    const outcomes =
      (await runTogether(db, batch, runPlainly)) ?? (await runTogether(db, batch, runIsolated));
    if (outcomes === undefined) throw new Error('the transaction cannot go on');
    // Refusals wait for the commit too: what they were decided on may be the work of another job in the batch.
    return () => {
      for (const [index, job] of batch.entries()) settle(job, outcomes[index]);
    };
  } catch (error) {
    return () => {
      for (const job of batch) job.reject(storageUnavailable(error));
    };
  }
}

function settle(job: QueuedJob, outcome: Outcome | undefined): void {
  if (outcome?.ok === true) job.resolve(outcome.value);
  else {
    const error = outcome?.error;
    job.reject(isStorageFault(error) ? storageUnavailable(error) : error);
  }
}

type RunJob = (transaction: ControlledTransaction<Schema>, job: Job) => Promise<Outcome | undefined>;

/** Commits the jobs' work; undefined, with nothing of it done, if `run` says so of any of them. */
async function runTogether(
  db: Kysely<Schema>,
  batch: readonly Job[],
  run: RunJob,
): Promise<Outcome[] | undefined> {
  const outcomes: Outcome[] = [];
  const transaction = await db.startTransaction().execute();
  try {
    for (const job of batch) {
      const outcome = await run(transaction, job);
      if (outcome === undefined) {
        await transaction.rollback().execute();
        return undefined;
      }
      outcomes.push(outcome);
    }
    await transaction.commit().execute();
    return outcomes;
  } catch (error) {
    await transaction
      .rollback()
      .execute()
      .catch(() => undefined);
    throw error;
  }
}

/** SQLite's primary result codes for a file that cannot be written or read now: busy, read-only, I/O, full, no file. */
const storageFaults: readonly number[] = [5, 8, 10, 13, 14];

function isStorageFault(error: unknown): boolean {
  const errcode = (error as { errcode?: unknown } | null)?.errcode;
  return typeof errcode === 'number' && storageFaults.includes(errcode & 0xff);
}

type Outcome = { ok: true; value: unknown } | { ok: false; error: unknown };

/** Runs one job; undefined if it failed, which leaves its work half done in the transaction. */
async function runPlainly(
  transaction: ControlledTransaction<Schema>,
  job: Job,
): Promise<Outcome | undefined> {
  try {
    return { ok: true, value: await runProcedure(transaction, { ...job, input: job.input as never }) };
  } catch {
    return undefined;
  }
}

/** Runs one job in its savepoint. Throws only when the transaction itself is no longer usable. */
async function runIsolated(transaction: ControlledTransaction<Schema>, job: Job): Promise<Outcome> {
  const savepoint = await transaction.savepoint('job').execute();
  try {
    const value = await runProcedure(savepoint, { ...job, input: job.input as never });
    await savepoint.releaseSavepoint('job').execute();
    return { ok: true, value };
  } catch (error) {
    await savepoint.rollbackToSavepoint('job').execute();
    return { ok: false, error };
  }
}

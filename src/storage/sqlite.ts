/**
 * SQLite through `node:sqlite`. Two connections: one reads committed snapshots (WAL), one writes. Writes that
 * arrive together share one transaction and one flush, each in a savepoint of its own.
 */
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type ControlledTransaction, Kysely, SqliteAdapter, SqliteDialect } from 'kysely';
import { type Database, type Reader, storageUnavailable, type WriteJob } from './database.ts';
import { migrate } from './migrate.ts';
import type { Schema } from './schema.ts';

/** The most jobs in one transaction: bounds how long the last of them waits for the first. */
const largestBatch = 256;
const statementCacheSize = 200;

/**
 * Opens the file, making it if needed, and brings its schema up to date. `inspect` sees what is there before
 * anything is changed, and stops the opening by throwing.
 */
export async function openSqlite(path: string, inspect?: (read: Reader) => Promise<void>): Promise<Database> {
  // Before SQLite makes it: its log and index files take the mode of the database.
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
  const write = connect(path);
  try {
    await inspect?.(write);
    await migrate(write);
  } catch (error) {
    await write.destroy();
    throw error;
  }
  const read = connect(path);
  const queue = createWriteQueue(write);
  return {
    read,
    write: (job) => queue.run(job),
    async close() {
      await queue.drain();
      await read.destroy();
      await write.destroy();
    },
  };
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

function connect(path: string): Kysely<Schema> {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 5000 });
  // FULL: a commit that was answered survives a power cut (https://sqlite.org/pragma.html#pragma_synchronous).
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;');
  const statements = new Map<string, AdaptedStatement>();
  return new Kysely<Schema>({
    dialect: new TransactionalDialect({
      database: {
        close: () => database.close(),
        prepare(sql) {
          let statement = statements.get(sql);
          if (statement === undefined) {
            if (statements.size >= statementCacheSize) statements.clear();
            statement = adapt(database.prepare(sql));
            statements.set(sql, statement);
          }
          return statement;
        },
      },
    }),
  });
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

interface QueuedJob {
  readonly run: WriteJob<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface WriteQueue {
  run<T>(job: WriteJob<T>): Promise<T>;
  /** Resolves when everything queued so far has been written. */
  drain(): Promise<void>;
}

function createWriteQueue(db: Kysely<Schema>): WriteQueue {
  let waiting: QueuedJob[] = [];
  let working: Promise<void> | undefined;
  const work = async () => {
    // The jobs of this turn of the event loop are collected first, so that they share the flush.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const batch = waiting.slice(0, largestBatch);
      waiting = waiting.slice(largestBatch);
      await runBatch(db, batch);
    }
    working = undefined;
  };
  return {
    run: <T>(job: WriteJob<T>) =>
      new Promise<T>((resolve, reject) => {
        waiting.push({ run: job, resolve: resolve as (value: unknown) => void, reject });
        working ??= work();
      }),
    drain: async () => {
      while (working !== undefined) await working;
    },
  };
}

async function runBatch(db: Kysely<Schema>, batch: readonly QueuedJob[]): Promise<void> {
  const outcomes: { job: QueuedJob; outcome: Outcome }[] = [];
  let transaction: ControlledTransaction<Schema> | undefined;
  try {
    transaction = await db.startTransaction().execute();
    for (const job of batch) outcomes.push({ job, outcome: await runJob(transaction, job) });
    await transaction.commit().execute();
  } catch (error) {
    await transaction
      ?.rollback()
      .execute()
      .catch(() => undefined);
    for (const job of batch) job.reject(storageUnavailable(error));
    return;
  }
  // Refusals wait for the commit too: what they were decided on may be the work of another job in the batch.
  for (const { job, outcome } of outcomes) {
    if (outcome.ok) job.resolve(outcome.value);
    else job.reject(isStorageFault(outcome.error) ? storageUnavailable(outcome.error) : outcome.error);
  }
}

/** SQLite's primary result codes for a file that cannot be written or read now: busy, read-only, I/O, full, no file. */
const storageFaults: readonly number[] = [5, 8, 10, 13, 14];

function isStorageFault(error: unknown): boolean {
  const errcode = (error as { errcode?: unknown } | null)?.errcode;
  return typeof errcode === 'number' && storageFaults.includes(errcode & 0xff);
}

type Outcome = { ok: true; value: unknown } | { ok: false; error: unknown };

/** Runs one job in its savepoint. Throws only when the transaction itself is no longer usable. */
async function runJob(transaction: ControlledTransaction<Schema>, job: QueuedJob): Promise<Outcome> {
  const savepoint = await transaction.savepoint('job').execute();
  try {
    const value = await job.run(savepoint);
    await savepoint.releaseSavepoint('job').execute();
    return { ok: true, value };
  } catch (error) {
    await savepoint.rollbackToSavepoint('job').execute();
    return { ok: false, error };
  }
}

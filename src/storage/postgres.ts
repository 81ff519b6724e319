/**
 * PostgreSQL, shared by any number of processes. Reads see committed data; a write is one transaction, committed to
 * disk, repeated when another came in between. While the server is away, both are refused with the 503 after a
 * bounded wait; they work again when it is back.
 */
import { Kysely } from 'kysely';
import type { Change } from '../core/changes.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import {
  type Condition,
  type Database,
  type Procedure,
  type Reader,
  runProcedure,
  storageUnavailable,
} from './database.ts';
import { type PostgresFeed, recordChanges, startChangeFeed } from './postgres-changes.ts';
import { createConnections } from './postgres-connections.ts';
import { createPostgresDialect } from './postgres-driver.ts';
import { CommitUnknown, forCaller, hasTrouble } from './postgres-errors.ts';
import { prepareDatabase } from './postgres-open.ts';
import { type PostgresSettings, parsePostgresSettings } from './postgres-settings.ts';
import type { Schema } from './schema.ts';

/** How often a write is run in all when others come in between (serialization, deadlock, racing inserts). */
export const conflictAttempts = 6;
/** How often a write is run in all when its connection fails before COMMIT. */
export const lostAttempts = 3;
/** Milliseconds for which closing waits for writes under way, and again for connections to close. */
export const drainTimeout = 5000;

const firstConflictWait = 5;

/**
 * Connects, waiting a little for a server that starts, and brings the schema up to date. `inspect` sees what is
 * there before anything is changed, and stops the opening by throwing. Rejects with `InvalidPostgresSettings`, or
 * an `Error` that says what is wrong with the server.
 */
export async function openPostgres(
  deps: { clock: Clock; log: Log },
  settings: PostgresSettings,
  inspect?: (read: Reader) => Promise<void>,
): Promise<Database> {
  const address = parsePostgresSettings(settings);
  await prepareDatabase(deps, address, inspect);
  const connections = createConnections(deps, address, settings.poolSize);
  const feed = await startChangeFeed(deps, address);
  const writer = new Kysely<Schema>({ dialect: createPostgresDialect(connections, 'writes') });
  const underWay = new Set<Promise<unknown>>();
  let closed: Promise<void> | undefined;
  const close = async () => {
    await within(deps.clock, Promise.allSettled(underWay));
    await within(deps.clock, Promise.allSettled([feed.stop(), connections.end()]));
  };
  return {
    read: new Kysely<Schema>({ dialect: createPostgresDialect(connections, 'reads') }),
    feed: feed.hub,
    async write(procedure, input, condition) {
      if (closed !== undefined) throw storageUnavailable(new Error('the database was closed'));
      const job = runWrite({ writer, feed, clock: deps.clock }, { procedure, input, condition });
      underWay.add(job);
      try {
        return await job;
      } finally {
        underWay.delete(job);
      }
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}

interface WriteDeps {
  readonly writer: Kysely<Schema>;
  readonly feed: PostgresFeed;
  readonly clock: Clock;
}

interface Job<I, R> {
  readonly procedure: Procedure<I, R>;
  readonly input: I;
  readonly condition: Condition | undefined;
}

async function runWrite<I, R>(deps: WriteDeps, job: Job<I, R>): Promise<R> {
  const changes = job.procedure.changes?.(job.input) ?? [];
  for (let attempt = 1; ; attempt += 1) {
    try {
      const result = await runOnce(deps, { ...job, changes });
      tell(deps, changes);
      return result;
    } catch (error) {
      // It may have taken effect: memory must not contradict it, and a repetition could do it twice.
      if (error instanceof CommitUnknown) tell(deps, changes);
      if (attempt >= attemptsAfter(error)) throw forCaller(error);
      await pause(deps.clock, attempt);
    }
  }
}

/** READ COMMITTED: procedures lock the rows that they decide on, so that nothing needs to be repeated for reads. */
function runOnce<I, R>(
  { writer }: WriteDeps,
  { changes, ...job }: Job<I, R> & { changes: readonly Change[] },
): Promise<R> {
  return writer
    .transaction()
    .setIsolationLevel('read committed')
    .setAccessMode('read write')
    .execute(async (tx) => {
      const result = await runProcedure(tx, job);
      if (changes.length > 0) await recordChanges(tx, changes);
      return result;
    });
}

/** This process first, so that who asked for the write sees it; then the others. */
function tell({ feed }: WriteDeps, changes: readonly Change[]): void {
  if (changes.length === 0) return;
  feed.hub.publish(changes);
  feed.announce();
}

function attemptsAfter(error: unknown): number {
  if (hasTrouble(error, 'conflict')) return conflictAttempts;
  return hasTrouble(error, 'lost', 'stale') ? lostAttempts : 1;
}

/** Doubles each time, less up to half by chance: the clock's fractions differ between those who collided. */
function pause(clock: Clock, attempt: number): Promise<void> {
  const chance = (clock.monotonic() * 1000) % 1;
  const wait = firstConflictWait * 2 ** (attempt - 1) * (1 - chance / 2);
  return new Promise((resolve) => clock.after(wait, resolve));
}

function within(clock: Clock, work: Promise<unknown>): Promise<unknown> {
  return new Promise((resolve) => {
    const timer = clock.after(drainTimeout, () => resolve(undefined));
    work.then((value) => {
      timer.cancel();
      resolve(value);
    });
  });
}

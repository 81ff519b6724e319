/**
 * The change feed over PostgreSQL. A write leaves rows in `changes` in its own transaction; each process reads the
 * new ones over one connection that also listens, on a notification and several times a second in any case. What
 * counts as new is decided by transaction snapshots, so that one that commits late is not missed.
 */
import { sql } from 'kysely';
import { type Change, type ChangeHub, createChangeHub, type Topic } from '../core/changes.ts';
import type { Procedure, Writer } from './database.ts';
import {
  type ConnectionDeps,
  openSession,
  type Session,
  type SessionLimits,
} from './postgres-connections.ts';
import { messageOf } from './postgres-errors.ts';
import type { PostgresAddress } from './postgres-settings.ts';

/** Milliseconds between two looks for changes when no notification comes. */
export const lookInterval = 200;
/** Milliseconds from the beginning of a look for which its news counts as fresh: the bound on stale memory. */
export const freshFor = 500;
/** Milliseconds between two turns of looking and announcing, so that many writes share one notification. */
export const turnInterval = 5;
/** Milliseconds without a look after which everything may have changed; far below the age of pruned rows. */
export const longestGap = 60_000;
/** Minutes for which a row of `changes` is kept. */
export const changeRetention = 10;

/** The most changes told one by one; with more, listeners forget all they know. */
const lookLimit = 10_000;
const pruneLimit = 50_000;
const firstBackoff = 50;
const longestBackoff = 1000;
const channel = 'strongroom_changes';
/** A look is an index scan; a connection that does not answer it soon is dead. */
const limits: SessionLimits = { statement: 1500, answer: 2000 };

/** Writes the changes in the transaction that makes them. */
export async function recordChanges(tx: Writer, changes: readonly Change[]): Promise<void> {
  const topics = changes.map(({ topic }) => topic);
  const keys = changes.map(({ key }) => key);
  await sql`insert into changes (topic, key) select * from unnest(${topics}::text[], ${keys}::text[])`.execute(
    tx,
  );
}

/** Removes rows that every process has seen or has missed for good; resolves with their number, 50,000 at most. */
export const pruneChanges: Procedure<null, number> = {
  name: 'changes.prune',
  async run(tx) {
    const removed = await sql`delete from changes where id in (select id from changes
      where made < now() - make_interval(mins => ${changeRetention}) order by made limit ${pruneLimit})`.execute(
      tx,
    );
    return Number(removed.numAffectedRows ?? 0);
  },
};

export interface PostgresFeed {
  readonly hub: ChangeHub;
  /** Has the other processes look for changes soon; to be called after a commit. */
  announce(): void;
  stop(): Promise<void>;
}

/** Starts the feed and makes the first attempt to connect; it goes on trying for as long as it runs. */
export async function startChangeFeed(deps: ConnectionDeps, address: PostgresAddress): Promise<PostgresFeed> {
  const feed = new ChangeFeedLoop(deps, address);
  await feed.start();
  return feed;
}

/** The state of the last look: what it saw, and when it began by the local clock and was made by the server's. */
interface Look {
  readonly begun: number;
  readonly snapshot: string;
  readonly at: number;
}

interface LookRow {
  readonly snapshot: string;
  readonly at: number;
  readonly topic: Topic | null;
  readonly key: string | null;
}

const firstLookQuery = `select pg_current_snapshot()::text as snapshot, ${serverTime()} as at,
  null as topic, null as key`;

/**
 * Rows of transactions that the last look's snapshot did not see, whatever their ids: the first condition is for the
 * index, the second excludes what was told. One statement, so that its snapshot is that of the rows.
 */
const lookQuery = `select s.snapshot, s.at, c.topic, c.key
  from (select pg_current_snapshot()::text as snapshot, ${serverTime()} as at) s
  left join (select topic, key from changes
    where xid >= pg_snapshot_xmin($1::pg_snapshot) and not pg_visible_in_snapshot(xid, $1::pg_snapshot)
    limit ${lookLimit + 1}) c on true`;

function serverTime(): string {
  return '(extract(epoch from clock_timestamp()) * 1000)::bigint';
}

class ChangeFeedLoop implements PostgresFeed {
  readonly hub: ChangeHub = createChangeHub(() => this.#isFresh());
  readonly #deps: ConnectionDeps;
  readonly #address: PostgresAddress;
  /** Undefined while not connected, or before the first look. */
  #last: Look | undefined;
  #session: Session | undefined;
  #announcing = false;
  #looking = false;
  #stopped = false;
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: ConnectionDeps, address: PostgresAddress) {
    this.#deps = deps;
    this.#address = address;
  }

  async start(): Promise<void> {
    const session = await this.#connect();
    this.#running = this.#run(session);
  }

  announce(): void {
    this.#announcing = true;
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#last = undefined;
    this.#wake();
    await this.#running;
  }

  #isFresh(): boolean {
    return this.#last !== undefined && this.#deps.clock.monotonic() - this.#last.begun < freshFor;
  }

  async #run(first: Session | undefined): Promise<void> {
    let session = first;
    let backoff = firstBackoff;
    while (!this.#stopped) {
      if (session === undefined) {
        await this.#sleep(backoff, () => this.#stopped);
        backoff = Math.min(backoff * 2, longestBackoff);
      } else {
        backoff = firstBackoff;
        await this.#serve(session);
      }
      session = this.#stopped ? undefined : await this.#connect();
    }
  }

  /** Listens, then takes the snapshot from which changes are told; all that was before it is forgotten. */
  async #connect(): Promise<Session | undefined> {
    let session: Session | undefined;
    const ended = () => {
      if (session === this.#session) this.#lost();
    };
    try {
      session = await openSession(this.#address, limits, { notified: () => this.#lookSoon(), ended });
      this.#session = session;
      // A notification is a transaction of its own, with nothing in it that could be lost.
      await session.control('set synchronous_commit = off');
      await session.control(`listen ${channel}`);
      await this.#look(session);
      return session;
    } catch (error) {
      this.#deps.log.warn('changes made elsewhere cannot be heard of', { reason: messageOf(error) });
      session?.release();
      this.#last = undefined;
      return undefined;
    }
  }

  /** Looks and announces until the connection fails or the feed is stopped. */
  async #serve(session: Session): Promise<void> {
    try {
      while (!this.#stopped) {
        await this.#sleep(turnInterval, () => this.#stopped);
        await this.#sleep(this.#untilLook(), () => this.#stopped || this.#announcing || this.#looking);
        if (this.#stopped) break;
        if (this.#announcing) {
          this.#announcing = false;
          await session.query(`select pg_notify($1, '')`, [channel]);
        }
        if (this.#looking || this.#untilLook() <= 0) await this.#look(session);
      }
    } catch (error) {
      this.#deps.log.warn('changes made elsewhere cannot be heard of', { reason: messageOf(error) });
      this.#announcing = true;
    } finally {
      this.#last = undefined;
      session.release();
    }
  }

  async #look(session: Session): Promise<void> {
    this.#looking = false;
    const last = this.#last;
    const begun = this.#deps.clock.monotonic();
    const answer =
      last === undefined
        ? await session.query(firstLookQuery, [])
        : await session.query(lookQuery, [last.snapshot]);
    const rows = answer.rows as LookRow[];
    const [first] = rows;
    if (first === undefined) throw new Error('a look was answered without a snapshot');
    if (
      last === undefined ||
      rows.length > lookLimit ||
      gapBetween(last, { begun, at: first.at }) > longestGap
    ) {
      this.hub.lapse();
    } else {
      this.hub.publish(
        rows.flatMap(({ topic, key }) => (topic === null || key === null ? [] : [{ topic, key }])),
      );
    }
    this.#last = { begun, snapshot: first.snapshot, at: first.at };
  }

  #untilLook(): number {
    if (this.#last === undefined) return 0;
    return this.#last.begun + lookInterval - this.#deps.clock.monotonic();
  }

  #lookSoon(): void {
    this.#looking = true;
    this.#wake();
  }

  #lost(): void {
    this.#last = undefined;
    this.#lookSoon();
  }

  /** Ends after the time, or as soon as the condition holds. */
  #sleep(ms: number, early: () => boolean): Promise<void> {
    if (ms <= 0 || early()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#deps.clock.after(ms, resolve);
      this.#wake = () => {
        if (!early()) return;
        timer.cancel();
        resolve();
      };
    });
  }
}

/** By both clocks: a process's own stands still while its machine sleeps, the server's may be set. */
function gapBetween(last: Look, now: { begun: number; at: number }): number {
  return Math.max(now.begun - last.begun, Math.abs(now.at - last.at));
}

/**
 * Locks a user name after ten wrong passwords, for a minute, then twice as long each time, for an hour at the most. An
 * attempt is counted before the password is looked at and forgiven when it was right, so that many attempts at the same
 * moment, on any number of nodes, are no more than the same number one after another.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { LruMap } from './lru.ts';

/** Attempts that have not been followed by the right password. Times are milliseconds since 1970. */
export interface SignInFailures {
  readonly objectId: string;
  readonly failures: number;
  readonly last: number;
  readonly lockedUntil: number;
}

export interface FailureStore {
  of(objectId: string): Promise<SignInFailures | undefined>;
  /** Writes `next` if what is there is still `was`; with `was` undefined, if nothing is there. Answers whether it did. */
  replace(next: SignInFailures, was: SignInFailures | undefined): Promise<boolean>;
  clear(objectId: string): Promise<void>;
  /** Forgets whom nobody has tried since `before`. */
  prune(before: number): Promise<void>;
}

/** Entra ID's smart lock-out: ten attempts, then a minute. */
const freeAttempts = 10;
const firstLock = 60_000;
const longestLock = 60 * 60_000;
/** Milliseconds after the last attempt when all are forgotten. */
export const failuresMemory = 24 * 60 * 60_000;

const mostConflicts = 20;

/**
 * Counts an attempt. Fails with `invalidGrant` while the name is locked, with `throttled` when too many attempts come at
 * the same moment.
 */
export async function chargeAttempt(
  deps: { store: FailureStore; clock: Clock },
  objectId: string,
): Promise<void> {
  for (let conflict = 0; conflict < mostConflicts; conflict += 1) {
    const was = await deps.store.of(objectId);
    const now = deps.clock.now();
    if (was !== undefined && now < was.lockedUntil) throw locked();
    if (await deps.store.replace(afterAttempt(objectId, was, now), was)) return;
  }
  throw new Failure('throttled', 'Too many sign-ins of one user at this moment.', { retryAfter: 1 });
}

/** The count after one more attempt, which is taken for a wrong one until it has proved right. */
export function afterAttempt(objectId: string, was: SignInFailures | undefined, now: number): SignInFailures {
  const isRecent = was !== undefined && now < was.last + failuresMemory;
  const failures = (isRecent ? was.failures : 0) + 1;
  const locks = failures - freeAttempts;
  const lockedUntil = locks < 0 ? 0 : now + Math.min(firstLock * 2 ** Math.min(locks, 30), longestLock);
  return { objectId, failures, last: now, lockedUntil };
}

/** Names that nobody has are counted too, or the lock would tell who exists; in bounded memory, not for all nodes. */
export function createMemoryFailures(capacity = 10_000): FailureStore {
  const kept = new LruMap<SignInFailures>(capacity);
  return {
    of: async (objectId) => kept.get(objectId),
    async replace(next, was) {
      if (kept.get(next.objectId) !== was) return false;
      kept.set(next.objectId, next);
      return true;
    },
    clear: async (objectId) => kept.delete(objectId),
    prune: () => Promise.resolve(),
  };
}

const decoys = 64;

/**
 * What `unknown` counts, at the cost in the database of a name that `known` counts: the same reads and writes, on rows
 * that stand for nobody, or the time of an answer would tell who exists.
 */
export function asCostlyAs(known: FailureStore, unknown: FailureStore): FailureStore {
  const seen = new Map<string, SignInFailures | undefined>();
  const decoyOf = (name: string) => `nobody/${(name.codePointAt(0) ?? 0) % decoys}`;
  return {
    ...unknown,
    async of(name) {
      const decoy = decoyOf(name);
      seen.set(decoy, await known.of(decoy));
      return unknown.of(name);
    },
    async replace(next, was) {
      const decoy = decoyOf(next.objectId);
      await known.replace({ objectId: decoy, failures: 0, last: next.last, lockedUntil: 0 }, seen.get(decoy));
      return unknown.replace(next, was);
    },
  };
}

function locked(): Failure {
  return new Failure(
    'invalidGrant',
    'AADSTS50053: The account is locked: somebody tried to sign in too many times with an incorrect user name or password. Try again later.',
  );
}

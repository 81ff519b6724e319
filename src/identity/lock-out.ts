/**
 * Locks a user name after ten wrong passwords, for a minute, then twice as long each time, for an hour at the most. An
 * attempt is counted before the password is looked at and forgiven when it was right, so that many attempts at the same
 * moment, on any number of nodes, are no more than the same number one after another. Names that nobody has are counted
 * in the same place, or the lock would tell who exists.
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';

/** Attempts that have not been followed by the right password. Times are milliseconds since 1970. */
export interface SignInFailures {
  /** The user's object id; for what is no user's, a text with a slash in it. */
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
  /** One more: of those counted until `lockedUntil`, or, when that is over, the first of those until `until`. */
  count(objectId: string, at: { now: number; until: number }): Promise<void>;
  /** Forgets what nobody has tried since `before`; of what is no user's, all but about the `most` latest, too. */
  prune(before: number, most: number): Promise<void>;
}

/** Entra ID's smart lock-out: ten attempts, then a minute. */
const freeAttempts = 10;
const firstLock = 60_000;
const longestLock = 60 * 60_000;
/** Milliseconds after the last attempt when all are forgotten. */
export const failuresMemory = 24 * 60 * 60_000;

/** Names and addresses of nobody's that are remembered: who guesses cannot fill the database. */
export const mostStrangers = 100_000;

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

function locked(): Failure {
  return new Failure(
    'invalidGrant',
    'AADSTS50053: The account is locked: somebody tried to sign in too many times with an incorrect user name or password. Try again later.',
  );
}

/** Counts what strangers may try only so often, by their addresses. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { FailureStore } from './lock-out.ts';
import { LruMap } from './lru.ts';

/** Counts an attempt from an IP address; throws `throttled` beyond the limit. */
export type AttemptLimit = (address: string) => void;

/** `window` is in milliseconds. */
interface Limits {
  readonly most: number;
  readonly window: number;
}

/**
 * At most `most` attempts from one address in the window, in bounded memory and in this process alone; addresses of one
 * IPv6 network of 64 bits are one.
 */
export function createAttemptLimit(clock: Clock, limits: Limits): AttemptLimit {
  const counts = new LruMap<{ since: number; attempts: number }>(10_000);
  return (address) => {
    const name = networkOf(address);
    const now = clock.monotonic();
    const known = counts.get(name);
    const current =
      known !== undefined && now < known.since + limits.window ? known : { since: now, attempts: 0 };
    if (current.attempts >= limits.most) {
      throw tooMany(current.since + limits.window - now);
    }
    current.attempts += 1;
    counts.set(name, current);
  };
}

/** What went wrong from an address, counted for all processes and nodes. */
export interface FailureLimit {
  /** Throws `throttled` beyond the limit. Those who ask at the same moment are let in together. */
  assertFree(address: string): Promise<void>;
  /** Counts one that went wrong. */
  count(address: string): Promise<void>;
}

/** At most `most` failures from one address, as above, in the window; what goes well costs one look-up. */
export function createFailureLimit(
  { store, clock }: { store: Pick<FailureStore, 'of' | 'count'>; clock: Clock },
  limits: Limits,
): FailureLimit {
  const idOf = (address: string) => `address/${networkOf(address)}`;
  return {
    async assertFree(address) {
      const known = await store.of(idOf(address));
      const now = clock.now();
      if (known !== undefined && now < known.lockedUntil && known.failures >= limits.most)
        throw tooMany(known.lockedUntil - now);
    },
    async count(address) {
      const now = clock.now();
      await store.count(idOf(address), { now, until: now + limits.window });
    },
  };
}

function tooMany(left: number): Failure {
  const retryAfter = Math.max(1, Math.ceil(left / 1000));
  return new Failure('throttled', 'Too many attempts from this address.', { retryAfter });
}

/** An IPv4 address, or the first four groups of an IPv6 address, whichever way its zeros are written. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length);
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

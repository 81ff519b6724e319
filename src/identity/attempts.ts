/** Counts what strangers may try only so often, by their addresses, in bounded memory and in this process alone. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import { LruMap } from './lru.ts';

/** Counts an attempt from an IP address; throws `throttled` beyond the limit. What it returns takes the attempt back. */
export type AttemptLimit = (address: string) => () => void;

/** At most `most` attempts from one address in `window` milliseconds; addresses of one IPv6 network of 64 bits are one. */
export function createAttemptLimit(clock: Clock, limits: { most: number; window: number }): AttemptLimit {
  const counts = new LruMap<{ since: number; attempts: number }>(10_000);
  return (address) => {
    const name = address.includes(':') ? networkOf(address) : address;
    const now = clock.monotonic();
    const known = counts.get(name);
    const current =
      known !== undefined && now < known.since + limits.window ? known : { since: now, attempts: 0 };
    if (current.attempts >= limits.most) {
      const retryAfter = Math.max(1, Math.ceil((current.since + limits.window - now) / 1000));
      throw new Failure('throttled', 'Too many attempts from this address.', { retryAfter });
    }
    current.attempts += 1;
    counts.set(name, current);
    return () => {
      current.attempts -= 1;
    };
  };
}

/** The first four groups of an IPv6 address, whichever way its zeros are written. */
function networkOf(address: string): string {
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

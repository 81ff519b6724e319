/** How much work is taken on at once, and how often a vault may be called. */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';

export interface Limiter {
  /** Counts a request in; throws 503 when too many are under way. Every `enter` needs its `leave`. */
  enter(): void;
  leave(): void;
  /** Runs a sign-in, whose body is read before the caller is known: a quarter of all requests at the most. */
  signIn<T>(run: () => Promise<T>): Promise<T>;
  /** Counts a transaction of a vault; throws 429 beyond the vault's share of the current ten seconds. */
  transaction(vaultId: string): void;
}

/** Azure counts a vault's transactions over ten seconds (LIMITS §7). */
const windowMs = 10_000;

/** `vaultTransactions` per ten seconds and vault; 0 sets no limit. */
export function createLimiter(
  clock: Clock,
  options: { inFlight: number; vaultTransactions: number },
): Limiter {
  let inFlight = 0;
  let signIns = 0;
  const mostSignIns = Math.max(1, Math.floor(options.inFlight / 4));
  let windowStart = 0;
  let counts = new Map<string, number>();
  return {
    enter() {
      if (inFlight >= options.inFlight) {
        throw new Failure('unavailable', 'The server is busy.', { retryAfter: 1 });
      }
      inFlight += 1;
    },
    leave() {
      inFlight -= 1;
    },
    async signIn(run) {
      if (signIns >= mostSignIns) throw new Failure('unavailable', 'The server is busy.', { retryAfter: 1 });
      signIns += 1;
      try {
        return await run();
      } finally {
        signIns -= 1;
      }
    },
    transaction(vaultId) {
      if (options.vaultTransactions === 0) return;
      const now = clock.now();
      if (now - windowStart >= windowMs || now < windowStart) {
        windowStart = now;
        counts = new Map();
      }
      const count = (counts.get(vaultId) ?? 0) + 1;
      if (count > options.vaultTransactions) {
        const retryAfter = Math.max(1, Math.ceil((windowStart + windowMs - now) / 1000));
        throw new Failure(
          'throttled',
          'Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached',
          { retryAfter },
        );
      }
      counts.set(vaultId, count);
    },
  };
}

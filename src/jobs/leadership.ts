/**
 * Leadership: of all processes over one database one runs the jobs. A holder shows life by beats; who sees none for
 * the whole length of the lease, on its own monotonic clock, takes over. No clock is compared with another, so that
 * jumps and drifts do no harm; a holder that slept through its lease is stopped by the fence on its writes.
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Fence, Lease, LeaseStore } from './lease-store.ts';

/** Milliseconds without a beat after which the lease is free. */
export const leaseLength = 15_000;
/** Milliseconds between the beats of a holder, and between the looks of the others. */
export const beatInterval = 3_000;

export interface Leadership {
  /** For the writes of who leads; undefined while this process does not lead, or cannot be sure. */
  fence(): Fence | undefined;
  /** Gives the lease back, if it is held. */
  stop(): Promise<void>;
}

interface Deps {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** Stands for election from now on. `holder` is a name for people. */
export function standForLeadership(
  { store, clock, log }: Deps,
  { name, holder }: { name: string; holder: string },
): Leadership {
  let held: { readonly lease: Lease; readonly since: number } | undefined;
  /** The lease as it was last seen to change, and when. */
  let watched: { readonly lease: Lease | undefined; readonly since: number } | undefined;
  let timer: Timer | undefined;
  let stopped = false;

  const beat = async (lease: Lease) => {
    // Counted from before the request: the others count from when they see its effect, which is later.
    const since = clock.monotonic();
    if (await store.renew(lease)) held = { lease, since };
    else {
      held = undefined;
      log.warn('The lead was lost to another process.', { lease: name });
    }
  };
  const look = async () => {
    const seen = await store.read(name);
    // Counted from after the answer: what it shows may have been done since the question.
    const now = clock.monotonic();
    if (watched === undefined || !isSame(watched.lease, seen)) watched = { lease: seen, since: now };
    const isFree = seen === undefined || seen.holder === '' || now - watched.since >= leaseLength;
    if (!isFree) return;
    const since = clock.monotonic();
    const lease = await store.take(name, holder, seen);
    if (lease === undefined) return;
    held = { lease, since };
    watched = undefined;
    log.debug('leading', { lease: name, term: lease.term });
  };
  const step = async () => {
    try {
      await (held === undefined ? look() : beat(held.lease));
    } catch (error) {
      log.warn('The lease cannot be looked at.', { lease: name, error });
    }
    if (!stopped) timer = clock.after(beatInterval, run);
  };
  let stepping = Promise.resolve();
  const run = () => {
    stepping = step();
  };
  run();
  return {
    fence: () =>
      held !== undefined && clock.monotonic() - held.since < leaseLength
        ? { lease: name, term: held.lease.term }
        : undefined,
    async stop() {
      stopped = true;
      timer?.cancel();
      await stepping;
      if (held !== undefined) await store.release(held.lease).catch(() => undefined);
      held = undefined;
    },
  };
}

function isSame(a: Lease | undefined, b: Lease | undefined): boolean {
  return a?.term === b?.term && a?.beat === b?.beat && a?.holder === b?.holder;
}

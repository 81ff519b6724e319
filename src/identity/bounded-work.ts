/**
 * Keeps expensive work that strangers can ask for within bounds: so many at once, so many waiting, the rest refused
 * at once, so that guessing secrets can neither fill the thread pool nor the memory.
 */
import { Failure } from '../core/errors.ts';

/** Runs the work when its turn comes; rejects with `throttled` if the queue is full. */
export type BoundedWork = <T>(work: () => Promise<T>) => Promise<T>;

/** Makes a bound of `concurrent` running and `waiting` queued pieces of work, first come first served. */
export function createBoundedWork(limits: { concurrent: number; waiting: number }): BoundedWork {
  const queue: (() => void)[] = [];
  let running = 0;

  return async (work) => {
    if (running < limits.concurrent) {
      running += 1;
    } else {
      if (queue.length >= limits.waiting) {
        throw new Failure('throttled', 'Too many sign-ins are being checked at this moment.', {
          retryAfter: 1,
        });
      }
      await new Promise<void>((start) => queue.push(start));
    }
    try {
      return await work();
    } finally {
      // The next in line takes over this place, so that a newcomer cannot slip in between.
      const next = queue.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

/**
 * Runs jobs on the injected clock, in the process that leads: each at its interval, never twice at once, failures
 * logged and tried again.
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Fence } from './lease-store.ts';

export interface Job {
  readonly name: string;
  /** Milliseconds between the end of one run and the start of the next. */
  readonly every: number;
  /** What it writes goes under the fence. */
  readonly run: (fence: Fence) => Promise<void>;
}

export interface Scheduler {
  /** Stops the timers and waits for runs under way. */
  stop(): Promise<void>;
}

/** A job that throws before its first wait fails like any other. */
async function begin(job: Job, fence: Fence): Promise<void> {
  await job.run(fence);
}

/** Milliseconds until a job that was due looks again whether this process leads. */
const leadCheck = 5_000;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
  /** The lead, if this process has it. */
  readonly fence: () => Fence | undefined;
}

/** Starts the jobs; each runs first after its interval. */
export function startJobs(deps: Deps, jobs: readonly Job[]): Scheduler {
  const timers = new Map<Job, Timer>();
  const running = new Set<Promise<void>>();
  let stopped = false;
  const schedule = (job: Job, delay = job.every) => {
    if (stopped) return;
    timers.set(
      job,
      deps.clock.after(delay, () => {
        const fence = deps.fence();
        if (fence === undefined) {
          schedule(job, Math.min(job.every, leadCheck));
          return;
        }
        const run = begin(job, fence)
          .catch((error: unknown) => deps.log.error('job failed', { job: job.name, error }))
          .finally(() => {
            running.delete(run);
            schedule(job);
          });
        running.add(run);
      }),
    );
  };
  for (const job of jobs) schedule(job);
  return {
    async stop() {
      stopped = true;
      for (const timer of timers.values()) timer.cancel();
      await Promise.all(running);
    },
  };
}

/** Runs jobs on the injected clock: each at its interval, never twice at once, failures logged and tried again. */
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';

export interface Job {
  readonly name: string;
  /** Milliseconds between the end of one run and the start of the next. */
  readonly every: number;
  readonly run: () => Promise<void>;
}

export interface Scheduler {
  /** Stops the timers and waits for runs under way. */
  stop(): Promise<void>;
}

/** A job that throws before its first wait fails like any other. */
async function begin(job: Job): Promise<void> {
  await job.run();
}

/** Starts the jobs; each runs first after its interval. */
export function startJobs(deps: { clock: Clock; log: Log }, jobs: readonly Job[]): Scheduler {
  const timers = new Map<Job, Timer>();
  const running = new Set<Promise<void>>();
  let stopped = false;
  const schedule = (job: Job) => {
    if (stopped) return;
    timers.set(
      job,
      deps.clock.after(job.every, () => {
        const run = begin(job)
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

/** Time, as an argument. Nothing outside this file reads the machine's clock or sets a timer. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number;
  /** Calls `run` once, after `ms` milliseconds; never keeps the process alive. */
  after(ms: number, run: () => void): Timer;
}

/** The longest delay that Node's timers hold (2^31 - 1 ms, about 24 days); longer ones would fire at once. */
const longestDelay = 0x7fffffff;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), longestDelay));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Whole Unix seconds, the unit of every time on the data plane's wire. */
export function unixSeconds(ms: number): number {
  return Math.floor(ms / 1000);
}

/** ISO 8601 in UTC with seven decimals, as Azure's logs write it. */
export function isoSevenDecimals(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, -1)}0000Z`;
}

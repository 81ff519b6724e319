/** Time, as an argument. Nothing outside this file reads the machine's clock or sets a timer. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number;
  /** Milliseconds of a clock that never jumps, the same for all processes of a machine; only differences mean anything. */
  monotonic(): number;
  /** Calls `run` once, after `ms` milliseconds; never keeps the process alive. */
  after(ms: number, run: () => void): Timer;
}

/** The longest delay that Node's timers hold (2^31 - 1 ms, about 24 days); longer ones would fire at once. */
const longestDelay = 0x7fffffff;

/** `performance.now()` counts from the start of its process: this moves it to the machine's own beginning. */
const monotonicStart = findMonotonicStart();

/** Both clocks are read until nothing came between, so that processes agree to less than a tenth of a millisecond. */
function findMonotonicStart(): number {
  for (;;) {
    const before = performance.now();
    const machine = Number(process.hrtime.bigint()) / 1e6;
    const after = performance.now();
    if (after - before < 0.1) return machine - after;
  }
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => monotonicStart + performance.now(),
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

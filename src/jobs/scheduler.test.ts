/** Proves that jobs run at their intervals, never twice at once, go on after failures and end when they are told to. */
import { expect, test } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { type Log, silentLog } from '../core/log.ts';
import type { Fence } from './lease-store.ts';
import { type Job, startJobs } from './scheduler.ts';

const fence: Fence = { lease: 'jobs', term: 3 };
const leading = () => fence;

/** A job whose runs end when the test says so. */
function heldJob(every: number) {
  const runs: { end(): Promise<void>; fail(error: Error): Promise<void> }[] = [];
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  const job: Job = {
    name: 'held',
    every,
    run: () =>
      new Promise<void>((resolve, reject) => {
        runs.push({
          end: () => {
            resolve();
            return settled();
          },
          fail: (error) => {
            reject(error);
            return settled();
          },
        });
      }),
  };
  return { job, runs };
}

test('runs first after the interval, and again an interval after the end', async () => {
  const clock = manualClock();
  const { job, runs } = heldJob(1000);
  const scheduler = startJobs({ clock, log: silentLog, fence: leading }, [job]);
  clock.advance(999);
  expect(runs).toHaveLength(0);
  clock.advance(1);
  expect(runs).toHaveLength(1);
  clock.advance(10_000);
  expect(runs).toHaveLength(1);
  await runs[0]?.end();
  clock.advance(999);
  expect(runs).toHaveLength(1);
  clock.advance(1);
  expect(runs).toHaveLength(2);
  await runs[1]?.end();
  await scheduler.stop();
});

test('a run that fails is logged and tried again', async () => {
  const clock = manualClock();
  const logged: unknown[] = [];
  const log: Log = { ...silentLog, error: (message, fields) => logged.push([message, fields]) };
  const { job, runs } = heldJob(1000);
  const scheduler = startJobs({ clock, log, fence: leading }, [job]);
  clock.advance(1000);
  const error = new Error('no luck');
  await runs[0]?.fail(error);
  expect(logged).toEqual([['job failed', { job: 'held', error }]]);
  clock.advance(1000);
  expect(runs).toHaveLength(2);
  await runs[1]?.end();
  await scheduler.stop();
});

test('a job that throws before it begins is a failed run, not the end of the process', async () => {
  const clock = manualClock();
  const logged: unknown[] = [];
  const log: Log = { ...silentLog, error: (message) => logged.push(message) };
  const run = () => {
    throw new Error('at once');
  };
  const scheduler = startJobs({ clock, log, fence: leading }, [{ name: 'broken', every: 1000, run }]);
  for (let n = 1; n <= 2; n += 1) {
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(logged).toHaveLength(n);
  }
  await scheduler.stop();
});

test('stopping waits for the run under way, and nothing runs afterwards', async () => {
  const clock = manualClock();
  const { job, runs } = heldJob(1000);
  const other = heldJob(500);
  const scheduler = startJobs({ clock, log: silentLog, fence: leading }, [job, other.job]);
  clock.advance(500);
  await other.runs[0]?.end();
  clock.advance(500);
  expect(runs).toHaveLength(1);
  await other.runs[1]?.end();
  let stopped = false;
  const stopping = scheduler.stop().then(() => {
    stopped = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(stopped).toBe(false);
  await runs[0]?.end();
  await stopping;
  clock.advance(100_000);
  expect(runs).toHaveLength(1);
  expect(other.runs).toHaveLength(2);
});

test('only who leads runs jobs, under its fence; who comes to lead runs what was due within seconds', async () => {
  const clock = manualClock();
  let lead: Fence | undefined;
  const seen: Fence[] = [];
  const job: Job = {
    name: 'fenced',
    every: 60_000,
    async run(under) {
      seen.push(under);
    },
  };
  const scheduler = startJobs({ clock, log: silentLog, fence: () => lead }, [job]);
  clock.advance(60_000);
  for (let n = 0; n < 20; n += 1) clock.advance(5_000);
  expect(seen).toEqual([]);
  lead = { lease: 'jobs', term: 9 };
  clock.advance(5_000);
  expect(seen).toEqual([{ lease: 'jobs', term: 9 }]);
  await new Promise((resolve) => setImmediate(resolve));
  clock.advance(59_999);
  expect(seen).toHaveLength(1);
  lead = undefined;
  clock.advance(1);
  expect(seen).toHaveLength(1);
  lead = { lease: 'jobs', term: 10 };
  clock.advance(5_000);
  expect(seen[1]).toEqual({ lease: 'jobs', term: 10 });
  await scheduler.stop();
});

test('a job that is due more often than the lead is looked at keeps its own interval', async () => {
  const clock = manualClock();
  let lead: Fence | undefined;
  let runs = 0;
  const job: Job = {
    name: 'often',
    every: 1_000,
    async run() {
      runs += 1;
    },
  };
  const scheduler = startJobs({ clock, log: silentLog, fence: () => lead }, [job]);
  clock.advance(1_000);
  lead = fence;
  clock.advance(1_000);
  expect(runs).toBe(1);
  await scheduler.stop();
});

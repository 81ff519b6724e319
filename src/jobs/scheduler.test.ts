/** Proves that jobs run at their intervals, never twice at once, go on after failures and end when they are told to. */
import { expect, test } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { type Log, silentLog } from '../core/log.ts';
import { type Job, startJobs } from './scheduler.ts';

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
  const scheduler = startJobs({ clock, log: silentLog }, [job]);
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
  const scheduler = startJobs({ clock, log }, [job]);
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
  const scheduler = startJobs({ clock, log }, [{ name: 'broken', every: 1000, run }]);
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
  const scheduler = startJobs({ clock, log: silentLog }, [job, other.job]);
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

import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { lowerPoolPriority } from './pool-priority.ts';

/** Of this process's threads, by name; some may end meanwhile. */
function prioritiesOf(name: string): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) => {
    try {
      const is = readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').trim();
      return is === name ? [getPriority(Number(thread))] : [];
    } catch {
      return [];
    }
  });
}

test.runIf(process.platform === 'linux')('the pool stands back, the event loop does not', async () => {
  const before = getPriority(process.pid);
  await lowerPoolPriority(silentLog);
  await lowerPoolPriority(silentLog);
  const pool = prioritiesOf('libuv-worker');
  expect(pool.length).toBeGreaterThan(0);
  expect(new Set(pool)).toEqual(new Set([Math.min(before + 5, 19)]));
  expect(getPriority(process.pid)).toBe(before);
});

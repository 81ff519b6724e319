/** Proves that one process has a data folder at a time, and that the lock goes with it however it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockFolder } from './lock.ts';

let folder: string;
let path: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-lock-'));
  path = join(folder, 'lock');
});
afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await rm(folder, { recursive: true });
});

/** A process that takes the lock, says so, and stays. */
async function lockingProcess(): Promise<ChildProcess> {
  const module = JSON.stringify(join(import.meta.dirname, 'lock.ts'));
  const code = `import { lockFolder } from ${module};
    const lock = lockFolder(${JSON.stringify(path)});
    console.log(lock === undefined ? 'refused' : 'locked');
    process.stdin.resume();`;
  child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (child.stdout === null) throw new Error('no output');
  const [said] = await once(child.stdout, 'data');
  expect(String(said).trim()).toBe('locked');
  return child;
}

test('the lock is free, taken, and free again', () => {
  const lock = lockFolder(path);
  expect(lock).toBeDefined();
  expect(lockFolder(path)).toBeUndefined();
  lock?.release();
  const again = lockFolder(path);
  expect(again).toBeDefined();
  again?.release();
});

test('a second process is refused until the first is killed', async () => {
  const first = await lockingProcess();
  expect(lockFolder(path)).toBeUndefined();
  const ended = once(first, 'exit');
  first.kill('SIGKILL');
  await ended;
  const lock = lockFolder(path);
  expect(lock).toBeDefined();
  lock?.release();
});

test('a lock file that cannot be made is an error, not a lock that somebody has', () => {
  expect(() => lockFolder(join(folder, 'missing', 'lock'))).toThrow();
});

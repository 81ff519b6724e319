/** The ceilings of operations with keys: `openssl speed`, and the same call alone in Node.js, in as many processes. */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LoopResult, PrimitiveName } from './keys-primitives.ts';
import { placeFor } from './processes.ts';
import type { Sample } from './report.ts';

/** An algorithm of `openssl speed`, and the letter and number of the lines that tell its private operation's count. */
export interface SpeedTest {
  readonly algorithm: string;
  readonly line: string;
}

export interface CeilingRun {
  readonly processes: number;
  readonly seconds: number;
}

const run = promisify(execFile);

/** The version of the command that is installed; undefined if none is. */
export function opensslVersion(): string | undefined {
  const { status, stdout } = spawnSync('openssl', ['version'], { encoding: 'utf8' });
  return status === 0 ? stdout.split(' (')[0]?.trim() : undefined;
}

/**
 * Each process prints a line of the count, the size, and the seconds of its own processor time; it works for whole seconds
 * by the clock.
 */
export async function openssl({ algorithm, line }: SpeedTest, of: CeilingRun): Promise<Sample> {
  const seconds = Math.max(1, Math.round(of.seconds));
  const multi = of.processes === 1 ? [] : ['-multi', String(of.processes)];
  const args = ['speed', '-mr', '-seconds', String(seconds), ...multi, algorithm];
  const { stdout, stderr } = await pinned(['openssl', ...args], of.processes);
  const lines = `${stdout}\n${stderr}`.matchAll(new RegExp(`^\\+${line}:(\\d+):\\d+:([\\d.]+)$`, 'gm'));
  const results = [...lines].map(([, count, cpu]) => ({
    count: Number(count),
    elapsed: seconds,
    cpu: Number(cpu),
  }));
  if (results.length !== of.processes) throw new Error(`openssl speed printed:\n${stdout}${stderr}`);
  return sampleOf(results);
}

export async function bareLoop(name: PrimitiveName, { processes, seconds }: CeilingRun): Promise<Sample> {
  const command = [process.execPath, join(import.meta.dirname, 'keys-primitives.ts'), name, String(seconds)];
  const all = Array.from({ length: processes }, () => pinned(command, processes));
  return sampleOf((await Promise.all(all)).map(({ stdout }) => JSON.parse(stdout) as LoopResult));
}

/** On the cores that a server of so many processes has. */
function pinned(command: readonly string[], processes: number): Promise<{ stdout: string; stderr: string }> {
  const cores = placeFor(processes)?.server;
  const [file = '', ...args] = cores === undefined ? command : ['taskset', '-c', cores, ...command];
  return run(file, args);
}

function sampleOf(results: readonly LoopResult[]): Sample {
  const sum = (pick: (result: LoopResult) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  const perSecond = sum(({ count, elapsed }) => count / elapsed);
  const cpu = (1e6 * sum((result) => result.cpu)) / sum(({ count }) => count);
  return { perSecond, p50: Number.NaN, p99: Number.NaN, p999: Number.NaN, cpu };
}

/** The ceilings of operations with keys: `openssl speed`, and the same call alone in Node.js, in as many processes. */
import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LoopResult, PrimitiveName } from './keys-primitives.ts';
import { moveLoad, placeFor } from './processes.ts';
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
 * Processes at the same time, and not `-multi`, which tells the time of the clock where one process tells its own processor
 * time. Each prints a line of the count, the size and that time, after whole seconds by the clock.
 */
export async function openssl({ algorithm, line }: SpeedTest, of: CeilingRun): Promise<Sample> {
  const elapsed = Math.max(1, Math.round(of.seconds));
  const command = ['openssl', 'speed', '-mr', '-seconds', String(elapsed), algorithm];
  const printed = new RegExp(`^\\+${line}:(\\d+):\\d+:([\\d.]+)$`, 'm');
  const results = (await atOnce(command, of.processes)).map((text) => {
    const [, count, cpu] = printed.exec(text) ?? [];
    if (count === undefined) throw new Error(`openssl speed printed:\n${text}`);
    return { count: Number(count), elapsed, cpu: Number(cpu) };
  });
  return sampleOf(results);
}

export async function bareLoop(name: PrimitiveName, { processes, seconds }: CeilingRun): Promise<Sample> {
  const command = [process.execPath, join(import.meta.dirname, 'keys-primitives.ts'), name, String(seconds)];
  const results = await atOnce(command, processes);
  return sampleOf(results.map((text) => JSON.parse(text) as LoopResult));
}

/** What so many processes print, on the cores that a server of as many has. */
function atOnce(command: readonly string[], processes: number): Promise<string[]> {
  // Else they would be where the load was before.
  moveLoad(processes);
  const cores = placeFor(processes)?.server;
  const [file = '', ...args] = cores === undefined ? command : ['taskset', '-c', cores, ...command];
  const printed = Array.from({ length: processes }, () => run(file, args));
  return Promise.all(printed.map((each) => each.then(({ stdout, stderr }) => `${stdout}${stderr}`)));
}

function sampleOf(results: readonly LoopResult[]): Sample {
  const sum = (pick: (result: LoopResult) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  const perSecond = sum(({ count, elapsed }) => count / elapsed);
  const cpu = (1e6 * sum((result) => result.cpu)) / sum(({ count }) => count);
  return { perSecond, p50: Number.NaN, p99: Number.NaN, p999: Number.NaN, cpu };
}

/** Starts the servers under measurement, each pinned to a core where that can be done, and reads what they cost. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ServerProcess {
  readonly pid: number;
  /** The first line that it printed. */
  readonly firstLine: string;
  /** Milliseconds from the start to the first line. */
  readonly startMs: number;
  /** Processor time so far, in milliseconds; undefined where the system does not tell. */
  cpuMs(): number | undefined;
  /** Resident memory in MB; undefined where the system does not tell. */
  residentMb(): number | undefined;
  stop(): Promise<void>;
}

/** Whether servers run on the first core and the load on the second. */
export const pinned = process.platform === 'linux' && spawnSync('taskset', ['--version']).status === 0;

export async function start(command: readonly string[]): Promise<ServerProcess> {
  const words = pinned ? ['taskset', '-c', '0', ...command] : [...command];
  const [file = '', ...args] = words;
  const before = performance.now();
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const firstLine = await lineOf(child);
  const startMs = performance.now() - before;
  const pid = child.pid ?? 0;
  return {
    pid,
    firstLine,
    startMs,
    cpuMs: () => cpuMs(pid),
    residentMb: () => residentMb(pid),
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}

/** Keeps this process, the load, off the servers' core. */
export function pinSelf(): void {
  if (pinned) spawnSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)]);
}

function lineOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    if (child.stdout === null) throw new TypeError('the process has no output');
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
}

/** Linux counts in ticks of 10 ms (proc(5), utime and stime). */
function cpuMs(pid: number): number | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return undefined;
  }
}

function residentMb(pid: number): number | undefined {
  try {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
  } catch {
    return undefined;
  }
}

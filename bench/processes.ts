/** Starts the processes under measurement, on cores of their own where there are enough, and reads what they cost. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

export interface ServerProcess {
  readonly pid: number;
  /** The first line that it printed. */
  readonly firstLine: string;
  /** Milliseconds from the start to the first line. */
  readonly startMs: number;
  stop(): Promise<void>;
}

export interface StartOptions {
  /** The cores that it may run on, with all that it starts; undefined for any. */
  readonly cores?: string | undefined;
  readonly environment?: Readonly<Record<string, string>>;
}

const canPin = process.platform === 'linux' && spawnSync('taskset', ['--version']).status === 0;
export const cores = availableParallelism();

/** Which cores a server of so many processes and its load get, as taskset writes it; undefined if they share all. */
export function placeFor(processes: number): { server: string; load: string } | undefined {
  if (!canPin || cores < processes * 2) return undefined;
  return { server: range(0, processes - 1), load: range(processes, cores - 1) };
}

function range(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}

/** Moves this process, the load, to the cores that are left for it beside so many server processes. */
export function moveLoad(processes: number): void {
  if (!canPin) return;
  const place = placeFor(processes)?.load ?? range(0, cores - 1);
  spawnSync('taskset', ['-a', '-p', '-c', place, String(process.pid)]);
}

/** How many threads the load has beside so many server processes. */
export function loadThreads(processes: number): number {
  if (placeFor(processes) === undefined) return Math.max(1, Math.floor(cores / 2));
  return Math.min(processes, cores - processes);
}

/** Resolves when the process has printed its first line. */
export async function start(
  command: readonly string[],
  { cores: place, environment }: StartOptions = {},
): Promise<ServerProcess> {
  const words = place === undefined ? [...command] : ['taskset', '-c', place, ...command];
  const [file = '', ...args] = words;
  const before = performance.now();
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  child.stderr.pipe(process.stderr, { end: false });
  // However this process ends, what it started ends with it.
  const end = () => void child.kill('SIGKILL');
  process.prependOnceListener('exit', end);
  child.once('exit', () => process.off('exit', end));
  const firstLine = await lineOf(child);
  return {
    pid: child.pid ?? 0,
    firstLine,
    startMs: performance.now() - before,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.once('exit', () => resolve());
        // It would say that it was told to stop.
        child.stderr.unpipe();
        child.stderr.resume();
        child.kill('SIGTERM');
      }),
  };
}

function lineOf(child: ChildProcessByStdio<null, Readable, Readable>): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
}

/** Processor time so far of the processes and all that they started, in milliseconds; 0 where it cannot be told. */
export function cpuMs(pids: readonly number[]): number {
  return sum(familyOf(pids).map(cpuOfProcess));
}

/** Resident memory of the processes and all that they started, in MB; 0 where it cannot be told. */
export function residentMb(pids: readonly number[]): number {
  return sum(familyOf(pids).map(residentOfProcess));
}

/** The processes and their descendants (proc(5): the fourth field of `stat` is the parent). */
function familyOf(pids: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const name of list('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = Number(statOf(`/proc/${name}/stat`)[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const all = [...pids];
  for (const pid of all) all.push(...(children.get(pid) ?? []));
  return all;
}

/** `schedstat` counts the nanoseconds of each thread; without it, `stat` has ticks of 10 ms. */
function cpuOfProcess(pid: number): number {
  const threads = list(`/proc/${pid}/task`).map((thread) =>
    Number(textOf(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[0] ?? Number.NaN),
  );
  const nanoseconds = sum(threads);
  if (!Number.isNaN(nanoseconds)) return nanoseconds / 1e6;
  const fields = statOf(`/proc/${pid}/stat`);
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 10;
}

function residentOfProcess(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(textOf(`/proc/${pid}/status`) ?? '')?.[1];
  return kilobytes === undefined ? 0 : Number(kilobytes) / 1024;
}

/** The fields after the command's name, which may have blanks in it. */
function statOf(path: string): string[] {
  const text = textOf(path) ?? '';
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

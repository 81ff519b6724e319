/**
 * The real program as a child process: bin/strongroom with a data folder of its own, free ports and none of the
 * caller's settings or sign-ins. Servers are awaited by their banner, ended by their process id.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export const checkout = join(import.meta.dirname, '..', '..');
export const program = join(checkout, 'bin', 'strongroom');

/** How a process ended and all that it said. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Beyond a bare environment; undefined takes a variable out of it. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** A process that is under way. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams;
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly finished: Promise<Finished>;
  /** Resolves with the first match in standard output or standard error; rejects if the process ends without one. */
  seen(pattern: RegExp): Promise<RegExpExecArray>;
}

/** The environment of a user who has set up nothing. */
export function bareEnvironment(extra: RunOptions['env'] = {}): Record<string, string> {
  const nodes = join(checkout, 'node_modules', '.bin');
  const bare: Record<string, string | undefined> = {
    PATH: [nodes, process.env.PATH].join(delimiter),
    HOME: process.env.HOME,
    TMPDIR: process.env.TMPDIR,
    LANG: 'C.UTF-8',
    ...extra,
  };
  return Object.fromEntries(
    Object.entries(bare).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** A test that fails half-way must leave no server behind. */
const living = new Set<ChildProcessWithoutNullStreams>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Starts any command; everything that it writes is kept. */
export function launch(command: string, args: readonly string[], options: RunOptions = {}): Running {
  const child = spawn(command, args, { cwd: options.cwd ?? checkout, env: bareEnvironment(options.env) });
  living.add(child);
  const output = { stdout: '', stderr: '' };
  let ended = false;
  const looking = new Set<() => void>();
  const look = () => {
    for (const each of looking) each();
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
      look();
    });
  }
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      living.delete(child);
      ended = true;
      resolve({ code, signal, ...output });
      look();
    });
  });
  return {
    child,
    pid: child.pid ?? 0,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    finished,
    seen: (pattern) =>
      new Promise((resolve, reject) => {
        const check = () => {
          const match = pattern.exec(output.stdout) ?? pattern.exec(output.stderr);
          if (match === null && !ended) return;
          looking.delete(check);
          if (match !== null) resolve(match);
          else reject(new Error(`ended without ${pattern}:\n${output.stdout}\n${output.stderr}`));
        };
        looking.add(check);
        check();
      }),
  };
}

/** Runs a command to its end. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const running = launch(command, args, options);
  running.child.stdin.end();
  return running.finished;
}

/** Runs bin/strongroom to its end. */
export function strongroom(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return run(program, args, options);
}

export interface ServerProcess extends Running {
  readonly folder: string;
  readonly port: number;
  /** 0 when the loopback listener is off. */
  readonly localPort: number;
  /** Sends the signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Finished>;
}

const ready = /serves at port (\d+)[\s\S]*Stop with Ctrl-C\.\n/;

/** `start --dev` on a folder and free ports; further arguments follow. Resolves when the banner is out. */
export async function startProcess(
  folder: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<ServerProcess> {
  const all = ['start', '--dev', '--data', folder, '--port', '0', '--local-port', '0', ...args];
  const running = launch(program, all, options);
  const [banner, port] = await running.seen(ready);
  const local = /http:\/\/127\.0\.0\.1:(\d+)\//.exec(banner)?.[1];
  return {
    ...running,
    folder,
    port: Number(port),
    localPort: Number(local ?? 0),
    end(signal = 'SIGTERM') {
      running.child.kill(signal);
      return running.finished;
    },
  };
}

export interface TemporaryFolder {
  readonly path: string;
  remove(): Promise<void>;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), 'strongroom-test-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** SHA-256, mode and name of every file below a folder, so that a start that must change nothing can be held to it. */
export function fingerprint(folder: string): Readonly<Record<string, string>> {
  const files = filesBelow(folder).map((name) => {
    const path = join(folder, name);
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    return [name, `${(statSync(path).mode & 0o777).toString(8)} ${digest}`] as const;
  });
  return Object.fromEntries(files);
}

/** Names of the regular files below a folder, sorted. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile())
    .sort();
}

/** The path of an executable on the caller's path; undefined if there is none. */
export function findTool(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

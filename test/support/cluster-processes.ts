/** The processes of a server: a supervisor's children with their roles, found in /proc (Linux only). */
import { readdirSync, readFileSync } from 'node:fs';
import { optional } from './optional.ts';

/** Whether processes can be told apart here. */
export const hasProc = optional('processes of a server', process.platform === 'linux', '/proc is of Linux');

export interface ServerProcesses {
  /** Process ids by slot; a worker that is being started again is missing. */
  readonly workers: ReadonlyMap<number, number>;
  readonly writer: number | undefined;
}

/** The children that the supervisor has now. */
export function processesOf(supervisor: number): ServerProcesses {
  const workers = new Map<number, number>();
  let writer: number | undefined;
  for (const pid of childrenOf(supervisor)) {
    const role = roleOf(pid);
    if (role === 'writer') writer = pid;
    else if (role !== undefined) workers.set(Number(role), pid);
  }
  return { workers, writer };
}

export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

/** Whether the process is there and has not ended: one that its parent has not looked at is gone too. */
export function isAlive(pid: number): boolean {
  const [state] = statOf(pid);
  return state !== undefined && state !== 'Z' && state !== 'X';
}

/** Resolves when the condition holds; asks in every turn, and rejects after so many milliseconds. */
export async function until(condition: () => boolean | Promise<boolean>, longest = 90_000): Promise<void> {
  const end = performance.now() + longest;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${longest} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What the attempt resolves to, when it does at last. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  let last: { result: T } | undefined;
  await until(async () => {
    last = await attempt().then(
      (result) => ({ result }),
      () => undefined,
    );
    return last !== undefined;
  });
  return (last as { result: T }).result;
}

/** The process of a role, waited for while it is being started again; never the one that is named. */
export async function processOf(supervisor: number, role: 'writer' | number, not = 0): Promise<number> {
  let pid: number | undefined;
  await until(() => {
    const { workers, writer } = processesOf(supervisor);
    pid = role === 'writer' ? writer : workers.get(role);
    return pid !== undefined && pid !== not;
  });
  return pid ?? 0;
}

/** Stops the process as SIGSTOP does and lets it go on when `during` is over, however that ends. */
export async function whileStopped<T>(pid: number, during: () => Promise<T>): Promise<T> {
  process.kill(pid, 'SIGSTOP');
  try {
    await until(() => statOf(pid)[0] === 'T');
    return await during();
  } finally {
    signal(pid, 'SIGCONT');
  }
}

/** Kills a server's processes, the first one first; those that are stopped would not notice that it is gone. */
export async function killAll(server: {
  pid: number;
  end(signal: 'SIGKILL'): Promise<unknown>;
}): Promise<void> {
  const children = childrenOf(server.pid);
  await server.end('SIGKILL');
  for (const pid of children) signal(pid, 'SIGKILL');
}

/** To a process that may be gone. */
function signal(pid: number, name: NodeJS.Signals): void {
  if (isAlive(pid)) process.kill(pid, name);
}

function parentOf(pid: number): number | undefined {
  const [state, parent] = statOf(pid);
  return state === 'Z' || parent === undefined ? undefined : Number(parent);
}

/** State and parent; empty for a process that is gone. The name before them may hold anything but ends at `)`. */
function statOf(pid: number): string[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ', 2);
  } catch {
    return [];
  }
}

function roleOf(pid: number): string | undefined {
  try {
    return /(?:^|\0)STRONGROOM_PROCESS=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/**
 * The load: threads that each keep some TLS connections busy, one request under way on each. They connect first and
 * then begin together, so that handshakes are not measured.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Plan } from './requests.ts';

export interface Load {
  /** Of 127.0.0.1; connections are spread over them in turn. */
  readonly ports: readonly number[];
  readonly servername: string;
  readonly ca: string;
  readonly connections: number;
  readonly threads: number;
  readonly seconds: number;
  /** Ends before its time when so many requests were sent. */
  readonly most: number;
  readonly plan: Plan;
  /** Milliseconds between an answer and the next request of its connection; none by default. */
  readonly pause?: number;
}

export interface Measured {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly requests: number;
  /** Of the load's threads: the share of the time for which one was at work, 1 for all of it. */
  readonly loadBusy: number;
}

/** What a thread is told. */
export interface ThreadTask extends Load {
  readonly thread: number;
}

/** What a thread answers when it is through; times are milliseconds. */
export interface ThreadResult {
  readonly latencies: Float64Array;
  readonly elapsed: number;
}

/**
 * Runs the load and measures it; `look` is called just before and just after. Rejects if any reply is not a success.
 */
export async function run<T>(
  load: Load,
  look: () => T,
): Promise<{ measured: Measured; before: T; after: T }> {
  const threads = Array.from({ length: load.threads }, (_, thread) => startThread({ ...load, thread }));
  try {
    await Promise.all(threads.map(messageOf));
    const before = look();
    const cpu = process.cpuUsage();
    const running = threads.map((thread) => messageOf(thread) as Promise<ThreadResult>);
    for (const thread of threads) thread.postMessage('go');
    const results = await Promise.all(running);
    const after = look();
    const { user, system } = process.cpuUsage(cpu);
    return { measured: summarize(load, results, (user + system) / 1000), before, after };
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

function startThread(task: ThreadTask): Worker {
  return new Worker(new URL('./load-thread.ts', import.meta.url), { workerData: task });
}

async function messageOf(thread: Worker): Promise<unknown> {
  const [message] = (await once(thread, 'message')) as [unknown];
  return message;
}

function summarize(load: Load, results: readonly ThreadResult[], cpuMs: number): Measured {
  const latencies = Float64Array.from(results.flatMap((result) => [...result.latencies])).sort();
  const elapsed = Math.max(...results.map((result) => result.elapsed));
  return { ...statistics(latencies, elapsed), loadBusy: cpuMs / elapsed / load.threads };
}

/** `latencies` in ascending order; all in milliseconds. */
export function statistics(latencies: Float64Array, elapsed: number): Omit<Measured, 'loadBusy'> {
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    perSecond: (latencies.length * 1000) / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    requests: latencies.length,
  };
}

/** One round of load on a target: rates, latencies, and what it cost its processes. */
import { run } from './load.ts';
import { cpuMs, loadThreads, moveLoad } from './processes.ts';
import type { Sample } from './report.ts';
import type { Plan } from './requests.ts';
import type { Target } from './servers.ts';

export interface Round {
  readonly servername: string;
  readonly connections: number;
  readonly seconds: number;
  /** Ends before its time when so many requests were sent. */
  readonly most?: number | undefined;
  readonly plan: Plan;
}

export async function measure(target: Target, round: Round): Promise<Sample> {
  moveLoad(target.processes);
  const { databasePid } = target;
  const look = () => ({
    server: cpuMs(target.nodes.map(({ pid }) => pid)),
    database: databasePid === undefined ? undefined : cpuMs([databasePid]),
  });
  const { ports, ca } = target;
  const threads = Math.min(loadThreads(target.processes), round.connections);
  const load = { ...round, ports, ca, threads, most: round.most ?? Number.POSITIVE_INFINITY };
  const { measured, before, after } = await run(load, look);
  const each = (ms: number) => (ms * 1000) / measured.requests;
  const databaseCpu =
    after.database === undefined ? undefined : each(after.database - (before.database ?? 0));
  return { ...measured, cpu: each(after.server - before.server), databaseCpu };
}

/** How much of the machine others had meanwhile, who are no part of the benchmark: what a figure is worth. */
import { readFileSync } from 'node:fs';
import { cores, cpuMs } from './processes.ts';

/** Starts to count; the answer tells the share of all processor time since then, 0 to 1, or NaN where it cannot be told. */
export function watchOthers(servers: readonly number[]): () => number {
  const others = () => busyMs() - ownMs(servers);
  const before = others();
  const started = performance.now();
  return () => Math.max(0, (others() - before) / (performance.now() - started) / cores);
}

/** Ticks of 10 ms (proc(5)): user, nice, system, interrupts. */
function busyMs(): number {
  const [user, nice, system, , , irq, softirq] = fieldsOf('/proc/stat').slice(1).map(Number);
  return (
    10 * [user, nice, system, irq, softirq].reduce<number>((sum, ticks) => sum + (ticks ?? Number.NaN), 0)
  );
}

/** This process, those that it waited for, and the servers. */
function ownMs(servers: readonly number[]): number {
  const { user, system } = process.cpuUsage();
  const [childUser, childSystem] = fieldsOf('/proc/self/stat').slice(15, 17).map(Number);
  const children = 10 * ((childUser ?? Number.NaN) + (childSystem ?? Number.NaN));
  return (user + system) / 1000 + children + cpuMs(servers);
}

function fieldsOf(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n', 1)[0]?.split(/\s+/) ?? [];
  } catch {
    return [];
  }
}

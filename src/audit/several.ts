/**
 * Several audit logs of one server: each of its processes has a log, a chain and an anchor of its own. The first is in
 * the folder itself, those of further processes in folders below it.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TailOptions, tailAuditLog } from './tail.ts';
import type { AuditProblem, AuditVerification } from './verify.ts';

const folderName = /^worker-(\d+)$/;

/** The folder of the log of process `slot`, counted from 1. */
export function auditFolder(root: string, slot: number): string {
  return slot === 1 ? root : join(root, `worker-${slot}`);
}

/** The slots whose logs are in `root`, in order; the first always. */
export function auditSlots(root: string): readonly number[] {
  if (!existsSync(root)) return [1];
  const further = readdirSync(root).flatMap((name) => {
    const slot = Number(folderName.exec(name)?.[1] ?? 0);
    return slot > 1 ? [slot] : [];
  });
  return [1, ...further.sort((a, b) => a - b)];
}

const mostProblems = 1000;

/** One result for the logs of all slots; files of further processes are named with their folder. */
export function mergeVerifications(
  results: readonly { readonly slot: number; readonly result: AuditVerification }[],
): AuditVerification {
  const all = results.map(({ result }) => result);
  const times = (pick: (result: AuditVerification) => string | undefined) =>
    all
      .map(pick)
      .filter((time) => time !== undefined)
      .sort();
  const sum = (pick: (result: AuditVerification) => number) =>
    all.reduce((total, result) => total + pick(result), 0);
  return {
    records: sum((result) => result.records),
    files: sum((result) => result.files),
    firstTime: times((result) => result.firstTime)[0],
    lastTime: times((result) => result.lastTime).at(-1),
    problems: results.flatMap(({ slot, result }) => problemsOf(slot, result)).slice(0, mostProblems),
    problemCount: sum((result) => result.problemCount),
  };
}

function problemsOf(slot: number, { problems }: AuditVerification): readonly AuditProblem[] {
  if (slot === 1) return problems;
  return problems.map((problem) => ({ ...problem, file: join(`worker-${slot}`, problem.file) }));
}

/**
 * The newest lines of all logs in `root`, oldest first. With `follow` each log has its own order, and so many lines of
 * each begin; logs of processes that are first started later are not followed.
 */
export async function* tailAuditLogs(root: string, options: TailOptions): AsyncGenerator<string, void> {
  const folders = auditSlots(root).map((slot) => auditFolder(root, slot));
  if (folders.length === 1 || options.follow) {
    yield* interleave(folders.map((folder) => tailAuditLog(folder, options)));
    return;
  }
  const lines: { time: string; line: string }[] = [];
  for (const folder of folders) {
    for await (const line of tailAuditLog(folder, options)) lines.push({ time: timeOf(line), line });
  }
  lines.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  for (const { line } of options.lines === 0 ? [] : lines.slice(-options.lines)) yield line;
}

function timeOf(line: string): string {
  return /"time":"([^"]+)"/.exec(line)?.[1] ?? '';
}

/** What any of the sources has next, until all have ended. */
async function* interleave<T>(sources: readonly AsyncGenerator<T, void>[]): AsyncGenerator<T, void> {
  const next = async (source: AsyncGenerator<T, void>) => ({ source, step: await source.next() });
  const waiting = new Map(sources.map((source) => [source, next(source)]));
  try {
    while (waiting.size > 0) {
      const { source, step } = await Promise.race(waiting.values());
      if (step.done === true) waiting.delete(source);
      else {
        waiting.set(source, next(source));
        yield step.value;
      }
    }
  } finally {
    await Promise.all(sources.map((source) => source.return()));
  }
}

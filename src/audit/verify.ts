/** Checks a whole audit log, in constant memory, against its key and its anchor. */

import type { ChainMac } from './chain.ts';
import { fileNumber, isErrno, listLogFiles } from './files.ts';
import type { AnchorStore } from './log.ts';
import { beginScan, endScan, type Fault, readHeader, type Scan, scanFile } from './scan.ts';

/**
 * Something wrong with the log. `line` counts from 1 and is the first of those that share a MAC; 0 means the file as a
 * whole. Never holds what a record says.
 */
export interface AuditProblem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export interface AuditVerification {
  /** Lines other than the files' headers. */
  readonly records: number;
  readonly files: number;
  /** ISO 8601; undefined if no line is intact. */
  readonly firstTime: string | undefined;
  readonly lastTime: string | undefined;
  /** Empty for a log that is as it was written. At most 1,000; `problemCount` is never cut. */
  readonly problems: readonly AuditProblem[];
  readonly problemCount: number;
}

/** More would only be the same news, and memory that whoever damaged the log decides on. */
const mostProblems = 1000;

/**
 * Reads every file of the log in `directory`; safe while the log is being written. Finds changed, missing, moved,
 * inserted and repeated lines, missing files, and an end that was removed up to the last anchor.
 */
export async function verifyAuditLog(
  deps: { readonly mac: ChainMac; readonly anchors: AnchorStore },
  directory: string,
): Promise<AuditVerification> {
  const problems: AuditProblem[] = [];
  let problemCount = 0;
  const report = ({ file, line, message }: Omit<Fault, 'kind'>) => {
    problemCount += 1;
    if (problems.length < mostProblems) problems.push({ file, line, message });
  };
  // The anchor first: a log that is being written may be ahead of it, never behind.
  const anchor = await deps.anchors.load();
  const names = listLogFiles(directory);
  const scan = beginScan({ mac: deps.mac, anchor, report });
  for (const [index, name] of names.entries()) {
    const after = names[index + 1];
    const next = after === undefined ? undefined : await readHeader(directory, after);
    try {
      await scanFile(scan, { directory, name, next, isLast: after === undefined });
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
      report({ file: name, line: 0, message: 'the file was removed during the check' });
    }
  }
  endScan(scan);
  for (const problem of wholeLogProblems(scan, names)) report(problem);
  const { records, firstTime, lastTime } = scan;
  return { records, files: names.length, firstTime, lastTime, problems, problemCount };
}

function* wholeLogProblems(scan: Scan, names: readonly string[]): Generator<AuditProblem> {
  const first = scan.firstFile;
  const oldest = scan.header?.oldest;
  if (first !== undefined && oldest !== undefined && (fileNumber(first) ?? 0) > (fileNumber(oldest) ?? 0)) {
    yield {
      file: oldest,
      line: 0,
      message: `the log begins at ${first}; files before it are missing or empty`,
    };
  }
  if (scan.anchor === undefined && scan.link !== undefined) {
    const message = 'no anchor is stored, so that a removed end of the log cannot be found';
    yield { file: names.at(-1) ?? '', line: 0, message };
  }
}

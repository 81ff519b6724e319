/**
 * Follows the chain through the log's files and reports where it does not hold. After a fault it goes on from the
 * MAC that stands in the file, so that one change gives one report; without a report, every line is as written.
 */

import { join } from 'node:path';
import {
  anchorOf,
  type ChainLink,
  type ChainMac,
  type FileHeader,
  genesis,
  hexOf,
  parseHeader,
  parseSealedLine,
  type SealedLine,
} from './chain.ts';
import { fileNumber, isErrno } from './files.ts';
import { type RawLine, readLines } from './lines.ts';
import type { AuditAnchor } from './log.ts';

/**
 * `changed`: bytes are not as written. `missing`: a file, or the end of one, is gone. `truncated`, `replaced`: the
 * anchor says so. `torn`: the last line has no end. `gap`: a break that the log itself declares.
 */
export type FaultKind = 'changed' | 'missing' | 'truncated' | 'replaced' | 'torn' | 'gap';

/** One fault. Line numbers count from 1; 0 means the file as a whole. Never holds what a record says. */
export interface Fault {
  readonly kind: FaultKind;
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** The state of a scan, and what it found so far. */
export interface Scan {
  readonly mac: ChainMac;
  readonly anchor: AuditAnchor | undefined;
  readonly report: (fault: Fault) => void;
  /** The line read last, as it stands in the file; undefined before the first. */
  link: ChainLink | undefined;
  /** The file that holds it. */
  file: string | undefined;
  /** The newest header whose MAC is right. */
  header: FileHeader | undefined;
  firstSeq: number | undefined;
  anchorSeen: 'no' | 'yes' | 'differs';
  /** Lines other than headers. */
  records: number;
  /** Times of the first and last line whose MAC is right (ISO 8601). */
  firstTime: string | undefined;
  lastTime: string | undefined;
}

/** A scan that takes the first file's word for what was before it. */
export function beginScan(input: Pick<Scan, 'mac' | 'anchor' | 'report'>): Scan {
  return {
    ...input,
    link: undefined,
    file: undefined,
    header: undefined,
    firstSeq: undefined,
    anchorSeen: 'no',
    records: 0,
    firstTime: undefined,
    lastTime: undefined,
  };
}

/** The header of a file; undefined if it is empty, gone or does not begin with one. Its MAC is not checked. */
export async function readHeader(directory: string, name: string): Promise<FileHeader | undefined> {
  try {
    for await (const { bytes } of readLines(join(directory, name))) {
      const line = bytes && parseSealedLine(bytes);
      return line && parseHeader(line.body);
    }
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  return undefined;
}

/** What is known about a file from outside it. */
export interface ScannedFile {
  readonly directory: string;
  readonly name: string;
  /** The header of the file after it; undefined for the last file. */
  readonly next: FileHeader | undefined;
  readonly isLast: boolean;
}

/** Scans one file and returns the size of its whole lines in bytes. */
export async function scanFile(scan: Scan, file: ScannedFile): Promise<number> {
  let number = 0;
  let size = 0;
  for await (const raw of readLines(join(file.directory, file.name))) {
    if (number > 0 && isEndOfAbandoned(scan, file)) break;
    number += 1;
    if (!raw.whole) {
      reportTornEnd(scan, file, number);
      break;
    }
    if (!scanLine(scan, { file: file.name, number, raw })) break;
    size = raw.end;
  }
  return size;
}

/** Lines of a failed write may follow the last acknowledged one when they could not be removed again. */
function isEndOfAbandoned(scan: Scan, { name, next }: ScannedFile): boolean {
  return next?.cause === 'abandoned' && next.previous?.file === name && next.previous.seq === scan.link?.seq;
}

function reportTornEnd(scan: Scan, file: ScannedFile, line: number): void {
  const message = 'the last line is incomplete: a write was cut off or is under way';
  scan.report({ kind: file.isLast ? 'torn' : 'changed', file: file.name, line, message });
}

interface ScannedLine {
  readonly file: string;
  readonly number: number;
  readonly raw: RawLine;
}

/** False if the file is not one of the log's, so that the rest of it is not worth reading. */
function scanLine(scan: Scan, { file, number, raw }: ScannedLine): boolean {
  const line = raw.bytes && parseSealedLine(raw.bytes);
  const changed = (message: string) => scan.report({ kind: 'changed', file, line: number, message });
  if (line === undefined) {
    changed(number === 1 ? 'the file does not begin with a header of this log' : 'the line is not a record');
    return number > 1;
  }
  const intact = number === 1 ? scanHeader(scan, { file, line }) : scanRecord(scan, { file, number, line });
  scan.link = { seq: line.seq, mac: Buffer.from(line.mac, 'hex') };
  scan.file = file;
  scan.firstSeq ??= line.seq;
  if (intact && line.seq === scan.anchor?.seq) {
    scan.anchorSeen = line.mac === scan.anchor.mac ? 'yes' : 'differs';
  }
  if (intact) noteTime(scan, line.body);
  return true;
}

function scanRecord(scan: Scan, input: { file: string; number: number; line: SealedLine }): boolean {
  const { file, number, line } = input;
  scan.records += 1;
  const before = scan.link ?? genesis;
  if (hexOf(scan.mac(before.mac, line.body)) === line.mac) return true;
  scan.report({ kind: 'changed', file, line: number, message: explain(line.seq, before.seq + 1) });
  return false;
}

/** The number is part of what may be forged: it helps to explain, it decides nothing. */
function explain(found: number, expected: number): string {
  if (found === expected) return 'the line, or the one before it, was changed';
  if (found < expected) {
    return `the line is inserted, repeated or out of order: number ${found} where ${expected} is due`;
  }
  return `numbers ${expected} to ${found - 1} are missing or out of order before this line`;
}

function scanHeader(scan: Scan, { file, line }: { file: string; line: SealedLine }): boolean {
  const header = parseHeader(line.body);
  const fault = (kind: FaultKind, message: string) => scan.report({ kind, file, line: 1, message });
  const previous = header?.previous;
  const base = previous === undefined ? genesis.mac : Buffer.from(previous.mac, 'hex');
  if (header === undefined || hexOf(scan.mac(base, line.body)) !== line.mac) {
    fault('changed', 'the header of the file was changed');
    return false;
  }
  if (header.file !== file) {
    fault('changed', 'the file was renamed or is a copy of another');
    return false;
  }
  scan.header = header;
  const missing = missingBefore(scan, header);
  if (missing !== undefined) fault('missing', missing);
  if (header.gap !== undefined) {
    fault('gap', `the log declares a gap here: ${header.gap.reason}`);
    const { anchor } = header.gap;
    if (anchor?.seq === scan.anchor?.seq && anchor?.mac === scan.anchor?.mac) scan.anchorSeen = 'yes';
  }
  return true;
}

/** What lies between the line read last and the one that `header` continues; undefined if nothing does. */
function missingBefore(scan: Scan, { previous }: FileHeader): string | undefined {
  if (scan.link === undefined) return undefined;
  if (previous === undefined) return 'the log begins anew in this file';
  if (previous.file !== scan.file) return `the file ${fileLabel(previous.file)} is missing or empty`;
  const { seq, mac } = anchorOf(scan.link);
  if (previous.seq === seq && previous.mac === mac) return undefined;
  if (previous.seq > seq)
    return `numbers ${seq + 1} to ${previous.seq} are missing from the end of the file before`;
  return 'the file before does not end as it did when this one was begun';
}

function fileLabel(name: string): string {
  return fileNumber(name) === undefined ? 'before' : name;
}

const timeMember = /^\{"time":"([0-9T:.Z-]{28})"/;

function noteTime(scan: Scan, body: Buffer): void {
  const time = timeMember.exec(body.toString('latin1', 0, 38))?.[1];
  scan.firstTime ??= time;
  scan.lastTime = time ?? scan.lastTime;
}

/** Compares the end of the log with the anchor, after the last file. */
export function endScan(scan: Scan): void {
  const { anchor } = scan;
  if (anchor === undefined || scan.anchorSeen === 'yes') return;
  const last = scan.link?.seq ?? 0;
  const where = { file: scan.file ?? '', line: 0 };
  if (last < anchor.seq) {
    const message = `the log ends at number ${last}, but number ${anchor.seq} was written: its end was removed`;
    scan.report({ kind: 'truncated', ...where, message });
  } else if (scan.anchorSeen === 'differs' || (scan.firstSeq ?? 0) <= anchor.seq) {
    const message = `number ${anchor.seq} is not the line that was written: the log was replaced`;
    scan.report({ kind: 'replaced', ...where, message });
  }
}

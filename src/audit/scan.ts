/**
 * Follows the chain through the log's files and reports where it does not hold. After a fault it goes on from the
 * MAC that stands in the file, so that one change gives one report; without a report, every line is as written. One
 * group is held at a time.
 */

import { join } from 'node:path';
import {
  anchorOf,
  type ChainLine,
  type ChainLink,
  type ChainMac,
  type FileHeader,
  genesis,
  hexOf,
  parseChainLine,
  parseHeader,
} from './chain.ts';
import { fileNumber, isErrno } from './files.ts';
import { beginGroup, isTooLarge, type OpenGroup } from './group.ts';
import { type RawLine, readLines } from './lines.ts';
import type { AuditAnchor } from './log.ts';

/**
 * `changed`: bytes are not as written. `missing`: a file, or the end of one, is gone. `truncated`, `replaced`: the
 * anchor says so. `torn`: the last group has no end. `gap`: a break that the log itself declares.
 */
export type FaultKind = 'changed' | 'missing' | 'truncated' | 'replaced' | 'torn' | 'gap';

/** One fault. Line numbers count from 1, and name the first line of a group; 0 means the file as a whole. Never holds what a record says. */
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
  /** The last line that closed a group, as it stands in the file; undefined before the first. */
  link: ChainLink | undefined;
  /** The file that holds it. */
  file: string | undefined;
  /** The lines after it. */
  group: OpenGroup | undefined;
  /** The newest header whose MAC is right. */
  header: FileHeader | undefined;
  firstSeq: number | undefined;
  /** The file of the first line. */
  firstFile: string | undefined;
  anchorSeen: 'no' | 'yes' | 'differs';
  /** Lines other than headers, in closed groups. */
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
    group: undefined,
    header: undefined,
    firstSeq: undefined,
    firstFile: undefined,
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
      const line = bytes && parseChainLine(bytes);
      return line?.mac === undefined ? undefined : parseHeader(line.covered);
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

/** Scans one file and returns the size of its closed groups in bytes. */
export async function scanFile(scan: Scan, file: ScannedFile): Promise<number> {
  scan.group = undefined;
  const { size, torn } = await scanLines(scan, file);
  if (torn !== undefined) reportTornEnd(scan, file, torn);
  return size;
}

/** The size of the closed groups, and the number of the line that begins what follows them, if anything does. */
async function scanLines(scan: Scan, file: ScannedFile): Promise<{ size: number; torn: number | undefined }> {
  let number = 0;
  let size = 0;
  for await (const raw of readLines(join(file.directory, file.name))) {
    if (number > 0 && isEndOfAbandoned(scan, file)) break;
    number += 1;
    if (!raw.whole) return { size, torn: scan.group?.firstLine ?? number };
    if (!scanLine(scan, { file: file.name, number, raw })) break;
    if (scan.group === undefined) size = raw.end;
  }
  return { size, torn: scan.group?.firstLine };
}

/** Lines of a failed write may follow the last acknowledged one when they could not be removed again. */
function isEndOfAbandoned(scan: Scan, { name, next }: ScannedFile): boolean {
  return next?.cause === 'abandoned' && next.previous?.file === name && next.previous.seq === scan.link?.seq;
}

function reportTornEnd(scan: Scan, file: ScannedFile, line: number): void {
  const message =
    'the end from here on is not vouched for: a write that was cut off (the next start sets it aside), or added lines';
  scan.report({ kind: file.isLast ? 'torn' : 'changed', file: file.name, line, message });
}

interface ScannedLine {
  readonly file: string;
  readonly number: number;
  readonly raw: RawLine;
}

/** False if the file is not one of the log's, so that the rest of it is not worth reading. */
function scanLine(scan: Scan, { file, number, raw }: ScannedLine): boolean {
  const line = raw.bytes && parseChainLine(raw.bytes);
  if (number === 1) {
    if (line?.mac !== undefined) {
      const intact = scanHeader(scan, { file, line, mac: line.mac });
      advance(scan, { file, seq: line.seq, mac: line.mac, intact: intact ? [line.covered] : [] });
      return true;
    }
    const message = 'the file does not begin with a header of this log';
    scan.report({ kind: 'changed', file, line: number, message });
    return false;
  }
  if (line === undefined) {
    scan.report({ kind: 'changed', file, line: number, message: 'the line is not a record' });
    return true;
  }
  const group = addToGroup(scan, { number, line });
  if (line.mac !== undefined) closeGroup(scan, group, { file, number, mac: line.mac });
  return true;
}

function addToGroup(scan: Scan, { number, line }: { number: number; line: ChainLine }): OpenGroup {
  const due = (scan.group ?? scan.link ?? genesis).seq + 1;
  scan.group ??= beginGroup(number);
  const { group } = scan;
  if (line.seq !== due) group.disorder ??= explain(line.seq, due);
  group.seq = line.seq;
  group.lines += 1;
  group.bytes += line.covered.length;
  if (isTooLarge(group)) group.covered = [];
  else group.covered.push(line.covered);
  return group;
}

/** The number is part of what may be forged: it helps to explain, it decides nothing. */
function explain(found: number, due: number): string {
  return found < due
    ? `a line is inserted, repeated or out of order: number ${found} where ${due} is due`
    : `numbers ${due} to ${found - 1} are missing or out of order`;
}

function closeGroup(
  scan: Scan,
  group: OpenGroup,
  last: { readonly file: string; readonly number: number; readonly mac: string },
): void {
  const { file, number, mac } = last;
  const before = scan.link ?? genesis;
  const intact = !isTooLarge(group) && hexOf(scan.mac(before.mac, Buffer.concat(group.covered))) === mac;
  scan.group = undefined;
  scan.records += group.lines;
  if (!intact) {
    const message = describeBroken(group, number);
    scan.report({ kind: 'changed', file, line: group.firstLine, message });
  }
  advance(scan, { file, seq: group.seq, mac, intact: intact ? group.covered : [] });
}

function describeBroken({ firstLine, disorder }: OpenGroup, lastLine: number): string {
  if (firstLine === lastLine) return disorder ?? 'the line, or the one before it, was changed';
  const what = disorder ?? 'one of them, or the line before them, was changed';
  return `lines ${firstLine} to ${lastLine}, which share a MAC: ${what}`;
}

interface Advance {
  readonly file: string;
  readonly seq: number;
  readonly mac: string;
  /** What the MAC covers, line by line; empty unless the MAC is right. */
  readonly intact: readonly Buffer[];
}

/** Goes on from a line that closes a group. */
function advance(scan: Scan, { file, seq, mac, intact }: Advance): void {
  scan.link = { seq, mac: Buffer.from(mac, 'hex') };
  scan.file = file;
  scan.firstSeq ??= seq;
  scan.firstFile ??= file;
  const [first] = intact;
  const last = intact.at(-1);
  if (first === undefined || last === undefined) return;
  if (seq === scan.anchor?.seq) scan.anchorSeen = mac === scan.anchor.mac ? 'yes' : 'differs';
  scan.firstTime ??= timeOf(first);
  scan.lastTime = timeOf(last) ?? scan.lastTime;
}

const timeMember = /^\{"time":"([0-9T:.Z-]{28})"/;

function timeOf(line: Buffer): string | undefined {
  return timeMember.exec(line.toString('latin1', 0, 38))?.[1];
}

function scanHeader(scan: Scan, input: { file: string; line: ChainLine; mac: string }): boolean {
  const { file, line, mac } = input;
  const header = parseHeader(line.covered);
  const fault = (kind: FaultKind, message: string) => scan.report({ kind, file, line: 1, message });
  const previous = header?.previous;
  const base = previous === undefined ? genesis.mac : Buffer.from(previous.mac, 'hex');
  if (header === undefined || hexOf(scan.mac(base, line.covered)) !== mac) {
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

/** What lies between the last closed group and the line that `header` continues; undefined if nothing does. */
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

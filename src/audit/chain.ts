/**
 * The chain that makes the log tamper-evident. Every line ends in `,"seq":N}`; the last of those that were written
 * together closes their group with `,"seq":N,"mac":"<hex>"}`, where the MAC covers the MAC of the group before and
 * all bytes of the group but its own member. The chain runs on from file to file; a header is a group of its own.
 */

import { isoSevenDecimals } from '../core/clock.ts';
import type { AuditAnchor } from './log.ts';

/** HMAC-SHA-256 under the audit key of `previous` followed by `group`: 32 bytes. */
export type ChainMac = (previous: Uint8Array, group: Uint8Array) => Uint8Array;

/** A place in the chain: the number of a line that closes a group, and its MAC. */
export interface ChainLink {
  readonly seq: number;
  readonly mac: Uint8Array;
}

/** Before the first line. */
export const genesis: ChainLink = { seq: 0, mac: new Uint8Array(0) };

export function anchorOf(link: ChainLink): AuditAnchor {
  return { seq: link.seq, mac: hexOf(link.mac) };
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** A line taken apart; that it has this form says nothing about who wrote it. */
export interface ChainLine {
  readonly seq: number;
  /** 64 lower-case hexadecimal characters; undefined unless the line closes its group. */
  readonly mac: string | undefined;
  /** The bytes that the MAC of the group covers, line end included but for the line that closes it. */
  readonly covered: Buffer;
}

const macMember = /^,"mac":"([0-9a-f]{64})"\}$/;
const seqMember = /,"seq":([1-9]\d{0,14})$/;
const seqMemberLength = ',"seq":'.length + 15;
const openEnd = Buffer.from('}\n');
const closedEnd = Buffer.from('}');

/** The bytes of a `mac` member with the brace before its line end, and of that line end. */
export const macMemberLength = ',"mac":""}\n'.length + 64;

/** Takes a line (without its line end) apart; undefined if it is not one. Works on bytes: text decoding would hide changes. */
export function parseChainLine(line: Buffer): ChainLine | undefined {
  const mac = macMember.exec(line.toString('latin1', Math.max(0, line.length - macMemberLength + 1)))?.[1];
  const end = mac === undefined ? line.length - 1 : line.length - macMemberLength + 1;
  if (end < 1 || (mac === undefined && line[end] !== closedEnd[0])) return undefined;
  const seq = seqMember.exec(line.toString('latin1', Math.max(0, end - seqMemberLength), end))?.[1];
  if (seq === undefined) return undefined;
  const covered = Buffer.concat([line.subarray(0, end), mac === undefined ? openEnd : closedEnd]);
  return { seq: Number(seq), mac, covered };
}

/** Why a file was begun; `abandoned` says that the file before may end in lines that were never acknowledged. */
export type FileCause = 'first' | 'rotation' | 'abandoned' | 'gap';

/** A break in the log that was found and written down. */
export interface Gap {
  readonly reason: string;
  /** The last line that is known to have been written, if an anchor says so. */
  readonly anchor: AuditAnchor | undefined;
}

/** The first line of every file. */
export interface FileHeader {
  /** The file's own name, so that a renamed or copied one is noticed. */
  readonly file: string;
  /** The line before, and the file that it is in; undefined if no line was there. */
  readonly previous: (AuditAnchor & { readonly file: string }) | undefined;
  /** The oldest file that was not removed on purpose. */
  readonly oldest: string;
  readonly cause: FileCause;
  /** Present exactly when `cause` is `gap`. */
  readonly gap: Gap | undefined;
}

/** `header` as an object without its closing brace, for `sealGroups`. */
export function formatHeader(header: FileHeader, now: number): string {
  const { file, previous = null, oldest, cause, gap } = header;
  return formatOwn(now, 'AuditFileStarted', {
    file,
    previous,
    oldest,
    cause,
    ...(gap && { gap: { reason: gap.reason, anchor: gap.anchor ?? null } }),
  });
}

/** A line that the log writes about itself, without its closing brace, for `sealGroups`. */
export function formatNote(properties: Readonly<Record<string, unknown>>, now: number): string {
  return formatOwn(now, 'AuditRecovered', { properties });
}

function formatOwn(now: number, operationName: string, members: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify({
    time: isoSevenDecimals(now),
    category: 'AuditLog',
    operationName,
    ...members,
  });
  return text.slice(0, -1);
}

const causes: readonly unknown[] = ['first', 'rotation', 'abandoned', 'gap'] satisfies FileCause[];

/** The header in what the MAC covers of a line; undefined if it is not one. */
export function parseHeader(covered: Buffer): FileHeader | undefined {
  const value = parseObject(covered.toString('utf8'));
  if (value?.operationName !== 'AuditFileStarted' || value.category !== 'AuditLog') return undefined;
  const { file, oldest, cause } = value;
  if (typeof file !== 'string' || typeof oldest !== 'string' || !isCause(cause)) return undefined;
  const previous = asAnchor(value.previous);
  const previousFile = isObject(value.previous) ? value.previous.file : undefined;
  if (value.previous !== null && (previous === undefined || typeof previousFile !== 'string'))
    return undefined;
  const gap = isObject(value.gap) ? value.gap : undefined;
  return {
    file,
    previous:
      previous === undefined || typeof previousFile !== 'string'
        ? undefined
        : { ...previous, file: previousFile },
    oldest,
    cause,
    gap: gap && { reason: String(gap.reason), anchor: asAnchor(gap.anchor) },
  };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCause(value: unknown): value is FileCause {
  return causes.includes(value);
}

function asAnchor(value: unknown): AuditAnchor | undefined {
  if (!isObject(value)) return undefined;
  const { seq, mac } = value;
  return typeof seq === 'number' && typeof mac === 'string' ? { seq, mac } : undefined;
}

/**
 * Lines that are written together form a group and share one MAC, which stands in the last of them: hashing once per
 * write is what makes auditing every request affordable. A group lies in one file, and its size is bounded, so that
 * a reader can hold one whatever a file says.
 */

import { type ChainLink, type ChainMac, hexOf, macMemberLength } from './chain.ts';

/** The most lines in a group. */
export const mostGroupLines = 256;
/** The most bytes in a group. */
export const mostGroupBytes = 524_288;
/** UTF-16 units after which a group ends: at most 3 bytes each, which leaves room for the longest line. */
const fullGroup = 131_072;

/** A group as it stands in the file. */
export interface SealedGroup {
  /** Valid until the next group is asked for. */
  readonly bytes: Uint8Array;
  /** Its last line. */
  readonly link: ChainLink;
}

/** What sealing needs; `room` is written over each time. */
export interface GroupSealing {
  readonly mac: ChainMac;
  readonly room: Buffer;
}

export function groupSealing(mac: ChainMac): GroupSealing {
  return { mac, room: Buffer.allocUnsafe(mostGroupBytes) };
}

/** Numbers `lines` (JSON objects without their closing brace) from `link` on, and seals them in as few groups as can be. */
export function* sealGroups(
  sealing: GroupSealing,
  link: ChainLink,
  lines: Iterable<string>,
): Generator<SealedGroup, void> {
  let before = link;
  let { seq } = link;
  let text = '';
  for (const line of lines) {
    if (seq - before.seq === mostGroupLines || text.length >= fullGroup) {
      const group = sealGroup(sealing, before, { text, seq });
      before = group.link;
      yield group;
      text = '';
    }
    seq += 1;
    text += seq - before.seq === 1 ? `${line},"seq":${seq}` : `}\n${line},"seq":${seq}`;
  }
  if (seq > before.seq) yield sealGroup(sealing, before, { text, seq });
}

const closingBrace = 0x7d;

/** Seals `text`, which lacks its last closing brace. */
function sealGroup(
  { mac, room }: GroupSealing,
  before: ChainLink,
  { text, seq }: { readonly text: string; readonly seq: number },
): SealedGroup {
  if (text.length * 3 + macMemberLength > room.length) throw new Error('An audit record is too long.');
  const length = room.write(text, 'utf8');
  room[length] = closingBrace;
  const sealed = mac(before.mac, room.subarray(0, length + 1));
  const end = length + room.write(`,"mac":"${hexOf(sealed)}"}\n`, length, 'latin1');
  return { bytes: room.subarray(0, end), link: { seq, mac: sealed } };
}

/** Lines that were read, up to the one that closes their group. */
export interface OpenGroup {
  /** Number in the file of the first of them, from 1. */
  readonly firstLine: number;
  lines: number;
  bytes: number;
  /** What the MAC covers of each line; none once the group is too large to be one. */
  covered: Buffer[];
  /** Number of the line read last. */
  seq: number;
  /** What its numbers say is wrong with the group, if anything; they may be forged, so they only explain. */
  disorder: string | undefined;
}

export function beginGroup(firstLine: number): OpenGroup {
  return { firstLine, lines: 0, bytes: 0, covered: [], seq: 0, disorder: undefined };
}

/** Whether `group` has more lines or bytes than any group that the log writes. */
export function isTooLarge({ lines, bytes }: OpenGroup): boolean {
  return lines > mostGroupLines || bytes > mostGroupBytes;
}

/** What a log's folder holds when the log is opened: where the chain goes on, or why it cannot. */

import { type ChainLink, type ChainMac, type Gap, genesis } from './chain.ts';
import { listLogFiles } from './files.ts';
import type { AuditAnchor } from './log.ts';
import { beginScan, endScan, type Fault, readHeader, scanFile } from './scan.ts';

/** The last line on disk that closes a group. */
export interface LogTail {
  readonly file: string;
  readonly link: ChainLink;
}

export interface FoundLog {
  /** The last file, and the size of its closed groups in bytes; undefined for an empty folder. */
  readonly last: { readonly name: string; readonly wholeSize: number } | undefined;
  /** Undefined if no line is left. */
  readonly tail: LogTail | undefined;
  /** The oldest file that was not removed on purpose, if a header says so. */
  readonly oldest: string | undefined;
  /** A removed or replaced part that the log must declare before it goes on. */
  readonly gap: Gap | undefined;
}

/**
 * Checks the log from the file that holds the anchored line to its end; older files are left to `verifyAuditLog`.
 * Throws if a line was changed; what was removed is a gap, since removal must not keep the server from starting.
 */
export async function inspectLog(
  mac: ChainMac,
  input: { readonly directory: string; readonly anchor: AuditAnchor | undefined },
): Promise<FoundLog> {
  const { directory, anchor } = input;
  const names = listLogFiles(directory);
  const faults: Fault[] = [];
  const report = (fault: Fault) => {
    if (fault.kind === 'changed') throw damaged(fault);
    faults.push(fault);
  };
  const scan = beginScan({ mac, anchor, report });
  let wholeSize = 0;
  const start = await findStart(names, input);
  for (let index = start; index < names.length; index += 1) {
    const name = names[index] ?? '';
    const after = names[index + 1];
    const next = after === undefined ? undefined : await readHeader(directory, after);
    wholeSize = await scanFile(scan, { directory, name, next, isLast: after === undefined });
  }
  endScan(scan);
  const lost = faults.find(({ kind }) => kind === 'missing' || kind === 'truncated' || kind === 'replaced');
  const name = names.at(-1);
  return {
    last: name === undefined ? undefined : { name, wholeSize },
    tail: scan.link && scan.file ? { file: scan.file, link: scan.link } : undefined,
    oldest: scan.header?.oldest,
    gap: lost && { reason: lost.message, anchor },
  };
}

/** The newest file that begins at or before the anchored line; without an anchor, the newest that has a header. */
async function findStart(
  names: readonly string[],
  input: { readonly directory: string; readonly anchor: AuditAnchor | undefined },
): Promise<number> {
  const anchored = input.anchor?.seq ?? Number.POSITIVE_INFINITY;
  for (let index = names.length - 1; index > 0; index -= 1) {
    const header = await readHeader(input.directory, names[index] ?? '');
    if (header !== undefined && (header.previous?.seq ?? 0) < anchored) return index;
  }
  return 0;
}

/** The log was changed; the message is for people and says nothing of what a record holds. */
export class AuditLogDamaged extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AuditLogDamaged';
  }
}

function damaged({ file, line, message }: Fault): AuditLogDamaged {
  return new AuditLogDamaged(
    `The audit log is damaged: ${file}, line ${line}: ${message}. The server does not start on a log that was changed. ` +
      'Keep the log as evidence, move its files out of the folder, and start again: the log then declares the gap.',
  );
}

/** Where the chain goes on: numbers never repeat, even if lines up to the anchor are gone. */
export function continuationOf({ tail, gap }: FoundLog): ChainLink {
  const link = tail?.link ?? genesis;
  const seq = Math.max(link.seq, gap?.anchor?.seq ?? 0);
  return { seq, mac: link.mac };
}

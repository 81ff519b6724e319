/** Opens the audit log in a folder: inspects what is there, repairs what a crash cut off, declares what was removed. */

import { closeSync, mkdirSync } from 'node:fs';
import { moveTornEnd, type OpenFile, reopenLogFile } from './files.ts';
import { type FoundLog, inspectLog } from './inspect.ts';
import type { AuditLog } from './log.ts';
import { FileAuditLog, type FileAuditLogDeps, type FileAuditLogOptions, type Note } from './writer.ts';

/** An audit log that is open for writing. */
export interface OpenAuditLog extends AuditLog {
  /** Writes what is waiting, makes it durable, saves the anchor and closes the file; later records are refused. */
  close(): Promise<void>;
}

/**
 * Opens the log in a folder, or begins one. Sets the lines of a write aside that a crash cut off, and declares in the log what
 * was removed from it; throws if a line was changed or the folder cannot be written.
 */
export async function openFileAuditLog(
  deps: FileAuditLogDeps,
  options: FileAuditLogOptions,
): Promise<OpenAuditLog> {
  mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  const anchor = await deps.anchors.load();
  const found = await inspectLog(deps.mac, { directory: options.directory, anchor });
  const notes: Note[] = [];
  if (found.gap !== undefined) {
    deps.log.error('The audit log was cut or replaced; the gap is declared in it.', {
      reason: found.gap.reason,
    });
  }
  if (anchor === undefined && found.tail !== undefined) {
    deps.log.warn('The audit log has no anchor: a removed end could not have been noticed.');
    notes.push({ reason: 'anchorMissing' });
  }
  const file = reopenLast({ deps, directory: options.directory, found, notes });
  const log = new FileAuditLog(deps, options, { found, file, notes });
  await log.start();
  return log;
}

interface ReopenInput {
  readonly deps: FileAuditLogDeps;
  readonly directory: string;
  readonly found: FoundLog;
  readonly notes: Note[];
}

/** The last file, ready to go on in; undefined if a new one is due. */
function reopenLast({ deps, directory, found, notes }: ReopenInput): OpenFile | undefined {
  if (found.last === undefined) return undefined;
  const file = reopenLogFile(directory, found.last.name);
  if (file.size > found.last.wholeSize) {
    const bytes = moveTornEnd(directory, file, found.last.wholeSize);
    deps.log.warn('The end of the audit log was incomplete and was set aside.', {
      file: file.name,
      bytes,
    });
    notes.push({ reason: 'incompleteEnd', file: file.name, bytes });
  }
  if (found.gap === undefined || file.size === 0) return file;
  closeSync(file.descriptor);
  return undefined;
}

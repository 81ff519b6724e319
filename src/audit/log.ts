/** The port of the audit log: what the pipeline calls, and where the log keeps a witness of its own end. */

import type { AuditEntry } from './record.ts';

export interface AuditLog {
  /**
   * Resolves when the operating system holds the record, which then survives the end of the process; rejects with
   * an `unavailable` failure if it cannot be written, and the request must then fail.
   */
  append(entry: AuditEntry): Promise<void>;
  /**
   * To be asked before anything is done that must be recorded: throws the failure of `append` from a record that could
   * not be written until one that could, which may be that of the refusal.
   */
  assertWritable(): void;
}

/** The number of a line of the log and its MAC, 64 lower-case hexadecimal characters. */
export interface AuditAnchor {
  readonly seq: number;
  readonly mac: string;
}

/**
 * Keeps the newest anchor outside the log's folder, so that a log whose end was removed is found out. One store
 * belongs to one log. It does not help against someone who can turn back both places to the same moment.
 */
export interface AnchorStore {
  load(): Promise<AuditAnchor | undefined>;
  /** Replaces the anchor; resolves when it is durable. */
  save(anchor: AuditAnchor): Promise<void>;
}

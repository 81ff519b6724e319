/**
 * Writes the audit log. All records of one turn of the event loop share one MAC and one synchronous write (a few, when
 * they are very many): with 64 callers that is a fifth faster than asynchronous writes, and it cannot queue behind key
 * operations in the thread pool. Records that cannot be written whole are taken back, their requests refused, and the
 * loss noted once writing works again.
 */

import { closeSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, isoSevenDecimals, type Timer } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import {
  anchorOf,
  type ChainLink,
  type ChainMac,
  type FileCause,
  formatHeader,
  formatNote,
  type Gap,
} from './chain.ts';
import {
  createLogFile,
  type FileOperations,
  fileNumber,
  isUntouched,
  listLogFiles,
  type OpenFile,
  removeOlderFiles,
  syncDirectory,
  systemFiles,
} from './files.ts';
import { type GroupSealing, groupSealing, sealGroups } from './group.ts';
import { continuationOf, type FoundLog, type LogTail } from './inspect.ts';
import type { AnchorStore, AuditLog } from './log.ts';
import { type AuditEntry, createRecordFormatter, type RecordFormatter } from './record.ts';

/** The longest time, in milliseconds, for which written records are neither on the disk nor anchored. */
const anchorInterval = 1000;

export interface FileAuditLogDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly mac: ChainMac;
  readonly anchors: AnchorStore;
  /** The operating system's unless a test says otherwise. */
  readonly operations?: FileOperations;
}

export interface FileAuditLogOptions {
  /** Created with mode 0700 if missing. One log, in one process, owns it. */
  readonly directory: string;
  /** A file that has reached this size in bytes is followed by a new one. */
  readonly maxBytes: number;
  /** How many files are kept; all if undefined. */
  readonly maxFiles?: number | undefined;
}

/** What the log says about itself in an `AuditRecovered` record. */
export type Note = Readonly<Record<string, unknown>>;

interface Batch {
  readonly records: string[];
  readonly promise: Promise<void>;
  resolve(): void;
  reject(reason: Failure): void;
}

/** A log whose folder was inspected; `start` it before use. */
export class FileAuditLog implements AuditLog {
  readonly #deps: FileAuditLogDeps;
  readonly #options: FileAuditLogOptions;
  readonly #operations: FileOperations;
  readonly #formatter: RecordFormatter = createRecordFormatter();
  readonly #sealing: GroupSealing;
  #file: OpenFile | undefined;
  /** Name of the newest file made or found; new ones come after it. */
  #newest: string | undefined;
  #link: ChainLink;
  #tail: LogTail | undefined;
  #oldest: string | undefined;
  #cause: FileCause;
  #gap: Gap | undefined;
  #notes: Note[];
  #lost: { records: number; readonly since: number } | undefined;
  #batch: Batch | undefined;
  /** Number of the line that the stored anchor names. */
  #anchored = 0;
  #anchorDue = false;
  #timer: Timer | undefined;
  /** Slow work, one piece after the other: syncing, anchoring, closing, removing. */
  #chores: Promise<void> = Promise.resolve();
  #rotationFailing = false;
  #closed = false;

  constructor(
    deps: FileAuditLogDeps,
    options: FileAuditLogOptions,
    state: { readonly found: FoundLog; readonly file: OpenFile | undefined; readonly notes: Note[] },
  ) {
    const { found, file, notes } = state;
    this.#deps = deps;
    this.#options = options;
    this.#operations = deps.operations ?? systemFiles;
    this.#sealing = groupSealing(deps.mac);
    this.#file = file;
    this.#newest = found.last?.name;
    this.#link = continuationOf(found);
    this.#tail = found.tail;
    this.#oldest = found.oldest;
    this.#gap = found.gap;
    this.#cause = found.gap ? 'gap' : found.tail ? 'rotation' : 'first';
    this.#notes = notes;
  }

  /** Writes what the log has to say about itself (a new file's header, notes) and anchors it; throws if it cannot. */
  async start(): Promise<void> {
    try {
      this.#commit([]);
    } catch (cause) {
      await this.close();
      throw new Error(`The audit log in ${this.#options.directory} cannot be written.`, { cause });
    }
    this.#enqueue(() => syncDirectory(this.#options.directory));
    this.#enqueue(() => this.#anchor());
    await this.#chores;
  }

  append(entry: AuditEntry): Promise<void> {
    if (this.#closed) return Promise.reject(new Failure('unavailable', 'The audit log is closed.'));
    let record: string;
    try {
      record = this.#formatter.format(entry);
    } catch (cause) {
      // Only this request is refused: the others of its batch must not suffer for it.
      return Promise.reject(unwritable(cause));
    }
    if (this.#batch === undefined) {
      this.#batch = { records: [], ...Promise.withResolvers<void>() };
      setImmediate(() => this.#flush());
    }
    this.#batch.records.push(record);
    return this.#batch.promise;
  }

  assertWritable(): void {
    // The refusal's own record is the next to be tried: something smaller could fit where records do not.
    if (this.#lost !== undefined) throw unwritable(new Error('the last record could not be written'));
  }

  /** Writes what is waiting, makes it durable, saves the anchor and closes the file; later records are refused. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#flush();
      this.#closed = true;
      this.#timer?.cancel();
      this.#enqueue(() => this.#anchor());
      this.#enqueue(() => this.#release());
    }
    await this.#chores;
  }

  #release(): void {
    if (this.#file !== undefined) closeSync(this.#file.descriptor);
    this.#file = undefined;
  }

  #flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    try {
      this.#commit(batch.records);
      batch.resolve();
    } catch (cause) {
      this.#noteLoss(batch.records.length, cause);
      batch.reject(unwritable(cause));
    }
  }

  /** Says it once per outage in the operational log, and keeps count for the audit log itself. */
  #noteLoss(records: number, error: unknown): void {
    if (this.#lost === undefined) {
      this.#deps.log.error('The audit log cannot be written; requests are refused.', { error });
      this.#lost = { records: 0, since: this.#deps.clock.now() };
    }
    this.#lost.records += records;
  }

  /** Writes `records` and whatever the log has to say before them, all or nothing. */
  #commit(records: readonly string[]): void {
    const file = this.#writableFile();
    let link = this.#link;
    let { size } = file;
    const write = (lines: readonly string[]) => {
      for (const group of sealGroups(this.#sealing, link, lines)) {
        this.#write(file, group.bytes);
        size += group.bytes.length;
        link = group.link;
      }
    };
    if (size === 0) write([this.#header(file)]);
    const notes = this.#noteLines();
    write(notes.length === 0 ? records : [...notes, ...records]);
    if (size === file.size) return;
    file.size = size;
    this.#committed(file, link);
  }

  #header({ name }: OpenFile): string {
    const previous = this.#tail && { file: this.#tail.file, ...anchorOf(this.#tail.link) };
    const oldest = this.#oldest ?? name;
    const header = { file: name, previous, oldest, cause: this.#cause, gap: this.#gap };
    return formatHeader(header, this.#deps.clock.now());
  }

  #noteLines(): string[] {
    const notes = [...this.#notes];
    if (this.#lost !== undefined) {
      const { records, since } = this.#lost;
      notes.push({ reason: 'recordsNotWritten', records, since: isoSevenDecimals(since) });
    }
    return notes.map((note) => formatNote(note, this.#deps.clock.now()));
  }

  #committed(file: OpenFile, link: ChainLink): void {
    if (this.#lost !== undefined) {
      this.#deps.log.info('The audit log can be written again.', { lost: this.#lost.records });
    }
    this.#link = link;
    this.#tail = { file: file.name, link };
    this.#oldest ??= file.name;
    this.#gap = undefined;
    this.#notes = [];
    this.#lost = undefined;
    this.#scheduleAnchor();
  }

  /** Writes all of `bytes`, or throws and leaves the file as it was when it was last committed. */
  #write(file: OpenFile, bytes: Uint8Array): void {
    let written = 0;
    try {
      while (written < bytes.length) {
        const count = this.#operations.write(file.descriptor, bytes.subarray(written));
        if (count <= 0) throw new Error('The file takes no more bytes.');
        written += count;
      }
    } catch (error) {
      this.#takeBack(file);
      throw error;
    }
  }

  #takeBack(file: OpenFile): void {
    try {
      this.#operations.truncate(file.descriptor, file.size);
    } catch (error) {
      this.#deps.log.error('The audit file cannot be repaired and is given up.', { file: file.name, error });
      if (file.size === 0) rmSync(join(this.#options.directory, file.name), { force: true });
      else this.#cause = 'abandoned';
      this.#leave(file);
    }
  }

  /** Gives `file` up; the next write begins a new one. */
  #leave(file: OpenFile): void {
    this.#file = undefined;
    this.#enqueue(() => this.#retire(file));
  }

  async #retire(file: OpenFile): Promise<void> {
    try {
      await this.#operations.fdatasync(file.descriptor);
    } finally {
      closeSync(file.descriptor);
    }
  }

  #writableFile(): OpenFile {
    const file = this.#file;
    if (file !== undefined && file.size < this.#options.maxBytes) return file;
    if (file === undefined) return this.#begin();
    try {
      return this.#rotate(file);
    } catch (error) {
      // Better a file that grows too large than a refused request.
      if (!this.#rotationFailing) this.#deps.log.error('The audit log cannot be rotated.', { error });
      this.#rotationFailing = true;
      return file;
    }
  }

  #begin(): OpenFile {
    // Removing the folder of a running server must not stop it either.
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
    const file = createLogFile(this.#options.directory, this.#newest);
    this.#newest = file.name;
    this.#file = file;
    return file;
  }

  #rotate(full: OpenFile): OpenFile {
    const link = this.#link;
    const oldest = this.#oldestKept();
    const file = this.#begin();
    this.#rotationFailing = false;
    this.#cause = 'rotation';
    this.#oldest = oldest;
    this.#enqueue(async () => {
      await this.#retire(full);
      await this.#saveAnchor(link);
    });
    this.#enqueue(() => syncDirectory(this.#options.directory));
    return file;
  }

  /**
   * The oldest file that stays when one more is begun; undefined for the new one. Moves only past files that the
   * log itself will remove, so that another's removals stay visible.
   */
  #oldestKept(): string | undefined {
    const { maxFiles, directory } = this.#options;
    if (maxFiles === undefined || this.#oldest === undefined) return this.#oldest;
    if (maxFiles <= 1) return undefined;
    const from = fileNumber(this.#oldest) ?? 0;
    const names = listLogFiles(directory).filter((name) => (fileNumber(name) ?? 0) >= from);
    return names.length < maxFiles ? this.#oldest : names.at(1 - maxFiles);
  }

  #enqueue(chore: () => void | Promise<void>): void {
    this.#chores = this.#chores.then(chore).catch((error: unknown) => {
      this.#deps.log.error('The audit log could not be made durable or anchored.', { error });
    });
  }

  #scheduleAnchor(): void {
    if (this.#anchorDue || this.#closed) return;
    this.#anchorDue = true;
    this.#timer = this.#deps.clock.after(anchorInterval, () => {
      this.#enqueue(async () => {
        try {
          this.#checkFile();
          await this.#anchor();
        } finally {
          this.#anchorDue = false;
          if (this.#link.seq > this.#anchored) this.#scheduleAnchor();
        }
      });
    });
  }

  /** Makes all that is written durable, then anchors it; files are removed only once a durable header says so. */
  async #anchor(): Promise<void> {
    const file = this.#file;
    const link = this.#link;
    const oldest = this.#oldest;
    if (file === undefined || file.size === 0 || link.seq === this.#anchored) return;
    await this.#operations.fdatasync(file.descriptor);
    await this.#saveAnchor(link);
    if (this.#options.maxFiles !== undefined && oldest !== undefined) {
      removeOlderFiles(this.#options.directory, oldest);
    }
  }

  async #saveAnchor(link: ChainLink): Promise<void> {
    if (link.seq <= this.#anchored) return;
    await this.#deps.anchors.save(anchorOf(link));
    this.#anchored = link.seq;
  }

  /** A file that was removed or cut under the running server would swallow records unseen. */
  #checkFile(): void {
    const file = this.#file;
    if (file === undefined || isUntouched(this.#options.directory, file)) return;
    const reason = `the file ${file.name} was removed, replaced or changed while it was being written`;
    this.#deps.log.error('Someone else changed the audit log; the gap is declared in it.', { reason });
    this.#cause = 'gap';
    this.#gap = { reason, anchor: anchorOf(this.#link) };
    this.#leave(file);
    try {
      this.#commit([]);
    } catch (error) {
      this.#noteLoss(0, error);
    }
  }
}

function unwritable(cause: unknown): Failure {
  return new Failure('unavailable', 'The audit log cannot be written.', { cause, retryAfter: 1 });
}

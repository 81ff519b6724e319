/** The log's folder: names of files in time order, and the file operations whose failure the log must survive. */

import fs from 'node:fs';
import { join } from 'node:path';

/** What the writer does to an open file; replaceable, so that a full disk can be tried. */
export interface FileOperations {
  /** Appends some or all of `bytes` and returns how many; throws when none can be written. */
  write(descriptor: number, bytes: Uint8Array): number;
  truncate(descriptor: number, size: number): void;
  fdatasync(descriptor: number): Promise<void>;
}

/** The operating system's own. */
export const systemFiles: FileOperations = {
  write: (descriptor, bytes) => fs.writeSync(descriptor, bytes),
  truncate: (descriptor, size) => fs.ftruncateSync(descriptor, size),
  fdatasync(descriptor) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    fs.fdatasync(descriptor, (error) => (error === null ? resolve() : reject(error)));
    return promise;
  },
};

const fileName = /^audit-(\d{8,15})\.jsonl$/;
/** A name with more digits would not be listed. */
const largestNumber = 999_999_999_999_999;
const tornName = /^audit-(\d{8,15})\.torn$/;

/** The number in the name of a log file, from 1; undefined for any other name. */
export function fileNumber(name: string): number | undefined {
  const digits = fileName.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** `audit-00000001.jsonl` for 1. */
export function fileNameOf(number: number): string {
  return `audit-${String(number).padStart(8, '0')}.jsonl`;
}

/** Where the end of a log file goes that was cut off in the middle of a write. */
export function tornNameOf(name: string): string {
  return name.replace(/\.jsonl$/, '.torn');
}

/** Names of the log files in `directory`, oldest first; none if there is no such folder. */
export function listLogFiles(directory: string): string[] {
  const names = readNames(directory).filter((name) => fileName.test(name));
  return names.sort((a, b) => (fileNumber(a) ?? 0) - (fileNumber(b) ?? 0));
}

function readNames(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Removes log files, and torn ends, that are older than `oldest`. */
export function removeOlderFiles(directory: string, oldest: string): void {
  const limit = fileNumber(oldest) ?? 0;
  for (const name of readNames(directory)) {
    const digits = fileName.exec(name)?.[1] ?? tornName.exec(name)?.[1];
    if (digits !== undefined && Number(digits) < limit) fs.rmSync(join(directory, name), { force: true });
  }
}

/** A log file that is open for appending. */
export interface OpenFile {
  readonly name: string;
  readonly descriptor: number;
  readonly inode: number;
  /** Bytes that are committed: closed groups of which the log has told its callers. */
  size: number;
}

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = fs.constants;

/** Creates the first free file after `after`; never follows a link nor opens what someone else put there. */
export function createLogFile(directory: string, after: string | undefined): OpenFile {
  let number = (after === undefined ? 0 : (fileNumber(after) ?? 0)) + 1;
  for (;;) {
    if (number > largestNumber) throw new Error('The names of audit files have run out.');
    try {
      return openWith(directory, fileNameOf(number), O_RDWR | O_APPEND | O_CREAT | O_EXCL);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      number += 1;
    }
  }
}

/** Opens an existing log file for appending. */
export function reopenLogFile(directory: string, name: string): OpenFile {
  return openWith(directory, name, O_RDWR | O_APPEND | (O_NOFOLLOW ?? 0));
}

function openWith(directory: string, name: string, flags: number): OpenFile {
  const descriptor = fs.openSync(join(directory, name), flags, 0o600);
  const { ino, size } = fs.fstatSync(descriptor);
  return { name, descriptor, inode: ino, size };
}

/** False when the path no longer leads to the open file, or someone else made it shorter or longer. */
export function isUntouched(directory: string, file: OpenFile): boolean {
  const found = fs.lstatSync(join(directory, file.name), { throwIfNoEntry: false });
  return found !== undefined && found.ino === file.inode && found.size === file.size;
}

/** Makes new names durable (fsync of the folder), where the platform can. */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await fs.promises.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const copySize = 65_536;

/** Moves everything after the first `size` bytes of `file` to its `.torn` file and returns how many bytes. */
export function moveTornEnd(directory: string, file: OpenFile, size: number): number {
  const flags = fs.constants.O_WRONLY | O_APPEND | O_CREAT | (O_NOFOLLOW ?? 0);
  const aside = fs.openSync(join(directory, tornNameOf(file.name)), flags, 0o600);
  const chunk = Buffer.allocUnsafe(copySize);
  let from = size;
  try {
    for (;;) {
      const length = fs.readSync(file.descriptor, chunk, 0, chunk.length, from);
      if (length === 0) break;
      fs.writeFileSync(aside, chunk.subarray(0, length));
      from += length;
    }
    fs.fdatasyncSync(aside);
  } finally {
    fs.closeSync(aside);
  }
  fs.ftruncateSync(file.descriptor, size);
  file.size = size;
  return from - size;
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

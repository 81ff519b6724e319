/** The last lines of the audit log, and new ones as they are written, across the change from file to file. */

import { constants, watch } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileNumber, isErrno, listLogFiles } from './files.ts';
import { readLines } from './lines.ts';

export interface TailOptions {
  /** How many of the newest lines to begin with. */
  readonly lines: number;
  /** Go on with new lines until `signal` ends it. */
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Whole lines without their line ends, headers included, oldest first. Following needs file notifications, which
 * network file systems do not send; the folder must exist. The lines are not checked: see `verifyAuditLog`.
 */
export async function* tailAuditLog(directory: string, options: TailOptions): AsyncGenerator<string, void> {
  const { follow, signal } = options;
  // Watching begins before reading, so that nothing is written unseen in between.
  const changes = follow ? watchFolder(directory, signal) : undefined;
  try {
    let place = await findPlace(directory, options.lines);
    for (;;) {
      // Listed before reading: once a next file is there, this one is complete.
      const next = nextFile(directory, place);
      if (place !== undefined) {
        for await (const { text, end } of wholeLines(directory, place)) {
          if (signal?.aborted) return;
          place.offset = end;
          yield text;
        }
      }
      if (next !== undefined) place = { file: next, offset: 0 };
      else if (changes === undefined || !(await changes.wait())) return;
    }
  } finally {
    changes?.close();
  }
}

/** Where to read next. */
interface Place {
  readonly file: string;
  offset: number;
}

function nextFile(directory: string, place: Place | undefined): string | undefined {
  const current = place === undefined ? 0 : (fileNumber(place.file) ?? 0);
  return listLogFiles(directory).find((name) => (fileNumber(name) ?? 0) > current);
}

/** Where the last `wanted` lines begin; undefined if there is no file. */
async function findPlace(directory: string, wanted: number): Promise<Place | undefined> {
  let place: Place | undefined;
  let missing = wanted;
  for (const file of listLogFiles(directory).reverse()) {
    const { offset, found } = await lookBack(join(directory, file), missing);
    place = { file, offset };
    missing -= found;
    if (missing <= 0) break;
  }
  return place;
}

const chunkSize = 65_536;

/** Where the last `wanted` whole lines of one file begin, and how many of them it has. */
async function lookBack(path: string, wanted: number): Promise<{ offset: number; found: number }> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const chunk = Buffer.allocUnsafe(chunkSize);
    let { size: position } = await file.stat();
    let ends = 0;
    while (position > 0) {
      const start = Math.max(0, position - chunkSize);
      const { bytesRead } = await file.read(chunk, 0, position - start, start);
      for (let at = bytesRead - 1; at >= 0; at -= 1) {
        if (chunk[at] !== 0x0a) continue;
        if (ends === wanted) return { offset: start + at + 1, found: wanted };
        ends += 1;
      }
      position = start;
    }
    return { offset: 0, found: ends };
  } finally {
    await file.close();
  }
}

async function* wholeLines(
  directory: string,
  place: Place,
): AsyncGenerator<{ text: string; end: number }, void> {
  const path = join(directory, place.file);
  try {
    // A write that failed was taken back after it had been read.
    place.offset = Math.min(place.offset, (await stat(path)).size);
    for await (const { bytes, end, whole } of readLines(path, place.offset)) {
      if (!whole) return;
      if (bytes !== undefined) yield { text: bytes.toString('utf8'), end };
      else place.offset = end;
    }
  } catch (error) {
    // Removed by retention: the next file goes on.
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

interface FolderChanges {
  /** Resolves with true once something changed since the last call, with false when it is over. */
  wait(): Promise<boolean>;
  close(): void;
}

function watchFolder(directory: string, signal: AbortSignal | undefined): FolderChanges {
  let changed = false;
  let over = signal?.aborted ?? false;
  let failure: Error | undefined;
  let wake: () => void = () => {};
  const watcher = watch(directory);
  const end = () => {
    over = true;
    wake();
  };
  watcher.on('change', () => {
    changed = true;
    wake();
  });
  watcher.on('error', (error) => {
    failure = error;
    end();
  });
  signal?.addEventListener('abort', end, { once: true });
  return {
    async wait() {
      if (!changed && !over) {
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
      changed = false;
      if (failure !== undefined) throw failure;
      return !over;
    },
    close() {
      signal?.removeEventListener('abort', end);
      watcher.close();
    },
  };
}

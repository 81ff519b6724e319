/** The files of backups: written whole or not at all, and read from the beginning as often as needed. */
import { lstatSync } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StartRefused } from './data.ts';

const readLength = 256 * 1024;

/**
 * Writes the chunks to a file of mode 0600 that has its name only when all of it is on disk; resolves to its length.
 * Throws `StartRefused` where something of that name is there, unless it is to be replaced.
 */
export async function writeWholeFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  { replace }: { replace: boolean },
): Promise<number> {
  assertFree(path, replace);
  const partial = `${path}.partial`;
  // Exclusive: it is neither somebody's link to elsewhere nor the file of another run that is under way.
  const file = await open(partial, 'wx', 0o600);
  try {
    const length = await writeAll(file, chunks);
    assertFree(path, replace);
    await rename(partial, path);
    await syncFolder(dirname(path));
    return length;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function writeAll(file: FileHandle, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  try {
    for await (const chunk of chunks) {
      await file.appendFile(chunk);
      length += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return length;
}

function assertFree(path: string, replace: boolean): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined || (replace && there.isFile())) return;
  const advice = replace ? 'It is not a file' : 'Choose another name, or replace it with --force';
  throw new StartRefused(`${path} is there already. ${advice}.`);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A file that stays open, so that each reading is of the same one. */
export interface ReadableFile {
  readonly length: number;
  /** The bytes from the beginning, in pieces that are not used again. */
  read(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

/** Opens a regular file; throws `StartRefused` for anything else, or the file system's error. */
export async function openReadableFile(path: string): Promise<ReadableFile> {
  const file = await open(path, 'r');
  const stat = await file.stat();
  if (!stat.isFile()) {
    await file.close();
    throw new StartRefused(
      `${path} is not a file. A backup is read twice, so it cannot come through a pipe.`,
    );
  }
  return {
    length: stat.size,
    async *read() {
      for (let position = 0; ; ) {
        const { buffer, bytesRead } = await file.read(Buffer.alloc(readLength), 0, readLength, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    },
    close: () => file.close(),
  };
}

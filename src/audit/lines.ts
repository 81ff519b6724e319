/** Reads a file line by line in constant memory, whatever an attacker put into it. */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

export interface RawLine {
  /** Without the line end, and valid until the next line is asked for; undefined if longer than any record. */
  readonly bytes: Buffer | undefined;
  /** Where the next line begins in the file, in bytes. */
  readonly end: number;
  /** False for what follows the last line end. */
  readonly whole: boolean;
}

/** More than the largest record: its bounded fields with every character escaped. */
const longestLine = 65_536;
const lineEnd = 0x0a;

/** The lines of the file at `path`, which must not be a link, from the line that begins at byte `from`. */
export async function* readLines(path: string, from = 0): AsyncGenerator<RawLine, void> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    const chunk = Buffer.allocUnsafe(longestLine);
    const none = Buffer.alloc(0);
    let begun = none;
    let begunLength = 0;
    let position = from;
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) break;
      let start = 0;
      for (;;) {
        const end = chunk.subarray(0, bytesRead).indexOf(lineEnd, start);
        if (end === -1) break;
        const length = begunLength + end - start;
        const rest = chunk.subarray(start, end);
        const bytes =
          length > longestLine ? undefined : begunLength === 0 ? rest : Buffer.concat([begun, rest]);
        yield { bytes, end: position + end + 1, whole: true };
        begun = none;
        begunLength = 0;
        start = end + 1;
      }
      begunLength += bytesRead - start;
      if (begunLength <= longestLine) begun = Buffer.concat([begun, chunk.subarray(start, bytesRead)]);
      else begun = none;
      position += bytesRead;
    }
    if (begunLength > 0) yield { bytes: undefined, end: position, whole: false };
  } finally {
    await file.close();
  }
}

/** Looks into the memory of a process of one's own (Linux only). */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Whether any writable memory of the process holds the bytes. */
export function memoryHolds(pid: number, bytes: Buffer): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return readFileSync(`/proc/${pid}/maps`, 'utf8')
      .split('\n')
      .some((line) => {
        const range = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
        if (range?.[1] === undefined || range[2] === undefined) return false;
        return regionHolds(memory, { from: BigInt(`0x${range[1]}`), to: BigInt(`0x${range[2]}`) }, bytes);
      });
  } finally {
    closeSync(memory);
  }
}

function regionHolds(memory: number, range: { from: bigint; to: bigint }, bytes: Buffer): boolean {
  const chunk = Buffer.alloc(4 * 1024 * 1024);
  for (let at = range.from; at < range.to; at += BigInt(chunk.length - bytes.length)) {
    const length = Math.min(chunk.length, Number(range.to - at));
    let got = 0;
    try {
      got = readSync(memory, chunk, 0, length, at);
    } catch {
      // Reserved, but not there.
      return false;
    }
    if (chunk.subarray(0, got).includes(bytes)) return true;
  }
  return false;
}

/** Proves that a sealed stream opens to what was sealed, and that nobody without the key can change any part of it. */
import { expect, test } from 'vitest';
import { SecretBytes } from '../core/secret-bytes.ts';
import { systemRandom } from './random.ts';
import { chunkLength, NotThisStream, openStream, StreamKeyMissing, sealStream } from './sealed-stream.ts';
import { SealBroken, type SealingKey, sealingKey } from './sealing.ts';

const kind = 'strongroom-test/1';
const newKey = (id = systemRandom.guid()) => sealingKey(id, new SecretBytes(systemRandom.bytes(32)));
const key = newKey();

async function* given(...pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

const sealed = (...plain: readonly Uint8Array[]) =>
  collect(sealStream(key, given(...plain), { kind, random: systemRandom }));

const opened = (bytes: Uint8Array, under: SealingKey = key, as = kind) =>
  collect(openStream((id) => (id === under.id ? under : undefined), given(bytes), as));

const headLength = Buffer.byteLength(`${kind}\n`) + 36 + 61;
const sealedChunk = chunkLength + 16;

/** The head, and each chunk. */
function parts(stream: Buffer): Buffer[] {
  const found = [stream.subarray(0, headLength)];
  for (let at = headLength; at < stream.length; at += sealedChunk)
    found.push(stream.subarray(at, at + sealedChunk));
  return found;
}

test.each([0, 1, chunkLength - 1, chunkLength, chunkLength + 1, 2 * chunkLength, 3 * chunkLength + 5])(
  '%i bytes open to themselves, in whatever pieces they come and go',
  async (length) => {
    const plain = Buffer.from(systemRandom.bytes(length));
    const pieces = [
      plain.subarray(0, 1),
      plain.subarray(1, 1),
      plain.subarray(1, 1000),
      plain.subarray(1000),
    ];
    const stream = await sealed(...pieces);
    expect(stream.length).toBe(headLength + length + 16 * Math.max(1, Math.ceil(length / chunkLength)));
    expect((await opened(stream)).equals(plain)).toBe(true);
    const crumbs = Array.from({ length: Math.ceil(stream.length / 777) }, (_, index) =>
      stream.subarray(index * 777, (index + 1) * 777),
    );
    const again = await collect(openStream(() => key, given(...crumbs), kind));
    expect(again.equals(plain)).toBe(true);
  },
);

test('every flipped bit of a small stream is found', async () => {
  const stream = await sealed(Buffer.from('the content'));
  for (let bit = 0; bit < stream.length * 8; bit += 1) {
    const altered = Buffer.from(stream);
    altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    await expect(opened(altered)).rejects.toThrow();
  }
});

test('a stream cut short anywhere is refused', async () => {
  const stream = await sealed(Buffer.from('the content'));
  for (let length = 0; length < stream.length; length += 1)
    await expect(opened(stream.subarray(0, length))).rejects.toThrow();
});

test('a stream of several chunks is refused when cut at and about every border', async () => {
  const stream = await sealed(systemRandom.bytes(3 * chunkLength));
  const borders = [0, 1, 2, 3].map((count) => headLength + count * sealedChunk);
  for (const border of borders) {
    for (const length of [border - 17, border - 16, border - 1, border, border + 1, border + 16, border + 17])
      if (length < stream.length)
        await expect(opened(stream.subarray(0, length)), `${length}`).rejects.toThrow();
  }
});

test('chunks that change places, come twice, are missing or added are found', async () => {
  const stream = await sealed(systemRandom.bytes(3 * chunkLength));
  const [head, first, second, third] = parts(stream) as [Buffer, Buffer, Buffer, Buffer];
  const other = parts(await sealed(systemRandom.bytes(3 * chunkLength))) as (typeof head)[];
  const wrong: [string, (Buffer | undefined)[]][] = [
    ['swapped', [head, second, first, third]],
    ['the last one in front', [head, third, first, second]],
    ['repeated', [head, first, first, second, third]],
    ['missing', [head, first, third]],
    ['the first one missing', [head, second, third]],
    ['extended by a copy of the last', [head, first, second, third, third]],
    ['extended by a byte', [head, first, second, third, Buffer.alloc(1)]],
    ['extended by an empty chunk', [head, first, second, third, Buffer.alloc(16)]],
    ['extended by another stream', [head, first, second, third, ...other]],
    ['a chunk of another stream', [head, first, other[2], third]],
    ['the head of another stream', [other[0], first, second, third]],
  ];
  for (const [what, pieces] of wrong)
    await expect(opened(Buffer.concat(pieces as Buffer[])), what).rejects.toThrow(SealBroken);
  expect((await opened(Buffer.concat([head, first, second, third]))).length).toBe(3 * chunkLength);
});

test('no chunk is given out before it is known to be genuine', async () => {
  const stream = await sealed(systemRandom.bytes(2 * chunkLength));
  stream.writeUInt8(stream.readUInt8(headLength + sealedChunk) ^ 1, headLength + sealedChunk);
  let given_ = 0;
  const read = async () => {
    for await (const piece of openStream(() => key, given(stream), kind)) given_ += piece.length;
  };
  await expect(read()).rejects.toThrow(SealBroken);
  expect(given_).toBe(chunkLength);
});

test('another key, a key of the same id, another kind and other files are told apart', async () => {
  const stream = await sealed(Buffer.from('the content'));
  const other = newKey();
  await expect(opened(stream, other)).rejects.toMatchObject({ name: 'StreamKeyMissing', keyId: key.id });
  await expect(opened(stream, other)).rejects.toThrow(StreamKeyMissing);
  await expect(opened(stream, newKey(key.id))).rejects.toThrow(SealBroken);
  await expect(opened(stream, key, 'strongroom-text/1')).rejects.toThrow(NotThisStream);
  for (const text of ['', '\n', 'SQLite format 3\0', kind, 'x'.repeat(1000)])
    await expect(opened(Buffer.from(text)), text).rejects.toThrow(NotThisStream);
});

test('a data key seals one kind of stream only', async () => {
  // The first line in clear is changed together with what the reader expects, as in a format that shares the key.
  const stream = await sealed(Buffer.from('the content'));
  const renamed = Buffer.concat([Buffer.from('strongroom-text/1\n'), stream.subarray(kind.length + 1)]);
  await expect(opened(renamed, key, 'strongroom-text/1')).rejects.toThrow(SealBroken);
});

test('the same content is sealed differently each time', async () => {
  const [one, two] = [await sealed(Buffer.from('same')), await sealed(Buffer.from('same'))];
  expect(one.subarray(headLength).equals(two.subarray(headLength))).toBe(false);
});

test('an id that has no room in the head is refused', async () => {
  const sealing = sealStream(newKey('short'), given(), { kind, random: systemRandom });
  await expect(sealing.next()).rejects.toThrow(TypeError);
});

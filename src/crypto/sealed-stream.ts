/**
 * A stream of any length, sealed in chunks so that it can be written and read in bounded memory, and so that cut,
 * swapped, repeated, added or altered chunks are found: the STREAM construction (Hoang, Reyhanitabar, Rogaway and
 * Vizár, CRYPTO 2015) over AES-256-GCM.
 *
 * Form: head | chunks. The head is a line that names the kind of stream, 36 bytes id of the key, and a data key that is
 * fresh for this stream, sealed under that key. A chunk is 256 KiB of ciphertext (the last: 0 to 256 KiB) and 16 bytes
 * tag, with the head as associated data. Its IV is 4 bytes 0, or 1 for the last chunk, and 8 bytes number of the chunk:
 * NIST SP 800-38D §8.2.1, deterministic. No IV can repeat, since the data key seals this one stream and no other.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Random } from '../core/random.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { open, SealBroken, type SealingKey, seal, sealingKey, sealingKeyLength } from './sealing.ts';

/** Bytes of plain text in every chunk but the last. */
export const chunkLength = 256 * 1024;

const ivLength = 12;
const tagLength = 16;
/** A GUID in its usual form. */
const keyIdLength = 36;
/** What `seal` makes of a data key. */
const sealedKeyLength = 1 + ivLength + sealingKeyLength + tagLength;

/** The bytes are no stream of this kind, or one of another format. */
export class NotThisStream extends Error {
  constructor(kind: string) {
    super(`this is not a stream of the kind ${kind}`);
    this.name = 'NotThisStream';
  }
}

/** The stream is sealed under a key that is not in hand; `keyId` is what its head claims, and is not authenticated. */
export class StreamKeyMissing extends Error {
  readonly keyId: string;
  constructor(keyId: string) {
    super('the stream is sealed under another key');
    this.name = 'StreamKeyMissing';
    this.keyId = keyId;
  }
}

/**
 * Seals what `plain` gives, under `key`, whose id is a GUID. `kind` stands in clear in the first line and may hold no
 * line end. The bytes given must not be changed afterwards.
 */
export async function* sealStream(
  key: SealingKey,
  plain: AsyncIterable<Uint8Array>,
  place: { readonly kind: string; readonly random: Random },
): AsyncGenerator<Uint8Array> {
  const bytes = new SecretBytes(place.random.bytes(sealingKeyLength));
  const head = headOf(key, bytes, place);
  const chunks: ChunkKey = { key: sealingKey('stream', bytes), head };
  bytes.wipe();
  yield head;
  let number = 0;
  let waiting: Uint8Array = new Uint8Array(0);
  for await (const piece of cut(plain, () => chunkLength)) {
    if (waiting.length > 0) yield sealChunk(chunks, { number: number++, isLast: false }, waiting);
    waiting = piece;
  }
  yield sealChunk(chunks, { number, isLast: true }, waiting);
}

/**
 * Opens what `sealStream` made for the same kind, with the key that `keyOf` has for the head's id. Each chunk is given
 * out once it is known to be genuine and in its place; only the generator's end tells that none is missing. Throws
 * `NotThisStream`, `StreamKeyMissing`, or `SealBroken` for anything that was altered or cut short.
 */
export async function* openStream(
  keyOf: (id: string) => SealingKey | undefined,
  sealed: AsyncIterable<Uint8Array>,
  kind: string,
): AsyncGenerator<Uint8Array> {
  const headLength = firstLine(kind).length + keyIdLength + sealedKeyLength;
  let chunks: ChunkKey | undefined;
  let number = 0;
  let waiting: Buffer | undefined;
  for await (const piece of cut(sealed, (index) => (index === 0 ? headLength : chunkLength + tagLength))) {
    if (chunks === undefined) {
      chunks = openHead(keyOf, piece, kind);
      continue;
    }
    if (waiting !== undefined) yield openChunk(chunks, { number: number++, isLast: false }, waiting);
    waiting = piece;
  }
  if (chunks === undefined) throw new NotThisStream(kind);
  if (waiting === undefined) throw new SealBroken();
  yield openChunk(chunks, { number, isLast: true }, waiting);
}

interface ChunkKey {
  readonly key: SealingKey;
  readonly head: Uint8Array;
}

interface ChunkPlace {
  readonly number: number;
  readonly isLast: boolean;
}

function headOf(key: SealingKey, bytes: SecretBytes, place: { kind: string; random: Random }): Buffer {
  const id = Buffer.from(key.id, 'latin1');
  if (id.length !== keyIdLength) throw new TypeError('the id of a key that seals a stream is a GUID');
  const sealed = seal(key, bytes, { identity: keyIdentity(place.kind), random: place.random });
  return Buffer.concat([firstLine(place.kind), id, sealed]);
}

function openHead(keyOf: (id: string) => SealingKey | undefined, head: Buffer, kind: string): ChunkKey {
  const line = firstLine(kind);
  if (!head.subarray(0, line.length).equals(line)) throw new NotThisStream(kind);
  const keyStart = line.length + keyIdLength;
  if (head.length < keyStart + sealedKeyLength) throw new SealBroken();
  const id = head.toString('latin1', line.length, keyStart);
  const key = keyOf(id);
  if (key === undefined) throw new StreamKeyMissing(id);
  const bytes = open(key, head.subarray(keyStart), keyIdentity(kind));
  const chunks = { key: sealingKey('stream', bytes), head };
  bytes.wipe();
  return chunks;
}

function firstLine(kind: string): Buffer {
  return Buffer.from(`${kind}\n`, 'utf8');
}

function keyIdentity(kind: string): string {
  return `stream-key|${kind}`;
}

function ivOf({ number, isLast }: ChunkPlace): Buffer {
  const iv = Buffer.alloc(ivLength);
  iv.writeUInt32BE(isLast ? 1 : 0, 0);
  iv.writeBigUInt64BE(BigInt(number), 4);
  return iv;
}

function sealChunk({ key, head }: ChunkKey, place: ChunkPlace, plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key.key, ivOf(place), { authTagLength: tagLength });
  cipher.setAAD(head);
  const text = cipher.update(plain);
  cipher.final();
  return Buffer.concat([text, cipher.getAuthTag()]);
}

function openChunk({ key, head }: ChunkKey, place: ChunkPlace, sealed: Buffer): Uint8Array {
  const end = sealed.length - tagLength;
  if (end < 0) throw new SealBroken();
  const decipher = createDecipheriv('aes-256-gcm', key.key, ivOf(place), { authTagLength: tagLength });
  decipher.setAAD(head);
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
  } catch {
    plain.fill(0);
    throw new SealBroken();
  }
  return plain;
}

/** The same bytes in pieces of the sizes asked for; only the last one may be shorter, and none is empty. */
async function* cut(
  source: AsyncIterable<Uint8Array>,
  sizeOf: (index: number) => number,
): AsyncGenerator<Buffer> {
  let index = 0;
  let parts: Uint8Array[] = [];
  let missing = sizeOf(index);
  for await (const bytes of source) {
    let rest = bytes;
    while (rest.length >= missing) {
      yield Buffer.concat([...parts, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      parts = [];
      index += 1;
      missing = sizeOf(index);
    }
    if (rest.length > 0) parts.push(rest);
    missing -= rest.length;
  }
  if (parts.length > 0) yield Buffer.concat(parts);
}

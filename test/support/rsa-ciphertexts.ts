/** Ciphertexts of RSA that must be refused, each for a reason of its own, and good ones to compare with. */
import { constants, createHash, type KeyObject, publicEncrypt, randomBytes } from 'node:crypto';

export type Padding =
  | { readonly scheme: 'rsa1_5' }
  | { readonly scheme: 'rsa-oaep'; readonly hash: 'sha1' | 'sha256' | 'sha384' };

export interface Ciphertext {
  readonly kind: string;
  readonly ciphertext: Buffer;
}

/** What `publicKey` makes of the plaintext. */
export function encrypt(publicKey: KeyObject, padding: Padding, plaintext: Uint8Array): Buffer {
  return padding.scheme === 'rsa1_5'
    ? publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, plaintext)
    : publicEncrypt(
        { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: padding.hash },
        plaintext,
      );
}

/** One of each kind, made anew. The key has a whole number of bytes. */
export function badCiphertexts(publicKey: KeyObject, padding: Padding): readonly Ciphertext[] {
  const size = (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const good = encrypt(publicKey, padding, randomBytes(32));
  const encodings = padding.scheme === 'rsa1_5' ? pkcs1Encodings(size) : oaepEncodings(size, padding.hash);
  return [
    ...Object.entries(encodings).map(([kind, encoded]) => ({ kind, ciphertext: raw(publicKey, encoded) })),
    { kind: 'truncated', ciphertext: good.subarray(0, -1) },
    { kind: 'extended', ciphertext: Buffer.concat([good, Buffer.of(0)]) },
    { kind: 'leading zero left out', ciphertext: withLeadingZero(publicKey, padding).subarray(1) },
    { kind: 'zero before it', ciphertext: Buffer.concat([Buffer.of(0), good]) },
    { kind: 'not below the modulus', ciphertext: Buffer.alloc(size, 0xff) },
    // Of random octets, except that they are surely no encoding: one in 2^16 would be one of PKCS#1 v1.5.
    { kind: 'random', ciphertext: raw(publicKey, Buffer.concat([Buffer.of(0, 1), randomBytes(size - 2)])) },
    { kind: 'zero', ciphertext: Buffer.alloc(size) },
    { kind: 'one', ciphertext: Buffer.concat([Buffer.alloc(size - 1), Buffer.of(1)]) },
  ];
}

/** A good one that happens to start with a zero. */
function withLeadingZero(publicKey: KeyObject, padding: Padding): Buffer {
  for (;;) {
    const ciphertext = encrypt(publicKey, padding, randomBytes(32));
    if (ciphertext[0] === 0) return ciphertext;
  }
}

function raw(publicKey: KeyObject, encoded: Buffer): Buffer {
  return publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, encoded);
}

/** EME-PKCS1-v1_5 gone wrong (RFC 8017 §7.2.2, step 3). */
function pkcs1Encodings(size: number): Readonly<Record<string, Buffer>> {
  const filled = (...parts: Buffer[]) => {
    const rest = size - parts.reduce((sum, { length }) => sum + length, 0);
    return (at: number) => Buffer.concat([...parts.slice(0, at), nonZero(rest), ...parts.slice(at)]);
  };
  const end = Buffer.concat([Buffer.of(0), randomBytes(32)]);
  return {
    'first octet': filled(Buffer.of(1, 2), end)(1),
    'block type': filled(Buffer.of(0, 1), end)(1),
    'no separator': filled(Buffer.of(0, 2))(1),
    'padding too short': filled(Buffer.of(0, 2), nonZero(7), Buffer.of(0))(3),
    'no padding': filled(Buffer.of(0, 2, 0))(1),
  };
}

/** EME-OAEP gone wrong (RFC 8017 §7.1.2, step 3g). */
function oaepEncodings(size: number, hash: string): Readonly<Record<string, Buffer>> {
  const label = createHash(hash).digest();
  const zeros = (end: Buffer) => Buffer.alloc(size - 2 * label.length - 1 - end.length);
  const encode = ({ first = 0, lHash = label, end }: { first?: number; lHash?: Buffer; end: Buffer }) => {
    const block = Buffer.concat([lHash, zeros(end), end]);
    const seed = randomBytes(label.length);
    const masked = xor(block, mgf1(hash, seed, block.length));
    return Buffer.concat([Buffer.of(first), xor(seed, mgf1(hash, masked, seed.length)), masked]);
  };
  const end = Buffer.concat([Buffer.of(1), randomBytes(32)]);
  return {
    'first octet': encode({ first: 1, end }),
    'label of another': encode({ lHash: createHash(hash).update('another').digest(), end }),
    'no separator': encode({ end: Buffer.alloc(0) }),
    'another separator': encode({ end: Buffer.concat([Buffer.of(2), randomBytes(32)]) }),
  };
}

function mgf1(hash: string, seed: Buffer, length: number): Buffer {
  const blocks: Buffer[] = [];
  for (let counter = 0; Buffer.concat(blocks).length < length; counter += 1) {
    blocks.push(
      createHash(hash)
        .update(seed)
        .update(Buffer.of(0, 0, 0, counter))
        .digest(),
    );
  }
  return Buffer.concat(blocks).subarray(0, length);
}

function xor(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((octet, index) => octet ^ (right[index] ?? 0)));
}

function nonZero(length: number): Buffer {
  return Buffer.from(randomBytes(length).map((octet) => (octet === 0 ? 1 : octet)));
}

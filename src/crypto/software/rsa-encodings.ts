/**
 * What RSA signatures sign (RFC 8017 §9), for the fallback alone, which has only the raw operation. There is nothing
 * secret in it: both encodings follow from the digest, the salt and the size of the key.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type HashName, hashBytes, type SignatureAlgorithm } from '../algorithms.ts';

/**
 * What is signed, with leading zeros to the length of a modulus of `bits`. The digest has the hash's length. Throws
 * `TypeError` for an algorithm that is not for RSA, and for a key that is too short.
 */
export function encodedFor(algorithm: SignatureAlgorithm, digest: Uint8Array, bits: number): Buffer {
  const { hash, scheme, name } = algorithm;
  if (hash !== undefined && scheme === 'pkcs1') return pkcs1Encoding(hash, digest, bits);
  if (hash !== undefined && scheme === 'pss') return pssEncoding(hash, digest, bits);
  throw new TypeError(`${name} is not for RSA keys`);
}

/** Whether `encoded`, as long as the modulus, is what a signature of the digest opens to. */
export function isEncodingOf(
  encoded: Buffer,
  { algorithm, digest, bits }: { algorithm: SignatureAlgorithm; digest: Uint8Array; bits: number },
): boolean {
  if (algorithm.scheme !== 'pss' || algorithm.hash === undefined)
    return encoded.equals(encodedFor(algorithm, digest, bits));
  return isPssEncoding(algorithm.hash, { encoded, digest, bits });
}

/** DigestInfo up to the digest (RFC 8017 §9.2, note 1). */
const digestInfo: Readonly<Record<HashName, string>> = {
  sha1: '3021300906052b0e03021a05000414',
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
};

/** EMSA-PKCS1-v1_5 (RFC 8017 §9.2). */
function pkcs1Encoding(hash: HashName, digest: Uint8Array, bits: number): Buffer {
  const info = Buffer.concat([Buffer.from(digestInfo[hash], 'hex'), digest]);
  const padding = Math.ceil(bits / 8) - info.length - 3;
  if (padding < 8) throw new TypeError('the RSA key is too short for the hash');
  return Buffer.concat([Buffer.of(0, 1), Buffer.alloc(padding, 0xff), Buffer.of(0), info]);
}

const pssTrailer = 0xbc;

/** EMSA-PSS-ENCODE (RFC 8017 §9.1.1) with a salt of the hash's length. */
function pssEncoding(hash: HashName, digest: Uint8Array, bits: number): Buffer {
  const layout = pssLayout(hash, bits);
  const salt = randomBytes(hashBytes[hash]);
  const hashed = pssHash(hash, digest, salt);
  const block = Buffer.concat([Buffer.alloc(layout.zeros), Buffer.of(1), salt]);
  const masked = xor(block, mgf1(hash, hashed, block.length));
  masked[0] = (masked[0] ?? 0) & layout.topMask;
  return Buffer.concat([Buffer.alloc(layout.lead), masked, hashed, Buffer.of(pssTrailer)]);
}

/** EMSA-PSS-VERIFY (RFC 8017 §9.1.2). */
function isPssEncoding(
  hash: HashName,
  { encoded, digest, bits }: { encoded: Buffer; digest: Uint8Array; bits: number },
): boolean {
  const { lead, zeros, topMask } = pssLayout(hash, bits);
  const length = hashBytes[hash];
  const masked = encoded.subarray(lead, encoded.length - length - 1);
  const hashed = encoded.subarray(encoded.length - length - 1, -1);
  const isTopClear = encoded.subarray(0, lead).every((octet) => octet === 0);
  if (encoded.at(-1) !== pssTrailer || !isTopClear || ((masked[0] ?? 0) & ~topMask) !== 0) return false;
  const block = xor(masked, mgf1(hash, hashed, masked.length));
  block[0] = (block[0] ?? 0) & topMask;
  if (block.subarray(0, zeros).some((octet) => octet !== 0) || block[zeros] !== 1) return false;
  return timingSafeEqual(pssHash(hash, digest, block.subarray(zeros + 1)), hashed);
}

/** emBits is one less than the modulus has: `lead` octets before the encoding, and the bits of its first octet that are used. */
function pssLayout(hash: HashName, bits: number): { lead: number; zeros: number; topMask: number } {
  const length = Math.ceil((bits - 1) / 8);
  const zeros = length - 2 * hashBytes[hash] - 2;
  if (zeros < 0) throw new TypeError('the RSA key is too short for the hash');
  return { lead: Math.ceil(bits / 8) - length, zeros, topMask: 0xff >> (8 * length - (bits - 1)) };
}

function pssHash(hash: HashName, digest: Uint8Array, salt: Uint8Array): Buffer {
  return createHash(hash).update(Buffer.alloc(8)).update(digest).update(salt).digest();
}

/** RFC 8017 §B.2.1. */
function mgf1(hash: HashName, seed: Uint8Array, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / hashBytes[hash]) }, (_, index) => {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(index);
    return createHash(hash).update(seed).update(counter).digest();
  });
  return Buffer.concat(blocks).subarray(0, length);
}

function xor(left: Uint8Array, right: Uint8Array): Buffer {
  return Buffer.from(left.map((octet, index) => octet ^ (right[index] ?? 0)));
}

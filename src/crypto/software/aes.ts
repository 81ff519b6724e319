/**
 * AES with the keys of the API: GCM (NIST SP 800-38D), CBC (SP 800-38A), key wrap (RFC 3394) and key wrap with padding
 * (RFC 5649). A parameter that the mode does not have is refused, never ignored. All of it takes microseconds, so it
 * runs where it is called.
 */
import { createCipheriv, createDecipheriv, type Decipheriv } from 'node:crypto';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { EncryptionAlgorithm } from '../algorithms.ts';
import { type DecryptInput, type Encrypted, type EncryptInput, NotDecrypted } from '../provider.ts';

const block = 16;
const gcmIv = 12;
const gcmTag = 16;
/** RFC 3394 §2.2.3.1. */
const wrapIv = Buffer.from('a6a6a6a6a6a6a6a6', 'hex');
/** RFC 5649 §3; OpenSSL puts the length behind it. */
const paddedWrapIv = Buffer.from('a65959a6', 'hex');
/** Key wrap works on halves of a block (RFC 3394 §2). */
const semiblock = 8;
/**
 * Bytes that are wrapped at most, several times the longest private key. Every 8 of them take 12 calls of the cipher, one
 * after the other: what a request can hold would keep the event loop for 60 ms, this much keeps it for one.
 */
const longestWrapped = 8 * 1024;

/** 16, 24 or 32 octets, and where IVs come from. */
export interface AesKey {
  readonly octets: Uint8Array;
  readonly random: Random;
}

type AesScheme = 'aes-gcm' | 'aes-cbc' | 'aes-kw' | 'aes-kwp';

interface Mode {
  encrypt(key: AesKey, algorithm: EncryptionAlgorithm, input: EncryptInput): Encrypted;
  decrypt(key: AesKey, algorithm: EncryptionAlgorithm, input: DecryptInput): SecretBytes;
}

const modes: Readonly<Record<AesScheme, Mode>> = {
  'aes-gcm': { encrypt: encryptGcm, decrypt: decryptGcm },
  'aes-cbc': { encrypt: encryptCbc, decrypt: decryptCbc },
  'aes-kw': { encrypt: encryptKw, decrypt: decryptKw },
  'aes-kwp': { encrypt: encryptKwp, decrypt: decryptKwp },
};

/** Throws `Failure('badParameter')` for an IV, AAD or length that the mode does not take. */
export function aesEncrypt(key: AesKey, algorithm: EncryptionAlgorithm, input: EncryptInput): Encrypted {
  return modeOf(algorithm).encrypt(key, algorithm, input);
}

/**
 * Throws `Failure('badParameter')` for an IV, tag or AAD that is missing, of another length or out of place, and
 * `NotDecrypted` for whatever is wrong with the ciphertext.
 */
export function aesDecrypt(key: AesKey, algorithm: EncryptionAlgorithm, input: DecryptInput): SecretBytes {
  return modeOf(algorithm).decrypt(key, algorithm, input);
}

function modeOf({ scheme, name }: EncryptionAlgorithm): Mode {
  if (scheme === 'rsa-oaep' || scheme === 'rsa1_5') throw new TypeError(`${name} is not AES`);
  return modes[scheme];
}

function encryptGcm(
  { octets, random }: AesKey,
  { name }: EncryptionAlgorithm,
  input: EncryptInput,
): Encrypted {
  // A repeated IV gives the authentication key away, so no caller chooses one (SP 800-38D §8.2.2, 96 random bits).
  if (input.iv !== undefined) throw refused(`The IV of ${name} is made by the service and must not be given`);
  const iv = random.bytes(gcmIv);
  const cipher = createCipheriv(gcmNames[octets.length] ?? wrongKey(), octets, iv, { authTagLength: gcmTag });
  if (input.aad !== undefined) cipher.setAAD(input.aad);
  const ciphertext = cipher.update(input.plaintext);
  cipher.final();
  return { ciphertext, iv, tag: cipher.getAuthTag() };
}

function decryptGcm({ octets }: AesKey, { name }: EncryptionAlgorithm, input: DecryptInput): SecretBytes {
  const iv = exactly(input.iv, gcmIv, `The IV of ${name}`);
  const tag = exactly(input.tag, gcmTag, `The authentication tag of ${name}`);
  const decipher = createDecipheriv(gcmNames[octets.length] ?? wrongKey(), octets, iv, {
    authTagLength: gcmTag,
  });
  if (input.aad !== undefined) decipher.setAAD(input.aad);
  decipher.setAuthTag(tag);
  return deciphered(decipher, input.ciphertext);
}

function encryptCbc(
  { octets, random }: AesKey,
  algorithm: EncryptionAlgorithm,
  input: EncryptInput,
): Encrypted {
  const { name, padded } = algorithm;
  refuseAuthenticated(name, input);
  const { plaintext } = input;
  if (plaintext.length === 0) throw refused(`The value of ${name} is empty`);
  if (!padded && plaintext.length % block !== 0)
    throw refused(`The value of ${name} must be a multiple of ${block} bytes`);
  const iv = input.iv === undefined ? random.bytes(block) : exactly(input.iv, block, `The IV of ${name}`);
  const cipher = createCipheriv(`aes-${8 * octets.length}-cbc`, octets, iv).setAutoPadding(padded);
  return { ciphertext: Buffer.concat([cipher.update(plaintext), cipher.final()]), iv, tag: undefined };
}

function decryptCbc(
  { octets }: AesKey,
  { name, padded }: EncryptionAlgorithm,
  input: DecryptInput,
): SecretBytes {
  refuseAuthenticated(name, input);
  const iv = exactly(input.iv, block, `The IV of ${name}`);
  if (input.ciphertext.length === 0) throw new NotDecrypted();
  const decipher = createDecipheriv(`aes-${8 * octets.length}-cbc`, octets, iv).setAutoPadding(padded);
  return deciphered(decipher, input.ciphertext);
}

function encryptKw({ octets }: AesKey, { name }: EncryptionAlgorithm, input: EncryptInput): Encrypted {
  refuseIv(name, input);
  const { length } = input.plaintext;
  if (length < 2 * semiblock || length % semiblock !== 0)
    throw refused(
      `The value of ${name} must be a multiple of ${semiblock} bytes and at least ${2 * semiblock}`,
    );
  refuseLong(name, input);
  const cipher = createCipheriv(`id-aes${8 * octets.length}-wrap`, octets, wrapIv);
  return { ciphertext: cipher.update(input.plaintext), iv: undefined, tag: undefined };
}

function decryptKw({ octets }: AesKey, { name }: EncryptionAlgorithm, input: DecryptInput): SecretBytes {
  refuseIv(name, input);
  // OpenSSL takes an empty ciphertext for an empty key.
  if (input.ciphertext.length < 3 * semiblock || isTooLong(input.ciphertext)) throw new NotDecrypted();
  return deciphered(createDecipheriv(`id-aes${8 * octets.length}-wrap`, octets, wrapIv), input.ciphertext);
}

function encryptKwp({ octets }: AesKey, { name }: EncryptionAlgorithm, input: EncryptInput): Encrypted {
  refuseIv(name, input);
  if (input.plaintext.length === 0) throw refused(`The value of ${name} is empty`);
  refuseLong(name, input);
  return { ciphertext: wrapPadded(octets, input.plaintext), iv: undefined, tag: undefined };
}

function decryptKwp({ octets }: AesKey, { name }: EncryptionAlgorithm, input: DecryptInput): SecretBytes {
  refuseIv(name, input);
  return unwrapPadded(octets, input.ciphertext);
}

/** AES key wrap with padding (RFC 5649) of 1 byte or more. */
export function wrapPadded(key: Uint8Array, plaintext: Uint8Array): Uint8Array {
  return createCipheriv(`id-aes${8 * key.length}-wrap-pad`, key, paddedWrapIv).update(plaintext);
}

/** The reverse of `wrapPadded`; throws `NotDecrypted`. */
export function unwrapPadded(key: Uint8Array, ciphertext: Uint8Array): SecretBytes {
  if (ciphertext.length < 2 * semiblock || isTooLong(ciphertext)) throw new NotDecrypted();
  return deciphered(createDecipheriv(`id-aes${8 * key.length}-wrap-pad`, key, paddedWrapIv), ciphertext);
}

/** All that is decrypted, or `NotDecrypted` with nothing left behind. */
function deciphered(decipher: Decipheriv, ciphertext: Uint8Array): SecretBytes {
  let head: Buffer | undefined;
  try {
    head = decipher.update(ciphertext);
    const tail = decipher.final();
    if (tail.length === 0) return new SecretBytes(head);
    // Not from Buffer's pool, which others share.
    const whole = new Uint8Array(head.length + tail.length);
    whole.set(head);
    whole.set(tail, head.length);
    head.fill(0);
    tail.fill(0);
    return new SecretBytes(whole);
  } catch {
    head?.fill(0);
    throw new NotDecrypted();
  }
}

const gcmNames: Readonly<Record<number, 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm'>> = {
  16: 'aes-128-gcm',
  24: 'aes-192-gcm',
  32: 'aes-256-gcm',
};

function wrongKey(): never {
  throw new TypeError('an AES key has 16, 24 or 32 octets');
}

function refuseLong(name: string, { plaintext }: EncryptInput): void {
  if (plaintext.length > longestWrapped)
    throw refused(`The value of ${name} must have at most ${longestWrapped} bytes`);
}

function isTooLong(wrapped: Uint8Array): boolean {
  return wrapped.length > longestWrapped + semiblock;
}

function refuseIv(name: string, input: EncryptInput | DecryptInput): void {
  if (input.iv !== undefined) throw refused(`${name} takes no IV`);
  refuseAuthenticated(name, input);
}

function refuseAuthenticated(name: string, input: EncryptInput | DecryptInput): void {
  if (input.aad !== undefined) throw refused(`${name} takes no additional authenticated data`);
  if ('tag' in input && input.tag !== undefined) throw refused(`${name} takes no authentication tag`);
}

function exactly(bytes: Uint8Array | undefined, length: number, what: string): Uint8Array {
  if (bytes === undefined) throw refused(`${what} is missing`);
  if (bytes.length !== length) throw refused(`${what} must have ${length} bytes`);
  return bytes;
}

function refused(text: string): Failure {
  return new Failure('badParameter', `${text}.`);
}

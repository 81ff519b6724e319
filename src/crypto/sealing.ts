/**
 * Authenticated encryption of data at rest: AES-256-GCM (NIST SP 800-38D) with a random 96-bit IV and a 128-bit
 * tag, and the identity of what is sealed as associated data, so that a sealed value opens only in its own place.
 *
 * Sealed form: 1 byte format (1) | 12 bytes IV | ciphertext | 16 bytes tag.
 */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type { Random } from '../core/random.ts';
import { SecretBytes } from '../core/secret-bytes.ts';

const format = 1;
const ivLength = 12;
const tagLength = 16;
const headLength = 1 + ivLength;

/** Bytes of every sealing key: AES-256. */
export const sealingKeyLength = 32;

/** A key that seals; the bytes stay inside Node's key object. */
export interface SealingKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** Sealed data that does not open: altered, moved from elsewhere, or sealed under another key. */
export class SealBroken extends Error {
  constructor(message = 'the sealed data does not open: altered, out of place, or under another key') {
    super(message);
    this.name = 'SealBroken';
  }
}

/** Makes a sealing key of 32 bytes; throws `TypeError` for any other length. */
export function sealingKey(id: string, bytes: SecretBytes): SealingKey {
  if (bytes.length !== sealingKeyLength) throw new TypeError(`a sealing key has ${sealingKeyLength} bytes`);
  return { id, key: createSecretKey(bytes.exposeBytes()) };
}

/** Seals `plain` for the place that `identity` names. Every call draws a fresh IV. */
export function seal(
  key: SealingKey,
  plain: SecretBytes,
  place: { identity: string; random: Random },
): Uint8Array {
  const iv = place.random.bytes(ivLength);
  const cipher = createCipheriv('aes-256-gcm', key.key, iv, { authTagLength: tagLength });
  cipher.setAAD(Buffer.from(place.identity, 'utf8'));
  const bytes = plain.exposeBytes();
  const sealed = Buffer.allocUnsafe(headLength + bytes.length + tagLength);
  sealed[0] = format;
  sealed.set(iv, 1);
  sealed.set(cipher.update(bytes), headLength);
  cipher.final();
  sealed.set(cipher.getAuthTag(), headLength + bytes.length);
  return sealed;
}

/** Opens what `seal` made for the same key and identity; throws `SealBroken` otherwise. */
export function open(key: SealingKey, sealed: Uint8Array, identity: string): SecretBytes {
  const end = sealed.length - tagLength;
  if (end < headLength || sealed[0] !== format) throw new SealBroken();
  const decipher = createDecipheriv('aes-256-gcm', key.key, sealed.subarray(1, headLength), {
    authTagLength: tagLength,
  });
  decipher.setAAD(Buffer.from(identity, 'utf8'));
  decipher.setAuthTag(sealed.subarray(end));
  const plain = decipher.update(sealed.subarray(headLength, end));
  try {
    decipher.final();
  } catch {
    plain.fill(0);
    throw new SealBroken();
  }
  return new SecretBytes(plain);
}

/** A value sealed under a data key of its own, and that key sealed under the vault's key. */
export interface Envelope {
  /** Version of the vault key that sealed `dataKey`. */
  readonly keyVersion: number;
  readonly dataKey: Uint8Array;
  readonly value: Uint8Array;
}

/** Seals one object version: fresh data key, sealed value. `identity` names vault, kind, name and version. */
export function sealEnvelope(
  vaultKey: { version: number; key: SealingKey },
  value: SecretBytes,
  place: { identity: string; random: Random },
): Envelope {
  const bytes = new SecretBytes(place.random.bytes(sealingKeyLength));
  const dataKey = sealingKey('data', bytes);
  const envelope = {
    keyVersion: vaultKey.version,
    dataKey: seal(vaultKey.key, bytes, { identity: dataKeyIdentity(place.identity), random: place.random }),
    value: seal(dataKey, value, place),
  };
  bytes.wipe();
  return envelope;
}

/** Opens an envelope under the vault key of its `keyVersion`; throws `SealBroken`. */
export function openEnvelope(vaultKey: SealingKey, envelope: Envelope, identity: string): SecretBytes {
  const bytes = open(vaultKey, envelope.dataKey, dataKeyIdentity(identity));
  const value = open(sealingKey('data', bytes), envelope.value, identity);
  bytes.wipe();
  return value;
}

/** Moves an envelope's data key from one vault key to another; the value is not touched. */
export function rewrapEnvelope(
  keys: { from: SealingKey; to: { version: number; key: SealingKey } },
  envelope: Pick<Envelope, 'dataKey'>,
  place: { identity: string; random: Random },
): Pick<Envelope, 'keyVersion' | 'dataKey'> {
  const identity = dataKeyIdentity(place.identity);
  const bytes = open(keys.from, envelope.dataKey, identity);
  const dataKey = seal(keys.to.key, bytes, { identity, random: place.random });
  bytes.wipe();
  return { keyVersion: keys.to.version, dataKey };
}

function dataKeyIdentity(identity: string): string {
  return `data-key|${identity}`;
}

/** HMAC-SHA-256 (RFC 2104) of `parts` in order, under `key`. */
export function macOf(key: SecretBytes): (...parts: (string | Uint8Array)[]) => Uint8Array {
  const handle = createSecretKey(key.exposeBytes());
  return (...parts) => {
    const mac = createHmac('sha256', handle);
    for (const part of parts) mac.update(part);
    return mac.digest();
  };
}

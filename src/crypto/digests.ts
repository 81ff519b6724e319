/** Digests used as names: of tokens in caches, of verified secrets, and of foreign subjects as GUIDs. */
import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import type { SecretBytes } from '../core/secret-bytes.ts';

/** SHA-256 of the text's UTF-8 form, in base64 (44 characters). */
export function sha256Base64(text: string): string {
  return hash('sha256', text, 'base64');
}

/** Names values under a key, so that the names tell nothing to who reads them without it. */
export type KeyedDigest = (scope: string, value: SecretBytes) => string;

/** HMAC-SHA-256 under `key` over the scope and the value, in base64; the scope's length keeps them apart. */
export function createKeyedDigest(key: SecretBytes): KeyedDigest {
  const handle: KeyObject = createSecretKey(key.exposeBytes());
  return (scope, value) =>
    createHmac('sha256', handle)
      .update(`${Buffer.byteLength(scope)}:${scope}`, 'utf8')
      .update(value.exposeBytes())
      .digest('base64');
}

/**
 * A GUID that is always the same for the same namespace and name: RFC 9562 version 8 made from SHA-256 as in its
 * appendix B.2, since version 5 rests on SHA-1. Lower case. `namespace` is a GUID.
 */
export function nameBasedGuid(namespace: string, name: string): string {
  const prefix = Buffer.from(namespace.replaceAll('-', ''), 'hex');
  if (prefix.length !== 16) throw new TypeError('the namespace of a name-based GUID is a GUID');
  const bytes = hash('sha256', Buffer.concat([prefix, Buffer.from(name, 'utf8')]), 'buffer').subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

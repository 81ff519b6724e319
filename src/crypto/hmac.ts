/** HMAC (RFC 2104) with the digests that other systems' protocols name. */
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { SecretBytes } from '../core/secret-bytes.ts';

export type HmacDigest = 'sha256' | 'sha512';

/** The whole MAC of the parts in order: 32 or 64 bytes. */
export function hmac(digest: HmacDigest, key: SecretBytes, parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac(digest, createSecretKey(key.exposeBytes()));
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Compares in a time that tells nothing of where they differ. */
export function areSameMacs(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

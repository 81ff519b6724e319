/** Serial numbers of certificates. */
import { randomBytes } from 'node:crypto';

/** 16 octets, positive and without a leading zero (RFC 5280 §4.1.2.2). */
export function randomSerial(): Uint8Array<ArrayBuffer> {
  const octets = Uint8Array.from(randomBytes(16));
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return octets;
}

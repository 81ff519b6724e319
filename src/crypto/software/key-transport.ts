/**
 * Keys on their way from one system to another: an ephemeral AES-256 key under RSA-OAEP, and behind it the key under
 * AES key wrap with padding (CKM_RSA_AES_KEY_WRAP of PKCS#11 v3.0).
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { HashName, KeyTransportAlgorithm } from '../algorithms.ts';
import { NotDecrypted, type PublicJwk } from '../provider.ts';
import { unwrapPadded, wrapPadded } from './aes.ts';
import { oaepEncrypt } from './rsa-encryption.ts';
import { formatRsaPublic, longestModulus, parseRsaPublic, rsaSizes } from './rsa-modulus.ts';

const ephemeralBytes = 32;
/** RFC 8017 §3.1. Targets are others' keys: with OAEP an exponent of 3 is no weakness. */
const leastTargetExponent = 3;

/**
 * Wraps `octets` for the holder of the RSA key `to` (2048 to 4096 bits); throws `Failure('badParameter')` if `to` is no
 * such key.
 */
export function wrapForTransport(
  random: Random,
  algorithm: KeyTransportAlgorithm,
  key: { readonly octets: Uint8Array; readonly to: PublicJwk },
): Uint8Array {
  const target = parseTarget(key.to);
  const ephemeral = random.bytes(ephemeralBytes);
  try {
    return Buffer.concat([
      oaepEncrypt(target, algorithm.oaepHash, ephemeral),
      wrapPadded(ephemeral, key.octets),
    ]);
  } finally {
    ephemeral.fill(0);
  }
}

/** What opens the RSA part of a wrapped key. */
export interface TransportKey {
  readonly bits: number;
  decryptOaep(hash: HashName, ciphertext: Uint8Array): Promise<Uint8Array>;
}

/** The reverse of `wrapForTransport`; throws `NotDecrypted` for whatever is wrong with either part. */
export async function unwrapTransport(
  key: TransportKey,
  algorithm: KeyTransportAlgorithm,
  wrapped: Uint8Array,
): Promise<SecretBytes> {
  const modulus = key.bits / 8;
  if (wrapped.length <= modulus) throw new NotDecrypted();
  const ephemeral = await key.decryptOaep(algorithm.oaepHash, wrapped.subarray(0, modulus));
  try {
    if (ephemeral.length !== ephemeralBytes) throw new NotDecrypted();
    return unwrapPadded(ephemeral, wrapped.subarray(modulus));
  } finally {
    ephemeral.fill(0);
  }
}

function parseTarget(to: PublicJwk): KeyObject {
  if (to.n === undefined || to.e === undefined)
    throw new Failure('badParameter', 'A key can be wrapped for transport only with an RSA key (n, e).');
  const numbers = parseRsaPublic({ n: to.n, e: to.e }, { leastExponent: leastTargetExponent });
  const [least = 0] = rsaSizes;
  if (numbers.bits < least || numbers.bits > 8 * longestModulus)
    throw new Failure(
      'badParameter',
      `A key is wrapped for transport only with an RSA key of ${least} to ${8 * longestModulus} bits.`,
    );
  return createPublicKey({ key: { kty: 'RSA', ...formatRsaPublic(numbers) }, format: 'jwk' });
}

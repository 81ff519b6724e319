/** RSA encryption with a public key (RFC 8017 §7): tens of microseconds, so it runs where it is called. */
import { constants, type KeyObject, publicEncrypt } from 'node:crypto';
import { Failure } from '../../core/errors.ts';
import { type EncryptionAlgorithm, type HashName, hashBytes } from '../algorithms.ts';
import type { DecryptInput, EncryptInput } from '../provider.ts';

/** Under `algorithm` with a modulus of `bits`; throws `Failure('badParameter')` for a value that is too long. */
export function rsaEncrypt(
  key: { readonly publicKey: KeyObject; readonly bits: number },
  algorithm: EncryptionAlgorithm,
  plaintext: Uint8Array,
): Uint8Array {
  const longest = key.bits / 8 - overhead(algorithm);
  if (plaintext.length > longest)
    throw new Failure(
      'badParameter',
      `The value is too long for ${algorithm.name} with this key: at most ${longest} bytes.`,
    );
  if (algorithm.scheme === 'rsa-oaep' && algorithm.hash !== undefined)
    return oaepEncrypt(key.publicKey, algorithm.hash, plaintext);
  return publicEncrypt({ key: key.publicKey, padding: constants.RSA_PKCS1_PADDING }, plaintext);
}

/** RSAES-OAEP with an empty label; MGF1 uses the same hash. */
export function oaepEncrypt(publicKey: KeyObject, hash: HashName, plaintext: Uint8Array): Uint8Array {
  return publicEncrypt(
    { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash },
    plaintext,
  );
}

/** IV, AAD and tag are for symmetric keys: `Failure('badParameter')`. */
export function refuseSymmetricParameters(name: string, input: EncryptInput | DecryptInput): void {
  const given =
    input.iv !== undefined || input.aad !== undefined || ('tag' in input && input.tag !== undefined);
  if (given)
    throw new Failure(
      'badParameter',
      `${name} takes no IV, authentication tag or additional authenticated data.`,
    );
}

/** Octets that padding takes of a modulus (RFC 8017 §7.1.1, §7.2.1). */
function overhead({ name, scheme, hash }: EncryptionAlgorithm): number {
  if (scheme === 'rsa1_5') return 11;
  if (scheme === 'rsa-oaep' && hash !== undefined) return 2 * hashBytes[hash] + 2;
  throw new TypeError(`${name} is not RSA`);
}

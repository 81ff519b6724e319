/** Private keys of certificates: which are served, and how they go from PKCS#8 to a key provider as a JWK. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { Failure } from '../../core/errors.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { PrivateJwk } from '../provider.ts';
import { curvesByOpenSslName } from './public-keys.ts';

/** Throws a `badParameter` failure unless the key is RSA, or EC on one of the four curves that keys can have here. */
export function assertServedKey(key: KeyObject): void {
  const { asymmetricKeyType, asymmetricKeyDetails } = key;
  const isServed =
    asymmetricKeyType === 'rsa' ||
    (asymmetricKeyType === 'ec' &&
      Object.hasOwn(curvesByOpenSslName, asymmetricKeyDetails?.namedCurve ?? ''));
  if (!isServed) {
    throw new Failure(
      'badParameter',
      'The private key is not supported: it is neither RSA nor EC on P-256, P-384, P-521 or P-256K.',
    );
  }
}

/**
 * The private key in a PKCS#8 (DER) as what `KeyProvider.import` takes, which alone judges its numbers. The octets stay
 * the caller's; the copy made here is wiped, the members of the JWK are text and cannot be. Throws a `badParameter`
 * failure for what is not a key that is served.
 */
export function privateJwkOf(pkcs8: SecretBytes): PrivateJwk {
  const key = parse(pkcs8);
  assertServedKey(key);
  const { kty, ...rest } = key.export({ format: 'jwk' });
  if (kty !== 'RSA' && kty !== 'EC') throw new TypeError('a served key is RSA or EC');
  const members = Object.entries(rest).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return { kty, members: Object.fromEntries(members) };
}

/** Reads a PKCS#8 (DER) and overwrites the octets, whether or not they are one; throws when they are not. */
export function takePrivateKey(pkcs8: Uint8Array): KeyObject {
  const octets = Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.byteLength);
  try {
    return createPrivateKey({ key: octets, format: 'der', type: 'pkcs8' });
  } finally {
    octets.fill(0);
  }
}

function parse(pkcs8: SecretBytes): KeyObject {
  try {
    return takePrivateKey(Uint8Array.from(pkcs8.exposeBytes()));
  } catch (cause) {
    throw new Failure('badParameter', 'The private key is not a PKCS#8 that can be read.', { cause });
  }
}

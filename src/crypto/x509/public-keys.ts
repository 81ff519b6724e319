/** Public keys of certificates: between their JWK, the key object of `node:crypto` and SubjectPublicKeyInfo. */
import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { Failure } from '../../core/errors.ts';
import type { CurveName } from '../algorithms.ts';
import type { KeySpec, PublicJwk } from '../provider.ts';

/** The curves that keys can have here. */
export const curvesByOpenSslName: Readonly<Record<string, CurveName>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
  secp256k1: 'P-256K',
};

/** Throws `RangeError` for a key that is neither RSA nor EC: others sign no certificates here. */
export function publicKeyOf({ spec, publicJwk }: { spec: KeySpec; publicJwk: PublicJwk }): KeyObject {
  if (spec.type !== 'RSA' && spec.type !== 'EC') throw new RangeError('the key is neither RSA nor EC');
  const { n, e, x, y } = publicJwk;
  const key: webcrypto.JsonWebKey =
    spec.type === 'RSA'
      ? { kty: 'RSA', ...defined({ n, e }) }
      : { kty: 'EC', crv: spec.curve === 'P-256K' ? 'secp256k1' : spec.curve, ...defined({ x, y }) };
  return createPublicKey({ key, format: 'jwk' });
}

/** SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7). */
export function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }));
}

/** What kind of key it is, and its JWK. Throws `Failure('badParameter')` for kinds and curves that are not served. */
export function describePublicKey(key: KeyObject): { spec: KeySpec; publicJwk: PublicJwk } {
  const { asymmetricKeyType, asymmetricKeyDetails } = key;
  const { modulusLength, publicExponent, namedCurve = '' } = asymmetricKeyDetails ?? {};
  const curve = curvesByOpenSslName[namedCurve];
  if (asymmetricKeyType === 'rsa' && modulusLength !== undefined) {
    const { n, e } = key.export({ format: 'jwk' });
    const spec: KeySpec = { type: 'RSA', bits: modulusLength, exponent: Number(publicExponent) };
    return { spec, publicJwk: { n, e } };
  }
  if (asymmetricKeyType === 'ec' && curve !== undefined) {
    const { x, y } = key.export({ format: 'jwk' });
    return { spec: { type: 'EC', curve }, publicJwk: { crv: curve, x, y } };
  }
  throw new Failure(
    'badParameter',
    'The key of the certificate is neither RSA nor EC on P-256, P-384, P-521 or P-256K.',
  );
}

function defined(members: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(members).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

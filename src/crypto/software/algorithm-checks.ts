/** What callers have seen to, and nothing is signed without: that algorithm, key and digest belong together. */
import type { KeyObject } from 'node:crypto';
import type { SignatureAlgorithm } from '../algorithms.ts';
import { type Curve, curves } from './parameters.ts';

/** The curve of an EC key; throws for a curve that is not served and for a key of another type. */
export function curveOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Curve {
  const name = asymmetricKeyType === 'ec' ? asymmetricKeyDetails?.namedCurve : undefined;
  const curve = Object.values(curves).find(({ openssl }) => openssl === name);
  if (curve === undefined) throw new Error('the key is neither RSA nor on a curve that is served');
  return curve;
}

/** Throws `TypeError` for what is not ECDSA on this curve, or a digest of the wrong length. */
export function assertEcdsa(algorithm: SignatureAlgorithm, curve: Curve, digest: Uint8Array): void {
  if (algorithm.scheme !== 'ecdsa' || algorithm.only !== curve.name)
    throw new TypeError(`${algorithm.name} is not for keys on ${curve.name}`);
  assertDigest(algorithm, digest);
}

/** Throws `TypeError` for what is not an RSA signature, or a digest of the wrong length. */
export function assertRsa(algorithm: SignatureAlgorithm, digest: Uint8Array): void {
  if (algorithm.keyType !== 'RSA') throw new TypeError(`${algorithm.name} is not for RSA keys`);
  assertDigest(algorithm, digest);
}

/** ECDSA needs it most: of a digest that is longer than the curve's order only a part would be signed. */
function assertDigest({ digestBytes, name }: SignatureAlgorithm, digest: Uint8Array): void {
  if (digest.length !== digestBytes) throw new TypeError(`${name} signs digests of another length`);
}

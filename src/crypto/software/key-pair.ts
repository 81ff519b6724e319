/** Private keys of `node:crypto` as what the provider keeps: PKCS#8 in DER, and the public members of a JWK. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify, type webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { KeySpec, NewKey, PublicJwk } from '../provider.ts';

const signMessage = promisify(sign);
const pkcs8Form = { format: 'der', type: 'pkcs8' } as const;

/** What is kept and shown of a private key that was made or checked here. */
export function newKeyOf(spec: KeySpec, privateKey: KeyObject): NewKey {
  return {
    spec,
    publicJwk: publicJwkOf(spec, exportJwk(createPublicKey(privateKey))),
    material: new SecretBytes(privateKey.export(pkcs8Form)),
  };
}

/** `pub` of AKP keys is not yet in the types of `node:crypto`. */
export function exportJwk(key: KeyObject): webcrypto.JsonWebKey & { readonly pub?: string } {
  return key.export({ format: 'jwk' });
}

function publicJwkOf(spec: KeySpec, { n, e, x, y, pub }: ReturnType<typeof exportJwk>): PublicJwk {
  switch (spec.type) {
    case 'RSA':
      return { n, e };
    case 'EC':
      return { crv: spec.curve, x, y };
    case 'AKP':
      return { alg: spec.parameterSet, pub };
    case 'oct':
      return {};
  }
}

/** PKCS#8 as a key object of `node:crypto`. */
export function parsePkcs8(pkcs8: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.length), ...pkcs8Form });
}

/**
 * Whether what the private key signs the public key verifies: the pairwise consistency test of FIPS 140-3, for keys that
 * come in.
 */
export async function isPair(privateKey: KeyObject): Promise<boolean> {
  const digest = privateKey.asymmetricKeyType?.startsWith('ml-dsa') ? null : 'sha256';
  const message = Buffer.from('pairwise consistency');
  const signature = await signMessage(digest, message, privateKey).catch(() => undefined);
  return signature !== undefined && verify(digest, message, createPublicKey(privateKey), signature);
}

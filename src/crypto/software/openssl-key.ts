/**
 * What the rows of algorithms are in OpenSSL's terms: settings of a call, forms of signatures, and the bounds that are
 * checked before OpenSSL sees a value.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { CurveName, SignatureAlgorithm } from '../algorithms.ts';
import { assertEcdsa, assertRsa, curveOf } from './algorithm-checks.ts';
import type { DecryptionAlgorithm } from './asymmetric.ts';
import { derFromRaw, rawFromDer } from './ecdsa-form.ts';
import type { Evp, EvpKey, PreparedCall, Settings } from './evp.ts';

/** One key in OpenSSL. Throws `TypeError` for an algorithm or a digest that is not for the key. */
export interface OpenSslKey {
  /** Undefined for RSA. */
  readonly curve: CurveName | undefined;
  /** Of a signature, at most, in bytes; for RSA the length of the modulus. */
  readonly size: number;
  sign(algorithm: SignatureAlgorithm, digest: Uint8Array): PreparedCall<Uint8Array>;
  verify(
    algorithm: SignatureAlgorithm,
    digest: Uint8Array,
    signature: Uint8Array,
  ): PreparedCall<boolean> | undefined;
  /** The call's result is undefined if the ciphertext is refused. */
  decrypt(algorithm: DecryptionAlgorithm, ciphertext: Uint8Array): PreparedCall<Uint8Array | undefined>;
  /** Calls that were set up before still end. */
  free(): void;
}

/** Throws for what is not the PKCS#8 of an RSA key or of a key on one of the served curves. */
export function loadOpenSslKey(evp: Evp, pkcs8: Uint8Array): OpenSslKey {
  const key = evp.load(pkcs8);
  try {
    const publicKey = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' });
    return publicKey.asymmetricKeyType === 'rsa' ? rsaKey(key, publicKey) : ecKey(key, publicKey);
  } catch (error) {
    key.free();
    throw error;
  }
}

function rsaKey(key: EvpKey, publicKey: KeyObject): OpenSslKey {
  const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n ?? '', 'base64url');
  if (modulus.length !== key.size) throw new Error('the modulus does not have the length of the key');
  /** Below every modulus of this length; stands in for what the modulus refuses. */
  const standIn = Buffer.alloc(key.size, 1).fill(0, 0, 1);
  return {
    curve: undefined,
    size: key.size,
    sign(algorithm, digest) {
      assertRsa(algorithm, digest);
      return mapped(key.sign(rsaSignature(algorithm), digest), (signature) => {
        if (signature.length !== key.size)
          throw new Error('a signature does not have the length of the modulus');
        return signature;
      });
    },
    verify(algorithm, digest, signature) {
      assertRsa(algorithm, digest);
      const settings = rsaSignature(algorithm);
      // RFC 8017 §8.1.2 and §8.2.2, step 1.
      return signature.length === key.size ? key.verify(settings, digest, signature) : undefined;
    },
    decrypt(algorithm, ciphertext) {
      // RFC 8017 §7.1.2 step 1 and §5.1.2. OpenSSL would refuse these sooner than a wrong padding, or take a short one.
      const isInRange = ciphertext.length === key.size && Buffer.compare(ciphertext, modulus) < 0;
      const call = key.decrypt(rsaDecryption(algorithm), isInRange ? ciphertext : standIn);
      return mapped(call, (plaintext) => (isInRange ? plaintext : undefined));
    },
    free: key.free,
  };
}

function ecKey(key: EvpKey, publicKey: KeyObject): OpenSslKey {
  const curve = curveOf(publicKey);
  return {
    curve: curve.name,
    size: 2 * curve.bytes,
    sign(algorithm, digest) {
      assertEcdsa(algorithm, curve, digest);
      return mapped(key.sign([], digest), (der) => rawFromDer(der, curve.bytes));
    },
    verify(algorithm, digest, signature) {
      assertEcdsa(algorithm, curve, digest);
      return signature.length === 2 * curve.bytes ? key.verify([], digest, derFromRaw(signature)) : undefined;
    },
    decrypt() {
      throw new TypeError('an EC key does not decrypt');
    },
    free: key.free,
  };
}

/** PSS: the salt is as long as the hash, which MGF1 uses too (RFC 7518 §3.5). */
function rsaSignature({ scheme, hash, name }: SignatureAlgorithm): Settings {
  if (hash !== undefined && scheme === 'pkcs1') {
    return [
      ['rsa_padding_mode', 'pkcs1'],
      ['digest', hash],
    ];
  }
  if (hash !== undefined && scheme === 'pss') {
    return [
      ['rsa_padding_mode', 'pss'],
      ['digest', hash],
      ['rsa_mgf1_md', hash],
      ['rsa_pss_saltlen', 'digest'],
    ];
  }
  throw new TypeError(`${name} is not for RSA keys`);
}

/**
 * PKCS#1 v1.5: OpenSSL's implicit rejection, which answers a wrong padding with made-up octets, is off, since the API must
 * report the failure. What is left of the oracle is the API's own: that a ciphertext was refused, never why.
 */
function rsaDecryption({ scheme, hash }: DecryptionAlgorithm): Settings {
  if (scheme === 'rsa1_5') {
    return [
      ['rsa_padding_mode', 'pkcs1'],
      ['rsa_pkcs1_implicit_rejection', '0'],
    ];
  }
  if (scheme === 'rsa-oaep' && hash !== undefined) {
    return [
      ['rsa_padding_mode', 'oaep'],
      ['rsa_oaep_md', hash],
      ['rsa_mgf1_md', hash],
    ];
  }
  throw new TypeError(`${scheme} is not for RSA keys`);
}

function mapped<T, U>(call: PreparedCall<T>, map: (result: T) => U): PreparedCall<U> {
  return { here: () => map(call.here()), inPool: () => call.inPool().then(map) };
}

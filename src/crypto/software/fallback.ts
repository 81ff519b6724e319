/**
 * RSA and EC keys without OpenSSL's EVP functions: on the event loop, with what `node:crypto` offers for given digests and
 * `@noble/curves`. Slower, and its ECDSA is JavaScript, whose timing nobody can vouch for: only for where OpenSSL cannot
 * be called.
 */
import {
  constants,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
} from 'node:crypto';
import { createRequire } from 'node:module';
import type { ECDSA } from '@noble/curves/abstract/weierstrass.js';
import { Failure } from '../../core/errors.ts';
import type { CurveName } from '../algorithms.ts';
import { KeyHandleClosed, NotDecrypted } from '../provider.ts';
import { assertEcdsa, assertRsa, curveOf } from './algorithm-checks.ts';
import type { AsymmetricEngine, AsymmetricKey, DecryptionAlgorithm } from './asymmetric.ts';
import { parsePkcs8 } from './key-pair.ts';
import { encodedFor, isEncodingOf } from './rsa-encodings.ts';

export function createFallbackEngine(): AsymmetricEngine {
  return { kind: 'fallback', load };
}

function load(pkcs8: Uint8Array): AsymmetricKey {
  const key = parsePkcs8(pkcs8);
  return closable(key.asymmetricKeyType === 'rsa' ? rsaKey(key) : ecKey(key));
}

/** The calls are over when they return, so that closing has nothing to wait for. */
function closable(key: AsymmetricKey): AsymmetricKey {
  let open: AsymmetricKey | undefined = key;
  const opened = () => {
    if (open === undefined) throw new KeyHandleClosed();
    return open;
  };
  return {
    sign: async (...parameters) => opened().sign(...parameters),
    verify: async (...parameters) => opened().verify(...parameters),
    decrypt: async (...parameters) => opened().decrypt(...parameters),
    close() {
      open?.close();
      open = undefined;
    },
  };
}

function rsaKey(key: KeyObject): AsymmetricKey {
  const publicKey = createPublicKey(key);
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
  const size = Math.ceil(bits / 8);
  const raw = { padding: constants.RSA_NO_PADDING };
  return {
    async sign(algorithm, digest) {
      assertRsa(algorithm, digest);
      return privateEncrypt({ key, ...raw }, encodedFor(algorithm, digest, bits));
    },
    async verify(algorithm, digest, signature) {
      assertRsa(algorithm, digest);
      if (signature.length !== size) return false;
      const encoded = attempt(() => publicDecrypt({ key: publicKey, ...raw }, signature));
      return encoded !== undefined && isEncodingOf(encoded, { algorithm, digest, bits });
    },
    async decrypt(algorithm, ciphertext) {
      const refusal = new NotDecrypted();
      const settings = decryptionSettings(algorithm);
      const plaintext =
        ciphertext.length === size
          ? attempt(() => privateDecrypt({ key, ...settings }, ciphertext))
          : undefined;
      if (plaintext === undefined) throw refusal;
      return plaintext;
    },
    close() {},
  };
}

/** `privateDecrypt` answers a wrong PKCS#1 v1.5 padding with made-up octets, which no client could tell from its own. */
function decryptionSettings({ scheme, hash }: DecryptionAlgorithm) {
  if (scheme === 'rsa1_5') {
    throw new Failure(
      'badParameter',
      'RSA1_5 cannot be decrypted by this server, because its OpenSSL library cannot be called; use RSA-OAEP-256.',
    );
  }
  if (scheme !== 'rsa-oaep' || hash === undefined) throw new TypeError(`${scheme} is not for RSA keys`);
  return { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash };
}

/** Loaded when the first key needs it: it takes 30 ms, which nobody waits for where OpenSSL is used. */
function ecdsaOn(curve: CurveName): ECDSA {
  const load = createRequire(import.meta.url);
  const nist: typeof import('@noble/curves/nist.js') = load('@noble/curves/nist.js');
  const koblitz: typeof import('@noble/curves/secp256k1.js') = load('@noble/curves/secp256k1.js');
  const methods: Readonly<Record<CurveName, ECDSA>> = {
    'P-256': nist.p256,
    'P-384': nist.p384,
    'P-521': nist.p521,
    'P-256K': koblitz.secp256k1,
  };
  return methods[curve];
}

/** The value is a digest, and s may be in the upper half of the order, as it is with OpenSSL. */
const plainEcdsa = { prehash: false, lowS: false } as const;

function ecKey(key: KeyObject): AsymmetricKey {
  const curve = curveOf(key);
  const { d = '' } = key.export({ format: 'jwk' });
  const secret = Buffer.from(d, 'base64url');
  const methods = ecdsaOn(curve.name);
  const publicKey = methods.getPublicKey(secret);
  return {
    async sign(algorithm, digest) {
      assertEcdsa(algorithm, curve, digest);
      return methods.sign(digest, secret, plainEcdsa);
    },
    async verify(algorithm, digest, signature) {
      assertEcdsa(algorithm, curve, digest);
      if (signature.length !== 2 * curve.bytes) return false;
      return attempt(() => methods.verify(signature, digest, publicKey, plainEcdsa)) ?? false;
    },
    async decrypt() {
      throw new TypeError('an EC key does not decrypt');
    },
    close() {
      secret.fill(0);
    },
  };
}

/** Undefined where the function throws: for values that others sent, whatever is wrong with them. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    return undefined;
  }
}

/**
 * Keys in memory, by type: what each can do with its material. A key is parsed once, when it is first needed. The
 * handle above sees to who may call and when the key is wiped.
 */
import { createHmac, createPublicKey, sign, timingSafeEqual, verify } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { EncryptionAlgorithm, HashName, SignatureAlgorithm } from '../algorithms.ts';
import type { DecryptInput, Encrypted, EncryptInput, KeySpec } from '../provider.ts';
import { type AesKey, aesDecrypt, aesEncrypt } from './aes.ts';
import type { AsymmetricEngine, AsymmetricKey } from './asymmetric.ts';
import { parsePkcs8 } from './key-pair.ts';
import type { PoolLanes } from './pool.ts';
import { refuseSymmetricParameters, rsaEncrypt } from './rsa-encryption.ts';
import type { Turns } from './turns.ts';

const signMessage = promisify(sign);
const verifyMessage = promisify(verify);

/** What a key of some type does; throws `TypeError` for what its type does not do. */
export interface HeldKey {
  sign(algorithm: SignatureAlgorithm, value: Uint8Array): Promise<Uint8Array>;
  verify(algorithm: SignatureAlgorithm, value: Uint8Array, signature: Uint8Array): Promise<boolean>;
  encrypt(algorithm: EncryptionAlgorithm, input: EncryptInput): Promise<Encrypted>;
  decrypt(algorithm: EncryptionAlgorithm, input: DecryptInput): Promise<SecretBytes>;
  /** RSA only: RSAES-OAEP with any hash, for key transport. */
  decryptOaep(hash: HashName, ciphertext: Uint8Array): Promise<Uint8Array>;
  /** Drops what was parsed. */
  close(): void;
}

export interface HeldKeyDeps {
  readonly engine: AsymmetricEngine;
  readonly random: Random;
  readonly pool: PoolLanes;
}

/** `material` stays the caller's, and valid until `close`. */
export function holdKey(deps: HeldKeyDeps, spec: KeySpec, material: Uint8Array): HeldKey {
  switch (spec.type) {
    case 'RSA':
      return holdRsa(deps.engine, spec.bits, material);
    case 'EC':
      return holdEc(deps.engine, material);
    case 'oct':
      if (8 * material.length !== spec.bits)
        throw new TypeError('the material does not have the size of the key');
      return holdOctets({ octets: material, random: deps.random });
    case 'AKP':
      return holdMlDsa(deps.pool.short, material);
  }
}

const unable = async (): Promise<never> => {
  throw new TypeError('keys of this type do not do that');
};
const nothing: HeldKey = {
  sign: unable,
  verify: unable,
  encrypt: unable,
  decrypt: unable,
  decryptOaep: unable,
  close: () => undefined,
};

function holdEc(engine: AsymmetricEngine, pkcs8: Uint8Array): HeldKey {
  const key = once(() => engine.load(pkcs8));
  return { ...nothing, ...signing(key), close: () => key.take()?.close() };
}

function holdRsa(engine: AsymmetricEngine, bits: number, pkcs8: Uint8Array): HeldKey {
  const key = once(() => engine.load(pkcs8));
  const publicKey = once(() => createPublicKey(parsePkcs8(pkcs8)));
  return {
    ...signing(key),
    async encrypt(algorithm, input) {
      refuseSymmetricParameters(algorithm.name, input);
      const ciphertext = rsaEncrypt({ publicKey: publicKey.get(), bits }, algorithm, input.plaintext);
      return { ciphertext, iv: undefined, tag: undefined };
    },
    async decrypt(algorithm, input) {
      refuseSymmetricParameters(algorithm.name, input);
      return new SecretBytes(await key.get().decrypt(algorithm, input.ciphertext));
    },
    decryptOaep: (hash, ciphertext) => key.get().decrypt({ scheme: 'rsa-oaep', hash }, ciphertext),
    close: () => key.take()?.close(),
  };
}

function signing(key: Once<AsymmetricKey>): Pick<HeldKey, 'sign' | 'verify'> {
  return {
    sign: (algorithm, digest) => key.get().sign(algorithm, digest),
    verify: (algorithm, digest, signature) => key.get().verify(algorithm, digest, signature),
  };
}

function holdOctets(key: AesKey): HeldKey {
  return {
    ...nothing,
    sign: async ({ hash }, value) => hmac(key.octets, hash, value),
    async verify({ hash }, value, signature) {
      const expected = hmac(key.octets, hash, value);
      return signature.length === expected.length && timingSafeEqual(signature, expected);
    },
    encrypt: async (algorithm, input) => aesEncrypt(key, algorithm, input),
    decrypt: async (algorithm, input) => aesDecrypt(key, algorithm, input),
  };
}

function hmac(key: Uint8Array, hash: HashName | undefined, value: Uint8Array): Buffer {
  if (hash === undefined) throw new TypeError('HMAC needs a hash');
  return createHmac(hash, key).update(value).digest();
}

/** Pure ML-DSA with an empty context (FIPS 204 algorithms 2 and 3), hedged, off the event loop. */
function holdMlDsa(turns: Turns, pkcs8: Uint8Array): HeldKey {
  const key = once(() => parsePkcs8(pkcs8));
  return {
    ...nothing,
    sign: (_, message) => turns(() => signMessage(null, message, key.get())),
    verify: (_, message, signature) => turns(() => verifyMessage(null, message, key.get(), signature)),
    // OpenSSL wipes it when it is collected.
    close: () => key.take(),
  };
}

interface Once<T> {
  get(): T;
  /** What was made, if it was; it is forgotten. */
  take(): T | undefined;
}

function once<T>(make: () => T): Once<T> {
  let value: T | undefined;
  return {
    get: () => {
      value ??= make();
      return value;
    },
    take: () => {
      const made = value;
      value = undefined;
      return made;
    },
  };
}

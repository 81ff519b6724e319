/** Key pairs, engines and algorithms for the tests of RSA and EC keys. */
import { createHash, generateKeyPair, type KeyObject, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { silentLog } from '../../src/core/log.ts';
import { type SignatureAlgorithm, signatureAlgorithms } from '../../src/crypto/algorithms.ts';
import {
  type AsymmetricEngine,
  type AsymmetricKey,
  createAsymmetricEngine,
} from '../../src/crypto/software/asymmetric.ts';

export const generate = promisify(generateKeyPair);

export const openssl = createAsymmetricEngine({ log: silentLog });
// The tests would pass on the fallback alone.
if (openssl.kind !== 'openssl') throw new Error('the library of this Node.js does not pass the self-test');
export const fallback = createAsymmetricEngine({ log: silentLog, insecureForceFallback: true });
/** Each with the other. */
export const engines: readonly (readonly [string, AsymmetricEngine, AsymmetricEngine])[] = [
  ['OpenSSL', openssl, fallback],
  ['fallback', fallback, openssl],
];

export const rsaRows = signatureAlgorithms.filter(({ keyType }) => keyType === 'RSA');
export const ecRows = signatureAlgorithms.filter(({ keyType }) => keyType === 'EC');

export function row(name: string): SignatureAlgorithm {
  const found = signatureAlgorithms.find((algorithm) => algorithm.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

export interface Pair {
  readonly pkcs8: Buffer;
  readonly publicKey: KeyObject;
}

export function pairOf({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Pair {
  return { pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }), publicKey };
}

export async function rsaPair(modulusLength: number): Promise<Pair> {
  return pairOf(await generate('rsa', { modulusLength }));
}

const curves = { 'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1', 'P-256K': 'secp256k1' };

export async function ecPair({ only }: SignatureAlgorithm): Promise<Pair> {
  return pairOf(await generate('ec', { namedCurve: curves[only as keyof typeof curves] }));
}

export function digestFor({ hash = 'sha256' }: SignatureAlgorithm, message: Uint8Array): Buffer {
  return createHash(hash).update(message).digest();
}

/** What `node:crypto` says, which does its own hashing and knows r‖s. */
export function nodeVerifies(
  { scheme, hash }: SignatureAlgorithm,
  { publicKey }: Pair,
  [message, signature]: readonly [Uint8Array, Uint8Array],
): boolean {
  const options = {
    pkcs1: { padding: 1 },
    pss: { padding: 6, saltLength: -1 },
    ecdsa: { dsaEncoding: 'ieee-p1363' as const },
  }[scheme as 'pkcs1' | 'pss' | 'ecdsa'];
  return verify(hash, message, { key: publicKey, ...options }, signature);
}

export async function withKey<T>(
  engine: AsymmetricEngine,
  { pkcs8 }: Pair,
  use: (key: AsymmetricKey) => Promise<T>,
): Promise<T> {
  const key = engine.load(pkcs8);
  try {
    return await use(key);
  } finally {
    key.close();
  }
}

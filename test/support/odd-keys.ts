/**
 * Private keys from outside in every shape that a careless encoder would lose: numbers with leading zero bytes in each
 * member that can have them, found by search, and the first and last of a range.
 */
import { createECDH, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { publicKeyOf } from './key-model.ts';

export type Members = Readonly<Record<string, string>>;

export interface OddKey {
  readonly label: string;
  /** As it is sent; `-HSM` for a symmetric one. */
  readonly jwk: Members;
  /** Its members that are shown, as they are to be shown. */
  readonly shown: Members;
  /** Undefined for a symmetric one. */
  readonly publicKey: KeyObject | undefined;
}

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

const curves = [
  { crv: 'P-256', openssl: 'prime256v1', bytes: 32, zeros: 1 },
  { crv: 'P-384', openssl: 'secp384r1', bytes: 48, zeros: 1 },
  // The first byte is 0 or 1 in any case.
  { crv: 'P-521', openssl: 'secp521r1', bytes: 66, zeros: 2 },
  { crv: 'P-256K', openssl: 'secp256k1', bytes: 32, zeros: 1 },
] as const;

function ecKey({ crv, bytes }: (typeof curves)[number], point: Buffer, d: Buffer): Members {
  return {
    kty: 'EC',
    crv,
    x: base64url(point.subarray(1, 1 + bytes)),
    y: base64url(point.subarray(1 + bytes)),
    d: base64url(Buffer.concat([Buffer.alloc(bytes - d.length), d])),
  };
}

function startsWithZeros(text: string | undefined, zeros: number): boolean {
  return Buffer.from(text ?? '', 'base64url')
    .subarray(0, zeros)
    .every((byte) => byte === 0);
}

/** For each curve a key with a short `x`, one with a short `y`, one with a short `d`, and that of 1. */
export function oddEcKeys(): OddKey[] {
  return curves.flatMap((curve) => {
    const ecdh = createECDH(curve.openssl);
    const short = (member: string): Members => {
      for (;;) {
        const key = ecKey(curve, ecdh.generateKeys(), ecdh.getPrivateKey());
        if (startsWithZeros(key[member], curve.zeros)) return key;
      }
    };
    const one = Buffer.concat([Buffer.alloc(curve.bytes - 1), Buffer.of(1)]);
    ecdh.setPrivateKey(one);
    const first = ecKey(curve, ecdh.getPublicKey(), one);
    const named: [string, Members][] = ['x', 'y', 'd'].map((member) => [`a short ${member}`, short(member)]);
    return [...named, ['the first private value', first] as const].map(([what, jwk]) => {
      const { kty = '', crv = '', x = '', y = '' } = jwk;
      const shown = { kty, crv, x, y };
      return { label: `${curve.crv}, ${what}`, jwk, shown, publicKey: publicKeyOf(shown) };
    });
  });
}

function inverse(value: bigint, modulus: bigint): bigint | undefined {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b, x, y] = [b, a - quotient * b, y, x - quotient * y];
  }
  return a === 1n ? ((x % modulus) + modulus) % modulus : undefined;
}

const numberOf = (text: string | undefined) =>
  BigInt(`0x${Buffer.from(text ?? '', 'base64url').toString('hex')}`);

/** Base64urlUInt (RFC 7518 §2), with so many zero bytes in front as some encoders leave there. */
function encoded(value: bigint, zeros = 0): string {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return base64url(Buffer.concat([Buffer.alloc(zeros), bytes]));
}

interface RsaNumbers {
  readonly p: bigint;
  readonly q: bigint;
  readonly e: bigint;
  readonly d: bigint;
}

function rsaKey({ p, q, e, d }: RsaNumbers, zeros = 0): Members {
  const numbers = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) ?? 0n };
  const members = Object.entries(numbers).map(([name, value]) => [name, encoded(value, zeros)]);
  return { kty: 'RSA', ...Object.fromEntries(members) };
}

/** Of one pair of primes: exponents for which a private number is short, one of four bytes, and signs in front. */
export function oddRsaKeys(): OddKey[] {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const made = privateKey.export({ format: 'jwk' }) as Members;
  const [p, q] = [numberOf(made.p), numberOf(made.q)];
  const phi = (p - 1n) * (q - 1n);
  /** The first exponent whose inverse has no more than so many bits. */
  const search = (modulus: bigint, bits: bigint, from = 65_537n): RsaNumbers => {
    for (let e = from; ; e += 2n) {
      const found = inverse(e, modulus);
      const d = found !== undefined && found >> bits === 0n ? inverse(e, phi) : undefined;
      if (d !== undefined) return { p, q, e, d };
    }
  };
  const usual = search(phi, 2048n);
  const keys: [string, Members][] = [
    ['a short d', rsaKey(search(phi, 2040n))],
    ['a short dp', rsaKey(search(p - 1n, 1016n))],
    ['a short dq', rsaKey(search(q - 1n, 1016n))],
    ['an exponent of four bytes', rsaKey(search(phi, 2048n, 2n ** 31n - 4097n))],
    ['a zero byte before each number', rsaKey(usual, 1)],
    ['its primes the other way round', rsaKey({ ...usual, p: q, q: p })],
  ];
  return keys.map(([what, jwk]) => {
    const shown = { kty: 'RSA', n: encoded(p * q), e: encoded(numberOf(jwk.e)) };
    return { label: `RSA, ${what}`, jwk, shown, publicKey: publicKeyOf(shown) };
  });
}

export function oddSymmetricKeys(): OddKey[] {
  return [16, 24, 32].flatMap((length) =>
    [Buffer.alloc(length), Buffer.concat([Buffer.alloc(2), randomBytes(length - 2)])].map((k, index) => ({
      label: `${8 * length} bits, ${index === 0 ? 'all zero' : 'two zero bytes first'}`,
      jwk: { kty: 'oct-HSM', k: base64url(k) },
      shown: { kty: 'oct-HSM' },
      publicKey: undefined,
    })),
  );
}

const parameterSets = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'];

/** From seeds: PKCS#8 with the seed alone (RFC 9881 §6), of which OpenSSL makes the public key. */
export function oddMlDsaKeys(): OddKey[] {
  return parameterSets.flatMap((alg, set) =>
    [Buffer.alloc(32), Buffer.concat([Buffer.alloc(2), randomBytes(30)])].map((seed, index) => {
      const head = Buffer.from(
        `3034020100300b06096086480165030403${(0x11 + set).toString(16)}04228020`,
        'hex',
      );
      const key = createPublicKey({ key: pem(Buffer.concat([head, seed])), format: 'pem' });
      // All but the head of SubjectPublicKeyInfo, which has 22 bytes.
      const pub = base64url(key.export({ type: 'spki', format: 'der' }).subarray(22));
      const shown = { kty: 'AKP', alg, pub };
      const label = `${alg}, seed of ${index === 0 ? 'zeros' : 'two zero bytes and chance'}`;
      return { label, jwk: { ...shown, priv: base64url(seed) }, shown, publicKey: publicKeyOf(shown) };
    }),
  );
}

function pem(pkcs8: Buffer): string {
  return `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`;
}

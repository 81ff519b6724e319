/**
 * RSA private keys from elsewhere: every number is checked against every other before OpenSSL sees any of them, since
 * a wrong CRT member turns the first signature into a factor of the modulus (Boneh, DeMillo, Lipton 1997).
 *
 * BigInt arithmetic takes a time that depends on the numbers. That is acceptable here and only here: the one who could
 * measure it is the one who sent the key.
 */
import { checkPrime } from 'node:crypto';
import { promisify } from 'node:util';
import { formatUnsigned, invalidKey, type JwkMembers, parseUnsigned } from './jwk-members.ts';
import type { PoolLanes } from './pool.ts';
import {
  formatRsaPublic,
  longestModulus,
  parseRsaPublic,
  type RsaPublicNumbers,
  rsaSizes,
  smallestExponent,
} from './rsa-modulus.ts';

interface RsaNumbers extends RsaPublicNumbers {
  readonly d: bigint;
  readonly p: bigint;
  readonly q: bigint;
  readonly dp: bigint;
  readonly dq: bigint;
  readonly qi: bigint;
}

/** A checked key in canonical members, ready for `createPrivateKey`. */
export interface CheckedRsa {
  readonly jwk: Readonly<Record<string, string>>;
  readonly bits: number;
  readonly exponent: number;
}

const crtNames = ['p', 'q', 'dp', 'dq', 'qi'] as const;
const isPrime = promisify(checkPrime);

/** Parses and checks the members of RFC 7518 §6.3; all of §6.3.2 is required but `oth`: no product of more primes passes. */
export async function checkRsa(pool: PoolLanes, members: JwkMembers): Promise<CheckedRsa> {
  assertComplete(members);
  const numbers = parseNumbers(members);
  assertConsistent(numbers);
  assertPrimesApart(numbers);
  const isRight = await pool.long(async () => (await isPrime(numbers.p)) && (await isPrime(numbers.q)));
  if (!isRight) throw invalidKey('p or q is not prime');
  return { jwk: canonical(numbers), bits: numbers.bits, exponent: Number(numbers.e) };
}

function assertComplete(members: JwkMembers): void {
  const missing = crtNames.filter((name) => members[name] === undefined);
  if (members.d === undefined) {
    if (missing.length === crtNames.length) throw invalidKey('it has no private part (d, p, q, dp, dq, qi)');
    throw invalidKey('d is missing');
  }
  if (missing.length > 0) throw invalidKey(`${missing.join(', ')} must be given with d`);
}

function parseNumbers(members: JwkMembers): RsaNumbers {
  const publicNumbers = parseRsaPublic(members, { leastExponent: smallestExponent });
  if (!rsaSizes.includes(publicNumbers.bits))
    throw invalidKey(`n does not have ${rsaSizes.slice(0, -1).join(', ')} or ${rsaSizes.at(-1)} bits`);
  const number = (name: string) => parseUnsigned(members, name, longestModulus);
  const [p, q, dp, dq, qi] = [number('p'), number('q'), number('dp'), number('dq'), number('qi')];
  return { ...publicNumbers, d: number('d'), p, q, dp, dq, qi };
}

/** RFC 8017 §3.2; and the bound of FIPS 186-5 §A.1.1 on the least `d`, below which `n` can be factored. */
function assertConsistent({ n, e, d, p, q, dp, dq, qi, bits }: RsaNumbers): void {
  if (bitsOf(p) !== bits / 2 || bitsOf(q) !== bits / 2)
    throw invalidKey('p and q do not have half the bits of n');
  if (p * q !== n) throw invalidKey('n is not the product of p and q');
  if (p === q) throw invalidKey('p and q are equal');
  if (d >= n) throw invalidKey('d is not less than n');
  if ((e * d) % (p - 1n) !== 1n || (e * d) % (q - 1n) !== 1n) throw invalidKey('d is not the inverse of e');
  const leastD = d % leastCommonMultiple(p - 1n, q - 1n);
  if (leastD <= 1n << BigInt(bits / 2)) throw invalidKey('d is too small for the size of n');
  if (dp !== d % (p - 1n)) throw invalidKey('dp is not d modulo p - 1');
  if (dq !== d % (q - 1n)) throw invalidKey('dq is not d modulo q - 1');
  if (qi >= p || (qi * q) % p !== 1n) throw invalidKey('qi is not the inverse of q modulo p');
}

/** FIPS 186-5 §A.1.3: otherwise Fermat's method finds them from `n`. */
function assertPrimesApart({ p, q, bits }: RsaNumbers): void {
  const distance = p > q ? p - q : q - p;
  if (distance <= 1n << BigInt(bits / 2 - 100)) throw invalidKey('p and q are too close to each other');
}

function canonical(numbers: RsaNumbers): CheckedRsa['jwk'] {
  const { d, p, q, dp, dq, qi } = numbers;
  const secret = Object.entries({ d, p, q, dp, dq, qi }).map(([name, value]) => [
    name,
    formatUnsigned(value),
  ]);
  return { kty: 'RSA', ...formatRsaPublic(numbers), ...Object.fromEntries(secret) };
}

function leastCommonMultiple(a: bigint, b: bigint): bigint {
  let [divisor, rest] = [a, b];
  while (rest !== 0n) [divisor, rest] = [rest, divisor % rest];
  return (a / divisor) * b;
}

function bitsOf(value: bigint): number {
  return value.toString(2).length;
}

/** Rules for the public half of RSA keys, ours and others'. */
import { formatUnsigned, invalidKey, type JwkMembers, parseUnsigned } from './jwk-members.ts';

/** Bits of the moduli that are served. */
export const rsaSizes: readonly number[] = [2048, 3072, 4096];

/** Public exponents of served keys: odd, at least F4 (FIPS 186-5 §A.1.1), at most what fits 32 bits. */
export const smallestExponent = 65_537;
export const largestExponent = 0xffff_ffff;

/** Longest modulus of any RSA key that comes in, in octets. */
export const longestModulus = 512;

export interface RsaPublicNumbers {
  readonly n: bigint;
  readonly e: bigint;
  /** Bits of `n`. */
  readonly bits: number;
}

/** Reads `n` and `e` and refuses what cannot be an RSA key or what CVE-2017-15361 has broken. */
export function parseRsaPublic(members: JwkMembers, rules: { leastExponent: number }): RsaPublicNumbers {
  const n = parseUnsigned(members, 'n', longestModulus);
  const e = parseUnsigned(members, 'e', longestModulus);
  if (n % 2n === 0n) throw invalidKey('n is even');
  if (e % 2n === 0n) throw invalidKey('e is even');
  if (e < BigInt(rules.leastExponent)) throw invalidKey(`e is less than ${rules.leastExponent}`);
  if (e > BigInt(largestExponent)) throw invalidKey('e has more than 32 bits');
  if (hasRocaFingerprint(n))
    throw invalidKey('n was made by a generator with a known weakness, CVE-2017-15361');
  return { n, e, bits: n.toString(2).length };
}

/** The canonical public members. */
export function formatRsaPublic({ n, e }: RsaPublicNumbers): { readonly n: string; readonly e: string } {
  return { n: formatUnsigned(n), e: formatUnsigned(e) };
}

/** The odd primes of the smallest primorial M that the broken generator used. */
const smallPrimes = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/**
 * Whether `n` may come from the broken generator of CVE-2017-15361 (Nemec et al., CCS 2017, §3): its primes are
 * k·M + (65537^a mod M), so that modulo every small prime `n` is a power of 65537. By chance about one key in 2^27 is.
 */
function hasRocaFingerprint(n: bigint): boolean {
  return smallPrimes.every((prime) => {
    const remainder = Number(n % BigInt(prime));
    let power = 1;
    do {
      if (power === remainder) return true;
      power = (power * 65_537) % prime;
    } while (power !== 1);
    return false;
  });
}

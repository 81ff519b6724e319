/**
 * The life of token signing keys. A key is published 24 hours before it signs, signs for 30 days and stays
 * published until the last token that it signed has expired. Nothing here reads a clock or a store.
 */
import type { SecretBytes } from '../core/secret-bytes.ts';
import type { PublicTokenKey, TokenKeyPair } from '../crypto/token-keys.ts';

/** A signing key with its times, in milliseconds since 1970. */
export interface SigningKey {
  readonly kid: string;
  readonly publicJwk: PublicTokenKey;
  /** PKCS#8 in DER; the store seals it. */
  readonly privateKey: SecretBytes;
  /** Signs from then on. */
  readonly notBefore: number;
  /** Signs no more. */
  readonly retires: number;
  /** Leaves the JWKS; tokens that it signed are refused. */
  readonly expires: number;
}

/** Where signing keys are kept, for all nodes. */
export interface SigningKeyStore {
  /** All keys, and a revision that grows with every save and starts at 0. */
  load(): Promise<{ keys: readonly SigningKey[]; revision: number }>;
  /** Replaces all keys if the revision is still the given one: resolves to the new revision, else to undefined. */
  save(keys: readonly SigningKey[], revision: number): Promise<number | undefined>;
}

/** The longest lifetime of a token, in seconds: a managed identity's. */
export const longestTokenLifetime = 24 * 60 * 60;
/** How far apart the clocks of issuer and validator may be, in seconds, as Entra ID's libraries allow. */
export const clockSkew = 5 * 60;

const hour = 60 * 60 * 1000;
const publishedBefore = 24 * hour;
const signsFor = 30 * 24 * hour;
const publishedAfter = (longestTokenLifetime + clockSkew) * 1000;

/** The key that signs at `now`; undefined if none does. */
export function signingKeyAt(keys: readonly SigningKey[], now: number): SigningKey | undefined {
  return keys
    .filter((key) => key.notBefore <= now && now < key.retires)
    .reduce<SigningKey | undefined>(
      (best, key) => (best && best.notBefore >= key.notBefore ? best : key),
      undefined,
    );
}

/** What a scheduled rotation has to do at `now`: what is kept, and when a new key has to sign, if one is due. */
export function planRotation(
  keys: readonly SigningKey[],
  now: number,
): { kept: readonly SigningKey[]; signsFrom: number | undefined } {
  const kept = keys.filter((key) => now < key.expires);
  const until = signedUntil(kept, now);
  if (now < until - publishedBefore) return { kept, signsFrom: undefined };
  return { kept, signsFrom: until };
}

/**
 * The time until which there is always a key that signs, from `now` on; `now` if there is none. A key whose time comes
 * after a gap does not count: one that was made while the clock was ahead would leave nobody to sign until then.
 */
function signedUntil(keys: readonly SigningKey[], now: number): number {
  let until = now;
  for (const key of [...keys].sort((a, b) => a.notBefore - b.notBefore)) {
    if (key.notBefore <= until) until = Math.max(until, key.retires);
  }
  return until;
}

/**
 * What is kept when a new key has to sign at once: keys that signed stay published for as long as their tokens
 * live, keys that were still to sign are dropped. With `revoke` nothing is kept, and all tokens die.
 */
export function retireAll(
  keys: readonly SigningKey[],
  { now, revoke }: { now: number; revoke: boolean },
): readonly SigningKey[] {
  if (revoke) return [];
  return keys
    .filter((key) => key.notBefore <= now && now < key.expires)
    .map((key) => (key.retires <= now ? key : { ...key, retires: now, expires: now + publishedAfter }));
}

/** A new pair with the times of a key that signs from `notBefore`. */
export function scheduled(pair: TokenKeyPair, notBefore: number): SigningKey {
  const retires = notBefore + signsFor;
  return { kid: pair.publicJwk.kid, ...pair, notBefore, retires, expires: retires + publishedAfter };
}

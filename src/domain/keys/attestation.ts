/**
 * What key release asks of an attestation: that an authority of the policy vouches for the environment (port: who can
 * verify that), that its claims satisfy the policy, and which RSA key the environment holds.
 */
import { Failure } from '../../core/errors.ts';
import type { PublicJwk } from '../../crypto/provider.ts';
import {
  type Attestation,
  authoritiesOf,
  type ReleasePolicy,
  readReleaseRules,
  satisfiedAuthority,
} from './release-policy.ts';

/** Port: verifies attestation tokens with the published keys of the authorities that signed them. */
export interface AttestationVerifier {
  /**
   * The verified claims of a token of one of these authorities, and which. Fails with `accessDenied` for a token that
   * cannot be verified, with `badParameter` for an authority that cannot be reached or is not trusted by this server.
   */
  verify(token: string, authorities: readonly string[]): Promise<Attestation>;
  /** Fails with `badParameter` unless this server trusts every authority. Asks none of them. */
  assertTrusted(authorities: readonly string[]): void;
}

/** The environment's key: what is released is wrapped under it. */
export interface EnvironmentKey {
  readonly id: string;
  /** `n` and `e`. */
  readonly jwk: PublicJwk;
}

/**
 * The attestation of a token that satisfies the policy; fails with `accessDenied` for any other, in one text whatever
 * the reason. For `release` and `secureunwrapkey`.
 */
export async function assertAttested(
  verifier: Pick<AttestationVerifier, 'verify'>,
  { policy, token }: { policy: ReleasePolicy; token: string },
): Promise<Attestation> {
  const rules = readReleaseRules(policy.data);
  const attestation = await verifier.verify(token, authoritiesOf(rules));
  if (satisfiedAuthority(rules, attestation) === undefined) {
    throw notVerified('the claims do not satisfy the policy');
  }
  return attestation;
}

/**
 * The environment's RSA key, from verified claims: of the first set that is there, the first RSA key marked for
 * encryption ("Environment Assertion" in Azure's policy grammar). Fails with `accessDenied` without one, or if that
 * one is weaker than RSA-2048 or absurd; no other is tried instead, since which one is meant is not for us to guess.
 */
export function environmentKey(claims: Attestation['claims']): EnvironmentKey {
  const keys = environmentKeys(claims);
  const found = keys?.find(isForEncryption);
  if (found === undefined) throw notVerified('there is no RSA key for encryption in the attestation');
  const { kid, n, e } = found;
  if (typeof kid !== 'string' || kid === '' || kid.length > 512) throw notVerified('the key has no id');
  if (typeof n !== 'string' || typeof e !== 'string' || !isSoundModulus(n) || !isSoundExponent(e)) {
    throw notVerified('the key is not RSA of 2048 to 4096 bits');
  }
  return { id: kid, jwk: { n, e } };
}

type Members = Readonly<Record<string, unknown>>;

/** Claims that hold a key set as JSON in base64url: enclave-held data under its names of three generations. */
const enclaveHeldData = ['x-ms-sgx-ehd', 'maa-ehd', 'aas-ehd'];

/** The first key set that the claims carry; undefined without one. */
function environmentKeys(claims: Members): readonly Members[] | undefined {
  const inline = keySet(own(claims, 'x-ms-runtime')) ?? keySet(claims);
  if (inline !== undefined) return inline;
  for (const name of enclaveHeldData) {
    const value = own(claims, name);
    const set = typeof value === 'string' ? keySet(decoded(value)) : undefined;
    if (set !== undefined) return set;
  }
  return undefined;
}

function keySet(value: unknown): readonly Members[] | undefined {
  const keys = isMembers(value) ? own(value, 'keys') : undefined;
  return Array.isArray(keys) ? keys.filter(isMembers) : undefined;
}

/** Enclave-held data is whatever the enclave says: much of it is no JSON. */
function decoded(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Marked by `use` (RFC 7517 §4.2; Azure's documents also say `key_use`) or by `key_ops`, and by neither for another use. */
function isForEncryption(key: Members): boolean {
  if (own(key, 'kty') !== 'RSA') return false;
  const uses = [own(key, 'use'), own(key, 'key_use')].filter((use) => use !== undefined);
  const operations = own(key, 'key_ops');
  const encrypts = Array.isArray(operations) && operations.includes('encrypt');
  return uses.every((use) => use === 'enc') && (uses.length > 0 || encrypts);
}

/** NIST SP 800-131A: 2048 bits at least. What is beyond 4096 costs more than it protects. */
function isSoundModulus(text: string): boolean {
  const bytes = numberBytes(text, 1024);
  if (bytes === undefined) return false;
  const bits = bytes.length * 8 - Math.clz32(bytes[0] ?? 0) + 24;
  return bits >= 2048 && bits <= 4096 && isOdd(bytes);
}

/** NIST SP 800-56B §6.2: odd and above 2^16; four bytes hold every one in use. */
function isSoundExponent(text: string): boolean {
  const bytes = numberBytes(text, 16);
  return (
    bytes !== undefined && bytes.length <= 4 && isOdd(bytes) && bytes.readUIntBE(0, bytes.length) > 65536
  );
}

/** The big-endian number without leading zeros; undefined for text that is longer, empty or no base64url. */
function numberBytes(text: string, longest: number): Buffer | undefined {
  if (text.length > longest || !/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  const bytes = Buffer.from(text, 'base64url');
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? undefined : bytes.subarray(first);
}

function isOdd(bytes: Buffer): boolean {
  return ((bytes.at(-1) ?? 0) & 1) === 1;
}

function own(members: Members, name: string): unknown {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The reason is for the log: a caller who could tell a bad signature from an unmet condition could probe the policy. */
function notVerified(reason: string): Failure {
  return new Failure('accessDenied', 'Target environment attestation statement cannot be verified.', {
    cause: new Error(reason),
  });
}

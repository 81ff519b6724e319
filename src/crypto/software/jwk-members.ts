/** Members of a JWK as octets and numbers, strictly decoded. What is malformed is `Failure('badParameter')`, without the value. */
import { Failure } from '../../core/errors.ts';

export type JwkMembers = Readonly<Record<string, string | undefined>>;

/** A leading sign octet is common (the encoders of Java and .NET), more than a few are not. */
const toleratedZeros = 8;

/** The refusal of a key; `what` may reach the caller and names no value. */
export function invalidKey(what: string, cause?: unknown): Failure {
  return new Failure('badParameter', `The key is not valid: ${what}.`, { cause });
}

/**
 * Octets of a base64url member (RFC 4648 §5), at most `longest`. Padding is tolerated; other characters and stray bits
 * are not.
 */
export function parseOctets(members: JwkMembers, name: string, longest: number): Buffer {
  const text = members[name];
  if (text === undefined || text === '') throw invalidKey(`${name} is missing`);
  if (text.length > 4 * Math.ceil(longest / 3)) throw invalidKey(`${name} is too long`);
  const digits = text.replace(/={1,2}$/, '');
  if (digits === '') throw invalidKey(`${name} is empty`);
  const octets = Buffer.from(digits, 'base64url');
  // Node's decoder skips what it does not know and takes the other alphabet too; only the canonical form comes back equal.
  if (octets.toString('base64url') !== digits) throw invalidKey(`${name} is not base64url`);
  if (octets.length > longest) throw invalidKey(`${name} is too long`);
  return octets;
}

/** Octets of a member with one fixed length, leading zeros included (RFC 7518 §6.2.1.2). */
export function parseOctetsOf(members: JwkMembers, name: string, length: number): Buffer {
  const octets = parseOctets(members, name, length);
  if (octets.length !== length) throw invalidKey(`${name} does not have ${length} bytes`);
  return octets;
}

/** A Base64urlUInt member (RFC 7518 §2) of at most `longest` octets; some leading zeros are tolerated. */
export function parseUnsigned(members: JwkMembers, name: string, longest: number): bigint {
  const octets = parseOctets(members, name, longest + toleratedZeros);
  const value = BigInt(`0x${octets.toString('hex')}`);
  octets.fill(0);
  if (value >> BigInt(8 * longest) !== 0n) throw invalidKey(`${name} is too long`);
  return value;
}

/** Base64urlUInt: the fewest octets, big-endian (RFC 7518 §2). */
export function formatUnsigned(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex').toString('base64url');
}

/**
 * Key derivation of PKCS#12 (RFC 7292 appendix B.2), over Node's hashes. It is written out here since neither Node
 * nor the PKCS#12 library offers it for encryption keys, nor for a password of no octets; the work is bounded and
 * cut into slices, so that no file holds the event loop.
 */
import { hash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Failure } from '../../core/errors.ts';
import { sha1Oid, sha256Oid } from './pkcs12-oids.ts';

/** A hash for PKCS#12 key derivation: Node's name, input block and output in octets (`v` and `u` in the RFC). */
export interface Pkcs12Digest {
  readonly name: 'sha1' | 'sha256' | 'sha384' | 'sha512';
  readonly block: 64 | 128;
  readonly output: 20 | 32 | 48 | 64;
}

export const pkcs12Sha1 = { name: 'sha1', block: 64, output: 20 } as const satisfies Pkcs12Digest;
export const pkcs12Sha256 = { name: 'sha256', block: 64, output: 32 } as const satisfies Pkcs12Digest;

/** Digests by object identifier (RFC 8017 appendix B.1). */
export const pkcs12Digests: Readonly<Record<string, Pkcs12Digest>> = {
  [sha1Oid]: pkcs12Sha1,
  [sha256Oid]: pkcs12Sha256,
  '2.16.840.1.101.3.4.2.2': { name: 'sha384', block: 128, output: 48 },
  '2.16.840.1.101.3.4.2.3': { name: 'sha512', block: 128, output: 64 },
};

/** What the derived octets are for: the `ID` octet of RFC 7292 appendix B.3. */
export const pkcs12Purpose = { key: 1, iv: 2, mac: 3 } as const;

/** Iterations that one file may still ask for; shared by all derivations of that file. */
export interface WorkBudget {
  remaining: number;
}

/** The largest count of one derivation; files in use have 1 to 600,000. */
const mostIterations = 1_000_000;
/** A MAC, certificates and a key at NSS's 600,000, with a second try for an empty password, stay below. */
const mostWork = 3_000_000;
/** Hashes between two turns of the event loop: about ten milliseconds. */
const slice = 10_000;

export function newWorkBudget(): WorkBudget {
  return { remaining: mostWork };
}

/** Takes iterations from the budget; throws a `badParameter` failure when the count is invalid or too large. */
export function spendWork(budget: WorkBudget, iterations: number): void {
  if (!Number.isInteger(iterations) || iterations < 1) {
    throw new Failure(
      'badParameter',
      'Format of Pkcs12 value is invalid: an iteration count is not positive.',
    );
  }
  budget.remaining -= iterations;
  if (iterations > mostIterations || budget.remaining < 0) {
    throw new Failure('badParameter', 'Pkcs12 value is not supported: its iteration counts are too large.');
  }
}

/** The password as PKCS#12 wants it: UTF-16 big endian with a closing zero (RFC 7292 appendix B.1). */
export function encodePkcs12Password(password: string): Uint8Array {
  return Buffer.from(`${password}\0`, 'utf16le').swap16();
}

export interface Pkcs12KdfInput {
  readonly digest: Pkcs12Digest;
  readonly purpose: (typeof pkcs12Purpose)[keyof typeof pkcs12Purpose];
  /** Encoded; no octets at all is how some writers express an empty password. */
  readonly password: Uint8Array;
  readonly salt: Uint8Array;
  readonly iterations: number;
  /** Octets wanted. */
  readonly length: number;
}

/** Derives `length` octets; spends the work first and throws as `spendWork` does. */
export async function derivePkcs12(budget: WorkBudget, input: Pkcs12KdfInput): Promise<Uint8Array> {
  const { digest, iterations, length } = input;
  const diversifier = Buffer.alloc(digest.block, input.purpose);
  const blocks = Buffer.concat([
    repeatToBlocks(input.salt, digest.block),
    repeatToBlocks(input.password, digest.block),
  ]);
  const derived: Uint8Array[] = [];
  for (let have = 0; have < length; have += digest.output) {
    spendWork(budget, iterations);
    const output = await hashRepeatedly(digest, Buffer.concat([diversifier, blocks]), iterations);
    derived.push(output);
    addToEachBlock(blocks, repeatToBlocks(output, digest.block).subarray(0, digest.block));
  }
  blocks.fill(0);
  return Buffer.concat(derived).subarray(0, length);
}

async function hashRepeatedly(
  digest: Pkcs12Digest,
  input: Uint8Array,
  iterations: number,
): Promise<Uint8Array> {
  let value = input;
  for (let done = 0; done < iterations; done += 1) {
    if (done > 0 && done % slice === 0) await nextTurn();
    value = hash(digest.name, value, 'buffer');
  }
  return value;
}

/** Copies of the octets, cut at a whole number of blocks; nothing for nothing (steps 2 and 3). */
function repeatToBlocks(octets: Uint8Array, block: number): Buffer {
  const length = Math.ceil(octets.length / block) * block;
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, octets);
}

/** Adds `addend` + 1 to every block as big-endian numbers, overflow dropped (step 6C). */
function addToEachBlock(blocks: Buffer, addend: Buffer): void {
  for (let start = 0; start < blocks.length; start += addend.length) {
    let carry = 1;
    for (let i = addend.length - 1; i >= 0; i -= 1) {
      carry += (blocks[start + i] ?? 0) + (addend[i] ?? 0);
      blocks[start + i] = carry & 0xff;
      carry >>= 8;
    }
  }
}

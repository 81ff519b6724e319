import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { row } from '../../../test/support/asymmetric-keys.ts';
import { encodedFor, isEncodingOf } from './rsa-encodings.ts';

const flipped = (encoded: Buffer, at: number, bit = 1) => {
  const copy = Buffer.from(encoded);
  copy[at] = (copy[at] ?? 0) ^ bit;
  return copy;
};

describe.each([2048, 2049, 2050, 2055])('PSS for %i bits', (bits) => {
  const size = Math.ceil(bits / 8);
  const digest = randomBytes(32);
  const algorithm = row('PS256');
  const encoded = encodedFor(algorithm, digest, bits);
  const isTaken = (of: Buffer) => isEncodingOf(of, { algorithm, digest, bits });

  test('has one bit less than the modulus, and is what it should be', () => {
    expect(encoded).toHaveLength(size);
    expect(BigInt(`0x${encoded.toString('hex')}`) >> BigInt(bits - 1)).toBe(0n);
    expect(isTaken(encoded)).toBe(true);
  });

  test('is refused with any octet changed', () => {
    // The masks are undone octet by octet, so that each change is one to the top, padding, separator, salt, hash or trailer.
    for (let at = 0; at < size; at += 1) expect(isTaken(flipped(encoded, at))).toBe(false);
  });

  test('is refused with a bit beyond its length', () => {
    for (let bit = bits - 1; bit < 8 * size; bit += 1) {
      const at = size - 1 - Math.floor(bit / 8);
      expect(isTaken(flipped(encoded, at, 1 << (bit % 8)))).toBe(false);
    }
  });

  test('is salted anew, and refused for another digest', () => {
    expect(encodedFor(algorithm, digest, bits)).not.toEqual(encoded);
    expect(isEncodingOf(encoded, { algorithm, digest: randomBytes(32), bits })).toBe(false);
  });
});

test('a PKCS#1 v1.5 encoding is compared in full', () => {
  const digest = randomBytes(48);
  const algorithm = row('RS384');
  const encoded = encodedFor(algorithm, digest, 2048);
  expect(encoded.subarray(0, 2)).toEqual(Buffer.of(0, 1));
  expect(isEncodingOf(encoded, { algorithm, digest, bits: 2048 })).toBe(true);
  for (let at = 0; at < encoded.length; at += 1)
    expect(isEncodingOf(flipped(encoded, at), { algorithm, digest, bits: 2048 })).toBe(false);
});

test('a key must have room for it', () => {
  expect(() => encodedFor(row('PS512'), randomBytes(64), 1024)).toThrow('too short');
  expect(() => encodedFor(row('RS512'), randomBytes(64), 512)).toThrow('too short');
  expect(encodedFor(row('PS512'), randomBytes(64), 1042)).toHaveLength(131);
});

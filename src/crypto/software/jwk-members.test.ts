/** Proves that members of JWKs decode in one way only, and that what is wrong is said without the value. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFailure } from '../../core/errors.ts';
import { formatUnsigned, parseOctets, parseOctetsOf, parseUnsigned } from './jwk-members.ts';

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isFailure(error, 'badParameter')) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('octets come back as they were, with and without padding', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 70 }), (octets) => {
      const bytes = Buffer.from(octets);
      const bare = bytes.toString('base64url');
      const padded = bare.padEnd(4 * Math.ceil(bare.length / 4), '=');
      for (const text of [bare, padded]) {
        expect(parseOctets({ k: text }, 'k', bytes.length).equals(bytes)).toBe(true);
        expect(parseOctetsOf({ k: text }, 'k', bytes.length).equals(bytes)).toBe(true);
      }
      expect(refusal(() => parseOctets({ k: bare }, 'k', bytes.length - 1))).toMatch(/too long/);
      expect(refusal(() => parseOctetsOf({ k: bare }, 'k', bytes.length + 1))).toMatch(/does not have/);
    }),
  );
});

test('any text decodes to octets that encode to it, or is refused', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
      try {
        const octets = parseOctets({ k: text }, 'k', 64);
        expect(octets.toString('base64url')).toBe(text.replace(/={1,2}$/, ''));
      } catch (error) {
        expect(isFailure(error, 'badParameter')).toBe(true);
      }
    }),
  );
});

test.each([
  ['the other alphabet', '-_8+'],
  ['the other alphabet, slash', '-_8/'],
  ['white space', 'AQ AB'],
  ['a line end', 'AQAB\n'],
  ['an impossible length', 'AQABA'],
  ['stray bits', 'AR'],
  ['padding inside', 'AQ==AQ'],
  ['too much padding', 'AQ==='],
  ['a letter of another script', 'AQАB'],
  ['a zero character', 'AQAB\0'],
])('%s is not base64url', (_, text) => {
  expect(refusal(() => parseOctets({ k: text }, 'k', 64))).toBe('The key is not valid: k is not base64url.');
});

test('what is missing or empty is said to be', () => {
  expect(refusal(() => parseOctets({}, 'k', 64))).toMatch(/k is missing/);
  expect(refusal(() => parseOctets({ k: '' }, 'k', 64))).toMatch(/k is missing/);
  expect(refusal(() => parseOctets({ k: '==' }, 'k', 64))).toMatch(/k is empty/);
  expect(refusal(() => parseUnsigned({ n: '=' }, 'n', 64))).toMatch(/n is empty/);
});

test('numbers come back as they were, with some leading zeros tolerated', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), fc.nat(8), (value, zeros) => {
      const text = Buffer.from(
        `${'00'.repeat(zeros)}${value.toString(16).padStart(64, '0')}`,
        'hex',
      ).toString('base64url');
      expect(parseUnsigned({ n: text }, 'n', 32)).toBe(value);
      expect(parseUnsigned({ n: formatUnsigned(value) }, 'n', 32)).toBe(value);
      const shortest = Buffer.from(formatUnsigned(value), 'base64url');
      expect(shortest[0] !== 0 || shortest.length === 1).toBe(true);
    }),
  );
  expect(refusal(() => parseUnsigned({ n: formatUnsigned(2n ** 256n) }, 'n', 32))).toMatch(/n is too long/);
  expect(refusal(() => parseUnsigned({ n: 'A'.repeat(64) }, 'n', 32))).toMatch(/n is too long/);
});

test('a member of a megabyte is refused before it is decoded', () => {
  expect(refusal(() => parseUnsigned({ n: '!'.repeat(1_000_000) }, 'n', 512))).toMatch(/n is too long/);
});

test('refusals do not hold the value', () => {
  const secret = 'c2VjcmV0LXZhbHVl+';
  for (const run of [
    () => parseOctets({ d: secret }, 'd', 64),
    () => parseOctets({ d: secret }, 'd', 2),
    () => parseOctetsOf({ d: 'c2VjcmV0LXZhbHVl' }, 'd', 40),
  ])
    expect(refusal(run)).not.toContain('c2Vj');
});

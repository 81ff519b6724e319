import { generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { derFromRaw, rawFromDer } from './ecdsa-form.ts';

const message = Buffer.from('a message');

describe.each([
  ['prime256v1', 32],
  ['secp384r1', 48],
  ['secp521r1', 66],
  ['secp256k1', 32],
] as const)('signatures of node:crypto on %s', (namedCurve, bytes) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });

  test('keep their meaning in the other form', () => {
    // Enough to meet numbers that are short and numbers with their top bit set.
    for (let round = 0; round < 40; round += 1) {
      const der = sign('sha256', message, privateKey);
      const raw = rawFromDer(der, bytes);
      expect(raw).toHaveLength(2 * bytes);
      expect(verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, raw)).toBe(true);
      expect(Buffer.from(derFromRaw(raw))).toEqual(der);
    }
  });
});

test('every pair of numbers comes back as it was', () => {
  const pair = fc.constantFrom(32, 48, 66).chain((bytes) =>
    fc.record({
      bytes: fc.constant(bytes),
      // Zeros in front are what the two forms treat differently.
      zeros: fc.integer({ min: 0, max: bytes }),
      raw: fc.uint8Array({ minLength: 2 * bytes, maxLength: 2 * bytes }),
    }),
  );
  fc.assert(
    fc.property(pair, ({ bytes, zeros, raw }) => {
      raw.fill(0, 0, zeros).fill(0, bytes, bytes + zeros);
      expect(rawFromDer(derFromRaw(raw), bytes)).toEqual(raw);
    }),
  );
});

test('numbers are written with the fewest octets', () => {
  const raw = Buffer.concat([Buffer.alloc(31), Buffer.of(0x80), Buffer.alloc(32)]);
  expect(Buffer.from(derFromRaw(raw)).toString('hex')).toBe('30070202008002' + '0100');
  expect(derFromRaw(Buffer.alloc(132, 0xff)).subarray(0, 6)).toEqual(
    Uint8Array.of(0x30, 0x81, 138, 2, 67, 0),
  );
});

describe('what is not DER is refused', () => {
  test.each([
    ['nothing', ''],
    ['only a tag', '30'],
    ['another tag', '3106020101020101'],
    ['another tag of a number', '3006020101030101'],
    ['one number', '3003020101'],
    ['three numbers', '3009020101020101020101'],
    ['octets after it', '300602010102010100'],
    ['octets after s inside', '30080201010201010000'],
    ['a sequence that ends too late', '3007020101020101'],
    ['a sequence that ends too soon', '3005020101020101'],
    ['r that ends after everything', '3006027f01020101'],
    ['a length in a longer form than needed', '308106020101020101'],
    ['an indefinite length', '30800201010201010000'],
    ['a length of two octets', '3082000602010102010100'],
    ['a number of no octets', '30050200020101'],
    ['a negative number', '3006020180020101'],
    ['a number with a needless zero', '300702020001020101'],
    ['a number that is too long', `3026022101${'00'.repeat(32)}020101`],
  ])('%s', (_, hex) => {
    expect(() => rawFromDer(Buffer.from(hex, 'hex'), 32)).toThrow('not well-formed');
  });

  test('and nothing but DER is taken', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        let raw: Uint8Array;
        try {
          raw = rawFromDer(bytes, 32);
        } catch {
          return;
        }
        expect(derFromRaw(raw)).toEqual(Uint8Array.from(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});

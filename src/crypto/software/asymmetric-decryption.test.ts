import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { engines, fallback, rsaPair, withKey } from '../../../test/support/asymmetric-keys.ts';
import { badCiphertexts, encrypt, type Padding } from '../../../test/support/rsa-ciphertexts.ts';
import { isFailure } from '../../core/errors.ts';
import { findEncryptionAlgorithm } from '../algorithms.ts';
import { NotDecrypted } from '../provider.ts';
import type { DecryptionAlgorithm } from './asymmetric.ts';

const rsa2048 = await rsaPair(2048);
const rsa4096 = await rsaPair(4096);

const oaep = (hash: 'sha1' | 'sha256' | 'sha384') => ({ scheme: 'rsa-oaep', hash }) as const;
const rsa15 = { ...findEncryptionAlgorithm('RSA1_5'), scheme: 'rsa1_5' } as DecryptionAlgorithm & {
  scheme: 'rsa1_5';
};
const paddings: readonly (readonly [string, DecryptionAlgorithm & Padding])[] = [
  ['RSA1_5', rsa15],
  ['OAEP with SHA-1', oaep('sha1')],
  ['OAEP with SHA-256', oaep('sha256')],
  ['OAEP with SHA-384', oaep('sha384')],
];
const overhead = { rsa1_5: 11, sha1: 42, sha256: 66, sha384: 98 };

describe.each(engines)('decryption by %s', (_, engine) => {
  const served = paddings.filter(([, { scheme }]) => engine.kind === 'openssl' || scheme !== 'rsa1_5');

  describe.each(served)('%s', (__, padding) => {
    test.each([
      ['2048', rsa2048],
      ['4096', rsa4096],
    ])('opens what was encrypted to %s bits, from no octet to the most', async (___, pair) => {
      const size = (pair.publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
      const most = size - overhead[padding.scheme === 'rsa1_5' ? 'rsa1_5' : padding.hash];
      await withKey(engine, pair, async (key) => {
        for (const length of [0, 1, 16, 32, most]) {
          const plaintext = randomBytes(length);
          const ciphertext = encrypt(pair.publicKey, padding, plaintext);
          const opened = await key.decrypt(padding, ciphertext);
          expect(Buffer.from(opened)).toEqual(plaintext);
          // Its own bytes, not a window on a buffer that is wiped or shared.
          expect(opened.buffer.byteLength === length || engine.kind === 'fallback').toBe(true);
        }
      });
    });

    test.each(badCiphertexts(rsa2048.publicKey, padding))(
      'refuses, with the one error, what is wrong: $kind',
      async ({ ciphertext }) => {
        await withKey(engine, rsa2048, async (key) => {
          const error = await key.decrypt(padding, ciphertext).catch((reason: unknown) => reason);
          expect(error).toBeInstanceOf(NotDecrypted);
          expect(Object.getOwnPropertyNames(error)).toEqual(Object.getOwnPropertyNames(new NotDecrypted()));
          expect(String(error)).toBe(String(new NotDecrypted()));
        });
      },
    );

    test('refuses lengths from none to far too many', async () => {
      await withKey(engine, rsa2048, async (key) => {
        for (const length of [0, 1, 128, 255, 257, 512, 100_000])
          await expect(key.decrypt(padding, Buffer.alloc(length, 1))).rejects.toThrow(NotDecrypted);
      });
    });

    test('refuses a ciphertext to which the modulus was added', async () => {
      const { n = '' } = rsa2048.publicKey.export({ format: 'jwk' });
      const modulus = BigInt(`0x${Buffer.from(n, 'base64url').toString('hex')}`);
      let ciphertext: Buffer;
      let sum: bigint;
      do {
        ciphertext = encrypt(rsa2048.publicKey, padding, Buffer.from('twice'));
        sum = BigInt(`0x${ciphertext.toString('hex')}`) + modulus;
      } while (sum >> 2048n !== 0n);
      await withKey(engine, rsa2048, async (key) => {
        const congruent = Buffer.from(sum.toString(16), 'hex');
        await expect(key.decrypt(padding, congruent)).rejects.toThrow(NotDecrypted);
        expect(Buffer.from(await key.decrypt(padding, ciphertext)).toString()).toBe('twice');
      });
    });
  });

  test('refuses what was encrypted with another hash, another label or to another key', async () => {
    const stranger = await rsaPair(2048);
    await withKey(engine, rsa2048, async (key) => {
      for (const hash of ['sha1', 'sha384'] as const) {
        const ciphertext = encrypt(rsa2048.publicKey, oaep(hash), Buffer.from('x'));
        await expect(key.decrypt(oaep('sha256'), ciphertext)).rejects.toThrow(NotDecrypted);
      }
      const ciphertext = encrypt(stranger.publicKey, oaep('sha256'), Buffer.from('x'));
      await expect(key.decrypt(oaep('sha256'), ciphertext)).rejects.toThrow(NotDecrypted);
    });
  });
});

test('the fallback says that it does not decrypt RSA1_5, whatever it is given', async () => {
  await withKey(fallback, rsa2048, async (key) => {
    for (const ciphertext of [encrypt(rsa2048.publicKey, rsa15, Buffer.from('x')), Buffer.alloc(3)]) {
      const error = await key.decrypt(rsa15, ciphertext).catch((reason: unknown) => reason);
      expect(isFailure(error, 'badParameter')).toBe(true);
    }
  });
});

import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { generateKey, keyKinds, pkcs8Of } from '../../../test/support/certificate-files.ts';
import { testProvider } from '../../../test/support/software-keys.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { privateJwkOf, takePrivateKey } from './private-key.ts';

function refusal(octets: Uint8Array): Failure {
  try {
    privateJwkOf(new SecretBytes(octets));
  } catch (error) {
    if (error instanceof Failure) return error;
  }
  throw new Error('not refused with a Failure');
}

describe('privateJwkOf', () => {
  test.each(keyKinds)('%s goes through a provider and comes out the same', async (kind) => {
    const { privateKey } = generateKey(kind);
    const provider = testProvider();
    const taken = await provider.import(privateJwkOf(new SecretBytes(pkcs8Of(privateKey))));
    const back = await provider.exportPrivate(taken);
    const key = createPrivateKey({ key: Buffer.from(back.exposeBytes()), format: 'der', type: 'pkcs8' });
    expect(key.equals(privateKey)).toBe(true);
    provider.close();
  });

  test('leaves the octets of its caller as they are', () => {
    const pkcs8 = pkcs8Of(generateKey('P-256').privateKey);
    const before = Buffer.from(pkcs8);
    privateJwkOf(new SecretBytes(pkcs8));
    expect(pkcs8).toEqual(before);
  });

  test.each([
    ['Ed25519', generateKeyPairSync('ed25519').privateKey],
    ['X25519', generateKeyPairSync('x25519').privateKey],
    ['a curve of 192 bits', generateKeyPairSync('ec', { namedCurve: 'prime192v1' }).privateKey],
    ['a curve of Brainpool', generateKeyPairSync('ec', { namedCurve: 'brainpoolP256r1' }).privateKey],
    ['RSA for PSS only', generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey],
  ])('refuses %s', (_, key) => {
    const { kind, message } = refusal(pkcs8Of(key));
    expect(kind).toBe('badParameter');
    expect(message).toContain('neither RSA nor EC');
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['no DER', Buffer.from('-----BEGIN PRIVATE KEY-----')],
    ['a key cut short', pkcs8Of(generateKey('P-256').privateKey).subarray(0, -1)],
    ['a public key', generateKey('P-256').publicKey.export({ format: 'der', type: 'spki' })],
  ])('refuses %s', (_, octets) => {
    expect(refusal(octets).message).toBe('The private key is not a PKCS#8 that can be read.');
  });
});

test('takePrivateKey overwrites what it read, and what it could not read', () => {
  const pkcs8 = Uint8Array.from(pkcs8Of(generateKey('P-256').privateKey));
  takePrivateKey(pkcs8);
  expect(pkcs8.every((octet) => octet === 0)).toBe(true);
  const damaged = Uint8Array.of(1, 2, 3);
  expect(() => takePrivateKey(damaged)).toThrow();
  expect([...damaged]).toEqual([0, 0, 0]);
});

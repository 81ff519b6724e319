/** Proves which certificates are read, and that those with keys too weak to sign tokens are refused. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { X509CertificateGenerator } from '@peculiar/x509';
import { expect, test } from 'vitest';
import { parsePublicCertificate } from './public-certificate.ts';

const notBefore = Date.UTC(2026, 0, 1);
const notAfter = Date.UTC(2027, 0, 1);

async function selfSigned(
  algorithm: Parameters<typeof webcrypto.subtle.generateKey>[0] & object,
): Promise<string> {
  const keys = (await webcrypto.subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const made = await X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=test, O=one',
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      signingAlgorithm: { hash: 'SHA-256', ...(algorithm as webcrypto.EcKeyGenParams) },
      keys,
    },
    webcrypto as unknown as Crypto,
  );
  return made.toString('pem');
}

const rsa = (modulusLength: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength,
  publicExponent: new Uint8Array([1, 0, 1]),
});

test.each([
  ['RSA of 2048 bits', rsa(2048)],
  ['P-256', { name: 'ECDSA', namedCurve: 'P-256' }],
  ['P-384', { name: 'ECDSA', namedCurve: 'P-384' }],
])('%s is read with its names and times', async (_what, algorithm) => {
  const pem = await selfSigned(algorithm);
  const read = parsePublicCertificate(pem);
  expect(read).toMatchObject({ notBefore, notAfter, subject: expect.stringContaining('CN=test') });
  expect(read.sha1).toMatch(/^[0-9A-F]{40}$/);
  expect(read.sha256).toMatch(/^[0-9A-F]{64}$/);
  expect(parsePublicCertificate(read.der)).toEqual(read);
});

test.each([
  ['RSA of 1024 bits', rsa(1024)],
  ['Ed25519', { name: 'Ed25519' }],
])('%s is refused', async (_what, algorithm) => {
  const pem = await selfSigned(algorithm as Parameters<typeof selfSigned>[0]);
  expect(() => parsePublicCertificate(pem)).toThrow(TypeError);
});

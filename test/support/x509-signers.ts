/** Keys of every kind that can sign certificates, made by the software provider, and contents to be certified. */

import type { KeyProvider, KeySpec } from '../../src/crypto/provider.ts';
import type { CertificateContent, X509Signer } from '../../src/crypto/x509/certificate-content.ts';
import { publicKeyOf, spkiOf } from '../../src/crypto/x509/public-keys.ts';

export const certifiedSpecs: readonly (readonly [string, KeySpec])[] = [
  ['RSA 2048', { type: 'RSA', bits: 2048, exponent: 65537 }],
  ['RSA 3072', { type: 'RSA', bits: 3072, exponent: 65537 }],
  ['RSA 4096', { type: 'RSA', bits: 4096, exponent: 65537 }],
  ['P-256', { type: 'EC', curve: 'P-256' }],
  ['P-384', { type: 'EC', curve: 'P-384' }],
  ['P-521', { type: 'EC', curve: 'P-521' }],
  ['P-256K', { type: 'EC', curve: 'P-256K' }],
];

export async function makeSigner(provider: KeyProvider, spec: KeySpec): Promise<X509Signer> {
  const key = await provider.generate(spec);
  return { publicJwk: key.publicJwk, handle: await provider.open(key) };
}

/** The signer's SubjectPublicKeyInfo in DER. */
export function spkiOfSigner({ publicJwk, handle }: X509Signer): Uint8Array {
  return spkiOf(publicKeyOf({ spec: handle.spec, publicJwk }));
}

export const noNames = { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] } as const;

/** The content of a TLS server's certificate; the rest as given. */
export function serverContent(rest: Partial<CertificateContent> = {}): CertificateContent {
  return {
    subject: 'CN=www.example.com',
    sans: { ...noNames, dnsNames: ['www.example.com'] },
    keyUsage: ['digitalSignature', 'keyEncipherment'],
    ekus: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    ca: false,
    ...rest,
  };
}

/** The content of an authority's certificate; the rest as given. */
export function authorityContent(rest: Partial<CertificateContent> = {}): CertificateContent {
  return {
    subject: 'O=Example, CN=Authority',
    sans: noNames,
    keyUsage: ['keyCertSign', 'cRLSign'],
    ekus: [],
    ca: true,
    ...rest,
  };
}

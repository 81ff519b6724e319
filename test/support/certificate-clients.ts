/** The official client for certificates, brought to the test's server, and certificates for the requests it gets. */
import { createPublicKey, webcrypto } from 'node:crypto';
import {
  CertificateClient,
  type CertificateClientOptions,
  type CertificatePolicy,
} from '@azure/keyvault-certificates';
import { generateKey, type Issuer, type KeyKind, keyWithChain, pemOf, pkcs8Of } from './certificate-files.ts';
import { azureAccess, type Identity, type TestServer } from './server.ts';

export function certificateClient(
  server: TestServer,
  options: CertificateClientOptions & { vault?: string; identity?: Identity } = {},
): CertificateClient {
  const { vault = 'dev', identity, ...rest } = options;
  const { way, credential } = azureAccess(server, identity);
  return new CertificateClient(`https://${vault}.vault.azure.net`, credential, { ...way, ...rest });
}

/** A policy that is made fast: an EC key, which signs itself. */
export const quick: CertificatePolicy = {
  issuerName: 'Self',
  subject: 'CN=quick',
  keyType: 'EC',
  keyCurveName: 'P-256',
};

/** The same as JSON, for callers of plain REST. */
export const quickBody = {
  policy: { issuer: { name: 'Self' }, key_props: { kty: 'EC' }, x509_props: { subject: 'CN=quick' } },
};

/** What the issuer makes of a request (PKCS#10, DER in base64): DER in base64, the leaf first. */
export async function chainFor(issuer: Issuer, csr: string): Promise<string[]> {
  await import('reflect-metadata');
  const { Pkcs10CertificateRequest } = await import('@peculiar/x509');
  const request = new Pkcs10CertificateRequest(Buffer.from(csr, 'base64'));
  const spki = Buffer.from(request.publicKey.rawData);
  const leaf = await issuer.issue(createPublicKey({ key: spki, format: 'der', type: 'spki' }), 'merged');
  return [leaf, issuer.intermediate, issuer.root].map((der) => Buffer.from(der).toString('base64'));
}

/** A certificate of another key. */
export async function strangerCertificate(issuer: Issuer): Promise<string> {
  return Buffer.from(await issuer.issue(generateKey('P-256').publicKey, 'stranger')).toString('base64');
}

/** A key with its certificate in one text, as files of `application/x-pem-file` are. */
export async function pemFile(issuer: Issuer, kind: KeyKind = 'P-256'): Promise<string> {
  const { key, chain } = await keyWithChain(issuer, kind);
  return pemText(pkcs8Of(key), chain);
}

/** The same of a certificate that signs itself and is valid between these dates. */
export async function selfSignedFile(dates: { notBefore: Date; notAfter: Date }): Promise<string> {
  await import('reflect-metadata');
  const { X509CertificateGenerator } = await import('@peculiar/x509');
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const { rawData } = await X509CertificateGenerator.createSelfSigned(
    { name: 'CN=self', keys, signingAlgorithm, ...dates },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return pemText(pkcs8, [Buffer.from(rawData)]);
}

function pemText(pkcs8: Buffer, chain: readonly Uint8Array[]): string {
  const base64 = pkcs8.toString('base64').replace(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n${chain.map(pemOf).join('')}`;
}

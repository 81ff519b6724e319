/** Keys with certificates of a three-step chain, as files of them are tested. Made once for each kind of key. */
import { generateKeyPairSync, type KeyObject, webcrypto, X509Certificate } from 'node:crypto';
import type { PublicKeyType } from '@peculiar/x509';

/** The kinds of keys that certificates have here. */
export const keyKinds = ['RSA-2048', 'RSA-3072', 'P-256', 'P-384', 'P-521', 'P-256K'] as const;
export type KeyKind = (typeof keyKinds)[number];

export interface KeyWithChain {
  readonly key: KeyObject;
  /** DER: the key's certificate, its issuer, the root. */
  readonly chain: readonly Uint8Array[];
}

const generators: Readonly<Record<KeyKind, () => { privateKey: KeyObject; publicKey: KeyObject }>> = {
  'RSA-2048': () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  'RSA-3072': () => generateKeyPairSync('rsa', { modulusLength: 3072 }),
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }),
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'secp384r1' }),
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'secp521r1' }),
  'P-256K': () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
};

export function generateKey(kind: KeyKind): { privateKey: KeyObject; publicKey: KeyObject } {
  return generators[kind]();
}

/** Issues certificates, valid from 2027 on, from one root and one intermediate. */
export interface Issuer {
  readonly intermediate: Uint8Array;
  readonly root: Uint8Array;
  /** A certificate of the public key; each call makes another one. */
  issue(publicKey: KeyObject, commonName: string): Promise<Uint8Array>;
}

export async function createIssuer(name = 'Test'): Promise<Issuer> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const pair = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const [root, intermediate] = [await pair(), await pair()];

  async function certify(
    names: { readonly subject: string; readonly issuer: string },
    publicKey: PublicKeyType,
    signingKey: webcrypto.CryptoKey,
  ): Promise<Uint8Array> {
    const certificate = await x509.X509CertificateGenerator.create(
      {
        ...names,
        publicKey,
        signingKey,
        signingAlgorithm: algorithm,
        notBefore: new Date('2027-01-01T00:00:00Z'),
        notAfter: new Date('2037-01-01T00:00:00Z'),
      },
      webcrypto,
    );
    return new X509Certificate(Buffer.from(certificate.rawData)).raw;
  }
  const rootName = `CN=${name} root`;
  const intermediateName = `CN=${name} intermediate`;
  return {
    root: await certify({ subject: rootName, issuer: rootName }, root.publicKey, root.privateKey),
    intermediate: await certify(
      { subject: intermediateName, issuer: rootName },
      intermediate.publicKey,
      root.privateKey,
    ),
    issue: (publicKey, commonName) =>
      certify(
        { subject: `CN=${commonName}`, issuer: intermediateName },
        new x509.PublicKey(publicKey.export({ format: 'der', type: 'spki' })),
        intermediate.privateKey,
      ),
  };
}

/** A new key of the kind with its chain of three. */
export async function keyWithChain(issuer: Issuer, kind: KeyKind): Promise<KeyWithChain> {
  const { privateKey, publicKey } = generateKey(kind);
  const leaf = await issuer.issue(publicKey, kind.toLowerCase());
  return { key: privateKey, chain: [leaf, issuer.intermediate, issuer.root] };
}

export function pkcs8Of(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' });
}

export function pemOf(der: Uint8Array): string {
  return new X509Certificate(der).toString();
}

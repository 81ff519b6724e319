/**
 * The server's private certificate authority and the TLS certificates that it issues: EC P-256, one level deep, held
 * to the names that it was made for, so that its key is worthless for any other host. The certificate libraries are
 * slow to load, so they are loaded only when a certificate is made; `certificateTimes` uses Node alone.
 */
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import type { Extension, Name, PublicKey } from '@peculiar/x509';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { encodeNameConstraints, nameConstraintsOid, permittedNames } from './name-constraints.ts';
import { certificatePem, privateKeyPem } from './pem.ts';
import { randomSerial } from './serial.ts';
import { coversNames, parseDnsName, parseIpAddress, type ServerNames } from './server-names.ts';

/** What is needed to issue: the authority's certificate (PEM) and its private key (PKCS#8, DER). */
export interface Authority {
  readonly certificatePem: string;
  readonly privateKey: SecretBytes;
}

/** What a new authority is made for; `now` in milliseconds, ranges in CIDR form. */
export interface AuthorityInput {
  readonly commonName: string;
  readonly permittedDnsNames: readonly string[];
  readonly permittedIpRanges: readonly string[];
  readonly now: number;
  readonly validityDays: number;
}

/** What a server certificate is made for; `now` in milliseconds. */
export interface LeafInput extends ServerNames {
  readonly now: number;
  readonly validityDays: number;
  /** Default `P-256`; `RSA-2048` for signatures that clients verify as RS256. */
  readonly keyType?: LeafKeyType;
}

export type LeafKeyType = 'P-256' | 'RSA-2048';

/** A server certificate: leaf and authority in PEM, the leaf's PKCS#8 key in PEM, its end in milliseconds. */
export interface Leaf {
  readonly chainPem: string;
  readonly privateKeyPem: SecretBytes;
  readonly notAfter: number;
}

/** First and last moment of a certificate's validity, in milliseconds since 1970. */
export interface CertificateTimes {
  readonly notBefore: number;
  readonly notAfter: number;
}

const hour = 3_600_000;
const day = 24 * hour;
/** Clients' clocks run behind by minutes; a certificate that starts an hour ago is accepted at once. */
const backdating = hour;
/** Apple and the CA/Browser Forum's baseline refuse server certificates that live longer than 398 days. */
const longestLeaf = 397 * day;
/** Never a host name, since some clients fall back to the common name (RFC 9525 §6.2 forbids it). */
const leafCommonName = 'Strongroom server';

/** ub-common-name (RFC 5280 appendix A.1). */
const longestCommonName = 64;

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' };
const leafAlgorithms: Readonly<
  Record<LeafKeyType, webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams>
> = {
  'P-256': keyAlgorithm,
  'RSA-2048': {
    name: 'RSASSA-PKCS1-v1_5',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: 'SHA-256',
  },
};
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };

/**
 * Makes a self-signed authority: CA with path length 0, critical name constraints, server authentication only. A
 * name form without permitted subtrees is excluded. Throws `RangeError` for invalid names or an empty validity.
 */
export async function createAuthority(
  input: AuthorityInput,
): Promise<Authority & { readonly notAfter: number }> {
  if (input.commonName.length < 1 || input.commonName.length > longestCommonName) {
    throw new RangeError(`a common name has 1 to ${longestCommonName} characters`);
  }
  assertValidityDays(input.validityDays);
  const permitted = { dnsNames: input.permittedDnsNames, ipRanges: input.permittedIpRanges };
  const constraints = await encodeNameConstraints(permitted);
  const x509 = await loadX509();
  const keys = await generateKeys();
  const publicKey = await x509.PublicKey.create(keys.publicKey, webcrypto);
  const pem = await signCertificate({
    issuer: commonName(x509, input.commonName),
    subject: commonName(x509, input.commonName),
    times: { notBefore: input.now - backdating, notAfter: input.now + input.validityDays * day },
    publicKey,
    signingKey: keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.Extension(nameConstraintsOid, true, constraints),
      await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
    ],
  });
  const privateKey = await exportPrivateKey(keys.privateKey);
  return { certificatePem: pem, privateKey, notAfter: certificateTimes(pem).notAfter };
}

/**
 * Issues a server certificate for the names, valid for at most 397 days and never longer than the authority. Throws
 * `RangeError` for invalid or no names, names that the authority may not certify, an authority that has ended, or a
 * key that is not the authority's.
 */
export async function issueLeaf(authority: Authority, input: LeafInput): Promise<Leaf> {
  assertValidityDays(input.validityDays);
  const issuer = parseAuthority(authority);
  const names = await parseCoveredNames(authority.certificatePem, input);
  const times = leafTimes(certificateTimes(authority.certificatePem), input);
  const x509 = await loadX509();
  const keys = await generateKeys(input.keyType);
  const publicKey = await x509.PublicKey.create(keys.publicKey, webcrypto);
  const pem = await signCertificate({
    issuer: issuerName(x509, issuer),
    subject: commonName(x509, leafCommonName),
    times,
    publicKey,
    signingKey: await importSigningKey(authority.privateKey),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.dnsNames.map((value) => ({ type: x509.DNS, value })),
        ...names.ipAddresses.map((value) => ({ type: x509.IP, value })),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(publicKey, false, webcrypto),
      await x509.AuthorityKeyIdentifierExtension.create(spki(issuer), false, webcrypto),
    ],
  });
  const privateKey = await exportPrivateKey(keys.privateKey);
  const keyPem = privateKeyPem(privateKey);
  privateKey.wipe();
  return {
    chainPem: pem + issuer.toString(),
    privateKeyPem: keyPem,
    notAfter: certificateTimes(pem).notAfter,
  };
}

/** The validity of the first certificate in a PEM text; throws when there is none. */
export function certificateTimes(pem: string): CertificateTimes {
  const certificate = new X509Certificate(pem);
  return { notBefore: certificate.validFromDate.getTime(), notAfter: certificate.validToDate.getTime() };
}

function assertValidityDays(days: number): void {
  if (!(days > 0 && days < Number.POSITIVE_INFINITY))
    throw new RangeError('the validity is not a number of days');
}

type X509Library = typeof import('@peculiar/x509');

async function loadX509(): Promise<X509Library> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

/** Checked before anything is signed: a mismatched pair would give certificates that every client refuses. */
function parseAuthority(authority: Authority): X509Certificate {
  const certificate = new X509Certificate(authority.certificatePem);
  const pkcs8 = Buffer.from(authority.privateKey.exposeBytes());
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  pkcs8.fill(0);
  if (!certificate.ca) throw new RangeError('the certificate is not an authority');
  if (!certificate.checkPrivateKey(key)) throw new RangeError("the private key is not the authority's");
  return certificate;
}

async function parseCoveredNames(authorityPem: string, input: ServerNames): Promise<ServerNames> {
  const names = {
    dnsNames: input.dnsNames.map(parseDnsName),
    ipAddresses: input.ipAddresses.map(parseIpAddress),
  };
  if (names.dnsNames.length + names.ipAddresses.length === 0) throw new RangeError('a server needs a name');
  const permitted = await permittedNames(authorityPem);
  if (permitted !== undefined && !coversNames(permitted, names)) {
    throw new RangeError('the authority may not certify all of these names; make a new authority');
  }
  return names;
}

function leafTimes(authority: CertificateTimes, input: LeafInput): CertificateTimes {
  if (input.now >= authority.notAfter) throw new RangeError('the authority is no longer valid');
  const notBefore = Math.max(input.now - backdating, authority.notBefore);
  const wanted = input.now + input.validityDays * day;
  return { notBefore, notAfter: Math.min(wanted, authority.notAfter, notBefore + longestLeaf) };
}

/** Built from parts rather than from text, so that no character of the name starts another attribute. */
function commonName(x509: X509Library, name: string): Name {
  return new x509.Name([{ CN: [{ utf8String: name }] }]);
}

/** The authority's subject as it is encoded, since validators compare the two names octet by octet. */
function issuerName(x509: X509Library, issuer: X509Certificate): Name {
  return new x509.X509Certificate(issuer.raw).subjectName;
}

function spki(certificate: X509Certificate): Buffer {
  return certificate.publicKey.export({ format: 'der', type: 'spki' });
}

interface CertificateInput {
  readonly issuer: Name;
  readonly subject: Name;
  readonly times: CertificateTimes;
  readonly publicKey: PublicKey;
  readonly signingKey: webcrypto.CryptoKey;
  readonly extensions: Extension[];
}

async function signCertificate(input: CertificateInput): Promise<string> {
  const { X509CertificateGenerator } = await loadX509();
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: Buffer.from(randomSerial()).toString('hex'),
      issuer: input.issuer,
      subject: input.subject,
      notBefore: new Date(input.times.notBefore),
      notAfter: new Date(input.times.notAfter),
      publicKey: input.publicKey,
      signingKey: input.signingKey,
      signingAlgorithm,
      extensions: input.extensions,
    },
    webcrypto,
  );
  return certificatePem(new Uint8Array(certificate.rawData));
}

function generateKeys(type: LeafKeyType = 'P-256'): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(leafAlgorithms[type], true, ['sign', 'verify']);
}

async function exportPrivateKey(key: webcrypto.CryptoKey): Promise<SecretBytes> {
  return new SecretBytes(new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', key)));
}

function importSigningKey(pkcs8: SecretBytes): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', Buffer.from(pkcs8.exposeBytes()), keyAlgorithm, false, ['sign']);
}

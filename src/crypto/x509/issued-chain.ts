/** Judges what an authority gave for a request: a chain in order, for the very key, with the names that were asked for. */
import { createPublicKey, type X509Certificate } from 'node:crypto';
import { isIssuedBy, parseCertificate } from './certificate-chain.ts';
import { readCertificateRequest } from './certificate-reading.ts';

/** What an issued certificate must be. */
export interface IssuedFor {
  /** PKCS#10, DER. */
  readonly request: Uint8Array;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Unix milliseconds. */
  readonly now: number;
}

/** What was given is not what was asked for; the message says in what. */
export class NotAsAsked extends Error {
  constructor(message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'NotAsAsked';
  }
}

const mostCertificates = 10;
const block = /-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----/g;

/**
 * The certificates of a PEM chain as DER, the leaf first (RFC 8555 §9.1). Throws `NotAsAsked` for what is no chain of at
 * most ten, out of order, for another key or other names, expired, or not signed by the next one.
 */
export async function judgeIssuedChain(pem: string, asked: IssuedFor): Promise<Uint8Array[]> {
  const chain = parseChain(pem);
  const [leaf, ...issuers] = chain;
  if (leaf === undefined) throw new NotAsAsked('there is no certificate');
  const { spki } = await readCertificateRequest(asked.request);
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  if (!leaf.publicKey.equals(key)) throw new NotAsAsked('it is for another key');
  const missing =
    asked.dnsNames.find((name) => leaf.checkHost(name, { subject: 'never' }) === undefined) ??
    asked.ipAddresses.find((address) => leaf.checkIP(address) === undefined);
  if (missing !== undefined) throw new NotAsAsked(`it is not for ${missing}`);
  if (leaf.validToDate.getTime() <= asked.now) throw new NotAsAsked('it has expired');
  for (const [index, issuer] of issuers.entries()) {
    const certificate = chain[index];
    if (certificate === undefined || !isIssuedBy(certificate, issuer))
      throw new NotAsAsked('its chain is broken');
  }
  return chain.map((certificate) => new Uint8Array(certificate.raw));
}

function parseChain(pem: string): X509Certificate[] {
  // RFC 8555 §11.4: nothing but certificates may be in it.
  if (pem.replace(block, '').trim() !== '') throw new NotAsAsked('there is more than certificates in it');
  const blocks = [...pem.matchAll(block)].map(([, base64 = '']) => Buffer.from(base64, 'base64'));
  if (blocks.length > mostCertificates)
    throw new NotAsAsked(`it has more than ${mostCertificates} certificates`);
  try {
    return blocks.map((der) => parseCertificate(der));
  } catch (cause) {
    throw new NotAsAsked('a certificate in it cannot be read', { cause });
  }
}

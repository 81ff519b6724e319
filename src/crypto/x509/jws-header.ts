/** The members of a JOSE header that name and carry the signer's certificate (RFC 7515 §4.1.6 to §4.1.8). */
import { X509Certificate } from 'node:crypto';

export interface CertificateHeader {
  /** The certificate's SHA-1 digest in upper-case hexadecimal, as Azure names its certificates. */
  readonly kid: string;
  /** SHA-1 of the certificate in base64url: a name, on which no trust rests. */
  readonly x5t: string;
  readonly 'x5t#S256': string;
  /** The chain, signer first, each in base64 of its DER form. */
  readonly x5c: readonly string[];
}

/** The header's members for a chain in PEM, signer first; throws when there is no certificate in it. */
export function certificateHeader(chainPem: string): CertificateHeader {
  const blocks = chainPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const chain = blocks.map((pem) => new X509Certificate(pem));
  const [signer] = chain;
  if (signer === undefined) throw new RangeError('there is no certificate');
  const digest = (colons: string) => Buffer.from(colons.replaceAll(':', ''), 'hex');
  return {
    kid: signer.fingerprint.replaceAll(':', ''),
    x5t: digest(signer.fingerprint).toString('base64url'),
    'x5t#S256': digest(signer.fingerprint256).toString('base64url'),
    x5c: chain.map((certificate) => certificate.raw.toString('base64')),
  };
}

/** A certificate by which someone proves himself: its DER form, its names, and when it is valid. */
import { X509Certificate } from 'node:crypto';

export interface PublicCertificate {
  /** DER in base64. */
  readonly der: string;
  /** Digests of the DER form, in upper-case hexadecimal. */
  readonly sha1: string;
  readonly sha256: string;
  readonly subject: string;
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const shortestRsa = 2048;
const curves: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];
const largest = 64 * 1024;

/**
 * Reads one certificate from PEM, or from the base64 of its DER form, with or without line ends. Throws `TypeError` for
 * anything else, and for a key that no token is to be signed with: RSA below 2048 bits, other curves than NIST's.
 */
export function parsePublicCertificate(text: string): PublicCertificate {
  const certificate = read(text);
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  const isUsable =
    (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= shortestRsa) ||
    (asymmetricKeyType === 'ec' && curves.includes(asymmetricKeyDetails?.namedCurve ?? ''));
  if (!isUsable) throw new TypeError('the key is neither RSA of 2048 bits and more nor on a curve of NIST');
  return {
    der: certificate.raw.toString('base64'),
    sha1: certificate.fingerprint.replaceAll(':', ''),
    sha256: certificate.fingerprint256.replaceAll(':', ''),
    subject: certificate.subject.replaceAll('\n', ', '),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

function read(text: string): X509Certificate {
  if (text.length > largest) throw new TypeError('the text is too long for a certificate');
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length > 1) throw new TypeError('there is more than one certificate');
  const base64 = (blocks[0] ?? text).replace(/-----(?:BEGIN|END) CERTIFICATE-----/g, '').replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) throw new TypeError('there is no certificate in PEM or base64');
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch (cause) {
    throw new TypeError('the text is not that of a certificate', { cause });
  }
}

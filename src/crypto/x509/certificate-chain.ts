/** Certificates as they come in, and their order: the leaf first, then who issued it, upwards. */
import { type KeyObject, X509Certificate } from 'node:crypto';

/** Reads one certificate from DER, and nothing but one: throws for octets after it and for PEM. */
export function parseCertificate(der: Uint8Array): X509Certificate {
  const certificate = new X509Certificate(der);
  // Node takes PEM here too, and does not look at what follows.
  if (!certificate.raw.equals(der)) throw new TypeError('not exactly one certificate');
  return certificate;
}

/** The certificates, each once: where it is first. */
export function distinctCertificates(certificates: readonly X509Certificate[]): X509Certificate[] {
  const seen = new Set<string>();
  return certificates.filter(({ fingerprint256 }) => {
    const isNew = !seen.has(fingerprint256);
    seen.add(fingerprint256);
    return isNew;
  });
}

/** Whether names and key identifiers say so and the signature proves it. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    // A key that OpenSSL cannot read.
    return false;
  }
}

/**
 * The leaves, which must be objects among the certificates, then every issuer that leads up from them, then what is left over.
 * Names and key identifiers decide (RFC 5280 §4.2.1.1); no signature is verified.
 */
export function orderUpwards(
  certificates: readonly X509Certificate[],
  leaves: readonly X509Certificate[],
): X509Certificate[] {
  const left = new Set(certificates);
  const take = (certificate: X509Certificate) => {
    left.delete(certificate);
    return certificate;
  };
  const ordered = leaves.map(take);
  for (const certificate of ordered) {
    // The array grows while it is walked: issuers of issuers follow.
    const issuer = [...left].find((candidate) => certificate.checkIssued(candidate));
    if (issuer !== undefined) ordered.push(take(issuer));
  }
  return [...ordered, ...left];
}

/** The certificates of these keys; without a match those that issued no other, which leaves out the authorities. */
export function findLeaves(
  certificates: readonly X509Certificate[],
  keys: readonly KeyObject[],
): X509Certificate[] {
  const matching = certificates.filter((certificate) => keys.some((key) => certificate.checkPrivateKey(key)));
  if (matching.length > 0) return matching;
  return certificates.filter((candidate) => {
    return !certificates.some((other) => other !== candidate && other.checkIssued(candidate));
  });
}

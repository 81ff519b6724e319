/**
 * A PKCS#12 file (RFC 7292) of trusted certificates for Java's `javax.net.ssl.trustStore`. It is not encrypted: its
 * certificates are public and its password is well known, so its MAC shows damage and proves nothing about the writer.
 */
import { X509Certificate } from 'node:crypto';
import type { Attribute, SafeBag } from 'pkijs';
import { certBagOid, friendlyNameOid, x509CertificateOid } from './pkcs12-oids.ts';

/** Oracle's attribute: Java takes a certificate without it for a part of some key's chain and trusts nothing. */
const trustedKeyUsageOid = '2.16.840.1.113894.746875.1.1';
const anyExtendedKeyUsageOid = '2.5.29.37.0';

/** The least that NIST SP 800-132 §5.2 allows; more would only slow readers down, as the password is no secret. */
const macIterations = 1000;

/**
 * Returns the PKCS#12 file of the certificates, each PEM text one of them; repeated ones are written once. Java
 * reads it from 8u301 on, since the MAC is over SHA-256. Throws `TypeError` for a text that is not exactly one
 * certificate and `RangeError` when there is none at all, which Java would refuse at the first connection.
 */
export async function createTrustStore(
  certificatesPem: readonly string[],
  password: string,
): Promise<Uint8Array> {
  const certificates = parseDistinct(certificatesPem);
  if (certificates.length === 0) throw new RangeError('a trust store needs at least one certificate');
  const { AuthenticatedSafe, PFX, SafeContents } = await import('pkijs');
  const safeBags = await Promise.all(certificates.map(trustedCertBag));
  const authenticatedSafe = new AuthenticatedSafe({
    parsedValue: { safeContents: [{ privacyMode: 0, value: new SafeContents({ safeBags }) }] },
  });
  await authenticatedSafe.makeInternalValues({ safeContents: [{}] });
  const pfx = new PFX({ parsedValue: { integrityMode: 0, authenticatedSafe } });
  await pfx.makeInternalValues({
    password: new Uint8Array(Buffer.from(password)).buffer,
    iterations: macIterations,
    pbkdf2HashAlgorithm: 'SHA-256',
    hmacHashAlgorithm: 'SHA-256',
  });
  return new Uint8Array(pfx.toSchema().toBER());
}

/** Once each, since two entries of one name are one entry to Java. */
function parseDistinct(certificatesPem: readonly string[]): X509Certificate[] {
  const parsed = certificatesPem.map((pem, index) => {
    return parseCertificate(pem, `certificate ${index + 1} of ${certificatesPem.length}`);
  });
  return [...new Map(parsed.map((certificate) => [certificate.fingerprint256, certificate])).values()];
}

function parseCertificate(pem: string, position: string): X509Certificate {
  // Node reads the first certificate of a text and leaves the others out without a word.
  const found = pem.match(/-----BEGIN [A-Z0-9 ]+-----/g) ?? [];
  if (found.length !== 1) throw new TypeError(`${position} is not exactly one certificate in PEM`);
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new TypeError(`${position} is not a certificate in PEM`, { cause: error });
  }
}

/** Built around the certificate's own octets: to parse it and encode it again takes a millisecond each. */
async function trustedCertBag(certificate: X509Certificate): Promise<SafeBag> {
  const { OctetString } = await import('asn1js');
  const { CertBag, SafeBag } = await import('pkijs');
  return new SafeBag({
    bagId: certBagOid,
    bagValue: new CertBag({
      certId: x509CertificateOid,
      certValue: new OctetString({ valueHex: new Uint8Array(certificate.raw) }),
    }),
    bagAttributes: await trustAttributes(alias(certificate)),
  });
}

async function trustAttributes(friendlyName: string): Promise<Attribute[]> {
  const { BmpString, ObjectIdentifier } = await import('asn1js');
  const { Attribute } = await import('pkijs');
  return [
    new Attribute({ type: friendlyNameOid, values: [new BmpString({ value: friendlyName })] }),
    new Attribute({
      type: trustedKeyUsageOid,
      values: [new ObjectIdentifier({ value: anyExtendedKeyUsageOid })],
    }),
  ];
}

/** The common name for people, the fingerprint to be unique; in lower case, since Java makes it that anyway. */
function alias(certificate: X509Certificate): string {
  const subject = certificate.subject?.split('\n') ?? [];
  // Some roots have no common name; their last part, mostly the organisational unit, tells them apart.
  const name = subject.find((part) => part.startsWith('CN=')) ?? subject.at(-1) ?? '';
  const fingerprint = certificate.fingerprint256.replaceAll(':', '');
  return `${name.slice(name.indexOf('=') + 1)} ${fingerprint}`.trim().toLowerCase();
}

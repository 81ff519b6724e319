/**
 * Reads certificates and requests that come from outside. OpenSSL, through Node, is the first to judge the octets; size,
 * depth and counts are bounded, and what is not understood is refused, without a word of its content.
 */
import { createHash, createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';
import type { BaseBlock } from 'asn1js';
import type { Certificate, CertificationRequest, Extension } from 'pkijs';
import { Failure } from '../../core/errors.ts';
import type { KeySpec, PublicJwk } from '../provider.ts';
import { type Asn1Libraries, loadAsn1 } from './asn1-libraries.ts';
import { decodeBase64 } from './base64.ts';
import { parseBer } from './ber.ts';
import { distinctCertificates, orderUpwards, parseCertificate } from './certificate-chain.ts';
import type { CertificateContent } from './certificate-content.ts';
import { contentOfExtensions } from './certificate-extensions.ts';
import { isSignedBy } from './certificate-signing.ts';
import { formatDistinguishedName } from './distinguished-name-der.ts';
import { permittedNames } from './name-constraints.ts';
import { readPem } from './pem-reading.ts';
import { describePublicKey, spkiOf } from './public-keys.ts';
import type { PermittedNames } from './server-names.ts';

/** A public key in every form that is needed of it. */
export interface PublicKeyFacts {
  readonly spec: KeySpec;
  readonly publicJwk: PublicJwk;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
}

/** What a request says, once its signature has been verified with the key in it. */
export interface RequestFacts extends PublicKeyFacts {
  readonly der: Uint8Array;
  readonly content: CertificateContent;
}

/** What a certificate says. */
export interface CertificateFacts extends RequestFacts {
  /** SHA-1 of the DER, base64url: how the API names certificates; no trust rests on it. */
  readonly x5t: string;
  /** In lower-case hexadecimal, without leading zeros. */
  readonly serial: string;
  /** RFC 4514 text as Azure shows it: the last attribute of the encoding first. */
  readonly subject: string;
  readonly issuer: string;
  /** Unix seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Whether its own key has signed it. */
  readonly isSelfSigned: boolean;
}

/** Of one certificate or request, in octets. */
const largest = 64 * 1024;
/** Of a chain. */
const mostCertificates = 32;
const extensionRequests: readonly string[] = ['1.2.840.113549.1.9.14', '1.3.6.1.4.1.311.2.1.14'];
const contextSpecific = 3;
const signedData = '1.2.840.113549.1.7.2';

const texts = {
  unreadable: 'Certificate can not be read. Please check if certificate is valid.',
  tooLong: 'value is too long.',
  noLeaf: 'Unable to parse X5c certificate chain and locate leaf certificate',
  otherKey:
    'The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.',
} as const;

/**
 * Reads one certificate in DER. Throws `Failure('badParameter')` for anything else, more than 64 KiB, malformed or
 * repeated extensions, names with control characters, and keys that are neither RSA nor on a served curve.
 */
export async function readCertificate(der: Uint8Array): Promise<CertificateFacts> {
  const certificate = parseOne(der);
  const libraries = await loadAsn1();
  return readable(async () => {
    const decoded = new libraries.pki.Certificate({ schema: await parseBer(der) });
    const subject = await formatDistinguishedName(new Uint8Array(decoded.subject.valueBeforeDecode));
    return {
      der: Uint8Array.from(der),
      ...keyFacts(certificate.publicKey),
      x5t: createHash('sha1').update(der).digest('base64url'),
      serial: BigInt(`0x${certificate.serialNumber}`).toString(16),
      subject,
      issuer: await formatDistinguishedName(new Uint8Array(decoded.issuer.valueBeforeDecode)),
      notBefore: Math.floor(certificate.validFromDate.getTime() / 1000),
      notAfter: Math.floor(certificate.validToDate.getTime() / 1000),
      content: {
        subject,
        ...contentOfExtensions(libraries, decoded.extensions ?? []),
        nameConstraints: await permittedDomains(certificate),
      },
      isSelfSigned: isSelfSigned(certificate, decoded),
    };
  });
}

/**
 * Reads a PKCS#10 request in DER and verifies that who made it holds the key. Throws `Failure('badParameter')` for
 * anything else, and as `readCertificate` does.
 */
export async function readCertificateRequest(der: Uint8Array): Promise<RequestFacts> {
  if (der.length > largest) throw refusal(texts.tooLong);
  const libraries = await loadAsn1();
  return readable(async () => {
    const block = await parseBer(der);
    // The library takes inner values that are longer than the outer one; only what says its lengths right comes back equal.
    if (!Buffer.from(block.toBER()).equals(der)) throw new TypeError('not DER');
    const request = new libraries.pki.CertificationRequest({ schema: block });
    const spki = Buffer.from(request.subjectPublicKeyInfo.toSchema().toBER());
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
    const isSigned = isSignedBy(publicKey, {
      octets: request.tbsView,
      signature: request.signatureValue.valueBlock.valueHexView,
      oid: request.signatureAlgorithm.algorithmId,
    });
    if (!isSigned) throw refusal('The signature of the certificate request is not valid.');
    const subject = await formatDistinguishedName(new Uint8Array(request.subject.valueBeforeDecode));
    const requested = requestedExtensions(libraries, request);
    return {
      der: Uint8Array.from(der),
      ...keyFacts(publicKey),
      content: { subject, ...contentOfExtensions(libraries, requested) },
    };
  });
}

/**
 * The chain that a caller merges, in DER: the certificate of the public key first, then its issuers upwards, then any
 * others; or all as they came. `x5c` is a list of DER in base64, or one base64 of PKCS#7 or of PEM. Throws
 * `Failure('badParameter')`, with the recorded texts, for what cannot be read, more than 32 certificates, and a list
 * without the certificate of the key.
 */
export async function parseX5c(
  x5c: readonly string[],
  input: { readonly spki: Uint8Array; readonly preserveOrder: boolean },
): Promise<Uint8Array[]> {
  if (x5c.length > mostCertificates) throw refusal(texts.tooLong);
  const found: X509Certificate[] = [];
  for (const text of x5c) found.push(...(await readable(() => certificatesIn(decoded(text)))));
  const certificates = distinctCertificates(found);
  if (certificates.length > mostCertificates) throw refusal(texts.tooLong);
  const leaf = leafOf(certificates, input.spki);
  const chain = input.preserveOrder ? certificates : orderUpwards(certificates, [leaf]);
  return chain.map(({ raw }) => Uint8Array.from(raw));
}

function refusal(message: string, cause?: unknown): Failure {
  return new Failure('badParameter', message, { cause });
}

/** Whatever the libraries make of hostile octets, a caller sees one refusal. */
async function readable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof Failure ? error : refusal(texts.unreadable, error);
  }
}

function parseOne(der: Uint8Array): X509Certificate {
  if (der.length > largest) throw refusal(texts.tooLong);
  try {
    return parseCertificate(der);
  } catch (cause) {
    throw refusal(texts.unreadable, cause);
  }
}

function keyFacts(publicKey: KeyObject): PublicKeyFacts {
  return { ...describePublicKey(publicKey), spki: spkiOf(publicKey) };
}

/** Name constraints of the form that is made here: domains, and ranges or none. Others are for `mayCertifyNames` alone. */
async function permittedDomains(certificate: X509Certificate): Promise<PermittedNames | undefined> {
  try {
    const permitted = await permittedNames(certificate.toString());
    return permitted === undefined || permitted.dnsNames.length === 0 ? undefined : permitted;
  } catch {
    return undefined;
  }
}

/** OpenSSL's own answer would be no for a key that may not sign certificates. */
function isSelfSigned(certificate: X509Certificate, { subject, issuer }: Certificate): boolean {
  const isSameName = Buffer.from(subject.valueBeforeDecode).equals(Buffer.from(issuer.valueBeforeDecode));
  return isSameName && certificate.verify(certificate.publicKey);
}

/** extensionRequest (RFC 2985 §5.4.2), or Microsoft's older one of the same form. */
function requestedExtensions({ pki }: Asn1Libraries, request: CertificationRequest): Extension[] {
  const found = (request.attributes ?? []).filter(({ type }) => extensionRequests.includes(type));
  if (found.length > 1) throw new RangeError('the extensions are requested twice');
  const [value] = found[0]?.values ?? [];
  return value === undefined ? [] : new pki.Extensions({ schema: value }).extensions;
}

function decoded(text: string): Buffer {
  if (text.length > mostCertificates * 2 * largest) throw refusal(texts.tooLong);
  const octets = decodeBase64(text);
  if (octets === undefined) throw refusal(texts.unreadable);
  return octets;
}

/** One certificate in DER, or those of a PKCS#7 or of a PEM text. */
async function certificatesIn(octets: Buffer): Promise<X509Certificate[]> {
  if (octets.includes('-----BEGIN ')) return certificatesInPem(octets.toString('latin1'));
  const { asn1 } = await loadAsn1();
  const block = await parseBer(octets);
  const [type, content] = block instanceof asn1.Sequence ? block.valueBlock.value : [];
  if (!(type instanceof asn1.ObjectIdentifier)) return [parseOne(octets)];
  if (type.valueBlock.toString() !== signedData) throw new TypeError('neither a certificate nor signed data');
  return certificatesInSignedData(asn1, content);
}

async function certificatesInPem(text: string): Promise<X509Certificate[]> {
  const { keys, certificates } = await readPem(text, '').catch((cause: unknown) => {
    // Its own words are those of an import.
    throw refusal(texts.unreadable, cause);
  });
  // A private key has no place in a merge; taking it in silence would hide that it was sent.
  if (keys.length > 0) throw new TypeError('there is a private key among the certificates');
  return certificates.map(({ raw }) => parseOne(raw));
}

/** The certificates of RFC 5652 §5.1, octet by octet as they came; attribute certificates are left out. */
function certificatesInSignedData(
  asn1: Asn1Libraries['asn1'],
  wrapped: BaseBlock | undefined,
): X509Certificate[] {
  const [content] = wrapped instanceof asn1.Constructed ? wrapped.valueBlock.value : [];
  const parts = content instanceof asn1.Sequence ? content.valueBlock.value : [];
  const set = parts.find(({ idBlock }) => idBlock.tagClass === contextSpecific && idBlock.tagNumber === 0);
  const members = set instanceof asn1.Constructed ? set.valueBlock.value : [];
  if (members.length > mostCertificates) throw refusal(texts.tooLong);
  return members
    .filter((member) => member instanceof asn1.Sequence)
    .map((member) => parseOne(Uint8Array.from(member.valueBeforeDecodeView)));
}

/** The certificate of the key. Without one Azure tells apart whether there is one that could be a leaf. */
function leafOf(certificates: readonly X509Certificate[], spki: Uint8Array): X509Certificate {
  const leaf = certificates.find((certificate) => spkiOfCertificate(certificate)?.equals(spki) === true);
  if (leaf !== undefined) return leaf;
  throw refusal(certificates.some(({ ca }) => !ca) ? texts.otherKey : texts.noLeaf);
}

/** Undefined for a key of a kind that OpenSSL does not know; an issuer may have one. */
function spkiOfCertificate(certificate: X509Certificate): Buffer | undefined {
  try {
    return certificate.publicKey.export({ format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
}

/**
 * Makes what X.509 is made of: requests, and self-signed and issued certificates. What stands in them is given;
 * this file decides their form (RFC 2986, RFC 5280). Nothing is made that `certificate-reading.ts` would refuse.
 */
import { createHash, createPublicKey, type X509Certificate } from 'node:crypto';
import type { Sequence } from 'asn1js';
import type { Certificate, Extension, RelativeDistinguishedNames, Time } from 'pkijs';
import { Failure } from '../../core/errors.ts';
import { type Asn1Libraries, loadAsn1 } from './asn1-libraries.ts';
import { parseCertificate } from './certificate-chain.ts';
import type { CertificateContent, X509Signer } from './certificate-content.ts';
import {
  contentExtensions,
  contentOfExtensions,
  extension,
  extensionOid,
  extensionValue,
  identifierExtensions,
} from './certificate-extensions.ts';
import { type Signing, signingOf } from './certificate-signing.ts';
import { mayCertifyNames } from './constrained-names.ts';
import { encodeDistinguishedName } from './distinguished-name-der.ts';
import { encodeNameConstraints, nameConstraintsOid } from './name-constraints.ts';
import { spkiOf } from './public-keys.ts';
import { randomSerial } from './serial.ts';

/** First and last moment of validity, in milliseconds since 1970; certificates hold whole seconds. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** An authority: who signs, and its certificate in DER. */
export interface CertificateIssuer {
  readonly signer: X509Signer;
  readonly certificate: Uint8Array;
}

export interface SelfSignedInput extends Validity {
  readonly content: CertificateContent;
}

export interface IssuedInput extends SelfSignedInput {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

/** The largest certificate or request that is made, in octets: what is read again. */
const largest = 64 * 1024;
const certificateVersion = 2;
const firstGeneralizedYear = 2050;

/**
 * Makes a PKCS#10 request in DER, with the content as requested extensions. Throws `Failure('badParameter')` for content
 * that is not valid.
 */
export async function createCertificateRequest(
  signer: X509Signer,
  content: CertificateContent,
): Promise<Uint8Array> {
  const libraries = await loadAsn1();
  const { pki } = libraries;
  const signing = signingOf(libraries, signer);
  const extensions = new pki.Extensions({ extensions: contentExtensions(libraries, content, 'request') });
  const request = new pki.CertificationRequest({
    version: 0,
    subject: await nameOf(libraries, content.subject),
    subjectPublicKeyInfo: pki.PublicKeyInfo.fromBER(Buffer.from(spkiOf(signing.publicKey))),
    attributes: [new pki.Attribute({ type: '1.2.840.113549.1.9.14', values: [extensions.toSchema()] })],
  });
  return bounded(await signedDer(libraries, signing, request));
}

/**
 * Makes a certificate signed by its own key, with the extensions of Azure's in their order. Throws
 * `Failure('badParameter')` for content that is not valid, `RangeError` for times that are none.
 */
export async function createSelfSigned(signer: X509Signer, input: SelfSignedInput): Promise<Uint8Array> {
  const libraries = await loadAsn1();
  const signing = signingOf(libraries, signer);
  const keyIdentifier = keyIdentifierOf(libraries, spkiOf(signing.publicKey));
  const name = await nameOf(libraries, input.content.subject);
  return signedCertificate(libraries, signing, {
    ...input,
    issuer: name,
    publicKey: spkiOf(signing.publicKey),
    extensions: [
      ...contentExtensions(libraries, input.content, 'selfSigned'),
      ...(await constraintsExtensions(libraries, input.content)),
      ...identifierExtensions(libraries, { issuer: keyIdentifier, subject: keyIdentifier }),
    ],
  });
}

/**
 * Issues a certificate. Throws `Failure('badParameter')` for content that is not valid or that the issuer may not certify
 * (names, path length), `RangeError` for an issuer that is no authority, a signer whose key is not the issuer's, an end
 * beyond the issuer's, and a key that is not SubjectPublicKeyInfo.
 */
export async function issueCertificate(
  { signer, certificate }: CertificateIssuer,
  input: IssuedInput,
): Promise<Uint8Array> {
  const libraries = await loadAsn1();
  const signing = signingOf(libraries, signer);
  const issuer = parseIssuer(libraries, { certificate, signing });
  // In whole seconds, as both certificates have it.
  if (Math.floor(input.notAfter / 1000) > issuer.parsed.validToDate.getTime() / 1000)
    throw new RangeError('a certificate does not outlive its issuer');
  await assertMayCertify(issuer, input.content);
  const publicKey = spkiOf(
    createPublicKey({ key: Buffer.from(input.publicKey), format: 'der', type: 'spki' }),
  );
  return signedCertificate(libraries, signing, {
    ...input,
    issuer: issuer.decoded.subject,
    publicKey,
    extensions: [
      ...contentExtensions(libraries, input.content, 'issued'),
      ...(await constraintsExtensions(libraries, input.content)),
      ...identifierExtensions(libraries, {
        issuer: issuer.keyIdentifier,
        subject: keyIdentifierOf(libraries, publicKey),
      }),
    ],
  });
}

interface CertificateParts extends SelfSignedInput {
  readonly issuer: RelativeDistinguishedNames;
  readonly publicKey: Uint8Array;
  readonly extensions: Extension[];
}

async function signedCertificate(
  libraries: Asn1Libraries,
  signing: Signing,
  parts: CertificateParts,
): Promise<Uint8Array> {
  const { asn1, pki } = libraries;
  if (!(parts.notAfter > parts.notBefore)) throw new RangeError('a certificate ends after it begins');
  const certificate = new pki.Certificate({
    version: certificateVersion,
    serialNumber: new asn1.Integer({ valueHex: randomSerial() }),
    signature: signing.identifier,
    issuer: parts.issuer,
    notBefore: timeOf(libraries, parts.notBefore),
    notAfter: timeOf(libraries, parts.notAfter),
    subject: await nameOf(libraries, parts.content.subject),
    subjectPublicKeyInfo: pki.PublicKeyInfo.fromBER(Uint8Array.from(parts.publicKey)),
    extensions: parts.extensions,
  });
  return bounded(await signedDer(libraries, signing, certificate));
}

/** What is signed, the algorithm and the signature: the form of all three (RFC 5280 §4.1, RFC 2986 §4.2). */
async function signedDer(
  { asn1 }: Asn1Libraries,
  signing: Signing,
  unsigned: { toSchema(encode: true): Sequence },
): Promise<Uint8Array> {
  const [tbs] = unsigned.toSchema(true).valueBlock.value;
  if (tbs === undefined) throw new TypeError('there is nothing to sign');
  const signature = await signing.sign(new Uint8Array(tbs.toBER()));
  const whole = new asn1.Sequence({ value: [tbs, signing.identifier.toSchema(), signature] });
  return new Uint8Array(whole.toBER());
}

/** The octets of the name stay as they are, since validators compare names octet by octet. */
async function nameOf({ pki }: Asn1Libraries, subject: string): Promise<RelativeDistinguishedNames> {
  return pki.RelativeDistinguishedNames.fromBER(Uint8Array.from(await encodeDistinguishedName(subject)));
}

/** UTCTime through 2049, GeneralizedTime from then on, whole seconds (RFC 5280 §4.1.2.5). */
function timeOf({ pki }: Asn1Libraries, at: number): Time {
  const value = new Date(1000 * Math.floor(at / 1000));
  const year = value.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw new RangeError('a time is not between 1950 and 9999');
  return new pki.Time({ type: year < firstGeneralizedYear ? 0 : 1, value });
}

/** SHA-1 of the key's bits (RFC 5280 §4.2.1.2, the first method): a name, on which no trust rests. */
function keyIdentifierOf({ pki }: Asn1Libraries, spki: Uint8Array): Uint8Array {
  const { subjectPublicKey } = pki.PublicKeyInfo.fromBER(Uint8Array.from(spki));
  return createHash('sha1').update(subjectPublicKey.valueBlock.valueHexView).digest();
}

interface Issuer {
  readonly parsed: X509Certificate;
  readonly decoded: Certificate;
  readonly content: Omit<CertificateContent, 'subject'>;
  readonly keyIdentifier: Uint8Array;
}

/** Checked before anything is signed: validators refuse what another than an authority signs. */
function parseIssuer(
  libraries: Asn1Libraries,
  input: {
    readonly certificate: Uint8Array;
    readonly signing: Signing;
  },
): Issuer {
  const { asn1, pki } = libraries;
  const parsed = parseCertificate(input.certificate);
  const decoded = pki.Certificate.fromBER(Uint8Array.from(input.certificate));
  const extensions = decoded.extensions ?? [];
  const content = contentOfExtensions(libraries, extensions);
  const mayAll = content.keyUsage.length === 0;
  if (!content.ca || !(mayAll || content.keyUsage.includes('keyCertSign')))
    throw new RangeError('the issuer is not an authority that may do this');
  if (!parsed.publicKey.equals(input.signing.publicKey)) throw new RangeError("the key is not the issuer's");
  const named = extensionValue(extensions, extensionOid.subjectKeyIdentifier);
  const given = named === undefined ? undefined : asn1.fromBER(named).result;
  const keyIdentifier =
    given instanceof asn1.OctetString
      ? given.valueBlock.valueHexView
      : keyIdentifierOf(libraries, spkiOf(parsed.publicKey));
  return { parsed, decoded, content, keyIdentifier };
}

/** What validators would refuse below this issuer is not signed: a chain too long, names outside its constraints. */
async function assertMayCertify(issuer: Issuer, content: CertificateContent): Promise<void> {
  const { pathLength } = issuer.content;
  if (content.ca && pathLength !== undefined && (content.pathLength ?? 0) >= pathLength)
    throw new Failure('badParameter', 'The issuer may not certify authorities with this path length.');
  if (!(await mayCertifyNames(issuer.parsed.raw, content)))
    throw new Failure('badParameter', 'The issuer may not certify all of these names.');
}

async function constraintsExtensions(
  libraries: Asn1Libraries,
  { ca, nameConstraints }: CertificateContent,
): Promise<Extension[]> {
  if (nameConstraints === undefined) return [];
  if (!ca) throw new Failure('badParameter', 'Only authorities have name constraints.');
  const value = await encodeNameConstraints(nameConstraints).catch((cause: unknown) => {
    throw new Failure('badParameter', 'The name constraints are not valid.', { cause });
  });
  return [extension(libraries, { oid: nameConstraintsOid, critical: true, value })];
}

function bounded(der: Uint8Array): Uint8Array {
  if (der.length > largest) throw new Failure('badParameter', 'The certificate would be larger than 64 KiB.');
  return der;
}

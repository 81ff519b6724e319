/**
 * The extensions of certificates and of requests (RFC 5280 §4.2): content to extensions and back. A request has them in
 * the order of Azure's requests, a certificate in that of Azure's self-signed ones.
 */
import type { BaseBlock } from 'asn1js';
import type { Extension } from 'pkijs';
import { Failure } from '../../core/errors.ts';
import {
  countAlternativeNames,
  decodeAlternativeNames,
  encodeAlternativeNames,
} from './alternative-names.ts';
import { type Asn1Libraries, parseValue } from './asn1-libraries.ts';
import type { CertificateContent, KeyUsage, SubjectAlternativeNames } from './certificate-content.ts';
import { isObjectIdentifier, objectIdentifierText } from './object-identifiers.ts';

export const extensionOid = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** Bit 0 first (RFC 5280 §4.2.1.3). */
const usageBits: readonly KeyUsage[] = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
];
const mostExtendedUsages = 100;
const noNames: SubjectAlternativeNames = { emails: [], dnsNames: [], upns: [], uris: [], ipAddresses: [] };

/** What the extensions are for; a self-signed certificate has them as Azure's has. */
export type ContentForm = 'request' | 'selfSigned' | 'issued';

/** One extension, its value in DER. */
export function extension(
  { pki }: Asn1Libraries,
  input: { readonly oid: string; readonly critical?: boolean; readonly value: BaseBlock | Uint8Array },
): Extension {
  const extnValue =
    input.value instanceof Uint8Array ? Uint8Array.from(input.value).buffer : input.value.toBER();
  return new pki.Extension({ extnID: input.oid, critical: input.critical ?? false, extnValue });
}

/**
 * The extensions that say the content; usages and names only where there are any. Throws `Failure('badParameter')` for
 * names and identifiers that are not valid, a path length without an authority, and content that names no subject.
 */
export function contentExtensions(
  libraries: Asn1Libraries,
  content: CertificateContent,
  form: ContentForm,
): Extension[] {
  const usage = content.keyUsage.length === 0 ? [] : [keyUsageExtension(libraries, content.keyUsage)];
  const extended = content.ekus.length === 0 ? [] : [extendedUsageExtension(libraries, content.ekus)];
  const names = alternativeNamesExtensions(libraries, content);
  const constraints = basicConstraintsExtension(libraries, content, form);
  return form === 'request'
    ? [...usage, ...extended, ...names, constraints]
    : [...usage, constraints, ...extended, ...names];
}

/** The key identifiers of the issuer and of the subject (RFC 5280 §4.2.1.1 and §4.2.1.2). */
export function identifierExtensions(
  libraries: Asn1Libraries,
  of: { readonly issuer: Uint8Array; readonly subject: Uint8Array },
): Extension[] {
  const { asn1 } = libraries;
  return [
    authorityKeyExtension(libraries, of.issuer),
    extension(libraries, {
      oid: extensionOid.subjectKeyIdentifier,
      value: new asn1.OctetString({ valueHex: of.subject }),
    }),
  ];
}

/** The identifier of the key that signed. */
function authorityKeyExtension(libraries: Asn1Libraries, identifier: Uint8Array): Extension {
  const keyIdentifier = new libraries.asn1.OctetString({ valueHex: identifier });
  const value = new libraries.pki.AuthorityKeyIdentifier({ keyIdentifier }).toSchema();
  return extension(libraries, { oid: extensionOid.authorityKeyIdentifier, value });
}

/** The content that extensions say. Throws for malformed ones and for one that stands twice (RFC 5280 §4.2). */
export function contentOfExtensions(
  libraries: Asn1Libraries,
  extensions: readonly Extension[],
): Omit<CertificateContent, 'subject'> {
  if (new Set(extensions.map(({ extnID }) => extnID)).size !== extensions.length)
    throw new RangeError('an extension stands twice');
  const der = (oid: string) => extensionValue(extensions, oid);
  const sans = der(extensionOid.subjectAlternativeName);
  const usage = der(extensionOid.keyUsage);
  const extended = der(extensionOid.extendedKeyUsage);
  const constraints = der(extensionOid.basicConstraints);
  return {
    sans: sans === undefined ? noNames : decodeAlternativeNames(libraries, sans),
    keyUsage: usage === undefined ? [] : readKeyUsage(libraries, usage),
    ekus: extended === undefined ? [] : readExtendedUsage(libraries, extended),
    ...(constraints === undefined ? { ca: false } : readConstraints(libraries, constraints)),
  };
}

/** The DER of an extension's value, if it is there. */
export function extensionValue(extensions: readonly Extension[], oid: string): Uint8Array | undefined {
  return extensions.find(({ extnID }) => extnID === oid)?.extnValue.valueBlock.valueHexView;
}

/** A list of named bits ends with its last one that is set (X.690 §11.2.2). */
function keyUsageExtension(libraries: Asn1Libraries, usages: readonly KeyUsage[]): Extension {
  const set = usageBits.map((bit) => usages.includes(bit));
  const last = set.lastIndexOf(true);
  const octets = new Uint8Array(last < 8 ? 1 : 2);
  set.forEach((isSet, bit) => {
    if (isSet) octets[bit >> 3] = (octets[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  });
  const value = new libraries.asn1.BitString({ valueHex: octets, unusedBits: 7 - (last & 7) });
  return extension(libraries, { oid: extensionOid.keyUsage, critical: true, value });
}

function extendedUsageExtension(libraries: Asn1Libraries, ekus: readonly string[]): Extension {
  if (ekus.length > mostExtendedUsages) throw invalid('there are too many extended key usages');
  if (!ekus.every(isObjectIdentifier)) throw invalid('an extended key usage is not an object identifier');
  const value = new libraries.pki.ExtKeyUsage({ keyPurposes: [...ekus] }).toSchema();
  return extension(libraries, { oid: extensionOid.extendedKeyUsage, value });
}

/** Critical when it is all that names the subject (RFC 5280 §4.2.1.6). */
function alternativeNamesExtensions(libraries: Asn1Libraries, content: CertificateContent): Extension[] {
  const hasSubject = content.subject.trim() !== '';
  if (countAlternativeNames(content.sans) === 0) {
    if (!hasSubject) throw invalid('there is neither a subject nor an alternative name');
    return [];
  }
  const value = encodeAlternativeNames(libraries, content.sans);
  return [extension(libraries, { oid: extensionOid.subjectAlternativeName, critical: !hasSubject, value })];
}

/**
 * Always there, as Azure has it; critical for authorities (RFC 5280 §4.2.1.9), and in all that an authority issues
 * (baseline requirements §7.1.2.7.8 of the CA/Browser Forum).
 */
function basicConstraintsExtension(
  libraries: Asn1Libraries,
  content: CertificateContent,
  form: ContentForm,
): Extension {
  const { ca, pathLength } = content;
  if (
    pathLength !== undefined &&
    !(ca && Number.isInteger(pathLength) && pathLength >= 0 && pathLength < 128)
  )
    throw invalid('a path length is a number from 0 to 127, and for authorities only');
  const depth = pathLength === undefined ? {} : { pathLenConstraint: pathLength };
  const value = new libraries.pki.BasicConstraints({ cA: ca, ...depth }).toSchema();
  const critical = ca || form === 'issued';
  return extension(libraries, { oid: extensionOid.basicConstraints, critical, value });
}

function readKeyUsage({ asn1 }: Asn1Libraries, der: Uint8Array): KeyUsage[] {
  const result = parseValue({ asn1 }, der);
  if (!(result instanceof asn1.BitString)) throw new RangeError('malformed key usage');
  const octets = result.valueBlock.valueHexView;
  return usageBits.filter((_, bit) => ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

function readExtendedUsage({ asn1 }: Asn1Libraries, der: Uint8Array): string[] {
  const result = parseValue({ asn1 }, der);
  if (!(result instanceof asn1.Sequence)) throw new RangeError('malformed extended key usage');
  return result.valueBlock.value.map((usage) => {
    if (!(usage instanceof asn1.ObjectIdentifier)) throw new RangeError('malformed extended key usage');
    return objectIdentifierText(usage);
  });
}

function readConstraints(
  { asn1, pki }: Asn1Libraries,
  der: Uint8Array,
): Pick<CertificateContent, 'ca' | 'pathLength'> {
  const { cA, pathLenConstraint } = new pki.BasicConstraints({ schema: parseValue({ asn1 }, der) });
  // Above 32 bits the library gives no number; such a length limits nothing.
  return typeof pathLenConstraint === 'number' ? { ca: cA, pathLength: pathLenConstraint } : { ca: cA };
}

function invalid(why: string): Failure {
  return new Failure('badParameter', `The certificate cannot be made: ${why}.`);
}

/**
 * Subject alternative names (RFC 5280 §4.2.1.6) to DER and back. Names are encoded as they are given and are checked
 * here for what would make a certificate malformed or mean another name to some reader; nothing is corrected.
 */
import { isIP, SocketAddress } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';
import type { BaseBlock } from 'asn1js';
import type { GeneralName } from 'pkijs';
import { Failure } from '../../core/errors.ts';
import { type Asn1Libraries, parseValue } from './asn1-libraries.ts';
import type { SubjectAlternativeNames } from './certificate-content.ts';
import { objectIdentifierText } from './object-identifiers.ts';

/** User principal name, an otherName (Microsoft's; its value is UTF8String). */
const upnOid = '1.3.6.1.4.1.311.20.2.3';
/** GeneralName's choice numbers (RFC 5280 §4.2.1.6). */
const tag = { otherName: 0, email: 1, dns: 2, uri: 6, ip: 7 } as const;
const mostNames = 1000;
const longest = 1024;
const label = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const host = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`);

export function countAlternativeNames(sans: SubjectAlternativeNames): number {
  const { emails, dnsNames, upns, uris, ipAddresses } = sans;
  return emails.length + dnsNames.length + upns.length + uris.length + ipAddresses.length;
}

/** The extension's value, DNS names first. Throws `Failure('badParameter')` for a name that is not of its kind. */
export function encodeAlternativeNames(libraries: Asn1Libraries, sans: SubjectAlternativeNames): BaseBlock {
  if (countAlternativeNames(sans) > mostNames) throw invalid(`there are more than ${mostNames}`);
  const { asn1, pki } = libraries;
  const text = (type: 1 | 2 | 6, value: string) => new pki.GeneralName({ type, value }).toSchema();
  const address = (value: string) =>
    new pki.GeneralName({ type: tag.ip, value: new asn1.OctetString({ valueHex: addressOctets(value) }) });
  const { dnsNames, emails, upns, uris, ipAddresses } = sans;
  const value = [
    ...dnsNames.map((name) => text(tag.dns, checked('dnsNames', name))),
    ...emails.map((name) => text(tag.email, checked('emails', name))),
    ...upns.map((name) => principalName(asn1, checked('upns', name))),
    ...uris.map((name) => text(tag.uri, checked('uris', name))),
    ...ipAddresses.map((name) => address(checked('ipAddresses', name)).toSchema()),
  ];
  return new asn1.Sequence({ value });
}

/**
 * The names of an extension's value in DER. Names of kinds that are not served are left out. Throws `Failure` for
 * malformed ones: control characters, letters beyond ASCII, labels above 63 and names above 253 characters.
 */
export function decodeAlternativeNames(libraries: Asn1Libraries, der: Uint8Array): SubjectAlternativeNames {
  const { altNames } = new libraries.pki.AltName({ schema: parseValue(libraries, der) });
  if (altNames.length > mostNames) throw invalid(`there are more than ${mostNames}`);
  const values = (type: number) => altNames.filter((name) => name.type === type);
  const texts = (type: number) => values(type).map(({ value }) => readable(String(value)));
  const dnsNames = texts(tag.dns);
  if (!dnsNames.every(isReadableDnsName)) throw invalid('a DNS name or a label of one is too long');
  return {
    emails: texts(tag.email),
    dnsNames,
    upns: values(tag.otherName).flatMap((name) => readPrincipalName(libraries, name)),
    uris: texts(tag.uri),
    ipAddresses: values(tag.ip).map(({ value }) => addressText(value.valueBlock.valueHexView)),
  };
}

function invalid(why: string): Failure {
  return new Failure('badParameter', `The subject alternative names are not valid: ${why}.`);
}

export type NameKind = keyof SubjectAlternativeNames;

const kinds: Readonly<Record<NameKind, { what: string; isName: (name: string) => boolean }>> = {
  dnsNames: { what: 'a DNS name', isName: isDnsName },
  emails: { what: 'an e-mail address', isName: isEmail },
  upns: { what: 'a principal name', isName: isPlainText },
  uris: { what: 'a URI', isName: isUri },
  ipAddresses: { what: 'an IP address', isName: isAddress },
};

/** Whether a name is one that can be encoded as one of the kind. */
export function isAlternativeName(kind: NameKind, name: string): boolean {
  return name.length <= longest && kinds[kind].isName(name);
}

function checked(kind: NameKind, name: string): string {
  if (!isAlternativeName(kind, name)) throw invalid(`an entry is not ${kinds[kind].what}`);
  return name;
}

/** A wildcard stands for one whole label and never alone (RFC 9525 §6.3); what claims to be an A-label is one (RFC 5890). */
function isDnsName(name: string): boolean {
  const rest = name.startsWith('*.') ? name.slice(2) : name;
  return host.test(rest) && rest.split('.').every(isLabel);
}

function isLabel(text: string): boolean {
  if (!/^xn--/i.test(text)) return true;
  const unicode = domainToUnicode(text);
  return !/^xn--/i.test(unicode) && domainToASCII(unicode) === text.toLowerCase();
}

/** RFC 5321's dot-string; a host may be any that is a DNS name, without a wildcard. */
function isEmail(name: string): boolean {
  const at = name.lastIndexOf('@');
  const local = name.slice(0, Math.max(at, 0));
  return (
    local.length <= 64 &&
    /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*$/.test(local) &&
    host.test(name.slice(at + 1))
  );
}

function isPlainText(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\p{Cc}\u2028\u2029]/u.test(name);
}

/** Absolute: a scheme and something after it (RFC 5280 §4.2.1.6). */
function isUri(name: string): boolean {
  return /^[A-Za-z][A-Za-z0-9+.-]*:[!-~]+$/.test(name) && URL.canParse(name);
}

function isAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes('%');
}

/** Built here, since the library wraps an otherName once too often. */
function principalName(asn1: Asn1Libraries['asn1'], name: string): BaseBlock {
  const value = new asn1.Constructed({
    idBlock: { tagClass: 3, tagNumber: 0 },
    value: [new asn1.Utf8String({ value: name })],
  });
  return new asn1.Constructed({
    idBlock: { tagClass: 3, tagNumber: tag.otherName },
    value: [new asn1.ObjectIdentifier({ value: upnOid }), value],
  });
}

/** Nothing for otherNames of other types; throws for a UPN that is not plain text in UTF-8. */
function readPrincipalName({ asn1 }: Asn1Libraries, name: GeneralName): string[] {
  const [type, wrapped] = name.value instanceof asn1.Constructed ? name.value.valueBlock.value : [];
  if (!(type instanceof asn1.ObjectIdentifier) || objectIdentifierText(type) !== upnOid) return [];
  const [value] = wrapped instanceof asn1.Constructed ? wrapped.valueBlock.value : [];
  const text = value instanceof asn1.Utf8String ? utf8(value.valueBlock.valueHexView) : undefined;
  if (text === undefined || !isPlainText(text) || text.length > longest)
    throw invalid('a principal name is not plain text in UTF-8');
  return [text];
}

function utf8(octets: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return undefined;
  }
}

/** IA5String holds ASCII; a NUL or a line end in a name would end it early for some readers. */
function readable(text: string): string {
  if (!/^[\x20-\x7e]{1,1024}$/.test(text)) throw invalid('a name has characters that are not allowed in it');
  return text;
}

function isReadableDnsName(name: string): boolean {
  return name.length <= 254 && name.split('.').every((one) => one.length <= 63);
}

/** Four octets, or sixteen (RFC 5280 §4.2.1.6). */
function addressOctets(text: string): Uint8Array {
  if (isIP(text) === 4) return Uint8Array.from(text.split('.'), Number);
  const [head = '', tail] = canonical(text).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').flatMap(groupOctets));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  return Uint8Array.from([...first, ...new Array(16 - first.length - last.length).fill(0), ...last]);
}

/** Four digits of hexadecimal, or the dotted end of an address that holds an IPv4 address. */
function groupOctets(group: string): number[] {
  if (group.includes('.')) return group.split('.').map(Number);
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 0xff];
}

function canonical(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

function addressText(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) throw invalid('an IP address has neither 4 nor 16 octets');
  const groups = Buffer.from(octets).toString('hex').match(/.{4}/g) ?? [];
  return canonical(groups.join(':'));
}

/**
 * Distinguished names in text (RFC 4514), read strictly: what a character does is decided by its place alone, so that
 * no value can become another attribute. Also read are Windows' and RFC 2253's quotes, `;`, and `OID.` before a number.
 */
import { Failure } from '../../core/errors.ts';
import { findAttributeByKeyword, findAttributeByOid, type NameAttribute } from './name-attributes.ts';
import { isObjectIdentifier } from './object-identifiers.ts';

/** One attribute and its value: text, or the DER that was written as `#` and hexadecimal digits. */
export interface NameValue {
  readonly oid: string;
  readonly value: string | { readonly der: Uint8Array };
}

/** Attributes that make one relative name; most names have one in each. */
export type RelativeName = readonly NameValue[];

export const commonNameOid = '2.5.4.3';

const longestText = 4096;
const mostAttributes = 64;
const special = new Set(['\\', ',', '+', '"', ';', '<', '>', '#', ' ', '=']);
const separators = new Set([',', ';', '+']);
const spaces = /\s/;

/** The rejection of a name; `why` may reach the caller. */
export function invalidName(why: string): Failure {
  return new Failure('badParameter', `The subject name is not valid: ${why}.`);
}

/** Where reading is; the only state of a parse. */
interface Cursor {
  readonly text: string;
  at: number;
}

/**
 * The relative names in the order of the text; none for an empty text. Throws `Failure('badParameter')` for text that
 * is no name, unknown keywords, control characters, values that are too long, and more than 64 attributes.
 */
export function parseDistinguishedName(text: string): readonly RelativeName[] {
  if (text.length > longestText) throw invalidName(`it has more than ${longestText} characters`);
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) throw invalidName('it has control characters');
  if (text.trim() === '') return [];
  const cursor: Cursor = { text, at: 0 };
  const names: NameValue[][] = [];
  let separator = ',';
  for (let count = 0; separator !== ''; count++) {
    if (count === mostAttributes) throw invalidName(`it has more than ${mostAttributes} attributes`);
    const one = readAttribute(cursor);
    const last = names.at(-1);
    if (separator !== '+' || last === undefined) names.push([one]);
    else if (last.some(({ oid }) => oid === one.oid))
      throw invalidName('one of its parts has an attribute twice');
    else last.push(one);
    separator = readSeparator(cursor);
  }
  return names;
}

/** The values of one attribute of the subject that are text, in its order. Throws as `parseDistinguishedName` does. */
export function textsOf(subject: string, attribute: string): readonly string[] {
  return parseDistinguishedName(subject)
    .flat()
    .flatMap(({ oid, value }) => (oid === attribute && typeof value === 'string' ? [value] : []));
}

/** Throws what a name with such a value is refused with. */
export function assertNameText(attribute: NameAttribute | undefined, text: string): void {
  const keyword = attribute?.keywords[0] ?? 'an attribute';
  if (text === '') throw invalidName(`${keyword} is empty`);
  if (!text.isWellFormed() || /\p{Cc}/u.test(text)) throw invalidName(`${keyword} has control characters`);
  if (attribute === undefined) return;
  if ([...text].length > attribute.longest)
    throw invalidName(`${keyword} has more than ${attribute.longest} characters`);
  if (attribute.form !== undefined && !attribute.form.pattern.test(text))
    throw invalidName(`${keyword} is ${attribute.form.what}`);
  if (attribute.string === 'printable' && !isPrintable(text))
    throw invalidName(`${keyword} has characters that are not allowed in it`);
  if (attribute.string === 'ia5' && !isAscii(text))
    throw invalidName(`${keyword} has characters beyond ASCII`);
}

/** The repertoire of PrintableString (X.680 §41.4). */
export function isPrintable(text: string): boolean {
  return /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text);
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** `keyword=value` for one attribute, as Azure shows names: values with separators stand in quotes. */
export function formatNameValue({ oid, value }: NameValue): string {
  const keyword = findAttributeByOid(oid)?.keywords[0] ?? `OID.${oid}`;
  return `${keyword}=${typeof value === 'string' ? quoted(value) : `#${Buffer.from(value.der).toString('hex')}`}`;
}

function quoted(value: string): string {
  const escaped = value
    .replaceAll('\\', '\\\\')
    // As the octets of their UTF-8 (RFC 4514 §2.4): a control character in a certificate must not act on who reads it.
    .replace(/\p{Cc}/gu, (character) => hexPairs(Buffer.from(character)));
  if (!/^\s|\s$|^$|[,+="<>#;]/.test(value)) return escaped;
  return `"${escaped.replaceAll('"', '""')}"`;
}

function hexPairs(octets: Uint8Array): string {
  return Array.from(octets, (octet) => `\\${octet.toString(16).padStart(2, '0').toUpperCase()}`).join('');
}

function readAttribute(cursor: Cursor): NameValue {
  const rest = cursor.text.slice(cursor.at);
  const [all, type] = /^\s*([A-Za-z][A-Za-z0-9-]*(?:\.[0-9.]+)?|[0-9][0-9.]*)\s*=\s*/.exec(rest) ?? [];
  if (all === undefined || type === undefined)
    throw invalidName('an attribute is not of the form keyword=value');
  cursor.at += all.length;
  const oid = oidOf(type);
  const value = cursor.text[cursor.at] === '#' ? readHexadecimal(cursor) : readText(cursor);
  if (typeof value === 'string') assertNameText(findAttributeByOid(oid), value);
  return { oid, value };
}

function oidOf(type: string): string {
  const oid = type.replace(/^oid\./i, '');
  if (isObjectIdentifier(oid)) return oid;
  const attribute = findAttributeByKeyword(type);
  if (attribute === undefined) throw invalidName(`the attribute ${type.slice(0, 64)} is not known`);
  return attribute.oid;
}

/** Ends at the end of the text, where it returns an empty text. */
function readSeparator(cursor: Cursor): string {
  skipSpaces(cursor);
  const separator = cursor.text[cursor.at] ?? '';
  if (separator !== '' && !separators.has(separator))
    throw invalidName('there is text behind a closing quote');
  cursor.at++;
  return separator;
}

function skipSpaces(cursor: Cursor): void {
  while (spaces.test(cursor.text[cursor.at] ?? '')) cursor.at++;
}

function readHexadecimal(cursor: Cursor): { der: Uint8Array } {
  const digits = /^#((?:[0-9A-Fa-f]{2})+)\s*(?=[,;+]|$)/.exec(cursor.text.slice(cursor.at));
  if (digits === null) throw invalidName('a value that begins with # is not hexadecimal');
  cursor.at += digits[0].length;
  return { der: Buffer.from(digits[1] ?? '', 'hex') };
}

function readText(cursor: Cursor): string {
  return cursor.text[cursor.at] === '"' ? readQuoted(cursor) : readUnquoted(cursor);
}

/** A doubled quote is one quote (Windows); an escape is what it is outside (RFC 2253). */
function readQuoted(cursor: Cursor): string {
  const parts: Uint8Array[] = [];
  for (cursor.at++; ; ) {
    const character = cursor.text[cursor.at];
    if (character === undefined) throw invalidName('a quote is not closed');
    if (character === '"') {
      if (cursor.text[cursor.at + 1] !== '"') break;
      cursor.at++;
    }
    parts.push(readCharacter(cursor));
  }
  cursor.at++;
  return decoded(parts);
}

function readUnquoted(cursor: Cursor): string {
  const parts: Uint8Array[] = [];
  /** How many parts are left when unescaped spaces at the end are dropped. */
  let kept = 0;
  for (;;) {
    const character = cursor.text[cursor.at];
    if (character === undefined || separators.has(character)) break;
    if (character === '"') throw invalidName('there is a quote within a value');
    parts.push(readCharacter(cursor));
    if (!spaces.test(character)) kept = parts.length;
  }
  return decoded(parts.slice(0, kept));
}

/** One character, or one octet that was written as two digits, in UTF-8. */
function readCharacter(cursor: Cursor): Uint8Array {
  const character = String.fromCodePoint(cursor.text.codePointAt(cursor.at) ?? 0);
  cursor.at += character.length;
  if (character !== '\\') return Buffer.from(character);
  const next = cursor.text[cursor.at] ?? '';
  if (special.has(next)) {
    cursor.at++;
    return Buffer.from(next);
  }
  const pair = cursor.text.slice(cursor.at, cursor.at + 2);
  if (!/^[0-9A-Fa-f]{2}$/.test(pair)) throw invalidName('a backslash does not escape what follows it');
  cursor.at += 2;
  return Buffer.from(pair, 'hex');
}

/** Octets written as digits need not be text on their own, only all of a value together. */
function decoded(parts: readonly Uint8Array[]): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts));
  } catch {
    throw invalidName('the octets of a value are not UTF-8');
  }
}

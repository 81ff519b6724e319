/**
 * Distinguished names between text and DER (RFC 5280 §4.1.2.4). The first attribute of the text is the last of the
 * encoding (RFC 4514 §2.1): the requests that Azure makes for `C=US, …, CN=www.example.com` begin with the common name.
 */
import type { BaseBlock, ObjectIdentifier } from 'asn1js';
import {
  assertNameText,
  formatNameValue,
  invalidName,
  isPrintable,
  type NameValue,
  parseDistinguishedName,
  type RelativeName,
} from './distinguished-name.ts';
import { findAttributeByOid } from './name-attributes.ts';
import { objectIdentifierText } from './object-identifiers.ts';

type Asn1 = typeof import('asn1js');

/** The tag class of the types of ASN.1 itself. */
const universal = 1;

/** The DER of the name that the text is; throws as `parseDistinguishedName` does, and for values in `#` that are no DER. */
export async function encodeDistinguishedName(text: string): Promise<Uint8Array> {
  const names = parseDistinguishedName(text).toReversed();
  const asn1 = await import('asn1js');
  const sequence = new asn1.Sequence({ value: names.map((name) => relativeName(asn1, name)) });
  return new Uint8Array(sequence.toBER());
}

/**
 * The text of a name in DER, as Azure shows subjects: `CN=www.example.com, O=Example`. Empty for the empty name. What is
 * no text is shown as `#` and its DER. Throws `Failure('badParameter')` for what is no name.
 */
export async function formatDistinguishedName(der: Uint8Array): Promise<string> {
  const asn1 = await import('asn1js');
  const { offset, result } = asn1.fromBER(Uint8Array.from(der));
  if (offset !== der.length || !(result instanceof asn1.Sequence)) throw invalidName('it is not DER');
  return result.valueBlock.value
    .toReversed()
    .map((name) => members(asn1, name).map(formatNameValue).join(' + '))
    .join(', ');
}

/** DER orders the members of a set by their octets (X.690 §11.6). */
function relativeName(asn1: Asn1, name: RelativeName): BaseBlock {
  const values = name.map(
    ({ oid, value }) =>
      new asn1.Sequence({
        value: [new asn1.ObjectIdentifier({ value: oid }), encodedValue(asn1, { oid, value })],
      }),
  );
  const sorted = values.toSorted((a, b) => Buffer.compare(Buffer.from(a.toBER()), Buffer.from(b.toBER())));
  return new asn1.Set({ value: sorted });
}

function encodedValue(asn1: Asn1, { oid, value }: NameValue): BaseBlock {
  const attribute = findAttributeByOid(oid);
  if (typeof value !== 'string') return givenValue(asn1, { oid, der: value.der });
  if (attribute?.string === 'ia5') return new asn1.IA5String({ value });
  // As Azure's requests have it; what PrintableString cannot hold is UTF8String (RFC 5280 §4.1.2.4).
  return isPrintable(value) ? new asn1.PrintableString({ value }) : new asn1.Utf8String({ value });
}

/** A value that came as DER: what is known to be text must be text, and no longer than that text may be. */
function givenValue(asn1: Asn1, { oid, der }: { oid: string; der: Uint8Array }): BaseBlock {
  const { offset, result } = asn1.fromBER(Uint8Array.from(der));
  const { idBlock, lenBlock } = result;
  const isPrimitive = idBlock.tagClass === universal && !idBlock.isConstructed;
  if (offset !== der.length || !isPrimitive || lenBlock.blockLength !== lengthOctets(lenBlock.length))
    throw invalidName('a value that begins with # is not DER of one primitive value');
  const text = textOf(asn1, result);
  const attribute = findAttributeByOid(oid);
  if (text !== undefined) assertNameText(attribute, text);
  else if (attribute !== undefined) throw invalidName(`${attribute.keywords[0]} is not text`);
  return result;
}

/** How many octets DER takes to say a length (X.690 §10.1). */
function lengthOctets(length: number): number {
  return length < 0x80 ? 1 : length < 0x100 ? 2 : 3;
}

function members(asn1: Asn1, name: BaseBlock): NameValue[] {
  if (!(name instanceof asn1.Set)) throw invalidName('it is not DER');
  return name.valueBlock.value.map((member) => {
    const [type, value] = member instanceof asn1.Sequence ? member.valueBlock.value : [];
    if (!(type instanceof asn1.ObjectIdentifier) || value === undefined) throw invalidName('it is not DER');
    return { oid: identifierOf(type), value: textOf(asn1, value) ?? { der: new Uint8Array(value.toBER()) } };
  });
}

function identifierOf(type: ObjectIdentifier): string {
  try {
    return objectIdentifierText(type);
  } catch {
    throw invalidName('an object identifier is too long');
  }
}

/** The text of one of the string types; undefined for others, and for octets that are not of their type. */
function textOf(asn1: Asn1, value: BaseBlock): string | undefined {
  if (value instanceof asn1.Utf8String) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value.valueBlock.valueHexView);
    } catch {
      return undefined;
    }
  }
  const isText =
    value instanceof asn1.PrintableString ||
    value instanceof asn1.IA5String ||
    value instanceof asn1.TeletexString ||
    value instanceof asn1.BmpString ||
    value instanceof asn1.UniversalString ||
    value instanceof asn1.NumericString ||
    value instanceof asn1.VisibleString;
  return isText ? value.valueBlock.value : undefined;
}

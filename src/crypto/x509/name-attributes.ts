/**
 * The attributes of distinguished names: their keywords in text, their object identifiers, and what RFC 5280
 * appendix A and X.520 allow as a value.
 */

/** How a value is encoded: `directory` is PrintableString where that can hold the value, else UTF8String. */
export type NameString = 'directory' | 'printable' | 'ia5';

export interface NameAttribute {
  readonly oid: string;
  /** Keywords that are read, without regard to case; the first is written. */
  readonly keywords: readonly string[];
  /** Most characters of a value. */
  readonly longest: number;
  readonly string: NameString;
  /** What a value must look like beyond that, and what to say if it does not. */
  readonly form?: { readonly pattern: RegExp; readonly what: string };
}

const country = { pattern: /^[A-Za-z]{2}$/, what: 'two letters (ISO 3166-1)' };
/** ub-name of RFC 5280, far above what fits into a name here. */
const longestName = 32_768;

function row(
  keywords: string,
  oid: string,
  longest: number,
  rest: Partial<Pick<NameAttribute, 'string' | 'form'>> = {},
): NameAttribute {
  return { oid, keywords: keywords.split(' '), longest, string: 'directory', ...rest };
}

/**
 * `S`, `E`, `T`, `G` and `I` are the words that Windows writes, and so Azure; RFC 4514's and OpenSSL's are read too.
 * An attribute without a keyword of theirs is written as its identifier, which every reader takes.
 */
const attributes: readonly NameAttribute[] = [
  row('CN commonName', '2.5.4.3', 64),
  row('OU organizationalUnitName', '2.5.4.11', 64),
  row('O organizationName', '2.5.4.10', 64),
  row('L localityName', '2.5.4.7', 128),
  row('S ST stateOrProvinceName', '2.5.4.8', 128),
  row('C countryName', '2.5.4.6', 2, { string: 'printable', form: country }),
  row('STREET streetAddress', '2.5.4.9', 128),
  row('DC domainComponent', '0.9.2342.19200300.100.1.25', 253, { string: 'ia5' }),
  row('E email emailAddress', '1.2.840.113549.1.9.1', 255, { string: 'ia5' }),
  row('SERIALNUMBER', '2.5.4.5', 64, { string: 'printable' }),
  row('T title', '2.5.4.12', 64),
  row('G GN givenName', '2.5.4.42', longestName),
  row('SN surname', '2.5.4.4', longestName),
  row('I initials', '2.5.4.43', longestName),
  row('dnQualifier', '2.5.4.46', 64, { string: 'printable' }),
  row('PostalCode', '2.5.4.17', 40),
  row('POBox postOfficeBox', '2.5.4.18', 40),
  row('Phone telephoneNumber', '2.5.4.20', 32, { string: 'printable' }),
  row('Description', '2.5.4.13', 1024),
  row('UID userId', '0.9.2342.19200300.100.1.1', 256),
  row('generationQualifier', '2.5.4.44', longestName),
  row('pseudonym', '2.5.4.65', 128),
  row('name', '2.5.4.41', longestName),
  row('businessCategory', '2.5.4.15', 128),
  row('organizationIdentifier', '2.5.4.97', 256),
  row('unstructuredName', '1.2.840.113549.1.9.2', 255),
  // The incorporation of a company, of the CA/Browser Forum's guidelines for extended validation.
  row('jurisdictionL jurisdictionLocalityName', '1.3.6.1.4.1.311.60.2.1.1', 128),
  row('jurisdictionST jurisdictionS jurisdictionStateOrProvinceName', '1.3.6.1.4.1.311.60.2.1.2', 128),
  row('jurisdictionC jurisdictionCountryName', '1.3.6.1.4.1.311.60.2.1.3', 2, {
    string: 'printable',
    form: country,
  }),
];

const byKeyword = new Map(
  attributes.flatMap((attribute) => attribute.keywords.map((word) => [word.toLowerCase(), attribute])),
);
const byOid = new Map(attributes.map((attribute) => [attribute.oid, attribute]));

export function findAttributeByKeyword(keyword: string): NameAttribute | undefined {
  return byKeyword.get(keyword.toLowerCase());
}

export function findAttributeByOid(oid: string): NameAttribute | undefined {
  return byOid.get(oid);
}

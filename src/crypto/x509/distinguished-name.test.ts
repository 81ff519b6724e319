/** Proves that no text becomes another name than the one it says, in either direction, and what is refused. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Failure } from '../../core/errors.ts';
import { formatNameValue, parseDistinguishedName } from './distinguished-name.ts';
import { encodeDistinguishedName, formatDistinguishedName } from './distinguished-name-der.ts';

const cn = '2.5.4.3';
const o = '2.5.4.10';

async function hexOf(text: string): Promise<string> {
  return Buffer.from(await encodeDistinguishedName(text)).toString('hex');
}

/** The parsed attributes, relative names as lists. */
function parsed(text: string) {
  return parseDistinguishedName(text).map((name) => name.map(({ oid, value }) => [oid, value]));
}

describe('what a text says', () => {
  test.each<[string, unknown]>([
    ['', []],
    ['   ', []],
    ['CN=a', [[[cn, 'a']]]],
    ['cn=a', [[[cn, 'a']]]],
    ['commonName=a', [[[cn, 'a']]]],
    ['2.5.4.3=a', [[[cn, 'a']]]],
    ['OID.2.5.4.3=a', [[[cn, 'a']]]],
    ['  CN  =  a  ,  O  =  b  ', [[[cn, 'a']], [[o, 'b']]]],
    ['CN=a;O=b', [[[cn, 'a']], [[o, 'b']]]],
    [
      'CN=a+O=b',
      [
        [
          [cn, 'a'],
          [o, 'b'],
        ],
      ],
    ],
    ['CN=a b  c', [[[cn, 'a b  c']]]],
    ['CN=a=b', [[[cn, 'a=b']]]],
    ['CN=a#b', [[[cn, 'a#b']]]],
    ['CN=\\#a', [[[cn, '#a']]]],
    ['CN=\\ a\\ ', [[[cn, ' a ']]]],
    ['CN=\\20a\\20', [[[cn, ' a ']]]],
    ['CN=a\\ \\ ', [[[cn, 'a  ']]]],
    ['CN=a\\  ', [[[cn, 'a ']]]],
    ['CN=a\\\\', [[[cn, 'a\\']]]],
    ['CN=a\\,O\\=b', [[[cn, 'a,O=b']]]],
    ['CN=a\\2CO=b', [[[cn, 'a,O=b']]]],
    ['CN=a\\+O=b', [[[cn, 'a+O=b']]]],
    ['CN=a\\;O=b', [[[cn, 'a;O=b']]]],
    ['CN=a\\"', [[[cn, 'a"']]]],
    ['CN="a,O=b"', [[[cn, 'a,O=b']]]],
    ['CN=" a "', [[[cn, ' a ']]]],
    ['CN="a ""b"" c"', [[[cn, 'a "b" c']]]],
    ['CN="a \\"b\\" c", O=d', [[[cn, 'a "b" c']], [[o, 'd']]]],
    [
      'CN="a" + O="b+c"',
      [
        [
          [cn, 'a'],
          [o, 'b+c'],
        ],
      ],
    ],
    ['CN=Lu\\C4\\8Di\\C4\\87', [[[cn, 'Lučić']]]],
    ['CN=Лучић', [[[cn, 'Лучић']]]],
    ['CN=😀', [[[cn, '😀']]]],
    ['1.2.3.4.99=a', [[['1.2.3.4.99', 'a']]]],
    ['CN=#0c0161', [[[cn, { der: Buffer.from('0c0161', 'hex') }]]]],
  ])('%s', (text, expected) => {
    expect(parsed(text)).toEqual(expected);
  });
});

describe('what is refused', () => {
  test.each([
    ['no equals sign', 'a'],
    ['no keyword', '=a'],
    ['an unknown keyword', 'FOO=a'],
    ['a prototype member as keyword', 'constructor=a'],
    ['an empty value', 'CN='],
    ['an empty quoted value', 'CN=""'],
    ['an empty part', 'CN=a,,O=b'],
    ['a comma at the end', 'CN=a,'],
    ['a comma at the start', ',CN=a'],
    ['a plus at the end', 'CN=a+'],
    ['text behind a quote', 'CN="a"b'],
    ['an attribute behind a quote without a separator', 'CN="a" O=b'],
    ['an open quote', 'CN="a, O=b'],
    ['an open quote by an escape', 'CN="a\\"'],
    ['a quote within a value', 'CN=a"b'],
    ['a backslash at the end', 'CN=a\\'],
    ['a backslash before a letter', 'CN=a\\xyz'],
    ['half a pair of digits', 'CN=a\\4'],
    ['octets that are not UTF-8', 'CN=a\\C3\\28'],
    ['an overlong form of a slash', 'CN=a\\C0\\AF'],
    ['a surrogate in UTF-8', 'CN=\\ED\\A0\\80'],
    ['a lone surrogate', 'CN=a\ud800'],
    ['NUL', 'CN=a\0.example.com'],
    ['NUL as digits', 'CN=a\\00.example.com'],
    ['a line end', 'CN=a\nO=b'],
    ['a line end as digits', 'CN=a\\0AO=b'],
    ['a C1 control character', 'CN=a\u0085'],
    ['a C1 control character as digits', 'CN=a\\C2\\85'],
    ['an identifier with a leading zero', '2.5.04.3=a'],
    ['an identifier of one arc', '2=a'],
    ['an identifier with a first arc of 3', '3.5.4=a'],
    ['odd hexadecimal', 'CN=#0c016'],
    ['nothing behind #', 'CN=#'],
    ['text behind hexadecimal', 'CN=#0c0161 b'],
    ['the same attribute twice in a part', 'CN=a+CN=b'],
    ['the same attribute twice in a part, once by number', 'CN=a+2.5.4.3=b'],
    ['a common name of 65 characters', `CN=${'a'.repeat(65)}`],
    ['a country of three letters', 'C=USA'],
    ['a country of digits', 'C=12'],
    ['a serial number beyond PrintableString', 'SERIALNUMBER=a@b'],
    ['an e-mail address beyond ASCII', 'E=é@example.com'],
    ['a domain component beyond ASCII', 'DC=é'],
    ['more than 64 attributes', Array.from({ length: 65 }, () => 'OU=a').join(',')],
    ['more than 4096 characters', `Description=${'a'.repeat(5000)}`],
  ])('%s', (_what, text) => {
    expect(() => parseDistinguishedName(text)).toThrow(
      expect.objectContaining({ name: 'Failure', kind: 'badParameter' }),
    );
  });

  test.each([
    ['octets that are no DER', 'CN=#ff'],
    ['two values', 'CN=#0c01610c0161'],
    ['a length that is not the shortest', 'CN=#0c810161'],
    ['a sequence', 'CN=#30030c0161'],
    ['a string in parts', '1.2.3.4=#2c030c0161'],
    ['a NUL in the given text', 'CN=#0c0100'],
    ['a number where text belongs', 'CN=#020101'],
    ['too long a given text', `CN=#0c41${'61'.repeat(65)}`],
    ['a context-specific value', 'CN=#800161'],
    ['a country in the given text that is none', 'C=#1303414243'],
  ])('as DER: %s', async (_what, text) => {
    await expect(encodeDistinguishedName(text)).rejects.toThrow(Failure);
  });

  test('64 characters beyond the basic plane are 64 characters', () => {
    expect(parsed(`CN=${'😀'.repeat(64)}`)).toHaveLength(1);
  });

  test('the time for hostile text grows with its length only', () => {
    // Each would take for ever if any expression went back over what it has read.
    for (const text of [
      `CN=${' '.repeat(4090)}`,
      `CN=#${'0c'.repeat(2000)}g`,
      `${'a'.repeat(4000)}`,
      `CN=${'\\'.repeat(4001)}`,
    ])
      expect(() => parseDistinguishedName(text)).toThrow(Failure);
  });
});

describe('the encoding', () => {
  test("is in Azure's form: the last of the text first, PrintableString where that will do", async () => {
    const text = 'C=DE, ST=BE, O=Example, CN=www.example.com';
    const encoded = [
      '3046',
      '311830160603550403130f7777772e6578616d706c652e636f6d',
      '3110300e060355040a13074578616d706c65',
      '310b3009060355040813024245',
      '310b3009060355040613024445',
    ].join('');
    expect(await hexOf(text)).toBe(encoded);
    expect(await formatDistinguishedName(Buffer.from(encoded, 'hex'))).toBe(text.replace('ST=', 'S='));
  });

  test.each([
    ['printable text is PrintableString', 'CN=a', '300c310a30080603550403130161'],
    ['other text is UTF8String', 'CN=*', '300c310a300806035504030c012a'],
    ['a domain component is IA5String', 'DC=a', '30133111300f060a0992268993f22c640119160161'],
    ['an e-mail address is IA5String', 'E=a@b', '301431123010' + '06092a864886f70d010901' + '1603614062'],
    ['no text is the empty sequence', '', '3000'],
    ['given DER stays as it is', 'CN=#1e020041', '300d310b300906035504031e020041'],
  ])('%s', async (_what, text, hex) => {
    expect(await hexOf(text)).toBe(hex);
  });

  test('members of a part are in the order of DER, whatever that of the text', async () => {
    expect(await hexOf('O=b+CN=a')).toBe(await hexOf('CN=a+O=b'));
  });

  test.each([
    ['a separator', 'O="Contoso, Inc."', 'O="Contoso, Inc."'],
    ['an escaped separator', 'O=Contoso\\, Inc.', 'O="Contoso, Inc."'],
    ['a quote', 'O=a\\"b', 'O="a""b"'],
    ['a backslash', 'O=a\\\\b', 'O=a\\\\b'],
    ['an unknown attribute', '1.2.3.4.99=a', 'OID.1.2.3.4.99=a'],
    [
      'a number of 128 bits',
      '2.25.329800735698586629295641978511506172918=a',
      'OID.2.25.329800735698586629295641978511506172918=a',
    ],
    ['a part of two', 'CN=a+O=b', 'CN=a + O=b'],
  ])('%s is shown so that it reads the same', async (_what, text, shown) => {
    const der = await encodeDistinguishedName(text);
    expect(await formatDistinguishedName(der)).toBe(shown);
    expect(await encodeDistinguishedName(shown)).toEqual(der);
  });

  test.each([
    ['a NUL in a common name', '301031' + '0e300c0603550403' + '0c05612e620063', 'CN=a.b\\00c'],
    ['a line end', '300e310c300a0603550403' + '0c03610a62', 'CN=a\\0Ab'],
    ['text that is not UTF-8', '300d310b30090603550403' + '0c02c328', 'CN=#0c02c328'],
    ['BMPString', '300d310b300906035504031e020041', 'CN=A'],
    ['a number', '300c310a30080603550403020105', 'CN=#020105'],
    ['an empty value', '300b310930070603550403' + '0c00', 'CN=""'],
  ])('of another: %s is shown', async (_what, hex, shown) => {
    expect(await formatDistinguishedName(Buffer.from(hex, 'hex'))).toBe(shown);
  });

  test.each([
    ['no sequence', '0c0161'],
    ['octets behind it', '30000000'],
    ['a part that is no set', '3002' + '0500'],
    ['an attribute without a value', '30093107' + '300506035504' + '03'],
    ['nothing', ''],
  ])('of another: %s is refused', async (_what, hex) => {
    await expect(formatDistinguishedName(Buffer.from(hex, 'hex'))).rejects.toThrow(Failure);
  });
});

describe('properties', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((value) => {
    return value.isWellFormed() && !/\p{Cc}/u.test(value) && [...value].length <= 40;
  });
  const oid = fc.constantFrom(
    cn,
    o,
    '2.5.4.11',
    '2.5.4.7',
    '2.5.4.8',
    '0.9.2342.19200300.100.1.1',
    '1.2.3.4.99',
  );
  const part = fc.uniqueArray(fc.record({ oid, value: text }), {
    minLength: 1,
    maxLength: 3,
    selector: ({ oid: type }) => type,
  });

  test('any values, written and read, are the same values: none becomes an attribute', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 5 }), async (names) => {
        const written = names.map((name) => name.map(formatNameValue).join(' + ')).join(', ');
        expect(parseDistinguishedName(written)).toEqual(names);
        const shown = await formatDistinguishedName(await encodeDistinguishedName(written));
        const asSets = (text: string) =>
          parseDistinguishedName(text).map((name) => new Set(name.map((one) => JSON.stringify(one))));
        expect(asSets(shown)).toEqual(names.map((name) => new Set(name.map((one) => JSON.stringify(one)))));
      }),
    );
  });

  test('any value under RFC 4514 escapes alone is that value', () => {
    fc.assert(
      fc.property(text, (value) => {
        const pairs = Array.from(
          Buffer.from(value),
          (octet) => `\\${octet.toString(16).padStart(2, '0')}`,
        ).join('');
        expect(parsed(`CN=${pairs},O=x`)).toEqual([[[cn, value]], [[o, 'x']]]);
      }),
    );
  });

  test('any text is a name or a refusal', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('C', 'N', '=', ',', '+', '"', '\\', '#', ' ', ';', '0', 'a', '.'),
          maxLength: 40,
        }),
        (any) => {
          try {
            parseDistinguishedName(any);
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

/** What is to be kept secret, in the forms in which a file, a log or an answer could hold it. */

/** Base64 is looked for at each of the three offsets that the bytes may have in it, in both alphabets. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    // The characters that depend on what stands before and after are left out.
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    const own = shifted.slice(offset === 0 ? 0 : offset + 1, -4).replace(/=+$/, '');
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** A text as files may hold it. */
export function formsOfText(text: string): Buffer[] {
  const utf8 = Buffer.from(text, 'utf8');
  return [
    utf8,
    Buffer.from(text, 'utf16le'),
    Buffer.from(text, 'utf16le').swap16(),
    Buffer.from(utf8.toString('hex')),
    Buffer.from(utf8.toString('hex').toUpperCase()),
    Buffer.from(encodeURIComponent(text)),
    ...base64Forms(utf8).map((form) => Buffer.from(form)),
  ];
}

/** Enough of random bytes to be no accident, and little enough to be found in a form that was cut short. */
const telling = 16;

/**
 * Random bytes, such as a private number, as files may hold them: as they are (in DER, say) and the other way round, in
 * hexadecimal of several styles, in base64, as a list of numbers, in decimal; and base64url, the form of JWK, in each
 * form of texts. The beginning and the end are looked for by themselves.
 */
export function formsOfBytes(bytes: Buffer): Buffer[] {
  const ends = [bytes.subarray(0, telling), bytes.subarray(-telling)];
  const texts = ends.flatMap((part) => {
    const pairs = part.toString('hex').match(/../g) ?? [];
    const numbers = [...part].map(String);
    return [
      ...[
        pairs.join(''),
        pairs.join('').toUpperCase(),
        pairs.join(' '),
        pairs.join(':').toUpperCase(),
        pairs.join(':'),
      ],
      ...[numbers.join(','), numbers.join(', ')],
      ...base64Forms(part),
    ];
  });
  const decimal = BigInt(`0x${bytes.toString('hex')}`).toString();
  return [
    ...ends,
    ...ends.map((part) => Buffer.from(part).reverse()),
    ...[...texts, decimal.slice(0, 3 * telling)].map((text) => Buffer.from(text)),
    ...formsOfText(bytes.toString('base64url')),
  ];
}

/** Beginnings of private keys in clear (PKCS#8 of the served types, SEC 1, PKCS#1), whosever they are. */
export const privateKeyHeads: readonly Buffer[] = [
  // PrivateKeyInfo: version 0 and the algorithm, then the key (RFC 5958): RSA, EC, ML-DSA.
  '020100300d06092a864886f70d010101050004',
  '0201003013' + '06072a8648ce3d0201',
  '0201003010' + '06072a8648ce3d0201',
  ...['11', '12', '13'].map((set) => `020100300b06096086480165030403${set}04`),
]
  .map((head) => Buffer.from(head, 'hex'))
  .flatMap((head) => [
    head,
    ...base64Forms(head).map((form) => Buffer.from(form)),
    Buffer.from(head.toString('hex')),
  ])
  .concat(Buffer.from('PRIVATE KEY-----'));

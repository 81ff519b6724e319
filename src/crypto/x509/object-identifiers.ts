/** Object identifiers in text: what is valid, and the text of one that came encoded. */
import type { ObjectIdentifier } from 'asn1js';

const arc = '(?:0|[1-9][0-9]{0,38})';
/** The first arc is 0, 1 or 2, the second below 40 under the first two (X.660). */
const dotted = new RegExp(`^(?:[01]\\.(?:[0-9]|[1-3][0-9])|2\\.(?:0|[1-9][0-9]{0,8}))(?:\\.${arc})+$`);
/** Numbers of 128 bits occur: UUIDs below 2.25 (X.667). */
const largestArc = (1n << 128n) - 1n;

/** Whether a text is an object identifier of three or more arcs, each of at most 128 bits. */
export function isObjectIdentifier(text: string): boolean {
  return text.length <= 256 && dotted.test(text) && text.split('.').every((one) => BigInt(one) <= largestArc);
}

/** More octets than any identifier in use has; what is longer only costs time. */
const longestContent = 128;

/**
 * The identifier in dotted text, for identifiers that were decoded: the library writes arcs above 53 bits in a form of
 * its own. Throws `RangeError` for one of more than 128 octets.
 */
export function objectIdentifierText(identifier: ObjectIdentifier): string {
  const content = new Uint8Array(identifier.valueBlock.toBER());
  if (content.length > longestContent) throw new RangeError('an object identifier is too long');
  const numbers: bigint[] = [];
  let number = 0n;
  // Base-128 numbers, the first of which holds two arcs (X.690 §8.19).
  for (const octet of content) {
    number = (number << 7n) | BigInt(octet & 0x7f);
    if (octet >= 0x80) continue;
    numbers.push(number);
    number = 0n;
  }
  const [first = 0n, ...rest] = numbers;
  const top = first < 40n ? 0n : first < 80n ? 1n : 2n;
  return [top, first - 40n * top, ...rest].join('.');
}

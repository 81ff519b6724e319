/**
 * The two forms of an ECDSA signature: r‖s with each number as long as the curve's (RFC 7518 §3.4), which goes over the
 * wire, and the DER of `SEQUENCE { INTEGER r, INTEGER s }` (RFC 3279 §2.2.3), which OpenSSL speaks.
 */

const tagSequence = 0x30;
const tagInteger = 0x02;

/** `bytes` is the length of one number. Throws for what is not DER, exactly, or a number that is longer. */
export function rawFromDer(der: Uint8Array, bytes: number): Uint8Array {
  const outer = element(der, tagSequence, 0);
  const r = element(der, tagInteger, outer.start);
  const s = element(der, tagInteger, r.end);
  if (outer.end !== der.length || s.end !== outer.end) throw malformed();
  const raw = new Uint8Array(2 * bytes);
  raw.set(unsigned(der.subarray(r.start, r.end), bytes), 0);
  raw.set(unsigned(der.subarray(s.start, s.end), bytes), bytes);
  return raw;
}

/** `raw` has an even length, of at most 2 × 66 bytes. */
export function derFromRaw(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  const content = [...integer(raw.subarray(0, half)), ...integer(raw.subarray(half))];
  return Uint8Array.from([tagSequence, ...lengthOctets(content.length), ...content]);
}

/** Where the content of the element at `at` starts and ends; lengths of one octet, or of 0x81 and one (up to 255 bytes). */
function element(der: Uint8Array, tag: number, at: number): { start: number; end: number } {
  const first = der[at + 1] ?? 0;
  const isLong = first === 0x81;
  const length = isLong ? (der[at + 2] ?? 0) : first;
  const start = at + (isLong ? 3 : 2);
  const isShortest = isLong ? length >= 0x80 : length < 0x80;
  if (der[at] !== tag || !isShortest || start + length > der.length) throw malformed();
  return { start, end: start + length };
}

/** The number in exactly `bytes` bytes. */
function unsigned(integer: Uint8Array, bytes: number): Uint8Array {
  const [first = 0x80, second = 0] = integer;
  const hasSignOctet = first === 0 && integer.length > 1;
  if (first >= 0x80 || (hasSignOctet && second < 0x80)) throw malformed();
  const digits = hasSignOctet ? integer.subarray(1) : integer;
  if (digits.length > bytes) throw malformed();
  const padded = new Uint8Array(bytes);
  padded.set(digits, bytes - digits.length);
  return padded;
}

function integer(number: Uint8Array): number[] {
  const firstDigit = number.findIndex((octet) => octet !== 0);
  const digits = firstDigit === -1 ? [0] : [...number.subarray(firstDigit)];
  const content = (digits[0] ?? 0) >= 0x80 ? [0, ...digits] : digits;
  return [tagInteger, ...lengthOctets(content.length), ...content];
}

function lengthOctets(length: number): number[] {
  return length < 0x80 ? [length] : [0x81, length];
}

function malformed(): Error {
  return new Error('an ECDSA signature is not well-formed DER');
}

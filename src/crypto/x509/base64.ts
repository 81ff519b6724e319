/** Base64 from outside (RFC 4648 §4), read strictly. */

/**
 * Undefined for what is not base64, and for none; line ends and spaces do not count. The octets are in a buffer of their
 * own: what is decoded into Node's pool could not be wiped for good.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const base64 = text.replace(/\s+/g, '');
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined;
  const octets = Buffer.alloc(Buffer.byteLength(base64, 'base64'));
  octets.write(base64, 'base64');
  return octets;
}

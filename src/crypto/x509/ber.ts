/** ASN.1 from outside (BER, X.690), in the library's blocks: exactly one value, of bounded depth and number of nodes. */
import type { BaseBlock } from 'asn1js';

/** A file of a hundred certificates has some 2,000; a node takes about a kilobyte of memory. */
const mostNodes = 5_000;
/** The deepest file in use, with a chain of constructed strings, has about 20. */
const deepest = 40;

/**
 * Parses octets that hold one value and nothing after it. Throws `TypeError`, without the content, for anything else and
 * for more than 5,000 nodes or 40 levels. The blocks may refer to the octets.
 */
export async function parseBer(octets: Uint8Array): Promise<BaseBlock> {
  const { fromBER } = await import('asn1js');
  const view = new Uint8Array(octets.buffer as ArrayBuffer, octets.byteOffset, octets.byteLength);
  const { offset, result } = fromBER(view, { maxNodes: mostNodes, maxDepth: deepest });
  if (offset !== octets.length) throw new TypeError('not one value of ASN.1');
  return result;
}

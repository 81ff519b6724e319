/** The ASN.1 libraries, loaded when something is first made or read, and how a value is parsed with them. */
import type { BaseBlock } from 'asn1js';

export interface Asn1Libraries {
  readonly asn1: typeof import('asn1js');
  readonly pki: typeof import('pkijs');
}

export async function loadAsn1(): Promise<Asn1Libraries> {
  return { asn1: await import('asn1js'), pki: await import('pkijs') };
}

/** Parses one value with nothing behind it, as `parseBer` does, of octets that are within bounds already. */
export function parseValue({ asn1 }: Pick<Asn1Libraries, 'asn1'>, der: Uint8Array): BaseBlock {
  const { offset, result } = asn1.fromBER(Uint8Array.from(der));
  if (offset !== der.length) throw new TypeError('not one value of ASN.1');
  return result;
}

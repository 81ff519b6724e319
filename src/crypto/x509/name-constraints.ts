/**
 * The name constraints extension of an authority certificate (RFC 5280 §4.2.1.10), to DER and back. Encoding is the
 * libraries' work; this file decides what is permitted and what is excluded.
 */
import { X509Certificate } from 'node:crypto';
import { type PermittedNames, parseDomain, parseIpAddress, parseIpRange } from './server-names.ts';

/** Object identifier of the name constraints extension. */
export const nameConstraintsOid = '2.5.29.30';

/** GeneralName's choice numbers (RFC 5280 §4.2.1.6). */
const dnsNameTag = 2;
const ipAddressTag = 7;

/** A form that has no permitted subtree is not constrained at all (RFC 5280 §4.2.1.10), so it is excluded whole. */
const everyIpAddress = ['0.0.0.0/0', '::/0'];

/** Returns the extension's value in DER; throws `RangeError` for invalid names or when no DNS name is permitted. */
export async function encodeNameConstraints(permitted: PermittedNames): Promise<Uint8Array> {
  if (permitted.dnsNames.length === 0)
    throw new RangeError('an authority needs at least one permitted DNS name');
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const pkijs = await import('pkijs');
  const subtree = (type: 'dns' | 'ip', value: string) =>
    new pkijs.GeneralSubtree({ base: pkijs.GeneralName.fromBER(new x509.GeneralName(type, value).rawData) });
  const ranges = permitted.ipRanges.map((range) => subtree('ip', parseIpRange(range)));
  const constraints = new pkijs.NameConstraints({
    permittedSubtrees: [...permitted.dnsNames.map((name) => subtree('dns', parseDomain(name))), ...ranges],
    ...(ranges.length === 0 ? { excludedSubtrees: everyIpAddress.map((range) => subtree('ip', range)) } : {}),
  });
  return new Uint8Array(constraints.toSchema().toBER());
}

/**
 * The subtrees that an authority certificate (PEM) permits, or undefined when it carries no name constraints.
 * Throws when the text is no certificate or its constraints are malformed.
 */
export async function permittedNames(certificatePem: string): Promise<PermittedNames | undefined> {
  const der = new X509Certificate(certificatePem).raw;
  const { Certificate, NameConstraints } = await import('pkijs');
  const extension = Certificate.fromBER(der).extensions?.find((row) => row.extnID === nameConstraintsOid);
  if (extension === undefined) return undefined;
  const constraints = NameConstraints.fromBER(extension.extnValue.valueBlock.valueHexView);
  const bases = (constraints.permittedSubtrees ?? []).map((subtree) => subtree.base);
  return {
    dnsNames: bases.filter((base) => base.type === dnsNameTag).map((base) => String(base.value)),
    ipRanges: bases
      .filter((base) => base.type === ipAddressTag)
      .map((base) => formatIpRange(base.value.valueBlock.valueHexView)),
  };
}

/** Address and mask, 8 octets for IPv4 and 32 for IPv6 (RFC 5280 §4.2.1.10), as CIDR text. */
export function formatIpRange(octets: Uint8Array): string {
  if (octets.length !== 8 && octets.length !== 32)
    throw new RangeError('malformed IP range in name constraints');
  const half = octets.length / 2;
  const bits = Array.from(octets.subarray(half), (octet) => octet.toString(2).padStart(8, '0')).join('');
  const ones = /^(1*)0*$/.exec(bits)?.[1];
  if (ones === undefined) throw new RangeError('the mask of an IP range in name constraints is no prefix');
  return parseIpRange(`${formatIpAddress(octets.subarray(0, half))}/${ones.length}`);
}

function formatIpAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.');
  const groups = Buffer.from(octets).toString('hex').match(/.{4}/g) ?? [];
  return parseIpAddress(groups.join(':'));
}

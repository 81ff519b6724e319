/**
 * The names of a TLS server and the ranges of names that an authority may certify: what is valid, the one form in
 * which they compare, and whether a range covers a name (RFC 5280 §4.2.1.10, RFC 9525 §6).
 */
import { BlockList, isIP, SocketAddress } from 'node:net';

/** Names for one server certificate: DNS names (a leading `*.` is allowed) and IP addresses, without ports. */
export interface ServerNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** Subtrees that an authority may certify: DNS domains (with all names below them) and CIDR ranges. */
export interface PermittedNames {
  readonly dnsNames: readonly string[];
  readonly ipRanges: readonly string[];
}

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const domain = new RegExp(`^(?=.{1,253}$)${label}(?:\\.${label})*$`);
const lastLabelNumeric = /(?:^|\.)[0-9]+$/;
const wildcard = '*.';

/** Returns the domain in lower case; throws `RangeError` for what is not a plain host name (no wildcard, no dot at the end). */
export function parseDomain(text: string): string {
  const folded = text.toLowerCase();
  // A name such as 10.0.0.1 would be compared as an address by some clients and as a name by others.
  if (!domain.test(folded) || lastLabelNumeric.test(folded)) throw new RangeError(`not a DNS name: ${text}`);
  return folded;
}

/** Returns the DNS name in lower case, a wildcard as first label kept; throws `RangeError` when it is not one. */
export function parseDnsName(text: string): string {
  return text.startsWith(wildcard) ? wildcard + parseDomain(text.slice(wildcard.length)) : parseDomain(text);
}

/**
 * Returns the address in its canonical text form; throws `RangeError` for zones and for IPv4-mapped IPv6, which
 * clients compare as one family or the other.
 */
export function parseIpAddress(text: string): string {
  const family = isIP(text);
  if (family === 0 || text.includes('%')) throw new RangeError(`not an IP address: ${text}`);
  if (family === 4) return text;
  const address = new SocketAddress({ address: text, family: 'ipv6' }).address;
  if (address.includes('.')) throw new RangeError(`IPv4 inside IPv6 is not supported: ${text}`);
  return address;
}

/** Returns `address/prefix` with a canonical address; throws `RangeError` when the text is no CIDR range. */
export function parseIpRange(text: string): string {
  const [, address, digits] = /^([^/]+)\/([0-9]{1,3})$/.exec(text) ?? [];
  if (address === undefined || digits === undefined) throw new RangeError(`not a CIDR range: ${text}`);
  const canonical = parseIpAddress(address);
  const prefix = Number(digits);
  if (prefix > (isIP(canonical) === 4 ? 32 : 128)) throw new RangeError(`not a CIDR range: ${text}`);
  return `${canonical}/${prefix}`;
}

/** True when every wanted name lies in a permitted subtree; throws `RangeError` for a name that is not valid. */
export function coversNames(permitted: PermittedNames, wanted: ServerNames): boolean {
  const domains = permitted.dnsNames.map(parseDomain);
  return (
    wanted.dnsNames.every((name) => domains.some((base) => isWithinDomain(name, base))) &&
    wanted.ipAddresses.every((address) => permitted.ipRanges.some((range) => isWithinRange(address, range)))
  );
}

function isWithinDomain(name: string, base: string): boolean {
  const parsed = parseDnsName(name);
  // `*.example.com` names children of example.com only, so it lies wherever example.com's children do.
  const host = parsed.startsWith(wildcard) ? parsed.slice(wildcard.length) : parsed;
  return host === base || host.endsWith(`.${base}`);
}

/** Whether an address lies in a CIDR range, of its own family only; throws `RangeError` for what is neither. */
export function isWithinRange(address: string, range: string): boolean {
  const parsed = parseIpAddress(address);
  const [network = '', prefix = ''] = parseIpRange(range).split('/');
  // Compared per family, as validators do by length; a BlockList alone would match IPv4 against IPv6 ranges.
  if (isIP(parsed) !== isIP(network)) return false;
  const family = isIP(parsed) === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, Number(prefix), family);
  return list.check(parsed, family);
}

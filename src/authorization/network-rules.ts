/** A vault's network rules: which client addresses may reach it at all, before any permission is looked at. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** A subnet's ARM id, in lower case. Which addresses are in it is the server's configuration. */
export interface VirtualNetworkRule {
  readonly id: string;
  /** Kept and shown; there is no service endpoint here that could be missing. */
  readonly ignoreMissingVnetServiceEndpoint?: boolean;
}

export interface NetworkRules {
  readonly defaultAction: 'Allow' | 'Deny';
  readonly bypass: 'AzureServices' | 'None';
  /** IPv4 and IPv6 addresses and CIDR ranges. */
  readonly ipRules: readonly string[];
  readonly virtualNetworkRules?: readonly VirtualNetworkRule[];
}

export const openNetwork: NetworkRules = { defaultAction: 'Allow', bypass: 'AzureServices', ipRules: [] };

/** Rules made ready for use: answers whether an address may come in. */
export type NetworkCheck = (address: string) => boolean;

/** Ranges by what they stand for. */
export type RangesByName = ReadonlyMap<string, readonly string[]>;

/** The networks that the server's configuration describes; without them, rules that name one let nobody in. */
export interface KnownNetworks {
  /** By lower-cased ARM id. */
  readonly subnets: RangesByName;
  /** From where a private endpoint's traffic comes; by `vault/connection`, lower case. */
  readonly privateEndpoints: RangesByName;
}

export const noNetworks: KnownNetworks = { subnets: new Map(), privateEndpoints: new Map() };

/** True for an IPv4 or IPv6 address or CIDR range. */
export function isIpRule(text: string): boolean {
  return parseRange(text) !== undefined;
}

/** Compiles the rules once; the answer for an IPv4-mapped IPv6 address is that for the IPv4 address. */
export function compileNetworkRules(
  rules: NetworkRules,
  { subnets }: Pick<KnownNetworks, 'subnets'> = noNetworks,
): NetworkCheck {
  if (rules.defaultAction === 'Allow') return () => true;
  const inSubnets = (rules.virtualNetworkRules ?? []).flatMap(({ id }) => subnets.get(id) ?? []);
  return compileRanges([...rules.ipRules, ...inSubnets]);
}

/** Whether an address is in one of the ranges; what is no address is in none. */
export function compileRanges(ranges: readonly string[]): NetworkCheck {
  // Apart, since one list would let `::/0` match IPv4 addresses too.
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const text of ranges) {
    const range = parseRange(text);
    if (range !== undefined) lists[range.family].addSubnet(range.address, range.prefix, range.family);
  }
  return (address) => {
    const plain = plainAddress(address);
    if (isIPv4(plain)) return lists.ipv4.check(plain, 'ipv4');
    return isIPv6(plain) && lists.ipv6.check(plain, 'ipv6');
  };
}

/**
 * The address in its shortest form (RFC 5952), which is IPv4's own for an IPv4-mapped one (RFC 4291 §2.5.5.2), however
 * that was written. What is no address, and what has a zone, stays as it is.
 */
export function plainAddress(address: string): string {
  if (!isIPv6(address) || address.includes('%')) return address;
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return [a >> 8, a & 0xff, b >> 8, b & 0xff].join('.');
}

function parseRange(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [written, suffix, ...rest] = text.split('/');
  // A zone (`fe80::1%eth0`) means something on one machine only, and is not looked at.
  if (written === undefined || rest.length > 0 || written.includes('%')) return undefined;
  const longest = isIPv4(written) ? 32 : 128;
  if (suffix !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(suffix)) return undefined;
  const bits = suffix === undefined ? longest : Number(suffix);
  if (bits > longest) return undefined;
  const address = plainAddress(written);
  if (isIPv6(address)) return { address, prefix: bits, family: 'ipv6' };
  if (!isIPv4(address)) return undefined;
  // Callers with IPv4 addresses are compared as such: a range of mapped ones is the range of those.
  const prefix = bits - (longest - 32);
  return prefix < 0 ? undefined : { address, prefix, family: 'ipv4' };
}

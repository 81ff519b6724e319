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
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
    if (isIPv4(plain)) return lists.ipv4.check(plain, 'ipv4');
    return isIPv6(plain) && lists.ipv6.check(plain, 'ipv6');
  };
}

function parseRange(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address, suffix, ...rest] = text.split('/');
  if (address === undefined || rest.length > 0) return undefined;
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined;
  // A zone (`fe80::1%eth0`) means something on one machine only, and is not looked at.
  if (family === undefined || address.includes('%')) return undefined;
  const longest = family === 'ipv4' ? 32 : 128;
  if (suffix === undefined) return { address, prefix: longest, family };
  if (!/^(?:0|[1-9]\d{0,2})$/.test(suffix) || Number(suffix) > longest) return undefined;
  return { address, prefix: Number(suffix), family };
}

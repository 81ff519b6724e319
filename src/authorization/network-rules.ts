/** A vault's network rules: which client addresses may reach it at all, before any permission is looked at. */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

export interface NetworkRules {
  readonly defaultAction: 'Allow' | 'Deny';
  readonly bypass: 'AzureServices' | 'None';
  /** IPv4 addresses or CIDR ranges. */
  readonly ipRules: readonly string[];
}

export const openNetwork: NetworkRules = { defaultAction: 'Allow', bypass: 'AzureServices', ipRules: [] };

/** Rules made ready for use: answers whether an address may come in. */
export type NetworkCheck = (address: string) => boolean;

/** True for an IPv4 or IPv6 address or CIDR range. */
export function isIpRule(text: string): boolean {
  return parseRange(text) !== undefined;
}

/** Compiles the rules once; the answer for an IPv4-mapped IPv6 address is that for the IPv4 address. */
export function compileNetworkRules(rules: NetworkRules): NetworkCheck {
  if (rules.defaultAction === 'Allow') return () => true;
  const allowed = new BlockList();
  for (const rule of rules.ipRules) {
    const range = parseRange(rule);
    if (range !== undefined) allowed.addSubnet(range.address, range.prefix, range.family);
  }
  return (address) => {
    const plain = address.startsWith('::ffff:') ? address.slice(7) : address;
    if (isIPv4(plain)) return allowed.check(plain, 'ipv4');
    return isIPv6(plain) && allowed.check(plain, 'ipv6');
  };
}

function parseRange(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [address, suffix, ...rest] = text.split('/');
  if (address === undefined || rest.length > 0) return undefined;
  const family = isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined;
  if (family === undefined) return undefined;
  const longest = family === 'ipv4' ? 32 : 128;
  if (suffix === undefined) return { address, prefix: longest, family };
  if (!/^\d{1,3}$/.test(suffix) || Number(suffix) > longest) return undefined;
  return { address, prefix: Number(suffix), family };
}

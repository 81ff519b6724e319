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
  // Apart, since one list would let `::/0` match IPv4 addresses too.
  const allowed = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const rule of rules.ipRules) {
    const range = parseRange(rule);
    if (range !== undefined) allowed[range.family].addSubnet(range.address, range.prefix, range.family);
  }
  return (address) => {
    const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
    if (isIPv4(plain)) return allowed.ipv4.check(plain, 'ipv4');
    return isIPv6(plain) && allowed.ipv6.check(plain, 'ipv6');
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

/**
 * Whose address a request comes from. What clients say of themselves counts for nothing: `X-Forwarded-For` is read only
 * on a connection from a proxy that the configuration names, and only as far as such proxies have written it.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { compileRanges, plainAddress } from '../authorization/network-rules.ts';
import type { Connection } from './connection.ts';
import type { ProxiedConnections } from './proxy-protocol.ts';

export type ClientAddressOf = (request: IncomingMessage, connection: Connection) => string;

/** Each request's own connection, and nothing else. */
export const directAddress: ClientAddressOf = (_request, { peerAddress }) => peerAddress;

/** `trustedProxies` are addresses and CIDR ranges; `proxied` where they say at a connection's start whose it is. */
export function createClientAddresses(
  trustedProxies: readonly string[],
  proxied?: Pick<ProxiedConnections, 'sourceOf'>,
): ClientAddressOf {
  if (trustedProxies.length === 0) return directAddress;
  const isProxy = compileRanges(trustedProxies);
  return (request, { peerAddress }) => {
    const { remoteAddress = '', remotePort = 0 } = request.socket;
    const clientAddress = proxied?.sourceOf(remoteAddress, remotePort) ?? peerAddress;
    if (!isProxy(clientAddress)) return clientAddress;
    const { 'x-forwarded-for': forwarded } = request.headers;
    // Several headers are joined by commas in the order in which they came (RFC 9110 §5.3).
    const text = Array.isArray(forwarded) ? forwarded.join(',') : forwarded;
    return text === undefined ? clientAddress : lastBeyond(text.split(','), isProxy);
  };
}

/**
 * The right-most address that is none of our proxies': each proxy adds, at the right, the address that it was asked from,
 * so that what stands further left is hearsay. Where every address is a proxy's, the left-most one asked. Empty, which
 * no network rule lets in, if one of our proxies has written what is no address.
 */
function lastBeyond(entries: readonly string[], isProxy: (address: string) => boolean): string {
  let address = '';
  for (const entry of entries.toReversed()) {
    address = addressOf(entry.trim());
    if (address === '' || !isProxy(address)) return address;
  }
  return address;
}

/** `192.0.2.1`, `192.0.2.1:1234`, `2001:db8::1` or `[2001:db8::1]:1234`; empty for anything else. */
function addressOf(text: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(text) ?? [];
  const address = plainAddress(bracketed ?? plain ?? text);
  // A zone is of another machine.
  return isIP(address) === 0 || address.includes('%') ? '' : address;
}

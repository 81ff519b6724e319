/**
 * Fetches from addresses that somebody with rights in the directory chose: the issuers of federated credentials. Where a
 * connection goes is decided by the IP address that it is about to be made to, so that no name, however it resolves and
 * whenever it changes, leads into a private network unless the configuration lets it.
 */
import { lookup } from 'node:dns';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { compileRanges } from '../authorization/network-rules.ts';
import type { Fetch } from '../identity/remote-keys.ts';

/** All of IPv4, and of IPv6 what has been given out for use between networks (RFC 4291 §2.4). */
const unicast = compileRanges(['0.0.0.0/0', '2000::/3']);
/** IANA's special-purpose registries (RFC 6890), and the address by which Azure's machines reach their host. */
const special = compileRanges([
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...['192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15'],
  ...['198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32'],
  ...['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'],
]);

/** True for an address of the public Internet; what is no address is none. */
export function isPublicAddress(address: string): boolean {
  return unicast(address) && !special(address);
}

/** Makes a fetch that connects to public addresses, and to those in `networks` (addresses and CIDR ranges). */
export function createGuardedFetch(networks: readonly string[]): Fetch {
  const isLetIn = compileRanges(networks);
  const mayConnect = (address: string) => isPublicAddress(address) || isLetIn(address);
  const guardedLookup = lookupOf(mayConnect);
  return async (url, { signal, headers }) => {
    const { protocol, hostname } = new URL(url);
    const literal = hostname.replace(/^\[|\]$/g, '');
    // An address is connected to without being looked up.
    if (isIP(literal) !== 0 && !mayConnect(literal)) throw notLetIn();
    // A connection that is kept could have been let in for another purpose: each request has its own.
    const options = { signal, headers, agent: false, lookup: guardedLookup };
    return asResponse(await get(protocol === 'https:' ? httpsRequest : httpRequest, url, options));
  };
}

function lookupOf(mayConnect: (address: string) => boolean): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '');
      const [first, ...others] = found.filter(({ address }) => mayConnect(address));
      if (first === undefined) return callback(notLetIn(), '');
      if (options.all === true) callback(null, [first, ...others]);
      else callback(null, first.address, first.family);
    });
  };
}

function get(
  request: typeof httpRequest | typeof httpsRequest,
  url: string,
  options: RequestOptions,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end();
  });
}

/** Redirects are not followed: they are answers like others, and no 200. */
function asResponse(message: IncomingMessage): Response {
  const status = message.statusCode ?? 0;
  // What `Response` refuses to stand for has no body that anybody reads.
  if (status < 200 || status === 204 || status === 205 || status === 304) {
    message.destroy();
    return new Response(null, { status: status < 200 ? 204 : status });
  }
  return new Response(Readable.toWeb(message) as ReadableStream<Uint8Array>, { status });
}

function notLetIn(): Error {
  return new Error("the address is in no public network, and the setting 'issuerNetworks' does not have it");
}

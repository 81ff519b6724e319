/**
 * The PROXY protocol (HAProxy's specification, versions 1 and 2): a proxy that does not look into TLS says at the start of
 * a connection whose it is. It is read from the proxies that the configuration names, who must send it; from everybody
 * else it is not expected, and what looks like it is a broken handshake.
 */
import { isIPv4, isIPv6, type Socket } from 'node:net';
import { compileRanges, plainAddress } from '../authorization/network-rules.ts';
import type { Clock } from '../core/clock.ts';

/** Milliseconds in which the header must have come. */
const patience = 5_000;
const longestText = 107;
/** Addresses and a few hundred bytes of extensions, which are passed over. */
const longestBinary = 16 + 1024;

const textStart = Buffer.from('PROXY ');
const binaryStart = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);

/** What a header says: whose connection it is, undefined for the proxy's own (a health check); and its length. */
export interface ProxyHeader {
  readonly source: string | undefined;
  readonly length: number;
}

/** Takes a header apart: `more` if it is not whole yet; undefined for bytes that begin with none. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader | 'more' | undefined {
  if (startsLike(bytes, binaryStart)) return parseBinary(bytes);
  if (startsLike(bytes, textStart)) return parseText(bytes);
  return undefined;
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
}

/** Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n`. */
function parseText(bytes: Buffer): ProxyHeader | 'more' | undefined {
  const end = bytes.indexOf('\r\n');
  if (end < 0) return bytes.length < longestText ? 'more' : undefined;
  if (end + 2 > longestText) return undefined;
  const line = bytes.toString('latin1', 0, end);
  const length = end + 2;
  if (/^PROXY UNKNOWN(?: .*)?$/.test(line)) return { source: undefined, length };
  const [, family, source = '', target = '', ...ports] =
    /^PROXY (TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})$/.exec(line) ?? [];
  const isAddress = family === 'TCP4' ? isIPv4 : isIPv6;
  if (family === undefined || !isAddress(source) || !isAddress(target) || source.includes('%'))
    return undefined;
  return ports.every((port) => Number(port) <= 65_535) ? { source: plainAddress(source), length } : undefined;
}

/** Version 2: twelve bytes of signature, version and command, family, length, addresses, extensions. */
function parseBinary(bytes: Buffer): ProxyHeader | 'more' | undefined {
  if (bytes.length < 16) return 'more';
  const command = bytes[12] ?? 0;
  const family = bytes[13] ?? 0;
  const length = 16 + bytes.readUInt16BE(14);
  if (command >> 4 !== 2 || (command & 0x0f) > 1 || length > longestBinary) return undefined;
  if (bytes.length < length) return 'more';
  // LOCAL: the proxy's own connection, whatever the rest says.
  if ((command & 0x0f) === 0) return { source: undefined, length };
  if (family === 0x11 && length >= 28) return { source: bytes.subarray(16, 20).join('.'), length };
  if (family === 0x21 && length >= 52)
    return { source: plainAddress(ipv6Of(bytes.subarray(16, 32))), length };
  return undefined;
}

function ipv6Of(bytes: Buffer): string {
  return Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16)).join(':');
}

export interface ProxiedConnections {
  /** Takes a raw connection's header off, and hands the connection on; ends it if a proxy sends none. */
  accept(socket: Socket, handOn: (socket: Socket) => void): void;
  /**
   * Whose a connection is that came from this address and port: undefined if they are no proxy's; empty for a proxy's
   * connection that has ended.
   */
  sourceOf(address: string, port: number): string | undefined;
}

/** `trustedProxies` are addresses and CIDR ranges. */
export function createProxiedConnections(
  clock: Clock,
  trustedProxies: readonly string[],
): ProxiedConnections {
  const isProxy = compileRanges(trustedProxies);
  /** By the proxy's address and port, which are one connection's for as long as it is open. */
  const sources = new Map<string, { readonly source: string }>();
  const keyOf = (address: string, port: number) => `${address}|${port}`;
  const remember = (socket: Socket, source: string) => {
    const key = keyOf(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    const entry = { source };
    sources.set(key, entry);
    socket.once('close', () => {
      // The port may be another connection's by now.
      if (sources.get(key) === entry) sources.delete(key);
    });
  };
  return {
    sourceOf: (address, port) =>
      isProxy(address) ? (sources.get(keyOf(address, port))?.source ?? '') : undefined,
    accept(socket, handOn) {
      const address = socket.remoteAddress ?? '';
      if (!isProxy(address)) return handOn(socket);
      readHeader(socket, clock).then(
        ({ source }) => {
          remember(socket, source ?? address);
          handOn(socket);
        },
        () => socket.destroy(),
      );
    },
  };
}

/** Reads no more than the header: what follows it is put back. */
function readHeader(socket: Socket, clock: Clock): Promise<ProxyHeader> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const end = (settle: () => void) => {
      timer.cancel();
      socket.off('readable', read);
      socket.off('close', fail);
      socket.off('error', fail);
      settle();
    };
    const fail = () => end(() => reject(new Error('the connection has no PROXY header')));
    const timer = clock.after(patience, fail);
    const read = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
        bytes = Buffer.concat([bytes, chunk as Buffer]);
        const header = parseProxyHeader(bytes);
        if (header === 'more') continue;
        if (header === undefined) return fail();
        return end(() => {
          const rest = bytes.subarray(header.length);
          if (rest.length > 0) socket.unshift(rest);
          resolve(header);
        });
      }
    };
    socket.on('readable', read);
    socket.on('close', fail);
    socket.on('error', fail);
  });
}

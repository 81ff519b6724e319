/**
 * The drop-in proxy: HTTP CONNECT (RFC 9110 §9.3.6) on the loopback listener. Tunnels to this server's own HTTPS
 * listener for the names that it serves, to the outside only for hosts that were allowed by name, and to nothing
 * else. TLS is not touched: clients verify the server's certificate themselves.
 */
import type { IncomingMessage, Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Log } from '../core/log.ts';
import type { Hosts } from './hosts.ts';

export interface DropInProxy {
  readonly hosts: Hosts;
  readonly log: Log;
  /** The HTTPS listener's port on loopback. */
  readonly port: number;
  /** Hosts beyond our own that may be reached: a name, or `*.` and a name for everything below it. */
  readonly allowed: readonly string[];
}

export function serveDropInProxy(server: Server, proxy: DropInProxy): void {
  server.on('connect', (request: IncomingMessage, client: Socket, head: Buffer) => {
    client.on('error', () => client.destroy());
    const to = destination(proxy, request.url ?? '');
    if (to === undefined) {
      refuse(client, request.url ?? '');
      return;
    }
    const upstream = connect(to.port, to.host);
    let established = false;
    upstream.once('connect', () => {
      established = true;
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      if (head.length > 0) upstream.write(head);
      upstream.pipe(client);
      client.pipe(upstream);
    });
    upstream.on('error', (error) => {
      proxy.log.debug('tunnel failed', { error });
      if (!established) answer(client, '502 Bad Gateway', 'The host cannot be reached.\n');
    });
    upstream.on('close', () => {
      if (established) client.destroy();
    });
    client.on('close', () => upstream.destroy());
  });
}

const authorityForm = /^([a-z0-9.-]{1,253}):([1-9]\d{0,4})$/;

function destination(proxy: DropInProxy, authority: string): { host: string; port: number } | undefined {
  const [, host, portText] = authorityForm.exec(authority.toLowerCase()) ?? [];
  const port = Number(portText);
  if (host === undefined || port > 65535) return undefined;
  if (proxy.hosts.find(host) !== undefined) return { host: '127.0.0.1', port: proxy.port };
  return proxy.allowed.some((pattern) => isAllowed(pattern, host)) ? { host, port } : undefined;
}

function isAllowed(pattern: string, host: string): boolean {
  const folded = pattern.toLowerCase();
  return folded.startsWith('*.') ? host.endsWith(folded.slice(1)) : host === folded;
}

function refuse(client: Socket, authority: string): void {
  const name = authority.replace(/[^\w.:-]/g, '').slice(0, 253);
  const body = `Strongroom's drop-in proxy does not tunnel to ${name}. It serves Azure Key Vault's names only; allow others with --proxy-allow.\n`;
  answer(client, '403 Forbidden', body);
}

/** Sends a refusal and ends the connection, also where the client does not end its side. */
function answer(client: Socket, status: string, body: string): void {
  // What is left unread when a connection is closed can cost the client the answer (RFC 9112 §9.6).
  client.resume();
  client.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  client.destroySoon();
}

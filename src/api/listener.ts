/** Listeners: bounded in size and time, refusing malformed HTTP in the API's own envelope, drained on close. */
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import type { ProxiedConnections } from './proxy-protocol.ts';
import { type Certificates, tlsOptions } from './tls.ts';

/** Room for a token with many groups. Times are milliseconds; a request has a minute to arrive whole. */
const limits = {
  maxHeaderSize: 32 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 5_000,
} as const;

/** A header that may be given once is joined when it comes twice, and so is refused; Node would take the first. */
const parsing = { joinDuplicateHeaders: true } as const;

export interface Addresses {
  /** IP addresses to listen on, all at the same port. */
  readonly addresses: readonly string[];
  /** 0 picks a free one. */
  readonly port: number;
  /** Where proxies say at the start of a connection whose it is. */
  readonly proxied?: ProxiedConnections | undefined;
  /** Shorter times, for tests. */
  readonly testOnlyLimits?: Partial<Record<keyof typeof limits, number>>;
}

/** A listening server that can be closed without cutting off an answer. */
export interface Listener {
  readonly port: number;
  /** Takes no new connection, lets requests under way end, and after `patience` ms cuts off what is left. */
  close(clock: Clock, patience: number): Promise<void>;
}

/** HTTPS with the certificates given; forward secrecy only. */
export async function listenHttps(
  handler: RequestListener,
  certificates: Certificates,
  at: Addresses,
): Promise<Listener> {
  const credential = await certificates.fallback();
  const servers: ReturnType<typeof createHttpsServer>[] = [];
  certificates.onRenewal((renewed) => {
    for (const server of servers) server.setSecureContext({ ...renewed, ...tlsOptions });
  });
  const SNICallback = (name: string, done: (error: Error | null, context?: SecureContext) => void) => {
    certificates.forName(name).then(
      (context) => done(null, context),
      (error: unknown) => done(error instanceof Error ? error : new Error('there is no certificate')),
    );
  };
  return listen(() => {
    const server = createHttpsServer(
      { ...credential, ...tlsOptions, SNICallback, ...limits, ...parsing },
      handler,
    );
    // Node would ask for the body before the caller is known; the pipeline asks when it is going to read it.
    server.on('checkContinue', handler);
    if (at.proxied !== undefined) acceptProxied(server, at.proxied);
    servers.push(server);
    return server;
  }, at);
}

/** Puts the reading of PROXY headers before the handshake. */
function acceptProxied(server: Server, proxied: ProxiedConnections): void {
  const shakeHands = server.listeners('connection') as ((socket: Socket) => void)[];
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    proxied.accept(socket, (read) => {
      for (const listener of shakeHands) listener.call(server, read);
    });
  });
}

/** Plain HTTP, for the loopback listener; `prepare` adds what it serves besides requests. */
export function listenHttp(
  handler: RequestListener,
  prepare: (server: Server) => void,
  at: Addresses,
): Promise<Listener> {
  return listen(() => {
    const server = createHttpServer({ ...limits, ...parsing, ...at.testOnlyLimits }, handler);
    server.on('checkContinue', handler);
    prepare(server);
    return server;
  }, at);
}

async function listen(make: () => Server, at: Addresses): Promise<Listener> {
  const servers: Server[] = [];
  // HTTP's own list lacks connections before the TLS handshake and tunnels after CONNECT.
  const sockets = new Set<Socket>();
  let { port } = at;
  try {
    for (const [index, address] of at.addresses.entries()) {
      const server = make();
      server.on('clientError', refuseMalformed);
      server.on('connection', (socket: Socket) => {
        sockets.add(socket);
        socket.once('close', () => sockets.delete(socket));
      });
      const bound = await bind(server, { address, port, optional: index > 0 });
      if (bound === undefined) continue;
      port = bound;
      servers.push(server);
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return { port, close: (clock, patience) => closeAll(servers, { sockets, clock, patience }) };
}

/** The port that was bound; undefined for a second address that this machine does not have (no IPv6, say). */
function bind(
  server: Server,
  at: { address: string; port: number; optional: boolean },
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      const missing = error.code === 'EADDRNOTAVAIL' || error.code === 'EAFNOSUPPORT';
      if (at.optional && missing) resolve(undefined);
      else reject(error);
    };
    server.once('error', failed);
    // IPv4 has an address of its own in the list; a second one for it would be in use.
    server.listen({ port: at.port, host: at.address, ipv6Only: true }, () => {
      server.off('error', failed);
      // A connection that cannot be accepted (no file descriptors left, say) must not end the others.
      server.on('error', () => undefined);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function closeAll(
  servers: readonly Server[],
  by: { sockets: ReadonlySet<Socket>; clock: Clock; patience: number },
): Promise<void> {
  const timer = by.clock.after(by.patience, () => {
    for (const socket of by.sockets) socket.destroy();
  });
  await Promise.all(
    servers.map((server) => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      return closed;
    }),
  );
  timer.cancel();
}

const refusals: Readonly<Record<string, { status: string; code: string; message: string }>> = {
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    code: 'RequestHeaderTooLarge',
    message: `The headers are larger than ${limits.maxHeaderSize} bytes.`,
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    code: 'RequestTimeout',
    message: 'The request did not arrive in time.',
  },
};
const malformed = {
  status: '400 Bad Request',
  code: 'BadRequest',
  message: 'The request is not well-formed HTTP/1.1.',
};

/** What never became a request is answered here, and the connection ended: its bytes cannot be trusted any more. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const { status, code, message } = refusals[error.code ?? ''] ?? malformed;
  const body = JSON.stringify({ error: { code, message } });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}

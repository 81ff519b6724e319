/** A TCP proxy in front of a database server, to break connections at chosen moments. */
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';

/** What becomes of a chunk that a client sent; `cutAfter` sends it on, and the answer never arrives. */
export type Verdict = 'pass' | 'cut' | 'cutAfter';

export interface PostgresProxy {
  readonly port: number;
  /** Decides on each chunk from a client; `pass` until set. */
  judge: (chunk: Buffer) => Verdict;
  /** While true, nothing is passed on in either direction, and no connection ends: a network that has gone silent. */
  silent: boolean;
  /** While true, new connections are closed at once. */
  refusing: boolean;
  /** Closes the connections that are open. */
  cut(): void;
  close(): Promise<void>;
}

export async function startPostgresProxy(target: number): Promise<PostgresProxy> {
  const sockets = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer((client) => {
    if (proxy.refusing) return void client.destroy();
    connect(proxy, track(client), track(createConnection(target, '127.0.0.1')));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy: PostgresProxy = {
    port: address.port,
    judge: () => 'pass',
    silent: false,
    refusing: false,
    cut,
    async close() {
      server.close();
      cut();
      await once(server, 'close');
    },
  };
  return proxy;
}

function connect(proxy: PostgresProxy, client: Socket, server: Socket): void {
  const end = () => {
    if (proxy.silent) return;
    client.destroy();
    server.destroy();
  };
  client.on('close', end);
  server.on('close', end);
  server.on('data', (chunk) => {
    if (!proxy.silent) client.write(chunk);
  });
  client.on('data', (chunk: Buffer) => {
    if (proxy.silent) return;
    const verdict = proxy.judge(chunk);
    if (verdict === 'pass') server.write(chunk);
    // The server works off what it got before it notices the end.
    else if (verdict === 'cutAfter') server.end(chunk, () => client.destroy());
    else end();
  });
}

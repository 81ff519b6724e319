/** Connections to a test server that carry exactly the bytes that a test writes, well-formed or not. */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TestServer } from './server.ts';

/** One open connection and what has come back on it so far. */
export interface RawConnection {
  readonly socket: Socket;
  /** All bytes received so far, as Latin-1 text. */
  received(): string;
  write(bytes: string | Buffer): void;
  /** Resolves when what has been received fits; rejects when the connection ends before. */
  until(fits: (received: string) => boolean): Promise<string>;
  /** Resolves to all that was received when the connection has ended, by whichever side and in whichever way. */
  ended(): Promise<string>;
  destroy(): void;
}

/** A TLS connection to the HTTPS listener; `name` is the TLS server name. */
export function openTls(server: TestServer, name: string): Promise<RawConnection> {
  const socket = connectTls({ host: '127.0.0.1', port: server.port, servername: name, ca: server.ca });
  return opened(socket, 'secureConnect');
}

/** A plain connection to a port of this machine. */
export function openPlain(port: number): Promise<RawConnection> {
  return opened(connectPlain({ host: '127.0.0.1', port, allowHalfOpen: true }), 'connect');
}

function opened(socket: Socket, event: string): Promise<RawConnection> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once(event, () => {
      socket.off('error', reject);
      resolve(track(socket));
    });
  });
}

function track(socket: Socket): RawConnection {
  let received = '';
  let over = false;
  const waiting = new Set<() => void>();
  const look = () => {
    for (const check of [...waiting]) check();
  };
  // A reset counts as an end: the tests look at what had arrived by then.
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
    look();
  });
  for (const event of ['end', 'close']) {
    socket.on(event, () => {
      over = true;
      look();
    });
  }
  const when = (isDone: () => boolean | Error) =>
    new Promise<string>((resolve, reject) => {
      const check = () => {
        const done = isDone();
        if (done === false) return;
        waiting.delete(check);
        if (done === true) resolve(received);
        else reject(done);
      };
      waiting.add(check);
      check();
    });
  return {
    socket,
    received: () => received,
    write: (bytes) => void socket.write(bytes),
    until: (fits) =>
      when(() => fits(received) || (over && new Error(`the connection ended after: ${received}`))),
    ended: () => when(() => over),
    destroy: () => void socket.destroy(),
  };
}

/** The status codes of the HTTP responses in what was received, in order. */
export function statusesIn(received: string): number[] {
  return [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
}

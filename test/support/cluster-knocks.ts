/** New connections to a server whose processes die: each must be answered or closed, and none kept waiting. */
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { until } from './cluster-processes.ts';

export interface Knock {
  state(): 'waiting' | 'answered' | 'closed';
  close(): void;
}

/** Opens a connection and asks for a TLS handshake: a worker's answer. */
export function knockTls(port: number): Knock {
  const socket = connectTls({
    ...{ host: '127.0.0.1', port, servername: 'dev.vault.azure.net' },
    // Whose certificate it is does not matter here.
    rejectUnauthorized: false,
  });
  return watch(socket, 'secureConnect');
}

/** Opens a connection and sends a request that is refused by whichever worker has it. */
export function knockPlain(port: number): Knock {
  const socket = connectPlain({ host: '127.0.0.1', port });
  socket.write('GET / HTTP/1.1\r\nHost: nobody.invalid\r\n\r\n');
  return watch(socket, 'data');
}

function watch(socket: Socket, answer: string): Knock {
  let state: 'waiting' | 'answered' | 'closed' = 'waiting';
  const settle = (end: 'answered' | 'closed') => {
    if (state === 'waiting') state = end;
  };
  socket.on('error', () => undefined);
  socket.once(answer, () => settle('answered'));
  socket.once('close', () => settle('closed'));
  return { state: () => state, close: () => socket.destroy() };
}

export interface Knocking {
  /** Ends it and resolves to how many connections were answered; rejects if one was left waiting. */
  stop(): Promise<number>;
}

/** Knocks at the listeners without end, with several connections at a time. */
export function knockOn(listeners: readonly (() => Knock)[]): Knocking {
  let stopped = false;
  let answered = 0;
  const repeat = async (listener: () => Knock) => {
    while (!stopped) {
      const knock = listener();
      try {
        await until(() => knock.state() !== 'waiting', longestWait);
      } finally {
        knock.close();
      }
      if (knock.state() === 'answered') answered += 1;
    }
  };
  const all = Promise.all([...listeners, ...listeners].map(repeat));
  // Told by `stop`, which may come much later.
  all.catch(() => undefined);
  return {
    async stop() {
      stopped = true;
      await all;
      return answered;
    },
  };
}

/** Milliseconds: above what a loaded machine needs to answer, below for ever. */
const longestWait = 15_000;

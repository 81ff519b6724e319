/**
 * A load generator that costs little beside the server: keep-alive TLS connections, each with one request under way,
 * bytes prepared beforehand, replies counted by Content-Length.
 */
import { connect, type TLSSocket } from 'node:tls';

export interface Load {
  readonly port: number;
  readonly servername: string;
  readonly ca: string;
  readonly connections: number;
  readonly seconds: number;
  /** The bytes of the n-th request. */
  readonly request: (n: number) => Buffer;
}

export interface Measured {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly requests: number;
}

/** Runs the load and measures it; rejects if any reply is not a success. */
export async function run(load: Load): Promise<Measured> {
  const latencies: number[] = [];
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load)));
  let sent = 0;
  const started = performance.now();
  const end = started + load.seconds * 1000;
  await Promise.all(
    sockets.map(async (socket) => {
      const replies = readReplies(socket);
      while (performance.now() < end) {
        const before = performance.now();
        socket.write(load.request(sent++));
        await replies.next();
        latencies.push(performance.now() - before);
      }
      socket.destroy();
    }),
  );
  const elapsed = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return {
    perSecond: latencies.length / elapsed,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    requests: latencies.length,
  };
}

function open(load: Load): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: load.port, servername: load.servername, ca: load.ca });
    socket.setNoDelay(true);
    socket.once('error', reject);
    socket.once('secureConnect', () => resolve(socket));
  });
}

interface Replies {
  /** Resolves when the next whole reply has arrived. */
  next(): Promise<void>;
}

function readReplies(socket: TLSSocket): Replies {
  let pending: Buffer = Buffer.alloc(0);
  let resolve: (() => void) | undefined;
  let reject: ((error: Error) => void) | undefined;
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const headEnd = pending.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = pending.toString('latin1', 0, headEnd);
    if (!head.startsWith('HTTP/1.1 20')) {
      reject?.(new Error(`the server answered:\n${pending.toString('utf8')}`));
      return;
    }
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    if (pending.length < headEnd + 4 + length) return;
    pending = pending.subarray(headEnd + 4 + length);
    resolve?.();
  });
  socket.on('error', (error) => reject?.(error));
  socket.on('close', () => reject?.(new Error('the server closed the connection')));
  return {
    next: () =>
      new Promise<void>((done, failed) => {
        resolve = done;
        reject = failed;
      }),
  };
}

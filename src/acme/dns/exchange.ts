/** One question to one DNS server over TCP (RFC 7766), within bounds of time and size. */
import { connect } from 'node:net';
import type { Clock } from '../../core/clock.ts';

export interface DnsServer {
  readonly host: string;
  readonly port: number;
}

/** Milliseconds. */
const patience = 15_000;
/** RFC 1035 §4.1.1: a header, in bytes. */
const shortestMessage = 12;

/** The server did not answer with a whole message; the text is safe to show. */
export class NoDnsReply extends Error {
  constructor(message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'NoDnsReply';
  }
}

/** The answer's bytes; rejects with `NoDnsReply`. A message has 65,535 bytes at most. */
export function askDns(clock: Clock, { host, port }: DnsServer, message: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const timer = clock.after(patience, () => end(new NoDnsReply('The DNS server did not answer in time.')));
    let received = Buffer.alloc(0);
    const end = (result: Buffer | NoDnsReply) => {
      timer.cancel();
      socket.destroy();
      if (result instanceof NoDnsReply) reject(result);
      else resolve(result);
    };
    socket.on('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(message.length);
      socket.write(Buffer.concat([length, message]));
    });
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length < 2) return;
      const whole = 2 + received.readUInt16BE(0);
      if (received.length < whole) return;
      const answer = received.subarray(2, whole);
      end(answer.length < shortestMessage ? new NoDnsReply('The DNS server answered nonsense.') : answer);
    });
    socket.on('error', (cause) =>
      end(new NoDnsReply(`The DNS server cannot be reached${codeOf(cause)}.`, { cause })),
    );
    socket.on('close', () => end(new NoDnsReply('The DNS server closed the connection without an answer.')));
  });
}

function codeOf(error: NodeJS.ErrnoException): string {
  return /^[A-Z0-9_]{1,40}$/.test(error.code ?? '') ? ` (${error.code})` : '';
}

/**
 * Requests to one authority or service that the operator named: no redirects, no proxies, no state shared with other
 * requests of this process, and bounds on the time and the size of every answer.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Clock } from '../core/clock.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpReply {
  readonly status: number;
  /** By lower-case name; undefined for what did not come, or came more than once. */
  header(name: string): string | undefined;
  readonly body: Buffer;
}

/** Connections for one piece of work, closed when it is done. */
export interface HttpClient {
  /** Rejects with `NoReply` when there is no whole answer within the bounds. */
  exchange(request: HttpRequest): Promise<HttpReply>;
  close(): void;
}

/** Milliseconds, and bytes of a body. */
export interface HttpLimits {
  readonly perRequest: number;
  readonly altogether: number;
  readonly longestBody: number;
}

/** An authority may think for a while; 256 KiB hold the longest chain and the largest order. */
export const usualLimits: HttpLimits = {
  perRequest: 20_000,
  altogether: 120_000,
  longestBody: 256 * 1024,
};

/** There was no whole answer: not reached, not trusted, too slow or too long. The message is safe to show. */
export class NoReply extends Error {
  constructor(message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'NoReply';
  }
}

export interface HttpOptions {
  /** PEM: the only authorities whose servers are trusted; undefined for those that Node.js trusts. */
  readonly ca?: string | undefined;
  readonly limits?: HttpLimits;
}

/** Opens connections as they are needed; `http:` goes to this machine only. */
export function openHttp(clock: Clock, { ca, limits = usualLimits }: HttpOptions = {}): HttpClient {
  // An agent of its own: Node's shared one may be set to use a proxy, and keeps connections for everybody.
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ...(ca === undefined ? {} : { ca }) });
  const whole = new AbortController();
  const timer = clock.after(limits.altogether, () => whole.abort());
  return {
    async exchange(request) {
      if (whole.signal.aborted) throw new NoReply('The time for this step was used up.');
      const abort = new AbortController();
      const end = () => abort.abort();
      const patience = clock.after(limits.perRequest, end);
      whole.signal.addEventListener('abort', end, { once: true });
      try {
        const message = await send(request, agent, abort.signal);
        return replyOf(message, await readBody(message, limits.longestBody));
      } catch (error) {
        throw abort.signal.aborted ? new NoReply('There was no answer in time.') : asNoReply(error);
      } finally {
        patience.cancel();
        whole.signal.removeEventListener('abort', end);
      }
    },
    close() {
      timer.cancel();
      agent.destroy();
    },
  };
}

function send(
  { method, url, headers, body }: HttpRequest,
  agent: Agent,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const given = { 'user-agent': 'strongroom', ...headers };
    const sized = body === undefined ? given : { ...given, 'content-length': Buffer.byteLength(body) };
    const options = { method, headers: sized, signal };
    const sent = isSecure(url)
      ? httpsRequest(url, { ...options, agent }, resolve)
      : httpRequest(url, { ...options, agent: false }, resolve);
    sent.on('error', reject);
    sent.end(body);
  });
}

/** True for `https:`, false for `http:` to a loopback host; throws `NoReply` for the rest. */
function isSecure(url: URL): boolean {
  if (url.protocol === 'https:') return true;
  if (isLoopbackHttp(url)) return false;
  throw new NoReply('The address is neither HTTPS nor on this machine.');
}

function isLoopbackHttp({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

async function readBody(message: IncomingMessage, longest: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of message as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > longest) {
      message.destroy();
      throw new NoReply(`The answer is longer than ${longest} bytes.`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function replyOf(message: IncomingMessage, body: Buffer): HttpReply {
  return {
    status: message.statusCode ?? 0,
    header(name) {
      const values = message.headersDistinct[name];
      return values?.length === 1 ? values[0] : undefined;
    },
    body,
  };
}

/** Node's error codes are words such as ECONNREFUSED and CERT_HAS_EXPIRED: they say what is wrong, and nothing else. */
function asNoReply(error: unknown): NoReply {
  if (error instanceof NoReply) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const reason = /^[A-Z0-9_]{1,60}$/.test(code) ? ` (${code})` : '';
  return new NoReply(`The server could not be reached or did not answer properly${reason}.`, {
    cause: error,
  });
}

/** Reading a request's body, within bounds, after the caller has been let in. */
import type { IncomingMessage } from 'node:http';
import { Failure } from '../core/errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A request whose body may be read. */
export interface BodySource {
  readonly request: IncomingMessage;
  /** Asks a client that waits for a go-ahead to send the body (RFC 9110 §10.1.1); undefined if it does not wait. */
  readonly proceed?: (() => void) | undefined;
}

/** The body as text; empty if there is none. Refuses more than `limit` bytes and what is not UTF-8. */
export async function readText(source: BodySource, limit: number): Promise<string> {
  const { request, proceed } = source;
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge(limit);
  proceed?.();
  const bytes = await readBytes(request, limit);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Failure('badParameter', 'The body is not valid UTF-8.');
  }
}

function readBytes(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let whole = false;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > limit) {
        request.removeAllListeners('data');
        request.resume();
        reject(tooLarge(limit));
        return;
      }
      chunks.push(chunk);
    });
    request.on('end', () => {
      whole = true;
      resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks));
    });
    // A client that left before sends no more events than this one, or none at all.
    const gone = (cause?: Error) => {
      if (!whole) reject(new Failure('badParameter', 'The body did not arrive whole.', { cause }));
    };
    request.on('error', gone);
    request.on('close', gone);
    if (request.destroyed) gone();
  });
}

/** The body as parsed JSON. Throws with Azure's texts for a missing body and for one that is not JSON. */
export async function readJson(source: BodySource, limit: number): Promise<unknown> {
  const type = source.request.headers['content-type'];
  if (type !== undefined && !/^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) {
    throw new Failure('unsupportedMediaType', 'The body must be application/json.');
  }
  const text = await readText(source, limit);
  if (text.trim() === '') throw new Failure('badParameter', 'Request body not specified');
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message would quote the body, which may hold a secret.
    throw new Failure('badParameter', 'Property  has invalid value\r\nThe body is not valid JSON.');
  }
}

function tooLarge(limit: number): Failure {
  return new Failure('tooLarge', `The body is larger than the ${limit} bytes that this operation accepts.`);
}

/**
 * Answers the requests by which authorities check http-01 challenges (RFC 8555 §8.3), from anybody and over plain
 * HTTP: it gives out what was put up for them and knows nothing else.
 */
import type { RequestListener, ServerResponse } from 'node:http';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { ChallengeBoard } from './challenge-store.ts';

export interface Http01Deps {
  readonly board: Pick<ChallengeBoard, 'find'>;
  readonly clock: Clock;
  readonly log: Log;
}

/** RFC 8555 §8.1: base64url, and 128 bits at least, which are 22 characters. */
const token = /^[A-Za-z0-9_-]{22,256}$/;
const folder = '/.well-known/acme-challenge/';
/** Strangers may ask as often as they like; the database is asked by so many at once. */
const mostLookups = 32;

/** True for a token that a challenge may have, and so for one that is safe in a path. */
export function isChallengeToken(text: string): boolean {
  return token.test(text);
}

export function createHttp01Handler({ board, clock, log }: Http01Deps): RequestListener {
  let lookups = 0;
  const find = async (asked: string): Promise<string | undefined> => {
    lookups += 1;
    try {
      return await board.find(asked, clock.now());
    } finally {
      lookups -= 1;
    }
  };
  return (request, response) => {
    // A body is nothing to wait for: the connection ends with the answer.
    response.shouldKeepAlive = false;
    if (request.method !== 'GET') return answer(response, { status: 405, allow: 'GET' });
    const asked = tokenOf(request.url ?? '');
    if (asked === undefined) return answer(response, { status: 404 });
    if (lookups >= mostLookups) return answer(response, { status: 503 });
    find(asked).then(
      (found) => answer(response, found === undefined ? { status: 404 } : { status: 200, text: found }),
      (error: unknown) => {
        log.warn('A challenge of an ACME authority could not be looked up.', { error });
        answer(response, { status: 503 });
      },
    );
  };
}

function tokenOf(target: string): string | undefined {
  const asked = target.startsWith(folder) ? target.slice(folder.length) : '';
  return isChallengeToken(asked) ? asked : undefined;
}

function answer(
  response: ServerResponse,
  { status, text = '', allow }: { status: number; text?: string; allow?: string },
): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(allow === undefined ? {} : { Allow: allow }),
  });
  response.end(text);
}

/** `GET /healthz` (the process lives) and `GET /readyz` (it serves), on both listeners and under any host name. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Where the server is in its life; changed by the service alone. */
export interface Readiness {
  serving: boolean;
  draining: boolean;
}

/** Answers a health request; false for any other. */
export function answerHealth(
  readiness: Readiness,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const { url, method } = request;
  if (url !== '/healthz' && url !== '/readyz') return false;
  if (method !== 'GET' && method !== 'HEAD') return false;
  const ready = readiness.serving && !readiness.draining;
  const status = url === '/healthz' || ready ? 200 : 503;
  const body = JSON.stringify({ status: status === 200 ? 'ok' : 'unavailable' });
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    // A connection that is kept would hold up the end of the server.
    ...(readiness.draining ? { Connection: 'close' } : {}),
  });
  response.end(method === 'HEAD' ? undefined : body);
  return true;
}

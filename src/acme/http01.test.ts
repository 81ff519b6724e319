/** Proves that the responder gives out the answers to challenges, and nothing else to anybody. */
import { request } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { type Listener, listenHttp } from '../api/listener.ts';
import { systemClock } from '../core/clock.ts';
import { type Log, silentLog } from '../core/log.ts';
import type { ChallengeBoard } from './challenge-store.ts';
import { createHttp01Handler } from './http01.ts';

const token = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA';
const path = `/.well-known/acme-challenge/${token}`;

let listener: Listener | undefined;
afterEach(async () => {
  await listener?.close(systemClock, 0);
  listener = undefined;
});

type Find = ChallengeBoard['find'];
async function serve(find: Find, log: Log = silentLog): Promise<void> {
  const handler = createHttp01Handler({ board: { find }, clock: manualClock(1234), log });
  listener = await listenHttp(handler, () => undefined, { addresses: ['127.0.0.1'], port: 0 });
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

function ask(target: string, method = 'GET', host = 'www.example.com'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: listener?.port,
      path: target,
      method,
      headers: { host },
      agent: false,
    };
    request(options, (message) => {
      let text = '';
      message.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      message.on('end', () => resolve({ status: message.statusCode ?? 0, headers: message.headers, text }));
    })
      .on('error', reject)
      .end();
  });
}

it('answers a token with its key authorization, as plain text', async () => {
  const asked: unknown[] = [];
  await serve(async (...given) => {
    asked.push(given);
    return `${token}.thumbprint`;
  });
  const { status, headers, text } = await ask(path);
  expect({ status, text }).toEqual({ status: 200, text: `${token}.thumbprint` });
  expect(headers).toMatchObject({
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  expect(asked).toEqual([[token, 1234]]);
});

it('knows nothing else, and does not ask for it', async () => {
  let asked = 0;
  await serve(async () => {
    asked += 1;
    return undefined;
  });
  expect(await ask(path)).toMatchObject({ status: 404, text: '' });
  expect(asked).toBe(1);
  for (const target of [
    '/',
    '/healthz',
    '/secrets/s1?api-version=7.4',
    '/.well-known/acme-challenge/',
    '/.well-known/acme-challenge/short',
    `${path}?x=1`,
    `${path}/`,
    `${path}/../secrets`,
    `/x${path}`,
    `http://127.0.0.1${path}`,
    `/.well-known/acme-challenge/%2e%2e%2f${token}`,
    `/.well-known/acme-challenge/${'a'.repeat(257)}`,
    path.toUpperCase(),
  ]) {
    expect(await ask(target), target).toMatchObject({ status: 404, text: '' });
  }
  expect(asked).toBe(1);
});

it.each(['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND'])('does not allow %s', async (method) => {
  await serve(() => Promise.reject(new Error('asked')));
  const { status, headers } = await ask(path, method);
  expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'GET' });
});

it('says 503 while the answers cannot be looked up, and why in the log only', async () => {
  const warned: unknown[] = [];
  await serve(() => Promise.reject(new Error('the database is away')), {
    ...silentLog,
    warn: (message, fields) => void warned.push([message, fields]),
  });
  expect(await ask(path)).toMatchObject({ status: 503, text: '' });
  expect(warned).toEqual([[expect.any(String), { error: new Error('the database is away') }]]);
});

it('looks up 32 at once and refuses more, until some are done', async () => {
  const open: ((found: string) => void)[] = [];
  let allOpen: () => void = () => undefined;
  const full = new Promise<void>((resolve) => {
    allOpen = resolve;
  });
  let isOver = false;
  await serve(async () => {
    if (isOver) return 'at once';
    return new Promise((resolve) => {
      open.push(resolve);
      if (open.length === 32) allOpen();
    });
  });
  const asked = Array.from({ length: 32 }, () => ask(path));
  await full;
  expect(await ask(path)).toMatchObject({ status: 503 });
  isOver = true;
  for (const done of open) done('answer');
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(32).fill(200));
  expect(await ask(path)).toMatchObject({ status: 200, text: 'at once' });
});

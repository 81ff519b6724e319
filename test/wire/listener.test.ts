/**
 * The listeners over the wire: health, limits of size, time and number, what is not well-formed HTTP, connections
 * that are reused, aborted or drained, and hosts that are not ours.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readText } from '../../src/api/body.ts';
import { type Listener, listenHttp } from '../../src/api/listener.ts';
import { systemClock } from '../../src/core/clock.ts';
import { auditedDuring, auditRecords } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import { openPlain, openTls, type RawConnection, statusesIn } from '../support/raw-connection.ts';
import {
  secretClient,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';

const vault = 'dev.vault.azure.net';
const secrets = '/secrets?api-version=2025-07-01';

let server: TestServer;
let token: string;
const connections: RawConnection[] = [];

beforeAll(async () => {
  server = await startTestServer({ settings: { maxInFlight: 8, drain: 0 } });
  token = await tokenFor(server);
});
afterEach(() => {
  for (const connection of connections.splice(0)) connection.destroy();
});
afterAll(() => server.close());

async function open(to: TestServer = server, name = vault): Promise<RawConnection> {
  const connection = await openTls(to, name);
  connections.push(connection);
  return connection;
}

/** Header lines; the token's own when `authorized`. */
function head(requestLine: string, lines: readonly string[] = [], authorized = true): string {
  const authorization = authorized ? [`Authorization: Bearer ${token}`] : [];
  return `${[requestLine, ...lines, ...authorization].join('\r\n')}\r\n\r\n`;
}

const host = `Host: ${vault}`;

describe('health', () => {
  test('is told on both listeners, under any host name, without a token or an audit record', async () => {
    const records = await auditedDuring(server, async () => {
      for (const path of ['/healthz', '/readyz']) {
        for (const to of [await open(), await openPlain(server.localPort)]) {
          to.write(`GET ${path} HTTP/1.1\r\nHost: whoever.example\r\nConnection: close\r\n\r\n`);
          const reply = await to.ended();
          expect(reply).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*\{"status":"ok"\}$/);
          expect(reply).toContain('Cache-Control: no-store');
        }
        const headOnly = await send(server, { host: vault, path, method: 'HEAD' });
        expect(headOnly.status).toBe(200);
        expect(headOnly.text).toBe('');
      }
    });
    expect(records).toEqual([]);
  });

  test('no other method or path passes for it', async () => {
    for (const [method, path] of [
      ['POST', '/healthz'],
      ['GET', '/healthz/'],
      ['GET', '/readyz?x'],
      ['GET', '//healthz'],
    ] as const) {
      expect((await send(server, { host: vault, method, path })).status).toBe(401);
    }
  });

  test('a server that is stopping is alive but not ready, and finishes what is under way', async () => {
    const stopping = await startTestServer();
    const own = await tokenFor(stopping);
    const health = await openTls(stopping, vault);
    const upload = await openTls(stopping, vault);
    // The second request has begun to arrive by the time that the first is answered.
    const begun = (path: string) => `GET ${path} HTTP/1.1\r\n${host}\r\n`;
    health.write(`${begun('/readyz')}\r\n${begun('/readyz')}`);
    await health.until((text) => text.includes('{"status":"ok"}'));
    const body = '{"value":"finished"}';
    upload.write(
      `GET /healthz HTTP/1.1\r\n${host}\r\n\r\nPUT /secrets/under-way?api-version=7.4 HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${own}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    await upload.until((text) => text.includes('{"status":"ok"}'));
    const closed = stopping.close();
    health.write('\r\n');
    expect(await health.ended()).toMatch(/HTTP\/1\.1 503 [\s\S]*\{"status":"unavailable"\}$/);
    upload.write(body);
    const answered = await upload.ended();
    expect(statusesIn(answered)).toEqual([200, 200]);
    expect(answered).toContain('"value":"finished"');
    expect(answered).toMatch(/\r\nConnection: close\r\n/);
    await closed;
  });
});

describe('malformed HTTP', () => {
  const envelope = (code: string) =>
    new RegExp(`\\r\\n\\r\\n\\{"error":\\{"code":"${code}","message":"[^"]+"\\}\\}$`);

  test('headers beyond 32 KiB are refused in the API’s own envelope', async () => {
    for (const to of [await open(), await openPlain(server.localPort)]) {
      to.write(`GET / HTTP/1.1\r\n${host}\r\nX-Large: ${'x'.repeat(33 * 1024)}\r\n\r\n`);
      const reply = await to.ended();
      expect(reply).toMatch(/^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
      expect(reply).toMatch(envelope('RequestHeaderTooLarge'));
      expect(reply).toContain('Connection: close');
    }
    const large = await send(server, {
      host: vault,
      path: secrets,
      headers: { 'X-Large': 'x'.repeat(24 * 1024) },
    });
    expect(large.status).toBe(401);
  });

  test.each([
    ['no HTTP at all', 'hello\r\n\r\n'],
    ['a later version', `GET / HTTP/2.0\r\n${host}\r\n\r\n`],
    ['no version', `GET /\r\n${host}\r\n\r\n`],
    ['an unknown method', `FROB / HTTP/1.1\r\n${host}\r\n\r\n`],
    ['NUL in a value', `GET / HTTP/1.1\r\n${host}\r\nX: a\0b\r\n\r\n`],
    ['NUL in a name', `GET / HTTP/1.1\r\n${host}\r\nX\0: a\r\n\r\n`],
    ['NUL in the path', `GET /\0 HTTP/1.1\r\n${host}\r\n\r\n`],
    ['a space before the colon', `GET / HTTP/1.1\r\n${host}\r\nContent-Length : 5\r\n\r\nhello`],
    ['a name that is no token', `GET / HTTP/1.1\r\n${host}\r\nX(y): z\r\n\r\n`],
    ['a line folded', `GET / HTTP/1.1\r\n${host}\r\nX: a\r\n\tb\r\n\r\n`],
    ['bare line feeds', `GET / HTTP/1.1\n${host}\n\n`],
    ['a bare line feed within the headers', `GET / HTTP/1.1\r\n${host}\nX: y\r\n\r\n`],
    ['a bare carriage return', `GET / HTTP/1.1\r\n${host}\r\nX: a\rGET / HTTP/1.1\r\n\r\n`],
    ['no host', `GET / HTTP/1.1\r\n\r\n`],
  ])('%s is refused and the connection ends', async (_what, bytes) => {
    const connection = await open();
    connection.write(`${bytes}GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`);
    const reply = await connection.ended();
    expect(reply).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(statusesIn(reply)).toEqual([400]);
    expect(reply).toContain('Connection: close');
  });

  const smuggled = `GET /healthz HTTP/1.1\r\n${host}\r\n\r\n`;
  const put = `PUT /secrets/smuggled?api-version=7.4 HTTP/1.1\r\n${host}\r\nContent-Type: application/json`;
  test.each([
    ['a length and chunks', `Content-Length: 4\r\nTransfer-Encoding: chunked`, '0\r\n\r\n'],
    ['chunks and a length', `Transfer-Encoding: chunked\r\nContent-Length: 4`, '0\r\n\r\n'],
    ['two lengths', 'Content-Length: 0\r\nContent-Length: 44', ''],
    ['two equal lengths', 'Content-Length: 2\r\nContent-Length: 2', '{}'],
    ['a list of lengths', 'Content-Length: 2, 2', '{}'],
    ['a signed length', 'Content-Length: +2', '{}'],
    ['a negative length', 'Content-Length: -1', ''],
    ['a hexadecimal length', 'Content-Length: 0x2', '{}'],
    ['an absurd length', 'Content-Length: 99999999999999999999', '{}'],
    ['an unknown coding', 'Transfer-Encoding: xchunked', '0\r\n\r\n'],
    ['a coding after chunked', 'Transfer-Encoding: chunked, identity', '0\r\n\r\n'],
    ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'],
    ['a coding hidden by a tab', 'Transfer-Encoding:\x0bchunked', '0\r\n\r\n'],
    ['a chunk size with junk', 'Transfer-Encoding: chunked', '2g\r\n{}\r\n0\r\n\r\n'],
    ['a negative chunk size', 'Transfer-Encoding: chunked', '-2\r\n{}\r\n0\r\n\r\n'],
    ['an overflowing chunk size', 'Transfer-Encoding: chunked', '100000000000000002\r\n{}\r\n0\r\n\r\n'],
    ['a chunk longer than its size', 'Transfer-Encoding: chunked', '1\r\n{}\r\n0\r\n\r\n'],
    ['a chunk ended by a bare line feed', 'Transfer-Encoding: chunked', '2\n{}\n0\n\n'],
    ['a chunk extension with a bare line feed', 'Transfer-Encoding: chunked', '2;\n{}\r\n0\r\n\r\n'],
  ])('a body framed by %s never lets a second request through', async (_what, framing, body) => {
    const connection = await open();
    connection.write(`${put}\r\n${framing}\r\nAuthorization: Bearer ${token}\r\n\r\n${body}${smuggled}`);
    const reply = await connection.ended();
    expect(reply).not.toContain('{"status":"ok"}');
    expect(statusesIn(reply)).toEqual([400]);
  });

  test('chunks with extensions and trailers are one request, and what follows is the next', async () => {
    const connection = await open();
    const body = '{"value":"in chunks"}';
    const half = 10;
    connection.write(
      `${put.replace('smuggled', 'chunked')}\r\nTransfer-Encoding: chunked\r\nAuthorization: Bearer ${token}\r\n\r\n` +
        `${half.toString(16)};name=value;other="x"\r\n${body.slice(0, half)}\r\n` +
        `${(body.length - half).toString(16)}\r\n${body.slice(half)}\r\n0\r\nAuthorization: Bearer other\r\n\r\n${smuggled}`,
    );
    const reply = await connection.until((text) => text.includes('{"status":"ok"}'));
    expect(statusesIn(reply)).toEqual([200, 200]);
    expect(reply).toContain('"value":"in chunks"');
  });

  test('a second Host, even the same, is refused', async () => {
    for (const second of [host, 'Host: other.vault.azure.net', 'host: login.microsoftonline.com']) {
      const connection = await open();
      connection.write(head(`GET ${secrets} HTTP/1.1`, [host, second, 'Connection: close']));
      expect(statusesIn(await connection.ended()), second).toEqual([400]);
    }
  });

  test('a second Authorization does not stand in for the first', async () => {
    for (const lines of [
      [`Authorization: Bearer ${token}`, 'Authorization: Bearer x.y.z'],
      ['Authorization: Bearer x.y.z', `Authorization: Bearer ${token}`],
    ]) {
      const connection = await open();
      connection.write(head(`GET ${secrets} HTTP/1.1`, [host, ...lines, 'Connection: close'], false));
      expect(statusesIn(await connection.ended())).toEqual([401]);
    }
  });
});

describe('requests on one connection', () => {
  test('are answered in the order in which they came, the slow before the quick', async () => {
    const connection = await open();
    const ids = Array.from({ length: 6 }, (_, index) => `pipelined-${index}`);
    const bytes = ids.map((id, index) =>
      head(`${index % 2 === 0 ? 'GET' : 'HEAD'} ${index === 0 ? secrets : '/nowhere'} HTTP/1.1`, [
        host,
        `x-ms-client-request-id: ${id}`,
      ]),
    );
    connection.write(bytes.join(''));
    const reply = await connection.until((text) => statusesIn(text).length === ids.length);
    const echoed = [...reply.matchAll(/x-ms-client-request-id: (\S+)/g)].map((match) => match[1]);
    expect(echoed).toEqual(ids);
  });

  test('may come one after the other', async () => {
    const connection = await open();
    for (let count = 1; count <= 3; count += 1) {
      connection.write(head(`GET ${secrets} HTTP/1.1`, [host]));
      await connection.until((text) => statusesIn(text).length === count && text.endsWith('}'));
    }
    expect(statusesIn(connection.received())).toEqual([200, 200, 200]);
  });

  test('may be for different vaults and APIs, each by its own Host, whatever the TLS name was', async () => {
    const connection = await open(server, 'login.microsoftonline.com');
    connection.write(head(`GET ${secrets} HTTP/1.1`, [host], false));
    await connection.until((text) => text.includes('"Unauthorized"'));
    connection.write(head(`GET ${secrets} HTTP/1.1`, ['Host: nobody.vault.azure.net']));
    await connection.until((text) => text.includes('"VaultNotFound"'));
    connection.write(head('GET /common/discovery/keys HTTP/1.1', ['Host: login.microsoftonline.com'], false));
    await connection.until((text) => text.includes('"keys"'));
    connection.write(head(`GET ${secrets} HTTP/1.1`, ['Host: evil.example']));
    await connection.until((text) => text.includes('"HostNotServed"'));
    expect(statusesIn(connection.received())).toEqual([401, 404, 200, 421]);
  });

  test('Expect: 100-continue is followed', async () => {
    const connection = await open();
    const body = '{"value":"expected"}';
    connection.write(
      head('PUT /secrets/expected?api-version=7.4 HTTP/1.1', [
        host,
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'Expect: 100-continue',
      ]),
    );
    await connection.until((text) => text === 'HTTP/1.1 100 Continue\r\n\r\n');
    connection.write(body);
    await connection.until((text) => text.endsWith('}'));
    expect(statusesIn(connection.received())).toEqual([100, 200]);
  });

  test('HTTP/1.0 is answered and the connection ends', async () => {
    const connection = await open();
    connection.write(head(`GET ${secrets} HTTP/1.0`, [host]));
    expect(statusesIn(await connection.ended())).toEqual([200]);
    const nameless = await open();
    nameless.write(head(`GET ${secrets} HTTP/1.0`, []));
    expect(statusesIn(await nameless.ended())).toEqual([421]);
  });
});

describe('methods and targets', () => {
  test('HEAD has no body, OPTIONS no grants, TRACE no echo', async () => {
    const call = vaultCaller(server, token);
    const headOnly = await call('HEAD', '/secrets');
    expect([404, 405]).toContain(headOnly.status);
    expect(headOnly.text).toBe('');
    const options = await call('OPTIONS', '/secrets', undefined, {
      Origin: 'https://evil.example',
      'Access-Control-Request-Method': 'GET',
    });
    expect([404, 405]).toContain(options.status);
    expect(Object.keys(options.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    const trace = await call('TRACE', '/secrets');
    expect([404, 405]).toContain(trace.status);
    expect(trace.text).not.toContain(token);
    for (const method of ['HEAD', 'OPTIONS', 'TRACE']) {
      expect((await send(server, { host: vault, method, path: secrets })).status, method).toBe(401);
    }
  });

  test('a target in absolute form reaches no vault but the one that Host names', async () => {
    for (const target of [`https://${vault}${secrets}`, `https://other.vault.azure.net${secrets}`]) {
      const connection = await open();
      connection.write(head(`GET ${target} HTTP/1.1`, [host, 'Connection: close']));
      const reply = await connection.ended();
      expect(statusesIn(reply), target).not.toContain(200);
      expect(reply).not.toContain('other.vault.azure.net/secrets');
    }
  });

  test('a host that is not served, or is no vault, gets a clear refusal and nothing built from it', async () => {
    for (const name of [
      'evil.example',
      'vault.azure.net',
      'dev.vault.azure.net.evil.example',
      'dev.vault.azure.net:0',
      'dev.vault.azure.net:65536',
      'dev.vault.azure.net@evil.example',
      '127.0.0.1',
      '[::1]',
      'localhost',
      'dev.vault.azure.net/x',
      'dev..vault.azure.net',
    ]) {
      const connection = await open();
      connection.write(head(`GET ${secrets} HTTP/1.1`, [`Host: ${name}`, 'Connection: close']));
      const reply = await connection.ended();
      expect(statusesIn(reply), name).toEqual([421]);
      expect(reply).toContain('{"error":{"code":"HostNotServed"');
      expect(reply).not.toContain('evil');
    }
    const missing = await send(server, { host: 'nobody.vault.azure.net', path: secrets });
    expect(missing.status).toBe(404);
    expect(missing.json.error.code).toBe('VaultNotFound');
  });
});

describe('bodies that do not arrive', () => {
  const large = 100 * 1024 * 1024;

  test('a large upload without a token is refused before its body is read, and the connection ends', async () => {
    const connection = await open();
    connection.write(
      head('PUT /secrets/large?api-version=7.4 HTTP/1.1', [host, `Content-Length: ${large}`], false),
    );
    const reply = await connection.ended();
    expect(statusesIn(reply)).toEqual([401]);
    expect(reply).toMatch(/\r\nConnection: close\r\n/);
    expect(reply).toMatch(/\r\nWWW-Authenticate: Bearer /i);
  });

  test('one that is too large is refused by its length, or where it passes the limit', async () => {
    const declared = await open();
    declared.write(
      head('PUT /secrets/large?api-version=7.4 HTTP/1.1', [
        host,
        'Content-Type: application/json',
        `Content-Length: ${large}`,
      ]),
    );
    expect(statusesIn(await declared.ended())).toEqual([413]);
    const chunked = await open();
    chunked.write(
      head('PUT /secrets/large?api-version=7.4 HTTP/1.1', [
        host,
        'Content-Type: application/json',
        'Transfer-Encoding: chunked',
      ]),
    );
    const piece = 'x'.repeat(64 * 1024);
    // Node's socket takes all of it; the server need not read on to answer.
    for (let count = 0; count < 12; count += 1) chunked.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    expect(statusesIn(await chunked.ended())).toEqual([413]);
  });

  test('a client that goes away leaves nothing behind: no secret, no place taken', async () => {
    const attempts = 40;
    // Never seen before, so that the server is still looking at the token when the client goes.
    const tokens: string[] = [];
    while (tokens.length < attempts / 2) tokens.push(await tokenFor(server));
    const before = await auditRecords(server);
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const connection = await open();
      const login = attempt % 2 === 0;
      const bytes = login
        ? `POST /${server.tenantId}/oauth2/v2.0/token HTTP/1.1\r\nHost: login.microsoftonline.com\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n`
        : `PUT /secrets/aborted?api-version=7.4 HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${tokens.pop()}\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n`;
      connection.write(bytes);
      // Whoever just goes may take with him what the server has not read yet.
      await connection.until((received) => received.includes(' 100 Continue'));
      connection.write(login ? 'grant' : '{"value":"abo');
      // Some say that they go, some just go.
      if (attempt % 4 < 2) connection.socket.end();
      else connection.destroy();
      await connection.ended();
    }
    // Eight places in all: those of the requests that were abandoned are free again.
    await expect.poll(async () => (await vaultCaller(server, token)('GET', '/secrets')).status).toBe(200);
    await expect
      .poll(async () => {
        const records = (await auditRecords(server)).slice(before.length);
        return records.filter((record) => record.properties.httpStatusCode === 400).length;
      })
      .toBe(attempts);
    expect((await vaultCaller(server, token)('GET', '/secrets/aborted')).status).toBe(404);
  });
});

test('a body is not waited for when its client has left before anyone looked', async () => {
  let read: (outcome: Promise<string>) => void = () => undefined;
  const outcome = new Promise<string>((resolve) => {
    read = resolve;
  });
  const handler = (request: IncomingMessage) => {
    request.on('error', () => undefined);
    request.once('close', () => setImmediate(() => read(readText({ request }, 100))));
  };
  const listener = await listenHttp(handler, () => undefined, { addresses: ['127.0.0.1'], port: 0 });
  const connection = await openPlain(listener.port);
  connection.socket.write('PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345', () =>
    connection.destroy(),
  );
  await expect(outcome).rejects.toMatchObject({ kind: 'badParameter' });
  await listener.close(systemClock, 0);
});

describe('time', () => {
  let listener: Listener;
  beforeAll(async () => {
    const handler = (request: IncomingMessage, response: ServerResponse) => {
      request.on('error', () => undefined).resume();
      request.on('end', () => response.end('whole'));
    };
    listener = await listenHttp(handler, () => undefined, {
      addresses: ['127.0.0.1'],
      port: 0,
      testOnlyLimits: { headersTimeout: 40, requestTimeout: 80, connectionsCheckingInterval: 10 },
    });
  });
  afterAll(() => listener.close(systemClock, 0));

  test.each([
    ['nothing', ''],
    ['half of its headers', `GET / HTTP/1.1\r\nHost: x\r\nX-`],
    ['half of its body', 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345'],
    ['half of its chunks', 'PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n'],
  ])('a client that sends %s and then waits is sent away', async (_what, bytes) => {
    const connection = await openPlain(listener.port);
    if (bytes !== '') connection.write(bytes);
    const reply = await connection.ended();
    expect(statusesIn(reply)).toEqual([408]);
    expect(reply).toContain('"code":"RequestTimeout"');
  });
});

describe('numbers', () => {
  test('beyond the requests that may be under way, others are told to come again', async () => {
    const busy = await startTestServer({ settings: { maxInFlight: 1, drain: 0 } });
    try {
      const own = await tokenFor(busy);
      const slow = await openTls(busy, vault);
      const body = '{"value":"slow"}';
      slow.write(
        `GET /healthz HTTP/1.1\r\n${host}\r\n\r\nPUT /secrets/slow?api-version=7.4 HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${own}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
      );
      await slow.until((text) => text.includes('{"status":"ok"}'));
      const records = await auditedDuring(busy, async () => {
        const refused = await vaultCaller(busy, own)('GET', '/secrets');
        expect(refused.status).toBe(503);
        expect(refused.headers['retry-after']).toBe('1');
        expect(refused.json.error.code).toBe('ServiceUnavailable');
        // Whoever watches the server must be able to tell that it lives.
        expect((await send(busy, { host: vault, path: '/readyz' })).status).toBe(200);
      });
      expect(records.map((record) => record.properties.httpStatusCode)).toEqual([503]);
      slow.write(body);
      await slow.until((text) => text.endsWith('}') && statusesIn(text).length === 2);
      slow.destroy();
      expect((await vaultCaller(busy, own)('GET', '/secrets')).status).toBe(200);
    } finally {
      await busy.close();
    }
  });

  test('beyond its transactions in ten seconds, a vault answers 429, and others go on', async () => {
    const clock = manualClock(Date.now());
    const limited = await startTestServer({ clock, settings: { vaultTransactions: 3 } });
    try {
      await limited.control('vault create', { name: 'other' });
      const own = await tokenFor(limited);
      const call = vaultCaller(limited, own);
      // Without a token nobody can use up a vault's share.
      for (let count = 0; count < 5; count += 1) {
        expect((await send(limited, { host: vault, path: secrets })).status).toBe(401);
      }
      for (let count = 0; count < 3; count += 1) expect((await call('GET', '/secrets')).status).toBe(200);
      clock.advance(4000);
      const refused = await call('GET', '/secrets');
      expect(refused.status).toBe(429);
      expect(refused.headers['retry-after']).toBe('6');
      expect(refused.json.error.code).toBe('Throttled');
      expect((await vaultCaller(limited, own, 'other')('GET', '/secrets')).status).toBe(403);
      const client = secretClient(limited, { retryOptions: { maxRetries: 0 } });
      await expect(client.getSecret('any')).rejects.toMatchObject({ statusCode: 429, code: 'Throttled' });
      clock.advance(6000);
      expect((await call('GET', '/secrets')).status).toBe(200);
    } finally {
      await limited.close();
    }
  });
});

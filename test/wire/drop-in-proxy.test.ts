/**
 * The drop-in proxy over the wire: it tunnels to this server for the names that it serves, elsewhere only where the
 * operator said so, and survives clients that are hostile or leave.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPlain, type RawConnection, statusesIn } from '../support/raw-connection.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let outside: Server;
let outsidePort: number;

beforeAll(async () => {
  outside = createServer((_request, response) => response.end('outside'));
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  outsidePort = (outside.address() as AddressInfo).port;
  server = await startTestServer({
    settings: { proxyAllow: ['Localhost', '*.allowed.example'], drain: 0 },
  });
});
afterAll(async () => {
  await server.close();
  outside.closeAllConnections();
  await new Promise((resolve) => outside.close(resolve));
});

async function open(): Promise<RawConnection> {
  return openPlain(server.localPort);
}

/** Sends a CONNECT and resolves when its answer's headers are there. */
async function connectTo(authority: string, headers = `Host: ${authority}\r\n`): Promise<RawConnection> {
  const connection = await open();
  connection.write(`CONNECT ${authority} HTTP/1.1\r\n${headers}\r\n`);
  await connection.until((text) => text.includes('\r\n\r\n'));
  return connection;
}

async function refusalOf(authority: string): Promise<string> {
  const connection = await open();
  connection.write(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return connection.ended();
}

/** The subject alternative names of the certificate at the other end of a tunnel, and one answer from there. */
function throughTls(tunnel: RawConnection, name: string): Promise<{ names: string; text: string }> {
  tunnel.socket.removeAllListeners('data');
  return new Promise((resolve, reject) => {
    const tls = connectTls({ socket: tunnel.socket, servername: name, ca: server.ca }, () => {
      const names = tls.getPeerX509Certificate()?.subjectAltName ?? '';
      let text = '';
      tls.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      tls.on('end', () => resolve({ names, text }));
      tls.write(`GET /healthz HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
    });
    tls.on('error', reject);
  });
}

describe('names that the server serves', () => {
  test.each([
    ['dev.vault.azure.net', 443, 'DNS:*.vault.azure.net'],
    ['DEV.Vault.Azure.NET', 443, 'DNS:*.vault.azure.net'],
    ['any-other.vault.azure.net', 443, 'DNS:*.vault.azure.net'],
    ['login.microsoftonline.com', 443, 'DNS:login.microsoftonline.com'],
    ['management.azure.com', 443, 'DNS:management.azure.com'],
    ['dev.vault.strongroom.localhost', 8443, 'DNS:*.vault.strongroom.localhost'],
    ['login.strongroom.localhost', 1, 'DNS:login.strongroom.localhost'],
  ])('%s at port %i is this server', async (name, port, certified) => {
    const tunnel = await connectTo(`${name}:${port}`);
    expect(tunnel.received()).toBe('HTTP/1.1 200 Connection Established\r\n\r\n');
    const { names, text } = await throughTls(tunnel, name.toLowerCase());
    expect(names).toBe(certified);
    expect(text).toContain('{"status":"ok"}');
  });

  test('bytes that come with the CONNECT are not lost', async () => {
    const connection = await open();
    // No TLS at all: the server's listener answers what it cannot read, which shows that the bytes arrived there.
    connection.write(
      'CONNECT dev.vault.azure.net:443 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n',
    );
    expect(await connection.ended()).toMatch(/^HTTP\/1\.1 200 Connection Established\r\n\r\n/);
  });
});

describe('names of others', () => {
  test('are refused with the reason, and the connection ends', async () => {
    const reply = await refusalOf('example.com:443');
    expect(reply).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(reply).toContain('Connection: close');
    expect(reply).toContain('does not tunnel to example.com:443');
    expect(reply).toContain('--proxy-allow');
    expect(reply.split('\r\n\r\n')[1]?.length).toBe(Number(/Content-Length: (\d+)/.exec(reply)?.[1]));
  });

  test.each([
    // Names that only look like ours or like an allowed one.
    'vault.azure.net:443',
    'a.b.vault.azure.net:443',
    'devvault.azure.net:443',
    'dev.vault.azure.net.evil.example:443',
    'evil-login.microsoftonline.com:443',
    'allowed.example:443',
    'evilallowed.example:443',
    'x.allowed.example.evil.example:443',
    'localhost.evil.example:443',
    'xlocalhost:443',
    // Addresses, in all their spellings, and the server's own ports.
    '127.0.0.1:22',
    '127.1:80',
    '2130706433:80',
    '0x7f000001:80',
    '0.0.0.0:80',
    '[::1]:443',
    '[::ffff:127.0.0.1]:443',
    '::1:443',
    '169.254.169.254:80',
    // Ports that are none.
    'dev.vault.azure.net',
    'dev.vault.azure.net:',
    'dev.vault.azure.net:0',
    'dev.vault.azure.net:0443',
    'dev.vault.azure.net:65536',
    'dev.vault.azure.net:443443',
    'dev.vault.azure.net:-1',
    'dev.vault.azure.net:443:443',
    'dev.vault.azure.net:https',
    // Other shapes.
    ':443',
    '/',
    '*',
    'https://dev.vault.azure.net:443',
    'user@dev.vault.azure.net:443',
    'dev.vault.azure.net:443/path',
    'dev.vault.azure.net%00.evil.example:443',
    `${'a'.repeat(300)}.vault.azure.net:443`,
  ])('%s is not tunnelled to', async (authority) => {
    const reply = await refusalOf(authority);
    // Node's parser refuses some of these itself; none becomes a tunnel.
    expect(statusesIn(reply)).toHaveLength(1);
    expect(reply).toMatch(/^HTTP\/1\.1 40[03] /);
  });

  test('a refusal quotes no character that could forge a line or a terminal’s state', async () => {
    const reply = await refusalOf('evil<script>\x1b[31m:443');
    expect(reply).not.toContain('<script>');
    expect(reply).not.toContain('\x1b');
  });
});

describe('names that the operator allowed', () => {
  test('are tunnelled to as they are, in any case', async () => {
    for (const name of ['localhost', 'LOCALHOST']) {
      const tunnel = await connectTo(`${name}:${outsidePort}`);
      tunnel.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
      expect(await tunnel.ended()).toMatch(/200 Connection Established[\s\S]*200 OK[\s\S]*outside$/);
    }
  });

  test('a host that does not answer ends the connection without a tunnel', async () => {
    // `.example` never resolves (RFC 2606).
    const reply = await refusalOf('x.allowed.example:443');
    expect(reply).not.toContain('200');
    expect(reply).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\n/);
  });

  test('a client that closes its side still gets what comes back', async () => {
    const tunnel = await connectTo(`localhost:${outsidePort}`);
    tunnel.socket.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await tunnel.ended()).toContain('outside');
  });

  test('when the client goes, the connection to the other side goes too', async () => {
    for (const leave of ['destroy', 'resetAndDestroy'] as const) {
      const accepted = new Promise<{ gone: Promise<void> }>((resolve) =>
        outside.once('connection', (socket) =>
          resolve({ gone: new Promise((gone) => socket.once('close', () => gone())) }),
        ),
      );
      const tunnel = await connectTo(`localhost:${outsidePort}`);
      const { gone } = await accepted;
      tunnel.socket[leave]();
      await gone;
    }
  });
});

describe('requests that are none', () => {
  test('a plain request in absolute form is refused, whatever its Host says', async () => {
    for (const host of ['example', '127.0.0.1', 'localhost']) {
      const connection = await open();
      connection.write(`GET http://example/ HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(await connection.ended()).toMatch(/^HTTP\/1\.1 4(?:04|21) /);
    }
  });

  test('headers beyond 32 KiB are refused', async () => {
    const connection = await open();
    connection.write(
      `CONNECT dev.vault.azure.net:443 HTTP/1.1\r\nHost: x\r\nX-Junk: ${'x'.repeat(40 * 1024)}\r\n\r\n`,
    );
    expect(await connection.ended()).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('junk is refused', async () => {
    for (const junk of [
      'CONNECT\r\n\r\n',
      '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03',
      'CONNECT dev.vault.azure.net:443 HTTP/1.1\r\nHost : x\r\n\r\n',
      'CONNECT dev.vault.azure.net:443 HTTP/1.1\r\nX: \0\r\n\r\n',
    ]) {
      const connection = await open();
      connection.write(junk);
      const reply = await connection.ended();
      expect(reply, junk).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    }
  });

  test('clients that leave at any moment leave the server as it was', async () => {
    for (const bytes of [
      'CONN',
      'CONNECT dev.vault.azure.net:443 HTTP/1.1\r\n',
      'CONNECT dev.vault.azure.net:443 HTTP/1.1\r\nHost: x\r\n\r\n',
      'CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n',
    ]) {
      const connection = await open();
      connection.socket.write(bytes, () => connection.destroy());
      await connection.ended();
    }
    const tunnel = await connectTo('dev.vault.azure.net:443');
    expect((await throughTls(tunnel, 'dev.vault.azure.net')).text).toContain('{"status":"ok"}');
  });
});

test('without permission no port of this machine is reached, the server’s own neither', async () => {
  const own = await startTestServer({ settings: { drain: 0 } });
  try {
    for (const authority of [
      `localhost:${outsidePort}`,
      `127.0.0.1:${outsidePort}`,
      `127.0.0.1:${own.port}`,
      `localhost:${own.localPort}`,
      'strongroom.localhost:443',
    ]) {
      const connection = await openPlain(own.localPort);
      connection.write(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`);
      expect(await connection.ended(), authority).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    }
  } finally {
    await own.close();
  }
});

test('a server that closes ends its tunnels, idle and half-made ones too', async () => {
  const own = await startTestServer({ settings: { proxyAllow: ['localhost'], drain: 0 } });
  const tunnels: RawConnection[] = [];
  for (const authority of ['dev.vault.azure.net:443', `localhost:${outsidePort}`]) {
    const connection = await openPlain(own.localPort);
    connection.write(`CONNECT ${authority} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await connection.until((text) => text.includes('200 Connection Established'));
    tunnels.push(connection);
  }
  const ends = tunnels.map((tunnel) => tunnel.ended());
  await own.close();
  await Promise.all(ends);
});

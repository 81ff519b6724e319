/**
 * TLS of the HTTPS listener as clients see it: protocol versions and suites, a certificate for every name that is
 * served, its renewal while the server runs, the operator's own files, and what the private authority is good for.
 */
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority, issueLeaf } from '../../src/crypto/x509/authority.ts';
import { manualClock } from '../support/identity.ts';
import { send, startTestServer, type TestServer } from '../support/server.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

interface Handshake {
  readonly protocol: string | null;
  readonly cipher: string;
  readonly alpn: string | false | null;
  readonly certificate: X509Certificate;
  /** What the server sent after its leaf. */
  readonly names: string;
}

/** One handshake; verified against the server's authority unless `options` say otherwise. */
function handshake(server: TestServer, options: ConnectionOptions): Promise<Handshake> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { host: '127.0.0.1', port: server.port, ca: server.ca, ...options },
      () => {
        const certificate = socket.getPeerX509Certificate();
        if (certificate === undefined) return reject(new Error('there is no certificate'));
        resolve({
          protocol: socket.getProtocol(),
          cipher: socket.getCipher().name,
          alpn: socket.alpnProtocol,
          certificate,
          names: certificate.subjectAltName ?? '',
        });
        socket.destroy();
      },
    );
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed before the handshake was over')));
  });
}

describe('protocol', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());
  const servername = 'dev.vault.azure.net';

  test('TLS 1.2 and 1.3 are spoken', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const seen = await handshake(server, { servername, minVersion: version, maxVersion: version });
      expect(seen.protocol).toBe(version);
    }
    expect((await handshake(server, { servername })).protocol).toBe('TLSv1.3');
  });

  test('TLS 1.0 and 1.1 are refused by the server, not only by this client', async () => {
    for (const version of ['TLSv1', 'TLSv1.1'] as const) {
      const old = {
        servername,
        minVersion: version,
        maxVersion: version,
        // OpenSSL offers them at its lowest security level only.
        ciphers: 'ALL:@SECLEVEL=0',
      } as const;
      await expect(handshake(server, old)).rejects.toMatchObject({
        code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      });
    }
  });

  test.each([
    // CBC, though with forward secrecy.
    'ECDHE-ECDSA-AES128-SHA256',
    'ECDHE-ECDSA-AES256-SHA',
    'ECDHE-RSA-AES256-SHA384',
    // No forward secrecy.
    'AES128-GCM-SHA256',
    'AES256-SHA256',
    'AES128-SHA',
    // Finite-field Diffie-Hellman.
    'DHE-RSA-AES256-GCM-SHA384',
    // A truncated tag.
    'ECDHE-ECDSA-AES128-CCM8',
  ])('TLS 1.2 with %s is refused', async (ciphers) => {
    const offer = { servername, ciphers: `${ciphers}:@SECLEVEL=0`, maxVersion: 'TLSv1.2' } as const;
    await expect(handshake(server, offer)).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_SSL_(?:SSL\/)?.*HANDSHAKE_FAILURE$/),
    });
  });

  test.each([
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
  ])('TLS 1.2 with %s is spoken', async (ciphers) => {
    const seen = await handshake(server, { servername, ciphers, maxVersion: 'TLSv1.2' });
    expect(seen.cipher).toBe(ciphers);
  });

  test('HTTP/1.1 is what the server agrees to speak', async () => {
    const both = await handshake(server, { servername, ALPNProtocols: ['h2', 'http/1.1'] });
    expect(both.alpn).toBe('http/1.1');
    const none = await handshake(server, { servername });
    expect(none.alpn).toBe(false);
  });

  test('every served name has a certificate that its clients accept', async () => {
    for (const [name, certified] of [
      ['dev.vault.strongroom.localhost', '*.vault.strongroom.localhost'],
      ['other.vault.strongroom.localhost', '*.vault.strongroom.localhost'],
      ['pool.managedhsm.strongroom.localhost', '*.managedhsm.strongroom.localhost'],
      ['login.strongroom.localhost', 'login.strongroom.localhost'],
      ['management.strongroom.localhost', 'management.strongroom.localhost'],
      ['dev.vault.azure.net', '*.vault.azure.net'],
      ['DEV.VAULT.AZURE.NET', '*.vault.azure.net'],
      ['pool.managedhsm.azure.net', '*.managedhsm.azure.net'],
      ['management.azure.com', 'management.azure.com'],
      ['login.microsoftonline.com', 'login.microsoftonline.com'],
      ['login.windows.net', 'login.windows.net'],
      ['sts.windows.net', 'sts.windows.net'],
      ['graph.microsoft.com', 'graph.microsoft.com'],
    ] as const) {
      // Node verifies chain, times, name constraints and the name.
      const { names, certificate } = await handshake(server, { servername: name });
      expect(names, name).toBe(`DNS:${certified}`);
      expect(certificate.ca).toBe(false);
      expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    }
  });

  test('a name that is not served, an address and no name get the certificate of the machine', async () => {
    const machine =
      'DNS:localhost, DNS:strongroom.localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1';
    expect((await handshake(server, { checkServerIdentity: () => undefined })).names).toBe(machine);
    // By address, Node sends no name and compares the address.
    expect((await handshake(server, {})).names).toBe(machine);
    expect((await handshake(server, { servername: 'localhost' })).names).toBe(machine);
    for (const servername of [
      'example.com',
      'vault.azure.net',
      'a.b.vault.azure.net',
      '*.vault.azure.net',
      'dev.vault.azure.net.example.com',
      'a'.repeat(200),
    ]) {
      const seen = await handshake(server, { servername, checkServerIdentity: () => undefined });
      expect(seen.names, servername).toBe(machine);
    }
  });

  test('the certificate of one name is not good for another', async () => {
    const { certificate } = await handshake(server, { servername: 'login.microsoftonline.com' });
    const legacy = certificate.toLegacyObject();
    expect(checkServerIdentity('dev.vault.azure.net', legacy)).toBeInstanceOf(Error);
  });

  test('the authority is one level deep, for servers, and held to the served names', async () => {
    const authority = new X509Certificate(server.ca);
    expect(authority.ca).toBe(true);
    expect(authority.checkIssued(authority)).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
    expect(authority.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    const { certificate } = await handshake(server, { servername });
    expect(certificate.checkIssued(authority)).toBe(true);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.fingerprint256).not.toBe(authority.fingerprint256);
  });

  test('a session is not resumed under another name’s certificate', async () => {
    const session = await new Promise<Buffer>((resolve, reject) => {
      const first = connect({ host: '127.0.0.1', port: server.port, ca: server.ca, servername });
      first.once('session', (ticket) => {
        resolve(ticket);
        first.destroy();
      });
      first.on('error', reject);
    });
    const resumed = await handshake(server, { servername: 'login.microsoftonline.com', session });
    expect(resumed.names).toBe('DNS:login.microsoftonline.com');
  });
});

describe('renewal', () => {
  test('a leaf is renewed while the server runs; the authority and, after a restart, the leaf stay', async () => {
    // The past, so that the first leaf and its successor are both good on this machine's clock.
    const clock = manualClock(Date.now() - 61 * day);
    const server = await startTestServer({ clock });
    try {
      const names = ['dev.vault.azure.net', 'localhost'];
      const see = (servername: string) => handshake(server, { servername });
      const prints = async () =>
        Promise.all(names.map(async (name) => (await see(name)).certificate.fingerprint256));
      const before = await prints();
      expect(await prints()).toEqual(before);
      await server.restart();
      expect(await prints()).toEqual(before);
      clock.advance(59 * day);
      expect(await prints()).toEqual(before);
      clock.advance(2 * day);
      const [served] = await prints();
      expect(served).not.toBe(before[0]);
      // The machine's own certificate is replaced by a timer, not by the handshake that finds it old.
      await expect.poll(async () => (await prints())[1]).not.toBe(before[1]);
      const after = await prints();
      const ca = await readFile(join(server.folder, 'ca.pem'), 'utf8');
      expect(ca).toBe(server.ca);
      await server.restart();
      expect(await prints()).toEqual(after);
    } finally {
      await server.close();
    }
  });

  test('connections that are open live on through a renewal', async () => {
    const clock = manualClock(Date.now() - 61 * day);
    const server = await startTestServer({ clock });
    try {
      const socket = connect({
        host: '127.0.0.1',
        port: server.port,
        ca: server.ca,
        servername: 'dev.vault.azure.net',
      });
      await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
      clock.advance(61 * day);
      const reply = new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))));
      socket.write('GET /healthz HTTP/1.1\r\nHost: dev.vault.azure.net\r\n\r\n');
      expect(await reply).toMatch(/^HTTP\/1\.1 200 OK/);
      socket.destroy();
    } finally {
      await server.close();
    }
  });
});

describe('the operator’s own files', () => {
  const clock = manualClock(Date.now());
  let server: TestServer;
  let folder: string;
  let ca: string;
  const issue = async () => {
    const now = Date.now();
    const permitted = { permittedDnsNames: ['keys.example.com'], permittedIpRanges: [] };
    const authority = await createAuthority({ commonName: 'Test', ...permitted, now, validityDays: 30 });
    const names = { dnsNames: ['*.vault.keys.example.com', 'keys.example.com'], ipAddresses: [] };
    const leaf = await issueLeaf(authority, { ...names, now, validityDays: 20 });
    return { ca: authority.certificatePem, cert: leaf.chainPem, key: leaf.privateKeyPem.exposeText() };
  };
  const files = () => ({ tlsCert: join(folder, 'tls.pem'), tlsKey: join(folder, 'tls.key') });
  /** Files that are written twice within a clock's tick must still be told apart. */
  let written = 0;
  const put = async (name: string, text: string) => {
    await writeFile(join(folder, name), text);
    written += 1;
    await utimes(join(folder, name), 1_700_000_000, 1_700_000_000 + written);
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'strongroom-tls-'));
    const { cert, key, ca: issued } = await issue();
    ca = issued;
    await put('tls.pem', cert);
    await put('tls.key', key);
    server = await startTestServer({ clock, settings: { ...files(), domain: 'keys.example.com' } });
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });

  const see = (servername: string, trusted = ca) => handshake(server, { servername, ca: trusted });

  test('are served for the server’s own names; Azure’s come from the private authority', async () => {
    expect((await see('dev.vault.keys.example.com')).names).toBe(
      'DNS:*.vault.keys.example.com, DNS:keys.example.com',
    );
    const authority = await readFile(join(server.folder, 'ca.pem'), 'utf8');
    expect((await see('dev.vault.azure.net', authority)).names).toBe('DNS:*.vault.azure.net');
    await expect(see('dev.vault.azure.net')).rejects.toThrow();
  });

  test('are read again when they change, and kept while a change is half done', async () => {
    const before = (await see('keys.example.com')).certificate.fingerprint256;
    const next = await issue();
    await put('tls.pem', next.cert);
    clock.advance(2 * minute);
    expect((await see('keys.example.com')).certificate.fingerprint256).toBe(before);
    await put('tls.key', next.key);
    clock.advance(2 * minute);
    expect((await see('keys.example.com', next.ca)).certificate.fingerprint256).not.toBe(before);
  });

  test('that do not fit together, or are no certificate, stop the start', async () => {
    const other = await issue();
    await put('other.key', other.key);
    await put('junk.pem', 'not a certificate');
    for (const settings of [
      { tlsCert: files().tlsCert, tlsKey: join(folder, 'other.key') },
      { tlsCert: join(folder, 'junk.pem'), tlsKey: files().tlsKey },
      { tlsCert: join(folder, 'missing.pem'), tlsKey: files().tlsKey },
    ]) {
      await expect(startTestServer({ settings })).rejects.toThrow();
    }
    await expect(startTestServer({ settings: { tlsCert: files().tlsCert } })).rejects.toThrow(/tlsKey/);
  });
});

describe('a server without its loopback listener', () => {
  test('has no certificate for Azure’s names and could not make one', async () => {
    const server = await startTestServer({ settings: { dev: false, localPort: undefined } });
    try {
      const loose = { checkServerIdentity: () => undefined };
      const azure = await handshake(server, { servername: 'dev.vault.azure.net', ...loose });
      expect(azure.names).toContain('DNS:strongroom.localhost');
      expect(azure.names).not.toContain('azure');
      const own = await handshake(server, { servername: 'dev.vault.strongroom.localhost' });
      expect(own.names).toBe('DNS:*.vault.strongroom.localhost');
      const text = Buffer.from(new X509Certificate(server.ca).raw).toString('latin1');
      expect(text).toContain('strongroom.localhost');
      expect(text).not.toContain('azure');
      expect(text).not.toContain('microsoftonline');
    } finally {
      await server.close();
    }
  });

  test('survives being asked for Azure’s names, many times at once', async () => {
    const server = await startTestServer({ settings: { dev: false, localPort: undefined } });
    try {
      const loose = { checkServerIdentity: () => undefined };
      const names = Array.from({ length: 10 }, (_, index) => `v${index}.vault.azure.net`);
      await Promise.all(names.map((servername) => handshake(server, { servername, ...loose })));
      const reply = await send(server, { host: 'dev.vault.strongroom.localhost', path: '/healthz' });
      expect(reply.status).toBe(200);
    } finally {
      await server.close();
    }
  });
});

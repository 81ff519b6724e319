import { execFile, spawnSync } from 'node:child_process';
import { webcrypto, X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { type Authority, certificateTimes, createAuthority, issueLeaf } from './authority.ts';
import { permittedNames } from './name-constraints.ts';
import type { ServerNames } from './server-names.ts';

const run = promisify(execFile);
const day = 86_400_000;
/** Real clients judge validity by the machine's clock, so the certificates of the live tests start from it. */
const now = Math.floor(performance.timeOrigin);
const fixedNow = 1_800_000_000_000;

const permitted = {
  permittedDnsNames: ['strongroom.localhost', 'vault.azure.net', 'login.microsoftonline.com'],
  permittedIpRanges: ['127.0.0.0/8', '::1/128'],
};
const names: ServerNames = {
  dnsNames: ['*.vault.strongroom.localhost', '*.vault.azure.net', 'login.microsoftonline.com'],
  ipAddresses: ['127.0.0.1', '::1'],
};

const openssl = spawnSync('openssl', ['version']).status === 0;
const python = spawnSync('python3', ['-c', 'import ssl']).status === 0;
if (!openssl) process.stdout.write('skipped: no openssl command, its checks of certificates do not run\n');
if (!python) process.stdout.write('skipped: no python3 command, its checks of certificates do not run\n');

interface Presented {
  readonly chainPem: string;
  readonly keyPem: string;
}

let folder: string;
let authority: Authority;
let leaf: Presented;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-x509-'));
  authority = await createAuthority({
    commonName: 'Strongroom test authority',
    ...permitted,
    now,
    validityDays: 30,
  });
  leaf = presented(await issueLeaf(authority, { ...names, now, validityDays: 7 }));
  await writeFile(join(folder, 'ca.pem'), authority.certificatePem);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function presented(issued: Awaited<ReturnType<typeof issueLeaf>>): Presented {
  return { chainPem: issued.chainPem, keyPem: issued.privateKeyPem.exposeText() };
}

/** A certificate for any names, signed with the authority's own key: what a thief of that key could make. */
async function forgeLeaf(stolen: Authority, forged: ServerNames): Promise<Presented> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const pkcs8 = Buffer.from(stolen.privateKey.exposeBytes());
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const issuerKey = new X509Certificate(stolen.certificatePem).publicKey.export({
    format: 'der',
    type: 'spki',
  });
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: '01',
      issuer: new x509.X509Certificate(stolen.certificatePem).subjectName,
      subject: 'CN=forged',
      notBefore: new Date(now - day),
      notAfter: new Date(now + day),
      publicKey: keys.publicKey,
      signingKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']),
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(issuerKey, false, webcrypto),
        new x509.SubjectAlternativeNameExtension([
          ...forged.dnsNames.map((value) => ({ type: x509.DNS, value })),
          ...forged.ipAddresses.map((value) => ({ type: x509.IP, value })),
        ]),
      ],
    },
    webcrypto,
  );
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const keyPem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
  return { chainPem: `${certificate.toString('pem')}\n${stolen.certificatePem}`, keyPem };
}

async function withServer<T>(identity: Presented, use: (port: number) => Promise<T>): Promise<T> {
  const server = createServer({ cert: identity.chainPem, key: identity.keyPem }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.end('hello');
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Node's verdict on the server: `trusted`, or the code and text of the error that ended the handshake. */
function nodeVerdict(identity: Presented, host: string, ca = authority.certificatePem): Promise<string> {
  const name = host === '127.0.0.1' ? {} : { servername: host };
  return withServer(identity, (port) => {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port, ca, ...name });
      socket.once('secureConnect', () => {
        socket.end();
        resolve('trusted');
      });
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(`${error.code} ${error.message}`));
    });
  });
}

async function opensslVerdict(identity: Presented, host: string): Promise<string> {
  return withServer(identity, async (port) => {
    const name =
      host === '127.0.0.1' ? ['-verify_ip', host] : ['-verify_hostname', host, '-servername', host];
    const flags = ['-CAfile', join(folder, 'ca.pem'), '-x509_strict', '-verify_return_error', '-brief'];
    const client = run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...name, ...flags]);
    client.child.stdin?.end();
    const { stderr } = await client.catch((error: { stderr: string }) => error);
    return /Verification: OK/.test(stderr) ? 'trusted' : stderr;
  });
}

const pythonClient = `
import socket, ssl, sys
port, host, ca = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=ca)
context.verify_flags |= ssl.VERIFY_X509_STRICT
assert context.check_hostname
try:
    with socket.create_connection(("127.0.0.1", port)) as raw, context.wrap_socket(raw, server_hostname=host):
        print("trusted")
except ssl.SSLCertVerificationError as error:
    print(error.verify_message)
`;

async function pythonVerdict(identity: Presented, host: string): Promise<string> {
  return withServer(identity, async (port) => {
    const { stdout } = await run('python3', ['-c', pythonClient, String(port), host, join(folder, 'ca.pem')]);
    return stdout.trim();
  });
}

const clients = [
  { client: 'Node', available: true, verdict: nodeVerdict },
  {
    client: 'openssl s_client, strict (skipped without openssl)',
    available: openssl,
    verdict: opensslVerdict,
  },
  { client: 'Python ssl, strict (skipped without python3)', available: python, verdict: pythonVerdict },
];

describe.each(clients)('$client', ({ available, verdict }) => {
  const goodHosts = [
    'dev.vault.strongroom.localhost',
    'my-vault.vault.azure.net',
    'login.microsoftonline.com',
    '127.0.0.1',
  ];
  test.skipIf(!available).each(goodHosts)('trusts the server as %s', async (host) => {
    expect(await verdict(leaf, host)).toBe('trusted');
  });

  test.skipIf(!available).each(['vault.azure.net', 'a.b.vault.azure.net', 'strongroom.localhost'])(
    'refuses %s, which the certificate does not name',
    async (host) => {
      expect(await verdict(leaf, host)).toMatch(/ALTNAME|[Hh]ostname mismatch/);
    },
  );

  test.skipIf(!available).each([
    { host: 'www.example.com', dnsNames: ['www.example.com'], ipAddresses: [] },
    { host: 'example.vaultxazure.net', dnsNames: ['*.vaultxazure.net'], ipAddresses: [] },
    // One honest name does not carry a name outside the constraints along.
    { host: 'dev.vault.azure.net', dnsNames: ['*.vault.azure.net', 'www.example.com'], ipAddresses: [] },
    { host: 'dev.vault.azure.net', dnsNames: ['*.vault.azure.net'], ipAddresses: ['10.0.0.1'] },
    { host: 'dev.vault.azure.net', dnsNames: ['*.vault.azure.net'], ipAddresses: ['::2'] },
  ])(
    'refuses names outside the constraints, even signed with a stolen key: $dnsNames $ipAddresses',
    async (row) => {
      const forged = await forgeLeaf(authority, row);
      expect(await verdict(forged, row.host)).toMatch(/permitted subtree violation/);
    },
  );

  test.skipIf(!available)('trusts what the same forger makes within the constraints', async () => {
    // Shows that the refusals above are owed to the constraints and not to the way in which the test forges.
    const forged = await forgeLeaf(authority, {
      dnsNames: ['*.vault.azure.net'],
      ipAddresses: ['127.0.0.1'],
    });
    expect(await verdict(forged, 'dev.vault.azure.net')).toBe('trusted');
  });
});

describe('createAuthority', () => {
  test.skipIf(!openssl)('carries the extensions of a constrained authority (openssl x509)', async () => {
    const { stdout } = await run('openssl', ['x509', '-in', join(folder, 'ca.pem'), '-noout', '-text']);
    const text = stdout.replace(/\s+/g, ' ');
    expect(text).toContain('Basic Constraints: critical CA:TRUE, pathlen:0');
    expect(text).toContain('Key Usage: critical Certificate Sign, CRL Sign');
    expect(text).toContain('Extended Key Usage: TLS Web Server Authentication');
    expect(text).toContain('Name Constraints: critical Permitted: DNS:strongroom.localhost');
    expect(text).toContain('IP:127.0.0.0/255.0.0.0');
    expect(text).toContain('Subject Key Identifier:');
    expect(text).not.toContain('Excluded');
  });

  test('has the key, the serial number and the times that it says', async () => {
    const made = await createAuthority({ commonName: 'A', ...permitted, now: fixedNow, validityDays: 3650 });
    const certificate = new X509Certificate(made.certificatePem);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(certificate.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
    const times = { notBefore: fixedNow - 3_600_000, notAfter: fixedNow + 3650 * day };
    expect(certificateTimes(made.certificatePem)).toEqual(times);
    expect(made.notAfter).toBe(times.notAfter);
  });

  test('never repeats a serial number, and dates past 2049 survive', async () => {
    const input = { commonName: 'A', ...permitted, now: fixedNow, validityDays: 36_500 };
    const [one, two] = [await createAuthority(input), await createAuthority(input)];
    expect(new X509Certificate(one.certificatePem).serialNumber).not.toBe(
      new X509Certificate(two.certificatePem).serialNumber,
    );
    expect(one.notAfter).toBe(fixedNow + 36_500 * day);
  });

  test('a common name cannot bring in other attributes', async () => {
    const commonName = 'x, O=Evil + OU=#0c0141';
    const made = await createAuthority({ commonName, ...permitted, now: fixedNow, validityDays: 1 });
    expect(new X509Certificate(made.certificatePem).toLegacyObject().subject).toEqual(
      expect.objectContaining({ CN: commonName }),
    );
    expect(Object.keys(new X509Certificate(made.certificatePem).toLegacyObject().subject)).toEqual(['CN']);
  });

  test.each([
    { permittedDnsNames: [] },
    { permittedDnsNames: ['*.example.com'] },
    { permittedDnsNames: ['.example.com'] },
    { permittedIpRanges: ['127.0.0.1'] },
    { validityDays: 0 },
    { validityDays: Number.NaN },
    { commonName: '' },
    { commonName: 'a'.repeat(65) },
  ])('refuses %j', async (change) => {
    const input = { commonName: 'A', ...permitted, now: fixedNow, validityDays: 1, ...change };
    await expect(createAuthority(input)).rejects.toThrow(RangeError);
  });
});

describe('permittedNames', () => {
  test('gives back what the authority was made with', async () => {
    expect(await permittedNames(authority.certificatePem)).toEqual({
      dnsNames: permitted.permittedDnsNames,
      ipRanges: permitted.permittedIpRanges,
    });
  });

  test('is undefined for a certificate without constraints', async () => {
    expect(await permittedNames(leaf.chainPem)).toBeUndefined();
  });

  test('throws for what is no certificate', async () => {
    await expect(permittedNames('no certificate')).rejects.toThrow();
  });

  test('an authority without IP ranges may certify no address at all', async () => {
    const made = await createAuthority({
      commonName: 'A',
      permittedDnsNames: ['vault.azure.net'],
      permittedIpRanges: [],
      now,
      validityDays: 1,
    });
    expect(await permittedNames(made.certificatePem)).toEqual({
      dnsNames: ['vault.azure.net'],
      ipRanges: [],
    });
    for (const address of ['8.8.8.8', '2001:db8::1']) {
      const forged = await forgeLeaf(made, { dnsNames: ['*.vault.azure.net'], ipAddresses: [address] });
      const verdict = await nodeVerdict(forged, 'a.vault.azure.net', made.certificatePem);
      expect(verdict).toMatch(/excluded subtree violation/);
    }
  });
});

describe('issueLeaf', () => {
  test('gives a server certificate with its chain, for exactly the names asked for', async () => {
    const issued = await issueLeaf(authority, { ...names, now, validityDays: 7 });
    const certificate = new X509Certificate(issued.chainPem);
    expect(certificate.subjectAltName).toBe(
      'DNS:*.vault.strongroom.localhost, DNS:*.vault.azure.net, DNS:login.microsoftonline.com, ' +
        'IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    );
    expect(certificate.subject).toBe('CN=Strongroom server');
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(issued.chainPem.endsWith(authority.certificatePem)).toBe(true);
    expect(issued.chainPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(issued.chainPem).not.toContain('\r');
    expect(issued.privateKeyPem.exposeText()).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(String(issued.privateKeyPem)).toBe('[secret]');
  });

  test.skipIf(!openssl)(
    'passes openssl verify in strict mode for the purpose of a server (openssl verify)',
    async () => {
      await writeFile(join(folder, 'leaf.pem'), leaf.chainPem);
      const flags = ['-x509_strict', '-purpose', 'sslserver', '-verify_hostname', 'a.vault.azure.net'];
      const files = ['-CAfile', join(folder, 'ca.pem'), join(folder, 'leaf.pem')];
      const { stdout } = await run('openssl', ['verify', ...flags, ...files]);
      expect(stdout).toContain('leaf.pem: OK');
    },
  );

  test('lives for 397 days at most and never longer than the authority', async () => {
    const long = await createAuthority({ commonName: 'A', ...permitted, now: fixedNow, validityDays: 3650 });
    const capped = await issueLeaf(long, { ...names, now: fixedNow, validityDays: 1000 });
    const times = certificateTimes(capped.chainPem);
    expect(times.notAfter - times.notBefore).toBe(397 * day);
    expect(capped.notAfter).toBe(times.notAfter);

    const late = fixedNow + 3649 * day;
    const last = await issueLeaf(long, { ...names, now: late, validityDays: 90 });
    expect(last.notAfter).toBe(long.notAfter);
    await expect(issueLeaf(long, { ...names, now: long.notAfter, validityDays: 90 })).rejects.toThrow(
      RangeError,
    );
  });

  test('starts within the validity of the authority, also on its first day', async () => {
    const later = await issueLeaf(authority, { ...names, now: now + day, validityDays: 1 });
    expect(certificateTimes(later.chainPem).notBefore).toBe(
      Math.floor((now + day - 3_600_000) / 1000) * 1000,
    );
    const first = await issueLeaf(authority, { ...names, now: now - 1000, validityDays: 1 });
    expect(certificateTimes(first.chainPem).notBefore).toBe(
      certificateTimes(authority.certificatePem).notBefore,
    );
  });

  test.each([
    { dnsNames: ['www.example.com'] },
    { dnsNames: ['*.azure.net'] },
    { ipAddresses: ['10.0.0.1'] },
    { dnsNames: [], ipAddresses: [] },
    { dnsNames: ['*'] },
    { dnsNames: ['a.vault.azure.net\0.example.com'] },
    { ipAddresses: ['::ffff:127.0.0.1'] },
    { validityDays: -1 },
  ])('refuses %j', async (change) => {
    await expect(issueLeaf(authority, { ...names, now, validityDays: 1, ...change })).rejects.toThrow(
      RangeError,
    );
  });

  test("refuses a key that is not the authority's, and an issuer that is no authority", async () => {
    const other = await createAuthority({ commonName: 'B', ...permitted, now, validityDays: 1 });
    const mixed = { certificatePem: authority.certificatePem, privateKey: other.privateKey };
    await expect(issueLeaf(mixed, { ...names, now, validityDays: 1 })).rejects.toThrow("not the authority's");
    const key = Buffer.from(leaf.keyPem.replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
    const subordinate = { certificatePem: leaf.chainPem, privateKey: new SecretBytes(key) };
    await expect(issueLeaf(subordinate, { ...names, now, validityDays: 1 })).rejects.toThrow(
      'not an authority',
    );
  });
});

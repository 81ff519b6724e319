/**
 * Proves the authority within over the wire: a root that is a certificate of the vault, held to its names, an
 * intermediate below it, and leaves that come with their chain, serve TLS, live for days and are renewed.
 */
import { X509Certificate } from 'node:crypto';
import { connect, createServer, type SecureContextOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CertificateServer,
  type PendingJson,
  startCertificateServer,
} from '../support/certificate-server.ts';
import { certificatesIn, hasOpenssl, readPfx, verified } from '../support/openssl-verify.ts';
import { optional } from '../support/optional.ts';
import { tokenFor, vaultCaller } from '../support/server.ts';
import { makeVault, type VaultCaller } from '../support/vault-rest.ts';

const isJudged = optional('certificates of the authority within, by OpenSSL', hasOpenssl);
const day = 86_400;
const maxDays = 30;

let strongroom: CertificateServer;
let call: VaultCaller;
beforeAll(async () => {
  strongroom = await startCertificateServer({ settings: { authority: { maxDays } } });
  call = strongroom.call;
  await certified('root', rootPolicy());
  await issuer('by-root', 'root');
  await certified('intermediate', authorityPolicy('CN=Intermediate', 'by-root'));
  await issuer('by-intermediate', 'intermediate');
});
afterAll(() => strongroom.close());

function authorityPolicy(subject: string, by: string, x509: object = {}): object {
  return {
    key_props: { kty: 'EC', crv: 'P-384', exportable: false },
    x509_props: {
      ...{ subject, key_usage: ['keyCertSign', 'cRLSign'], ekus: [], validity_months: 120 },
      basic_constraints: { ca: true },
      ...x509,
    },
    lifetime_actions: [],
    issuer: { name: by },
  };
}

function rootPolicy(): object {
  return authorityPolicy('CN=Root, O=Test', 'Self', {
    name_constraints: { permitted_dns_names: ['corp.test'], permitted_ip_ranges: ['10.0.0.0/8'] },
  });
}

function leafPolicy(
  host: string,
  more: { issuer?: string; contentType?: string; x509?: object } = {},
): object {
  const { issuer = 'by-intermediate', contentType = 'application/x-pkcs12', x509 } = more;
  return {
    key_props: { kty: 'EC', crv: 'P-256' },
    secret_props: { contentType },
    x509_props: { subject: `CN=${host}`, sans: { dns_names: [host] }, ...x509 },
    issuer: { name: issuer },
  };
}

async function issuer(name: string, account_id: string, by: VaultCaller = call): Promise<void> {
  const body = { provider: 'Strongroom', credentials: { account_id } };
  expect((await by('PUT', `/certificates/issuers/${name}`, body)).status).toBe(200);
}

async function asked(name: string, policy: object, by: VaultCaller = call): Promise<PendingJson> {
  const begun = await by('POST', `/certificates/${name}/create`, { policy });
  expect(begun.status, begun.text).toBe(202);
  return (await by('GET', `/certificates/${name}/pending`)).json;
}

/** Issued at once; the certificate, and the secret as it is downloaded. */
async function certified(name: string, policy: object, by: VaultCaller = call) {
  const pending = await asked(name, policy, by);
  expect(pending).toMatchObject({
    status: 'completed',
    target: expect.stringMatching(`/certificates/${name}$`),
  });
  return read(name, by);
}

async function read(name: string, by: VaultCaller = call) {
  const { json } = await by('GET', `/certificates/${name}`);
  const secret: string = (await by('GET', `/secrets/${name}`)).json.value;
  return { x509: new X509Certificate(Buffer.from(json.cer, 'base64')), json, secret };
}

async function refused(
  name: string,
  policy: object,
  by: VaultCaller = call,
): Promise<(string | undefined)[]> {
  const pending = await asked(name, policy, by);
  expect(pending.status).toBe('failed');
  expect(pending).not.toHaveProperty('target');
  const bundle = (await by('GET', `/certificates/${name}`)).json;
  expect(bundle.attributes.enabled).toBe(false);
  expect(bundle).not.toHaveProperty('cer');
  return [pending.error?.code, pending.error?.message];
}

/** What a client that trusts the root alone sees of a TLS server with this material. */
async function handshake(material: SecureContextOptions, ca: X509Certificate, servername: string) {
  const listening = createServer(material, (socket) => socket.end());
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as { port: number };
  try {
    return await new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca: String(ca), servername }, () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
        socket.destroy();
      });
      socket.on('error', reject);
    });
  } finally {
    listening.close();
  }
}

describe('a leaf below root and intermediate', () => {
  test('as PEM: the key, then the chain, the leaf first', async () => {
    const { x509, secret } = await certified(
      'pem',
      leafPolicy('pem.corp.test', { contentType: 'application/x-pem-file' }),
    );
    const [root, intermediate] = [(await read('root')).x509, (await read('intermediate')).x509];
    expect(secret).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const chain = certificatesIn(secret);
    expect(chain.map(({ fingerprint256 }) => fingerprint256)).toEqual(
      [x509, intermediate, root].map(({ fingerprint256 }) => fingerprint256),
    );
    expect(x509.verify(intermediate.publicKey) && intermediate.verify(root.publicKey)).toBe(true);
    expect(await handshake({ key: secret, cert: secret }, root, 'pem.corp.test')).toBe(x509.fingerprint256);
  });

  test('as PFX: a server of Node.js serves with it, to whom trusts the root', async () => {
    const host = 'pfx.corp.test';
    const { x509, secret } = await certified('pfx', leafPolicy(host));
    const root = (await read('root')).x509;
    const material = { pfx: Buffer.from(secret, 'base64'), passphrase: '' };
    expect(await handshake(material, root, host)).toBe(x509.fingerprint256);
    await expect(handshake(material, root, 'other.corp.test')).rejects.toThrow(/altnames/);
    const stranger = (await certified('stranger', authorityPolicy('CN=Stranger', 'Self'))).x509;
    await expect(handshake(material, stranger, host)).rejects.toThrow(/certificate/);
  });

  test.skipIf(!isJudged)('OpenSSL finds it good for its names and no others', async () => {
    const host = 'openssl.corp.test';
    const x509 = { sans: { dns_names: [host], ipAddresses: ['10.1.2.3'] } };
    const { secret } = await certified('openssl', leafPolicy(host, { x509 }));
    const { key, leaf, others } = await readPfx(secret);
    expect(key).toContain('BEGIN PRIVATE KEY');
    const root = String((await read('root')).x509);
    expect(await verified({ leaf, others, root, host })).toBe('OK');
    expect(await verified({ leaf, others, root, host: 'corp.test' })).toMatch(/hostname mismatch/i);
    expect(await verified({ leaf, others: '', root, host })).toMatch(/unable to get local issuer/i);
  });

  test('lives for as many days as the settings say at most; authorities live longer', async () => {
    const { x509, json } = await certified(
      'short',
      leafPolicy('short.corp.test', { x509: { validity_months: 12 } }),
    );
    expect(x509.validToDate.getTime() / 1000).toBe(strongroom.now() + maxDays * day);
    expect(json.attributes.exp).toBe(strongroom.now() + maxDays * day);
    expect(json.policy.x509_props.validity_months).toBe(12);
    const { x509: authority } = await read('intermediate');
    expect(authority.ca).toBe(true);
    expect(authority.validToDate.getTime() / 1000).toBeGreaterThan(strongroom.now() + 3000 * day);
  });
});

describe('what the authority does not certify', () => {
  test.each([
    ['a name beside its domain', 'outside.test', {}],
    ['a name that only ends like its domain', 'evilcorp.test', {}],
    ['a second name beside its domain', 'a.corp.test', { sans: { dns_names: ['a.corp.test', 'b.test'] } }],
    ['a common name that no alternative name repeats', 'cn.test', { sans: { dns_names: ['a.corp.test'] } }],
    ['an address out of range', 'a.corp.test', { sans: { ipAddresses: ['192.0.2.1'] } }],
  ])('%s', async (what, host, x509) => {
    const name = `no-${what.replaceAll(' ', '-')}`;
    const [code, message] = await refused(name, leafPolicy(host, { x509 }));
    expect(code).toBe('NotCertifiable');
    expect(message).toContain("outside the authority's name constraints");
  });

  test('an authority of its own name, or where it may certify none', async () => {
    const [code, message] = await refused('same-name', authorityPolicy('CN=Intermediate', 'by-intermediate'));
    expect([code, message]).toEqual(['NotCertifiable', expect.stringContaining('subject')]);
    const flat = { basic_constraints: { ca: true, path_len_constraint: 0 } };
    await certified('last', authorityPolicy('CN=Last', 'by-root', flat));
    await issuer('by-last', 'last');
    expect(await refused('below-last', authorityPolicy('CN=Below', 'by-last'))).toEqual([
      'NotCertifiable',
      expect.stringContaining('path length'),
    ]);
    await certified('leaf-of-last', leafPolicy('last.corp.test', { issuer: 'by-last' }));
  });

  test('anything by a leaf, or by a certificate of another vault', async () => {
    await certified('leaf', leafPolicy('leaf.corp.test'));
    await issuer('by-leaf', 'leaf');
    const [code, message] = await refused('by-a-leaf', leafPolicy('x.corp.test', { issuer: 'by-leaf' }));
    expect([code, message]).toEqual(['AuthorityNotUsable', expect.stringContaining('not an authority')]);
    await makeVault(strongroom.server, 'elsewhere');
    const elsewhere = vaultCaller(strongroom.server, await tokenFor(strongroom.server), 'elsewhere');
    await issuer('by-name', 'root', elsewhere);
    const policy = leafPolicy('x.corp.test', { issuer: 'by-name' });
    expect((await refused('by-its-name', policy, elsewhere))[0]).toBe('AuthorityNotFound');
    // With one of the same name there, that is used, and an id of this vault is no name for it.
    await certified('root', authorityPolicy('CN=Elsewhere', 'Self'), elsewhere);
    expect((await certified('by-its-name', policy, elsewhere)).x509.issuer).toBe('CN=Elsewhere');
    await issuer('by-id', 'https://dev.vault.azure.net/certificates/root', elsewhere);
    const byId = leafPolicy('x.corp.test', { issuer: 'by-id' });
    expect((await refused('by-its-id', byId, elsewhere))[0]).toBe('AuthorityNotFound');
  });
});

describe('an authority that is out of service', () => {
  test('is not used while it is disabled or deleted, and is used again afterwards', async () => {
    await certified('switched', authorityPolicy('CN=Switched', 'Self'));
    await issuer('by-switched', 'switched');
    const policy = leafPolicy('switched.corp.test', { issuer: 'by-switched' });
    const enable = (enabled: boolean) => call('PATCH', '/certificates/switched', { attributes: { enabled } });

    expect((await enable(false)).status).toBe(200);
    const [code, message] = await refused('by-disabled', policy);
    expect([code, message]).toEqual(['AuthorityNotFound', expect.stringContaining('switched')]);
    await enable(true);
    await certified('by-disabled', policy);

    expect((await call('DELETE', '/certificates/switched')).status).toBe(200);
    expect((await refused('by-deleted', policy))[0]).toBe('AuthorityNotFound');
    expect((await call('POST', '/deletedcertificates/switched/recover')).status).toBe(200);
    await certified('by-deleted', policy);
  });

  test('an issuer that is disabled or gone is refused before there is an operation', async () => {
    const body = { provider: 'Strongroom', credentials: { account_id: 'root' } };
    await call('PUT', '/certificates/issuers/off', { ...body, attributes: { enabled: false } });
    for (const name of ['off', 'never']) {
      const policy = leafPolicy('off.corp.test', { issuer: name });
      const { status, json } = await call('POST', `/certificates/of-${name}/create`, { policy });
      expect([status, json.error.code]).toEqual([400, 'BadParameter']);
      expect((await call('GET', `/certificates/of-${name}`)).status).toBe(404);
    }
  });
});

test('an authority whose key is in an HSM signs, and its key never leaves', async () => {
  await makeVault(strongroom.server, 'premium', { sku: 'premium' });
  const premium = vaultCaller(strongroom.server, await tokenFor(strongroom.server), 'premium');
  const rsa = {
    key_props: { kty: 'RSA-HSM', key_size: 2048, exportable: false },
    secret_props: { contentType: 'application/x-pem-file' },
  };
  const { x509: root, secret, json } = await certified('root', { ...rootPolicy(), ...rsa }, premium);
  expect(certificatesIn(secret).map(({ fingerprint256 }) => fingerprint256)).toEqual([root.fingerprint256]);
  expect(secret).not.toContain('PRIVATE KEY');
  expect(json.policy.key_props).toMatchObject({ kty: 'RSA-HSM', exportable: false });
  expect((await premium('GET', '/keys/root')).json.key).toMatchObject({ kty: 'RSA-HSM' });
  await issuer('by-root', 'root', premium);
  const policy = { ...authorityPolicy('CN=Below', 'by-root'), ...rsa };
  const { x509: intermediate } = await certified('intermediate', policy, premium);
  await issuer('by-intermediate', 'intermediate', premium);
  const host = 'hsm.corp.test';
  const { x509, secret: pfx } = await certified('leaf', leafPolicy(host), premium);
  expect(x509.verify(intermediate.publicKey) && intermediate.verify(root.publicKey)).toBe(true);
  const material = { pfx: Buffer.from(pfx, 'base64'), passphrase: '' };
  expect(await handshake(material, root, host)).toBe(x509.fingerprint256);
  if (!isJudged) return;
  const { leaf, others } = await readPfx(pfx);
  expect(await verified({ leaf, others, root: String(root), host })).toBe('OK');
});

// The last of all: from here on the server's certificates may begin after the machine's time.
test('a leaf is renewed when four fifths of its days are over, and the version before stays good', async () => {
  const host = 'renewed.corp.test';
  const { x509: first, json } = await certified('renewed', leafPolicy(host));
  const version: string = json.id.split('/').at(-1);
  const versions = async (): Promise<string[]> =>
    (await call('GET', '/certificates/renewed/versions')).json.value.map(({ id }: { id: string }) =>
      id.split('/').at(-1),
    );
  const life = maxDays * day;
  await strongroom.jump(0.8 * life - 1000);
  for (let count = 0; count < 30; count += 1) await strongroom.pass();
  expect(await versions()).toEqual([version]);
  await strongroom.jump(1000);
  const next = await strongroom.until(async () => (await versions()).find((id) => id !== version));
  const { x509: second, secret } = await read('renewed');
  expect((await call('GET', '/certificates/renewed')).json.id).toContain(next);
  expect(second.publicKey.equals(first.publicKey)).toBe(false);
  expect(second.validToDate.getTime()).toBeGreaterThan(first.validToDate.getTime() + 0.7 * life * 1000);
  const old = (await call('GET', `/certificates/renewed/${version}`)).json;
  expect(old.attributes.enabled).toBe(true);
  expect(Buffer.from(old.cer, 'base64').equals(first.raw)).toBe(true);
  if (!isJudged) return;
  const root = String((await read('root')).x509);
  const { leaf, others } = await readPfx(secret);
  expect(await verified({ leaf, others, root, host, at: strongroom.now() })).toBe('OK');
  const oldSecret: string = (await call('GET', `/secrets/renewed/${version}`)).json.value;
  const before = await readPfx(oldSecret);
  expect(await verified({ ...before, root, host, at: strongroom.now() })).toBe('OK');
});

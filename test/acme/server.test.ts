/**
 * Proves certificates from a real ACME authority through a whole server: an issuer that says `DigiCert` with an account
 * id and an HMAC key, names proven at the server's own http-01 listener and by dynamic updates of DNS, orders that go on
 * over restarts, renewal by the policy, and what callers see of what goes wrong.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CertificatePolicy } from '@azure/keyvault-certificates';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deactivateAccount, keptAccount } from '../support/acme-account.ts';
import { auditRecords } from '../support/audit-records.ts';
import { type CertificateServer, startCertificateServer } from '../support/certificate-server.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { freePort } from '../support/free-port.ts';
import { makeManager, subscriptionOf } from '../support/management.ts';
import { certificatesIn, hasOpenssl, readPfx, verified } from '../support/openssl-verify.ts';
import { optional } from '../support/optional.ts';
import { hasPebble, type Pebble, startPebble } from '../support/pebble.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/process.ts';
import { secretClient, tokenFor, vaultCaller } from '../support/server.ts';

const isHere = optional('ACME through a whole server', hasPebble && hasOpenssl);
const zone = 'example.com';
const day = 86_400;
const key = { name: 'acme.key', digest: 'sha256', secret: Buffer.alloc(32, 7) } as const;
/** An HMAC key as authorities give them out, which nobody is to see again. */
const hmacKey = createHash('sha256').update('an account').digest('base64url');
const otherHmacKey = createHash('sha256').update('another account').digest('base64url');

let folder: TemporaryFolder;
let dns: DnsServer;
let pebble: Pebble;
let http01Port: number;
/** Seconds since 1970 by the clock of whoever updates DNS. */
let dnsTime = () => Date.now() / 1000;

beforeAll(async () => {
  if (!isHere) return;
  folder = await temporaryFolder();
  dns = await startDnsServer({ zone, key, now: () => dnsTime() });
  http01Port = await freePort();
  const externalKeys = { 'kid-1': hmacKey, 'kid-2': otherHmacKey };
  const ports = { httpPort: http01Port, dnsPort: dns.port };
  pebble = await startPebble({ ...ports, externalKeys, validity: day });
  await writeFile(join(folder.path, 'ca.pem'), pebble.ca);
  await writeFile(join(folder.path, 'tsig'), `${key.secret.toString('base64')}\n`);
});
afterAll(async () => {
  await pebble?.stop();
  await dns?.close();
  await folder?.remove();
});

const directories = () => ({ DigiCert: { url: pebble.directory, ca: join(folder.path, 'ca.pem') } });
const byHttp = () => ({
  acme: { directories: directories(), http01: { listen: ['127.0.0.1'], port: http01Port } },
});
/** `wait` leaves a test the time to spoil what was published. */
const byDns = (wait: number) => ({
  acme: {
    directories: directories(),
    challenge: 'dns-01',
    dns01: {
      wait,
      rfc2136: {
        server: `127.0.0.1:${dns.port}`,
        keyName: key.name,
        keySecretFile: join(folder.path, 'tsig'),
      },
    },
  },
});

async function startServer(settings: () => Readonly<Record<string, unknown>>): Promise<CertificateServer> {
  const strongroom = await startCertificateServer({ settings: settings() });
  dnsTime = () => strongroom.now();
  const account = { accountId: 'kid-1', password: hmacKey };
  await strongroom.client().createIssuer('digicert', 'DigiCert', account);
  return strongroom;
}

const policyFor = (host: string, more: Partial<CertificatePolicy> = {}): CertificatePolicy => ({
  issuerName: 'digicert',
  subject: `CN=${host}`,
  keyType: 'EC',
  keyCurveName: 'P-256',
  ...more,
});

async function begin(strongroom: CertificateServer, name: string, policy: CertificatePolicy) {
  return strongroom.client().beginCreateCertificate(name, policy, { intervalInMs: 20 });
}

async function issued(strongroom: CertificateServer, name: string, policy: CertificatePolicy) {
  const poller = await begin(strongroom, name, policy);
  const ended = await strongroom.ended(name);
  expect(ended).toMatchObject({
    status: 'completed',
    target: expect.stringMatching(`/certificates/${name}$`),
  });
  expect(ended).not.toHaveProperty('error');
  return poller.pollUntilDone();
}

/** The downloaded PFX, of the current version or another: OpenSSL reads it and finds it good for the host. */
async function judged(strongroom: CertificateServer, name: string, of: { host: string; version?: string }) {
  const { host, version } = of;
  const asked = version === undefined ? {} : { version };
  const { value = '' } = await secretClient(strongroom.server).getSecret(name, asked);
  const { key: privateKey, leaf, others } = await readPfx(value);
  expect(privateKey).toContain('BEGIN PRIVATE KEY');
  expect(certificatesIn(others).length).toBeGreaterThan(0);
  const root = await pebble.root();
  expect(await verified({ leaf, others, root, host })).toBe('OK');
  expect(await verified({ leaf, others, root, host: 'elsewhere.test' })).toMatch(/hostname mismatch/i);
  const [x509] = certificatesIn(leaf);
  if (x509 === undefined) throw new Error('no certificate');
  return x509;
}

const saidOf = (what: string) => pebble.said.filter((line) => line.includes(what)).length;
const accounts = () => saidOf('accounts in memory');
const orders = () => saidOf('orders in the db');

/** Lets time pass until the authority is at work and nothing has come of it yet. */
async function midOrder(strongroom: CertificateServer, name: string, isThere: () => boolean): Promise<void> {
  await strongroom.until(() => (isThere() ? true : undefined));
  expect(await strongroom.pending(name)).toMatchObject({ status: 'inProgress' });
}

describe.skipIf(!isHere)('an issuer that says DigiCert, by http-01', () => {
  let strongroom: CertificateServer;
  beforeAll(async () => {
    strongroom = await startServer(byHttp);
  });
  afterAll(() => strongroom?.close());

  it('issues for the common name alone, to the official client', async () => {
    const host = 'cn.example.com';
    const certificate = await issued(strongroom, 'cn', policyFor(host));
    const x509 = await judged(strongroom, 'cn', { host });
    expect(x509.raw.equals(Buffer.from(certificate.cer ?? []))).toBe(true);
    expect(x509.subjectAltName).toBe(`DNS:${host}`);
    // What the policy says is what was asked, not what the authority made of it.
    expect(certificate.policy).toMatchObject({ subject: `CN=${host}`, issuerName: 'digicert' });
    expect(certificate.properties).toMatchObject({
      enabled: true,
      notBefore: x509.validFromDate,
      expiresOn: x509.validToDate,
    });
  });

  it('issues for all names of the policy, under the same account, and says so to the auditors', async () => {
    const before = accounts();
    const dnsNames: [string, ...string[]] = ['www.example.com', 'example.com'];
    const ipAddresses: [string] = ['127.0.0.1'];
    const subjectAlternativeNames = { dnsNames, ipAddresses };
    const policy = policyFor('www.example.com', {
      subjectAlternativeNames,
      keyType: 'RSA',
      keySize: 2048,
      contentType: 'application/x-pem-file',
    });
    const { properties } = await issued(strongroom, 'names', { ...policy, keyCurveName: undefined as never });
    const { value = '' } = await secretClient(strongroom.server).getSecret('names');
    const [leaf, ...others] = certificatesIn(value).map(String);
    const chain = { leaf: leaf ?? '', others: others.join(''), root: await pebble.root() };
    for (const host of dnsNames) expect(await verified({ ...chain, host })).toBe('OK');
    expect(new X509Certificate(chain.leaf).checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(accounts()).toBe(before);
    const enrolled = (await auditRecords(strongroom.server)).filter((record) =>
      JSON.stringify(record).includes(`/certificates/names/${properties.version}`),
    );
    expect(enrolled.map(({ operationName }) => operationName)).toContain('CertificateEnroll');
  });

  it('goes on with an order in the middle of which the server was stopped', async () => {
    const before = orders();
    await begin(strongroom, 'stopped', policyFor('stopped.example.com'));
    await midOrder(strongroom, 'stopped', () => orders() > before);
    await strongroom.restart();
    expect(await strongroom.ended('stopped')).toMatchObject({ status: 'completed' });
    expect(orders()).toBe(before + 1);
    await judged(strongroom, 'stopped', { host: 'stopped.example.com' });
  });

  it('is renewed by its policy, with another key; the version before stays good', async () => {
    const host = 'renewed.example.com';
    const first = await issued(strongroom, 'renewed', policyFor(host));
    const before = accounts();
    const { version = '' } = first.properties;
    // Four fifths of the day that the authority gives are not over yet.
    await strongroom.jump(day / 2);
    for (let count = 0; count < 30; count += 1) await strongroom.pass();
    expect(await versionsOf('renewed')).toEqual([version]);
    await strongroom.jump(0.4 * day);
    const [next = ''] = await strongroom.until(async () => {
      const others = (await versionsOf('renewed')).filter((id) => id !== version);
      return others.length > 0 ? others : undefined;
    });
    expect(accounts()).toBe(before);
    const x509 = await judged(strongroom, 'renewed', { host, version: next });
    const old = await judged(strongroom, 'renewed', { host, version });
    expect(old.raw.equals(Buffer.from(first.cer ?? []))).toBe(true);
    expect(x509.publicKey.equals(old.publicKey)).toBe(false);
    const client = strongroom.client();
    expect((await client.getCertificateVersion('renewed', version)).properties.enabled).toBe(true);
    // The authority's clock is behind: four fifths of the new one's life are over too, by this server's.
    for (let count = 0; count < 60; count += 1) await strongroom.pass();
    expect((await versionsOf('renewed')).sort()).toEqual([version, next].sort());
  });

  async function versionsOf(name: string): Promise<string[]> {
    const { json } = await strongroom.call('GET', `/certificates/${name}/versions`);
    return json.value.map(({ id }: { id: string }) => id.split('/').at(-1));
  }

  it('can be cancelled in the middle, and asked for again', async () => {
    const { call } = strongroom;
    const before = orders();
    await begin(strongroom, 'cancelled', policyFor('cancelled.example.com'));
    await midOrder(strongroom, 'cancelled', () => orders() > before);
    const cancelled = await call('PATCH', '/certificates/cancelled/pending', {
      cancellation_requested: true,
    });
    expect(cancelled.json).toMatchObject({ status: 'cancelled', cancellation_requested: true });
    for (let count = 0; count < 20; count += 1) await strongroom.pass();
    expect(await strongroom.pending('cancelled')).toMatchObject({ status: 'cancelled' });
    expect(await versionsOf('cancelled')).toHaveLength(1);
    expect((await call('GET', '/certificates/cancelled')).json).not.toHaveProperty('cer');
    await issued(strongroom, 'cancelled', policyFor('cancelled.example.com'));
    expect(await versionsOf('cancelled')).toHaveLength(1);
  });

  it('refuses what http-01 cannot prove', async () => {
    await begin(strongroom, 'wildcard', policyFor('*.example.com'));
    expect(await strongroom.ended('wildcard')).toMatchObject({
      status: 'failed',
      error: { code: 'unsupportedIdentifier', message: expect.stringContaining('dns-01') },
    });
  });

  it('shows why a key is not the account’s, and goes on with the right one', async () => {
    const client = strongroom.client();
    const wrong = { accountId: 'kid-2', password: hmacKey };
    await client.createIssuer('mistyped', 'DigiCert', wrong);
    const policy = policyFor('mistyped.example.com', { issuerName: 'mistyped' });
    await begin(strongroom, 'mistyped', policy);
    const failed = await strongroom.ended('mistyped');
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'unauthorized' } });
    expect(failed.error?.message).not.toBe('');
    expect(failed).not.toHaveProperty('target');
    await client.updateIssuer('mistyped', { password: otherHmacKey });
    await issued(strongroom, 'mistyped', policy);
  });

  it('waits for an authority that is away, says so, and finishes when it is back', async () => {
    const away = {
      ...byHttp().acme,
      directories: { DigiCert: { url: `https://127.0.0.1:${await freePort()}/dir` } },
    };
    await strongroom.restart(undefined, { acme: away });
    await begin(strongroom, 'away', policyFor('away.example.com'));
    const waiting = await strongroom.until(async () => {
      const found = await strongroom.pending('away');
      return found.error === undefined ? undefined : found;
    });
    expect(waiting).toMatchObject({ status: 'inProgress', error: { code: 'connection' } });
    await strongroom.restart();
    expect(await strongroom.ended('away')).toMatchObject({ status: 'completed' });
  });

  it('ends with the authority’s words when the account was deactivated', async () => {
    await strongroom.client().createIssuer('closed', 'DigiCert', { accountId: 'kid-1', password: hmacKey });
    const policy = policyFor('closed.example.com', { issuerName: 'closed' });
    await issued(strongroom, 'closed', policy);
    await strongroom.restart(async () =>
      deactivateAccount(pebble, await keptAccount(strongroom.server, 'closed')),
    );
    await begin(strongroom, 'closed', policy);
    expect(await strongroom.ended('closed')).toMatchObject({
      status: 'failed',
      error: { code: 'unauthorized', message: expect.stringMatching(/account/i) },
    });
    // The version before is as good as it was.
    await judged(strongroom, 'closed', { host: 'closed.example.com' });
  });

  it('shows nobody the HMAC keys: no answer, no log, no audit record, no file', async () => {
    const { call, logged, server } = strongroom;
    const names = ['digicert', 'mistyped', 'closed'];
    const paths = names.map((name) => `/certificates/issuers/${name}`);
    const replies = await Promise.all(
      [...paths, '/certificates/issuers', '/certificates/mistyped/pending'].map((path) => call('GET', path)),
    );
    expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
    const texts = [...replies.map(({ text }) => text), ...logged, JSON.stringify(await auditRecords(server))];
    const files = readdirSync(server.folder, { recursive: true, withFileTypes: true })
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(file.parentPath, file.name)));
    expect(logged.length).toBeGreaterThan(10);
    for (const secret of [hmacKey, otherHmacKey]) {
      for (const text of texts) expect(text.includes(secret)).toBe(false);
      for (const form of [Buffer.from(secret), Buffer.from(secret, 'base64url')])
        for (const file of files) expect(file.includes(form)).toBe(false);
    }
  });
});

describe.skipIf(!isHere)('an issuer that says DigiCert, by dns-01', () => {
  let strongroom: CertificateServer;
  beforeAll(async () => {
    strongroom = await startServer(() => byDns(10));
  });
  afterAll(() => strongroom?.close());

  const valuesOf = (host: string) => [...(dns.records.get(`_acme-challenge.${host}`) ?? [])];

  it('issues for a name and its wildcard, and leaves no record', async () => {
    const policy = policyFor('dns.example.com', {
      subjectAlternativeNames: { dnsNames: ['*.dns.example.com'] },
    });
    await issued(strongroom, 'wild', policy);
    await judged(strongroom, 'wild', { host: 'dns.example.com' });
    await judged(strongroom, 'wild', { host: 'www.dns.example.com' });
    expect(dns.updates.filter((update) => update.startsWith('add'))).toHaveLength(2);
    expect(valuesOf('dns.example.com')).toEqual([]);
  });

  it('comes to its end though the server is stopped after every step', async () => {
    const before = orders();
    await begin(strongroom, 'restarted', policyFor('restarted.example.com'));
    let restarts = 0;
    await strongroom.until(async () => {
      if ((await strongroom.pending('restarted')).status !== 'inProgress') return true;
      // Orders are gone on with five seconds after a start, and every five seconds from then on.
      await strongroom.pass();
      await strongroom.pass();
      await strongroom.restart();
      restarts += 1;
      return undefined;
    });
    expect(await strongroom.pending('restarted')).toMatchObject({ status: 'completed' });
    expect(restarts).toBeGreaterThan(5);
    expect(orders()).toBe(before + 1);
    await judged(strongroom, 'restarted', { host: 'restarted.example.com' });
  });

  it('takes its records away when the order is cancelled', async () => {
    await begin(strongroom, 'left', policyFor('left.example.com'));
    await midOrder(strongroom, 'left', () => valuesOf('left.example.com').length > 0);
    const path = '/certificates/left/pending';
    const cancelled = await strongroom.call('PATCH', path, { cancellation_requested: true });
    expect(cancelled.json).toMatchObject({ status: 'cancelled' });
    expect(valuesOf('left.example.com')).toEqual([]);
  });

  it('takes its records away when its certificate is deleted, and proves anew what is recovered', async () => {
    const host = 'removed.example.com';
    await begin(strongroom, 'removed', policyFor(host));
    await midOrder(strongroom, 'removed', () => valuesOf(host).length > 0);
    await strongroom.call('DELETE', '/certificates/removed');
    expect(valuesOf(host)).toEqual([]);
    await strongroom.call('POST', '/deletedcertificates/removed/recover');
    expect(await strongroom.ended('removed')).toMatchObject({ status: 'completed' });
    expect(valuesOf(host)).toEqual([]);
  });

  it('takes its records away when its vault is purged', async () => {
    const { server } = strongroom;
    const root = `/subscriptions/${await subscriptionOf(server)}`;
    const { call: manage } = await makeManager(server, 'manager');
    const group = `${root}/resourceGroups/passing`;
    const vault = `${group}/providers/Microsoft.KeyVault/vaults/passing?api-version=2023-07-01`;
    await manage('PUT', group, { location: 'eastus' });
    const properties = {
      ...{ tenantId: server.tenantId, sku: { family: 'A', name: 'standard' } },
      ...{ enableRbacAuthorization: true, accessPolicies: [] },
    };
    expect((await manage('PUT', vault, { location: 'eastus', properties })).status).toBe(200);
    const role = 'Key Vault Administrator';
    await server.control('identity grant', { identity: server.clientId, role, vault: 'passing' });
    const call = vaultCaller(server, await tokenFor(server), 'passing');
    const credentials = { account_id: 'kid-1', pwd: hmacKey };
    await call('PUT', '/certificates/issuers/digicert', { provider: 'DigiCert', credentials });
    const host = 'purged.example.com';
    const begun = await call('POST', '/certificates/c/create', {
      policy: {
        ...{ issuer: { name: 'digicert' }, key_props: { kty: 'EC', crv: 'P-256' } },
        x509_props: { subject: `CN=${host}` },
      },
    });
    expect(begun.status).toBe(202);
    await strongroom.until(() => (valuesOf(host).length > 0 ? true : undefined));
    expect((await manage('DELETE', vault)).status).toBe(200);
    expect(valuesOf(host)).toHaveLength(1);
    const deleted = `${root}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/passing`;
    expect((await manage('POST', `${deleted}/purge?api-version=2023-07-01`)).status).toBe(202);
    expect(valuesOf(host)).toEqual([]);
  });

  it('says why a name could not be proven, takes its records away, and may be asked for again', async () => {
    const host = 'spoiled.example.com';
    await begin(strongroom, 'spoiled', policyFor(host));
    await midOrder(strongroom, 'spoiled', () => valuesOf(host).length > 0);
    dns.records.set(`_acme-challenge.${host}`, new Set(['of somebody else']));
    const failed = await strongroom.ended('spoiled');
    expect(failed).toMatchObject({ status: 'failed', error: { code: 'unauthorized' } });
    expect(failed.error?.message).toMatch(/^spoiled\.example\.com: ./);
    // That comes after the failure, which is seen at once.
    const taken = `remove _acme-challenge.${host} `;
    await strongroom.until(() => (dns.updates.at(-1)?.startsWith(taken) ? true : undefined));
    expect(valuesOf(host)).toEqual(['of somebody else']);
    // The official client makes the operation's error its own.
    await expect(strongroom.client().getCertificateOperation('spoiled')).rejects.toThrow(
      failed.error?.message,
    );
    await issued(strongroom, 'spoiled', policyFor(host));
  });

  it('waits while the DNS server does not do what it is asked', async () => {
    dns.faults.rcode = 5;
    await begin(strongroom, 'refused', policyFor('refused.example.com'));
    const waiting = await strongroom.until(async () => {
      const found = await strongroom.pending('refused');
      return found.error === undefined ? undefined : found;
    });
    expect(waiting).toMatchObject({
      status: 'inProgress',
      error: { message: expect.stringContaining('REFUSED') },
    });
    delete dns.faults.rcode;
    expect(await strongroom.ended('refused')).toMatchObject({ status: 'completed' });
  });

  it('refuses an address, which is in no zone', async () => {
    const policy = policyFor('ip.example.com', { subjectAlternativeNames: { ipAddresses: ['127.0.0.1'] } });
    await begin(strongroom, 'ip', policy);
    expect(await strongroom.ended('ip')).toMatchObject({
      status: 'failed',
      error: { code: 'unsupportedIdentifier', message: expect.stringContaining('http-01') },
    });
  });
});

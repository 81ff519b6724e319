/** Proves what a secret does over its life: versions, attributes, names, deletion, scheduled purge and restarts. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Log, silentLog } from '../../src/core/log.ts';
import { manualClock } from '../support/identity.ts';
import { optional } from '../support/optional.ts';
import { send, startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, makeVault, secretNotFound, type VaultCaller, versionOf } from '../support/vault-rest.ts';

const day = 86_400_000;
// The client checks certificates against the machine's clock, so that the test's must not run ahead of it.
const clock = manualClock(Math.floor(Date.now() / 1000) * 1000 - 20 * day);
const purges: ((vault: unknown) => void)[] = [];
const log: Log = {
  ...silentLog,
  info(message, fields) {
    if (message === 'deleted objects purged') for (const seen of purges.splice(0)) seen(fields?.vault);
  },
};

let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer({ clock, log });
  await makeVault(server, 'short', { retentionDays: 7 });
  await makeVault(server, 'Other');
  await renewToken();
});
afterAll(() => server.close());

async function renewToken(): Promise<void> {
  token = await tokenFor(server);
  call = vaultCaller(server, token);
}

describe('versions', () => {
  test('PUT makes a new one, which takes nothing over from the one before', async () => {
    const first = await call('PUT', '/secrets/v', {
      value: 'one',
      contentType: 'c',
      tags: { t: '1' },
      attributes: { enabled: false, nbf: 10, exp: 20 },
    });
    clock.advance(5000);
    const second = await call('PUT', '/secrets/v', { value: 'two' });
    expect(versionOf(second)).not.toBe(versionOf(first));
    expect(second.json).not.toHaveProperty('contentType');
    expect(second.json).not.toHaveProperty('tags');
    expect(Object.keys(second.json.attributes)).toEqual([
      'enabled',
      'created',
      'updated',
      'recoveryLevel',
      'recoverableDays',
    ]);
    expect(second.json.attributes.enabled).toBe(true);
    expect(second.json.attributes.created).toBe(first.json.attributes.created + 5);
    expect((await call('GET', '/secrets/v')).json.value).toBe('two');
    expect((await call('GET', `/secrets/v/${versionOf(second)}`)).json.value).toBe('two');
    expect((await call('GET', `/secrets/v/${versionOf(first)}`)).status).toBe(403);
  });

  test('PATCH with a version changes that one, without one the newest; what it leaves out stays', async () => {
    const body = { value: 'one', contentType: 'c', tags: { t: '1' }, attributes: { nbf: 10, exp: 20 } };
    const first = await call('PUT', '/secrets/p', body);
    const second = await call('PUT', '/secrets/p', { ...body, value: 'two' });
    clock.advance(3000);
    const older = await call('PATCH', `/secrets/p/${versionOf(first)}`, { contentType: 'older' });
    expect([older.json.id, older.json.contentType, older.json.tags]).toEqual([
      first.json.id,
      'older',
      { t: '1' },
    ]);
    expect(older.json.attributes).toEqual({
      ...first.json.attributes,
      updated: first.json.attributes.created + 3,
    });
    for (const path of ['/secrets/p', '/secrets/p/']) {
      const newest = await call('PATCH', path, { attributes: { enabled: false }, tags: { u: '2' } });
      expect([newest.json.id, newest.json.contentType, newest.json.tags]).toEqual([
        second.json.id,
        'c',
        { u: '2' },
      ]);
      expect(newest.json.attributes).toMatchObject({ enabled: false, nbf: 10, exp: 20 });
    }
    expect((await call('GET', '/secrets/p')).status).toBe(403);
    expect((await call('GET', `/secrets/p/${versionOf(first)}`)).json).toMatchObject({
      value: 'one',
      contentType: 'older',
    });
    await call('PATCH', '/secrets/p', { attributes: { enabled: true } });
    expect((await call('GET', '/secrets/p')).json).toMatchObject({ value: 'two', contentType: 'c' });
  });

  test('a version may be written in upper case, and its list is by the name in any case', async () => {
    const set = await call('PUT', '/secrets/upper', { value: 'v' });
    const reply = await call('GET', `/secrets/upper/${versionOf(set).toUpperCase()}`);
    expect([reply.status, reply.json.id]).toEqual([200, set.json.id]);
    expect((await call('GET', '/secrets/UPPER/versions')).json.value[0].id).toBe(set.json.id);
  });

  test("another secret's version is not this one's", async () => {
    const a = await call('PUT', '/secrets/va', { value: 'a' });
    await call('PUT', '/secrets/vb', { value: 'b' });
    const reply = await call('GET', `/secrets/vb/${versionOf(a)}`);
    expect([reply.status, reply.text]).toEqual([404, secretNotFound(`vb/${versionOf(a)}`)]);
  });
});

test('a secret is read outside of its nbf and exp', async () => {
  const now = clock.now() / 1000;
  for (const attributes of [{ exp: now - 100 }, { nbf: now + 100 }, { nbf: now + 100, exp: now - 100 }]) {
    await call('PUT', '/secrets/window', { value: 'v', attributes });
    const reply = await call('GET', '/secrets/window');
    expect([reply.status, reply.json.value]).toEqual([200, 'v']);
    expect(reply.json.attributes).toMatchObject({ enabled: true, ...attributes });
  }
});

test("names keep their creator's case and compare without it", async () => {
  await call('PUT', '/secrets/MixedCase', { value: 'one' });
  const second = await call('PUT', '/secrets/MIXEDCASE', { value: 'two' });
  expect(second.json.id).toContain('/secrets/MixedCase/');
  const got = await call('GET', '/SECRETS/mixedcase');
  expect([got.json.value, got.json.id]).toEqual(['two', second.json.id]);
  expect((await call('GET', '/secrets/mixedCASE/versions')).json.value).toHaveLength(2);
  expect((await call('PATCH', '/secrets/mixedcase', {})).json.id).toBe(second.json.id);
  const deleted = await call('DELETE', '/secrets/mixedcase');
  expect(deleted.json.recoveryId).toBe('https://dev.vault.azure.net/deletedsecrets/MixedCase');
  expect((await call('GET', '/deletedSecrets/MIXEDcase')).json.id).toBe(second.json.id);
  expect((await call('POST', '/DeletedSecrets/mixedcase/RECOVER')).json.id).toBe(second.json.id);
});

describe('deletion', () => {
  test('each step is visible at once, all versions go and come back together, and a purged name is free', async () => {
    const first = await call('PUT', '/secrets/d', { value: 'one' });
    const second = await call('PUT', '/secrets/d', { value: 'two' });
    expect((await call('GET', '/secrets/d')).json.value).toBe('two');
    expect((await call('GET', `/secrets/d/${versionOf(first)}`)).json.value).toBe('one');
    expect((await call('DELETE', '/secrets/d')).status).toBe(200);
    for (const path of ['/secrets/d', `/secrets/d/${versionOf(first)}`]) {
      expect((await call('GET', path)).status).toBe(404);
    }
    expect((await call('GET', '/deletedsecrets/d')).status).toBe(200);
    expect((await call('DELETE', '/secrets/d')).status).toBe(404);
    expect((await call('POST', '/deletedsecrets/d/recover')).json.id).toBe(second.json.id);
    expect((await call('GET', '/deletedsecrets/d')).status).toBe(404);
    expect((await call('GET', '/secrets/d')).json.value).toBe('two');
    expect((await call('GET', `/secrets/d/${versionOf(first)}`)).json.value).toBe('one');
    await call('DELETE', '/secrets/d');
    expect((await call('DELETE', '/deletedsecrets/d')).status).toBe(204);
    for (const path of ['/secrets/d', `/secrets/d/${versionOf(first)}`, '/deletedsecrets/d']) {
      expect((await call('GET', path)).status).toBe(404);
    }
    expect((await call('POST', '/deletedsecrets/d/recover')).status).toBe(404);
    await call('PUT', '/secrets/D', { value: 'three' });
    const again = await call('GET', '/secrets/d');
    expect([again.json.value, again.json.id.includes('/secrets/D/')]).toEqual(['three', true]);
    expect((await call('GET', '/secrets/d/versions')).json.value).toHaveLength(1);
  });

  test('when the retention ends, the job purges, and what was recovered before stays', async () => {
    const short = vaultCaller(server, token, 'short');
    for (const name of ['ends', 'recovered']) await short('PUT', `/secrets/${name}`, { value: 'v' });
    for (const name of ['ends', 'recovered']) await short('DELETE', `/secrets/${name}`);
    clock.jump(7 * day - 60_000);
    await renewToken();
    const later = vaultCaller(server, token, 'short');
    expect((await later('GET', '/deletedsecrets/ends')).status).toBe(200);
    expect((await later('POST', '/deletedsecrets/recovered/recover')).status).toBe(200);
    // The job runs a minute after its last run ended, in the process that shows life every few seconds; each request
    // lets what is under way go on.
    const purged = new Promise((resolve) => purges.push(resolve));
    for (let step = 0; step < 600; step += 1) {
      clock.advance(3_000);
      if ((await later('GET', '/deletedsecrets/ends')).status === 404) break;
    }
    expect(await purged).toBe('short');
    expect((await later('GET', '/deletedsecrets/ends')).text).toBe(
      errorBody('SecretNotFound', 'Deleted Secret not found: ends'),
    );
    expect((await later('GET', '/secrets/recovered')).json.value).toBe('v');
    expect((await later('PUT', '/secrets/ends', { value: 'w' })).status).toBe(200);
    expect((await later('GET', '/secrets/ends/versions')).json.value).toHaveLength(1);
  });
});

describe('paths and verbs', () => {
  test('trailing and doubled slashes make no difference', async () => {
    const set = await call('PUT', '/secrets/slash/', { value: 'v' });
    for (const path of ['/secrets/slash', '/secrets/slash/', '/secrets//slash', '//secrets/slash//']) {
      expect((await call('GET', path)).json.id).toBe(set.json.id);
    }
    expect((await call('GET', `/secrets/slash//${versionOf(set)}/`)).json.id).toBe(set.json.id);
    expect((await call('GET', '/secrets//slash//versions/')).json.value).toHaveLength(1);
    expect((await call('POST', '/secrets/slash//backup')).status).toBe(200);
  });

  test('a name may be percent-encoded', async () => {
    await call('PUT', '/secrets/%61%2Db', { value: 'v' });
    expect((await call('GET', '/secrets/a-b')).json.value).toBe('v');
  });

  test('POST stands in for the verb in X-HTTP-METHOD, and no other verb does', async () => {
    const as = (method: string) => ({ 'X-HTTP-METHOD': method });
    expect((await call('POST', '/secrets/x', { value: 'v' }, as('PUT'))).status).toBe(200);
    expect((await call('POST', '/secrets/x', { contentType: 'c' }, as('patch'))).json.contentType).toBe('c');
    expect((await call('GET', '/secrets/x', undefined, as('DELETE'))).status).toBe(200);
    expect((await call('POST', '/secrets/x', undefined, as('DELETE'))).status).toBe(200);
    expect((await call('GET', '/secrets/x')).status).toBe(404);
    expect((await call('POST', '/secrets/x', undefined, as('BREW'))).text).toBe(
      errorBody('MethodNotAllowed', 'HTTP BREW not allowed'),
    );
  });
});

describe('names of the vault', () => {
  const get = (host: string, path: string) =>
    send(server, { host, path: `${path}?api-version=7.4`, headers: { Authorization: `Bearer ${token}` } });

  test('identifiers are in the family of names that was asked, at its port, in lower case', async () => {
    await call('PUT', '/secrets/host', { value: 'v' });
    const expected: [string, string][] = [
      ['dev.vault.azure.net', 'dev.vault.azure.net'],
      ['dev.vault.azure.net:443', 'dev.vault.azure.net'],
      ['DEV.Vault.Azure.NET', 'dev.vault.azure.net'],
      ['dev.vault.azure.net.', 'dev.vault.azure.net'],
      ['dev.vault.strongroom.localhost', 'dev.vault.strongroom.localhost'],
      [`dev.vault.strongroom.localhost:${server.port}`, `dev.vault.strongroom.localhost:${server.port}`],
      [`Dev.Vault.Strongroom.Localhost.:${server.port}`, `dev.vault.strongroom.localhost:${server.port}`],
    ];
    for (const [header, authority] of expected) {
      const reply = await send(server, {
        host: authority,
        path: '/secrets/host?api-version=7.4',
        headers: { Host: header, Authorization: `Bearer ${token}` },
      });
      expect([header, reply.status]).toEqual([header, 200]);
      expect(reply.json.id.startsWith(`https://${authority}/secrets/host/`)).toBe(true);
    }
  });

  test('a recoveryId is too', async () => {
    const authority = `dev.vault.strongroom.localhost:${server.port}`;
    await call('PUT', '/secrets/recovery', { value: 'v' });
    await call('DELETE', '/secrets/recovery');
    const reply = await get(authority, '/deletedsecrets/recovery');
    expect(reply.json.recoveryId).toBe(`https://${authority}/deletedsecrets/recovery`);
    expect(reply.json.id.startsWith(`https://${authority}/secrets/recovery/`)).toBe(true);
  });

  test('a vault is found in any case, and has its own secrets', async () => {
    const other = vaultCaller(server, token, 'oTHER');
    await other('PUT', '/secrets/host', { value: 'of the other' });
    expect((await get('other.vault.azure.net', '/secrets/host')).json.value).toBe('of the other');
    expect((await get('dev.vault.azure.net', '/secrets/host')).json.value).toBe('v');
  });
});

test('all of it is there after a restart: values, versions, attributes, deletions, rights and tokens', async () => {
  const body = { value: 'ünïcode\u0000', contentType: 'c', tags: { t: '1' }, attributes: { nbf: 1, exp: 2 } };
  const first = await call('PUT', '/secrets/stays', body);
  await call('PUT', '/secrets/stays', { value: 'two', attributes: { enabled: false } });
  await call('PUT', '/secrets/staysgone', body);
  await call('DELETE', '/secrets/staysgone');
  const paths = [
    `/secrets/stays/${versionOf(first)}`,
    '/secrets/stays',
    '/secrets/stays/versions',
    '/deletedsecrets/staysgone',
    '/secrets?maxresults=2',
  ];
  const read = () => Promise.all(paths.map(async (path) => (await call('GET', path)).text));
  const before = await read();
  await server.restart();
  expect(await read()).toEqual(before);
  expect((await call('POST', '/deletedsecrets/staysgone/recover')).status).toBe(200);
  expect((await call('GET', '/secrets/staysgone')).json.value).toBe(body.value);
});

const openssl = spawnSync('openssl', ['version']).stdout?.toString().startsWith('OpenSSL 3') ?? false;
describe.runIf(optional('outContentType of PFX secrets', openssl, 'no OpenSSL 3'))('outContentType', () => {
  const pem = 'application/x-pem-file';
  const pkcs12 = 'application/x-pkcs12';
  let pfx: string;
  let certificate: string;

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'strongroom-wire-pfx-'));
    const run = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
    run(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=wire',
      '-days',
      '30',
      '-keyout',
      'key.pem',
      '-out',
      'cert.pem',
    );
    run('pkcs12', '-export', '-inkey', 'key.pem', '-in', 'cert.pem', '-passout', 'pass:', '-out', 'out.pfx');
    pfx = readFileSync(join(folder, 'out.pfx')).toString('base64');
    certificate = readFileSync(join(folder, 'cert.pem'), 'utf8').trim();
    rmSync(folder, { recursive: true });
    await call('PUT', '/secrets/pfx', { value: pfx, contentType: pkcs12 });
  });

  const get = (name: string, version: string, type: string) =>
    call('GET', `/secrets/${name}?api-version=${version}&outContentType=${encodeURIComponent(type)}`);

  test.each(['2025-07-01', '2026-04-01'])(
    '%s gives a PFX as PEM and leaves the secret as it is',
    async (version) => {
      const reply = await get('pfx', version, pem);
      expect([reply.status, reply.json.contentType]).toEqual([200, pem]);
      expect(reply.json.value).toContain('-----BEGIN PRIVATE KEY-----');
      expect(reply.json.value.replaceAll('\r\n', '\n')).toContain(certificate);
      const same = await get('pfx', version, pkcs12);
      expect([same.json.value, same.json.contentType]).toEqual([pfx, pkcs12]);
      expect((await call('GET', '/secrets/pfx')).json.value).toBe(pfx);
    },
  );

  test.each(['7.4', '7.6'])('%s does not know the parameter', async (version) => {
    for (const type of [pem, 'nonsense']) {
      const reply = await get('pfx', version, type);
      expect([reply.json.value, reply.json.contentType]).toEqual([pfx, pkcs12]);
    }
  });

  test('what cannot be converted is refused, and its content is not repeated', async () => {
    await call('PUT', '/secrets/nopfx', { value: 'hunter2', contentType: pkcs12 });
    await call('PUT', '/secrets/text', { value: 'hunter2', contentType: 'text/plain' });
    await call('PUT', '/secrets/untyped', { value: 'hunter2' });
    await call('PUT', '/secrets/pem', { value: 'hunter2', contentType: pem });
    for (const [name, type] of [
      ['pfx', 'text/plain'],
      ['pfx', ''],
      ['nopfx', pem],
      ['text', pem],
      ['text', pkcs12],
      ['untyped', pem],
      ['pem', pkcs12],
    ] as const) {
      const reply = await get(name, '2025-07-01', type);
      expect([name, type, reply.status, reply.json.error.code]).toEqual([name, type, 400, 'BadParameter']);
      expect(reply.text).not.toContain('hunter2');
    }
    expect((await get('pem', '2025-07-01', pem)).json.value).toBe('hunter2');
  });
});

/** Proves the shape of every success of the keys API, to the letter, in each api-version, and the forms of its paths. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import { outsideKey } from '../support/key-clients.ts';
import {
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { keyVersionOf, makeVault, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const now = clock.now() / 1000;
const days = 86_400;

let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer({ clock });
  await makeVault(server, 'short', { retentionDays: 7, sku: 'premium' });
  token = await tokenFor(server);
  call = vaultCaller(server, token);
});
afterAll(() => server.close());

const origin = 'https://dev.vault.azure.net';
const level = '"recoveryLevel":"Recoverable+Purgeable","recoverableDays":90';
const plain = `{"enabled":true,"created":${now},"updated":${now},${level},"exportable":false,"hsmPlatform":"0"}`;
const digest = Buffer.alloc(32, 1).toString('base64url');

interface Shown {
  readonly key: Readonly<Record<string, string>> & { readonly key_ops: readonly string[] };
}

/** The JWK of a reply, written with the members that are expected, in their order. */
function jwkText(
  { json }: RawResponse,
  of: { kid: string; kty: string; ops: string; members: string[] },
): string {
  const { key } = json as Shown;
  const members = of.members.map((name) => `,"${name}":"${key[name]}"`).join('');
  return `{"kid":"${of.kid}","kty":"${of.kty}","key_ops":${of.ops}${members}}`;
}

const ec = ['crv', 'x', 'y'];
const rsaOperations = '["encrypt","decrypt","sign","verify","wrapKey","unwrapKey"]';

function kidOf(name: string, reply: RawResponse): string {
  return `${origin}/keys/${name}/${keyVersionOf(reply)}`;
}

describe('each operation', () => {
  test('CreateKey and GetKey answer the bundle; what was not given is absent', async () => {
    const bare = await call('POST', '/keys/bare/create', { kty: 'EC' });
    expect(bare.status).toBe(200);
    const kid = kidOf('bare', bare);
    expect(keyVersionOf(bare)).toMatch(/^[0-9a-f]{32}$/);
    const key = jwkText(bare, { kid, kty: 'EC', ops: '["sign","verify"]', members: ec });
    expect(bare.text).toBe(`{"key":${key},"attributes":${plain}}`);
    for (const path of ['/keys/bare', '/keys/bare/', `/keys/bare/${keyVersionOf(bare)}`])
      expect((await call('GET', path)).text).toBe(bare.text);
  });

  test('everything that can be said comes back, read-only members are ignored', async () => {
    const made = await call('POST', '/keys/full/create', {
      tags: { a: '1', B: '' },
      kty: 'RSA',
      key_size: 2048,
      public_exponent: 65_537,
      key_ops: ['verify', 'sign'],
      attributes: {
        exp: now + 20,
        enabled: false,
        nbf: now + 10,
        created: 1,
        recoveryLevel: 'x',
        hsmPlatform: '2',
        exportable: false,
      },
    });
    const kid = kidOf('full', made);
    const key = jwkText(made, { kid, kty: 'RSA', ops: '["verify","sign"]', members: ['n', 'e'] });
    const attributes = `{"enabled":false,"nbf":${now + 10},"exp":${now + 20},"created":${now},"updated":${now},${level},"exportable":false,"hsmPlatform":"0"}`;
    expect(made.text).toBe(`{"key":${key},"attributes":${attributes},"tags":{"a":"1","B":""}}`);
    expect(made.json.key.e).toBe('AQAB');
    expect((await call('GET', '/keys/full')).text).toBe(made.text);
  });

  test('RSA keys have all operations by default, in the order of Azure', async () => {
    const made = await call('POST', '/keys/usual/create', { kty: 'RSA-HSM' });
    const kid = kidOf('usual', made);
    const key = jwkText(made, { kid, kty: 'RSA-HSM', ops: rsaOperations, members: ['n', 'e'] });
    expect(made.text).toBe(`{"key":${key},"attributes":${plain}}`);
  });

  test('nulls mean not given; empty tags are kept', async () => {
    const nulls = { kty: 'EC', crv: null, key_size: null, key_ops: null, tags: null, release_policy: null };
    const made = await call('POST', '/keys/nulls/create', {
      ...nulls,
      attributes: { enabled: null, nbf: null, exp: null, exportable: null },
    });
    expect(made.text.endsWith(`"attributes":${plain}}`)).toBe(true);
    const empty = await call('POST', '/keys/empty/create', { kty: 'EC', tags: {}, attributes: {} });
    expect(empty.text.endsWith(`"attributes":${plain},"tags":{}}`)).toBe(true);
  });

  test('a symmetric key shows nothing but its id, type and operations', async () => {
    const made = await call('POST', '/keys/oct/create', { kty: 'oct-HSM', key_size: 192 });
    const kid = kidOf('oct', made);
    const ops = '["encrypt","decrypt","wrapKey","unwrapKey"]';
    expect(made.text).toBe(
      `{"key":${jwkText(made, { kid, kty: 'oct-HSM', ops, members: [] })},"attributes":${plain}}`,
    );
  });

  test('ImportKey answers the public members alone; with Hsm the type is that of an HSM', async () => {
    const { jwk } = outsideKey({ bits: 2048 });
    const body = { Hsm: true, key: { ...jwk, kid: 'ignored', key_ops: ['encrypt'] } };
    const imported = await call('PUT', '/keys/import', body);
    const kid = kidOf('import', imported);
    expect(imported.text).toBe(
      `{"key":{"kid":"${kid}","kty":"RSA-HSM","key_ops":["encrypt"],"n":"${jwk.n}","e":"AQAB"},"attributes":${plain}}`,
    );
    expect((await call('GET', '/keys/import')).text).toBe(imported.text);
  });

  test('UpdateKey answers the bundle', async () => {
    const made = await call('POST', '/keys/patched/create', { kty: 'EC' });
    const reply = await call('PATCH', '/keys/patched/', { tags: { t: '1' }, key_ops: ['sign'] });
    const kid = kidOf('patched', made);
    const key = jwkText(made, { kid, kty: 'EC', ops: '["sign"]', members: ec });
    expect([reply.status, reply.text]).toEqual([
      200,
      `{"key":${key},"attributes":${plain},"tags":{"t":"1"}}`,
    ]);
  });

  test('deletion, its reading, recovery and purge', async () => {
    const made = await call('POST', '/keys/gone/create', { kty: 'EC', tags: { t: '1' } });
    const recovery = `{"recoveryId":"${origin}/deletedkeys/gone","deletedDate":${now},"scheduledPurgeDate":${now + 90 * days},`;
    const deleted = await call('DELETE', '/keys/gone');
    expect([deleted.status, deleted.text]).toEqual([200, recovery + made.text.slice(1)]);
    expect((await call('GET', '/deletedkeys/gone')).text).toBe(deleted.text);
    const recovered = await call('POST', '/deletedkeys/gone/recover');
    expect([recovered.status, recovered.text]).toEqual([200, made.text]);
    await call('DELETE', '/keys/gone');
    const purged = await call('DELETE', '/deletedkeys/gone');
    expect([purged.status, purged.text]).toEqual([204, '']);
    expect(purged.headers['content-type']).toBeUndefined();
    expect(purged.headers['content-length']).toBeUndefined();
  });

  test('BackupKey answers an opaque base64url text, RestoreKey the bundle', async () => {
    const made = await call('POST', '/keys/saved/create', { kty: 'EC', tags: { secretly: 'tagged' } });
    const backup = await call('POST', '/keys/saved/backup');
    expect(Object.keys(backup.json)).toEqual(['value']);
    expect(backup.json.value).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(Buffer.from(backup.json.value as string, 'base64url').includes('secretly')).toBe(false);
    await call('DELETE', '/keys/saved');
    await call('DELETE', '/deletedkeys/saved');
    const restored = await call('POST', '/keys/restore', { value: backup.json.value });
    expect([restored.status, restored.text]).toEqual([200, made.text]);
  });

  test('lists: items without key, their ids without version but in the list of versions', async () => {
    const list = vaultCaller(server, token, 'short');
    const at = 'https://short.vault.azure.net';
    const attributes = `{"enabled":true,"created":${now},"updated":${now},"recoveryLevel":"CustomizedRecoverable+Purgeable","recoverableDays":7,"exportable":false,"hsmPlatform":"0"}`;
    expect((await list('GET', '/keys')).text).toBe('{"value":[],"nextLink":null}');
    const made = await list('POST', '/keys/one/create', { kty: 'EC', tags: { t: '1' } });
    expect((await list('GET', '/keys')).text).toBe(
      `{"value":[{"kid":"${at}/keys/one","attributes":${attributes},"tags":{"t":"1"}}],"nextLink":null}`,
    );
    expect((await list('GET', '/keys/one/versions')).text).toBe(
      `{"value":[{"kid":"${at}/keys/one/${keyVersionOf(made)}","attributes":${attributes},"tags":{"t":"1"}}],"nextLink":null}`,
    );
    await list('DELETE', '/keys/one');
    expect((await list('GET', '/deletedkeys')).text).toBe(
      `{"value":[{"recoveryId":"${at}/deletedkeys/one","deletedDate":${now},"scheduledPurgeDate":${now + 7 * days},"kid":"${at}/keys/one","attributes":${attributes},"tags":{"t":"1"}}],"nextLink":null}`,
    );
    expect((await list('GET', '/keys')).text).toBe('{"value":[],"nextLink":null}');
    await list('POST', '/keys/two/create', { kty: 'EC' });
    await list('POST', '/keys/two/create', { kty: 'EC' });
    const page = await list('GET', '/keys/two/versions?api-version=7.4&maxresults=1');
    expect(page.json.nextLink).toMatch(
      /^https:\/\/short\.vault\.azure\.net:443\/keys\/two\/versions\?api-version=7\.4&\$skiptoken=[A-Za-z0-9_-]+&maxresults=1$/,
    );
  });

  test('what keys do: kid with version, then the value; verify tells true or false alone', async () => {
    const kid = kidOf('signer', await call('POST', '/keys/signer/create', { kty: 'EC' }));
    const signed = await call('POST', '/keys/signer/sign', { alg: 'ES256', value: digest });
    expect(signed.text).toBe(`{"kid":"${kid}","value":"${signed.json.value}"}`);
    expect(signed.json.value).toMatch(/^[A-Za-z0-9_-]{86}$/);
    const verify = (value: string) => call('POST', '/keys/signer/verify', { alg: 'ES256', digest, value });
    expect((await verify(signed.json.value)).text).toBe('{"value":true}');
    expect((await verify(digest)).text).toBe('{"value":false}');

    const rsa = kidOf('crypt', await call('POST', '/keys/crypt/create', { kty: 'RSA' }));
    for (const [there, back] of [
      ['encrypt', 'decrypt'],
      ['wrapkey', 'unwrapkey'],
    ]) {
      const made = await call('POST', `/keys/crypt/${there}`, { alg: 'RSA-OAEP-256', value: digest });
      expect(made.text).toBe(`{"kid":"${rsa}","value":"${made.json.value}"}`);
      const undone = await call('POST', `/keys/crypt/${back}`, {
        alg: 'RSA-OAEP-256',
        value: made.json.value,
      });
      expect(undone.text).toBe(`{"kid":"${rsa}","value":"${digest}"}`);
    }
  });

  test('symmetric encryption answers IV, tag and the additional data too', async () => {
    const kid = kidOf('sealer', await call('POST', '/keys/sealer/create', { kty: 'oct-HSM', key_size: 256 }));
    const gcm = await call('POST', '/keys/sealer/encrypt', { alg: 'A256GCM', value: digest, aad: 'YWFk' });
    const { value, iv, tag } = gcm.json;
    expect(gcm.text).toBe(`{"kid":"${kid}","value":"${value}","iv":"${iv}","tag":"${tag}","aad":"YWFk"}`);
    const body = { alg: 'A256GCM', value, iv, tag, aad: 'YWFk' };
    expect((await call('POST', '/keys/sealer/decrypt', body)).text).toBe(
      `{"kid":"${kid}","value":"${digest}"}`,
    );
    const given = Buffer.alloc(16, 2).toString('base64url');
    const cbc = await call('POST', '/keys/sealer/encrypt', { alg: 'A256CBC', value: digest, iv: given });
    expect(cbc.text).toBe(`{"kid":"${kid}","value":"${cbc.json.value}","iv":"${given}"}`);
    const wrapped = await call('POST', '/keys/sealer/wrapkey', { alg: 'A256KW', value: digest });
    expect(wrapped.text).toBe(`{"kid":"${kid}","value":"${wrapped.json.value}"}`);
    const empty = await call('POST', '/keys/sealer/encrypt', { alg: 'A256GCM', value: '' });
    expect(empty.text).toBe(`{"kid":"${kid}","value":"","iv":"${empty.json.iv}","tag":"${empty.json.tag}"}`);
  });

  test('rotation: a policy that was never set, one that was, one that was emptied, and the new version', async () => {
    const made = await call('POST', '/keys/turn/create', { kty: 'EC', tags: { t: '1' } });
    const unset =
      '{"lifetimeActions":[{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}}],"attributes":null}';
    expect((await call('GET', '/keys/turn/rotationpolicy')).text).toBe(unset);
    const set = await call('PUT', '/keys/turn/rotationpolicy', {
      attributes: { expiryTime: 'P90D' },
      lifetimeActions: [{ action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P30D' } }],
    });
    const text = `{"id":"${origin}/keys/turn/rotationpolicy","lifetimeActions":[{"trigger":{"timeAfterCreate":"P30D"},"action":{"type":"Rotate"}},{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}}],"attributes":{"expiryTime":"P90D","created":${now},"updated":${now}}}`;
    expect([set.status, set.text]).toEqual([200, text]);
    expect((await call('GET', '/keys/turn/rotationpolicy')).text).toBe(text);
    const rotated = await call('POST', '/keys/turn/rotate');
    const kid = kidOf('turn', rotated);
    expect(kid).not.toBe(kidOf('turn', made));
    const key = jwkText(rotated, { kid, kty: 'EC', ops: '["sign","verify"]', members: ec });
    const attributes = `{"enabled":true,"exp":${now + 90 * days},"created":${now},"updated":${now},${level},"exportable":false,"hsmPlatform":"0"}`;
    expect([rotated.status, rotated.text]).toEqual([
      200,
      `{"key":${key},"attributes":${attributes},"tags":{"t":"1"}}`,
    ]);
  });

  test('a release policy is written anew by the server, last in the bundle', async () => {
    const condition = { authority: 'https://attest.test', allOf: [{ claim: 'c', equals: 'x' }] };
    const data = Buffer.from(JSON.stringify({ anyOf: [condition], version: '1.0.0' })).toString('base64url');
    const written = Buffer.from(JSON.stringify({ version: '1.0.0', anyOf: [condition] })).toString(
      'base64url',
    );
    const made = await call('POST', '/keys/released/create', {
      kty: 'EC-HSM',
      attributes: { exportable: true },
      tags: { t: '1' },
      release_policy: { data, immutable: false },
    });
    expect(
      made.text.endsWith(
        `"exportable":true,"hsmPlatform":"0"},"tags":{"t":"1"},"release_policy":{"contentType":"application/json; charset=utf-8","data":"${written}","immutable":false}}`,
      ),
    ).toBe(true);
    // As recorded, a deleted key shows none.
    const deleted = await call('DELETE', '/keys/released');
    expect(deleted.text.endsWith('"hsmPlatform":"0"},"tags":{"t":"1"}}')).toBe(true);
  });
});

describe('api-version', () => {
  const days90 = { recoverableDays: 90 };
  const exportable = { ...days90, exportable: false };
  const platform = { ...exportable, hsmPlatform: '0' };
  test.each([
    ['2016-10-01', {}],
    ['7.0', {}],
    ['7.1', days90],
    ['7.2', days90],
    ['7.3', exportable],
    ['7.4', exportable],
    ['7.5-preview.1', platform],
    ['7.5', platform],
    ['7.6', platform],
    ['2025-07-01', platform],
    ['2026-04-01', { ...platform, key_size: 128 }],
    ['2026-05-01-preview', { ...platform, key_size: 128 }],
  ])('%s has attributes of its own', async (version, since) => {
    const at = (path: string) => `${path}?api-version=${version}`;
    const made = await call('POST', at('/keys/versioned/create'), { kty: 'oct-HSM', key_size: 128 });
    const { created, updated } = made.json.attributes;
    const attributes = { enabled: true, created, updated, recoveryLevel: 'Recoverable+Purgeable', ...since };
    const text = JSON.stringify(attributes);
    expect(JSON.stringify(made.json.attributes)).toBe(text);
    const versions = await call('GET', at('/keys/versioned/versions'));
    expect(JSON.stringify(versions.json.value[0].attributes)).toBe(text);
    await call('DELETE', at('/keys/versioned'));
    const deleted = await call('GET', at('/deletedkeys'));
    const item = deleted.json.value.find(({ kid }: { kid: string }) => kid.endsWith('/versioned'));
    expect(JSON.stringify(item.attributes)).toBe(text);
    await call('DELETE', at('/deletedkeys/versioned'));
  });

  test('the size of other keys is not shown', async () => {
    const made = await call('POST', '/keys/sized/create?api-version=2026-04-01', { kty: 'EC' });
    expect(made.json.attributes).not.toHaveProperty('key_size');
  });

  test.each([
    ['POST', 'rotate', '7.2', '7.3'],
    ['GET', 'rotationpolicy', '7.2', '7.3'],
    ['PUT', 'rotationpolicy', '7.2', '7.3'],
    ['POST', 'release', '7.2', '7.3'],
    ['GET', 'attestation', '7.5', '7.6'],
    ['POST', 'securewrapkey', '2025-07-01', '2026-04-01'],
    ['POST', 'secureunwrapkey', '2025-07-01', '2026-04-01'],
  ])('%s %s is no operation of %s, but is of %s', async (method, operation, before, since) => {
    await call('POST', '/keys/gated/create', { kty: 'EC' });
    const body = method === 'GET' || operation === 'rotate' ? undefined : {};
    const refused = await call(method, `/keys/gated/${operation}?api-version=${before}`, body);
    expect([refused.status, refused.text]).toEqual([
      400,
      `{"error":{"code":"BadParameter","message":"Method ${method} does not allow operation '${operation}'"}}`,
    ]);
    const reply = await call(method, `/keys/gated/${operation}?api-version=${since}`, body);
    expect(reply.text).not.toContain('does not allow operation');
  });
});

describe('paths', () => {
  test('a doubled slash, a trailing one, and names and operations in any case', async () => {
    const made = await call('POST', '/keys/Mixed/create', { kty: 'RSA' });
    const kid = kidOf('Mixed', made);
    const version = keyVersionOf(made);
    const body = { alg: 'RS256', value: digest };
    const first = await call('POST', '/keys/Mixed/sign', body);
    for (const path of [
      '/keys/Mixed//sign',
      '/keys/mixed/sign/',
      '/KEYS/MIXED/SIGN',
      `/keys/Mixed/${version}/Sign`,
      `/keys/mIXED/${version.toUpperCase()}/sign`,
    ]) {
      const reply = await call('POST', path, body);
      expect([path, reply.status, reply.text]).toEqual([path, 200, first.text]);
    }
    expect(first.json.kid).toBe(kid);
    const oaep = { alg: 'RSA-OAEP', value: digest };
    for (const path of ['/keys/Mixed//wrapKey', '/keys/Mixed/WRAPKEY', '/keys/Mixed/wrapkey'])
      expect((await call('POST', path, oaep)).status).toBe(200);
    expect((await call('GET', '/keys/MIXED//attestation')).text).toBe(made.text);
    expect((await call('GET', '/Keys/MIXED/RotationPolicy')).status).toBe(200);
    expect((await call('PATCH', '/keys/mixed//', { tags: { a: '1' } })).json.key.kid).toBe(kid);
    const again = await call('POST', '/keys/MIXED/create', { kty: 'EC' });
    expect(again.json.key.kid).toBe(kidOf('Mixed', again));
  });

  test('a key may be called as an operation is', async () => {
    for (const name of ['create', 'restore', 'sign', 'versions', 'rotate', 'rotationpolicy']) {
      const made = await call('POST', `/keys/${name}/create`, { kty: 'EC' });
      expect((await call('GET', `/keys/${name}`)).text).toBe(made.text);
      const signed = await call('POST', `/keys/${name}/sign`, { alg: 'ES256', value: digest });
      expect(signed.json.kid).toBe(kidOf(name, made));
    }
  });
});

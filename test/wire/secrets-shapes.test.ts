/** Proves the shape of every success of the secrets API, to the letter, and the headers that go with it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import {
  makeIdentity,
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, makeVault, type VaultCaller, versionOf } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const now = clock.now() / 1000;
const days = 86_400;
const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer({ clock });
  await makeVault(server, 'short', { retentionDays: 7, location: 'westeurope' });
  await makeVault(server, 'kept', { purgeProtection: true });
  await makeVault(server, 'keptshort', { purgeProtection: true, retentionDays: 89 });
  token = await tokenFor(server);
  call = vaultCaller(server, token);
});
afterAll(() => server.close());

const origin = 'https://dev.vault.azure.net';
const plain = `{"enabled":true,"created":${now},"updated":${now},"recoveryLevel":"Recoverable+Purgeable","recoverableDays":90}`;

function idOf(name: string, reply: RawResponse): string {
  return `${origin}/secrets/${name}/${versionOf(reply)}`;
}

describe('each operation', () => {
  const full = {
    value: 'v',
    contentType: 'text/plain',
    tags: { a: '1', B: '' },
    attributes: { exp: now + 20, enabled: true, nbf: now + 10, created: 1, recoveryLevel: 'x' },
  };
  const fullAttributes = `{"enabled":true,"nbf":${now + 10},"exp":${now + 20},"created":${now},"updated":${now},"recoveryLevel":"Recoverable+Purgeable","recoverableDays":90}`;

  test('SetSecret and GetSecret answer the bundle; what was not given is absent', async () => {
    const bare = await call('PUT', '/secrets/bare', { value: '' });
    expect(bare.status).toBe(200);
    expect(bare.text).toBe(`{"value":"","id":"${idOf('bare', bare)}","attributes":${plain}}`);
    const set = await call('PUT', '/secrets/full', full);
    const text = `{"value":"v","contentType":"text/plain","id":"${idOf('full', set)}","attributes":${fullAttributes},"tags":{"a":"1","B":""}}`;
    expect(set.text).toBe(text);
    expect(versionOf(set)).toMatch(/^[0-9a-f]{32}$/);
    expect((await call('GET', '/secrets/full')).text).toBe(text);
    expect((await call('GET', `/secrets/full/${versionOf(set)}`)).text).toBe(text);
  });

  test('nulls mean not given; empty tags and an empty content type are kept', async () => {
    const nulls = {
      value: 'v',
      contentType: null,
      tags: null,
      attributes: { enabled: null, nbf: null, exp: null },
    };
    const set = await call('PUT', '/secrets/nulls', nulls);
    expect(set.text).toBe(`{"value":"v","id":"${idOf('nulls', set)}","attributes":${plain}}`);
    const empty = await call('PUT', '/secrets/empty', {
      value: 'v',
      contentType: '',
      tags: {},
      attributes: {},
    });
    expect(empty.text).toBe(
      `{"value":"v","contentType":"","id":"${idOf('empty', empty)}","attributes":${plain},"tags":{}}`,
    );
  });

  test('UpdateSecret answers without the value', async () => {
    const set = await call('PUT', '/secrets/patched', { value: 'v' });
    const reply = await call('PATCH', '/secrets/patched', { contentType: 'c', tags: { t: '1' } });
    expect(reply.status).toBe(200);
    expect(reply.text).toBe(
      `{"contentType":"c","id":"${idOf('patched', set)}","attributes":${plain},"tags":{"t":"1"}}`,
    );
  });

  test('deletion, its reading, recovery and purge', async () => {
    const set = await call('PUT', '/secrets/gone', { ...full });
    const rest = `"contentType":"text/plain","id":"${idOf('gone', set)}","attributes":${fullAttributes},"tags":{"a":"1","B":""}}`;
    const recovery = `{"recoveryId":"${origin}/deletedsecrets/gone","deletedDate":${now},"scheduledPurgeDate":${now + 90 * days},`;
    const deleted = await call('DELETE', '/secrets/gone');
    expect([deleted.status, deleted.text]).toEqual([200, recovery + rest]);
    expect((await call('GET', '/deletedsecrets/gone')).text).toBe(recovery + rest);
    const recovered = await call('POST', '/deletedsecrets/gone/recover');
    expect([recovered.status, recovered.text]).toEqual([200, `{${rest}`]);
    await call('DELETE', '/secrets/gone');
    const purged = await call('DELETE', '/deletedsecrets/gone');
    expect([purged.status, purged.text]).toEqual([204, '']);
    expect(purged.headers['content-type']).toBeUndefined();
    expect(purged.headers['content-length']).toBeUndefined();
    expect(purged.headers['transfer-encoding']).toBeUndefined();
  });

  test('BackupSecret answers an opaque base64url text, RestoreSecret the bundle without value', async () => {
    const set = await call('PUT', '/secrets/saved', full);
    const backup = await call('POST', '/secrets/saved/backup');
    expect(Object.keys(backup.json)).toEqual(['value']);
    expect(backup.json.value).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(Buffer.from(backup.json.value as string, 'base64url').includes('text/plain')).toBe(false);
    await call('DELETE', '/secrets/saved');
    await call('DELETE', '/deletedsecrets/saved');
    const restored = await call('POST', '/secrets/restore', { value: backup.json.value });
    expect(restored.text).toBe(
      `{"contentType":"text/plain","id":"${idOf('saved', set)}","attributes":${fullAttributes},"tags":{"a":"1","B":""}}`,
    );
  });

  test('lists: items without value, their ids without version but in the list of versions', async () => {
    const list = vaultCaller(server, token, 'short');
    const attributes = `{"enabled":true,"created":${now},"updated":${now},"recoveryLevel":"CustomizedRecoverable+Purgeable","recoverableDays":7}`;
    const at = 'https://short.vault.azure.net';
    const set = await list('PUT', '/secrets/one', { value: 'v', contentType: 'c', tags: { t: '1' } });
    const version = versionOf(set);
    expect((await list('GET', '/secrets')).text).toBe(
      `{"value":[{"contentType":"c","id":"${at}/secrets/one","attributes":${attributes},"tags":{"t":"1"}}],"nextLink":null}`,
    );
    expect((await list('GET', '/secrets/one/versions')).text).toBe(
      `{"value":[{"contentType":"c","id":"${at}/secrets/one/${version}","attributes":${attributes},"tags":{"t":"1"}}],"nextLink":null}`,
    );
    await list('DELETE', '/secrets/one');
    expect((await list('GET', '/deletedsecrets')).text).toBe(
      `{"value":[{"recoveryId":"${at}/deletedsecrets/one","deletedDate":${now},"scheduledPurgeDate":${now + 7 * days},"contentType":"c","id":"${at}/secrets/one","attributes":${attributes},"tags":{"t":"1"}}],"nextLink":null}`,
    );
    expect((await list('GET', '/secrets')).text).toBe('{"value":[],"nextLink":null}');
  });
});

describe('recovery level and days', () => {
  test.each([
    ['dev', 'Recoverable+Purgeable', 90],
    ['short', 'CustomizedRecoverable+Purgeable', 7],
    ['kept', 'Recoverable', 90],
    ['keptshort', 'CustomizedRecoverable', 89],
  ])('of the vault %s are %s and %d', async (vault, recoveryLevel, recoverableDays) => {
    const reply = await vaultCaller(server, token, vault)('PUT', '/secrets/level', { value: 'v' });
    expect(reply.json.attributes).toMatchObject({ recoveryLevel, recoverableDays });
  });
});

describe('api-version', () => {
  const old = ['2016-10-01', '7.0'];
  const later = ['7.1', '7.2', '7.3', '7.4', '7.5', '7.6', '2025-07-01', '2026-04-01'];
  const previews = ['7.4-preview.1', '7.6-preview.2', '7.6-preview.1'];

  test.each([...old, ...later, ...previews])('%s is served', async (version) => {
    const put = await call('PUT', `/secrets/ver?api-version=${version}`, { value: 'v' });
    expect(put.status).toBe(200);
    const days = old.includes(version) ? undefined : 90;
    expect(put.json.attributes.recoverableDays).toBe(days);
    const list = await call('GET', `/secrets?api-version=${version}&maxresults=1`);
    expect(list.json.value[0].attributes.recoverableDays).toBe(days);
    expect(list.json.nextLink).toContain(`?api-version=${version}&$skiptoken=`);
  });

  test.each(['7.7', '7', '2015-06-01', '2099-01-01', 'preview', 'latest', '7.4%20', '%00', '2025-07-01,7.4'])(
    '%s is refused',
    async (version) => {
      const reply = await call('GET', `/secrets?api-version=${version}`);
      expect(reply.text).toBe(
        errorBody(
          'BadParameter',
          `The specified version (${decodeURIComponent(version)}) is not recognized. Consider using the latest supported version (2026-04-01).`,
        ),
      );
      expect(reply.status).toBe(400);
    },
  );

  test.each(['', '?', '?api-version=', '?api_version=7.4'])(
    'none (%j) is refused: there is no default',
    async (query) => {
      const reply = await send(server, {
        host: 'dev.vault.azure.net',
        path: `/secrets${query}`,
        headers: { Authorization: `Bearer ${token}` },
      });
      expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    },
  );

  test('its name may be percent-encoded, as the newest JavaScript clients send it', async () => {
    const reply = await send(server, {
      host: 'dev.vault.azure.net',
      path: '/secrets?api%2Dversion=2025-07-01',
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(reply.status).toBe(200);
  });
});

describe('headers', () => {
  const always = {
    'cache-control': 'no-cache',
    pragma: 'no-cache',
    expires: '-1',
    'strict-transport-security': 'max-age=31536000;includeSubDomains',
    'x-content-type-options': 'nosniff',
    'x-ms-keyvault-network-info': 'conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;',
  };
  const assignment = 'x-ms-keyvault-rbac-assignment-id';

  function assertCommon(reply: RawResponse, region: string): void {
    expect(reply.headers).toMatchObject({ ...always, 'x-ms-keyvault-region': region });
    expect(reply.headers['x-ms-request-id']).toMatch(guid);
    expect(reply.headers['x-ms-keyvault-service-version']).toMatch(/^1\.9\.\d+\.\d+$/);
    expect(Number.isNaN(Date.parse(reply.headers.date ?? ''))).toBe(false);
    for (const absent of ['server', 'x-powered-by', 'allow', 'etag', 'vary', 'access-control-allow-origin']) {
      expect(reply.headers[absent]).toBeUndefined();
    }
  }

  function assertJson(reply: RawResponse): void {
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(reply.headers['content-length']).toBe(String(Buffer.byteLength(reply.text)));
    expect(reply.headers['transfer-encoding']).toBeUndefined();
  }

  test('are on every answer: 200, 204, 400, 401, 403, 404, 405, 409', async () => {
    const west = vaultCaller(server, token, 'short');
    await west('PUT', '/secrets/h', { value: 'é' });
    const stranger = await makeIdentity(server, 'stranger');
    const strangers = vaultCaller(server, await tokenFor(server, { identity: stranger }), 'short');
    const replies = {
      200: await west('GET', '/secrets/h'),
      400: await west('GET', '/secrets/a_b'),
      401: await send(server, { host: 'short.vault.azure.net', path: '/secrets?api-version=7.4' }),
      403: await strangers('GET', '/secrets/h'),
      404: await west('GET', '/secrets/nosuch'),
      405: await west('PUT', '/secrets/', { value: 'v' }),
      409: (await west('DELETE', '/secrets/h')) && (await west('PUT', '/secrets/h', { value: 'v' })),
      204: await west('DELETE', '/deletedsecrets/h'),
    };
    for (const [status, reply] of Object.entries(replies)) {
      expect(reply.status).toBe(Number(status));
      assertCommon(reply, 'westeurope');
      if (status !== '204') assertJson(reply);
      expect(reply.headers['www-authenticate'] === undefined).toBe(status !== '401');
    }
    const ids = new Set(Object.values(replies).map((reply) => reply.headers['x-ms-request-id']));
    expect(ids.size).toBe(8);
  });

  test('the role assignment is named once the caller is let in, without dashes, on refusals after that too', async () => {
    const { grants } = await server.control<{ grants: { id: string; scope: string }[] }>('identity grants', {
      identity: server.clientId,
    });
    const id = grants.find((grant) => grant.scope.endsWith('/vaults/dev'))?.id.replaceAll('-', '');
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    await call('PUT', '/secrets/off', { value: 'v', attributes: { enabled: false } });
    const admitted = [
      await call('GET', '/secrets'),
      await call('GET', '/secrets/nosuch'),
      await call('GET', '/secrets/off'),
      await call('PUT', '/secrets/x', {}),
    ];
    expect(admitted.map((reply) => reply.status)).toEqual([200, 404, 403, 400]);
    for (const reply of admitted) expect(reply.headers[assignment]).toBe(id);
    const stranger = await makeIdentity(server, 'stranger2');
    const refused = [
      await vaultCaller(server, await tokenFor(server, { identity: stranger }))('GET', '/secrets/off'),
      await send(server, { host: 'dev.vault.azure.net', path: '/secrets?api-version=7.4' }),
      await call('GET', '/secrets/a_b'),
    ];
    expect(refused.map((reply) => reply.status)).toEqual([403, 401, 400]);
    for (const reply of refused) expect(reply.headers[assignment]).toBeUndefined();
  });

  test("the caller's request id is echoed, on errors and challenges too, but never one that cannot be printed", async () => {
    const header = 'x-ms-client-request-id';
    const id = '00000000-1111-2222-3333-444444444444';
    const echo = async (path: string, value: string, authorization = `Bearer ${token}`) => {
      const headers = { [header]: value, Authorization: authorization };
      const reply = await send(server, {
        host: 'dev.vault.azure.net',
        path: `${path}?api-version=7.4`,
        headers,
      });
      return [reply.status, reply.headers[header]];
    };
    expect(await echo('/secrets', id)).toEqual([200, id]);
    expect(await echo('/secrets', 'not a guid; "quoted"')).toEqual([200, 'not a guid; "quoted"']);
    expect(await echo('/secrets/nosuch', id)).toEqual([404, id]);
    expect(await echo('/secrets', id, 'Bearer x')).toEqual([401, id]);
    expect(await echo('/secrets', id, '')).toEqual([401, id]);
    expect(await echo('/secrets', 'caf\u00e9')).toEqual([200, undefined]);
    expect(await echo('/secrets', 'a\tb')).toEqual([200, undefined]);
    expect(await echo('/secrets', '')).toEqual([200, undefined]);
    expect(await echo('/secrets', 'x'.repeat(5000))).toEqual([200, undefined]);
  });

  test('HEAD is no operation: 405, and nothing after the headers', async () => {
    const reply = await call('HEAD', '/secrets/full');
    expect([reply.status, reply.text]).toEqual([405, '']);
  });
});

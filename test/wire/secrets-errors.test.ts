/** Proves the refusals that an authorized caller of the secrets API meets: 400, 403, 404, 405, 409, 413 and 415. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send, startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, makeVault, secretNotFound, type VaultCaller, versionOf } from '../support/vault-rest.ts';

let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  await makeVault(server, 'kept', { purgeProtection: true, retentionDays: 7 });
  await makeVault(server, 'second');
  token = await tokenFor(server);
  call = vaultCaller(server, token);
  await call('PUT', '/secrets/live', { value: 'v' });
  await call('PUT', '/secrets/gone', { value: 'v' });
  await call('DELETE', '/secrets/gone');
});
afterAll(() => server.close());

const unknownVersion = '0123456789abcdef0123456789abcdef';

describe('404', () => {
  test('a secret that is not there or is deleted, for every operation on a live one', async () => {
    for (const name of ['nosuch', 'gone']) {
      const replies = [
        await call('GET', `/secrets/${name}`),
        await call('PATCH', `/secrets/${name}`, {}),
        await call('PATCH', `/secrets/${name}/${unknownVersion}`, {}),
        await call('DELETE', `/secrets/${name}`),
        await call('POST', `/secrets/${name}/backup`),
      ];
      for (const reply of replies) expect([reply.status, reply.text]).toEqual([404, secretNotFound(name)]);
    }
    const recovered = await call('POST', '/deletedsecrets/nosuch/recover');
    expect([recovered.status, recovered.text]).toEqual([404, secretNotFound('nosuch')]);
    expect((await call('DELETE', '/deletedsecrets/nosuch')).status).toBe(404);
  });

  test('a version that is not there, in any form', async () => {
    for (const version of [unknownVersion, 'x', '%2e%2e', 'a'.repeat(300)]) {
      for (const [method, body] of [['GET'], ['PATCH', {}]] as const) {
        const reply = await call(method, `/secrets/live/${version}`, body);
        expect([reply.status, reply.text]).toEqual([
          404,
          secretNotFound(`live/${decodeURIComponent(version)}`),
        ]);
      }
    }
  });

  test('GET of a deleted secret that is live or absent', async () => {
    for (const name of ['live', 'nosuch']) {
      const reply = await call('GET', `/deletedsecrets/${name}`);
      expect([reply.status, reply.text]).toEqual([
        404,
        errorBody('SecretNotFound', `Deleted Secret not found: ${name}`),
      ]);
    }
  });

  test('a collection that does not exist', async () => {
    for (const path of ['/', '/nosuch', '/secret/live', '/secretsx', '/%73ecrets%2Flive']) {
      const reply = await call('GET', path);
      expect([path, reply.status]).toEqual([path, 404]);
    }
  });
});

describe('400 and 405 by path', () => {
  test.each([
    ['/secrets/bad_name', 'bad_name'],
    ['/secrets/bad%20name', 'bad name'],
    ['/secrets/a%2Fb', 'a/b'],
    ['/secrets/..', '..'],
    ['/secrets/%2e%2e', '..'],
    ['/secrets/..%2Fkeys', '../keys'],
    ['/secrets/../keys/k', '..'],
    ['/secrets/./live', '.'],
    ['/secrets/a%00b', 'a\0b'],
    ['/secrets/na%C3%AFve', 'naïve'],
    ['/secrets/%zz', '%zz'],
    ['/secrets/%C0%AF', '%C0%AF'],
    ['/secrets/live%252F', 'live%2F'],
    ["/secrets/o'neil", "o'neil"],
    ['/secrets/a;b', 'a;b'],
    ['/secrets/*', '*'],
    ['/secrets/:name', ':name'],
    ['/deletedsecrets/bad_name', 'bad_name'],
  ])('%s is an invalid name', async (path, name) => {
    const reply = await call('GET', path);
    expect([reply.status, reply.text]).toEqual([
      400,
      errorBody('BadParameter', `The request URI contains an invalid name: ${name}`),
    ]);
  });

  test('an overlong name is named in short', async () => {
    for (const length of [300, 5000]) {
      const reply = await call('GET', `/secrets/${'n'.repeat(length)}`);
      expect([reply.status, reply.text]).toEqual([
        400,
        errorBody('BadParameter', `The request URI contains an invalid name: ${'n'.repeat(256)}`),
      ]);
    }
  });

  test.each([
    ['PUT', '/secrets'],
    ['PUT', '/secrets/'],
    ['PUT', '/secrets//'],
    ['POST', '/secrets'],
    ['POST', '/secrets/live'],
    ['DELETE', '/secrets'],
    ['PUT', '/deletedsecrets/gone'],
    ['OPTIONS', '/secrets/live'],
    ['TRACE', '/secrets/live'],
  ])('%s %s is not allowed', async (method, path) => {
    const body = method === 'PUT' || method === 'POST' ? { value: 'v' } : undefined;
    const reply = await call(method, path, body);
    expect([reply.status, reply.text]).toEqual([
      405,
      errorBody('MethodNotAllowed', `HTTP ${method} not allowed`),
    ]);
    expect(reply.headers.allow).toBeUndefined();
  });

  test.each([
    ['GET', '/secrets/live/versions/x', 'x'],
    ['POST', '/secrets/live/attestation', 'attestation'],
    ['POST', '/deletedsecrets/gone/restore', 'restore'],
    ['GET', '/secrets/live/backup/x', 'x'],
    ['DELETE', `/secrets/live/${unknownVersion}`, unknownVersion],
    ['PUT', `/secrets/live/${unknownVersion}`, unknownVersion],
  ])('%s %s names no operation', async (method, path, operation) => {
    const reply = await call(method, path, method === 'PUT' ? { value: 'v' } : undefined);
    expect([reply.status, reply.text]).toEqual([
      400,
      errorBody('BadParameter', `Method ${method} does not allow operation '${operation}'`),
    ]);
  });
});

describe('400 by body', () => {
  test('none, or one of spaces', async () => {
    for (const body of [undefined, '', ' \r\n']) {
      for (const [method, path] of [
        ['PUT', '/secrets/b'],
        ['PATCH', '/secrets/live'],
        ['POST', '/secrets/restore'],
      ] as const) {
        const reply = await call(method, path, body);
        expect([reply.status, reply.text]).toEqual([
          400,
          errorBody('BadParameter', 'Request body not specified'),
        ]);
      }
    }
  });

  test('not JSON, and nothing of it comes back', async () => {
    for (const body of [
      '{',
      '{"value":"hunter2"',
      '{"value":"hunter2",}',
      "{'value':'hunter2'}",
      'hunter2',
      '\ufeff\ufeff{}',
    ]) {
      const reply = await call('PUT', '/secrets/b', body);
      expect([body, reply.status, reply.json.error.code]).toEqual([body, 400, 'BadParameter']);
      expect(reply.json.error.message).toMatch(/^Property {2}has invalid value\r\n/);
      expect(reply.text).not.toContain('hunter2');
    }
  });

  test('not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"value":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    const reply = await send(server, {
      host: 'dev.vault.azure.net',
      method: 'PUT',
      path: '/secrets/b?api-version=7.4',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body,
    });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    expect((await call('GET', '/secrets/b')).status).toBe(404);
  });

  test.each([
    ['[]', ''],
    ['null', ''],
    ['"v"', ''],
    ['5', ''],
    ['{}', 'value'],
    ['{"value":null}', 'value'],
    ['{"value":5}', 'value'],
    ['{"value":["v"]}', 'value'],
    ['{"Value":"v"}', 'value'],
    ['{"value":"v","contentType":5}', 'contentType'],
    ['{"value":"v","tags":"t"}', 'tags'],
    ['{"value":"v","tags":["t"]}', 'tags'],
    ['{"value":"v","tags":{"t":5}}', 'tags'],
    ['{"value":"v","tags":{"t":null}}', 'tags'],
    ['{"value":"v","tags":{"t":{}}}', 'tags'],
    ['{"value":"v","attributes":[]}', 'attributes'],
    ['{"value":"v","attributes":"x"}', 'attributes'],
    ['{"value":"v","attributes":{"enabled":"true"}}', 'attributes'],
    ['{"value":"v","attributes":{"enabled":1}}', 'attributes'],
    ['{"value":"v","attributes":{"exp":"2030-01-01T00:00:00Z"}}', 'attributes'],
    ['{"value":"v","attributes":{"nbf":1.5}}', 'attributes'],
  ])('%s: a property has an invalid value', async (body, property) => {
    const reply = await call('PUT', '/secrets/b', body);
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    expect(reply.json.error.message.startsWith(`Property ${property} has invalid value\r\n`)).toBe(true);
    expect((await call('GET', '/secrets/b')).status).toBe(404);
  });

  test('PATCH is as strict, and changes nothing then', async () => {
    const before = (await call('GET', '/secrets/live')).text;
    for (const body of [
      '[]',
      '"x"',
      '{"attributes":{"enabled":"false"}}',
      '{"contentType":1}',
      '{"tags":[]}',
    ]) {
      expect((await call('PATCH', '/secrets/live', body)).status).toBe(400);
    }
    expect((await call('GET', '/secrets/live')).text).toBe(before);
  });

  test('unknown members are ignored, as Azure ignores them; a value in PATCH is one', async () => {
    expect((await call('PUT', '/secrets/extra', { value: 'v', extra: { a: 1 }, id: 'x' })).status).toBe(200);
    expect((await call('PATCH', '/secrets/extra', { value: 'changed' })).status).toBe(200);
    expect((await call('GET', '/secrets/extra')).json.value).toBe('v');
  });

  test('415 for a body of another type, 413 for one too large', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx']) {
      const reply = await call('PUT', '/secrets/b', '{"value":"v"}', { 'Content-Type': type });
      expect([type, reply.status, reply.json.error.code]).toEqual([type, 415, 'UnsupportedMediaType']);
    }
    for (const type of [
      'application/json',
      'application/JSON; charset=utf-8',
      'application/merge-patch+json',
    ]) {
      expect((await call('PUT', '/secrets/typed', '{"value":"v"}', { 'Content-Type': type })).status).toBe(
        200,
      );
    }
    const body = `{"value":"${'x'.repeat(512 * 1024)}"}`;
    const large = await call('PUT', '/secrets/b', body);
    expect([large.status, large.json.error.code]).toEqual([413, 'RequestBodyTooLarge']);
    const unannounced = await call('PUT', '/secrets/b', body, { 'Transfer-Encoding': 'chunked' });
    expect([unannounced.status, unannounced.json.error.code]).toEqual([413, 'RequestBodyTooLarge']);
  });
});

describe('states of a secret', () => {
  test('409 for a PUT on a deleted name, in whatever case it is written', async () => {
    for (const name of ['gone', 'GONE']) {
      const reply = await call('PUT', `/secrets/${name}`, { value: 'v' });
      expect([reply.status, reply.text]).toEqual([
        409,
        errorBody(
          'Conflict',
          'Secret gone is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.',
          'ObjectIsDeletedButRecoverable',
        ),
      ]);
    }
  });

  test('400 for recovery and purge of a live secret', async () => {
    const recovered = await call('POST', '/deletedsecrets/live/recover');
    expect([recovered.status, recovered.text]).toEqual([
      400,
      errorBody('MethodNotAllowed', 'Secret exists already: live', 'RequestNotAllowedOnNonDeletedObject'),
    ]);
    const purged = await call('DELETE', '/deletedsecrets/live');
    expect([purged.status, purged.text]).toEqual([
      400,
      errorBody(
        'MethodNotAllowed',
        'Secret must be deleted prior to being purged.',
        'ObjectMustBeDeletedPriorToBeingPurged',
      ),
    ]);
    expect((await call('GET', '/secrets/live')).status).toBe(200);
  });

  test('403 SecretDisabled for its value, current or by version, and when it is deleted; all else works', async () => {
    const disabled = errorBody(
      'Forbidden',
      'Operation get is not allowed on a disabled secret.',
      'SecretDisabled',
    );
    const set = await call('PUT', '/secrets/off', { value: 'v', attributes: { enabled: false } });
    expect([set.status, set.json.attributes.enabled]).toEqual([200, false]);
    for (const path of ['/secrets/off', `/secrets/off/${versionOf(set)}`]) {
      const reply = await call('GET', path);
      expect([reply.status, reply.text]).toEqual([403, disabled]);
      expect(reply.headers['content-length']).toBe('132');
    }
    const listed = await call('GET', '/secrets/off/versions');
    expect(listed.json.value[0].attributes.enabled).toBe(false);
    const names = (await call('GET', '/secrets')).json.value as { id: string }[];
    expect(names.some((item) => item.id.endsWith('/off'))).toBe(true);
    expect((await call('POST', '/secrets/off/backup')).status).toBe(200);
    expect((await call('PATCH', '/secrets/off', { tags: { t: '1' } })).status).toBe(200);
    expect((await call('DELETE', '/secrets/off')).status).toBe(200);
    const deleted = await call('GET', '/deletedsecrets/off');
    expect([deleted.status, deleted.text]).toEqual([403, disabled]);
    expect((await call('POST', '/deletedsecrets/off/recover')).status).toBe(200);
    const next = await call('PUT', '/secrets/off', { value: 'w' });
    expect([next.status, next.json.attributes.enabled]).toEqual([200, true]);
    expect((await call('GET', `/secrets/off/${versionOf(set)}`)).status).toBe(403);
    expect((await call('GET', '/secrets/off')).json.value).toBe('w');
  });

  test('403 for a purge under purge protection, and the secret stays', async () => {
    const kept = vaultCaller(server, token, 'kept');
    await kept('PUT', '/secrets/k', { value: 'v' });
    await kept('DELETE', '/secrets/k');
    const reply = await kept('DELETE', '/deletedsecrets/k');
    expect([reply.status, reply.text]).toEqual([
      403,
      errorBody(
        'Forbidden',
        'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: kept;location=local',
      ),
    ]);
    expect((await kept('POST', '/deletedsecrets/k/recover')).status).toBe(200);
  });
});

describe('backup blobs', () => {
  const corruptVersion = errorBody(
    'Malformed backup blob',
    'Backup blob contains invalid or corrupt version.',
  );
  const corrupt = errorBody('Malformed backup blob', 'Backup blob is corrupt.');
  let blob: string;

  beforeAll(async () => {
    await call('PUT', '/secrets/saved', { value: 'v1', tags: { constructor: 'kept' } });
    await call('PUT', '/secrets/saved', { value: 'v2', attributes: { enabled: false } });
    blob = (await call('POST', '/secrets/saved/backup')).json.value as string;
  });

  test('what is no blob of this server is refused', async () => {
    const noBlobs = [
      '',
      'x',
      'AAAA',
      '!!!!',
      'eyJ9',
      `${blob}=`,
      ` ${blob}`,
      `${blob}\n`,
      blob.toLowerCase(),
    ];
    for (const value of [...noBlobs, Buffer.from(')AzureKeyVaultSecretBackupV1.x').toString('base64url')]) {
      const reply = await call('POST', '/secrets/restore', { value });
      expect([reply.status, reply.text]).toEqual([400, corruptVersion]);
    }
  });

  test('any changed, missing or added byte is found', async () => {
    const bytes = Buffer.from(blob, 'base64url');
    const prefix = bytes.indexOf('.') + 1;
    expect(prefix).toBeGreaterThan(10);
    const changed = [prefix, prefix + 12, Math.floor(bytes.length / 2), bytes.length - 1].map((at) => {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    });
    const others = [
      bytes.subarray(0, -1),
      bytes.subarray(0, prefix),
      Buffer.concat([bytes, Buffer.from([0])]),
    ];
    for (const copy of [...changed, ...others]) {
      const reply = await call('POST', '/secrets/restore', { value: copy.toString('base64url') });
      expect([reply.status, reply.text]).toEqual([400, corrupt]);
    }
  });

  test("another server's blob is refused", async () => {
    const other = await startTestServer();
    try {
      const there = vaultCaller(other, await tokenFor(other));
      await there('PUT', '/secrets/foreign', { value: 'v' });
      const foreign = (await there('POST', '/secrets/foreign/backup')).json.value as string;
      const reply = await call('POST', '/secrets/restore', { value: foreign });
      expect([reply.status, reply.text]).toEqual([400, corrupt]);
    } finally {
      await other.close();
    }
  });

  test('409 while the name is taken, live or deleted; then all versions and ids come back', async () => {
    const before = (await call('GET', '/secrets/saved/versions')).json.value as { id: string }[];
    expect(before).toHaveLength(2);
    const conflict =
      /^There was a conflict restoring the secret 'https:\/\/dev\.vault\.azure\.net\/secrets\/saved\/[0-9a-f]{32}'\. This can happen if either: a second secret with the same name was created after the first secret was deleted; thus trying to restore a secret whose name is already in use\. /;
    for (const prepare of [undefined, () => call('DELETE', '/secrets/saved')]) {
      await prepare?.();
      const reply = await call('POST', '/secrets/restore', { value: blob });
      expect([reply.status, reply.json.error.code, reply.json.error.innererror]).toEqual([
        409,
        'Conflict',
        undefined,
      ]);
      expect(reply.json.error.message).toMatch(conflict);
    }
    await call('DELETE', '/deletedsecrets/saved');
    const restored = await call('POST', '/secrets/restore', { value: blob });
    expect([restored.status, restored.json.attributes.enabled]).toEqual([200, false]);
    const after = (await call('GET', '/secrets/saved/versions')).json.value as { id: string }[];
    expect(after).toEqual(before);
    const older = after.find((item) => item.id !== restored.json.id);
    const first = await call('GET', new URL(older?.id ?? '').pathname);
    expect([first.json.value, first.json.tags]).toEqual(['v1', { constructor: 'kept' }]);
    expect((await call('GET', '/secrets/saved')).status).toBe(403);
  });

  test('another vault of the subscription takes it; one of another subscription does not', async () => {
    const second = vaultCaller(server, token, 'second');
    const restored = await second('POST', '/secrets/restore', { value: blob });
    expect(restored.status).toBe(200);
    expect(restored.json.id).toMatch(/^https:\/\/second\.vault\.azure\.net\/secrets\/saved\/[0-9a-f]{32}$/);
    await server.restart(() => moveToNewSubscription('second'));
    await server.control('identity grant', {
      identity: server.clientId,
      role: 'Key Vault Administrator',
      vault: 'second',
    });
    await second('DELETE', '/secrets/saved');
    await second('DELETE', '/deletedsecrets/saved');
    const refused = await second('POST', '/secrets/restore', { value: blob });
    expect([refused.status, refused.json.error.code]).toEqual([400, 'BadParameter']);
    expect(refused.json.error.message).toContain('subscription');
    expect((await second('GET', '/secrets')).json.value).toEqual([]);
  });
});

/** No command moves a vault; the stopped server's database is changed as one would. */
async function moveToNewSubscription(vault: string): Promise<void> {
  const id = '22222222-2222-2222-2222-222222222222';
  const add = 'INSERT INTO subscriptions (id, tenant_id, name) VALUES (?, ?, ?)';
  expect(await server.alter(add, id, server.tenantId, 'elsewhere')).toBe(1);
  const move = 'UPDATE vaults SET subscription_id = ? WHERE name_key = ?';
  expect(await server.alter(move, id, vault)).toBe(1);
}

/** Proves the refusals that an authorized caller of the keys API meets by path, by state and by backup blob. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, keyNotFound, keyVersionOf, makeVault, type VaultCaller } from '../support/vault-rest.ts';

let server: TestServer;
let token: string;
let call: VaultCaller;
let liveVersion: string;

beforeAll(async () => {
  server = await startTestServer();
  await makeVault(server, 'kept', { purgeProtection: true, retentionDays: 7 });
  await makeVault(server, 'second');
  token = await tokenFor(server);
  call = vaultCaller(server, token);
  liveVersion = keyVersionOf(await call('POST', '/keys/live/create', { kty: 'EC' }));
  await call('POST', '/keys/gone/create', { kty: 'EC' });
  await call('DELETE', '/keys/gone');
});
afterAll(() => server.close());

const unknownVersion = '0123456789abcdef0123456789abcdef';
const digest = Buffer.alloc(32, 1).toString('base64url');
const bodies: Readonly<Record<string, object | undefined>> = {
  encrypt: { alg: 'RSA-OAEP', value: digest },
  decrypt: { alg: 'RSA-OAEP', value: digest },
  wrapkey: { alg: 'RSA-OAEP', value: digest },
  unwrapkey: { alg: 'RSA-OAEP', value: digest },
  sign: { alg: 'ES256', value: digest },
  verify: { alg: 'ES256', digest, value: digest },
  release: { target: 'a.b.c' },
};

describe('404', () => {
  test('a key that is not there or is deleted, for every operation on a live one', async () => {
    for (const name of ['nosuch', 'gone']) {
      const replies = [
        await call('GET', `/keys/${name}`),
        await call('PATCH', `/keys/${name}`, {}),
        await call('PATCH', `/keys/${name}/${unknownVersion}`, {}),
        await call('DELETE', `/keys/${name}`),
        await call('POST', `/keys/${name}/backup`),
        await call('POST', `/keys/${name}/rotate`),
        await call('GET', `/keys/${name}/rotationpolicy`),
        await call('PUT', `/keys/${name}/rotationpolicy`, {}),
        await call('GET', `/keys/${name}/attestation`),
      ];
      for (const [operation, body] of Object.entries(bodies))
        replies.push(await call('POST', `/keys/${name}/${operation}`, body));
      for (const reply of replies) expect([reply.status, reply.text]).toEqual([404, keyNotFound(name)]);
    }
    const recovered = await call('POST', '/deletedkeys/nosuch/recover');
    expect([recovered.status, recovered.text]).toEqual([404, keyNotFound('nosuch')]);
    const purged = await call('DELETE', '/deletedkeys/nosuch');
    expect([purged.status, purged.json.error.code]).toEqual([404, 'KeyNotFound']);
  });

  test('a version that is not there, in any form, for every operation on one', async () => {
    for (const version of [unknownVersion, 'x', '%2e%2e', 'a'.repeat(300)]) {
      const missing = keyNotFound(`live/${decodeURIComponent(version)}`);
      const replies = [
        await call('GET', `/keys/live/${version}`),
        await call('PATCH', `/keys/live/${version}`, {}),
        await call('GET', `/keys/live/${version}/attestation`),
      ];
      for (const [operation, body] of Object.entries(bodies))
        replies.push(await call('POST', `/keys/live/${version}/${operation}`, body));
      for (const reply of replies) expect([reply.status, reply.text]).toEqual([404, missing]);
    }
  });

  test('GET of a deleted key that is live, absent or purged', async () => {
    await call('POST', '/keys/purged/create', { kty: 'EC' });
    await call('DELETE', '/keys/purged');
    await call('DELETE', '/deletedkeys/purged');
    for (const name of ['live', 'nosuch', 'purged']) {
      const reply = await call('GET', `/deletedkeys/${name}`);
      expect([reply.status, reply.text]).toEqual([
        404,
        errorBody('KeyNotFound', `Deleted Key not found: ${name}`),
      ]);
    }
  });

  test('the versions of a key that is not there are an empty list', async () => {
    for (const name of ['nosuch', 'gone']) {
      const reply = await call('GET', `/keys/${name}/versions`);
      expect([reply.status, reply.text]).toEqual([200, '{"value":[],"nextLink":null}']);
    }
  });

  test('random bytes are no operation of a vault', async () => {
    const reply = await call('POST', '/rng', { count: 8 });
    expect([reply.status, reply.json.error.code]).toEqual([404, 'NotFound']);
  });
});

describe('400 and 405 by path', () => {
  test.each([
    ['POST', '/keys/invalidName%21@%23$/create', 'invalidName!@#$'],
    ['POST', '/keys/bad_name/create', 'bad_name'],
    ['PUT', '/keys/bad%20name', 'bad name'],
    ['GET', '/keys/a%2Fb', 'a/b'],
    ['GET', '/keys/%2e%2e', '..'],
    ['POST', '/keys/..%2Flive/sign', '../live'],
    ['POST', '/keys/live%00/sign', 'live\0'],
    ['POST', '/keys/na%C3%AFve/rotate', 'naïve'],
    ['DELETE', '/deletedkeys/bad_name', 'bad_name'],
  ])('%s %s is an invalid name', async (method, path, name) => {
    const body = method === 'POST' || method === 'PUT' ? {} : undefined;
    const reply = await call(method, path, body);
    expect([reply.status, reply.text]).toEqual([
      400,
      errorBody('BadParameter', `The request URI contains an invalid name: ${name}`),
    ]);
  });

  test.each(['/keys//create', '/keys/create'])('POST %s: an empty name', async (path) => {
    const reply = await call('POST', path, { kty: 'EC' });
    expect([reply.status, reply.text]).toEqual([400, errorBody('BadParameter', 'Operation not specified')]);
  });

  test.each([
    ['PUT', '/keys'],
    ['PUT', '/keys/'],
    ['DELETE', '/keys'],
    ['PUT', '/deletedkeys/gone'],
    ['OPTIONS', '/keys/live'],
    ['TRACE', '/keys/live'],
  ])('%s %s is not allowed', async (method, path) => {
    const reply = await call(method, path, method === 'PUT' ? { key: {} } : undefined);
    expect([reply.status, reply.text]).toEqual([
      405,
      errorBody('MethodNotAllowed', `HTTP ${method} not allowed`),
    ]);
    expect(reply.headers.allow).toBeUndefined();
  });

  test.each([
    ['GET', '/keys/live/versions/x', 'x'],
    ['POST', '/keys/live/attestation', 'attestation'],
    ['PUT', '/keys/live/rotate', 'rotate'],
    ['POST', '/keys/live/nosuch', 'nosuch'],
    ['POST', `/keys/live/${unknownVersion}/rotate`, 'rotate'],
    ['POST', `/keys/live/${unknownVersion}/backup`, 'backup'],
    ['GET', `/keys/live/${unknownVersion}/rotationpolicy`, 'rotationpolicy'],
    ['GET', `/keys/live/${unknownVersion}/sign`, 'sign'],
    ['POST', '/deletedkeys/gone/sign', 'sign'],
    ['DELETE', `/keys/live/${unknownVersion}`, unknownVersion],
    ['PUT', `/keys/live/${unknownVersion}`, unknownVersion],
  ])('%s %s names no operation', async (method, path, operation) => {
    const body = method === 'POST' || method === 'PUT' ? {} : undefined;
    const reply = await call(method, path, body);
    expect([reply.status, reply.text]).toEqual([
      400,
      errorBody('BadParameter', `Method ${method} does not allow operation '${operation}'`),
    ]);
  });
});

describe('states of a key', () => {
  test('409 for creation and import under a deleted name, in whatever case it is written', async () => {
    const conflict = errorBody(
      'Conflict',
      'Key gone is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the key can only be recovered or purged.',
      'ObjectIsDeletedButRecoverable',
    );
    for (const name of ['gone', 'GONE']) {
      const made = await call('POST', `/keys/${name}/create`, { kty: 'EC' });
      expect([made.status, made.text]).toEqual([409, conflict]);
      const k = Buffer.alloc(16, 1).toString('base64url');
      const imported = await call('PUT', `/keys/${name}`, { key: { kty: 'oct-HSM', k } });
      expect([imported.status, imported.text]).toEqual([409, conflict]);
    }
  });

  test('400 for recovery and purge of a live key', async () => {
    const recovered = await call('POST', '/deletedkeys/live/recover');
    expect([recovered.status, recovered.text]).toEqual([
      400,
      errorBody('MethodNotAllowed', 'Key exists already: live', 'RequestNotAllowedOnNonDeletedObject'),
    ]);
    const purged = await call('DELETE', '/deletedkeys/live');
    expect([purged.status, purged.text]).toEqual([
      400,
      errorBody(
        'MethodNotAllowed',
        'Key must be deleted prior to being purged.',
        'ObjectMustBeDeletedPriorToBeingPurged',
      ),
    ]);
    expect((await call('GET', '/keys/live')).status).toBe(200);
  });

  test('a disabled key is read, listed, changed, backed up, deleted, read as deleted and recovered', async () => {
    const made = await call('POST', '/keys/off/create', { kty: 'EC', attributes: { enabled: false } });
    expect([made.status, made.json.attributes.enabled]).toEqual([200, false]);
    for (const path of ['/keys/off', `/keys/off/${keyVersionOf(made)}`])
      expect((await call('GET', path)).text).toBe(made.text);
    expect((await call('GET', '/keys/off/versions')).json.value[0].attributes.enabled).toBe(false);
    expect((await call('POST', '/keys/off/backup')).status).toBe(200);
    expect((await call('PATCH', '/keys/off', { tags: { t: '1' } })).status).toBe(200);
    expect((await call('DELETE', '/keys/off')).status).toBe(200);
    expect((await call('GET', '/deletedkeys/off')).json.attributes.enabled).toBe(false);
    expect((await call('POST', '/deletedkeys/off/recover')).json.attributes.enabled).toBe(false);
    expect((await call('PATCH', '/keys/off', { attributes: { enabled: true } })).status).toBe(200);
    expect((await call('POST', '/keys/off/sign', bodies.sign)).status).toBe(200);
  });

  test('a deleted key does nothing, at once, though it was just in use; a recovered one does it again', async () => {
    await call('POST', '/keys/busy/create', { kty: 'EC' });
    const signed = await call('POST', '/keys/busy/sign', bodies.sign);
    expect(signed.status).toBe(200);
    await call('DELETE', '/keys/busy');
    expect((await call('POST', '/keys/busy/sign', bodies.sign)).text).toBe(keyNotFound('busy'));
    await call('POST', '/deletedkeys/busy/recover');
    const verified = { alg: 'ES256', digest, value: signed.json.value };
    expect((await call('POST', '/keys/busy/verify', verified)).json.value).toBe(true);
  });

  test('403 for a purge under purge protection, and the key stays', async () => {
    const kept = vaultCaller(server, token, 'kept');
    await kept('POST', '/keys/k/create', { kty: 'EC' });
    await kept('DELETE', '/keys/k');
    const reply = await kept('DELETE', '/deletedkeys/k');
    expect([reply.status, reply.text]).toEqual([
      403,
      errorBody(
        'Forbidden',
        'Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: kept;location=local',
      ),
    ]);
    expect((await kept('POST', '/deletedkeys/k/recover')).status).toBe(200);
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
    await call('POST', '/keys/saved/create', { kty: 'EC', tags: { constructor: 'kept' } });
    await call('POST', '/keys/saved/create', { kty: 'EC', attributes: { enabled: false } });
    blob = (await call('POST', '/keys/saved/backup')).json.value as string;
  });

  test('what is no blob of a key of this server is refused', async () => {
    await call('PUT', '/secrets/saved', { value: 'v' });
    const ofSecret = (await call('POST', '/secrets/saved/backup')).json.value as string;
    for (const value of [
      '',
      'x',
      'ZG9lc25vdGV4aXN0',
      '!!!!',
      `${blob}=`,
      ` ${blob}`,
      `${blob}\n`,
      ofSecret,
    ]) {
      const reply = await call('POST', '/keys/restore', { value });
      expect([value, reply.status, reply.text]).toEqual([value, 400, corruptVersion]);
    }
    const asSecret = await call('POST', '/secrets/restore', { value: blob });
    expect([asSecret.status, asSecret.text]).toEqual([400, corruptVersion]);
  });

  test('any changed, missing or added byte is found; nor can one kind of blob be sold for another', async () => {
    const bytes = Buffer.from(blob, 'base64url');
    const prefix = bytes.indexOf('.') + 1;
    expect(prefix).toBeGreaterThan(10);
    const changed = [prefix, prefix + 12, Math.floor(bytes.length / 2), bytes.length - 1].map((at) => {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    });
    const ofSecret = Buffer.from((await call('POST', '/secrets/saved/backup')).json.value, 'base64url');
    const relabelled = Buffer.concat([
      bytes.subarray(0, prefix),
      ofSecret.subarray(ofSecret.indexOf('.') + 1),
    ]);
    const others = [
      bytes.subarray(0, -1),
      bytes.subarray(0, prefix),
      Buffer.concat([bytes, Buffer.alloc(1)]),
    ];
    for (const copy of [...changed, ...others, relabelled]) {
      const reply = await call('POST', '/keys/restore', { value: copy.toString('base64url') });
      expect([reply.status, reply.text]).toEqual([400, corrupt]);
    }
  });

  test('409 while the name is taken, live or deleted; then all versions and ids come back', async () => {
    const before = (await call('GET', '/keys/saved/versions')).text;
    const conflict =
      /^There was a conflict restoring the key 'https:\/\/dev\.vault\.azure\.net\/keys\/saved\/[0-9a-f]{32}'\. This can happen if either: a second key with the same name was created after the first key was deleted; thus trying to restore a key whose name is already in use\. /;
    for (const prepare of [undefined, () => call('DELETE', '/keys/saved')]) {
      await prepare?.();
      const reply = await call('POST', '/keys/restore', { value: blob });
      expect([reply.status, reply.json.error.code, reply.json.error.innererror]).toEqual([
        409,
        'Conflict',
        undefined,
      ]);
      expect(reply.json.error.message).toMatch(conflict);
    }
    await call('DELETE', '/deletedkeys/saved');
    const restored = await call('POST', '/keys/restore', { value: blob });
    expect([restored.status, restored.json.attributes.enabled]).toEqual([200, false]);
    expect((await call('GET', '/keys/saved/versions')).text).toBe(before);
  });

  test('another vault of the subscription takes it, and the key does the same there', async () => {
    const policy = { attributes: { expiryTime: 'P90D' } };
    await call('POST', '/keys/moved/create', { kty: 'EC' });
    await call('PUT', '/keys/moved/rotationpolicy', policy);
    const { value } = (await call('POST', '/keys/moved/sign', bodies.sign)).json;
    const moved = (await call('POST', '/keys/moved/backup')).json;
    const second = vaultCaller(server, token, 'second');
    const restored = await second('POST', '/keys/restore', moved);
    expect(restored.json.key.kid).toMatch(/^https:\/\/second\.vault\.azure\.net\/keys\/moved\/[0-9a-f]{32}$/);
    const verified = await second('POST', '/keys/moved/verify', { alg: 'ES256', digest, value });
    expect(verified.json.value).toBe(true);
    const kept = await second('GET', '/keys/moved/rotationpolicy');
    expect(kept.json.attributes.expiryTime).toBe('P90D');
  });

  test('a standard vault takes no blob of an HSM key', async () => {
    await call('POST', '/keys/hard/create', { kty: 'EC-HSM' });
    const { value } = (await call('POST', '/keys/hard/backup')).json;
    const second = vaultCaller(server, token, 'second');
    const reply = await second('POST', '/keys/restore', { value });
    expect([reply.status, reply.text]).toEqual([
      400,
      errorBody('BadParameter', 'Hardware key operation not allowed on standard vault'),
    ]);
    expect((await second('GET', '/keys/hard')).status).toBe(404);
  });
});

test('a live version is found by its id in any case', async () => {
  expect((await call('GET', `/keys/LIVE/${liveVersion.toUpperCase()}`)).status).toBe(200);
});

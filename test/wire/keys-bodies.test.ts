/** Proves which bodies the keys API refuses, in which words, and that nothing of them comes back or is kept. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send, startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, makeVault, type VaultCaller } from '../support/vault-rest.ts';

let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  await makeVault(server, 'standard');
  token = await tokenFor(server);
  call = vaultCaller(server, token);
  await call('POST', '/keys/live/create', { kty: 'EC' });
  await call('POST', '/keys/rsa/create', { kty: 'RSA' });
  await call('POST', '/keys/oct/create', { kty: 'oct-HSM', key_size: 256 });
});
afterAll(() => server.close());

const digest = Buffer.alloc(32, 1).toString('base64url');
const withBody = [
  ['POST', '/keys/b/create'],
  ['PUT', '/keys/b'],
  ['PATCH', '/keys/live'],
  ['POST', '/keys/restore'],
  ['POST', '/keys/rsa/encrypt'],
  ['POST', '/keys/rsa/decrypt'],
  ['POST', '/keys/rsa/wrapkey'],
  ['POST', '/keys/rsa/unwrapkey'],
  ['POST', '/keys/live/sign'],
  ['POST', '/keys/live/verify'],
  ['POST', '/keys/live/release'],
  ['PUT', '/keys/live/rotationpolicy'],
] as const;

async function refusedAs(reply: ReturnType<VaultCaller>, property: string): Promise<void> {
  const { status, json } = await reply;
  expect([status, json.error.code, json.error.innererror]).toEqual([400, 'BadParameter', undefined]);
  expect(json.error.message.startsWith(`Property ${property} has invalid value\r\n`)).toBe(true);
}

describe('any operation with a body', () => {
  test.each(withBody)('%s %s: none, or one of spaces', async (method, path) => {
    for (const body of [undefined, '', ' \r\n']) {
      const reply = await call(method, path, body);
      expect([reply.status, reply.text]).toEqual([
        400,
        errorBody('BadParameter', 'Request body not specified'),
      ]);
    }
  });

  test.each(withBody)('%s %s: what is not JSON, or no object', async (method, path) => {
    for (const body of [
      '{',
      '{"kty":"hunter2",}',
      'hunter2',
      "{'kty':'hunter2'}",
      '[]',
      'null',
      '"hunter2"',
      '5',
    ]) {
      const reply = call(method, path, body);
      await refusedAs(reply, '');
      expect((await reply).text).not.toContain('hunter2');
    }
  });

  test.each(withBody)('%s %s: another type of body', async (method, path) => {
    const reply = await call(method, path, '{}', { 'Content-Type': 'text/plain' });
    expect([reply.status, reply.json.error.code]).toEqual([415, 'UnsupportedMediaType']);
  });

  test('none is needed where Azure has none', async () => {
    expect((await call('POST', '/keys/live/rotate')).status).toBe(200);
    expect((await call('POST', '/keys/live/backup')).status).toBe(200);
  });

  test('the empty body of a first request without a token is answered 401', async () => {
    for (const [method, path] of withBody) {
      const reply = await send(server, {
        host: 'dev.vault.azure.net',
        method,
        path: `${path}?api-version=7.4`,
        headers: { 'Content-Type': 'application/json', 'Content-Length': '0' },
      });
      expect(reply.status).toBe(401);
    }
  });

  test('one of more than 512 KiB', async () => {
    const value = 'A'.repeat(512 * 1024);
    for (const [path, body] of [
      ['/keys/oct/encrypt', { alg: 'A256GCM', value }],
      ['/keys/b/create', { kty: 'EC', value }],
    ] as const) {
      const reply = await call('POST', path, body);
      expect([reply.status, reply.json.error.code]).toEqual([413, 'RequestBodyTooLarge']);
    }
  });
});

describe('creation', () => {
  test.each([
    ['{}', 'kty'],
    ['{"kty":null}', 'kty'],
    ['{"kty":5}', 'kty'],
    ['{"kty":"oct"}', 'kty'],
    ['{"kty":"ec"}', 'kty'],
    ['{"kty":"OKP"}', 'kty'],
    ['{"kty":"oct-hsm"}', 'kty'],
    ['{"kty":"AKP-HSM"}', 'kty'],
    ['{"Kty":"EC"}', 'kty'],
    ['{"kty":"RSA","key_size":"2048"}', 'key_size'],
    ['{"kty":"RSA","key_size":2048.5}', 'key_size'],
    ['{"kty":"RSA","public_exponent":"AQAB"}', 'public_exponent'],
    ['{"kty":"EC","crv":5}', 'crv'],
    ['{"kty":"EC","key_ops":"sign"}', 'key_ops'],
    ['{"kty":"EC","key_ops":[5]}', 'key_ops'],
    ['{"kty":"EC","key_ops":{"0":"sign"}}', 'key_ops'],
    ['{"kty":"EC","tags":"t"}', 'tags'],
    ['{"kty":"EC","tags":{"t":5}}', 'tags'],
    ['{"kty":"EC","tags":{"t":"\\ud83d"}}', 'tags'],
    ['{"kty":"EC","attributes":[]}', 'attributes'],
    ['{"kty":"EC","attributes":{"enabled":"true"}}', 'attributes'],
    ['{"kty":"EC","attributes":{"exp":"2030-01-01T00:00:00Z"}}', 'attributes'],
    ['{"kty":"EC","attributes":{"exportable":"true"}}', 'attributes'],
    ['{"kty":"EC","release_policy":"x"}', 'release_policy'],
    ['{"kty":"EC","release_policy":{"data":5}}', 'release_policy'],
    ['{"kty":"EC","release_policy":{"immutable":"yes"}}', 'release_policy'],
  ])('%s', async (body, property) => {
    await refusedAs(call('POST', '/keys/b/create', body), property);
    expect((await call('GET', '/keys/b')).status).toBe(404);
  });

  test('unknown members are ignored, as Azure ignores them', async () => {
    const body = { kty: 'EC', extra: { a: 1 }, kid: 'x', key: { d: 'x' } };
    expect((await call('POST', '/keys/extra/create', body)).status).toBe(200);
  });

  test('PATCH is as strict, and changes nothing then', async () => {
    const before = (await call('GET', '/keys/live')).text;
    for (const body of [
      { attributes: { enabled: 'false' } },
      { attributes: { exp: -1 }, tags: { t: '1' } },
      { key_ops: ['fly'], tags: { t: '1' } },
      { tags: [] },
      { attributes: { exportable: true } },
    ]) {
      const reply = await call('PATCH', '/keys/live', body);
      expect([body, reply.status, reply.json.error.code]).toEqual([body, 400, 'BadParameter']);
    }
    expect((await call('GET', '/keys/live')).text).toBe(before);
  });
});

describe('release policies', () => {
  const policy = (document: unknown, more: object = {}) => ({
    kty: 'EC-HSM',
    attributes: { exportable: true },
    release_policy: { data: Buffer.from(JSON.stringify(document)).toString('base64url'), ...more },
  });
  const condition = { authority: 'https://attest.test', allOf: [{ claim: 'c', equals: 'x' }] };
  const good = { version: '1.0.0', anyOf: [condition] };
  const create = (body: object) => call('POST', '/keys/policed/create', body);

  test.each([
    ['no version', policy({ anyOf: [condition] })],
    ['another version', policy({ version: '2.0.0', anyOf: [condition] })],
    ['no rule', policy({ version: '1.0.0', anyOf: [] })],
    ['no authority', policy({ version: '1.0.0', anyOf: [{ allOf: condition.allOf }] })],
    [
      'an authority without TLS',
      policy({ version: '1.0.0', anyOf: [{ ...condition, authority: 'http://a.test' }] }),
    ],
    ['an unknown member', policy({ ...good, extra: true })],
    ['text', policy('x')],
    ['a content type that is none', policy(good, { contentType: 'text/plain' })],
    ['no data', { ...policy(good), release_policy: { immutable: true } }],
    ['data that is not base64url', { ...policy(good), release_policy: { data: '!' } }],
    ['data that is not JSON', { ...policy(good), release_policy: { data: 'aHVudGVyMg' } }],
  ])('%s: refused', async (_, body) => {
    const reply = await create(body);
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    expect(reply.text).not.toContain('hunter2');
    expect((await call('GET', '/keys/policed')).status).toBe(404);
  });

  test.each([
    ['exportable without a policy', { kty: 'EC-HSM', attributes: { exportable: true } }, 1004],
    ['a policy on what is not exportable', { kty: 'EC', release_policy: policy(good).release_policy }, 1005],
  ])('%s', async (_, body, number) => {
    const texts: Readonly<Record<number, string>> = {
      1004: 'AKV.SKR.1004: Exportable keys must have release policy.',
      1005: 'AKV.SKR.1005: Non-exportable keys must not have release policy.',
    };
    const reply = await create(body);
    expect([reply.status, reply.text]).toEqual([400, errorBody('BadParameter', texts[number] ?? '')]);
  });

  test('an immutable policy stays as it is, and so do the changes that came with it', async () => {
    const made = await call('POST', '/keys/fixed/create', policy(good, { immutable: true }));
    expect(made.status).toBe(200);
    const other = { version: '1.0.0', anyOf: [{ ...condition, authority: 'https://other.test' }] };
    for (const release_policy of [
      policy(good, { immutable: false }).release_policy,
      policy(other, { immutable: true }).release_policy,
      { immutable: false },
    ]) {
      const reply = await call('PATCH', '/keys/fixed', { attributes: { enabled: false }, release_policy });
      expect([reply.status, reply.text]).toEqual([
        400,
        errorBody('BadParameter', 'AKV.SKR.1020: Immutable Key Release Policy cannot be modified.'),
      ]);
    }
    expect((await call('GET', '/keys/fixed')).text).toBe(made.text);
  });
});

describe('what keys do', () => {
  test.each([
    ['encrypt', '{"value":"AA"}', 'alg'],
    ['encrypt', '{"alg":5,"value":"AA"}', 'alg'],
    ['encrypt', '{"alg":"RSA-OAEP"}', 'value'],
    ['encrypt', '{"alg":"RSA-OAEP","value":5}', 'value'],
    ['encrypt', '{"alg":"RSA-OAEP","value":"+/8="}', 'value'],
    ['encrypt', '{"alg":"RSA-OAEP","value":"A A"}', 'value'],
    ['encrypt', '{"alg":"RSA-OAEP","value":"AA\\n"}', 'value'],
    ['encrypt', '{"alg":"RSA-OAEP-512","value":"AA"}', 'alg'],
    ['encrypt', '{"alg":"rsa-oaep","value":"AA"}', 'alg'],
    ['encrypt', '{"alg":"RS256","value":"AA"}', 'alg'],
    ['encrypt', '{"alg":"","value":"AA"}', 'alg'],
    ['encrypt', '{"alg":"constructor","value":"AA"}', 'alg'],
    ['encrypt', '{"alg":"RSA-OAEP","value":"AA","iv":5}', 'iv'],
    ['encrypt', '{"alg":"RSA-OAEP","value":"AA","tag":"AA"}', 'tag'],
    ['decrypt', '{"alg":"RSA-OAEP","value":"AA","tag":{}}', 'tag'],
    ['decrypt', '{"alg":"RSA-OAEP","value":"AA","aad":[]}', 'aad'],
    ['unwrapkey', '{"alg":"RSA-OAEP-256","value":"é"}', 'value'],
    ['sign', '{"alg":"RSA-OAEP","value":"AA"}', 'alg'],
    ['sign', '{"alg":"none","value":"AA"}', 'alg'],
    ['sign', '{"alg":"RSNULL","value":"AA"}', 'alg'],
    ['sign', '{"alg":"RS1","value":"AA"}', 'alg'],
    ['sign', '{"alg":"RS256"}', 'value'],
    ['verify', '{"alg":"RS256","value":"AA"}', 'digest'],
    ['verify', '{"alg":"RS256","digest":"AA"}', 'value'],
    ['release', '{}', 'target'],
    ['release', '{"target":""}', 'target'],
    ['release', '{"target":5}', 'target'],
    ['release', '{"target":"a.b.c","enc":"RSA_AES_KEY_WRAP_512"}', 'enc'],
    ['release', '{"target":"a.b.c","nonce":5}', 'nonce'],
  ])('%s %s', async (operation, body, property) => {
    await refusedAs(call('POST', `/keys/rsa/${operation}`, body), property);
  });

  test('the padding of base64url is forgiven', async () => {
    const sealed = await call('POST', '/keys/rsa/encrypt', { alg: 'RSA-OAEP', value: 'AQ==' });
    const opened = await call('POST', '/keys/rsa/decrypt', { alg: 'RSA-OAEP', value: sealed.json.value });
    expect(opened.json.value).toBe('AQ');
  });

  test('an algorithm that is not for the key: type, curve or size', async () => {
    const ciphertext = Buffer.alloc(256, 1).toString('base64url');
    const attempts: [string, object][] = [
      ['live/sign', { alg: 'RS256', value: digest }],
      ['live/sign', { alg: 'ES384', value: Buffer.alloc(48).toString('base64url') }],
      ['live/sign', { alg: 'ES256K', value: digest }],
      ['live/verify', { alg: 'ES256K', digest, value: digest }],
      ['rsa/sign', { alg: 'ES256', value: digest }],
      ['rsa/sign', { alg: 'HS256', value: digest }],
      ['rsa/encrypt', { alg: 'A256GCM', value: digest }],
      ['rsa/decrypt', { alg: 'A256CBC', value: digest, iv: 'AA' }],
      ['oct/encrypt', { alg: 'RSA-OAEP', value: digest }],
      ['oct/decrypt', { alg: 'RSA1_5', value: ciphertext }],
      ['oct/encrypt', { alg: 'A128GCM', value: digest }],
      ['oct/wrapkey', { alg: 'A192KW', value: digest }],
    ];
    for (const [path, body] of attempts) {
      const reply = await call('POST', `/keys/${path}`, body);
      expect([path, body, reply.status, reply.json.error.code]).toEqual([path, body, 400, 'BadParameter']);
    }
  });

  test('an algorithm that wraps does not encrypt, and the other way round', async () => {
    for (const [operation, alg] of [
      ['encrypt', 'A256KW'],
      ['decrypt', 'CKM_AES_KEY_WRAP'],
      ['wrapkey', 'A256GCM'],
      ['unwrapkey', 'A256CBCPAD'],
    ]) {
      const reply = await call('POST', `/keys/oct/${operation}`, { alg, value: digest });
      expect([operation, reply.status, reply.json.error.code]).toEqual([operation, 400, 'BadParameter']);
    }
  });

  test('a key that never wraps says so before anything is said of the algorithm', async () => {
    const reply = await call('POST', '/keys/live/wrapkey', { alg: 'RSA-OAEP', value: digest });
    expect([reply.status, reply.text]).toEqual([
      403,
      errorBody('Forbidden', 'Operation wrapKey is not permitted on this key.', 'KeyOperationForbidden'),
    ]);
  });
});

test('parameters that the algorithm does not take are refused, not ignored', async () => {
  const iv = Buffer.alloc(16).toString('base64url');
  const attempts: [string, object][] = [
    ['rsa/encrypt', { alg: 'RSA-OAEP', value: digest, iv }],
    ['rsa/encrypt', { alg: 'RSA-OAEP', value: digest, aad: 'AA' }],
    ['rsa/wrapkey', { alg: 'RSA-OAEP', value: digest, iv }],
    ['oct/encrypt', { alg: 'A256CBC', value: digest, aad: 'AA' }],
    ['oct/encrypt', { alg: 'A256GCM', value: digest, iv: Buffer.alloc(12).toString('base64url') }],
    ['oct/decrypt', { alg: 'A256CBC', value: digest, iv, tag: iv }],
    ['oct/wrapkey', { alg: 'A256KW', value: digest, iv }],
  ];
  for (const [path, body] of attempts) {
    const reply = await call('POST', `/keys/${path}`, body);
    expect([path, body, reply.status, reply.json.error?.code]).toEqual([path, body, 400, 'BadParameter']);
  }
});

/** Keys and secrets as resources: what the management plane makes of them, and what it never says. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, refusal, subscriptionOf } from '../support/management.ts';
import { makeIdentity, startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';

let server: TestServer;
let root: string;
let call: ManagementCaller;
let data: ReturnType<typeof vaultCaller>;
let contributor: ManagementCaller;

beforeAll(async () => {
  server = await startTestServer();
  root = `/subscriptions/${await subscriptionOf(server)}`;
  ({ call } = await makeManager(server, 'manager'));
  ({ call: contributor } = await makeManager(server, 'contributor', {
    role: 'Key Vault Contributor',
    scope: root,
  }));
  const user = await makeIdentity(server, 'user', [{ role: 'Key Vault Administrator', scope: root }]);
  data = vaultCaller(server, await tokenFor(server, { identity: user }));
});
afterAll(() => server.close());

const az = '?api-version=2023-07-01';
const at = (path: string, vault = 'dev') =>
  `${root}/resourceGroups/default/providers/Microsoft.KeyVault/vaults/${vault}/${path}`;
const base = 'https://dev.vault.azure.net';

describe('keys', () => {
  const put = (name: string, properties: object, more: object = {}) =>
    call('PUT', `${at(`keys/${name}`)}${az}`, { properties, ...more });

  test('are made with what is asked for, and shown as Azure shows them', async () => {
    const made = await put(
      'made',
      {
        kty: 'rsa',
        keySize: 2048,
        keyOps: ['sign', 'verify'],
        attributes: { enabled: true, exp: 4_000_000_000 },
      },
      { tags: { a: '1' } },
    );
    const { created, updated } = made.json.properties.attributes;
    const version = made.json.properties.keyUriWithVersion.split('/').at(-1);
    expect([made.status, made.json]).toEqual([
      200,
      {
        id: at('keys/made'),
        name: 'made',
        type: 'Microsoft.KeyVault/vaults/keys',
        location: 'local',
        tags: { a: '1' },
        properties: {
          attributes: {
            enabled: true,
            exp: 4_000_000_000,
            created,
            updated,
            recoveryLevel: 'Recoverable+Purgeable',
            exportable: false,
          },
          kty: 'RSA',
          keyOps: ['sign', 'verify'],
          keySize: 2048,
          keyUri: `${base}/keys/made`,
          keyUriWithVersion: `${base}/keys/made/${version}`,
        },
      },
    ]);
    expect((await call('GET', `${at('keys/made')}${az}`)).json).toEqual(made.json);
    const seen = await data('GET', '/keys/made');
    expect(seen.json.key.kid).toBe(`${base}/keys/made/${version}`);
    const one = await call('GET', `${at(`keys/made/versions/${version}`)}${az}`);
    expect(one.json).toMatchObject({
      id: at(`keys/made/versions/${version}`),
      name: version,
      type: 'Microsoft.KeyVault/vaults/keys/versions',
      properties: made.json.properties,
    });
  });

  test('that are there stay as they are', async () => {
    const first = await put('kept', { kty: 'EC', curveName: 'P-384' });
    expect(first.json.properties).toMatchObject({ kty: 'EC', curveName: 'P-384' });
    const again = await put('KEPT', { kty: 'RSA', attributes: { enabled: false } }, { tags: { x: 'y' } });
    expect(again.json).toEqual(first.json);
    expect((await data('GET', '/keys/kept/versions')).json.value).toHaveLength(1);
  });

  test('come with a rotation policy, which is shown only where there is one', async () => {
    const rotationPolicy = {
      attributes: { expiryTime: 'P90D' },
      lifetimeActions: [{ trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'rotate' } }],
    };
    const made = await put('rotated', { kty: 'EC', rotationPolicy });
    expect(made.json.properties.rotationPolicy).toMatchObject({
      attributes: { expiryTime: 'P90D', created: expect.any(Number) },
      lifetimeActions: expect.arrayContaining([
        { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Rotate' } },
      ]),
    });
    expect((await data('GET', '/keys/rotated/rotationpolicy')).json.attributes.expiryTime).toBe('P90D');
    expect((await put('unrotated', { kty: 'EC' })).json.properties).not.toHaveProperty('rotationPolicy');
  });

  test('are not made at all with a policy that cannot be', async () => {
    const rotationPolicy = { attributes: { expiryTime: 'P1D' } };
    expect((await put('unruly', { kty: 'EC', rotationPolicy })).status).toBe(400);
    expect((await data('GET', '/keys/unruly')).status).toBe(404);
  });

  test('are listed in pages, with their attributes and no more', async () => {
    for (const name of ['list-a', 'list-b']) await put(name, { kty: 'EC' });
    const names: string[] = [];
    let next: string | undefined = `${at('keys')}${az}&$top=2`;
    while (next !== undefined) {
      const { json } = await call('GET', next);
      expect(json.value.length).toBeLessThanOrEqual(2);
      for (const { name, properties } of json.value) {
        names.push(name);
        expect(Object.keys(properties)).toEqual(['attributes', 'keyUri']);
      }
      const link: URL | undefined = json.nextLink && new URL(json.nextLink);
      next = link && `${link.pathname}${link.search}`;
    }
    expect(names).toEqual(expect.arrayContaining(['list-a', 'list-b', 'made']));
    expect(names).toEqual(names.toSorted());
  });

  test.each<[string, object]>([
    ['oct', { kty: 'oct' }],
    ['none', {}],
    ['a size that is none', { kty: 'RSA', keySize: 1024 }],
    ['a curve for RSA', { kty: 'RSA', curveName: 'P-256' }],
    ['an operation that is none', { kty: 'RSA', keyOps: ['fly'] }],
    ['one that is exportable without hardware', { kty: 'RSA', attributes: { exportable: true } }],
  ])('of a kind that cannot be are refused: %s', async (_, properties) => {
    expect((await put('refused', properties)).status).toBe(400);
    expect((await data('GET', '/keys/refused')).status).toBe(404);
  });

  test('have names, and are where they are', async () => {
    for (const name of ['a_b', 'a%20b', 'x'.repeat(128)]) {
      expect((await put(name, { kty: 'EC' })).status).toBe(400);
    }
    expect((await call('GET', `${at('keys/nobody-s')}${az}`)).json.error.code).toBe('KeyNotFound');
    expect((await call('GET', `${at('keys/made', 'nobody-s')}${az}`)).json.error.code).toBe(
      'ResourceNotFound',
    );
    const other = at('keys/made').replace('resourceGroups/default', 'resourceGroups/rg2');
    await call('PUT', `${root}/resourceGroups/rg2`, { location: 'local' });
    expect((await call('GET', `${other}${az}`)).json.error.code).toBe('ResourceNotFound');
  });
});

describe('secrets', () => {
  const put = (name: string, properties: object, more: object = {}) =>
    call('PUT', `${at(`secrets/${name}`)}${az}`, { properties, ...more });
  const patch = (name: string, body: object) => call('PATCH', `${at(`secrets/${name}`)}${az}`, body);

  test('are set, and never say their value', async () => {
    const value = 'a value that nobody reads here';
    const made = await put('set', { value, contentType: 'text/plain' }, { tags: { a: '1' } });
    const { created, updated } = made.json.properties.attributes;
    const version = made.json.properties.secretUriWithVersion.split('/').at(-1);
    const wire = {
      id: at('secrets/set'),
      name: 'set',
      type: 'Microsoft.KeyVault/vaults/secrets',
      location: 'local',
      tags: { a: '1' },
      properties: {
        contentType: 'text/plain',
        attributes: { enabled: true, created, updated },
        secretUri: `${base}/secrets/set`,
        secretUriWithVersion: `${base}/secrets/set/${version}`,
      },
    };
    expect([made.status, made.json]).toEqual([200, wire]);
    const shown = await call('GET', `${at('secrets/set')}${az}`);
    const listed = await call('GET', `${at('secrets')}${az}`);
    const patched = await patch('set', { properties: { value: `${value} either` } });
    expect([shown.json, listed.json.value]).toEqual([wire, [wire]]);
    for (const { text } of [made, shown, listed, patched]) expect(text).not.toContain('a value');
    expect((await data('GET', '/secrets/set')).json).toMatchObject({
      value: `${value} either`,
      contentType: 'text/plain',
      tags: { a: '1' },
    });
    expect((await data('GET', `/secrets/set/${version}`)).json.value).toBe(value);
  });

  test('are changed without another version where the value is not given', async () => {
    const { json: before } = await put('changed', { value: 'v' });
    const changed = await patch('changed', {
      tags: { b: '2' },
      properties: { attributes: { enabled: false } },
    });
    expect(changed.json.properties.secretUriWithVersion).toBe(before.properties.secretUriWithVersion);
    expect(changed.json).toMatchObject({ tags: { b: '2' }, properties: { attributes: { enabled: false } } });
    // One that is disabled is shown all the same.
    expect((await call('GET', `${at('secrets/changed')}${az}`)).json).toEqual(changed.json);
    expect((await data('GET', '/secrets/changed')).json.error.innererror.code).toBe('SecretDisabled');
    expect((await patch('nobody-s', { properties: { value: 'v' } })).json.error.code).toBe('SecretNotFound');
    expect((await data('GET', '/secrets/nobody-s')).status).toBe(404);
  });

  test('that cannot be are refused', async () => {
    expect((await put('refused', {})).json).toEqual(
      refusal('BadRequest', "An invalid value was provided for 'value'."),
    );
    for (const value of ['x'.repeat(25 * 1024 + 1), 7, '\ud800'])
      expect((await put('refused', { value })).status).toBe(400);
    expect((await put('a_b', { value: 'v' })).status).toBe(400);
    expect((await data('GET', '/secrets/refused')).status).toBe(404);
  });
});

test('what decides is the permission on the resource; on the data it gives nothing', async () => {
  const value = { properties: { value: 'v' } };
  const permitted = await contributor('PUT', `${at('secrets/by-contributor')}${az}`, value);
  expect(permitted.status).toBe(200);
  // Administrators of what is in vaults are none of the vaults.
  const { call: officer, token } = await makeManager(server, 'officer', {
    role: 'Key Vault Secrets Officer',
    scope: root,
  });
  const refused = await officer('PUT', `${at('secrets/by-officer')}${az}`, value);
  expect(refused.json.error.code).toBe('AuthorizationFailed');
  // A token for the one plane is none for the other.
  const wrong = await vaultCaller(server, token)('GET', '/secrets/by-contributor');
  expect(wrong.status).toBe(401);
});

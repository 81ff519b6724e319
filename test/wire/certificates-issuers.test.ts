/** Proves issuers and contacts over the wire: shapes to the letter, limits, what stays secret, and who may. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import { type ManagementCaller, makeManager, subscriptionOf } from '../support/management.ts';
import {
  makeIdentity,
  onPostgres,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, makeVault, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const now = clock.now() / 1000;
const password = 'a password that nobody is to see';

let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer({ clock });
  await makeVault(server, 'lists');
  token = await tokenFor(server);
  call = vaultCaller(server, token);
});
afterAll(() => server.close());

const origin = 'https://dev.vault.azure.net';
const attributes = `"attributes":{"enabled":true,"created":${now},"updated":${now}}`;
const put = (name: string, body: object = {}) =>
  call('PUT', `/certificates/issuers/${name}`, { provider: 'Test', ...body });

function refused({ status, json }: RawResponse, property: string): void {
  expect([status, json.error.code]).toEqual([400, 'BadParameter']);
  expect(json.error.message).toMatch(new RegExp(`^Property ${property} has invalid value\r\n.`));
}

describe('issuers', () => {
  test('what was not said is absent', async () => {
    const made = await put('bare');
    expect([made.status, made.text]).toEqual([
      200,
      `{"id":"${origin}/certificates/issuers/bare","provider":"Test",${attributes}}`,
    ]);
    expect((await call('GET', '/certificates/issuers/BARE')).text).toBe(made.text);
  });

  test('everything but the password comes back, in the order of Azure', async () => {
    const administrator = { phone: '42', email: 'foo@bar', last_name: 'Last', first_name: 'First' };
    const made = await put('full', {
      credentials: { account_id: 'keyvaultuser', pwd: password },
      org_details: { admin_details: [administrator, { email: 'a@b' }], id: 'TestOrg', zip: 7 },
      attributes: { enabled: true, created: 1 },
    });
    const text = `{"id":"${origin}/certificates/issuers/full","provider":"Test","credentials":{"account_id":"keyvaultuser"},"org_details":{"id":"TestOrg","zip":0,"admin_details":[{"first_name":"First","last_name":"Last","email":"foo@bar","phone":"42"},{"email":"a@b"}]},${attributes}}`;
    expect(made.text).toBe(text);
    expect((await call('GET', '/certificates/issuers/full')).text).toBe(text);
    const patched = await call('PATCH', '/certificates/issuers/full', { attributes: { enabled: false } });
    expect(patched.text).toBe(text.replace('"enabled":true', '"enabled":false'));
    const deleted = await call('DELETE', '/certificates/issuers/full');
    expect([deleted.status, deleted.text]).toEqual([200, patched.text]);
  });

  test('changes are member by member (recorded)', async () => {
    await put('patched');
    const patch = async (body: object) =>
      (await call('PATCH', '/certificates/issuers/patched', body)).text.slice(
        `{"id":"${origin}/certificates/issuers/patched","provider":"Test"`.length,
        -`,${attributes}}`.length,
      );
    const account = ',"credentials":{"account_id":"test_account"}';
    const first = { credentials: { account_id: 'test_account' }, org_details: { id: 'TestOrg' } };
    expect(await patch(first)).toBe(`${account},"org_details":{"id":"TestOrg","zip":0}`);
    expect(await patch({})).toBe(`${account},"org_details":{"id":"TestOrg","zip":0}`);
    expect(await patch({ org_details: { admin_details: [{ email: 'a@b' }] } })).toBe(
      `${account},"org_details":{"id":"TestOrg","zip":0,"admin_details":[{"email":"a@b"}]}`,
    );
  });

  test('lists are in order and in pages', async () => {
    const there = vaultCaller(server, token, 'lists');
    for (const name of ['c', 'A', 'b'])
      await there('PUT', `/certificates/issuers/${name}`, { provider: 'Test' });
    const host = 'https://lists.vault.azure.net';
    const first = await there('GET', '/certificates/issuers?maxresults=2');
    expect(JSON.stringify(first.json.value)).toBe(
      `[{"id":"${host}/certificates/issuers/A","provider":"Test"},{"id":"${host}/certificates/issuers/b","provider":"Test"}]`,
    );
    const { pathname, search } = new URL(first.json.nextLink as string);
    expect(pathname).toBe('/certificates/issuers');
    const second = await there('GET', `${pathname}${search}`);
    expect(second.text).toBe(
      `{"value":[{"id":"${host}/certificates/issuers/c","provider":"Test"}],"nextLink":null}`,
    );
    const token2 = new URLSearchParams(search).get('$skiptoken');
    const other = await there('GET', `/certificates?$skiptoken=${token2}`);
    expect([other.status, other.json.error.code]).toEqual([400, 'BadParameter']);
  });

  test('limits', async () => {
    expect((await put('limits', { provider: 'a'.repeat(64) })).status).toBe(200);
    for (const provider of [undefined, null, '', 'a'.repeat(65), 'a/b', 1])
      refused(await put('limits', { provider }), 'provider');
    const admin_details = Array.from({ length: 64 }, () => ({}));
    expect((await put('limits', { org_details: { admin_details } })).status).toBe(200);
    refused(await put('limits', { org_details: { admin_details: [...admin_details, {}] } }), 'org_details');
    expect(
      (await put('limits', { credentials: { account_id: 'a'.repeat(1024), pwd: 'a'.repeat(4096) } })).status,
    ).toBe(200);
    refused(await put('limits', { credentials: { account_id: 'a'.repeat(1025) } }), 'credentials');
    refused(await put('limits', { credentials: { pwd: 'a'.repeat(4097) } }), 'credentials');
    refused(await put('limits', { credentials: 'x' }), 'credentials');
    for (const name of ['Self', 'unknown']) expect((await put(name)).status).toBe(400);
  });
});

describe('contacts', () => {
  const path = '/certificates/contacts';

  test('are shown as they were set, and by the deletion too', async () => {
    const contacts = [
      { phone: '1111111111', name: 'One', email: 'one@localhost' },
      { email: 'two@localhost', name: null },
    ];
    const text = `{"id":"${origin}${path}","contacts":[{"email":"one@localhost","name":"One","phone":"1111111111"},{"email":"two@localhost"}]}`;
    const set = await call('PUT', path, { contacts });
    expect([set.status, set.text]).toEqual([200, text]);
    expect((await call('GET', `${path}/`)).text).toBe(text);
    const deleted = await call('DELETE', path);
    expect([deleted.status, deleted.text]).toEqual([200, text]);
    expect((await call('GET', path)).text).toBe(errorBody('ContactsNotFound', 'Contacts not found'));
  });

  test('limits', async () => {
    const set = (contacts: unknown) => call('PUT', path, { contacts });
    const many = Array.from({ length: 100 }, (_, at) => ({ email: `${at}@localhost` }));
    expect((await set(many)).status).toBe(200);
    refused(await set([...many, { email: 'more@localhost' }]), 'contacts');
    for (const wrong of [
      undefined,
      {},
      [{}],
      [{ email: 'a@b\r\nBcc: c@d' }],
      [{ email: 'a@b', name: 'A\nB' }],
    ])
      refused(await set(wrong), 'contacts');
    refused(await set([{ email: 'a@b', name: 'a'.repeat(257) }]), 'contacts');
  });
});

describe('an issuer that somebody looks for', () => {
  test('its password is in no answer, no audit record and no file', async () => {
    const records = await auditedDuring(server, async () => {
      const replies = [
        await put('secret', { credentials: { account_id: 'a', pwd: password } }),
        await call('PATCH', '/certificates/issuers/secret', { credentials: { pwd: password } }),
        await call('GET', '/certificates/issuers/secret'),
        await call('GET', '/certificates/issuers'),
        await put('secret', { credentials: { account_id: 'a', pwd: `${password}\ud800` } }),
        await call('DELETE', '/certificates/issuers/secret'),
      ];
      for (const { text } of replies) expect(text).not.toContain(password);
    });
    expect(records).toHaveLength(6);
    expect(JSON.stringify(records)).not.toContain(password);
    await put('secret', { credentials: { account_id: 'a', pwd: password } });
    if (onPostgres) return;
    for (const file of readdirSync(server.folder, { recursive: true, withFileTypes: true }))
      if (file.isFile())
        expect(readFileSync(join(file.parentPath, file.name)).includes(password), file.name).toBe(false);
  });
});

describe('access policies', () => {
  let group: string;
  let manager: ManagementCaller;

  beforeAll(async () => {
    group = `/subscriptions/${await subscriptionOf(server)}/resourceGroups/default`;
    ({ call: manager } = await makeManager(server, 'manager'));
  });

  /** Whether a caller with this permission gets past authorization. */
  async function reach(permission: string, operations: readonly (readonly [string, string, object?])[]) {
    const vault = `p-${permission}`;
    const someone = await makeIdentity(server, vault);
    const { tenantId } = server;
    const { objectId } = someone;
    const accessPolicies = [{ tenantId, objectId, permissions: { certificates: [permission] } }];
    const properties = { tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies };
    const path = `${group}/providers/Microsoft.KeyVault/vaults/${vault}?api-version=2023-07-01`;
    const made = await manager('PUT', path, { location: 'local', properties });
    expect([200, 201]).toContain(made.status);
    const there = vaultCaller(server, await tokenFor(server, { identity: someone }), vault);
    const reached: boolean[] = [];
    for (const [method, path, body] of operations)
      reached.push((await there(method, path, body)).status !== 403);
    return reached;
  }

  const operations = [
    ['GET', '/certificates/issuers'],
    ['GET', '/certificates/issuers/a'],
    ['PUT', '/certificates/issuers/a', { provider: 'Test' }],
    ['PATCH', '/certificates/issuers/a', {}],
    ['DELETE', '/certificates/issuers/a'],
    ['GET', '/certificates/contacts'],
    ['PUT', '/certificates/contacts', { contacts: [] }],
    ['DELETE', '/certificates/contacts'],
    ['GET', '/certificates/a'],
  ] as const;

  test.each([
    ['manageissuers', [true, true, true, true, true, false, false, false, false]],
    ['listissuers', [true, false, false, false, false, false, false, false, false]],
    ['getissuers', [false, true, false, false, false, false, false, false, false]],
    ['setissuers', [false, false, true, true, false, false, false, false, false]],
    ['deleteissuers', [false, false, false, false, true, false, false, false, false]],
    ['managecontacts', [false, false, false, false, false, true, true, true, false]],
    ['get', [false, false, false, false, false, false, false, false, true]],
  ])('%s', async (permission, expected) => {
    expect(await reach(permission, operations)).toEqual(expected);
  });
});

/** Bodies for vaults as no client writes them: refused or taken for what they say, and nothing beside it changes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, subscriptionOf } from '../support/management.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let call: ManagementCaller;
let scope: string;
let at: string;

beforeAll(async () => {
  server = await startTestServer();
  ({ call } = await makeManager(server, 'manager'));
  const group = `/subscriptions/${await subscriptionOf(server)}/resourceGroups/default`;
  scope = `${group}/providers/Microsoft.KeyVault/vaults/odd`;
  at = `${scope}?api-version=2022-07-01`;
});
afterAll(() => server.close());

const send = (text: string, method = 'PUT') => call(method, at, text);
const vault = (properties: string, more = '') =>
  `{"location":"eastus","properties":{"tenantId":"${server.tenantId}","sku":{"family":"A","name":"standard"},"accessPolicies":[]${properties}}${more}}`;

test('names of built-in members are tags like others, and change nothing else', async () => {
  const tags = '{"__proto__":"a","constructor":"b","toString":"c"}';
  const made = await send(vault('', `,"tags":${tags},"__proto__":{"location":"x"}`));
  expect([made.status, JSON.stringify(made.json.tags)]).toEqual([200, tags]);
  expect(made.json.location).toBe('eastus');
  const itsTags = `${scope}/providers/Microsoft.Resources/tags/default?api-version=2021-04-01`;
  const merged = await call(
    'PATCH',
    itsTags,
    '{"operation":"Merge","properties":{"tags":{"__PROTO__":"d"}}}',
  );
  expect(JSON.stringify(merged.json.properties.tags)).toBe(
    '{"constructor":"b","toString":"c","__PROTO__":"d"}',
  );
  const proto = '{"__proto__":{"enablePurgeProtection":true,"enableRbacAuthorization":true}}';
  await call('PATCH', at, `{"properties":${proto}}`);
  const { properties } = (await call('GET', at)).json;
  expect(properties).toMatchObject({ enableRbacAuthorization: false });
  expect(properties).not.toHaveProperty('enablePurgeProtection');
});

test('a body of a hundred thousand levels is a body', async () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  expect((await send(vault('', `,"more":${deep}`))).status).toBe(200);
  expect((await send(vault('', `,"tags":${deep}`))).status).toBe(400);
  expect((await send(deep)).status).toBe(400);
});

test.each(['1e400', '-7', '7.5', '"7"', '9007199254740993', '6', '91', 'true', '[90]'])(
  'a retention of %s days is refused',
  async (days) => {
    const refused = await send(vault(`,"softDeleteRetentionInDays":${days}`));
    expect(refused.status).toBe(400);
  },
);

test.each([
  '{"sku":{"family":"B"}}',
  '{"sku":{"family":"A","name":"basic"}}',
  '{"networkAcls":{"bypass":"Everybody"}}',
  '{"networkAcls":{"defaultAction":"Maybe"}}',
  '{"networkAcls":{"ipRules":[{}]}}',
  '{"networkAcls":{"ipRules":[{"value":"192.0.2.0/33"}]}}',
  '{"networkAcls":{"ipRules":[{"value":"::ffff:192.0.2.0/64"}]}}',
  '{"networkAcls":{"virtualNetworkRules":[{"id":"/subscriptions/x"}]}}',
  '{"publicNetworkAccess":"SecuredByPerimeter"}',
  '{"createMode":"purge"}',
  '{"tenantId":"00000000-0000-4000-8000-00000000ffff"}',
  '{"enableSoftDelete":false}',
  '{"enablePurgeProtection":false}',
  '{"enabledForDeployment":"yes"}',
])('PATCH with %s is refused, and changes nothing', async (properties) => {
  await send(vault(''));
  const before = (await call('GET', at)).json;
  const refused = await send(`{"properties":${properties}}`, 'PATCH');
  expect(refused.status).toBe(400);
  expect((await call('GET', at)).json).toEqual(before);
});

test('rules that overlap, or say the same, are kept as they were written, up to a thousand', async () => {
  const rules = ['192.0.2.1', '192.0.2.0/24', '0.0.0.0/0', '192.0.2.1'];
  const many = Array.from({ length: 996 }, (_, index) => `10.0.${index >> 8}.${index & 0xff}`);
  const acls = (values: readonly string[]) =>
    `,"networkAcls":{"ipRules":${JSON.stringify(values.map((value) => ({ value })))}}`;
  const made = await send(vault(acls([...rules, ...many])));
  expect(made.json.properties.networkAcls.ipRules.slice(0, 4)).toEqual(rules.map((value) => ({ value })));
  expect((await send(vault(acls([...rules, ...many, '10.1.0.0'])))).status).toBe(400);
});

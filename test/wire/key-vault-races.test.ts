/** Requests to the management plane that come at once: of all orders in which they could have come, the answers fit one. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, subscriptionOf } from '../support/management.ts';
import { type RawResponse, startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let root: string;
let call: ManagementCaller;

beforeAll(async () => {
  server = await startTestServer();
  root = `/subscriptions/${await subscriptionOf(server)}`;
  ({ call } = await makeManager(server, 'manager'));
});
afterAll(() => server.close());

const az = '?api-version=2023-07-01';
const groupAt = (name: string) => `${root}/resourceGroups/${name}`;
const vaultAt = (name: string, group = 'default') =>
  `${groupAt(group)}/providers/Microsoft.KeyVault/vaults/${name}`;
const sku = { family: 'A', name: 'standard' };
const put = (name: string, group?: string, properties: object = {}) =>
  call('PUT', `${vaultAt(name, group)}${az}`, {
    location: 'eastus',
    properties: { tenantId: server.tenantId, sku, enableRbacAuthorization: true, ...properties },
  });
const get = (name: string, group?: string) => call('GET', `${vaultAt(name, group)}${az}`);
const remove = (name: string, group?: string) => call('DELETE', `${vaultAt(name, group)}${az}`);
const purge = (name: string) =>
  call('POST', `${root}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/${name}/purge${az}`);
const statuses = (replies: readonly RawResponse[]) => replies.map(({ status }) => status).sort();
const atOnce = <T>(ask: (index: number) => Promise<T>, times = 6) =>
  Promise.all(Array.from({ length: times }, (_, index) => ask(index)));

test('one key, however many make it: one version, with the policy of who made it', async () => {
  const keys = `${vaultAt('dev')}/keys/wanted`;
  const days = [30, 40, 50, 60, 70, 80];
  const replies = await atOnce((index) =>
    call('PUT', `${keys}${az}`, {
      tags: { by: String(index) },
      properties: {
        kty: 'EC',
        curveName: 'P-256',
        rotationPolicy: {
          attributes: { expiryTime: 'P1Y' },
          lifetimeActions: [{ trigger: { timeAfterCreate: `P${days[index]}D` }, action: { type: 'rotate' } }],
        },
      },
    }),
  );
  expect(statuses(replies)).toEqual([200, 200, 200, 200, 200, 200]);
  const uris = new Set(replies.map(({ json }) => json.properties.keyUriWithVersion));
  expect(uris.size).toBe(1);
  const versions = await call('GET', `${keys}/versions${az}`);
  expect(versions.json.value).toHaveLength(1);
  const shown = (await call('GET', `${keys}${az}`)).json;
  const maker = Number(shown.tags.by);
  const [{ trigger }] = shown.properties.rotationPolicy.lifetimeActions;
  expect(trigger).toEqual({ timeAfterCreate: `P${days[maker]}D` });
});

test('one vault, however many make it; of who changes it, nobody undoes what another has changed', async () => {
  const made = await atOnce(() => put('together'));
  expect(statuses(made)).toEqual([200, 200, 200, 200, 200, 200]);
  expect(new Set(made.map(({ json }) => json.systemData.createdAt)).size).toBe(1);
  const changes = [
    { enabledForDeployment: true },
    { enabledForDiskEncryption: true },
    { enabledForTemplateDeployment: true },
    { enablePurgeProtection: true },
    { publicNetworkAccess: 'Disabled' },
    { networkAcls: { ipRules: [{ value: '192.0.2.1' }] } },
  ];
  const path = `${vaultAt('together')}${az}`;
  const changed = await atOnce((index) => call('PATCH', path, { properties: changes[index] }));
  expect(statuses(changed)).toEqual([200, 200, 200, 200, 200, 200]);
  expect((await get('together')).json.properties).toMatchObject({
    ...Object.assign({}, ...changes),
    networkAcls: { ipRules: [{ value: '192.0.2.1' }] },
  });
});

test('a name goes to one of two groups', async () => {
  await call('PUT', groupAt('elsewhere'), { location: 'eastus' });
  const replies = await atOnce((index) => put('contested', index % 2 === 0 ? 'default' : 'elsewhere'));
  expect(statuses(replies)).toEqual([200, 200, 200, 409, 409, 409]);
  const there = [await get('contested'), await get('contested', 'elsewhere')];
  expect(statuses(there)).toEqual([200, 404]);
});

test('a deleted vault that many recover is back for all of them', async () => {
  await put('returning');
  expect(statuses(await atOnce(() => remove('returning')))).toEqual([200, 204, 204, 204, 204, 204]);
  const recovered = await atOnce(() => put('returning', undefined, { createMode: 'recover' }));
  expect(statuses(recovered)).toEqual([200, 200, 200, 200, 200, 200]);
  expect((await get('returning')).status).toBe(200);
});

test('recovered or purged, and never half of each', async () => {
  for (const name of ['either0', 'either1', 'either2', 'either3']) {
    await put(name);
    await remove(name);
    const [back, gone] = await Promise.all([put(name, undefined, { createMode: 'recover' }), purge(name)]);
    const live = await get(name);
    expect([name, [back.status, gone.status, live.status]]).toEqual([
      name,
      live.status === 200 ? [200, 404, 200] : [404, 202, 404],
    ]);
    // Purged or not, it can be made or changed now.
    expect((await put(name)).status).toBe(200);
  }
});

test('no vault is left in a group that has gone', async () => {
  for (const group of ['going0', 'going1', 'going2', 'going3']) {
    await call('PUT', groupAt(group), { location: 'eastus' });
    const [made, gone] = await Promise.all([put(`in-${group}`, group), call('DELETE', groupAt(group))]);
    expect(gone.status).toBe(202);
    expect([200, 404]).toContain(made.status);
    await call('PUT', groupAt(group), { location: 'eastus' });
    expect((await get(`in-${group}`, group)).status).toBe(404);
    const list = await call('GET', `${root}/providers/Microsoft.KeyVault/deletedVaults${az}`);
    const names = list.json.value.map(({ name }: { name: string }) => name);
    expect(names.includes(`in-${group}`)).toBe(made.status === 200);
  }
});

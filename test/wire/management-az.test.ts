/** The requests of the az command line, to the letter and in its order, with the api-versions of its 2.45. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, managementHost, subscriptionOf } from '../support/management.ts';
import { makeIdentity, startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';

let server: TestServer;
let call: ManagementCaller;
let root: string;
let vault: string;

beforeAll(async () => {
  server = await startTestServer();
  ({ call } = await makeManager(server, 'az'));
  root = `/subscriptions/${await subscriptionOf(server)}`;
  vault = `${root}/resourceGroups/rg1/providers/Microsoft.KeyVault/vaults/kv1`;
});
afterAll(() => server.close());

const version = '?api-version=2022-07-01';
const everything = ['keys', 'secrets', 'certificates', 'storage'].map((kind) => [kind, ['all']] as const);
const legacyList = () =>
  `${root}/resources?$filter=resourceType%20eq%20%27Microsoft.KeyVault%2Fvaults%27&api-version=2015-11-01`;

/** Follows an absolute Location, as a client with its token does. */
async function follow(location: string | undefined) {
  expect(location).toMatch(new RegExp(`^https://${managementHost}/`));
  return call('GET', (location ?? '').slice(`https://${managementHost}`.length));
}

test('from a group to a purged vault', async () => {
  const made = await call('PUT', `${root}/resourcegroups/rg1?api-version=2021-04-01`, { location: 'eastus' });
  expect(made.status).toBe(201);

  // keyvault create
  const missing = await call('GET', `${vault}${version}`);
  expect([missing.status, missing.json.error.code]).toEqual([404, 'ResourceNotFound']);
  expect(missing.headers['x-ms-failure-cause']).toBe('gateway');
  const owner = await makeIdentity(server, 'owner');
  const access = { tenantId: server.tenantId, objectId: owner.objectId };
  const created = await call('PUT', `${vault}${version}`, {
    location: 'eastus',
    properties: {
      tenantId: server.tenantId,
      sku: { family: 'A', name: 'standard' },
      accessPolicies: [{ ...access, permissions: Object.fromEntries(everything) }],
      enableSoftDelete: true,
      softDeleteRetentionInDays: 90,
      networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' },
    },
  });
  expect([created.status, created.json.properties?.provisioningState]).toEqual([200, 'Succeeded']);

  // keyvault secret set, by another's token for the data plane
  const secrets = vaultCaller(server, await tokenFor(server, { identity: owner }), 'kv1');
  const set = await secrets('PUT', '/secrets/ExamplePassword?api-version=7.0', {
    value: 'hVFkk965BuUv',
    tags: { 'file-encoding': 'utf-8' },
    attributes: {},
  });
  expect(set.status).toBe(200);

  // keyvault show --name, list
  const found = await call('GET', legacyList());
  expect(found.json.value.map(({ id }: { id: string }) => id)).toContain(vault);
  const shown = await call('GET', `${vault}${version}`);
  expect(shown.json.properties).not.toHaveProperty('enablePurgeProtection');
  const pools = await call('GET', `${root}/providers/Microsoft.KeyVault/managedHSMs${version}`);
  expect(pools.json).toEqual({ value: [] });

  // keyvault update: everything that was read is sent back
  const updated = await call('PUT', `${vault}${version}`, {
    ...shown.json,
    properties: { ...shown.json.properties, enabledForDiskEncryption: true },
  });
  expect([updated.status, updated.json.properties?.enabledForDiskEncryption]).toEqual([200, true]);

  // lock create, keyvault delete, lock delete
  const doubled = vault.replace('/vaults', '//vaults');
  const lock = `${doubled}/providers/Microsoft.Authorization/locks/l?api-version=2016-09-01`;
  const body = { properties: { level: 'ReadOnly' } };
  expect((await call('PUT', lock, body)).status).toBe(201);
  const refused = await call('DELETE', `${vault}${version}`);
  expect([refused.status, refused.json.error.code]).toEqual([409, 'ScopeLocked']);
  // Locks are the management plane's: what is in the vault is in use as before.
  expect((await secrets('PUT', '/secrets/other?api-version=7.0', { value: 'x' })).status).toBe(200);
  expect((await call('DELETE', lock)).status).toBe(200);

  // keyvault delete, list-deleted, show-deleted
  const deleted = await call('DELETE', `${vault}${version}`);
  expect([deleted.status, deleted.text]).toEqual([200, '']);
  expect((await secrets('GET', '/secrets/ExamplePassword?api-version=7.0')).status).toBe(404);
  const list = await call('GET', `${root}/providers/Microsoft.KeyVault/deletedVaults${version}`);
  expect(list.json.value).toMatchObject([
    { name: 'kv1', properties: { vaultId: vault, location: 'eastus' } },
  ]);
  const gone = `${root}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/kv1`;
  expect((await call('GET', `${gone}${version}`)).json).toEqual(list.json.value[0]);

  // keyvault recover
  const recovered = await call('PUT', `${vault}${version}`, {
    location: 'eastus',
    properties: {
      tenantId: server.tenantId,
      sku: { family: 'A', name: 'standard' },
      createMode: 'recover',
    },
  });
  expect(recovered.status).toBe(200);
  const again = await secrets('GET', '/secrets/ExamplePassword?api-version=7.0');
  expect(again.json.value).toBe('hVFkk965BuUv');

  // group delete with the vault in it, keyvault purge
  const groupGone = await call('DELETE', `${root}/resourcegroups/rg1?api-version=2021-04-01`);
  expect([groupGone.status, (await follow(groupGone.headers.location)).status]).toEqual([202, 200]);
  const purge = await call('POST', `${gone}/purge${version}`);
  expect([purge.status, purge.text]).toEqual([202, '']);
  const result = await follow(purge.headers.location);
  expect([result.status, result.json.status]).toEqual([200, 'Succeeded']);
  expect((await call('GET', `${gone}${version}`)).status).toBe(404);
});

test('role assignments, as az and its scripts make them', async () => {
  const group = `${root}/resourceGroups/default`;
  const roles = `${group}/providers/Microsoft.Authorization/roleDefinitions?$filter=${encodeURIComponent(
    "roleName eq 'Key Vault Secrets User'",
  )}&api-version=2018-01-01-preview`;
  const [role] = (await call('GET', roles)).json.value;
  expect(role.properties.roleName).toBe('Key Vault Secrets User');
  const reader = await makeIdentity(server, 'secrets-user');
  const readsSecrets = async () =>
    (await vaultCaller(server, await tokenFor(server, { identity: reader }))('GET', '/secrets')).status;
  expect(await readsSecrets()).toBe(403);
  const assignment = `${group}/providers/Microsoft.Authorization/roleAssignments/${crypto.randomUUID()}?api-version=2020-04-01-preview`;
  const given = await call('PUT', assignment, {
    properties: {
      roleDefinitionId: role.id,
      principalId: reader.objectId,
      principalType: 'ServicePrincipal',
    },
  });
  expect(given.status).toBe(201);
  expect(await readsSecrets()).toBe(200);
  expect((await call('DELETE', assignment)).status).toBe(200);
  expect(await readsSecrets()).toBe(403);
});

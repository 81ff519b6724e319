/** The end of vaults over the management plane: soft delete, recovery, purge, and what is left after each. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, refusal, subscriptionOf } from '../support/management.ts';
import {
  type Identity,
  makeIdentity,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';

let server: TestServer;
let root: string;
let call: ManagementCaller;
let user: Identity & { objectId: string };
let token: string;

beforeAll(async () => {
  server = await startTestServer();
  root = `/subscriptions/${await subscriptionOf(server)}`;
  ({ call } = await makeManager(server, 'manager'));
  user = await makeIdentity(server, 'user');
  token = await tokenFor(server, { identity: user });
  for (const group of ['rg1', 'rg2'])
    await call('PUT', `${root}/resourceGroups/${group}`, { location: 'eastus' });
});
afterAll(() => server.close());

const az = '?api-version=2022-07-01';
const provider = () => `${root}/providers/Microsoft.KeyVault`;
const vaultAt = (name: string, group = 'rg1') =>
  `${root}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/${name}`;
const deletedAt = (name: string, location = 'eastus') =>
  `${provider()}/locations/${location}/deletedVaults/${name}`;
const sku = (name: string) => ({ family: 'A', name });
const put = (name: string, properties: object = {}, group?: string) =>
  call('PUT', `${vaultAt(name, group)}${az}`, {
    location: 'eastus',
    tags: { kept: 'yes' },
    properties: {
      tenantId: server.tenantId,
      sku: sku('premium'),
      accessPolicies: [
        {
          tenantId: server.tenantId,
          objectId: user.objectId,
          permissions: { secrets: ['all'], keys: ['all'] },
        },
      ],
      ...properties,
    },
  });
const remove = (name: string) => call('DELETE', `${vaultAt(name)}${az}`);
const recover = (name: string, group?: string, location = 'eastus') =>
  call('PUT', `${vaultAt(name, group)}${az}`, {
    location,
    properties: { tenantId: server.tenantId, sku: sku('standard'), createMode: 'recover' },
  });
const inVault = (name: string) => vaultCaller(server, token, name);
const notDeleted = (name: string) =>
  refusal(
    'DeletedVaultNotFound',
    `The specified deleted vault '${name}' does not exist. Ensure that the vault was indeed deleted and that it is in recoverable state. If soft delete was not enabled then the vault is permanently deleted. Follow this link for more information: https://go.microsoft.com/fwlink/?linkid=2149745`,
  );

describe('a deleted vault', () => {
  test('is gone for everybody but those who look for deleted vaults, and its name stays taken', async () => {
    await put('gone');
    await inVault('gone')('PUT', '/secrets/s', { value: 'v' });
    expect((await call('GET', `${deletedAt('gone')}${az}`)).json).toEqual(notDeleted('gone'));
    const deleted = await remove('GONE');
    expect([deleted.status, deleted.text]).toEqual([200, '']);
    expect((await remove('gone')).status).toBe(204);
    expect((await inVault('gone')('GET', '/secrets/s')).status).toBe(404);
    expect((await call('GET', `${vaultAt('gone')}${az}`)).json.error.code).toBe('ResourceNotFound');
    const listed = await call('GET', `${root}/resourceGroups/rg1/providers/Microsoft.KeyVault/vaults${az}`);
    expect(listed.json.value).toEqual([]);

    const wire = {
      id: deletedAt('gone'),
      name: 'gone',
      type: 'Microsoft.KeyVault/deletedVaults',
      properties: {
        vaultId: vaultAt('gone'),
        location: 'eastus',
        tags: { kept: 'yes' },
        deletionDate: expect.stringMatching(/^20..-..-..T..:..:..Z$/),
        scheduledPurgeDate: expect.stringMatching(/^20..-..-..T..:..:..Z$/),
      },
    };
    const shown = await call('GET', `${deletedAt('gone', 'East%20US')}${az}`);
    expect([shown.status, shown.json]).toEqual([200, wire]);
    const { deletionDate, scheduledPurgeDate } = shown.json.properties;
    expect(Date.parse(scheduledPurgeDate) - Date.parse(deletionDate)).toBe(90 * 86_400_000);
    const all = await call('GET', `${provider()}/deletedVaults${az}`);
    expect(all.json).toEqual({ value: [wire] });
    expect((await call('GET', `${deletedAt('gone', 'westus')}${az}`)).json).toEqual(notDeleted('gone'));

    const again = await put('gone');
    expect([again.status, again.json.error.code]).toEqual([409, 'ConflictError']);
    expect(again.json.error.message).toMatch(
      /^A vault with the same name already exists in deleted state\. /,
    );
    expect((await put('gone', {}, 'rg2')).json.error.code).toBe('ConflictError');
    const check = await call('POST', `${provider()}/checkNameAvailability${az}`, {
      name: 'gone',
      type: 'Microsoft.KeyVault/vaults',
    });
    expect(check.json.reason).toBe('AlreadyExists');
    await expect(server.control('vault create', { name: 'gone' })).rejects.toThrow(/already in use/);
  });

  test('comes back whole, whatever the request says of it, and without its role assignments', async () => {
    await put('back', { softDeleteRetentionInDays: 7, enabledForDeployment: true });
    await inVault('back')('PUT', '/secrets/s', { value: 'v' });
    await server.control('identity grant', {
      identity: user.objectId,
      role: 'Key Vault Administrator',
      scope: vaultAt('back'),
    });
    await server.control('identity grant', {
      identity: user.objectId,
      role: 'Key Vault Reader',
      scope: vaultAt('back2'),
    });
    const { json: before } = await call('GET', `${vaultAt('back')}${az}`);
    await remove('back');

    const elsewhere = await recover('back', 'rg2');
    expect([elsewhere.status, elsewhere.json.error.code]).toEqual([400, 'BadRequest']);
    expect((await recover('back', 'rg1', 'westus')).json.error.code).toBe('InvalidResourceLocation');
    const recovered = await recover('back');
    expect(recovered.status).toBe(200);
    expect(recovered.json).toEqual({ ...before, systemData: expect.anything() });
    expect((await inVault('back')('GET', '/secrets/s')).json.value).toBe('v');
    expect((await recover('back')).json.properties).toEqual(before.properties);
    expect((await call('GET', `${deletedAt('back')}${az}`)).status).toBe(404);
    const filter = encodeURIComponent(`principalId eq '${user.objectId}'`);
    const assignments = await call(
      'GET',
      `${root}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter=${filter}`,
    );
    const scopes = assignments.json.value.map(
      ({ properties }: { properties: { scope: string } }) => properties.scope,
    );
    expect(scopes).toEqual([vaultAt('back2')]);
  });

  test('that was never there, or is alive elsewhere, does not come back', async () => {
    expect((await recover('never')).json).toEqual(notDeleted('never'));
    expect((await recover('dev')).status).toBe(400);
    const stranger = await makeManager(server, 'stranger', {
      role: 'Contributor',
      scope: `${root}/resourceGroups/rg2`,
    });
    await put('mine');
    await remove('mine');
    const body = {
      location: 'eastus',
      properties: { tenantId: server.tenantId, sku: sku('standard'), createMode: 'recover' },
    };
    const refused = await stranger.call('PUT', `${vaultAt('mine')}${az}`, body);
    expect(refused.json.error.code).toBe('AuthorizationFailed');
    const through = await stranger.call('PUT', `${vaultAt('mine', 'rg2')}${az}`, body);
    expect(through.status).toBe(400);
    expect((await call('GET', `${deletedAt('mine')}${az}`)).status).toBe(200);
  });
});

describe('purge', () => {
  const purge = (name: string) => call('POST', `${deletedAt(name)}/purge${az}`);

  test('leaves nothing: another vault of the name begins empty', async () => {
    await put('purged');
    for (let n = 0; n < 3; n += 1) await inVault('purged')('PUT', `/secrets/s${n}`, { value: 'old' });
    await inVault('purged')('POST', '/keys/k/create', { kty: 'EC' });
    await inVault('purged')('DELETE', '/secrets/s2');
    expect((await purge('purged')).json).toEqual(notDeleted('purged'));
    await remove('purged');
    const reply = await purge('purged');
    expect([reply.status, reply.text]).toEqual([202, '']);
    expect(reply.headers['retry-after']).toBeDefined();
    const location = new URL(reply.headers.location ?? '');
    expect(location.origin).toBe('https://management.azure.com');
    const polled = await call('GET', `${location.pathname}${location.search}`);
    expect([polled.status, polled.json.status]).toEqual([200, 'Succeeded']);
    expect((await purge('purged')).json).toEqual(notDeleted('purged'));
    expect((await recover('purged')).json).toEqual(notDeleted('purged'));
    expect((await put('purged')).status).toBe(200);
    for (const path of ['/secrets', '/deletedsecrets', '/keys', '/deletedkeys'])
      expect((await inVault('purged')('GET', path)).json).toEqual({ value: [], nextLink: null });
    expect((await inVault('purged')('GET', '/secrets/s0')).status).toBe(404);
  });

  test('waits where it is protected', async () => {
    await put('protected', { enablePurgeProtection: true });
    await remove('protected');
    const shown = await call('GET', `${deletedAt('protected')}${az}`);
    expect(shown.json.properties.purgeProtectionEnabled).toBe(true);
    const refused = await purge('protected');
    expect([refused.status, refused.json]).toEqual([
      405,
      refusal('MethodNotAllowed', "Operation 'DeletedVaultPurge' is not allowed."),
    ]);
    expect((await recover('protected')).status).toBe(200);
  });

  test('takes a permission on the subscription, not on where the vault was', async () => {
    await put('purged2');
    await remove('purged2');
    const owner = await makeManager(server, 'group-owner', {
      role: 'Owner',
      scope: `${root}/resourceGroups/rg1`,
    });
    const path = `${deletedAt('purged2')}/purge${az}`;
    expect((await owner.call('POST', path)).json.error.code).toBe('AuthorizationFailed');
    const operator = await makeManager(server, 'operator', { role: 'Key Vault Purge Operator', scope: root });
    expect((await operator.call('POST', path)).status).toBe(202);
  });
});

test('a group takes its vaults along, and a lock keeps both', async () => {
  await call('PUT', `${root}/resourceGroups/rg3`, { location: 'eastus' });
  await put('in-group', {}, 'rg3');
  const lock = `${vaultAt('in-group', 'rg3')}/providers/Microsoft.Authorization/locks/l?api-version=2016-09-01`;
  await call('PUT', lock, { properties: { level: 'CanNotDelete' } });
  const locked = await call('DELETE', `${vaultAt('in-group', 'rg3')}${az}`);
  expect([locked.status, locked.json.error.code]).toEqual([409, 'ScopeLocked']);
  await call('DELETE', lock);
  await call('DELETE', `${root}/resourceGroups/rg3?api-version=2021-04-01`);
  expect((await inVault('in-group')('GET', '/secrets')).status).toBe(404);
  expect((await call('GET', `${deletedAt('in-group')}${az}`)).status).toBe(200);
  expect((await recover('in-group', 'rg3')).json.error.code).toBe('ResourceGroupNotFound');
  await call('PUT', `${root}/resourceGroups/rg3`, { location: 'eastus' });
  expect((await recover('in-group', 'rg3')).status).toBe(200);
});

/** Microsoft's own client of the management plane, unchanged, in its newest and its previous major version. */
import { KeyVaultManagementClient, type Permissions } from '@azure/arm-keyvault';
import { KeyVaultManagementClient as PreviousClient } from 'arm-keyvault-4';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keyClient } from '../support/key-clients.ts';
import { makeManager, subscriptionOf } from '../support/management.ts';
import {
  azureAccess,
  type Identity,
  makeIdentity,
  secretClient,
  startTestServer,
  type TestServer,
} from '../support/server.ts';

let server: TestServer;
let manager: Identity & { objectId: string };
let user: Identity & { objectId: string };
let subscriptionId: string;

beforeAll(async () => {
  server = await startTestServer();
  subscriptionId = await subscriptionOf(server);
  manager = await makeManager(server, 'manager');
  user = await makeIdentity(server, 'user');
});
afterAll(() => server.close());

const group = 'default';
const location = 'local';

/** Both majors have what is asked for here under the same names; only their types differ. */
function clientOf(major: 'newest' | 'previous'): KeyVaultManagementClient {
  const { way, credential } = azureAccess(server, manager);
  if (major === 'newest') return new KeyVaultManagementClient(credential, subscriptionId, way);
  return new PreviousClient(credential, subscriptionId, way) as unknown as KeyVaultManagementClient;
}

async function names(items: AsyncIterable<{ name?: string }>): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for await (const { name } of items) found.push(name);
  return found;
}

describe.each(['newest', 'previous'] as const)('the %s client', (major) => {
  const name = `sdk-${major}`;
  const id = () =>
    `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.KeyVault/vaults/${name}`;
  const policy = (permissions: Permissions) => ({
    tenantId: server.tenantId,
    objectId: user.objectId,
    permissions,
  });
  const sku = { family: 'A', name: 'standard' } as const;
  const secrets = () => secretClient(server, { vault: name, identity: user });

  test('makes a vault, changes it and finds it', async () => {
    const { vaults } = clientOf(major);
    const free = await vaults.checkNameAvailability({ name, type: 'Microsoft.KeyVault/vaults' });
    expect(free.nameAvailable).toBe(true);
    const made = await vaults.beginCreateOrUpdateAndWait(group, name, {
      location,
      tags: { a: '1' },
      properties: {
        tenantId: server.tenantId,
        sku,
        accessPolicies: [policy({ secrets: ['get', 'set'] })],
        enableRbacAuthorization: false,
        networkAcls: { defaultAction: 'Deny', ipRules: [{ value: '127.0.0.0/8' }] },
      },
    });
    expect(made).toMatchObject({ id: id(), name, location, tags: { a: '1' } });
    expect(made.properties).toMatchObject({
      vaultUri: `https://${name}.vault.azure.net/`,
      provisioningState: 'Succeeded',
      networkAcls: { bypass: 'AzureServices', defaultAction: 'Deny', ipRules: [{ value: '127.0.0.0/8' }] },
    });
    const changed = await vaults.update(group, name, { properties: { enabledForDeployment: true } });
    expect(changed.properties?.enabledForDeployment).toBe(true);
    expect(changed.tags).toEqual({ a: '1' });
    expect((await vaults.get(group, name)).properties?.enabledForDeployment).toBe(true);
    for (const list of [vaults.listByResourceGroup(group, { top: 1 }), vaults.listBySubscription({ top: 1 })])
      expect(await names(list)).toEqual(expect.arrayContaining([name, 'dev']));
    expect(await names(vaults.list({ top: 1 }))).toContain(name);
    await expect(vaults.get(group, 'nobody-s')).rejects.toMatchObject({
      statusCode: 404,
      code: 'ResourceNotFound',
    });
  });

  test('gives and takes access, which counts at once', async () => {
    const { vaults } = clientOf(major);
    await secrets().setSecret('s', 'v');
    const properties = { accessPolicies: [policy({ secrets: ['list'] })] };
    const added = await vaults.updateAccessPolicy(group, name, 'add', { properties });
    expect(added.properties?.accessPolicies[0]?.permissions.secrets).toEqual(['get', 'set', 'list']);
    expect(await names(secrets().listPropertiesOfSecrets())).toEqual(['s']);
    await vaults.updateAccessPolicy(group, name, 'remove', { properties });
    await expect(names(secrets().listPropertiesOfSecrets())).rejects.toMatchObject({ statusCode: 403 });
  });

  test('replaces what somebody has, for keys as for secrets', async () => {
    const { vaults } = clientOf(major);
    const keys = keyClient(server, { vault: name, identity: user });
    await expect(keys.createRsaKey('theirs')).rejects.toMatchObject({ statusCode: 403 });
    const replace = (permissions: Permissions) =>
      vaults.updateAccessPolicy(group, name, 'replace', {
        properties: { accessPolicies: [policy(permissions)] },
      });
    const replaced = await replace({ keys: ['all'], secrets: ['get'] });
    expect(replaced.properties?.accessPolicies[0]?.permissions).toEqual({ keys: ['all'], secrets: ['get'] });
    await keys.createRsaKey('theirs');
    await (await keys.beginDeleteKey('theirs')).pollUntilDone();
    // As in Azure, nobody purges who was not given just that.
    await expect(keys.purgeDeletedKey('theirs')).rejects.toMatchObject({ statusCode: 403 });
    await replace({ keys: ['all', 'purge'], secrets: ['get'] });
    await keys.purgeDeletedKey('theirs');
    await expect(secrets().setSecret('s', 'w')).rejects.toMatchObject({ statusCode: 403 });
    await replace({ secrets: ['get', 'set'] });
    await expect(keys.createRsaKey('theirs')).rejects.toMatchObject({ statusCode: 403 });
    expect((await secrets().getSecret('s')).value).toBe('v');
  });

  test('closes a vault to addresses, and opens it again', async () => {
    const { vaults } = clientOf(major);
    const from = (value: string) =>
      vaults.update(group, name, {
        properties: { networkAcls: { defaultAction: 'Deny', ipRules: [{ value }] } },
      });
    expect((await from('203.0.113.7')).properties?.networkAcls?.ipRules).toEqual([{ value: '203.0.113.7' }]);
    const closed = { statusCode: 403, message: expect.stringContaining('Client address is not authorized') };
    await expect(secrets().getSecret('s')).rejects.toMatchObject(closed);
    await from('127.0.0.0/8');
    expect((await secrets().getSecret('s')).value).toBe('v');
  });

  test('makes keys and secrets as resources', async () => {
    const { keys, secrets: objects } = clientOf(major);
    const made = await keys.createIfNotExist(group, name, 'k', {
      properties: { kty: 'RSA', keySize: 3072 },
    });
    expect(made).toMatchObject({ id: `${id()}/keys/k`, name: 'k', kty: 'RSA', keySize: 3072 });
    const again = await keys.createIfNotExist(group, name, 'k', { properties: { kty: 'EC' } });
    expect(again.keyUriWithVersion).toBe(made.keyUriWithVersion);
    expect(await names(keys.list(group, name))).toEqual(['k']);
    expect((await keys.get(group, name, 'k')).keyUriWithVersion).toBe(made.keyUriWithVersion);
    const version = made.keyUriWithVersion?.split('/').at(-1) ?? '';
    expect(await names(keys.listVersions(group, name, 'k'))).toEqual([version]);
    expect((await keys.getVersion(group, name, 'k', version)).keySize).toBe(3072);
    const set = await objects.createOrUpdate(group, name, 'deployed', {
      properties: { value: 'from a template', contentType: 'text/plain' },
    });
    expect(set.properties).toMatchObject({ contentType: 'text/plain', attributes: { enabled: true } });
    expect(set.properties?.value).toBeUndefined();
    expect((await secrets().getSecret('deployed')).value).toBe('from a template');
    const patched = await objects.update(group, name, 'deployed', {
      tags: { by: 'template' },
      properties: { attributes: { enabled: false } },
    });
    expect(patched).toMatchObject({
      tags: { by: 'template' },
      properties: { attributes: { enabled: false } },
    });
    expect((await objects.get(group, name, 'deployed')).properties.value).toBeUndefined();
    await expect(secrets().getSecret('deployed')).rejects.toMatchObject({ statusCode: 403 });
    expect(await names(objects.list(group, name))).toEqual(['deployed', 's']);
  });

  test('approves and takes away private endpoint connections', async () => {
    const { privateEndpointConnections: connections, privateLinkResources } = clientOf(major);
    const state = { status: 'Approved', description: 'ours' };
    const put = await connections.put(group, name, 'c', { privateLinkServiceConnectionState: state });
    expect(put).toMatchObject({ name: 'c', provisioningState: 'Succeeded' });
    expect(put.privateLinkServiceConnectionState).toMatchObject(state);
    expect((await connections.get(group, name, 'c')).privateLinkServiceConnectionState).toMatchObject(state);
    expect(await names(connections.listByResource(group, name))).toEqual(['c']);
    await connections.beginDeleteAndWait(group, name, 'c');
    expect(await names(connections.listByResource(group, name))).toEqual([]);
    expect((await privateLinkResources.listByVault(group, name)).value?.[0]?.groupId).toBe('vault');
  });

  test('deletes, recovers and purges', async () => {
    const { vaults } = clientOf(major);
    await vaults.delete(group, name);
    expect(await names(vaults.listDeleted({}))).toContain(name);
    const deleted = await vaults.getDeleted(name, location);
    expect(deleted.properties?.vaultId).toBe(id());
    expect(deleted.properties?.scheduledPurgeDate?.getTime()).toBeGreaterThan(
      deleted.properties?.deletionDate?.getTime() ?? Number.NaN,
    );
    const recovered = await vaults.beginCreateOrUpdateAndWait(group, name, {
      location,
      properties: { tenantId: server.tenantId, sku, createMode: 'recover' },
    });
    expect(recovered.tags).toEqual({ a: '1' });
    expect((await secrets().getSecret('s')).value).toBe('v');
    await vaults.delete(group, name);
    await expect(secrets().getSecret('s')).rejects.toMatchObject({ statusCode: 404 });
    const taken = await vaults.checkNameAvailability({ name, type: 'Microsoft.KeyVault/vaults' });
    expect(taken).toMatchObject({ nameAvailable: false, reason: 'AlreadyExists' });
    const purging = await vaults.beginPurgeDeleted(name, location);
    await purging.pollUntilDone();
    expect([purging.isDone(), purging.getOperationState().status]).toEqual([true, 'succeeded']);
    await expect(vaults.getDeleted(name, location)).rejects.toMatchObject({ code: 'DeletedVaultNotFound' });
    expect(
      (await vaults.checkNameAvailability({ name, type: 'Microsoft.KeyVault/vaults' })).nameAvailable,
    ).toBe(true);
  });

  test('finds no managed HSM pools, and lists operations', async () => {
    const { managedHsms, operations } = clientOf(major);
    expect(await names(managedHsms.listBySubscription())).toEqual([]);
    expect(await names(managedHsms.listByResourceGroup(group))).toEqual([]);
    expect(await names(operations.list())).toContain('Microsoft.KeyVault/vaults/read');
  });
});

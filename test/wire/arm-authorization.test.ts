/**
 * Microsoft's own client of Azure's authorization, unchanged: roles are defined, given and taken away with it, and the
 * clients of the data plane are let in and refused accordingly, with the tokens that they have.
 */
import { AuthorizationManagementClient, type RoleAssignment } from '@azure/arm-authorization';
import type { KeyClient } from '@azure/keyvault-keys';
import type { SecretClient } from '@azure/keyvault-secrets';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
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

const secretsUser = '4633458b-17de-408a-b874-0445c86b69e6';
const cryptoOfficer = '14b46e9e-c2b7-41b4-b07b-48a6ebf60603';

let server: TestServer;
let owner: Identity;
let client: AuthorizationManagementClient;
let subscription: string;
let group: string;
let vault: string;

beforeAll(async () => {
  server = await startTestServer();
  const subscriptionId = await subscriptionOf(server);
  owner = await makeManager(server, 'owner');
  client = clientOf(owner, subscriptionId);
  subscription = `/subscriptions/${subscriptionId}`;
  group = `${subscription}/resourceGroups/default`;
  vault = `${group}/providers/Microsoft.KeyVault/vaults/dev`;
  await secretClient(server).setSecret('shared', 'a value');
  await secretClient(server).setSecret('other', 'another');
});
afterAll(() => server.close());

function clientOf(identity: Identity, subscriptionId: string): AuthorizationManagementClient {
  const { way, credential } = azureAccess(server, identity);
  return new AuthorizationManagementClient(credential, subscriptionId, way);
}

/** Somebody without any role, whose clients have their tokens before anything is given to them. */
interface Somebody extends Identity {
  readonly objectId: string;
  readonly secrets: SecretClient;
  readonly keys: KeyClient;
}

let somebody: Somebody;
beforeEach(async ({ task }) => {
  const identity = await makeIdentity(server, `somebody in ${task.id}`);
  const secrets = secretClient(server, { identity });
  const keys = keyClient(server, { identity });
  somebody = { ...identity, secrets, keys };
  await expect(secrets.getSecret('shared')).rejects.toMatchObject(refused);
  await expect(keys.createRsaKey('none')).rejects.toMatchObject(refused);
});

const refused = { statusCode: 403, code: 'Forbidden' };

function give(scope: string, roleId: string, name: string = crypto.randomUUID()) {
  return client.roleAssignments.create(scope, name, {
    roleDefinitionId: `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${roleId}`,
    principalId: somebody.objectId,
    principalType: 'ServicePrincipal',
  });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const idsOf = async (items: AsyncIterable<RoleAssignment>) => (await all(items)).map(({ id }) => id);

test.for(['subscription', 'group', 'vault'] as const)(
  'a role at the %s counts with the next request, and no longer when it is taken away',
  async (level) => {
    const scope = { subscription, group, vault }[level];
    const { secrets, keys } = somebody;
    const given = await give(scope, secretsUser);
    expect(given).toMatchObject({ scope, principalId: somebody.objectId, principalType: 'ServicePrincipal' });
    expect((await secrets.getSecret('shared')).value).toBe('a value');
    await expect(secrets.setSecret('shared', 'mine')).rejects.toMatchObject(refused);
    await expect(keys.createRsaKey('none')).rejects.toMatchObject(refused);
    const gone = await client.roleAssignments.delete(scope, given.name ?? '');
    expect(gone).toMatchObject({ id: given.id });
    await expect(secrets.getSecret('shared')).rejects.toMatchObject(refused);
  },
);

test('a role at one secret opens no other, and no key', async () => {
  await give(`${vault}/secrets/shared`, secretsUser);
  expect((await somebody.secrets.getSecret('shared')).value).toBe('a value');
  await expect(somebody.secrets.getSecret('other')).rejects.toMatchObject(refused);
  await expect(somebody.keys.getKey('shared')).rejects.toMatchObject(refused);
});

test('a role for keys is none for secrets', async () => {
  await give(vault, cryptoOfficer);
  const made = await somebody.keys.createEcKey(`ec-${somebody.clientId}`);
  expect((await somebody.keys.getKey(made.name)).id).toBe(made.id);
  await expect(somebody.secrets.getSecret('shared')).rejects.toMatchObject(refused);
});

test('assignments are found at their scope, above it and below it, and by whom they are for', async () => {
  const given = await give(vault, secretsUser);
  const { id = '', name = '' } = given;
  const { roleAssignments } = client;
  expect(await roleAssignments.get(vault, name)).toMatchObject({ id, name });
  expect(await roleAssignments.getById(id)).toMatchObject({ id, name });
  const forThem = { filter: `principalId eq '${somebody.objectId}'` };
  for (const list of [
    roleAssignments.listForSubscription(forThem),
    roleAssignments.listForResourceGroup('default', forThem),
    roleAssignments.listForResource('default', 'Microsoft.KeyVault', 'vaults', 'dev', forThem),
    roleAssignments.listForScope(vault, { filter: `assignedTo('${somebody.objectId}')` }),
  ]) {
    expect(await idsOf(list)).toEqual([id]);
  }
  expect(await idsOf(roleAssignments.listForScope(vault, { filter: 'atScope()' }))).toContain(id);
  expect(await idsOf(roleAssignments.listForScope(group, { filter: 'atScope()' }))).not.toContain(id);
  expect(await roleAssignments.deleteById(id)).toMatchObject({ id });
  await expect(roleAssignments.getById(id)).rejects.toMatchObject({
    statusCode: 404,
    code: 'RoleAssignmentNotFound',
  });
  const again = await roleAssignments.createById(id, {
    roleDefinitionId: given.roleDefinitionId ?? '',
    principalId: somebody.objectId,
  });
  expect(again).toMatchObject({ id, scope: vault });
  await expect(give(vault, secretsUser)).rejects.toMatchObject({
    statusCode: 409,
    code: 'RoleAssignmentExists',
  });
});

test('a role of one’s own is what it is now, for whom it was given to before', async () => {
  const { roleDefinitions } = client;
  const name = crypto.randomUUID();
  const define = (dataActions: string[]) =>
    roleDefinitions.createOrUpdate(subscription, name, {
      roleName: `Reads names ${name}`,
      description: 'Lists secrets.',
      roleType: 'CustomRole',
      assignableScopes: [group],
      permissions: [{ actions: [], notActions: [], dataActions, notDataActions: [] }],
    });
  const names = 'Microsoft.KeyVault/vaults/secrets/readMetadata/action';
  const made = await define([names]);
  expect(await roleDefinitions.get(subscription, name)).toMatchObject({
    id: made.id,
    roleType: 'CustomRole',
  });
  expect(await roleDefinitions.getById(made.id ?? '')).toMatchObject({ assignableScopes: [group] });
  const filter = `roleName eq 'Reads names ${name}'`;
  expect((await all(roleDefinitions.list(group, { filter }))).map((found) => found.name)).toEqual([name]);

  const { name: assignment = '' } = await give(vault, name);
  const listed = await all(somebody.secrets.listPropertiesOfSecrets());
  expect(listed.map((secret) => secret.name)).toEqual(['other', 'shared']);
  await expect(somebody.secrets.getSecret('shared')).rejects.toMatchObject(refused);
  await define([names, 'Microsoft.KeyVault/vaults/secrets/getSecret/action']);
  expect((await somebody.secrets.getSecret('shared')).value).toBe('a value');

  await expect(roleDefinitions.delete(subscription, name)).rejects.toMatchObject({
    code: 'RoleDefinitionHasAssignments',
  });
  await client.roleAssignments.delete(vault, assignment);
  expect(await roleDefinitions.delete(subscription, name)).toMatchObject({ id: made.id });
  await expect(roleDefinitions.get(subscription, name)).rejects.toMatchObject({ statusCode: 404 });
});

test('permissions, operations and deny assignments are told', async () => {
  const ofGroup = await all(client.permissions.listForResourceGroup('default'));
  expect(ofGroup.flatMap(({ actions }) => actions)).toContain('*');
  const ofVault = await all(
    client.permissions.listForResource('default', 'Microsoft.KeyVault', '', 'vaults', 'dev'),
  );
  expect(ofVault).toEqual(ofGroup);
  const operations = await client.providerOperationsMetadataOperations.get('Microsoft.KeyVault');
  expect(operations.resourceTypes?.map(({ name }) => name)).toContain('vaults');
  expect(await all(client.denyAssignments.list())).toEqual([]);
});

test('who may not write assignments gives nothing, neither to others nor to themselves', async () => {
  const theirs = clientOf(somebody, subscription.slice('/subscriptions/'.length));
  const roleDefinitionId = `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${secretsUser}`;
  await give(vault, secretsUser);
  const attempt = theirs.roleAssignments.create(vault, crypto.randomUUID(), {
    roleDefinitionId,
    principalId: somebody.objectId,
  });
  await expect(attempt).rejects.toMatchObject({ statusCode: 403, code: 'AuthorizationFailed' });
});

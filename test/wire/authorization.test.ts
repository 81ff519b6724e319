/**
 * Proves Microsoft.Authorization over the wire: what is given counts on the data plane at once, and nobody gives more
 * than they may: not elsewhere, not to others, not other roles, not by a custom role.
 */
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import {
  makeIdentity,
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';

const owner = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635';
const reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7';
const secretsUser = '4633458b-17de-408a-b874-0445c86b69e6';
const secretsOfficer = 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7';
const dataAccessAdministrator = '8b54135c-b56d-4d72-a534-26097cfdc8d8';
const rbacAdministrator = 'f58310d9-a9f6-439a-9e8d-f62e7b41a168';
const provider = '/providers/Microsoft.Authorization';

let server: TestServer;
let subscription: string;
let group: string;
let admin: Caller;
let adminId: string;

type Caller = (method: string, path: string, body?: object) => Promise<RawResponse>;

async function callerFor(identity: { clientId: string; clientSecret: string }): Promise<Caller> {
  const token = await tokenFor(server, { identity, resource: 'https://management.azure.com' });
  return (method, path, body) =>
    send(server, {
      host: 'management.azure.com',
      method,
      path: `${path}${path.includes('?') ? '&' : '?'}api-version=2022-04-01`,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
}

let numbered = 0;
function guid(): string {
  numbered += 1;
  return `a0000000-0000-4000-8000-${String(numbered).padStart(12, '0')}`;
}

async function someone(name = guid(), grants: readonly { role: string; scope: string }[] = []) {
  const identity = await makeIdentity(server, name, grants);
  const token = await tokenFor(server, { identity });
  const data = (vault: string) => vaultCaller(server, token, vault);
  return { ...identity, arm: await callerFor(identity), data };
}

function vault(name: string): string {
  return `${group}/providers/Microsoft.KeyVault/vaults/${name}`;
}

function roleId(id: string): string {
  return `${subscription}${provider}/roleDefinitions/${id}`;
}

interface Given {
  readonly scope: string;
  readonly role: string;
  readonly to: string;
  readonly name?: string;
  readonly more?: object;
}

function give(as: Caller, { scope, role, to, name = guid(), more = {} }: Given): Promise<RawResponse> {
  const path = `${scope === '/' ? '' : scope}${provider}/roleAssignments/${name}`;
  return as('PUT', path, { properties: { roleDefinitionId: roleId(role), principalId: to, ...more } });
}

function refused(reply: RawResponse): [number, string] {
  return [reply.status, reply.json?.error?.code];
}

const forbidden = [403, 'AuthorizationFailed'];

beforeAll(async () => {
  server = await startTestServer();
  const { subscriptionId } = await server.control<{ subscriptionId: string }>('status');
  subscription = `/subscriptions/${subscriptionId}`;
  group = `${subscription}/resourceGroups/default`;
  for (const name of ['kv1', 'kv10']) await server.control('vault create', { name });
  const identity = await someone('owner', [{ role: 'Owner', scope: subscription }]);
  [admin, adminId] = [identity.arm, identity.objectId];
});
afterAll(() => server.close());

describe('a role assignment', () => {
  it('has Azure’s shape, counts at once, and is gone at once', async () => {
    const user = await someone();
    const secrets = () => user.data('kv1')('GET', '/secrets/none');
    expect((await secrets()).status).toBe(403);
    const name = guid();
    const given = { scope: vault('kv1'), role: secretsUser, to: user.objectId, name };
    const made = await give(admin, given);
    expect(made.status).toBe(201);
    const { createdOn, updatedOn, ...properties } = made.json.properties;
    expect(createdOn).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
    expect(updatedOn).toBe(createdOn);
    expect({ ...made.json, properties }).toEqual({
      properties: {
        roleDefinitionId: roleId(secretsUser),
        principalId: user.objectId,
        principalType: 'ServicePrincipal',
        scope: vault('kv1'),
        condition: null,
        conditionVersion: null,
        createdBy: adminId,
        updatedBy: adminId,
        delegatedManagedIdentityResourceId: null,
        description: null,
      },
      id: `${vault('kv1')}${provider}/roleAssignments/${name}`,
      type: 'Microsoft.Authorization/roleAssignments',
      name,
    });
    expect((await secrets()).status).toBe(404);
    expect((await user.data('kv10')('GET', '/secrets/none')).status).toBe(403);

    const path = `${vault('kv1')}${provider}/roleAssignments/${name}`;
    expect((await admin('GET', path)).json).toEqual(made.json);
    expect(refused(await admin('GET', path.replace('kv1/', 'kv10/')))).toEqual([
      404,
      'RoleAssignmentNotFound',
    ]);
    expect((await admin('DELETE', path.replace('kv1/', 'kv10/'))).status).toBe(204);
    const deleted = await admin('DELETE', path.toUpperCase());
    expect([deleted.status, deleted.json]).toEqual([200, made.json]);
    expect((await secrets()).status).toBe(403);
    expect((await admin('DELETE', path)).status).toBe(204);
    expect(refused(await admin('GET', path))).toEqual([404, 'RoleAssignmentNotFound']);
  });

  it('can be written again, cannot become another, and is there once', async () => {
    const user = await someone();
    const given = { scope: group, role: reader, to: user.objectId, name: guid() };
    expect((await give(admin, given)).status).toBe(201);
    const again = await give(admin, { ...given, more: { description: 'why' } });
    expect([again.status, again.json.properties.description]).toEqual([201, 'why']);
    const differs = [400, 'RoleAssignmentUpdateNotPermitted'];
    expect(refused(await give(admin, { ...given, role: owner }))).toEqual(differs);
    expect(refused(await give(admin, { ...given, to: adminId }))).toEqual(differs);
    expect(refused(await give(admin, { ...given, scope: subscription }))).toEqual(differs);
    const other = await give(admin, { ...given, name: guid() });
    expect(refused(other)).toEqual([409, 'RoleAssignmentExists']);
    expect(other.json.error.message).toContain(given.name.replaceAll('-', ''));
  });

  it.each<[string, Partial<Given>, [number, string]]>([
    ['a name that is no GUID', { name: 'assignment' }, [400, 'InvalidRoleAssignmentId']],
    ['a role that nobody knows', { role: guid() }, [404, 'RoleDefinitionDoesNotExist']],
    ['a role without a name', { role: 'Owner' }, [400, 'InvalidRoleDefinitionId']],
    ['nobody', { to: '90000000-0000-4000-8000-000000000000' }, [400, 'PrincipalNotFound']],
    ['no GUID', { to: 'someone', more: { principalType: 'User' } }, [400, 'PrincipalNotFound']],
    ['another type', { more: { principalType: 'User' } }, [400, 'UnmatchedPrincipalType']],
    [
      'an unknown condition',
      { more: { condition: 'x', conditionVersion: '2.0' } },
      [400, 'ConditionNotSupported'],
    ],
  ])('is refused for %s', async (_what, wrong, answer) => {
    const to = (await someone()).objectId;
    expect(refused(await give(admin, { scope: group, role: reader, to, ...wrong }))).toEqual(answer);
  });

  it('is refused on what is not there', async () => {
    const to = (await someone()).objectId;
    for (const scope of [
      vault('kv99'),
      `${vault('kv99')}/secrets/a`,
      `${group}x`,
      `${group}/providers/A.B/c/d`,
    ]) {
      const reply = await give(admin, { scope, role: reader, to });
      expect([scope, reply.status]).toEqual([scope, 404]);
    }
    expect((await give(admin, { scope: `${vault('kv1')}/storage/a`, role: reader, to })).status).toBe(404);
  });

  it('of a condition on a role that gives none away is refused: it would change nothing', async () => {
    const to = (await someone()).objectId;
    const condition = "!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})";
    const ask = (role: string, more: object) => give(admin, { scope: group, role, to, more });
    const no = [400, 'ConditionNotSupported'];
    expect(refused(await ask(secretsUser, { condition, conditionVersion: '2.0' }))).toEqual(no);
    expect(refused(await ask(owner, { condition, conditionVersion: '1.0' }))).toEqual(no);
    expect(refused(await ask(owner, { condition }))).toEqual(no);
    expect(refused(await ask(owner, { conditionVersion: '2.0' }))).toEqual(no);
    const made = await ask(owner, { condition, conditionVersion: '2.0' });
    expect(made.json.properties).toMatchObject({ condition, conditionVersion: '2.0' });
  });

  it('may name a principal that only its issuer knows, if its type is said', async () => {
    const to = '90000000-0000-4000-8000-000000000001';
    const made = await give(admin, { scope: group, role: reader, to, more: { principalType: 'User' } });
    expect([made.status, made.json.properties.principalType]).toEqual([201, 'User']);
  });

  it('on one secret reaches that secret only', async () => {
    const user = await someone();
    const scope = `${vault('kv1')}/secrets/one`;
    expect((await give(admin, { scope, role: secretsOfficer, to: user.objectId })).status).toBe(201);
    const statuses = [];
    for (const [at, path] of [
      ['kv1', '/secrets/ONE'],
      ['kv1', '/secrets/one1'],
      ['kv1', '/secrets'],
      ['kv10', '/secrets/one'],
    ] as const)
      statuses.push((await user.data(at)('GET', path)).status);
    expect(statuses).toEqual([404, 403, 403, 403]);
  });
});

describe('lists', () => {
  it('are of the scope and above, or below it too, or of one principal with its groups', async () => {
    const user = await someone();
    const { objectId: groupId } = await server.control<{ objectId: string }>('identity create-group', {
      name: 'listed',
    });
    await server.control('identity add-member', { group: groupId, member: user.objectId });
    const names = new Map<string, string>();
    for (const [label, scope, to] of [
      ['sub', subscription, user.objectId],
      ['kv1', vault('kv1'), user.objectId],
      ['kv10', vault('kv10'), groupId],
    ] as const) {
      const made = await give(admin, { scope, role: reader, to });
      names.set(made.json.name, label);
    }
    const labels = async (scope: string, filter?: string) => {
      const query = filter === undefined ? '' : `?$filter=${encodeURIComponent(filter)}`;
      const { json } = await admin('GET', `${scope}${provider}/roleAssignments${query}`);
      return json.value
        .map(({ name }: { name: string }) => names.get(name))
        .filter(Boolean)
        .sort();
    };
    expect(await labels(subscription)).toEqual(['kv1', 'kv10', 'sub']);
    expect(await labels(subscription, 'atScope()')).toEqual(['sub']);
    expect(await labels(group, 'atScope()')).toEqual(['sub']);
    expect(await labels(vault('kv1'))).toEqual(['kv1', 'sub']);
    expect(await labels(vault('kv1'), 'atScope()')).toEqual(['kv1', 'sub']);
    expect(await labels(subscription, `principalId eq '${user.objectId}'`)).toEqual(['kv1', 'sub']);
    expect(await labels(subscription, `principalId eq ${groupId}`)).toEqual(['kv10']);
    expect(await labels(subscription, `assignedTo('${user.objectId}')`)).toEqual(['kv1', 'kv10', 'sub']);
    expect(await labels(subscription, `atScope() and assignedTo('${user.objectId}')`)).toEqual(['sub']);
    const odd = await admin('GET', `${subscription}${provider}/roleAssignments?$filter=scope%20eq%20'x'`);
    expect(odd.status).toBe(400);
  });

  it('of what is beside roles answer too', async () => {
    const permissions = await admin('GET', `${vault('kv1')}${provider}/permissions`);
    expect(permissions.json.value).toEqual([
      { actions: ['*'], notActions: [], dataActions: [], notDataActions: [] },
    ]);
    for (const list of ['denyAssignments', 'classicAdministrators'])
      expect((await admin('GET', `${subscription}${provider}/${list}`)).json).toEqual({ value: [] });
    const operations = await admin('GET', `${provider}/providerOperations/microsoft.keyvault`);
    const vaults = operations.json.resourceTypes.find(({ name }: { name: string }) => name === 'vaults');
    expect(vaults.operations.map(({ name }: { name: string }) => name)).toContain(
      'Microsoft.KeyVault/vaults/write',
    );
    expect((await admin('GET', `${provider}/providerOperations`)).json.value).toHaveLength(5);
    expect((await admin('GET', `${provider}/providerOperations/A.B`)).status).toBe(404);
  });
});

describe('groups', () => {
  it('give their roles to members, however they are nested, until they leave', async () => {
    const user = await someone();
    const groups = [];
    for (const name of ['inner', 'middle', 'outer']) {
      const made = await server.control<{ objectId: string }>('identity create-group', { name });
      groups.push(made.objectId);
    }
    const [inner = '', middle = '', outer = ''] = groups;
    await server.control('identity add-member', { group: outer, member: middle });
    await server.control('identity add-member', { group: middle, member: inner });
    expect((await give(admin, { scope: vault('kv1'), role: secretsUser, to: outer })).status).toBe(201);
    const status = async () => (await user.data('kv1')('GET', '/secrets/none')).status;
    expect(await status()).toBe(403);
    await server.control('identity add-member', { group: inner, member: user.objectId });
    expect(await status()).toBe(404);
    await server.control('identity remove-member', { group: outer, member: middle });
    expect(await status()).toBe(403);
  });
});

describe('escalation', () => {
  it('a Key Vault Data Access Administrator gives and takes its eight roles below its scope, and nothing else', async () => {
    const delegate = await someone();
    const friend = await someone();
    const own = { scope: vault('kv1'), role: dataAccessAdministrator, to: delegate.objectId, name: guid() };
    expect((await give(admin, own)).status).toBe(201);
    const to = friend.objectId;
    const given = await give(delegate.arm, { scope: vault('kv1'), role: secretsUser, to });
    expect(given.status).toBe(201);
    for (const role of [
      owner,
      reader,
      rbacAdministrator,
      dataAccessAdministrator,
      'db79e9a7-68ee-4b58-9aeb-b90e7c24fcba',
    ])
      for (const target of [to, delegate.objectId])
        expect(refused(await give(delegate.arm, { scope: vault('kv1'), role, to: target }))).toEqual(
          forbidden,
        );
    // Above, beside, and at a name that begins alike.
    for (const scope of ['/', subscription, group, vault('kv10')])
      expect(refused(await give(delegate.arm, { scope, role: secretsUser, to }))).toEqual(forbidden);
    // Its own assignment cannot be written without a condition, under another name, or taken away.
    expect(refused(await give(delegate.arm, own))).toEqual(forbidden);
    const owners = await give(admin, { scope: vault('kv1'), role: owner, to });
    expect(refused(await delegate.arm('DELETE', owners.json.id))).toEqual(forbidden);
    expect(
      refused(await delegate.arm('DELETE', `${vault('kv1')}${provider}/roleAssignments/${own.name}`)),
    ).toEqual(forbidden);
    expect((await delegate.arm('DELETE', given.json.id)).status).toBe(200);
    expect(
      refused(
        await delegate.arm('PUT', `${vault('kv1')}${provider}/roleDefinitions/${guid()}`, definition()),
      ),
    ).toEqual(forbidden);
  });

  it('a condition on principals holds against one that the directory does not know', async () => {
    const delegate = await someone();
    const friend = await someone();
    const type = '@Request[Microsoft.Authorization/roleAssignments:PrincipalType]';
    const condition = `(!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR (${type} ForAnyOfAnyValues:StringEqualsIgnoreCase {'User', 'Group'})`;
    const more = { condition, conditionVersion: '2.0' };
    expect(
      (await give(admin, { scope: group, role: rbacAdministrator, to: delegate.objectId, more })).status,
    ).toBe(201);
    const made = await server.control<{ objectId: string }>('identity create-group', { name: 'allowed' });
    const ask = (to: string, body = {}) =>
      give(delegate.arm, { scope: group, role: secretsUser, to, more: body });
    expect((await ask(made.objectId)).status).toBe(201);
    expect(refused(await ask(friend.objectId))).toEqual(forbidden);
    expect(refused(await ask(friend.objectId, { principalType: 'User' }))).toEqual(forbidden);
    expect(refused(await ask('90000000-0000-4000-8000-000000000009', { principalType: 'User' }))).toEqual(
      forbidden,
    );
  });

  it('who may not write assignments writes none, and learns nothing of what is there', async () => {
    const user = await someone();
    const contributor = await someone(guid(), [{ role: 'Contributor', scope: subscription }]);
    const sibling = await someone(guid(), [{ role: 'Owner', scope: vault('kv10') }]);
    for (const as of [user.arm, contributor.arm, sibling.arm]) {
      const given = { scope: vault('kv1'), role: secretsUser, to: user.objectId };
      expect(refused(await give(as, given))).toEqual(forbidden);
      expect(refused(await give(as, { ...given, name: 'x', role: 'y', to: 'z' }))).toEqual(forbidden);
      const none = `${vault('kv1')}${provider}/roleAssignments/${guid()}`;
      expect(refused(await as('DELETE', none))).toEqual(forbidden);
    }
    expect(refused(await user.arm('GET', `${vault('kv1')}${provider}/roleAssignments`))).toEqual(forbidden);
    expect((await give(sibling.arm, { scope: vault('kv10'), role: owner, to: user.objectId })).status).toBe(
      201,
    );
  });

  it('the root is given by who has it', async () => {
    const to = (await someone()).objectId;
    const root = await someone(guid(), [{ role: 'User Access Administrator', scope: '/' }]);
    const tenantGroup = `/providers/Microsoft.Management/managementGroups/${server.tenantId}`;
    for (const scope of ['/', tenantGroup]) {
      expect(refused(await give(admin, { scope, role: reader, to }))).toEqual(forbidden);
      const made = await give(root.arm, { scope, role: reader, to });
      expect([made.status, made.json.properties.scope]).toEqual([201, scope]);
    }
    const other = tenantGroup.replace(server.tenantId, guid());
    expect((await give(root.arm, { scope: other, role: reader, to })).status).toBe(404);
  });
});

function definition(more: object = {}): object {
  const permissions = [{ actions: ['Microsoft.KeyVault/vaults/read'], notActions: [] }];
  const properties = {
    roleName: `role ${numbered}`,
    type: 'CustomRole',
    permissions,
    assignableScopes: [group],
  };
  return { properties: { ...properties, ...more } };
}

describe('role definitions', () => {
  const path = (id: string, scope = subscription) => `${scope}${provider}/roleDefinitions/${id}`;

  test('the built-in ones are found by name and by id, at the root by everyone', async () => {
    const { arm } = await someone();
    const found = await admin(
      'GET',
      `${vault('kv1')}${provider}/roleDefinitions?$filter=roleName%20eq%20'Key%20Vault%20Secrets%20User'`,
    );
    expect(found.json.value.map(({ id }: { id: string }) => id)).toEqual([roleId(secretsUser)]);
    const byId = await arm('GET', `${provider}/roleDefinitions/${secretsUser.toUpperCase()}`);
    expect(byId.json).toMatchObject({
      id: `${provider}/roleDefinitions/${secretsUser}`,
      properties: { roleName: 'Key Vault Secrets User', type: 'BuiltInRole', assignableScopes: ['/'] },
    });
    expect((await arm('GET', `${provider}/roleDefinitions`)).json.value).toHaveLength(21);
    expect(refused(await arm('GET', path(secretsUser)))).toEqual(forbidden);
    expect(refused(await admin('GET', path(guid())))).toEqual([404, 'RoleDefinitionDoesNotExist']);
    const delegate = await admin('GET', path(dataAccessAdministrator));
    expect(delegate.json.properties.permissions[0]).toMatchObject({ conditionVersion: '2.0' });
  });

  test('a custom one is made, given, changed with effect at once, and not removed while it is in use', async () => {
    const user = await someone();
    const id = guid();
    const lists = (dataActions: string[], notDataActions: string[] = []) => ({
      permissions: [{ actions: ['Microsoft.KeyVault/*/read'], dataActions, notDataActions }],
    });
    const body = (dataActions: string[], notDataActions: string[] = []) =>
      definition({ roleName: 'Secret keeper', description: 'd', ...lists(dataActions, notDataActions) });
    const made = await admin(
      'PUT',
      path(id),
      body(['Microsoft.KeyVault/vaults/secrets/*'], ['*/getSecret/action']),
    );
    expect(made.status).toBe(201);
    expect(made.json).toMatchObject({
      ...{ id: path(id), name: id, type: 'Microsoft.Authorization/roleDefinitions' },
      properties: { roleName: 'Secret keeper', type: 'CustomRole', description: 'd', createdBy: adminId },
    });
    expect((await admin('GET', path(id))).json).toEqual(made.json);
    const given = await give(admin, { scope: vault('kv1'), role: id, to: user.objectId });
    expect(given.status).toBe(201);
    const statuses = async () => [
      (await user.data('kv1')('GET', '/secrets')).status,
      (await user.data('kv1')('GET', '/secrets/none')).status,
    ];
    expect(await statuses()).toEqual([200, 403]);
    const changed = await admin('PUT', path(id), body(['Microsoft.KeyVault/vaults/secrets/getSecret/*']));
    expect([changed.status, changed.json.properties.createdOn]).toEqual([
      201,
      made.json.properties.createdOn,
    ]);
    expect(await statuses()).toEqual([403, 404]);
    expect(refused(await admin('DELETE', path(id)))).toEqual([409, 'RoleDefinitionHasAssignments']);
    // What it allows ends where it can be assigned, whatever was assigned before.
    const narrow = definition({
      ...{ roleName: 'Secret keeper', assignableScopes: [vault('kv10')] },
      ...lists(['Microsoft.KeyVault/vaults/secrets/*']),
    });
    expect((await admin('PUT', path(id), narrow)).status).toBe(201);
    expect(await statuses()).toEqual([403, 403]);
    expect(refused(await give(admin, { scope: vault('kv1'), role: id, to: adminId }))).toEqual([
      404,
      'RoleDefinitionDoesNotExist',
    ]);
    expect((await admin('DELETE', given.json.id)).status).toBe(200);
    expect((await admin('DELETE', path(id))).status).toBe(200);
    expect((await admin('DELETE', path(id))).status).toBe(204);
  });

  test('lists show those that can be assigned at the scope, or below it too', async () => {
    const names = { low: guid(), high: guid() };
    await admin('PUT', path(names.low), definition({ roleName: "o'low", assignableScopes: [vault('kv1')] }));
    await admin('PUT', path(names.high), definition({ roleName: 'high', assignableScopes: [subscription] }));
    const list = async (as: Caller, scope: string, filter: string) => {
      const reply = await as(
        'GET',
        `${scope}${provider}/roleDefinitions?$filter=${encodeURIComponent(filter)}`,
      );
      return reply.json.value.map(
        ({ properties }: { properties: { roleName: string } }) => properties.roleName,
      );
    };
    const custom = "type eq 'CustomRole'";
    expect(await list(admin, vault('kv1'), custom)).toEqual(["o'low", 'high']);
    expect(await list(admin, vault('kv10'), custom)).toEqual(['high']);
    expect(await list(admin, group, `atScopeAndBelow() and ${custom}`)).toEqual(["o'low", 'high']);
    expect(await list(admin, vault('kv1'), "roleName eq 'O''LOW'")).toEqual(["o'low"]);
    expect(await list(admin, vault('kv1'), "roleName eq 'a and b'")).toEqual([]);
    const stranger = await someone();
    expect(await list(stranger.arm, '', `atScopeAndBelow() and ${custom}`)).toEqual([]);
    expect(refused(await stranger.arm('GET', `${provider}/roleDefinitions/${names.low}`))).toEqual([
      ...[404, 'RoleDefinitionDoesNotExist'],
    ]);
    expect((await admin('GET', `${provider}/roleDefinitions/${names.low}`)).status).toBe(200);
  });

  test('what is no role is refused', async () => {
    const ask = async (more: object, id = guid()) => refused(await admin('PUT', path(id), definition(more)));
    const permissions = (of: object) => ({ permissions: [of] });
    expect(await ask({}, secretsUser)).toEqual([403, 'RoleDefinitionUpdateNotPermitted']);
    expect(refused(await admin('DELETE', path(secretsUser)))).toEqual([
      403,
      'RoleDefinitionUpdateNotPermitted',
    ]);
    expect(await ask({}, 'role')).toEqual([400, 'InvalidRoleDefinitionId']);
    expect(await ask({ roleName: 'OWNER' })).toEqual([409, 'RoleDefinitionWithSameNameExists']);
    expect((await admin('PUT', path(guid()), definition({ roleName: 'once' }))).status).toBe(201);
    expect(await ask({ roleName: 'Once' })).toEqual([409, 'RoleDefinitionWithSameNameExists']);
    for (const wrong of [
      ...[{ roleName: ' ' }, { roleName: 'a\u0000b' }, { roleName: 'a'.repeat(513) }],
      ...[{ permissions: [] }, { permissions: [{}, {}] }, permissions({}), { type: 'BuiltInRole' }],
      ...[
        permissions({ actions: ['a b'] }),
        permissions({ actions: ['*/read\n'] }),
        permissions({ actions: [''] }),
      ],
      permissions({ actions: ['*'], condition: 'x' }),
      ...[{ assignableScopes: [] }, { assignableScopes: ['/'] }, { assignableScopes: ['x'] }],
    ]) {
      const [status] = await ask(wrong);
      expect([wrong, status]).toEqual([wrong, 400]);
    }
    const tenantGroup = `/providers/Microsoft.Management/managementGroups/${server.tenantId}`;
    const data = permissions({ dataActions: ['*'] });
    expect((await ask({ ...data, assignableScopes: [tenantGroup] }))[0]).toBe(400);
  });

  test('a role is written by who may at every scope of it, now and before', async () => {
    const low = await someone(guid(), [{ role: 'Owner', scope: vault('kv1') }]);
    const id = guid();
    const at = (scopes: string[]) => definition({ roleName: 'shared', assignableScopes: scopes });
    const own = path(id, vault('kv1'));
    expect(refused(await low.arm('PUT', own, at([vault('kv1'), vault('kv10')])))).toEqual(forbidden);
    expect(refused(await low.arm('PUT', own, at([group])))).toEqual(forbidden);
    expect((await low.arm('PUT', own, at([vault('kv1')]))).status).toBe(201);
    expect((await admin('PUT', path(id), at([group]))).status).toBe(201);
    expect(refused(await low.arm('PUT', own, at([vault('kv1')])))).toEqual(forbidden);
    expect(refused(await low.arm('DELETE', own))).toEqual(forbidden);
  });
});

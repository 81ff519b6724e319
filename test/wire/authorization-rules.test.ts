/**
 * Proves over the wire what holds beyond single role assignments: that a subscription keeps somebody who gives access
 * to it, what locks stand in the way of, who sees vaults, what a delegate may replace, and that long lists have pages.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, subscriptionOf } from '../support/management.ts';
import {
  makeIdentity,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';

const owner = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635';
const accessAdministrator = '18d7d88d-d35e-4fb5-a5c3-7773c20a72d9';
const reader = 'acdd72a7-3385-48ef-bd42-f606fba81ae7';
const provider = '/providers/Microsoft.Authorization';
const vaultVersion = '?api-version=2026-04-01';

let server: TestServer;
let subscription: string;
let group: string;
let vault: string;
let root: ManagementCaller;

beforeAll(async () => {
  server = await startTestServer();
  subscription = `/subscriptions/${await subscriptionOf(server)}`;
  group = `${subscription}/resourceGroups/default`;
  vault = `${group}/providers/Microsoft.KeyVault/vaults/dev`;
  root = (await makeManager(server, 'root', { role: 'Owner', scope: '/' })).call;
});
afterAll(() => server.close());

interface Given {
  readonly scope: string;
  readonly role: string;
  readonly to: string;
  readonly more?: object;
}

function assignmentAt(scope: string, name: string = randomUUID()): string {
  return `${scope}${provider}/roleAssignments/${name}`;
}

function bodyOf({ role, to, more = {} }: Omit<Given, 'scope'>): object {
  const roleDefinitionId = `${provider}/roleDefinitions/${role}`;
  return { properties: { roleDefinitionId, principalId: to, ...more } };
}

/** The path of the new assignment. */
async function give({ scope, ...given }: Given): Promise<string> {
  const path = assignmentAt(scope);
  expect((await root('PUT', path, bodyOf(given))).status).toBe(201);
  return path;
}

async function someone(): Promise<string> {
  return (await makeIdentity(server, randomUUID())).objectId;
}

function outcome({ status, json }: RawResponse): [number, string | undefined] {
  return [status, json?.error?.code];
}

describe('the last who gives access to a subscription', () => {
  const last = [412, 'CannotDeleteLastRbacAdminAssignment'];
  const administrators = async () => {
    const { json } = await root('GET', `${subscription}${provider}/roleAssignments?$filter=atScope()`);
    interface Wire {
      id: string;
      properties: { scope: string; roleDefinitionId: string; condition: string | null };
    }
    return (json.value as Wire[])
      .filter(({ properties }) => properties.scope === subscription && properties.condition === null)
      .filter(({ properties }) => /(?:8e3af657|18d7d88d)-[^/]*$/.test(properties.roleDefinitionId))
      .map(({ id }) => id);
  };

  test('stays, whoever has a role above it; of two that are removed at once one does', async () => {
    await give({ scope: subscription, role: accessAdministrator, to: await someone() });
    const [kept = '', ...others] = await administrators();
    expect(others).not.toEqual([]);
    for (const id of others) expect((await root('DELETE', id)).status).toBe(200);
    const refused = await root('DELETE', kept);
    expect([...outcome(refused), refused.json.error.message]).toEqual([
      ...last,
      'Cannot delete the last RBAC admin assignment',
    ]);
    expect((await root('GET', kept)).status).toBe(200);

    // Who may give access under a condition only does not count, nor who may in a part of the subscription.
    const to = await someone();
    const condition = "!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})";
    await give({ scope: subscription, role: owner, to, more: { condition, conditionVersion: '2.0' } });
    const below = await give({ scope: group, role: owner, to });
    expect(outcome(await root('DELETE', kept))).toEqual(last);
    expect((await root('DELETE', below)).status).toBe(200);

    let current = kept;
    for (let round = 0; round < 3; round += 1) {
      const other = await give({ scope: subscription, role: owner, to: await someone() });
      const replies = await Promise.all([root('DELETE', current), root('DELETE', other)]);
      expect(replies.map(({ status }) => status).sort()).toEqual([200, 412]);
      current = replies[0]?.status === 412 ? current : other;
      expect((await root('GET', current)).status).toBe(200);
    }
    // The operator is above all subscriptions.
    const id = current.slice(current.lastIndexOf('/') + 1);
    expect(await server.control('identity revoke', { id })).toEqual({ removed: id });
  });
});

describe('locks', () => {
  const lockAt = (scope: string) => `${scope}${provider}/locks/l`;
  const lock = async (scope: string, level: string) =>
    expect((await root('PUT', lockAt(scope), { properties: { level } })).status).toBe(201);
  const unlock = async (scope: string) => expect((await root('DELETE', lockAt(scope))).status).toBe(200);

  test('a locked vault keeps its role assignments, and not those of the scopes that it is in', async () => {
    const to = await someone();
    const [own, above] = [
      await give({ scope: vault, role: reader, to }),
      await give({ scope: subscription, role: reader, to }),
    ];
    const definition = `${subscription}${provider}/roleDefinitions/${randomUUID()}`;
    const permissions = [{ actions: ['*/read'] }];
    const properties = { roleName: 'passing', permissions, assignableScopes: [subscription] };
    expect((await root('PUT', definition, { properties })).status).toBe(201);
    await lock(vault, 'CanNotDelete');
    const refused = await root('DELETE', own);
    expect(outcome(refused)).toEqual([409, 'ScopeLocked']);
    expect(refused.json.error.message).toContain(`The scope '${own}' cannot perform delete operation`);
    expect((await root('DELETE', above)).status).toBe(200);
    expect((await root('DELETE', definition)).status).toBe(200);
    // It may be given, as may any other role.
    const more = await give({ scope: vault, role: owner, to });
    await unlock(vault);
    for (const id of [own, more]) expect((await root('DELETE', id)).status).toBe(200);
  });

  test('what is read-only is given no roles', async () => {
    await lock(vault, 'ReadOnly');
    const path = assignmentAt(vault);
    const body = bodyOf({ role: reader, to: await someone() });
    expect(outcome(await root('PUT', path, body))).toEqual([409, 'ScopeLocked']);
    expect((await root('GET', path)).status).toBe(404);
    await unlock(vault);
    expect((await root('PUT', path, body)).status).toBe(201);
  });
});

describe('who reads everything in vaults sees the vaults', () => {
  const see = async (call: ManagementCaller) => {
    const vaults = `${subscription}/providers/Microsoft.KeyVault/vaults${vaultVersion}`;
    const all = `${subscription}/resources?$filter=resourceType%20eq%20'Microsoft.KeyVault/vaults'`;
    const listed = await call('GET', vaults);
    const resources = await call('GET', all);
    return {
      one: (await call('GET', `${vault}${vaultVersion}`)).status,
      listed: listed.json.value?.map(({ name }: { name: string }) => name) ?? listed.status,
      resources: resources.json.value?.map(({ name }: { name: string }) => name) ?? resources.status,
    };
  };

  test('Key Vault Reader, and a role of the tenant that says the same', async () => {
    const id = randomUUID();
    const actions = ['Microsoft.KeyVault/vaults/*/read'];
    const definition = `${subscription}${provider}/roleDefinitions/${id}`;
    const properties = { roleName: 'Mine', permissions: [{ actions }], assignableScopes: [subscription] };
    expect((await root('PUT', definition, { properties })).status).toBe(201);
    for (const role of ['Key Vault Reader', 'Mine']) {
      const { call, ...identity } = await makeManager(server, role, { role, scope: subscription });
      expect(await see(call)).toEqual({ one: 200, listed: ['dev'], resources: ['dev'] });
      for (const [method, body] of [
        ['PATCH', { tags: {} }],
        ['DELETE', undefined],
      ] as const)
        expect(outcome(await call(method, `${vault}${vaultVersion}`, body))).toEqual([
          ...[403, 'AuthorizationFailed'],
        ]);
      const data = vaultCaller(server, await tokenFor(server, { identity }));
      expect((await data('GET', '/secrets/none')).status).toBe(403);
    }
  });

  test('not who reads some of it', async () => {
    const { call } = await makeManager(server, 'uses', {
      role: 'Key Vault Secrets User',
      scope: subscription,
    });
    expect(await see(call)).toEqual({ one: 403, listed: expect.anything(), resources: [] });
    expect((await see(call)).listed).not.toContain('dev');
  });
});

test('a role is named by its id below any scope, and in no other way', async () => {
  const to = await someone();
  const path = assignmentAt(group);
  const ask = async (roleDefinitionId: string) =>
    outcome(await root('PUT', path, { properties: { roleDefinitionId, principalId: to } }));
  const id = `${provider}/roleDefinitions/${reader}`;
  for (const below of ['', subscription, group, vault, vault.toUpperCase()])
    expect([below, ...(await ask(`${below}${id}`))]).toEqual([below, 201, undefined]);
  for (const wrong of [reader, id.slice(1), `${id}/`, `${id}${id}`, `/x${id}`, `${group}/..${id}`, `//${id}`])
    expect([wrong, ...(await ask(wrong))]).toEqual([wrong, 400, 'InvalidRoleDefinitionId']);
});

test('a role of the tenant says its actions with one wildcard each', async () => {
  const path = `${subscription}${provider}/roleDefinitions/${randomUUID()}`;
  const ask = (permissions: object) =>
    root('PUT', path, {
      properties: { roleName: 'w', permissions: [permissions], assignableScopes: [group] },
    });
  for (const list of ['actions', 'notActions', 'dataActions', 'notDataActions']) {
    const refused = await ask({ actions: ['*/read'], [list]: ['Microsoft.CostManagement/*/query/*'] });
    expect([...outcome(refused), refused.json.error.message]).toEqual([
      ...[400, 'InvalidActionOrNotAction'],
      "'Microsoft.CostManagement/*/query/*' contains multiple wildcards. Only one is allowed.",
    ]);
  }
});

test('a delegate replaces nothing that it may not give', async () => {
  const [friend, other] = [await someone(), await someone()];
  const at = '@Request[Microsoft.Authorization/roleAssignments:';
  const condition = `(!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR (${at}RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {${reader}} AND ${at}PrincipalId] ForAnyOfAnyValues:GuidEquals {${friend}})`;
  const delegate = await makeManager(server, 'delegate', null);
  const more = { condition, conditionVersion: '2.0' };
  await give({ scope: vault, role: owner, to: delegate.objectId, more });
  const forbidden = [403, 'AuthorizationFailed'];
  const fixed = [400, 'RoleAssignmentUpdateNotPermitted'];

  const limited = await give({ scope: vault, role: owner, to: other, more });
  const strange = await give({ scope: vault, role: reader, to: other });
  const put = async (path: string, given: Omit<Given, 'scope'>) =>
    outcome(await delegate.call('PUT', path, bodyOf(given)));
  // Neither the other's condition nor its holder nor its role.
  expect(await put(limited, { role: owner, to: other })).toEqual(forbidden);
  expect(await put(limited, { role: reader, to: friend })).toEqual(fixed);
  expect(await put(strange, { role: reader, to: friend })).toEqual(fixed);
  expect(await put(strange, { role: reader, to: other, more: { description: 'x' } })).toEqual(forbidden);
  expect((await root('GET', limited)).json.properties).toMatchObject({ principalId: other, condition });
  expect((await root('GET', strange)).json.properties).toMatchObject({
    principalId: other,
    description: null,
  });
  // What it may give it may give, and describe anew.
  const own = assignmentAt(vault);
  expect((await put(own, { role: reader, to: friend }))[0]).toBe(201);
  expect((await put(own, { role: reader, to: friend, more: { description: 'x' } }))[0]).toBe(201);
});

describe('lists', () => {
  const walk = async (path: string) => {
    const pages: string[][] = [];
    for (let next: string | undefined = path; next !== undefined; ) {
      const { status, json }: RawResponse = await root('GET', next);
      expect(status).toBe(200);
      pages.push(json.value.map(({ name }: { name: string }) => name));
      next = json.nextLink?.replace('https://management.azure.com', '');
    }
    return pages;
  };

  test('of role assignments and of roles have pages, which leave out nothing and repeat nothing', async () => {
    const to = await someone();
    const names: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      const scope = `${vault}/secrets/s${n}`;
      names.push((await give({ scope, role: reader, to })).replace(/^.*\//, ''));
    }
    const filter = `$filter=${encodeURIComponent(`principalId eq '${to}'`)}`;
    const pages = await walk(`${subscription}${provider}/roleAssignments?${filter}&$top=2`);
    expect(pages.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual(names.sort());
    const roles = await walk(`${subscription}${provider}/roleDefinitions?$top=7`);
    const whole = await walk(`${subscription}${provider}/roleDefinitions`);
    expect(whole).toHaveLength(1);
    expect(roles.flat()).toEqual(whole.flat());
    expect(new Set(roles.flat()).size).toBe(roles.flat().length);
  });
});

describe('the operator gives roles of the tenant', () => {
  test('by name or id, where they are assignable, and sees their names', async () => {
    const id = randomUUID();
    const permissions = [{ actions: [], dataActions: ['Microsoft.KeyVault/vaults/secrets/*'] }];
    const properties = { roleName: 'Keeper of secrets', permissions, assignableScopes: [group] };
    const definition = `${subscription}${provider}/roleDefinitions/${id}`;
    expect((await root('PUT', definition, { properties })).status).toBe(201);
    const identity = await makeIdentity(server, 'keeper');
    const grant = (role: string, at: object) =>
      server.control<{ id: string; role: string }>('identity grant', { identity: 'keeper', role, ...at });
    const made = await grant('keeper OF secrets', { vault: 'dev' });
    expect(made).toMatchObject({ role: 'Keeper of secrets', scope: vault });
    expect(await grant(id.toUpperCase(), { vault: 'dev' })).toEqual(made);
    const data = vaultCaller(server, await tokenFor(server, { identity }));
    expect((await data('GET', '/secrets/none')).status).toBe(404);
    const { grants } = await server.control<{ grants: object[] }>('identity grants', { identity: 'keeper' });
    expect(grants).toEqual([made]);
    expect((await server.control<{ grants: object[] }>('identity grants')).grants).toContainEqual(made);
    await expect(grant('Keeper of secrets', { scope: subscription })).rejects.toThrow(/cannot be given/);
    await expect(grant('Keeper of keys', { vault: 'dev' })).rejects.toThrow(/no role 'Keeper of keys'/);
    await server.control('identity revoke', { id: made.id });
    expect((await data('GET', '/secrets/none')).status).toBe(403);
  });
});

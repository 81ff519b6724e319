/** Subscriptions, resource groups, resources, tags, locks and providers over the wire, as clients ask for them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ManagementCaller,
  makeManager,
  manage,
  managementHost,
  refusal,
  subscriptionOf,
} from '../support/management.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let subscriptionId: string;
let root: string;
let call: ManagementCaller;

beforeAll(async () => {
  server = await startTestServer();
  subscriptionId = await subscriptionOf(server);
  root = `/subscriptions/${subscriptionId}`;
  ({ call } = await makeManager(server, 'manager'));
});
afterAll(() => server.close());

/** Azure's role Reader. */
const readerRole = `/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7`;
const group = (name: string) => `${root}/resourceGroups/${name}`;
const groupWire = (name: string, more: object = {}) => ({
  id: group(name),
  name,
  type: 'Microsoft.Resources/resourceGroups',
  location: 'eastus',
  ...more,
  properties: { provisioningState: 'Succeeded' },
});
const makeGroup = (name: string, more: object = {}) =>
  call('PUT', group(name), { location: 'eastus', ...more });
const makeVault = (name: string, resourceGroup: string, more: object = {}) =>
  server.control('vault create', { name, resourceGroup, ...more });

describe('subscriptions', () => {
  test('as az asks for them after a login', async () => {
    const reply = await call('GET', '/subscriptions?api-version=2019-11-01');
    expect([reply.status, reply.json]).toEqual([
      200,
      {
        value: [
          {
            id: root,
            authorizationSource: 'RoleBased',
            managedByTenants: [],
            subscriptionId,
            tenantId: server.tenantId,
            displayName: 'default',
            state: 'Enabled',
            subscriptionPolicies: {
              locationPlacementId: 'Public_2014-09-01',
              quotaId: 'PayAsYouGo_2014-09-01',
              spendingLimit: 'Off',
            },
          },
        ],
        count: { type: 'Total', value: 1 },
      },
    ]);
    expect((await call('GET', root)).json).toEqual(reply.json.value[0]);
  });

  test('tenants and locations', async () => {
    const tenants = await call('GET', '/tenants?api-version=2019-11-01');
    expect(tenants.json.value).toMatchObject([
      { tenantId: server.tenantId, displayName: 'strongroom.local' },
    ]);
    const locations = await call('GET', `${root}/locations?api-version=2019-11-01`);
    const names = locations.json.value.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(['local', 'eastus']));
    expect(locations.json.value).toContainEqual({
      id: `${root}/locations/eastus`,
      name: 'eastus',
      type: 'Region',
      displayName: 'East US',
      regionalDisplayName: 'East US',
      metadata: { regionType: 'Physical' },
    });
  });

  test('the root management group is seen by who has a role on it', async () => {
    const scope = `/providers/Microsoft.Management/managementGroups/${server.tenantId}`;
    const none = await call('GET', '/providers/Microsoft.Management/managementGroups');
    expect([none.status, none.json]).toEqual([200, { value: [] }]);
    expect((await call('GET', scope)).status).toBe(403);
    const owner = await makeManager(server, 'root-owner', { role: 'Owner', scope: '/' });
    const reader = await makeManager(server, 'group-reader', null);
    const given = await owner.call(
      'PUT',
      `${scope}/providers/Microsoft.Authorization/roleAssignments/${crypto.randomUUID()}?api-version=2022-04-01`,
      { properties: { roleDefinitionId: readerRole, principalId: reader.objectId } },
    );
    expect(given.status).toBe(201);
    const list = await reader.call('GET', '/providers/Microsoft.Management/managementGroups');
    expect(list.json.value).toMatchObject([{ name: server.tenantId }]);
    const one = await reader.call('GET', `${scope}?$expand=children`);
    expect(one.json.properties).toMatchObject({
      tenantId: server.tenantId,
      displayName: 'Tenant Root Group',
      children: [{ id: root, type: '/subscriptions', name: subscriptionId }],
    });
    // A role on it is one on every subscription of the tenant.
    expect((await reader.call('GET', root)).status).toBe(200);
  });
});

describe('resource groups', () => {
  test('are made by the path that az uses, and are there at once', async () => {
    const path = `${root}/resourcegroups/rg1`;
    const made = await call('PUT', path, { location: 'East US', tags: { CreatedAt: 'x' } });
    expect([made.status, made.json]).toEqual([201, groupWire('rg1', { tags: { CreatedAt: 'x' } })]);
    expect((await call('PUT', path, { location: 'eastus' })).status).toBe(200);
    const got = await call('GET', `${root}/RESOURCEGROUPS/RG1`);
    expect([got.status, got.json]).toEqual([200, groupWire('rg1')]);
    expect((await call('HEAD', path)).status).toBe(204);
    const head = await call('HEAD', group('nothing'));
    expect([head.status, head.text]).toEqual([404, '']);
  });

  test('are refused as Azure does', async () => {
    expect((await call('GET', group('nothing'))).json).toEqual(
      refusal('ResourceGroupNotFound', "Resource group 'nothing' could not be found."),
    );
    const noPlace = await call('PUT', group('rg2'), {});
    expect([noPlace.status, noPlace.json]).toEqual([
      400,
      refusal('LocationRequired', 'The location property is required for this definition.'),
    ]);
    await makeGroup('placed');
    const moved = await call('PUT', group('placed'), { location: 'westus' });
    expect([moved.status, moved.json]).toEqual([
      409,
      refusal(
        'InvalidResourceGroupLocation',
        "Invalid resource group location 'westus'. The Resource group already exists in location 'eastus'.",
      ),
    ]);
    for (const name of ['ends.', 'a%20b', 'x'.repeat(91)]) {
      const reply = await call('PUT', group(name), { location: 'eastus' });
      expect([reply.status, reply.json.error.code], name).toEqual([400, 'InvalidResourceGroup']);
    }
    for (const body of ['', '{', '[]', '{"location":1}', '{"location":"x","tags":{"a":1}}']) {
      const reply = await call('PUT', group('rg2'), body);
      expect([reply.status, reply.json.error.code], body).toEqual([400, 'InvalidRequestContent']);
      expect(reply.headers['x-ms-failure-cause']).toBe('gateway');
    }
  });

  test('a change of tags takes the place of those that are there', async () => {
    await makeGroup('tagged', { tags: { a: '1' } });
    const patched = await call('PATCH', group('tagged'), { tags: { b: '2' } });
    expect([patched.status, patched.json.tags]).toEqual([200, { b: '2' }]);
    expect((await call('PATCH', group('tagged'), {})).json.tags).toEqual({ b: '2' });
    expect((await call('PATCH', group('nothing'), { tags: {} })).status).toBe(404);
  });

  test('are listed by tag, in pages', async () => {
    for (const name of ['page1', 'page2', 'page3']) await makeGroup(name, { tags: { page: name } });
    const filter = encodeURIComponent("tagName eq 'PAGE' and tagValue eq 'page2'");
    const filtered = await call('GET', `${root}/resourcegroups?$filter=${filter}`);
    expect(filtered.json).toEqual({ value: [groupWire('page2', { tags: { page: 'page2' } })] });
    // As az asks for a tag, and as SDKs ask for a part of a name.
    for (const text of ["tagname eq 'page' and tagvalue eq 'page2'", "substringof('AGE2', name)"]) {
      const found = await call('GET', `${root}/resourcegroups?$filter=${encodeURIComponent(text)}`);
      expect(found.json, text).toEqual(filtered.json);
    }
    const seen: string[] = [];
    const named = encodeURIComponent("tagName eq 'page'");
    let next = `${root}/resourcegroups?${new URLSearchParams({ $top: '2' })}&$filter=${named}`;
    while (next !== '') {
      const page = await call('GET', next);
      expect(page.json.value.length).toBeLessThanOrEqual(2);
      seen.push(...page.json.value.map(({ name }: { name: string }) => name));
      const link = page.json.nextLink as string | undefined;
      next = link === undefined ? '' : link.replace(`https://${managementHost}`, '');
    }
    expect(seen).toEqual(['page1', 'page2', 'page3']);
  });

  test.each([
    ['a property that there is not', "color eq 'red'"],
    ['an operator that is not supported', "name gt 'a'"],
    ['no filter at all', "')("],
  ])('%s in a filter is refused, not ignored', async (_, text) => {
    const reply = await call('GET', `${root}/resourcegroups?$filter=${encodeURIComponent(text)}`);
    expect([reply.status, reply.json.error.code]).toEqual([400, 'InvalidFilterInQueryString']);
  });

  test('go with everything in them, and the answer leads to a finished operation', async () => {
    await makeGroup('doomed');
    await makeVault('doomed-vault', 'doomed');
    const vault = `${group('doomed')}/providers/Microsoft.KeyVault/vaults/doomed-vault`;
    const visitor = await makeManager(server, 'visitor', { role: 'Reader', scope: vault });
    const deleted = await call('DELETE', group('doomed'));
    expect([deleted.status, deleted.text, deleted.headers['retry-after']]).toEqual([202, '', '0']);
    expect(deleted.headers['content-length']).toBe('0');
    const location = deleted.headers.location ?? '';
    expect(location).toMatch(new RegExp(`^https://${managementHost}${root}/operationresults/[\\w-]+\\?`));
    const path = location.slice(`https://${managementHost}`.length);
    const result = await call('GET', path);
    expect([result.status, result.text]).toEqual([200, '']);

    expect((await call('HEAD', group('doomed'))).status).toBe(404);
    const reply = await manage(server, ['GET', '/secrets?api-version=7.4'], {
      host: 'doomed-vault.vault.azure.net',
    });
    expect(reply.status).toBe(404);
    // What was given on it is gone: the same name anew is another's.
    const seen = await visitor.call('GET', '/subscriptions');
    expect(seen.json.value).toEqual([]);
    const again = await call('DELETE', group('doomed'));
    expect([again.status, again.json.error.code]).toEqual([404, 'ResourceGroupNotFound']);

    await makeGroup('doomed');
    const list = await call('GET', `${group('doomed')}/resources`);
    expect(list.json).toEqual({ value: [] });
  });

  test('an operation that was never begun has no result', async () => {
    for (const id of [
      'x',
      'e30',
      Buffer.from('{"v":1,"started":1,"subscriptionId":"y"}').toString('base64url'),
    ]) {
      expect((await call('GET', `${root}/operationresults/${id}`)).status, id).toBe(404);
    }
  });

  test('a restart changes nothing', async () => {
    await makeGroup('stays');
    await makeGroup('goes');
    expect((await call('DELETE', group('goes'))).status).toBe(202);
    await server.restart();
    expect((await call('HEAD', group('stays'))).status).toBe(204);
    expect((await call('HEAD', group('goes'))).status).toBe(404);
  });
});

describe('resources', () => {
  const vaultType = encodeURIComponent("resourceType eq 'Microsoft.KeyVault/vaults'");
  const legacy = () => `${root}/resources?$filter=${vaultType}&api-version=2015-11-01`;

  test('vaults are found as az and Terraform look for them', async () => {
    await makeGroup('Listed');
    await makeVault('listed-1', 'Listed', { location: 'eastus' });
    const found = async () =>
      (await call('GET', legacy())).json.value.find(({ name }: { name: string }) => name === 'listed-1');
    expect(await found()).toEqual({
      id: `${group('Listed')}/providers/Microsoft.KeyVault/vaults/listed-1`,
      name: 'listed-1',
      type: 'Microsoft.KeyVault/vaults',
      location: 'eastus',
      tags: {},
    });
    const other = encodeURIComponent("resourceType eq 'Microsoft.Compute/disks'");
    expect((await call('GET', `${root}/resources?$filter=${other}`)).json).toEqual({ value: [] });
    const named = encodeURIComponent("resourceGroup eq 'listed' and (name eq 'x' or name eq 'LISTED-1')");
    const reply = await call('GET', `${root}/resources?$filter=${named}&$expand=createdTime`);
    expect(reply.json.value).toMatchObject([
      { name: 'listed-1', createdTime: expect.stringMatching(/^\d{4}-.*\.\d{7}Z$/) },
    ]);
  });

  test("a group's own, and whether one is there", async () => {
    await makeGroup('near');
    await makeGroup('near2');
    await makeVault('near-vault', 'near');
    await makeVault('near2-vault', 'near2');
    const list = await call('GET', `${group('NEAR')}/resources`);
    expect(list.json.value.map(({ name }: { name: string }) => name)).toEqual(['near-vault']);
    const at = (name: string) => `${group('near')}/providers/Microsoft.KeyVault/vaults/${name}`;
    expect((await call('HEAD', at('NEAR-vault'))).status).toBe(204);
    expect((await call('HEAD', at('near2-vault'))).status).toBe(404);
    expect((await call('HEAD', `${group('near')}/providers/Microsoft.Compute/disks/d`)).status).toBe(404);
    expect((await call('GET', `${group('nothing')}/resources`)).json.error.code).toBe(
      'ResourceGroupNotFound',
    );
  });

  test('a caller is shown what it may read, and no more', async () => {
    await makeGroup('mine');
    await makeGroup('theirs');
    await makeVault('mine-vault', 'mine');
    await makeVault('theirs-vault', 'theirs');
    const reader = await makeManager(server, 'reader', { role: 'Reader', scope: group('mine') });
    const names = async (path: string) =>
      (await reader.call('GET', path)).json.value.map(({ name }: { name: string }) => name);
    expect(await names(`${root}/resources`)).toEqual(['mine-vault']);
    expect(await names(`${root}/resourceGroups`)).toEqual(['mine']);
    expect(await names('/subscriptions')).toEqual([undefined]);
    expect((await reader.call('GET', group('theirs'))).json.error.code).toBe('AuthorizationFailed');
    expect((await reader.call('GET', `${group('theirs')}/resources`)).json.error.code).toBe(
      'AuthorizationFailed',
    );
    expect(
      (await reader.call('GET', `${root}/resources?$filter=${encodeURIComponent("name eq 'theirs-vault'")}`))
        .json,
    ).toEqual({
      value: [],
    });
  });
});

describe('tags', () => {
  const tags = (scope: string) => `${scope}/providers/Microsoft.Resources/tags/default`;

  test.each(['group', 'vault'])('of a %s are read, replaced, merged and taken away', async (kind) => {
    const name = `tags-${kind}`;
    await makeGroup(name);
    await makeVault(name, name);
    const scope =
      kind === 'group' ? group(name) : `${group(name)}/providers/Microsoft.KeyVault/vaults/${name}`;
    const wire = (values: object) => ({
      id: tags(scope),
      name: 'default',
      type: 'Microsoft.Resources/tags',
      properties: { tags: values },
    });
    expect((await call('GET', tags(scope))).json).toEqual(wire({}));
    const put = await call('PUT', tags(scope), { properties: { tags: { a: '1', b: '2' } } });
    expect([put.status, put.json]).toEqual([200, wire({ a: '1', b: '2' })]);
    const patch = (operation: string, values: object) =>
      call('PATCH', tags(scope), { operation, properties: { tags: values } });
    expect((await patch('Merge', { b: '3' })).json).toEqual(wire({ a: '1', b: '3' }));
    expect((await patch('Delete', { a: '1', b: '2' })).json).toEqual(wire({ b: '3' }));
    expect((await patch('Upset', {})).json.error.code).toBe('InvalidRequestContent');
    expect((await call('GET', tags(scope))).json).toEqual(wire({ b: '3' }));
    expect((await call('DELETE', tags(scope))).status).toBe(200);
    expect((await call('GET', tags(scope))).json).toEqual(wire({}));
  });

  test('are on nothing that is not there', async () => {
    const nothing = `${group('default')}/providers/Microsoft.KeyVault/vaults/nothing`;
    const reply = await call('GET', tags(nothing));
    expect([reply.status, reply.json]).toEqual([
      404,
      refusal(
        'ResourceNotFound',
        "The Resource 'Microsoft.KeyVault/vaults/nothing' under resource group 'default' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
      ),
    ]);
  });

  test('names in use are counted', async () => {
    await makeGroup('counted-1', { tags: { Counted: 'x' } });
    await makeGroup('counted-2', { tags: { counted: 'y' } });
    const { value } = (await call('GET', `${root}/tagNames`)).json;
    expect(value).toContainEqual({
      id: `${root}/tagNames/Counted`,
      tagName: 'Counted',
      count: { type: 'Total', value: 2 },
      values: ['x', 'y'].map((tagValue) => ({
        id: `${root}/tagNames/Counted/tagValues/${tagValue}`,
        tagValue,
        count: { type: 'Total', value: 1 },
      })),
    });
  });
});

describe('locks', () => {
  const lock = (scope: string, name: string) => `${scope}/providers/Microsoft.Authorization/locks/${name}`;
  const version = '?api-version=2016-09-01';
  const put = (scope: string, name: string, level: string) =>
    call('PUT', `${lock(scope, name)}${version}`, { properties: { level, notes: 'why' } });

  test('of a vault, by the doubled slash that az sends', async () => {
    await makeGroup('locked');
    await makeVault('locked-vault', 'locked');
    const az = `${group('locked')}/providers/Microsoft.KeyVault//vaults/locked-vault`;
    const scope = az.replace('//vaults', '/vaults');
    const made = await put(az, 'keep', 'cannotdelete');
    const wire = {
      properties: { level: 'CanNotDelete', notes: 'why' },
      id: lock(scope, 'keep'),
      type: 'Microsoft.Authorization/locks',
      name: 'keep',
    };
    expect([made.status, made.json]).toEqual([201, wire]);
    expect((await put(scope, 'keep', 'CanNotDelete')).status).toBe(200);
    expect((await call('GET', lock(scope, 'KEEP'))).json).toEqual(wire);
    for (const at of [scope, group('locked'), root]) {
      const list = await call('GET', `${at}/providers/Microsoft.Authorization/locks`);
      expect(list.json.value, at).toContainEqual(wire);
    }
    const own = `${group('locked')}/providers/Microsoft.Authorization/locks?$filter=atScope()`;
    expect((await call('GET', own)).json).toEqual({ value: [] });

    const refused = await call('DELETE', group('locked'));
    expect([refused.status, refused.json]).toEqual([
      409,
      refusal(
        'ScopeLocked',
        `The scope '${group('locked')}' cannot perform delete operation because following scope(s) are locked: '${scope}'. Please remove the lock and try again.`,
      ),
    ]);
    expect((await call('DELETE', lock(scope, 'keep'))).status).toBe(200);
    expect((await call('DELETE', lock(scope, 'keep'))).status).toBe(204);
    expect((await call('GET', lock(scope, 'keep'))).json).toEqual(
      refusal('LockNotFound', "The lock 'keep' could not be found."),
    );
    expect((await call('DELETE', group('locked'))).status).toBe(202);
  });

  test('are found by an id that is encoded as a whole, as SDKs send it', async () => {
    await makeGroup('encoded');
    await makeVault('encoded-vault', 'encoded');
    const scope = `${group('encoded')}/providers/Microsoft.KeyVault/vaults/encoded-vault`;
    const path = (whole: string) => `/${encodeURIComponent(whole)}/providers/Microsoft.Authorization/locks/l`;
    const body = { properties: { level: 'ReadOnly' } };
    const made = await call('PUT', path(scope), body);
    expect([made.status, made.json.id]).toEqual([201, lock(scope, 'l')]);
    // With and without the slash at the beginning.
    for (const whole of [scope, scope.slice(1)])
      expect((await call('GET', path(whole))).json).toEqual(made.json);
    const reader = await makeManager(server, 'encoded-reader', { role: 'Reader', scope: root });
    const refused = await reader.call('DELETE', path(scope));
    expect([refused.status, refused.json.error.code]).toEqual([403, 'AuthorizationFailed']);
    expect((await call('DELETE', path(scope))).status).toBe(200);
    expect((await call('GET', lock(scope, 'l'))).status).toBe(404);
  });

  test('of a change and a read-only lock at once, nothing changes after the lock', async () => {
    await makeGroup('raced');
    for (let round = 0; round < 5; round += 1) {
      const changing = call('PATCH', group('raced'), { tags: { round: String(round) } });
      const locked = await put(group('raced'), 'l', 'ReadOnly');
      const seen = (await call('GET', group('raced'))).json;
      const changed = await changing;
      expect([locked.status, [200, 409].includes(changed.status)]).toEqual([201, true]);
      expect((await call('GET', group('raced'))).json).toEqual(seen);
      expect(seen.tags?.round === String(round)).toBe(changed.status === 200);
      await call('DELETE', lock(group('raced'), 'l'));
    }
  });

  test('a read-only one refuses every change below it, and itself goes', async () => {
    await makeGroup('still');
    expect((await put(group('still'), 'l', 'ReadOnly')).status).toBe(201);
    const tags = `${group('still')}/providers/Microsoft.Resources/tags/default`;
    const changes: [string, string, unknown][] = [
      ['PUT', group('still'), { location: 'eastus' }],
      ['PATCH', group('still'), { tags: {} }],
      ['DELETE', group('still'), undefined],
      ['PUT', tags, { properties: { tags: {} } }],
    ];
    for (const [method, path, body] of changes) {
      const reply = await call(method, path, body);
      expect([reply.status, reply.json.error.code], `${method} ${path}`).toEqual([409, 'ScopeLocked']);
    }
    expect((await call('GET', group('still'))).status).toBe(200);
    expect((await call('DELETE', lock(group('still'), 'l'))).status).toBe(200);
    expect((await call('PATCH', group('still'), { tags: {} })).status).toBe(200);
  });

  test('are made by who may, on what is there', async () => {
    await makeGroup('guarded');
    const contributor = await makeManager(server, 'contributor', { role: 'Contributor', scope: root });
    const body = { properties: { level: 'ReadOnly' } };
    const denied = await contributor.call('PUT', lock(group('guarded'), 'x'), body);
    expect([denied.status, denied.json.error.code]).toEqual([403, 'AuthorizationFailed']);
    expect((await call('PUT', lock(group('nothing'), 'x'), body)).status).toBe(404);
    const nowhere = `${group('guarded')}/providers/Microsoft.KeyVault/vaults/nothing`;
    expect((await call('PUT', lock(nowhere, 'x'), body)).status).toBe(404);
    for (const level of ['Low', 1, undefined])
      expect((await call('PUT', lock(group('guarded'), 'x'), { properties: { level } })).status).toBe(400);
  });
});

describe('providers', () => {
  test('all are registered, before they are registered and after', async () => {
    const list = await call('GET', `${root}/providers`);
    const states = new Set(
      list.json.value.map((one: { registrationState: string }) => one.registrationState),
    );
    expect([...states]).toEqual(['Registered']);
    for (const verb of ['register', 'unregister']) {
      const reply = await call('POST', `${root}/providers/Microsoft.Network/${verb}`);
      expect([reply.status, reply.json.registrationState]).toEqual([200, 'Registered']);
    }
    const vaults = await call('GET', `${root}/providers/microsoft.keyvault`);
    const [type] = vaults.json.resourceTypes;
    expect(type).toMatchObject({ resourceType: 'vaults' });
    expect(type.apiVersions[0]).toBe('2026-04-01');
    const none = await call('GET', `${root}/providers/Contoso.Cloud`);
    expect([none.status, none.json]).toEqual([
      404,
      refusal('InvalidResourceNamespace', "The resource namespace 'Contoso.Cloud' is invalid."),
    ]);
  });
});

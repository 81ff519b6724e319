/** Vaults over the management plane, as az and others ask for them, and what that means for the data plane at once. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ManagementCaller,
  makeManager,
  manage,
  refusal,
  subscriptionOf,
} from '../support/management.ts';
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
let manager: Identity & { objectId: string; token: string };
/** Somebody without any role. */
let someone: Identity & { objectId: string };
let someonesToken: string;

beforeAll(async () => {
  server = await startTestServer();
  root = `/subscriptions/${await subscriptionOf(server)}`;
  ({ call, ...manager } = await makeManager(server, 'manager'));
  someone = await makeIdentity(server, 'someone');
  someonesToken = await tokenFor(server, { identity: someone });
  await call('PUT', `${root}/resourceGroups/rg2`, { location: 'eastus' });
});
afterAll(() => server.close());

const v = (version: string) => `?api-version=${version}`;
const az = v('2022-07-01');
const inGroup = (group: string, path: string) =>
  `${root}/resourceGroups/${group}/providers/Microsoft.KeyVault/${path}`;
const vaultAt = (name: string, group = 'default') => inGroup(group, `vaults/${name}`);
const sku = { family: 'A', name: 'standard' };

function body(properties: object = {}, more: object = {}) {
  return { location: 'eastus', properties: { tenantId: server.tenantId, sku, ...properties }, ...more };
}
const policy = (objectId: string, permissions: object) => ({
  tenantId: server.tenantId,
  objectId,
  permissions,
});
const allowed = (permissions: object) => [policy(someone.objectId, permissions)];
const put = (name: string, properties: object = { accessPolicies: [] }, version = az) =>
  call('PUT', `${vaultAt(name)}${version}`, body(properties));
const asSomeone = (vault: string) => vaultCaller(server, someonesToken, vault);

describe('a vault that az makes', () => {
  const permissions = { keys: ['all'], secrets: ['all'], certificates: ['all'], storage: ['all'] };
  const asked = () => ({
    accessPolicies: allowed(permissions),
    enableSoftDelete: true,
    softDeleteRetentionInDays: 90,
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' },
  });
  const wire = () => ({
    id: vaultAt('az-made'),
    name: 'az-made',
    type: 'Microsoft.KeyVault/vaults',
    location: 'eastus',
    tags: {},
    systemData: {
      createdBy: manager.clientId,
      createdByType: 'Application',
      createdAt: expect.stringMatching(/^20..-..-..T..:..:..\.\d{3}Z$/),
      lastModifiedBy: manager.clientId,
      lastModifiedByType: 'Application',
      lastModifiedAt: expect.any(String),
    },
    properties: {
      sku,
      tenantId: server.tenantId,
      accessPolicies: allowed(permissions),
      enabledForDeployment: false,
      enableSoftDelete: true,
      softDeleteRetentionInDays: 90,
      enableRbacAuthorization: false,
      vaultUri: 'https://az-made.vault.azure.net/',
      provisioningState: 'Succeeded',
      publicNetworkAccess: 'Enabled',
    },
  });

  test('is there at once, has no member that is not set, and does what its policies say', async () => {
    const before = await call('GET', `${vaultAt('az-made')}${az}`);
    expect([before.status, before.json]).toEqual([
      404,
      refusal(
        'ResourceNotFound',
        "The Resource 'Microsoft.KeyVault/vaults/az-made' under resource group 'default' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
      ),
    ]);
    expect((await asSomeone('az-made')('GET', '/secrets')).status).toBe(404);
    const made = await put('az-made', asked());
    expect([made.status, made.json]).toEqual([200, wire()]);
    expect((await call('GET', `${vaultAt('az-made')}${az}`)).json).toEqual(made.json);
    expect((await asSomeone('az-made')('PUT', '/secrets/s', { value: 'v' })).status).toBe(200);
  });

  test('is shown with the names that it was asked for by, and as old api-versions knew it', async () => {
    const path = `${vaultAt('az-made')}${az}`;
    const host = `management.strongroom.localhost:${server.port}`;
    const own = await manage(server, ['GET', path], { token: manager.token, host });
    expect(own.json.properties.vaultUri).toBe(`https://az-made.vault.strongroom.localhost:${server.port}/`);
    const old = (await call('GET', `${vaultAt('az-made')}${v('2019-09-01')}`)).json;
    expect([old.systemData, old.properties.publicNetworkAccess]).toEqual([undefined, undefined]);
  });

  test('goes by any case of its id, doubled and trailing slashes, and by no other group', async () => {
    for (const path of [
      vaultAt('AZ-MADE', 'DEFAULT').replace('providers/Microsoft.KeyVault', 'PROVIDERS//microsoft.keyvault'),
      `${vaultAt('az-made')}/`,
    ]) {
      expect((await call('GET', `${path}${az}`)).json.id).toBe(vaultAt('az-made'));
    }
    for (const [method, given] of [['GET'], ['PATCH', { tags: {} }]] as const)
      expect((await call(method, `${vaultAt('az-made', 'rg2')}${az}`, given)).status).toBe(404);
    expect((await call('DELETE', `${vaultAt('az-made', 'rg2')}${az}`)).status).toBe(204);
    expect((await call('GET', `${vaultAt('az-made')}${az}`)).status).toBe(200);
  });

  test('is changed by sending back what was read, read-only members and all', async () => {
    const { json: read } = await call('GET', `${vaultAt('az-made')}${az}`);
    const { tags, properties } = read;
    const next = { location: 'East US', tags, properties: { ...properties, enabledForDiskEncryption: true } };
    const changed = await call('PUT', `${vaultAt('az-made')}${az}`, next);
    expect(changed.status).toBe(200);
    expect(changed.json.properties).toEqual({ ...properties, enabledForDiskEncryption: true });
    expect(changed.json.systemData.createdAt).toBe(read.systemData.createdAt);
    const forged = { ...properties, vaultUri: 'https://evil.test', provisioningState: 'Failed', id: 'x' };
    const ignored = await call('PUT', `${vaultAt('az-made')}${az}`, {
      ...next,
      id: '/x',
      properties: forged,
    });
    expect(ignored.json.properties).toEqual(changed.json.properties);
  });
});

describe('what decides: roles or policies', () => {
  test('a new vault uses roles from 2026-02-01 on, and a later change of something else does not', async () => {
    expect((await put('old-model', { accessPolicies: [] }, v('2025-05-01'))).json.properties).toMatchObject({
      enableRbacAuthorization: false,
    });
    expect((await put('new-model', {}, v('2026-02-01'))).json.properties).toMatchObject({
      enableRbacAuthorization: true,
      accessPolicies: [],
    });
    const again = await put('old-model', { accessPolicies: [] }, v('2026-04-01'));
    expect(again.json.properties.enableRbacAuthorization).toBe(false);
    const older = await put('new-model', {}, v('2025-05-01'));
    expect([older.status, older.json.properties.enableRbacAuthorization]).toEqual([200, true]);
  });

  test('policies must be given where they count', async () => {
    const missing = await put('no-policies', {});
    expect([missing.status, missing.json]).toEqual([
      400,
      refusal('BadRequest', "An invalid value was provided for 'accessPolicies'."),
    ]);
    expect((await put('no-policies', { enableRbacAuthorization: true })).status).toBe(200);
    const turned = await put('no-policies', { enableRbacAuthorization: false });
    expect(turned.json.error.message).toBe("An invalid value was provided for 'accessPolicies'.");
  });

  test('turning from one to the other takes the right to assign roles', async () => {
    await put('turned', { accessPolicies: allowed({ secrets: ['list'] }), enableRbacAuthorization: true });
    const contributor = await makeManager(server, 'contributor', {
      role: 'Key Vault Contributor',
      scope: root,
    });
    const path = `${vaultAt('turned')}${az}`;
    expect((await asSomeone('turned')('GET', '/secrets')).json.error.innererror.code).toBe('ForbiddenByRbac');
    const off = { properties: { enableRbacAuthorization: false } };
    for (const [method, given] of [
      ['PATCH', off],
      ['PUT', body({ accessPolicies: [], enableRbacAuthorization: false })],
    ] as const) {
      const refused = await contributor.call(method, path, given);
      expect([refused.status, refused.json.error.code]).toEqual([403, 'AuthorizationFailed']);
      expect(refused.json.error.message).toContain('Microsoft.Authorization/roleAssignments/write');
    }
    const same = { properties: { enableRbacAuthorization: true, enabledForDeployment: true } };
    expect((await contributor.call('PATCH', path, same)).status).toBe(200);
    expect((await call('PATCH', path, off)).json.properties.enableRbacAuthorization).toBe(false);
    expect((await asSomeone('turned')('GET', '/secrets')).status).toBe(200);
    await call('PATCH', path, { properties: { enableRbacAuthorization: true } });
    expect((await asSomeone('turned')('GET', '/secrets')).status).toBe(403);
  });
});

describe('changes', () => {
  test('PATCH changes what is given; null is nothing', async () => {
    await call('PUT', `${vaultAt('patched')}${az}`, body({ accessPolicies: [] }, { tags: { a: '1' } }));
    const path = `${vaultAt('patched')}${az}`;
    const nothing = { tags: null, properties: { sku: null, accessPolicies: null, networkAcls: null } };
    for (const given of [{}, { properties: null }, nothing])
      expect((await call('PATCH', path, given)).json).toMatchObject({
        tags: { a: '1' },
        properties: { sku, accessPolicies: [] },
      });
    const some = {
      tags: { b: '2' },
      properties: {
        sku: { family: 'a', name: 'Premium' },
        networkAcls: { defaultAction: 'deny', ipRules: [{ value: '127.0.0.1' }] },
        publicNetworkAccess: 'disabled',
      },
    };
    expect((await call('PATCH', path, some)).json).toMatchObject({
      tags: { b: '2' },
      properties: {
        sku: { family: 'A', name: 'premium' },
        networkAcls: {
          bypass: 'AzureServices',
          defaultAction: 'Deny',
          ipRules: [{ value: '127.0.0.1' }],
          virtualNetworkRules: [],
        },
        publicNetworkAccess: 'Disabled',
      },
    });
    // A PUT without rules does not open the vault; one without tags takes them away.
    const after = await put('patched', { accessPolicies: [], sku: { family: 'A', name: 'premium' } });
    expect(after.json).toMatchObject({
      tags: {},
      properties: { networkAcls: { defaultAction: 'Deny' }, publicNetworkAccess: 'Disabled' },
    });
    expect((await call('PATCH', `${vaultAt('nobody-s')}${az}`, {})).json.error.code).toBe('ResourceNotFound');
  });

  const otherTenant = '00000000-0000-4000-8000-000000000001';
  test.each<[string, object, string, RegExp]>([
    ['another tenant', { tenantId: otherTenant }, 'BadRequest', /'tenantId'/],
    ['no retention', { softDeleteRetentionInDays: 8 }, 'BadRequest', /softDeleteRetentionInDays.*already/],
    [
      'no soft delete',
      { enableSoftDelete: false },
      'BadRequest',
      /"enableSoftDelete" cannot be set to false/,
    ],
    [
      'no protection',
      { enablePurgeProtection: false },
      'BadRequest',
      /^The property "enablePurgeProtection" cannot be set to false\. Enabling the purge protection for a vault is an irreversible action\.$/,
    ],
    ['a perimeter', { publicNetworkAccess: 'SecuredByPerimeter' }, 'InvalidRequestContent', /perimeters/],
    [
      'a wrong range',
      { networkAcls: { ipRules: [{ value: '10.0.0.0/33' }] } },
      'BadRequest',
      /10\.0\.0\.0\/33/,
    ],
    [
      'too many ranges',
      { networkAcls: { ipRules: Array.from({ length: 1001 }, () => ({ value: '::1' })) } },
      'BadRequest',
      /at most 1000/,
    ],
    [
      'no subnet',
      { networkAcls: { virtualNetworkRules: [{ id: '/x' }] } },
      'BadRequest',
      /not the resource id/,
    ],
    [
      'an unknown sku',
      { sku: { family: 'A', name: 'gold' } },
      'InvalidRequestContent',
      /standard or premium/,
    ],
    ['policies that are none', { accessPolicies: {} }, 'InvalidRequestContent', /list/],
  ])('%s is refused, for a new vault and for one that is there', async (_, given, code, message) => {
    await put('steady');
    for (const name of ['steady', 'steady2']) {
      const isNew = name !== 'steady';
      if (isNew && 'softDeleteRetentionInDays' in given) continue;
      const refused = await put(name, { accessPolicies: [], ...given });
      expect([refused.status, refused.json.error.code]).toEqual([400, code]);
      expect(refused.json.error.message).toMatch(message);
      if (isNew) expect((await call('GET', `${vaultAt(name)}${az}`)).status).toBe(404);
    }
  });

  test('its place stays, and protection once given', async () => {
    await put('settled', { accessPolicies: [], enablePurgeProtection: true });
    const moved = await call('PUT', `${vaultAt('settled')}${az}`, {
      ...body({ accessPolicies: [] }),
      location: 'westus',
    });
    expect([moved.status, moved.json.error.code]).toEqual([409, 'InvalidResourceLocation']);
    const { location: _, ...nowhere } = body({ accessPolicies: [] });
    const without = await call('PUT', `${vaultAt('settled2')}${az}`, nowhere);
    expect([without.status, without.json.error.code]).toEqual([400, 'LocationRequired']);
    const kept = await put('settled', { accessPolicies: [] });
    expect(kept.json.properties.enablePurgeProtection).toBe(true);
    for (const days of [6, 91, 7.5]) {
      const refused = await put('settled2', { accessPolicies: [], softDeleteRetentionInDays: days });
      expect(refused.status).toBe(400);
    }
  });
});

describe('names', () => {
  const check = (name: string, version = '2025-05-01') =>
    call('POST', `${root}/providers/Microsoft.KeyVault/checkNameAvailability${v(version)}`, {
      name,
      type: 'Microsoft.KeyVault/vaults',
    });

  test.each(['ab', '1abc', 'a--b', 'abc-', 'a'.repeat(25), 'a_b', 'ünicode'])('%s is none', async (name) => {
    const refused = await put(encodeURIComponent(name));
    expect([refused.status, refused.json.error.code]).toEqual([400, 'VaultNameNotValid']);
    const { json } = await check(name);
    expect(json).toEqual({
      nameAvailable: false,
      reason: 'AccountNameInvalid',
      message: refused.json.error.message,
    });
  });

  test('one is for one vault, wherever that is', async () => {
    expect((await check('taken')).json).toEqual({ nameAvailable: true });
    await put('taken');
    const again = await call('PUT', `${vaultAt('TAKEN', 'rg2')}${az}`, body({ accessPolicies: [] }));
    expect([again.status, again.json.error.code]).toEqual([409, 'VaultAlreadyExists']);
    expect(again.json.error.message).toMatch(/^The vault name 'TAKEN' is already in use\. /);
    expect((await check('Taken')).json).toMatchObject({ nameAvailable: false, reason: 'AlreadyExists' });
    expect((await check('Taken', '2019-09-01')).json.message).toBe("The name 'Taken' is already in use.");
  });
});

describe('access policies', () => {
  const change = (how: string, accessPolicies: readonly object[], vault = 'policed') =>
    call('PUT', `${vaultAt(vault)}/accessPolicies/${how}${az}`, { properties: { accessPolicies } });
  const policies = async () =>
    (await call('GET', `${vaultAt('policed')}${az}`)).json.properties.accessPolicies;

  test('are added, replaced and removed for the named alone, in the words of the caller, and count at once', async () => {
    const other = policy(manager.objectId, { keys: ['Get', 'wrapKey'] });
    await put('policed', { accessPolicies: [other] });
    const list = () => asSomeone('policed')('GET', '/secrets');
    expect((await list()).json.error.innererror.code).toBe('AccessDenied');
    const added = await change('add', allowed({ secrets: ['Get', 'LIST'] }));
    expect([added.status, added.json]).toEqual([
      200,
      {
        id: `${vaultAt('policed')}/accessPolicies/`,
        type: 'Microsoft.KeyVault/vaults/accessPolicies',
        properties: { accessPolicies: allowed({ secrets: ['Get', 'LIST'] }) },
      },
    ]);
    expect((await list()).status).toBe(200);
    await change('Add', allowed({ secrets: ['list', 'set'], keys: [] }));
    expect(await policies()).toEqual([other, ...allowed({ keys: [], secrets: ['Get', 'LIST', 'set'] })]);
    await change('remove', allowed({ secrets: ['list'] }));
    expect((await list()).json.error.innererror.code).toBe('ForbiddenByPolicy');
    await change('replace', allowed({ secrets: ['All'] }));
    expect((await list()).status).toBe(200);
    // What is left of all is what all stood for.
    await change('remove', allowed({ secrets: ['list'] }));
    expect((await list()).status).toBe(403);
    expect((await asSomeone('policed')('PUT', '/secrets/s', { value: 'v' })).status).toBe(200);
    await change('remove', allowed({}));
    expect(await policies()).toEqual([other]);
    expect((await list()).json.error.innererror.code).toBe('AccessDenied');
  });

  test('that no vault can have are refused', async () => {
    await put('policed2');
    const bad: readonly (readonly object[])[] = [
      [policy('not-a-guid', {})],
      allowed({ secrets: ['read'] }),
      allowed({ secrets: ['wrapKey'] }),
      [...allowed({}), policy(someone.objectId.toUpperCase(), {})],
      [{ ...policy(someone.objectId, {}), tenantId: someone.objectId }],
      Array.from({ length: 1025 }, (_, n) =>
        policy(`00000000-0000-4000-8000-${String(n).padStart(12, '0')}`, {}),
      ),
    ];
    for (const accessPolicies of bad) {
      const refused = await put('policed2', { accessPolicies });
      expect([refused.status, refused.json.error.code]).toEqual([400, 'BadRequest']);
      expect(refused.json.error.message).toMatch(/^An invalid value was provided for 'accessPolicies'\. /);
    }
    // The same principal through an application is another holder.
    const pair = [...allowed({}), { ...policy(someone.objectId, {}), applicationId: someone.clientId }];
    expect((await put('policed2', { accessPolicies: pair })).status).toBe(200);
    expect((await change('toggle', [], 'policed2')).status).toBe(400);
    expect((await change('add', allowed({}), 'nobody-s')).status).toBe(404);
  });

  test('need a permission of their own', async () => {
    await put('policed3');
    const limited = await makeManager(server, 'limited', { role: 'Reader', scope: root });
    const path = `${vaultAt('policed3')}/accessPolicies/add${az}`;
    const given = { properties: { accessPolicies: allowed({ secrets: ['all'] }) } };
    expect((await limited.call('PUT', path, given)).json.error.code).toBe('AuthorizationFailed');
    const sibling = await makeManager(server, 'sibling', {
      role: 'Key Vault Contributor',
      scope: vaultAt('policed'),
    });
    expect((await sibling.call('PUT', path, given)).json.error.code).toBe('AuthorizationFailed');
  });
});

describe('lists', () => {
  test('are by name, in pages, of the group or of the subscription', async () => {
    const group = `${root}/resourceGroups/rg2`;
    for (const name of ['page-b', 'Page-a', 'page-c'])
      await call('PUT', `${vaultAt(name, 'rg2')}${az}`, body({ accessPolicies: [] }));
    const names: string[] = [];
    let next: string | undefined = `${group}/providers/Microsoft.KeyVault/vaults${az}&$top=2`;
    let pages = 0;
    while (next !== undefined) {
      const { status, json } = await call('GET', next);
      expect(status).toBe(200);
      names.push(...json.value.map(({ name }: { name: string }) => name));
      const link: URL | undefined = json.nextLink && new URL(json.nextLink);
      expect(link?.origin).toBe(link && 'https://management.azure.com');
      next = link && `${link.pathname}${link.search}`;
      pages += 1;
    }
    expect([names, pages]).toEqual([['Page-a', 'page-b', 'page-c'], 2]);
    const all = await call('GET', `${root}/providers/Microsoft.KeyVault/vaults${az}`);
    const every = all.json.value.map(({ name }: { name: string }) => name);
    expect(every).toEqual(expect.arrayContaining(['dev', 'Page-a', 'page-b', 'page-c']));
    const lookup = `${root}/resources?$filter=${encodeURIComponent("resourceType eq 'Microsoft.KeyVault/vaults'")}&api-version=2015-11-01`;
    const found = (await call('GET', lookup)).json.value.map(({ name }: { name: string }) => name);
    expect(found.sort()).toEqual(every.sort());
    for (const bad of ['&$top=0', '&$top=x', '&$skiptoken=x'])
      expect((await call('GET', `${group}/providers/Microsoft.KeyVault/vaults${az}${bad}`)).status).toBe(400);
  });
});

describe('the resource provider', () => {
  test('lists its operations', async () => {
    const { status, json } = await call('GET', `/providers/Microsoft.KeyVault/operations${az}`);
    expect(status).toBe(200);
    const names = json.value.map(({ name }: { name: string }) => name);
    // Some are actions on the resource and on what is in it, as two entries.
    const entries = json.value.map(
      (one: { name: string; isDataAction: boolean }) => `${one.isDataAction} ${one.name}`,
    );
    expect(new Set(entries).size).toBe(entries.length);
    expect(names).toEqual(
      expect.arrayContaining([
        'Microsoft.KeyVault/vaults/write',
        'Microsoft.KeyVault/locations/deletedVaults/purge/action',
        'Microsoft.KeyVault/vaults/secrets/getSecret/action',
      ]),
    );
    for (const { display, isDataAction, name } of json.value) {
      expect(isDataAction, name).toBeTypeOf('boolean');
      for (const text of Object.values(display)) expect(text, name).toMatch(/^[A-Z][\w ,()-]+$/);
    }
  });

  test('has each part from the version on that brought it', async () => {
    await put('dated');
    const parts: readonly (readonly [string, string, string, string])[] = [
      ['networkSecurityPerimeterConfigurations', '2026-04-01', '2026-02-01', '2025-05-01'],
      ['keys', '2019-09-01', '2018-02-14', '2016-10-01'],
      ['privateEndpointConnections', '2018-02-14', '2016-10-01', '2015-06-01'],
    ];
    for (const [part, since, ...before] of parts) {
      expect((await call('GET', `${vaultAt('dated')}/${part}${v(since)}`)).status).toBe(200);
      for (const version of before) {
        const refused = await call('GET', `${vaultAt('dated')}/${part}${v(version)}`);
        expect([refused.status, refused.json.error.code]).toEqual([404, 'InvalidResourceType']);
        expect(refused.json.error.message).toMatch(
          `The resource type 'vaults/${part}' could not be found in the namespace 'Microsoft.KeyVault' for api version '${version}'. The supported api-versions are '${since}`,
        );
      }
    }
    const pools = `${root}/providers/Microsoft.KeyVault/managedHSMs`;
    expect((await call('GET', `${pools}${v('2021-04-01-preview')}`)).status).toBe(200);
    expect((await call('GET', `${pools}${v('2019-09-01')}`)).status).toBe(404);
    const deleted = `${root}/providers/Microsoft.KeyVault/deletedVaults`;
    expect((await call('GET', `${deleted}${v('2015-06-01')}`)).status).toBe(404);
  });

  test('has no managed HSM pools, and says so', async () => {
    expect((await call('GET', `${root}/providers/Microsoft.KeyVault/managedHSMs${az}`)).json).toEqual({
      value: [],
    });
    const made = await call('PUT', `${inGroup('default', 'managedHSMs/pool')}${az}`, { location: 'eastus' });
    expect([made.status, made.json]).toEqual([
      400,
      refusal('BadRequest', 'This version of Strongroom has no managed HSM pools: none can be made.'),
    ]);
    const check = `${root}/providers/Microsoft.KeyVault/checkMhsmNameAvailability${az}`;
    expect((await call('POST', check, { name: 'pool' })).json).toEqual({ nameAvailable: true });
    expect((await call('POST', check, { name: '-' })).json.reason).toBe('AccountNameInvalid');
  });
});

/** The management plane as a whole: its headers, api-versions, metadata, and what attackers try with paths and tokens. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type ManagementCaller,
  makeManager,
  manage,
  managementAudience,
  managementHost,
  refusal,
  subscriptionOf,
} from '../support/management.ts';
import { send, startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';

let server: TestServer;
let root: string;
let token: string;
let call: ManagementCaller;

beforeAll(async () => {
  server = await startTestServer();
  root = `/subscriptions/${await subscriptionOf(server)}`;
  ({ call, token } = await makeManager(server, 'manager'));
});
afterAll(() => server.close());

const guid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

describe('every answer', () => {
  test('has the headers of Azure Resource Manager', async () => {
    const { headers, status } = await call('GET', root);
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'cache-control': 'no-cache',
      pragma: 'no-cache',
      expires: '-1',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'x-content-type-options': 'nosniff',
      'content-type': 'application/json; charset=utf-8',
      'x-ms-request-id': expect.stringMatching(guid),
    });
    const id = headers['x-ms-request-id'] ?? '';
    expect(headers['x-ms-correlation-request-id']).toBe(id);
    expect(headers['x-ms-routing-request-id']).toMatch(new RegExp(`^LOCAL:\\d{8}T\\d{6}Z:${id}$`));
    expect(headers['x-ms-client-request-id']).toBeUndefined();
    expect(headers['x-ms-failure-cause']).toBeUndefined();
    expect(headers['www-authenticate']).toBeUndefined();
    expect(Object.keys(headers).filter((name) => name.includes('keyvault'))).toEqual([]);
  });

  test("echoes the caller's ids if they are ids", async () => {
    const correlation = '00000000-0000-4000-8000-000000000001';
    const given = { 'x-ms-client-request-id': 'my-id', 'x-ms-correlation-request-id': correlation };
    const reply = await call('GET', root, undefined, given);
    expect(reply.headers['x-ms-client-request-id']).toBe('my-id');
    expect(reply.headers['x-ms-correlation-request-id']).toBe(correlation);
    const bad = await call('GET', root, undefined, { 'x-ms-correlation-request-id': 'x y' });
    expect(bad.headers['x-ms-correlation-request-id']).toMatch(guid);
  });
});

describe('refusals in their order', () => {
  test('an api-version first', async () => {
    const reply = await manage(server, ['GET', '/subscriptions?api-version=']);
    expect([reply.status, reply.json]).toEqual([
      400,
      refusal(
        'MissingApiVersionParameter',
        'The api-version query parameter (?api-version=) is required for all requests.',
      ),
    ]);
    expect(reply.headers['x-ms-failure-cause']).toBe('gateway');
  });

  test('then a token, whatever the path', async () => {
    for (const path of ['/subscriptions', root, '/nothing', `/subscriptions/${crypto.randomUUID()}`]) {
      const reply = await manage(server, ['GET', path]);
      expect([reply.status, reply.json], path).toEqual([
        401,
        refusal('AuthenticationFailed', "Authentication failed. The 'Authorization' header is missing."),
      ]);
    }
    const basic = await manage(server, ['GET', root], { headers: { Authorization: 'Basic eDp5' } });
    expect(basic.json).toEqual(
      refusal(
        'AuthenticationFailed',
        "Authentication failed. The 'Authorization' header is provided in an invalid format.",
      ),
    );
  });

  test('then the subscription', async () => {
    const id = crypto.randomUUID();
    const reply = await call('GET', `/subscriptions/${id}/resourceGroups/rg`);
    expect([reply.status, reply.json]).toEqual([
      404,
      refusal('SubscriptionNotFound', `The subscription '${id}' could not be found.`),
    ]);
    const bad = await call('GET', '/subscriptions/mine/resourceGroups');
    expect([bad.status, bad.json]).toEqual([
      400,
      refusal(
        'InvalidSubscriptionId',
        "The provided subscription identifier 'mine' is malformed or invalid.",
      ),
    ]);
  });

  test('then whether there is such an operation, in such a version', async () => {
    const type = await call('GET', `${root}/providers/Microsoft.Compute/disks`);
    expect([type.status, type.json]).toEqual([
      404,
      refusal(
        'InvalidResourceType',
        "The resource type 'disks' could not be found in the namespace 'Microsoft.Compute'.",
      ),
    ]);
    expect((await call('POST', `${root}/resourceGroups/default`, {})).status).toBe(405);
    const version = await call('GET', `${root}?api-version=yesterday`);
    expect([version.status, version.json.error.code]).toEqual([400, 'InvalidApiVersionParameter']);
    expect(version.json.error.message).toMatch(
      /^The api-version 'yesterday' is invalid\. The supported versions are '.*2021-04-01.*'\.$/,
    );
  });

  test('then permission, before anybody learns whether a group is there', async () => {
    const stranger = await makeManager(server, 'nobody', null);
    const vaultAction = (name: string) =>
      `${root}/resourceGroups/${name}/providers/Microsoft.Resources/tags/default`;
    for (const name of ['default', 'nothing']) {
      const reply = await stranger.call('GET', vaultAction(name));
      expect([reply.status, reply.json.error.code], name).toEqual([403, 'AuthorizationFailed']);
    }
    expect((await call('GET', vaultAction('nothing'))).json.error.code).toBe('ResourceGroupNotFound');
  });
});

describe('tokens', () => {
  test("of another audience are refused, each plane's on the other", async () => {
    const forVaults = await tokenFor(server);
    const reply = await manage(server, ['GET', root], { token: forVaults });
    expect([reply.status, reply.json]).toEqual([
      401,
      refusal(
        'InvalidAuthenticationToken',
        'The access token is invalid. Invalid audience. Expected https://management.azure.com, found: https://vault.azure.net.',
      ),
    ]);
    const forManagement = await tokenFor(server, { resource: managementAudience });
    expect((await vaultCaller(server, forManagement)('GET', '/secrets')).status).toBe(401);
  });

  test.each(['https://management.azure.com', 'https://management.core.windows.net'])(
    'for %s are good',
    async (resource) => {
      const good = await tokenFor(server, { resource });
      expect((await manage(server, ['GET', '/subscriptions'], { token: good })).status).toBe(200);
    },
  );

  test('are good for what was given, at once, and no longer once it was taken away', async () => {
    const scope = `${root}/resourceGroups/default`;
    const { token: leaver, objectId } = await makeManager(server, 'leaver', null);
    const assignment = `${scope}/providers/Microsoft.Authorization/roleAssignments/${crypto.randomUUID()}?api-version=2022-04-01`;
    const reader = '/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7';
    const given = { properties: { roleDefinitionId: reader, principalId: objectId } };
    const ask = () => manage(server, ['GET', scope], { token: leaver });
    expect((await ask()).status).toBe(403);
    expect((await call('PUT', assignment, given)).status).toBe(201);
    expect((await ask()).status).toBe(200);
    expect((await call('DELETE', assignment)).status).toBe(200);
    expect((await ask()).status).toBe(403);
  });
});

describe('attacks', () => {
  const vault = () => `${root}/resourceGroups/default/providers/Microsoft.KeyVault/vaults/dev`;

  test.each([
    ['an encoded slash in a name', '/subscriptions/x%2Fy'],
    ['one that would lead to another group', '/subscriptions/S/resourceGroups/a%2F..%2Fdefault'],
    ['doubled encoding', '/subscriptions/S/resourceGroups/a%252Fdefault'],
    ['a backslash', '/subscriptions/S/resourceGroups/a%5Cdefault'],
    ['dots', '/subscriptions/S/resourceGroups/mine/../default'],
    ['encoded dots', '/subscriptions/S/resourceGroups/mine/%2e%2e/default'],
    ['a null', '/subscriptions/S/resourceGroups/default%00'],
    ['broken encoding', '/subscriptions/S/resourceGroups/%f'],
    ['a line end', '/subscriptions/S/resourceGroups/a%0d%0ax'],
  ])('%s in the path is refused before anything else', async (_, path) => {
    const reply = await call('GET', path.replace('/subscriptions/S', root));
    expect([reply.status, reply.json.error.code]).toEqual([400, 'InvalidRequestUri']);
    expect(Object.keys(reply.headers)).not.toContain('x');
  });

  test('a scope within a scope is none', async () => {
    const reader = await makeManager(server, 'inner-reader', { role: 'Owner', scope: vault() });
    const body = { properties: { level: 'ReadOnly' } };
    // Permission on the vault must not do for the group around it, however the path is put.
    for (const path of [
      `${root}/resourceGroups/default/providers/Microsoft.Authorization/locks/l`,
      `${root}/resourceGroups/default/providers/Microsoft.KeyVault/vaults/dev/../../../../providers/Microsoft.Authorization/locks/l`,
      `${vault()}/providers/Microsoft.Authorization/locks/x/providers/Microsoft.Authorization/locks/l`,
      `${vault()}x/providers/Microsoft.Authorization/locks/l`,
      `/providers/Microsoft.Authorization/locks/l`,
    ]) {
      const reply = await reader.call('PUT', path, body);
      expect([400, 403, 404], `${path} ${reply.status}`).toContain(reply.status);
    }
    const list = await call('GET', `${root}/providers/Microsoft.Authorization/locks`);
    expect(list.json).toEqual({ value: [] });
  });

  test('permission on one group is none on one whose name begins alike', async () => {
    for (const name of ['kv1', 'kv10'])
      await call('PUT', `${root}/resourceGroups/${name}`, { location: 'local' });
    const scope = `${root}/resourceGroups/kv1`;
    const owner = await makeManager(server, 'kv1-owner', { role: 'Owner', scope });
    expect((await owner.call('PATCH', scope, { tags: { a: 'b' } })).status).toBe(200);
    for (const [method, body] of [
      ['PATCH', { tags: {} }],
      ['DELETE', undefined],
      ['PUT', { location: 'local' }],
    ] as const) {
      expect((await owner.call(method, `${scope}0`, body)).status, method).toBe(403);
    }
  });

  test('another verb named in a header is not meant', async () => {
    for (const name of ['X-HTTP-Method', 'X-HTTP-Method-Override', 'X-Method-Override']) {
      const reply = await call('POST', `${root}/resourceGroups/default`, {}, { [name]: 'DELETE' });
      expect(reply.status, name).toBe(405);
    }
    expect((await call('HEAD', `${root}/resourceGroups/default`)).status).toBe(204);
  });

  test('names that another host would have are not found here, nor this one there', async () => {
    const headers = { Authorization: `Bearer ${token}` };
    const asVault = await send(server, {
      host: 'dev.vault.azure.net',
      path: `${root}?api-version=2021-04-01`,
      headers,
    });
    expect(asVault.status).toBe(401);
    const secrets = await manage(server, ['GET', '/secrets?api-version=7.4'], { token });
    expect(secrets.status).toBe(404);
    const unknown = await send(server, { host: 'management.example.com', path: root, headers }).catch(
      (error: Error) => error,
    );
    expect(unknown).toSatisfy((answer: Error | { status: number }) =>
      answer instanceof Error ? true : answer.status === 421,
    );
  });

  test('a body that is too large, or of another kind, is refused', async () => {
    const path = `${root}/resourceGroups/big`;
    const large = JSON.stringify({ location: 'local', more: 'x'.repeat(4 * 1024 * 1024) });
    expect((await call('PUT', path, large)).status).toBe(413);
    const form = await call('PUT', path, '{"location":"local"}', { 'Content-Type': 'text/plain' });
    expect(form.status).toBe(415);
    expect((await call('HEAD', path)).status).toBe(404);
  });
});

describe('metadata', () => {
  const ask = async (version: string, host = managementHost) =>
    (await manage(server, ['GET', `/metadata/endpoints?api-version=${version}`], { host })).json;

  test('needs no token, and has the form of its version', async () => {
    const old = await ask('2015-01-01');
    expect(Object.keys(old)).toEqual([
      'galleryEndpoint',
      'graphEndpoint',
      'portalEndpoint',
      'authentication',
    ]);
    for (const version of ['2018-05-01', '2019-05-01', '2020-06-01']) {
      const [cloud] = await ask(version);
      expect(cloud, version).toMatchObject({
        name: 'AzureCloud',
        resourceManager: 'https://management.azure.com',
      });
    }
    const cloud = await ask('2022-09-01');
    expect(cloud).toMatchObject({
      name: 'AzureCloud',
      authentication: { loginEndpoint: 'https://login.microsoftonline.com', identityProvider: 'AAD' },
      suffixes: { keyVaultDns: 'vault.azure.net', mhsmDns: 'managedhsm.azure.net' },
    });
  });

  test("names the server's own hosts where it was asked by its own", async () => {
    const { domain } = await server.control<{ domain: string }>('status');
    const port = `:${server.port}`;
    const host = `management.${domain}${port}`;
    const cloud = await ask('2022-09-01', host);
    expect(cloud).toMatchObject({
      name: 'Strongroom',
      resourceManager: `https://${host}`,
      microsoftGraphResourceId: `https://graph.${domain}${port}/`,
      authentication: {
        loginEndpoint: `https://login.${domain}${port}`,
        audiences: [`https://${host}/`, `https://${host}`],
        tenant: 'common',
        identityProvider: 'AAD',
      },
      suffixes: { keyVaultDns: `vault.${domain}${port}`, mhsmDns: `managedhsm.${domain}${port}` },
    });
    expect(JSON.stringify(cloud)).not.toMatch(/azure|microsoftonline/);
    // az signs in without asking the outside only in the tenant named adfs.
    const [forAz] = await ask('2019-05-01', host);
    expect(forAz.authentication.loginEndpoint).toBe(`https://login.${domain}${port}/adfs`);
  });

  test('is read, not written', async () => {
    const reply = await manage(server, ['POST', '/metadata/endpoints?api-version=2022-09-01'], { body: {} });
    expect(reply.status).toBe(401);
  });
});

test('the own name serves the same, with links and challenges of its own', async () => {
  const { domain } = await server.control<{ domain: string }>('status');
  const host = `management.${domain}:${server.port}`;
  const own = await tokenFor(server, { resource: `https://${host}` });
  const reply = await manage(server, ['GET', '/subscriptions'], { host, token: own });
  expect(reply.status).toBe(200);
  await call('PUT', `${root}/resourceGroups/linked`, { location: 'local' });
  const deleted = await manage(server, ['DELETE', `${root}/resourceGroups/linked`], { host, token });
  expect(deleted.headers.location).toMatch(
    new RegExp(`^https://${host.replaceAll('.', '\\.')}/subscriptions/`),
  );
  const refused = await manage(server, ['GET', root], { host });
  expect(refused.headers['www-authenticate']).toContain(
    `authorization_uri="https://login.${domain}:${server.port}/${server.tenantId}"`,
  );
});

/**
 * User-assigned managed identities as resources, in the requests of az, Terraform and Azure's libraries: their life, what
 * they may do and who may use them, from the first role to the last token; and what must not come of being allowed to
 * make one.
 */
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ManagementCaller, makeManager, refusal, subscriptionOf } from '../support/management.ts';
import {
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { postForm, vaultResource } from '../support/sign-in.ts';

const version = '?api-version=2024-11-30';
const type = 'Microsoft.ManagedIdentity/userAssignedIdentities';
const roles = '/providers/Microsoft.Authorization/roleDefinitions';
const secretsUser = `${roles}/4633458b-17de-408a-b874-0445c86b69e6`;

let server: TestServer;
let root: string;
let call: ManagementCaller;
let identityHeader: string;

beforeAll(async () => {
  server = await startTestServer({ settings: { issuerNetworks: ['127.0.0.1/32'] } });
  root = `/subscriptions/${await subscriptionOf(server)}`;
  ({ call } = await makeManager(server, 'owner'));
  ({ identityHeader } = await server.control<{ identityHeader: string }>('client-environment'));
  await call('PUT', `${root}/resourceGroups/rg1`, { location: 'eastus' });
  const secrets = vaultCaller(server, await tokenFor(server));
  await secrets('PUT', '/secrets/s', { value: 'for the identity' });
});
afterAll(() => server.close());

const at = (name: string, group = 'rg1') => `${root}/resourceGroups/${group}/providers/${type}/${name}`;

interface Made {
  readonly id: string;
  readonly principalId: string;
  readonly clientId: string;
}

async function make(name: string, group?: string): Promise<Made> {
  const reply = await call('PUT', `${at(name, group)}${version}`, { location: 'eastus' });
  expect(reply.status, reply.text).toBe(201);
  return { id: reply.json.id, ...reply.json.properties };
}

/** Gives the role Key Vault Secrets User on the vault `dev`. */
async function giveSecrets(principalId: string): Promise<void> {
  const vault = `${root}/resourceGroups/default/providers/Microsoft.KeyVault/vaults/dev`;
  const assignment = `${vault}/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}`;
  const properties = { roleDefinitionId: secretsUser, principalId, principalType: 'ServicePrincipal' };
  const given = await call('PUT', `${assignment}?api-version=2022-04-01`, { properties });
  expect(given.status, given.text).toBe(201);
}

async function readSecret(token: string): Promise<RawResponse> {
  return vaultCaller(server, token)('GET', '/secrets/s');
}

/** Asks a local endpoint; IMDS unless the headers are App Service's. */
async function local(selector: Record<string, string>, headers?: Record<string, string>, to = server) {
  const path = headers === undefined ? '/metadata/identity/oauth2/token' : '/msi/token';
  const query = new URLSearchParams({
    'api-version': headers === undefined ? '2018-02-01' : '2019-08-01',
    resource: vaultResource,
    ...selector,
  });
  const url = `http://127.0.0.1:${to.localPort}${path}?${query}`;
  const reply = await fetch(url, { headers: headers ?? { Metadata: 'true' } });
  return { status: reply.status, json: (await reply.json()) as Record<string, string> };
}

describe('an identity as a resource', () => {
  test('is made, shown, changed, listed and deleted', async () => {
    const put = await call('PUT', `${at('Life')}${version}`, {
      location: 'East US',
      tags: { a: '1' },
      properties: { isolationScope: 'regional' },
    });
    const guid = expect.stringMatching(/^[0-9a-f-]{36}$/);
    const wire = {
      location: 'eastus',
      tags: { a: '1' },
      id: at('Life'),
      name: 'Life',
      type,
      properties: {
        ...{ tenantId: server.tenantId, principalId: guid, clientId: guid },
        isolationScope: 'Regional',
      },
    };
    expect([put.status, put.json]).toEqual([201, wire]);
    const shown = await call('GET', `${at('lIFE', 'RG1')}${version}`);
    expect([shown.status, shown.json]).toEqual([200, put.json]);
    // As a client does that sends back all that it was shown.
    const again = await call('PUT', `${at('life')}${version}`, { ...shown.json, tags: undefined });
    expect([again.status, again.json]).toEqual([200, { ...put.json, tags: {} }]);
    const patched = await call('PATCH', `${at('Life')}${version}`, {
      tags: { b: '2' },
      properties: { isolationScope: 'None' },
    });
    const { isolationScope: _, ...properties } = put.json.properties;
    expect([patched.status, patched.json]).toEqual([
      200,
      { ...put.json, tags: { b: '2' }, properties: { ...properties, isolationScope: 'None' } },
    ]);
    // A member that came later is not in what was before.
    const early = await call('GET', `${at('Life')}?api-version=2018-11-30`);
    expect(early.json.properties).toEqual(properties);
    for (const list of [`${root}/resourceGroups/rg1/providers/${type}`, `${root}/providers/${type}`])
      expect((await call('GET', `${list}${version}`)).json.value).toContainEqual(patched.json);
    const other = await call('GET', `${root}/resourceGroups/default/providers/${type}${version}`);
    expect(other.json.value).toEqual([]);
    const gone = [];
    for (let n = 0; n < 2; n += 1) gone.push((await call('DELETE', `${at('Life')}${version}`)).status);
    expect(gone).toEqual([200, 204]);
    const message = `The Resource '${type}/Life' under resource group 'rg1' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`;
    expect((await call('GET', `${at('Life')}${version}`)).json).toEqual(refusal('ResourceNotFound', message));
  });

  test('of the same name later is another principal', async () => {
    const first = await make('reborn');
    await call('DELETE', `${at('reborn')}${version}`);
    const second = await make('reborn');
    expect(second.principalId).not.toBe(first.principalId);
    expect(second.clientId).not.toBe(first.clientId);
  });

  test.each(['ab', 'x'.repeat(129), '-abc', '_abc', 'a.bc', 'a(bc)'])('cannot be named %s', async (name) => {
    const reply = await call('PUT', `${at(name)}${version}`, { location: 'eastus' });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadRequest']);
  });

  test('can have names at the limits', async () => {
    for (const name of ['0-_', 'x'.repeat(128)]) await make(name);
  });

  test.each([
    ['no location', {}, 400, 'LocationRequired'],
    ['tags that are none', { location: 'x', tags: { a: 1 } }, 400, 'InvalidRequestContent'],
    [
      'a restriction',
      { location: 'x', properties: { assignmentRestrictions: { providers: [] } } },
      400,
      'BadRequest',
    ],
    [
      'another isolation',
      { location: 'x', properties: { isolationScope: 'Zonal' } },
      400,
      'InvalidRequestContent',
    ],
  ])('is not made with %s', async (_, body, status, code) => {
    const reply = await call('PUT', `${at('unmade')}${version}`, body);
    expect([reply.status, reply.json.error.code]).toEqual([status, code]);
    expect((await call('GET', `${at('unmade')}${version}`)).status).toBe(404);
  });

  test('stays where it is, and is in a group that there is', async () => {
    await make('placed');
    for (const method of ['PUT', 'PATCH']) {
      const moved = await call(method, `${at('placed')}${version}`, { location: 'westus' });
      expect([moved.status, moved.json.error.code]).toEqual([409, 'InvalidResourceLocation']);
    }
    const nowhere = await call('PUT', `${at('placed', 'none')}${version}`, { location: 'eastus' });
    expect([nowhere.status, nowhere.json.error.code]).toEqual([404, 'ResourceGroupNotFound']);
  });

  test.each([
    '2018-11-30',
    '2022-01-31-preview',
    '2023-01-31',
    '2023-07-31-preview',
    '2025-01-31-preview',
    '2025-05-31-preview',
  ])('has api-version %s', async (date) => {
    const path = `${at('dated')}?api-version=${date}`;
    expect((await call('PUT', path, { location: 'eastus' })).status).toBeLessThan(300);
    expect((await call('GET', path)).status).toBe(200);
  });

  test('is among the resources of all kinds, with its tags, and its provider tells of it', async () => {
    await make('listed');
    const filter = encodeURIComponent(`resourceType eq '${type}' and name eq 'listed'`);
    const resources = await call('GET', `${root}/resources?$filter=${filter}`);
    expect(resources.json.value).toMatchObject([{ id: at('listed'), type, location: 'eastus' }]);
    const tags = `${at('listed')}/providers/Microsoft.Resources/tags/default`;
    await call('PATCH', tags, { operation: 'Merge', properties: { tags: { team: 'x' } } });
    expect((await call('GET', `${at('listed')}${version}`)).json.tags).toEqual({ team: 'x' });
    expect((await call('HEAD', at('listed'))).status).toBe(204);
    expect((await call('HEAD', at('unlisted'))).status).toBe(404);
    const provider = await call('GET', `${root}/providers/Microsoft.ManagedIdentity`);
    expect(provider.json.resourceTypes).toContainEqual({
      resourceType: 'userAssignedIdentities',
      locations: expect.arrayContaining(['East US']),
      apiVersions: ['2024-11-30', '2023-01-31', '2018-11-30'],
      capabilities: 'SupportsTags, SupportsLocation',
    });
    const told = await call('GET', `/providers/Microsoft.ManagedIdentity/operations${version}`);
    const names = told.json.value.map(({ name }: { name: string }) => name);
    expect(names).toContain(`${type}/federatedIdentityCredentials/write`);
    expect(names.some((name: string) => name.startsWith('Microsoft.KeyVault'))).toBe(false);
  });

  test('is locked with its credentials and its group', async () => {
    await make('locked');
    const credential = `${at('locked')}/federatedIdentityCredentials/kept${version}`;
    const trusted = { issuer: 'https://i.example', subject: 's', audiences: ['a'] };
    const body = { properties: trusted };
    expect((await call('PUT', credential, body)).status).toBe(201);
    const lock = `${at('locked')}/providers/Microsoft.Authorization/locks/l?api-version=2020-05-01`;
    const code = async (method: string, path: string, of?: object) => {
      const { status, json } = await call(method, path, of);
      return status < 400 ? status : json.error.code;
    };
    await call('PUT', lock, { properties: { level: 'CanNotDelete' } });
    expect(await code('DELETE', `${at('locked')}${version}`)).toBe('ScopeLocked');
    expect(await code('DELETE', credential)).toBe('ScopeLocked');
    expect(await code('DELETE', `${root}/resourceGroups/rg1`)).toBe('ScopeLocked');
    expect(await code('PUT', credential, body)).toBe(200);
    await call('PUT', lock, { properties: { level: 'ReadOnly' } });
    expect(await code('PATCH', `${at('locked')}${version}`, { tags: {} })).toBe('ScopeLocked');
    expect(await code('PUT', credential, body)).toBe('ScopeLocked');
    await call('DELETE', lock);
    expect(await code('DELETE', credential)).toBe(200);
    expect(await code('DELETE', `${at('locked')}${version}`)).toBe(200);
  });
});

describe('an identity as a principal', () => {
  test('is a service principal in the directory, as Entra ID has it', async () => {
    const { id, principalId, clientId } = await make('in-directory');
    const token = await tokenFor(server, { resource: 'https://graph.microsoft.com' });
    const graph = (method: string) =>
      send(server, {
        ...{ host: 'graph.microsoft.com', method, path: `/v1.0/servicePrincipals/${principalId}` },
        headers: { Authorization: `Bearer ${token}` },
      });
    expect((await graph('GET')).json).toMatchObject({
      ...{ id: principalId, appId: clientId, displayName: 'in-directory' },
      ...{ servicePrincipalType: 'ManagedIdentity', alternativeNames: ['isExplicit=True', id] },
    });
    // It would be gone behind the back of its locks, and of those who manage it.
    expect((await graph('DELETE')).status).toBe(409);
    await expect(server.control('identity delete', { identity: principalId })).rejects.toThrow(/resource/);
    await call('DELETE', `${at('in-directory')}${version}`);
    expect((await graph('GET')).status).toBe(404);
  });

  test('reads a secret with the role that it is given, by each of its names, until it is deleted', async () => {
    const { id, principalId, clientId } = await make('reader');
    const first = await local({ msi_res_id: id.toUpperCase() });
    expect((await readSecret(first.json.access_token ?? '')).status).toBe(403);
    await giveSecrets(principalId);
    const service = { 'X-IDENTITY-HEADER': identityHeader };
    const tokens = [];
    for (const [selector, headers] of [
      [{ msi_res_id: id }],
      [{ mi_res_id: id }, service],
      [{ client_id: clientId }, service],
      [{ object_id: principalId }],
    ] as const) {
      const { status, json } = await local(selector, headers);
      expect([status, json.client_id]).toEqual([200, clientId]);
      tokens.push(json.access_token ?? '');
      expect((await readSecret(json.access_token ?? '')).json.value).toBe('for the identity');
    }
    expect(decodeJwt(tokens[0] ?? '')).toMatchObject({ oid: principalId, xms_mirid: id });
    await call('DELETE', `${at('reader')}${version}`);
    for (const token of tokens) expect((await readSecret(token)).status).toBe(401);
    const after = await local({ msi_res_id: id });
    expect([after.status, after.json.error_description]).toEqual([400, 'Identity not found']);
    // A namesake has nothing of what this one had.
    const namesake = await make('reader');
    const { json } = await local({ msi_res_id: namesake.id });
    expect((await readSecret(json.access_token ?? '')).status).toBe(403);
  });

  test('ends with its resource group', async () => {
    await call('PUT', `${root}/resourceGroups/doomed`, { location: 'eastus' });
    const { id, principalId } = await make('of-group', 'doomed');
    await giveSecrets(principalId);
    const token = (await local({ msi_res_id: id })).json.access_token ?? '';
    expect((await readSecret(token)).status).toBe(200);
    expect((await call('DELETE', `${root}/resourceGroups/DOOMED`)).status).toBe(202);
    expect((await readSecret(token)).status).toBe(401);
    expect((await local({ object_id: principalId })).status).toBe(400);
    await call('PUT', `${root}/resourceGroups/doomed`, { location: 'eastus' });
    expect((await call('GET', `${at('of-group', 'doomed')}${version}`)).status).toBe(404);
  });

  test('can have roles given on it, which end with it', async () => {
    await make('scoped');
    const operator = `${roles}/f1a07417-d97a-45cb-824c-7a7467783830`;
    const stranger = await makeManager(server, 'operator of one', null);
    const assignment = `${at('scoped')}/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}`;
    const body = { properties: { roleDefinitionId: operator, principalId: stranger.objectId } };
    const path = `${assignment}?api-version=2022-04-01`;
    expect((await call('PUT', path.replace('/scoped/', '/unmade/'), body)).status).toBe(404);
    expect((await call('PUT', path, body)).status).toBe(201);
    expect((await stranger.call('GET', `${at('scoped')}${version}`)).status).toBe(200);
    expect((await stranger.call('GET', `${at('dated')}${version}`)).status).toBe(403);
    await call('DELETE', `${at('scoped')}${version}`);
    await make('scoped');
    expect((await stranger.call('GET', `${at('scoped')}${version}`)).status).toBe(403);
  });
});

describe('a federated credential', () => {
  const properties = {
    issuer: 'https://issuer.example',
    subject: 'system:serviceaccount:ns:web',
    audiences: ['api://AzureADTokenExchange'],
  };
  const path = (name: string, of = 'federated') => `${at(of)}/federatedIdentityCredentials/${name}${version}`;
  beforeAll(() => make('federated'));

  test('is made, shown, changed, listed and deleted', async () => {
    const id = `${at('federated')}/federatedIdentityCredentials/Web`;
    const wire = { id, name: 'Web', type: `${type}/federatedIdentityCredentials`, properties };
    const put = await call('PUT', path('Web'), { properties });
    expect([put.status, put.json]).toEqual([201, wire]);
    const changed = { ...wire, properties: { ...properties, subject: 'other' } };
    const again = await call('PUT', path('wEB'), { properties: changed.properties });
    expect([again.status, again.json]).toEqual([200, changed]);
    expect((await call('GET', path('web'))).json).toEqual(changed);
    expect((await call('GET', path(''))).json).toEqual({ value: [changed] });
    expect((await call('DELETE', path('WEB'))).status).toBe(200);
    expect((await call('DELETE', path('Web'))).status).toBe(204);
    expect((await call('GET', path('Web'))).json.error.code).toBe('ResourceNotFound');
  });

  test('is one under its name, however many make it at once', async () => {
    const replies = await Promise.all(
      Array.from({ length: 4 }, (_, n) =>
        call('PUT', path(n % 2 === 0 ? 'raced' : 'RACED'), {
          properties: { ...properties, subject: 'raced' },
        }),
      ),
    );
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 201]);
    expect((await call('GET', path(''))).json.value).toHaveLength(1);
    await call('DELETE', path('raced'));
    expect((await call('GET', path(''))).json.value).toEqual([]);
  });

  test.each([
    ['a name of two', 'ab', properties],
    ['a name that begins with a hyphen', '-abc', properties],
    ['an issuer without TLS', 'bad', { ...properties, issuer: 'http://issuer.example' }],
    ['two audiences', 'bad', { ...properties, audiences: ['a', 'b'] }],
    ['no subject', 'bad', { ...properties, subject: undefined }],
    [
      'an expression',
      'bad',
      {
        ...properties,
        subject: undefined,
        claimsMatchingExpression: { value: "claims['sub'] matches '*'", languageVersion: 1 },
      },
    ],
  ])('is refused with %s', async (_, name, given) => {
    const reply = await call('PUT', path(name), { properties: given });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadRequest']);
  });

  test('is for an identity that there is, and from the api-version that brought it', async () => {
    const absent = await call('PUT', path('web', 'unmade'), { properties });
    expect([absent.status, absent.json.error.code]).toEqual([404, 'ResourceNotFound']);
    expect((await call('DELETE', path('web', 'unmade'))).status).toBe(204);
    const early = path('web').replace(version, '?api-version=2018-11-30');
    expect((await call('PUT', early, { properties })).status).toBe(404);
    const preview = path('web').replace(version, '?api-version=2022-01-31-preview');
    expect((await call('PUT', preview, { properties })).status).toBe(201);
  });

  test('lets the token of an outside issuer be the identity, until one of them is gone', async () => {
    const { publicKey, privateKey } = await generateKeyPair('RS256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg: 'RS256' };
    const outside = createServer((request, response) => {
      const url = `http://${request.headers.host}`;
      response.setHeader('Content-Type', 'application/json');
      const document = { issuer: url, jwks_uri: `${url}/keys` };
      response.end(JSON.stringify(request.url === '/keys' ? { keys: [jwk] } : document));
    });
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
    try {
      const issuer = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
      const { clientId, principalId } = await make('outside');
      await giveSecrets(principalId);
      const now = Math.floor(Date.now() / 1000);
      const claims = { iss: issuer, sub: 'pod', aud: 'api://AzureADTokenExchange', iat: now, exp: now + 600 };
      const assertion = await new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', kid: 'one' })
        .sign(privateKey);
      const ask = () =>
        postForm(server, `/${server.tenantId}/oauth2/v2.0/token`, {
          grant_type: 'client_credentials',
          client_id: clientId,
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
          scope: `${vaultResource}/.default`,
        });
      expect((await ask()).json.error_codes).toEqual([70021]);
      await call('PUT', path('pod', 'outside'), { properties: { ...properties, issuer, subject: 'pod' } });
      const signedIn = await ask();
      expect(signedIn.status, signedIn.text).toBe(200);
      const token = signedIn.json.access_token;
      expect((await readSecret(token)).json.value).toBe('for the identity');
      await call('DELETE', path('pod', 'outside'));
      expect((await ask()).json.error_codes).toEqual([70021]);
      await call('PUT', path('pod', 'outside'), { properties: { ...properties, issuer, subject: 'pod' } });
      await call('DELETE', `${at('outside')}${version}`);
      expect((await ask()).status).toBe(401);
      expect((await readSecret(token)).status).toBe(401);
    } finally {
      outside.close();
    }
  });
});

describe('who may make an identity', () => {
  test('may neither give it access nor become it by that alone', async () => {
    const write = [`${type}/read`, `${type}/write`];
    const roleId = randomUUID();
    const definition = `${root}${roles}/${roleId}?api-version=2022-04-01`;
    const permissions = [{ actions: write, notActions: [] }];
    const role = { roleName: 'makes identities', permissions, assignableScopes: [root] };
    expect((await call('PUT', definition, { properties: role })).status).toBe(201);
    const maker = await makeManager(server, 'maker', { role: 'makes identities', scope: root });
    const made = await maker.call('PUT', `${at('makers')}${version}`, { location: 'eastus' });
    expect(made.status).toBe(201);
    const assignment = `${root}/providers/Microsoft.Authorization/roleAssignments/${randomUUID()}`;
    const { principalId } = made.json.properties;
    const refused = [
      await maker.call('PUT', `${assignment}?api-version=2022-04-01`, {
        properties: { roleDefinitionId: secretsUser, principalId },
      }),
      await maker.call('PUT', `${at('makers')}/federatedIdentityCredentials/own${version}`, {
        properties: { issuer: 'https://mine.example', subject: 's', audiences: ['a'] },
      }),
      await maker.call('DELETE', `${at('makers')}${version}`),
    ];
    for (const { status, json } of refused)
      expect([status, json.error.code]).toEqual([403, 'AuthorizationFailed']);
  });

  test('does not get at an identity that the operator made, by taking its resource id', async () => {
    const made = await server.control<{ objectId: string }>('identity create', {
      ...{ name: 'the operator’s', managed: true, resourceId: at('Operators') },
    });
    const taken = await call('PUT', `${at('operators')}${version}`, { location: 'eastus' });
    expect([taken.status, taken.json.error.code]).toEqual([409, 'Conflict']);
    const properties = { issuer: 'https://mine.example', subject: 's', audiences: ['a'] };
    const credential = `${at('operators')}/federatedIdentityCredentials/own${version}`;
    expect((await call('PUT', credential, { properties })).status).toBe(404);
    expect((await call('DELETE', `${at('operators')}${version}`)).status).toBe(204);
    const { json } = await local({ msi_res_id: at('operators') });
    expect(decodeJwt(json.access_token ?? '').oid).toBe(made.objectId);
  });

  test('does not get what the operator gives to a name', async () => {
    const { principalId } = await make('pipeline');
    const grant = (identity: string) =>
      server.control<{ principalId: string }>('identity grant', {
        ...{ identity, role: 'Key Vault Secrets User', vault: 'dev' },
      });
    await expect(grant('pipeline')).rejects.toMatchObject({ kind: 'notFound' });
    const application = await server.control<{ objectId: string }>('identity create', { name: 'pipeline' });
    expect((await grant('pipeline')).principalId).toBe(application.objectId);
    expect((await grant(principalId)).principalId).toBe(principalId);
    const { identities } = await server.control<{ identities: { name: string }[] }>('identity list');
    expect(identities.filter(({ name }) => name === 'pipeline')).toHaveLength(2);
  });

  test('does not let anybody have tokens for it who may not ask the local endpoints', async () => {
    const { id } = await make('guarded');
    const wrong = await local({ msi_res_id: id }, { 'X-IDENTITY-HEADER': 'wrong' });
    expect(wrong.status).toBe(401);
    const forwarded = await local(
      { msi_res_id: id },
      { 'X-IDENTITY-HEADER': identityHeader, 'X-Forwarded-For': '10.0.0.1' },
    );
    expect(forwarded.status).toBe(400);
  });
});

test('who names no identity is answered as if there were no resources among them', async () => {
  const plain = await startTestServer({ settings: { dev: false, localPort: 0 } });
  try {
    const header = await plain.control<{ identityHeader: string }>('client-environment');
    const service = { 'X-IDENTITY-HEADER': header.identityHeader };
    const subscription = `/subscriptions/${await subscriptionOf(plain)}`;
    const manager = await makeManager(plain, 'manager');
    await manager.call('PUT', `${subscription}/resourceGroups/rg1`, { location: 'eastus' });
    const path = `${subscription}/resourceGroups/rg1/providers/${type}/first${version}`;
    const made = await manager.call('PUT', path, { location: 'eastus' });
    expect(made.status, made.text).toBe(201);
    // The only identity that there is, and nobody's default.
    expect((await local({}, service, plain)).json.error_description).toBe('Identity not found');
    const own = await plain.control<{ clientId: string }>('identity create', { name: 'own', managed: true });
    const unnamed = await local({}, service, plain);
    expect([unnamed.status, unnamed.json.client_id]).toEqual([200, own.clientId]);
    const named = await local({ client_id: made.json.properties.clientId }, service, plain);
    expect([named.status, named.json.client_id]).toEqual([200, made.json.properties.clientId]);
  } finally {
    await plain.close();
  }
});

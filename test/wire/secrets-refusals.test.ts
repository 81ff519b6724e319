/** Proves who is kept out of a vault, in which order the checks are made, and in which words each refusal is. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import {
  type Identity,
  makeIdentity,
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, makeVault, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Date.now());
let server: TestServer;
let token: string;
let call: VaultCaller;
let stranger: Identity & { objectId: string };
let strangers: string;
let subscriptionId: string;

beforeAll(async () => {
  server = await startTestServer({ clock });
  token = await tokenFor(server);
  call = vaultCaller(server, token);
  stranger = await makeIdentity(server, 'stranger');
  strangers = await tokenFor(server, { identity: stranger });
  ({ subscriptionId } = await server.control<{ subscriptionId: string }>('status'));
  await call('PUT', '/secrets/s', { value: 'v' });
});
afterAll(() => server.close());

const host = 'dev.vault.azure.net';

function withAuthorization(authorization: string | undefined, path = '/secrets/s'): Promise<RawResponse> {
  const headers = authorization === undefined ? {} : { Authorization: authorization };
  return send(server, { host, path: `${path}?api-version=7.4`, headers });
}

function unsigned(header: object, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part(header)}.${part(claims)}.${Buffer.alloc(256, 7).toString('base64url')}`;
}

function challengeOf(family: 'azure' | 'own', port = ''): string {
  const login = family === 'azure' ? 'login.microsoftonline.com' : 'login.strongroom.localhost';
  const resource = family === 'azure' ? 'vault.azure.net' : `vault.strongroom.localhost${port}`;
  return `Bearer authorization="https://${login}${port}/${server.tenantId}", resource="https://${resource}"`;
}

describe('401', () => {
  const missing = errorBody('Unauthorized', 'AKV10000: Request is missing a Bearer, PoP, or MTLS_POP token.');

  test.each([undefined, '', 'Basic abc', 'Bearer', 'PoP x'])(
    'a request without a token: %j',
    async (authorization) => {
      const reply = await withAuthorization(authorization);
      expect([reply.status, reply.text]).toEqual([401, missing]);
      expect(reply.headers['www-authenticate']).toBe(challengeOf('azure'));
    },
  );

  test('comes before anything else is looked at: path, name, version, verb, body', async () => {
    const attempts = [
      { path: '/' },
      { path: '/nosuch?api-version=7.4' },
      { path: '/secrets/bad_name?api-version=7.4' },
      { path: '/secrets/%zz' },
      { path: '/secrets/s' },
      { path: '/secrets/s?api-version=99' },
      { path: '/secrets/s?api-version=7.4', method: 'OPTIONS' },
      { path: '/secrets/s?api-version=7.4', method: 'PUT' },
      { path: '/secrets/s?api-version=7.4', method: 'PUT', body: '{' },
      { path: '/secrets/restore?api-version=7.4', method: 'POST', body: 'x'.repeat(600_000) },
    ];
    for (const attempt of attempts) {
      const reply = await send(server, { host, ...attempt });
      expect([attempt.path, reply.status, reply.text]).toEqual([attempt.path, 401, missing]);
    }
  });

  test('names the identity service and the resource in the family of names that was asked', async () => {
    const own = `dev.vault.strongroom.localhost:${server.port}`;
    const reply = await send(server, { host: own, path: '/secrets?api-version=7.4' });
    expect(reply.headers['www-authenticate']).toBe(challengeOf('own', `:${server.port}`));
    const withPort = await send(server, { host: 'dev.vault.azure.net:443', path: '/secrets' });
    expect(withPort.headers['www-authenticate']).toBe(challengeOf('azure'));
  });

  test('a token for another resource', async () => {
    const other = await tokenFor(server, { resource: 'https://management.azure.com' });
    const reply = await withAuthorization(`Bearer ${other}`);
    expect([reply.status, reply.text]).toEqual([
      401,
      errorBody(
        'Unauthorized',
        'AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://management.azure.com.',
      ),
    ]);
    expect(reply.headers['www-authenticate']).toBe(challengeOf('azure'));
  });

  test('a token of another issuer, or signed with an unknown key', async () => {
    const times = { iat: 0, nbf: 0, exp: Math.floor(clock.now() / 1000) + 600 };
    const foreign = 'https://sts.windows.net/11111111-1111-1111-1111-111111111111/';
    const claims = {
      aud: 'https://vault.azure.net',
      iss: foreign,
      tid: server.tenantId,
      ver: '1.0',
      ...times,
    };
    const elsewhere = await withAuthorization(
      `Bearer ${unsigned({ alg: 'RS256', typ: 'JWT', kid: 'k' }, claims)}`,
    );
    expect(elsewhere.status).toBe(401);
    expect(elsewhere.json.error.message).toMatch(
      /^AKV10032: Invalid issuer\. Expected one of https:\/\/sts\.windows\.net\/[-0-9a-f]{36}\/, .*, found https:\/\/sts\.windows\.net\/11111111-1111-1111-1111-111111111111\/\.$/,
    );
    const header = { alg: 'RS256', typ: 'JWT', kid: 'k' };
    const own = { ...claims, iss: `https://sts.windows.net/${server.tenantId}/` };
    const unknown = await withAuthorization(`Bearer ${unsigned(header, own)}`);
    const encoded = Buffer.from(JSON.stringify(header)).toString('base64url');
    expect([unknown.status, unknown.text]).toEqual([
      401,
      errorBody(
        'Unauthorized',
        `AKV10046: Unable to resolve the key used for signature validation. EncodedJwtHeader: '${encoded}'.`,
      ),
    ]);
  });

  test('tokens that are damaged: every answer is a challenge, and none repeats the token', async () => {
    const [header = '', claims = '', signature = ''] = token.split('.');
    const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url');
    const otherSignature = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    const damaged = [
      'x',
      'a.b',
      'a.b.c.d',
      `${header}.${claims}.`,
      `${header}.${claims}.${otherSignature}`,
      `${none}.${claims}.`,
      `${none}.${claims}.${signature}`,
      `${token}.${signature}`,
      `${header}.${claims}x.${signature}`,
    ];
    for (const text of damaged) {
      const reply = await withAuthorization(`Bearer ${text}`);
      expect([text, reply.status, reply.json.error.code]).toEqual([text, 401, 'Unauthorized']);
      expect(reply.headers['www-authenticate']).toBe(challengeOf('azure'));
      expect(reply.text).not.toContain(claims);
    }
  });
});

describe('403 with role assignments', () => {
  const caller = () =>
    `appid=${stranger.clientId};oid=${stranger.objectId};iss=https://sts.windows.net/${server.tenantId}/`;
  const refusal = (action: string, resource: string) =>
    errorBody(
      'Forbidden',
      `Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: ${caller()}\r\nAction: 'Microsoft.KeyVault/vaults/secrets/${action}'\r\nResource: '/subscriptions/${subscriptionId}/resourcegroups/default/providers/microsoft.keyvault/vaults/dev${resource}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: dev;location=local\r\n`,
      'ForbiddenByRbac',
    );

  test('ForbiddenByRbac says who asked for what on which resource', async () => {
    const as = vaultCaller(server, strangers);
    const put = await as('PUT', '/secrets/Mine', { value: 'v' });
    expect([put.status, put.text]).toEqual([403, refusal('setSecret/action', '/secrets/Mine')]);
    expect((await as('GET', '/secrets')).text).toBe(refusal('readMetadata/action', ''));
    expect((await as('DELETE', '/deletedsecrets/s')).text).toBe(refusal('purge/action', '/secrets/s'));
    expect((await as('POST', '/secrets/restore', { value: 'x' })).text).toBe(refusal('restore/action', ''));
  });

  test('comes before the body and before what is there: no telling whether a secret exists', async () => {
    const as = vaultCaller(server, strangers);
    const [known, unknown] = [await as('GET', '/secrets/s'), await as('GET', '/secrets/t')];
    expect(known.text.replaceAll('/secrets/s', '/secrets/t')).toBe(unknown.text);
    expect((await as('PUT', '/secrets/s', '{')).text).toBe(refusal('setSecret/action', '/secrets/s'));
    expect((await as('POST', '/secrets/restore', 'x'.repeat(600_000))).status).toBe(403);
  });

  test("another vault is not this caller's because one is", async () => {
    await server.control('vault create', { name: 'other' });
    const reply = await vaultCaller(server, token, 'other')('GET', '/secrets');
    expect([reply.status, reply.json.error.innererror.code]).toEqual([403, 'ForbiddenByRbac']);
  });

  test('a revoked assignment ends at once', async () => {
    const grant = await server.control<{ id: string }>('identity grant', {
      identity: stranger.objectId,
      role: 'Key Vault Secrets User',
      vault: 'dev',
    });
    const as = vaultCaller(server, strangers);
    expect((await as('GET', '/secrets/s')).status).toBe(200);
    await server.control('identity revoke', { id: grant.id });
    expect((await as('GET', '/secrets/s')).status).toBe(403);
  });
});

describe('403 with access policies', () => {
  const refusal = (verb: string, inner: string) =>
    errorBody(
      'Forbidden',
      `The user, group or application 'appid=${stranger.clientId};oid=${stranger.objectId};iss=https://sts.windows.net/${server.tenantId}/' does not have secrets ${verb} permission on key vault 'policies;location=local'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
      inner,
    );
  let as: VaultCaller;
  const allow = (...secrets: string[]) =>
    server.control('vault set-policy', { name: 'policies', identity: 'stranger', secrets });

  beforeAll(async () => {
    await server.control('vault create', { name: 'policies', accessPolicies: true });
    as = vaultCaller(server, strangers, 'policies');
  });

  test('AccessDenied for a caller in no policy, whatever roles it has', async () => {
    await server.control('identity grant', {
      identity: stranger.objectId,
      role: 'Key Vault Administrator',
      vault: 'policies',
    });
    const reply = await as('GET', '/secrets/s');
    expect([reply.status, reply.text]).toEqual([403, refusal('get', 'AccessDenied')]);
    expect(reply.headers['x-ms-keyvault-rbac-assignment-id']).toBeUndefined();
  });

  test('ForbiddenByPolicy names the verb that is missing', async () => {
    await allow('get', 'list');
    const missing: [string, string, string][] = [
      ['PUT', '/secrets/s', 'set'],
      ['PATCH', '/secrets/s', 'set'],
      ['DELETE', '/secrets/s', 'delete'],
      ['POST', '/secrets/s/backup', 'backup'],
      ['POST', '/secrets/restore', 'restore'],
      ['POST', '/deletedsecrets/s/recover', 'recover'],
      ['DELETE', '/deletedsecrets/s', 'purge'],
    ];
    for (const [method, path, verb] of missing) {
      const reply = await as(method, path, method === 'DELETE' ? undefined : {});
      expect([reply.status, reply.text]).toEqual([403, refusal(verb, 'ForbiddenByPolicy')]);
    }
    for (const path of ['/secrets', '/secrets/s/versions', '/deletedsecrets']) {
      const reply = await as('GET', path);
      expect(reply.status).toBe(200);
      expect(reply.headers['x-ms-keyvault-rbac-assignment-id']).toBeUndefined();
    }
    for (const path of ['/secrets/s', '/deletedsecrets/s']) expect((await as('GET', path)).status).toBe(404);
  });

  test("'all' leaves out purge", async () => {
    await allow('all');
    expect((await as('PUT', '/secrets/s', { value: 'v' })).status).toBe(200);
    expect((await as('DELETE', '/secrets/s')).status).toBe(200);
    expect((await as('DELETE', '/deletedsecrets/s')).text).toBe(refusal('purge', 'ForbiddenByPolicy'));
    await allow('all', 'purge');
    expect((await as('DELETE', '/deletedsecrets/s')).status).toBe(204);
  });

  test('a policy taken away ends at once, also over a restart; on a vault with roles there is none to set', async () => {
    await allow('all');
    await server.restart();
    expect((await as('GET', '/secrets')).status).toBe(200);
    await allow();
    expect((await as('GET', '/secrets')).json.error.innererror.code).toBe('AccessDenied');
    await server.restart();
    expect((await as('GET', '/secrets')).json.error.innererror.code).toBe('AccessDenied');
    const onRoles = server.control('vault set-policy', {
      name: 'dev',
      identity: 'stranger',
      secrets: ['get'],
    });
    await expect(onRoles).rejects.toThrow(/role assignments/);
    const unknown = server.control('vault set-policy', {
      name: 'policies',
      identity: 'stranger',
      secrets: ['fly'],
    });
    await expect(unknown).rejects.toThrow(/secrets/);
  });

  test('changes made at once are all kept', async () => {
    const identities = await Promise.all(['p1', 'p2', 'p3'].map((name) => makeIdentity(server, name)));
    await Promise.all(
      identities.map(({ objectId }) =>
        server.control('vault set-policy', { name: 'policies', identity: objectId, secrets: ['list'] }),
      ),
    );
    for (const identity of identities) {
      const caller = vaultCaller(server, await tokenFor(server, { identity }), 'policies');
      expect((await caller('GET', '/secrets')).status).toBe(200);
    }
  });
});

describe('403 by network', () => {
  const owner = () => server.clientId;
  const callerLine = async () => {
    const { identities } = await server.control<{ identities: { clientId?: string; objectId: string }[] }>(
      'identity list',
    );
    const objectId = identities.find((identity) => identity.clientId === owner())?.objectId;
    return `Caller: appid=${owner()};oid=${objectId};iss=https://sts.windows.net/${server.tenantId}/`;
  };

  test('ForbiddenByFirewall for an address outside the ranges, before any permission is looked at', async () => {
    await server.control('vault create', {
      name: 'fenced',
      defaultAction: 'Deny',
      ipRules: ['10.0.0.0/8', '::1'],
    });
    const reply = await vaultCaller(server, token, 'fenced')('GET', '/secrets');
    expect([reply.status, reply.text]).toEqual([
      403,
      errorBody(
        'Forbidden',
        `Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1\r\n${await callerLine()}\r\nVault: fenced;location=local`,
        'ForbiddenByFirewall',
      ),
    ]);
    const anonymous = await send(server, { host: 'fenced.vault.azure.net', path: '/secrets' });
    expect(anonymous.status).toBe(401);
  });

  test('a range that holds the address lets in; what callers say of themselves does not', async () => {
    await makeVault(server, 'near', { defaultAction: 'Deny', ipRules: ['127.0.0.0/30'] });
    await makeVault(server, 'far', { defaultAction: 'Deny', ipRules: ['127.0.0.2'] });
    expect((await vaultCaller(server, token, 'near')('GET', '/secrets')).status).toBe(200);
    const claimed = { 'X-Forwarded-For': '127.0.0.2', Forwarded: 'for=127.0.0.2', 'X-Real-IP': '127.0.0.2' };
    const reply = await vaultCaller(server, token, 'far')('GET', '/secrets', undefined, claimed);
    expect(reply.json.error.innererror.code).toBe('ForbiddenByFirewall');
    await expect(
      server.control('vault create', { name: 'wrong', defaultAction: 'Deny', ipRules: ['10.0.0.0/33'] }),
    ).rejects.toThrow(/10\.0\.0\.0\/33/);
  });

  test('ForbiddenByConnection where public access is off, whatever the ranges', async () => {
    await makeVault(server, 'closed', { publicNetworkAccess: 'Disabled', ipRules: ['127.0.0.1'] });
    const reply = await vaultCaller(server, token, 'closed')('GET', '/secrets/x_y');
    expect([reply.status, reply.text]).toEqual([
      403,
      errorBody(
        'Forbidden',
        `Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\n${await callerLine()}\r\nVault: closed;location=local`,
        'ForbiddenByConnection',
      ),
    ]);
  });
});

describe('hosts', () => {
  test.each([
    'dev.vault.azure.net.evil.test',
    'vault.azure.net',
    'evil.test',
    '127.0.0.1',
    'a.dev.vault.azure.net',
    'dev.vault.azure.net:99999',
    'user@dev.vault.azure.net',
    'dev.vault.azure.net#.evil.test',
    'dev_.vault.azure.net',
    '',
  ])('%j in the Host header is served by nobody here: 421, and nothing is built from it', async (name) => {
    const reply = await send(server, {
      host,
      path: '/secrets?api-version=7.4',
      headers: { Host: name, Authorization: `Bearer ${token}` },
    });
    expect([reply.status, reply.json.error.code]).toEqual([421, 'HostNotServed']);
    expect(reply.headers['www-authenticate']).toBeUndefined();
    if (name !== '') expect(reply.text).not.toContain(name);
  });

  test('a vault that does not exist: 404, to strangers as well', async () => {
    for (const headers of [{}, { Authorization: `Bearer ${token}` }]) {
      const reply = await send(server, {
        host: 'nosuch.vault.azure.net',
        path: '/secrets?api-version=7.4',
        headers,
      });
      expect([reply.status, reply.json.error.code]).toEqual([404, 'VaultNotFound']);
    }
  });
});

// Last, since it moves the clock beyond the life of the token.
test('401 for an expired token, though it was good and remembered', async () => {
  expect((await withAuthorization(`Bearer ${token}`)).status).toBe(200);
  clock.advance(26 * 60 * 60 * 1000);
  const reply = await withAuthorization(`Bearer ${token}`);
  expect([reply.status, reply.json.error.code]).toEqual([401, 'Unauthorized']);
  expect(reply.headers['www-authenticate']).toBe(challengeOf('azure'));
});

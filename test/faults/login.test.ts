/**
 * Proves that no token is issued while the storage cannot say whose a secret is: both endpoints answer the 503 with
 * OAuth's `temporarily_unavailable`, right secret or wrong, and issue tokens again when the storage is back.
 */
import { request } from 'node:http';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createFaults, fromMemory } from '../support/faults.ts';
import {
  makeIdentity,
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';

const faults = createFaults();
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ testOnlyFaults: faults.testOnlyFaults });
  // The right secret has been verified once, and is remembered.
  await tokenFor(server);
});
afterAll(() => server.close());
afterEach(() => {
  faults.readsFail = false;
  faults.newsIsStale = false;
  faults.writes = 'none';
});

function askToken(clientSecret: string, version = '/v2.0'): Promise<RawResponse> {
  const asked =
    version === '' ? { resource: 'https://vault.azure.net' } : { scope: 'https://vault.azure.net/.default' };
  return send(server, {
    host: 'login.microsoftonline.com',
    method: 'POST',
    path: `/${server.tenantId}/oauth2${version}/token`,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: server.clientId,
      client_secret: clientSecret,
      ...asked,
    }).toString(),
  });
}

function expectUnavailable(reply: {
  status: number;
  headers: Readonly<Record<string, unknown>>;
  text: string;
}) {
  expect(reply.status).toBe(503);
  expect(reply.headers['retry-after']).toBe('1');
  expect(JSON.parse(reply.text).error).toBe('temporarily_unavailable');
  expect(reply.text).not.toContain('access_token');
}

test.each(['', '/v2.0'])('the token endpoint %s while the database cannot be read', async (version) => {
  faults.readsFail = true;
  const replies = [await askToken(server.clientSecret, version), await askToken('wrong', version)];
  faults.readsFail = false;
  for (const reply of replies) expectUnavailable(reply);
  expect((await askToken('wrong', version)).status).toBe(401);
  expect((await askToken(server.clientSecret, version)).status).toBe(200);
});

test('managed identity while the database cannot be read', async () => {
  const path = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';
  const ask = () =>
    new Promise<{ status: number; headers: Record<string, unknown>; text: string }>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: server.localPort, path, headers: { Metadata: 'true' } };
      request(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
        );
      })
        .on('error', reject)
        .end();
    });
  expect((await ask()).status).toBe(200);
  faults.readsFail = true;
  const refused = await ask();
  faults.readsFail = false;
  expectUnavailable(refused);
  expect((await ask()).status).toBe(200);
});

test('a new signing key that cannot be written signs nothing; the old one goes on', async () => {
  faults.writes = 'refused';
  await expect(server.control('identity rotate-key')).rejects.toThrow(/not available/);
  const issued = await askToken(server.clientSecret);
  faults.writes = 'none';
  expect(issued.status).toBe(200);
  const keys = await send(server, { host: 'login.microsoftonline.com', path: '/common/discovery/v2.0/keys' });
  const kid = JSON.parse(Buffer.from(issued.json.access_token.split('.')[0], 'base64url').toString()).kid;
  expect(keys.json.keys.map((key: { kid: string }) => key.kid)).toContain(kid);
});

test('a client secret whose writing was refused is no secret, one whose answer was lost is nobody’s', async () => {
  const identity = await makeIdentity(server, 'faulty');
  for (const fault of ['refused', 'lost'] as const) {
    faults.writes = fault;
    await expect(server.control('identity secret', { identity: identity.objectId })).rejects.toThrow(
      /not available/,
    );
    faults.writes = 'none';
  }
  expect((await tokenFor(server, { identity })).length).toBeGreaterThan(0);
});

test('a revocation is never served from memory once its write has happened, answered or not', async () => {
  const identity = await makeIdentity(server, 'revoked', [{ role: 'Key Vault Administrator', vault: 'dev' }]);
  const call = vaultCaller(server, await tokenFor(server, { identity }));
  expect((await call('PUT', '/secrets/mine', { value: 'v' })).status).toBe(200);
  expect((await call('GET', '/secrets/mine')).status).toBe(200);
  const { grants } = await server.control<{ grants: { id: string }[] }>('identity grants', {
    identity: identity.objectId,
  });
  faults.writes = 'lost';
  await expect(server.control('identity revoke', { id: grants[0]?.id })).rejects.toThrow(/not available/);
  faults.writes = 'none';
  expect((await call('GET', '/secrets/mine')).status).toBe(403);
});

test('a token is verified from memory alone while the database is away, and a forged one is not', async () => {
  const token = await tokenFor(server);
  const call = vaultCaller(server, token);
  await call('PUT', '/secrets/kept', { value: 'kept' });
  const [head = '', claims = '', signature = ''] = token.split('.');
  const forged = [head, claims, `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`].join('.');
  const kept = await fromMemory(faults, () => call('GET', '/secrets/kept'));
  const refused = await vaultCaller(server, forged)('GET', '/secrets/kept');
  faults.newsIsStale = true;
  const unsure = await call('GET', '/secrets/kept');
  expect([kept.status, refused.status, unsure.status]).toEqual([200, 401, 503]);
});

/**
 * Tokens of an independent OpenID provider, certified and not of our making: accepted as they come once its issuer is
 * trusted, exchanged for our own where an application has registered them, and refused when they are for somebody else.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, type JWK } from 'jose';
import { Provider } from 'oidc-provider';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeIdentity, startTestServer, type TestServer, vaultCaller } from '../support/server.ts';
import { postForm, vaultResource } from '../support/sign-in.ts';

const workload = { client_id: 'workload', client_secret: 'known to the provider and its client alone' };
const vaults = 'api://vaults-of-this-house';
const exchange = 'api://AzureADTokenExchange';

let http: Server;
let answer: RequestListener;
let issuer: string;
let server: TestServer;

beforeAll(async () => {
  http = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  answer = await makeProvider('first');
  // The server's tenant is made at its first start, and the setting needs its id.
  const first = await startTestServer();
  await first.service.close();
  server = await startTestServer({
    settings: {
      data: first.folder,
      trustedIssuers: [{ issuer, tenantId: first.tenantId, audiences: [vaults] }],
    },
  });
  const { objectId } = await server.control<{ objectId: string }>('identity create', {
    name: 'workload of the provider',
    issuer,
    subject: workload.client_id,
  });
  await server.control('identity grant', {
    identity: objectId,
    role: 'Key Vault Secrets Officer',
    vault: 'dev',
  });
});
afterAll(async () => {
  await server.close();
  http.closeAllConnections();
  await new Promise((resolve) => http.close(resolve));
});

/** A provider with one key, which gives its client JWTs for whatever resource it names. */
async function makeProvider(kid: string): Promise<RequestListener> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const key: JWK = { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' };
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [{ ...workload, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    ttl: { ClientCredentials: () => 600 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  return provider.callback();
}

async function tokenFor(resource: string): Promise<string> {
  const reply = await fetch(`${issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({ ...workload, grant_type: 'client_credentials', resource }),
  });
  const { access_token: token } = (await reply.json()) as { access_token?: string };
  if (token === undefined) throw new Error(`the provider gave no token: ${reply.status}`);
  return token;
}

const readVault = (token: string) => vaultCaller(server, token)('GET', '/secrets');

test('a token as the provider makes it opens the vault that its subject may open', async () => {
  const token = await tokenFor(vaults);
  expect(decodeProtectedHeader(token)).toMatchObject({ typ: 'at+jwt', alg: 'RS256', kid: 'first' });
  expect(decodeJwt(token)).toMatchObject({ iss: issuer, aud: vaults, sub: workload.client_id });
  expect((await readVault(token)).status).toBe(200);
});

test('a token for another audience, and one that was changed, open nothing', async () => {
  expect((await readVault(await tokenFor('api://another-house'))).status).toBe(401);
  const [head, claims = '', signature] = (await tokenFor(vaults)).split('.');
  const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub: 'administrator' };
  const forged = `${head}.${Buffer.from(JSON.stringify(changed)).toString('base64url')}.${signature}`;
  expect((await readVault(forged)).status).toBe(401);
});

test('a token is exchanged for ours by the application that has registered its subject', async () => {
  const application = await makeIdentity(server, 'federated with the provider', [
    { role: 'Key Vault Secrets Officer', vault: 'dev' },
  ]);
  const ask = async (client_assertion: string) =>
    postForm(server, `/${server.tenantId}/oauth2/v2.0/token`, {
      grant_type: 'client_credentials',
      client_id: application.clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion,
      scope: `${vaultResource}/.default`,
    });
  expect((await ask(await tokenFor(exchange))).json).toMatchObject({ error_codes: [70021] });
  await server.control('identity add-federated', {
    identity: application.objectId,
    name: 'provider',
    issuer,
    subject: workload.client_id,
  });
  const { json } = await ask(await tokenFor(exchange));
  expect(decodeJwt(json.access_token)).toMatchObject({ appid: application.clientId, appidacr: '2' });
  expect((await readVault(json.access_token)).status).toBe(200);
  expect((await ask(await tokenFor(vaults))).json).toMatchObject({ error_codes: [70021] });
});

test('a token that another provider of the same name has signed is refused', async () => {
  const genuine = answer;
  answer = await makeProvider('second');
  const forged = await tokenFor(vaults);
  answer = genuine;
  expect((await readVault(forged)).status).toBe(401);
  expect((await readVault(await tokenFor(vaults))).status).toBe(200);
});

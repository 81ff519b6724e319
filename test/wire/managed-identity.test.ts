/**
 * Managed identity over the wire: the forms of the metadata service, App Service and Cloud Shell, whom each of them
 * serves and refuses, and that Azure's own credential works with the variables that `strongroom env` prints.
 */
import { request as httpRequest } from 'node:http';
import { ManagedIdentityCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { decodeJwt } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { clientVariables } from '../../src/cli/client-environment.ts';
import { auditedDuring } from '../support/audit-records.ts';
import { openPlain } from '../support/raw-connection.ts';
import { type RawResponse, startTestServer, type TestServer, vaultCaller } from '../support/server.ts';

const resource = 'https://vault.azure.net';
const imds = '/metadata/identity/oauth2/token';
const appService = '/msi/token';
const resourceId =
  '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/r/providers/Microsoft.ManagedIdentity/userAssignedIdentities/second';

let server: TestServer;
let identityHeader: string;
let system: { clientId: string; objectId: string };
let second: { clientId: string; objectId: string };

interface ClientEnvironment {
  readonly identityHeader: string;
  readonly proxy: string;
}

interface Listed {
  readonly identities: readonly { name: string; clientId: string; objectId: string }[];
}

beforeAll(async () => {
  server = await startTestServer();
  ({ identityHeader } = await server.control<ClientEnvironment>('client-environment'));
  const { identities } = await server.control<Listed>('identity list');
  const workload = identities.find((identity) => identity.name === 'workload');
  if (workload === undefined) throw new Error('there is no development identity');
  system = workload;
  second = await server.control('identity create', { name: 'second', managed: true, resourceId });
});
afterAll(() => server.close());

interface LocalCall {
  path: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  port?: number;
}

/** One request to the loopback listener. */
function local({ path, method = 'GET', headers = {}, body, port }: LocalCall): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const at = { host: '127.0.0.1', port: port ?? server.localPort, agent: false, method, path, headers };
    const sent = httpRequest(at, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers as Record<string, string>,
          text,
          json: text === '' ? undefined : JSON.parse(text),
        }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const query = (parameters: Record<string, string>) => `?${new URLSearchParams(parameters)}`;
const metadata = { Metadata: 'true' };

const askImds = (parameters: Record<string, string> = {}, headers: Record<string, string> = metadata) =>
  local({ path: `${imds}${query({ 'api-version': '2018-02-01', resource, ...parameters })}`, headers });

const askAppService = (parameters: Record<string, string> = {}, headers?: Record<string, string>) =>
  local({
    path: `${appService}${query({ 'api-version': '2019-08-01', resource, ...parameters })}`,
    headers: headers ?? { 'X-IDENTITY-HEADER': identityHeader },
  });

describe('the metadata service', () => {
  test('answers with strings, for the machine’s own identity, for a day', async () => {
    const { status, headers, json } = await askImds();
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
    expect(headers['cache-control']).toContain('no-store');
    expect(json).toEqual({
      access_token: expect.any(String),
      client_id: system.clientId,
      expires_in: '86400',
      expires_on: expect.stringMatching(/^\d{10}$/),
      ext_expires_in: '86399',
      not_before: expect.stringMatching(/^\d{10}$/),
      resource,
      token_type: 'Bearer',
    });
    expect(Number(json.expires_on) - Number(json.not_before)).toBe(86_400);
    expect(decodeJwt(json.access_token)).toMatchObject({
      aud: resource,
      oid: system.objectId,
      appid: system.clientId,
      appidacr: '2',
      idtyp: 'app',
      tid: server.tenantId,
      exp: Number(json.expires_on),
    });
    expect((await vaultCaller(server, json.access_token)('GET', '/secrets')).status).toBe(200);
  });

  test('is found with a slash at the end, and in any case', async () => {
    for (const path of [`${imds}/`, imds.toUpperCase()]) {
      const reply = await local({ path: `${path}${query({ resource })}`, headers: metadata });
      expect(reply.status, path).toBe(200);
    }
    expect((await local({ path: `${imds}/other${query({ resource })}`, headers: metadata })).status).toBe(
      404,
    );
  });

  test('gives nothing without the Metadata header, which pages in a browser cannot set', async () => {
    for (const headers of [{}, { Metadata: 'false' }, { Metadata: '' }]) {
      const reply = await askImds({}, headers as Record<string, string>);
      expect(reply.status).toBe(400);
      expect(reply.json).toEqual({
        error: 'invalid_request',
        error_description: 'Required metadata header not specified',
      });
    }
  });

  test('gives nothing to a request that was forwarded', async () => {
    const reply = await askImds({}, { ...metadata, 'X-Forwarded-For': '203.0.113.1' });
    expect(reply.status).toBe(400);
  });

  test('gives nothing under a name that a page in a browser can have', async () => {
    for (const Host of ['evil.example', `evil.example:${server.localPort}`, '127.0.0.1.evil.example']) {
      const reply = await askImds({}, { ...metadata, Host });
      expect(reply.status, Host).toBe(421);
      expect(reply.text).not.toContain('access_token');
    }
    for (const Host of ['localhost', '127.0.0.1:1', '[::1]:80', '169.254.169.254']) {
      expect((await askImds({}, { ...metadata, Host })).status, Host).toBe(200);
    }
  });

  test('selects an identity by client id, object id and resource id', async () => {
    const selectors: Record<string, string>[] = [
      { client_id: second.clientId },
      { client_id: second.clientId.toUpperCase() },
      { object_id: second.objectId },
      { principal_id: second.objectId },
      { msi_res_id: resourceId },
      { mi_res_id: resourceId.toUpperCase() },
    ];
    for (const selector of selectors) {
      const { json } = await askImds(selector);
      expect(json.client_id, JSON.stringify(selector)).toBe(second.clientId);
      expect(decodeJwt(json.access_token)).toMatchObject({ oid: second.objectId, xms_mirid: resourceId });
    }
  });

  test('refuses an identity that is not there, an application’s id, and two selectors', async () => {
    const refused: Record<string, string>[] = [
      { client_id: '22222222-2222-2222-2222-222222222222' },
      { object_id: 'nobody' },
      { msi_res_id: '/subscriptions/other' },
      { client_id: '' },
      // The service principal exists, but a machine must not become it.
      { client_id: server.clientId },
    ];
    for (const selector of refused) {
      const reply = await askImds(selector);
      expect(reply.status, JSON.stringify(selector)).toBe(400);
      expect(reply.json).toEqual({ error: 'invalid_request', error_description: 'Identity not found' });
    }
    expect((await askImds({ client_id: second.clientId, object_id: second.objectId })).status).toBe(400);
  });

  test('says in App Service’s own members too what it refuses there: its clients show no others', async () => {
    const asked = query({ resource, client_id: '22222222-2222-2222-2222-222222222222' });
    const refused = await local({
      path: `/msi/token${asked}`,
      headers: { 'X-IDENTITY-HEADER': identityHeader },
    });
    expect([refused.status, refused.json]).toEqual([
      400,
      {
        statusCode: 400,
        message: 'Identity not found',
        error: 'invalid_request',
        error_description: 'Identity not found',
      },
    ]);
  });

  test('refuses a resource that is missing or not served', async () => {
    const missing = await local({ path: imds, headers: metadata });
    expect(missing.status).toBe(400);
    expect(missing.json.error).toBe('invalid_request');
    expect(missing.json.error_description).toContain('resource');
    const unknown = await askImds({ resource: 'https://storage.azure.com/' });
    expect(unknown.status).toBe(400);
    expect(unknown.json.error).toBe('invalid_resource');
  });

  test('names the issuer of the resource’s family', async () => {
    const own = await askImds({ resource: `https://vault.strongroom.localhost:${server.port}` });
    expect(decodeJwt(own.json.access_token).iss).toBe(
      `https://login.strongroom.localhost:${server.port}/${server.tenantId}/`,
    );
    const azure = await askImds();
    expect(decodeJwt(azure.json.access_token).iss).toBe(`https://sts.windows.net/${server.tenantId}/`);
  });

  test('is reached at its own address through the proxy port, in absolute form', async () => {
    const ask = async (target: string, host = '169.254.169.254') => {
      const connection = await openPlain(server.localPort);
      connection.write(
        `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nMetadata: true\r\nConnection: close\r\n\r\n`,
      );
      return connection.ended();
    };
    const path = `${imds}?api-version=2018-02-01&resource=${resource}`;
    expect(await ask(`http://169.254.169.254${path}`)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    for (const target of [
      `http://169.254.169.254.evil.example${path}`,
      `http://169.254.169.254:81${path}`,
      `http://169.254.169.254@evil.example${path}`,
      `http://evil.example${path}`,
      `http://127.0.0.1:${server.port}${path}`,
    ]) {
      const reply = await ask(target, new URL(target).host);
      expect(reply, target).toMatch(/^HTTP\/1\.1 4\d\d /);
      expect(reply, target).not.toContain('access_token');
    }
  });

  test('answers no other method', async () => {
    for (const method of ['PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
      const reply = await local({ method, path: `${imds}${query({ resource })}`, headers: metadata });
      expect(reply.status, method).toBe(405);
      expect(reply.headers['access-control-allow-origin']).toBeUndefined();
    }
  });
});

describe('App Service', () => {
  test('answers the 2019 form to whoever knows the header', async () => {
    const { status, json } = await askAppService();
    expect(status).toBe(200);
    expect(json).toEqual({
      access_token: expect.any(String),
      client_id: system.clientId,
      expires_on: expect.stringMatching(/^\d{10}$/),
      resource,
      token_type: 'Bearer',
    });
    expect((await askAppService({ client_id: second.clientId })).json.client_id).toBe(second.clientId);
  });

  test('refuses a header that is missing or wrong, whatever else is said', async () => {
    const refused: Record<string, string>[] = [
      {},
      { ...metadata },
      { 'X-IDENTITY-HEADER': '' },
      { 'X-IDENTITY-HEADER': `${identityHeader}x` },
      { 'X-IDENTITY-HEADER': identityHeader.slice(0, -1) },
      { secret: 'wrong' },
      { 'X-IDENTITY-HEADER': 'wrong', secret: identityHeader },
    ];
    for (const headers of refused) {
      const reply = await askAppService({}, headers);
      expect(reply.status, JSON.stringify(headers)).toBe(401);
      expect(reply.text).not.toContain(identityHeader);
    }
  });

  test('answers the 2017 form, with its own header and its own form of date', async () => {
    const { status, json } = await askAppService(
      { 'api-version': '2017-09-01', clientid: second.clientId },
      { secret: identityHeader },
    );
    expect(status).toBe(200);
    expect(json.client_id).toBe(second.clientId);
    expect(json.expires_on).toMatch(/^\d\d\/\d\d\/\d{4} \d\d:\d\d:\d\d \+00:00$/);
    expect(Date.parse(json.expires_on) / 1000).toBe(decodeJwt(json.access_token).exp);
  });
});

describe('Cloud Shell', () => {
  const ask = (body: string, headers: Record<string, string> = metadata) =>
    local({
      path: appService,
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
      body,
    });

  test('answers a form', async () => {
    const { status, json } = await ask(`resource=${encodeURIComponent(resource)}`);
    expect(status).toBe(200);
    expect(json).toMatchObject({ client_id: system.clientId, resource, token_type: 'Bearer' });
  });

  test('needs the Metadata header, a resource, and a form of reasonable size', async () => {
    expect((await ask(`resource=${resource}`, {})).status).toBe(400);
    expect((await ask('')).status).toBe(400);
    expect((await ask(`resource=${resource}&x=${'x'.repeat(16 * 1024)}`)).status).toBe(413);
  });
});

test('every request is audited, refused ones too, without the header', async () => {
  const records = await auditedDuring(server, async () => {
    await askImds();
    await askImds({}, {});
    await askImds({ client_id: 'nobody' });
    await askAppService({}, { 'X-IDENTITY-HEADER': 'a-wrong-header' });
    await askImds({}, { ...metadata, Host: 'evil.example' });
    await local({ path: '/other' });
  });
  expect(records.map((record) => record.properties.httpStatusCode)).toEqual([200, 400, 400, 401, 421, 404]);
  for (const record of records) {
    expect(record.operationName).toBe('ManagedIdentityTokenIssue');
    expect(record.callerIpAddress).toBe('127.0.0.1');
  }
  expect(records[0]?.identity.claim).toMatchObject({ appid: system.clientId });
  expect(JSON.stringify(records)).not.toContain('a-wrong-header');
});

test('a server that is not for development gives tokens only to who knows the header', async () => {
  const strict = await startTestServer({ settings: { dev: false } });
  try {
    await strict.control('identity create', { name: 'machine', managed: true });
    const environment = await strict.control<ClientEnvironment>('client-environment');
    const port = strict.localPort;
    const path = `${imds}${query({ resource })}`;
    expect((await local({ port, path, headers: metadata })).status).toBe(401);
    const cloudShell = {
      port,
      path: appService,
      method: 'POST',
      headers: metadata,
      body: `resource=${resource}`,
    };
    expect((await local(cloudShell)).status).toBe(401);
    const headers = { 'X-IDENTITY-HEADER': environment.identityHeader };
    const known = await local({ port, path: `${appService}${query({ resource })}`, headers });
    expect(known.status).toBe(200);
    expect((await local({ port, path, headers: { ...headers, ...metadata } })).status).toBe(401);
  } finally {
    await strict.close();
  }
});

describe('ManagedIdentityCredential', () => {
  const names = ['IDENTITY_ENDPOINT', 'IDENTITY_HEADER', 'AZURE_POD_IDENTITY_AUTHORITY_HOST'];
  const before = new Map(names.map((name) => [name, process.env[name]]));
  afterEach(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  const way = () => ({ proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } });
  const roundTrip = async (name: string, credential: ManagedIdentityCredential) => {
    const client = new SecretClient('https://dev.vault.azure.net', credential, way());
    await client.setSecret(name, 'managed');
    expect((await client.getSecret(name)).value).toBe('managed');
  };

  test('works with the variables that `env --managed-identity` prints', async () => {
    const environment = await server.control<Parameters<typeof clientVariables>[0]>('client-environment');
    const variables = clientVariables(environment, 'managedIdentity', {});
    for (const name of names) {
      const value = variables[name];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    expect(process.env.IDENTITY_ENDPOINT).toBe(`http://127.0.0.1:${server.localPort}${appService}`);
    await roundTrip('by-app-service', new ManagedIdentityCredential());
  });

  test('works with the metadata service, for a named identity too', async () => {
    process.env.AZURE_POD_IDENTITY_AUTHORITY_HOST = `http://127.0.0.1:${server.localPort}`;
    await roundTrip('by-imds', new ManagedIdentityCredential());
    const { token } = await new ManagedIdentityCredential({ clientId: second.clientId }).getToken(resource);
    expect(decodeJwt(token).oid).toBe(second.objectId);
  });
});

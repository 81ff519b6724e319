/**
 * A server with two tenants: Graph shows and changes the tenant of the token and none other, and a token whose tenant is
 * not its principal's counts nowhere.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addTenant, manage, managementAudience, refusal, subscriptionOf } from '../support/management.ts';
import {
  type Identity,
  makeIdentity,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
} from '../support/server.ts';
import { azureLogin } from '../support/sign-in.ts';

const graphHost = 'graph.microsoft.com';
const graphResource = `https://${graphHost}`;

let server: TestServer;
let other: { tenantId: string; subscriptionId: string };
/** Of the first tenant; and one of the other, with a token from when it was of the first. */
let admin: string;
let moved: Identity & { objectId: string };
let stale: { graph: string; management: string };

beforeAll(async () => {
  server = await startTestServer();
  moved = await makeIdentity(server, 'moved');
  await server.control('identity directory-admin', { identity: moved.objectId });
  const token = (resource: string) => tokenFor(server, { identity: moved, resource });
  stale = { graph: await token(graphResource), management: await token(managementAudience) };
  other = await addTenant(server);
  await server.restart(async () => {
    const statement = 'UPDATE principals SET tenant_id = ? WHERE object_id = ?';
    expect(await server.alter(statement, other.tenantId, moved.objectId)).toBe(1);
  });
  admin = await tokenFor(server, { resource: graphResource });
});
afterAll(() => server.close());

function graph(token: string, method: string, path: string, body?: object) {
  return send(server, {
    host: graphHost,
    method,
    path: `/v1.0${path}`,
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function foreignToken(resource: string): Promise<string> {
  const reply = await send(server, {
    host: azureLogin,
    method: 'POST',
    path: `/${other.tenantId}/oauth2/v2.0/token`,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: moved.clientId,
      client_secret: moved.clientSecret,
      scope: `${resource}/.default`,
    }).toString(),
  });
  expect(reply.status).toBe(200);
  return reply.json.access_token;
}

describe('Graph', () => {
  test('refuses a token of a tenant that is not its principal’s, to the letter', async () => {
    for (const path of ['/organization', '/users', `/servicePrincipals/${moved.objectId}`, '/nothing']) {
      const reply = await graph(stale.graph, 'GET', path);
      const { error } = reply.json;
      expect([reply.status, error.code, error.message], path).toEqual([
        401,
        'InvalidAuthenticationToken',
        'Access token validation failure. Invalid token: its principal is disabled or deleted.',
      ]);
      expect(Object.keys(error.innerError).sort()).toEqual(['client-request-id', 'date', 'request-id']);
      expect(reply.headers['www-authenticate']).toBe(
        `Bearer realm="", authorization_uri="https://${azureLogin}/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`,
      );
    }
  });

  test('gives no token for a tenant that the application is not of', async () => {
    await expect(tokenFor(server, { identity: moved, resource: graphResource })).rejects.toThrow(
      'AADSTS7000215',
    );
  });

  test('shows and changes the tenant of the token alone', async () => {
    const foreign = await foreignToken(graphResource);
    const tenants = [];
    for (const token of [admin, foreign])
      tenants.push((await graph(token, 'GET', '/organization')).json.value[0].id);
    expect(tenants).toEqual([server.tenantId, other.tenantId]);
    const ids = async (token: string) =>
      (await graph(token, 'GET', '/servicePrincipals?$select=id')).json.value.map(
        ({ id }: { id: string }) => id,
      );
    expect(await ids(foreign)).toEqual([moved.objectId]);
    expect(await ids(admin)).not.toContain(moved.objectId);
    const made = await graph(foreign, 'POST', '/groups', {
      ...{ displayName: 'theirs', mailNickname: 'theirs', mailEnabled: false, securityEnabled: true },
    });
    expect(made.status).toBe(201);
    for (const [method, body] of [
      ['GET', undefined],
      ['PATCH', { displayName: 'ours' }],
      ['DELETE', undefined],
    ] as const) {
      const reply = await graph(admin, method, `/groups/${made.json.id}`, body);
      expect([reply.status, reply.json.error.code], method).toEqual([404, 'Request_ResourceNotFound']);
    }
    expect((await graph(foreign, 'GET', `/groups/${made.json.id}`)).json.displayName).toBe('theirs');
  });

  test('gives one identifier URI to an application of each tenant, and to one of several of a tenant', async () => {
    const foreign = await foreignToken(graphResource);
    const application = (n: number) => ({ displayName: `app ${n}`, identifierUris: ['api://wanted'] });
    const replies = await Promise.all(
      [1, 2, 3, 4].map((n) => graph(admin, 'POST', '/applications', application(n))),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([201, 400, 400, 400]);
    for (const { status, json } of replies)
      if (status === 400)
        expect(json.error).toMatchObject({
          code: 'Request_BadRequest',
          message: 'Another object with the same value for property identifierUris already exists.',
        });
    expect((await graph(foreign, 'POST', '/applications', application(5))).status).toBe(201);
  });
});

describe('the management plane', () => {
  test('refuses each tenant’s token on the other’s subscription, to the letter', async () => {
    const own = await tokenFor(server, { resource: managementAudience });
    const foreign = await foreignToken(managementAudience);
    const ours = await subscriptionOf(server);
    for (const [token, found, subscriptionId, wanted] of [
      [own, server.tenantId, other.subscriptionId, other.tenantId],
      [foreign, other.tenantId, ours, server.tenantId],
    ] as const) {
      const reply = await manage(server, ['GET', `/subscriptions/${subscriptionId}`], { token });
      expect([reply.status, reply.json]).toEqual([
        401,
        refusal(
          'InvalidAuthenticationTokenTenant',
          `The access token is from the wrong issuer 'https://sts.windows.net/${found}/'. It must match the tenant 'https://sts.windows.net/${wanted}/' associated with this subscription. Please use the authority (URL) 'https://${azureLogin}/${wanted}' to get the token. Note, if the subscription is transferred to another tenant there is no impact to the services, but information about new tenant could take time to propagate (up to an hour). If you just transferred your subscription and see this error message, please try back later.`,
        ),
      ]);
    }
  });

  test('refuses a token of a tenant that is not its principal’s', async () => {
    const token = stale.management;
    const ours = await subscriptionOf(server);
    for (const path of ['/subscriptions', `/subscriptions/${ours}`]) {
      const reply = await manage(server, ['GET', path], { token });
      expect([reply.status, reply.json.error.code], path).toEqual([401, 'InvalidAuthenticationToken']);
    }
  });
});

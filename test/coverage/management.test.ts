/**
 * Proves for every operation of the management plane, from the rows themselves: who has no token, a bad one, one of
 * another tenant or no permission is refused as Azure refuses, and each refusal and each success has exactly one audit
 * record. A new row fails here until it has its entry in `test/support/management-examples.ts`.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ManagementNouns, managementRoutes } from '../../src/api/management/routes.ts';
import { type AuditRecord, auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import {
  addTenant,
  type ManagementCaller,
  makeManager,
  manage,
  managementAudience,
  managementCaller,
  managementHost,
  subscriptionOf,
} from '../support/management.ts';
import { managementExamples, type Place } from '../support/management-examples.ts';
import {
  makeIdentity,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
} from '../support/server.ts';

/** Only the handlers touch the nouns, and none is called. */
const rows = managementRoutes({
  ...{ resources: {}, authorization: {}, keyVault: {}, managedIdentity: {} },
} as ManagementNouns);

const clock = manualClock(Date.now() - 3 * 86_400_000);
const tokens = { expired: '', vault: '', stranger: '', owner: '' };
let server: TestServer;
let owner: ManagementCaller;
let other: { tenantId: string; subscriptionId: string };
let place: Omit<Place, 'id'>;
let strangerId: string;

beforeAll(async () => {
  server = await startTestServer({ clock });
  other = await addTenant(server);
  tokens.expired = await tokenFor(server, { resource: managementAudience });
  clock.advance(2 * 86_400_000);
  tokens.vault = await tokenFor(server);
  const stranger = await makeIdentity(server, 'stranger');
  tokens.stranger = await tokenFor(server, { identity: stranger, resource: managementAudience });
  tokens.owner = (await makeManager(server, 'owner', { role: 'Owner', scope: '/' })).token;
  owner = managementCaller(server, tokens.owner);
  const { tenantId } = server;
  place = { subscriptionId: await subscriptionOf(server), tenantId };
  strangerId = stranger.objectId;
});
afterAll(() => server.close());

test('every operation that is served has its entry, and no entry is left over', () => {
  expect(rows.map((row) => row.operation).sort()).toEqual(Object.keys(managementExamples).sort());
});

/** The answer, and the one record of it. */
async function audited(
  make: () => Promise<RawResponse>,
): Promise<{ reply: RawResponse; record: AuditRecord }> {
  let reply: RawResponse | undefined;
  const records = await auditedDuring(server, async () => {
    reply = await make();
  });
  const [record] = records;
  if (reply === undefined || record === undefined) throw new Error('there is no audit record');
  expect(records).toHaveLength(1);
  return { reply, record };
}

const correlation = '00000000-1111-2222-3333-444444444444';
const headers = { 'x-ms-client-request-id': correlation };

/** A HEAD's answer has no body to look into; its record says the same. */
function codeOf(method: string, reply: RawResponse): string | undefined {
  return method === 'HEAD' ? undefined : reply.json.error.code;
}

describe.each(rows)('$operation', (row) => {
  const example = managementExamples[row.operation];
  if (example === undefined) return;
  const versions = {
    'Microsoft.KeyVault': '2026-04-01',
    'Microsoft.Authorization': '2022-04-01',
    'Microsoft.ManagedIdentity': '2024-11-30',
  };
  const version = versions[row.provider as keyof typeof versions] ?? '2021-04-01';
  const pathAt = (at: Place) => `${example.path(at)}?api-version=${version}`;
  const ask = (at: Place, token?: string, body?: object) =>
    manage(server, [row.method, pathAt(at)], { token, body, headers });
  const newPlace = (): Place => ({ ...place, id: randomUUID() });

  test.each([
    ['no token', undefined, 'AuthenticationFailed'],
    ['a token that is none', 'garbage', 'InvalidAuthenticationToken'],
    ['a token for another resource', 'vault', 'InvalidAuthenticationToken'],
    ['an expired token', 'expired', 'InvalidAuthenticationToken'],
  ] as const)('%s: 401 with a challenge, one record', async (_, kind, code) => {
    const token = kind === undefined || kind === 'garbage' ? kind : tokens[kind];
    const { reply, record } = await audited(() => ask(newPlace(), token));
    expect(reply.status).toBe(401);
    if (row.method !== 'HEAD') expect(reply.json.error.code).toBe(code);
    const isInSubscription = example.path(newPlace()).startsWith('/subscriptions/');
    const authority = `https://login.microsoftonline.com/${isInSubscription ? server.tenantId : 'common'}`;
    expect(reply.headers['www-authenticate']).toMatch(
      new RegExp(
        `^Bearer authorization_uri="${authority}", error="invalid_token", error_description="[^"]+"$`,
      ),
    );
    expect(reply.headers['x-ms-failure-cause']).toBe('gateway');
    expect(record).toMatchObject({
      operationName: 'Authentication',
      correlationId: correlation,
      identity: { claim: {} },
      properties: { httpStatusCode: 401 },
    });
    expect(Object.keys(record.identity.claim)).toEqual([]);
  });

  test('a token of another tenant: 401 that says which one is meant', async () => {
    const at = { ...newPlace(), subscriptionId: other.subscriptionId };
    if (!example.path(at).startsWith('/subscriptions/')) return;
    const { reply, record } = await audited(() => ask(at, tokens.owner));
    expect(reply.status).toBe(401);
    expect(codeOf(row.method, reply)).toBe(
      row.method === 'HEAD' ? undefined : 'InvalidAuthenticationTokenTenant',
    );
    expect(reply.headers['www-authenticate']).toContain(
      `authorization_uri="https://login.microsoftonline.com/${other.tenantId}"`,
    );
    expect(record).toMatchObject({
      operationName: 'Authentication',
      resultType: 'InvalidAuthenticationTokenTenant',
    });
  });

  test('no permission: 403, or nothing to see; one record that names the caller', async () => {
    const at = newPlace();
    await example.prepare?.(owner, at);
    const { reply, record } = await audited(() => ask(at, tokens.stranger, example.body?.(at)));
    expect(Object.values(record.identity.claim)).toContain(strangerId);
    expect(record).toMatchObject({ operationName: example.audit, correlationId: correlation });
    expect(reply.status).toBe(example.stranger ?? 403);
    if (example.stranger !== undefined || row.method === 'HEAD') return;
    expect(reply.json.error.code).toBe('AuthorizationFailed');
    expect(reply.json.error.message).toContain(`object id '${strangerId}'`);
    expect(record.resultType).toBe('AuthorizationFailed');
  });

  test('a success: one record of what was done where', async () => {
    const at = newPlace();
    await example.prepare?.(owner, at);
    const { reply, record } = await audited(() => ask(at, tokens.owner, example.body?.(at)));
    const status = example.status ?? 200;
    expect([reply.status, reply.json?.error !== undefined]).toEqual([status, status >= 400]);
    expect(reply.headers['x-ms-client-request-id']).toBe(correlation);
    expect(record).toMatchObject({
      operationName: example.audit,
      operationVersion: version,
      resultType: status < 400 ? 'Success' : expect.not.stringMatching(/^Success$/),
      correlationId: correlation,
      properties: {
        requestUri: `https://${managementHost}${pathAt(at)}`,
        httpStatusCode: status,
      },
    });
    const path = example.path(at).toUpperCase();
    expect(path.startsWith(record.resourceId)).toBe(true);
    expect(record.resourceId.startsWith('/SUBSCRIPTIONS/')).toBe(/^\/SUBSCRIPTIONS\/./.test(path));
    expect(JSON.stringify(record)).not.toContain(tokens.owner.slice(-40));
  });
});

/**
 * Walks every operation of Microsoft Graph on a live server: without a token, with one for another resource, as a
 * principal that is no administrator, and as one that was deleted; and looks for the record of each in the audit log.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GraphRoute } from '../../src/api/graph/route.ts';
import { graphRoutes } from '../../src/api/graph/routes.ts';
import { auditRecords } from '../support/audit-records.ts';
import { makeIdentity, send, startTestServer, type TestServer, tokenFor } from '../support/server.ts';

const resource = 'https://graph.microsoft.com';
let server: TestServer;
let reader: string;
let deleted: string;
let vaultToken: string;
beforeAll(async () => {
  server = await startTestServer();
  const identity = await makeIdentity(server, 'reader');
  reader = await tokenFor(server, { identity, resource });
  vaultToken = await tokenFor(server, { identity });
  const gone = await makeIdentity(server, 'gone');
  deleted = await tokenFor(server, { identity: gone, resource });
  await server.control('identity directory-admin', { identity: gone.objectId });
  await server.control('identity delete', { identity: gone.objectId });
});
afterAll(() => server.close());

const id = '00000000-0000-4000-8000-000000000000';

/** A request that the row matches, for an object that is not there, with nothing in its body. */
function request(route: GraphRoute, token: string | undefined, requestId: string) {
  const hasBody = route.method === 'POST' || route.method === 'PATCH';
  return send(server, {
    host: 'graph.microsoft.com',
    method: route.method,
    path: `/v1.0${route.path.replace(/:\w+/g, id)}`,
    headers: {
      'client-request-id': requestId,
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(hasBody ? { 'Content-Type': 'application/json' } : {}),
    },
    ...(hasBody ? { body: '{}' } : {}),
  });
}

const rows = graphRoutes.map((route, at) => [`${route.method} ${route.path}`, route, at] as const);

test('no two rows are for the same request', () => {
  expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
});

test.each(rows)('%s', async (_name, route, at) => {
  const without = await request(route, undefined, `without-${at}`);
  expect([without.status, without.headers['www-authenticate'] !== undefined]).toEqual([401, true]);
  expect((await request(route, vaultToken, `vault-${at}`)).status).toBe(401);
  expect([401, 403]).toContain((await request(route, deleted, `deleted-${at}`)).status);
  const read = await request(route, reader, `reader-${at}`);
  if (route.changes)
    expect([read.status, read.json.error.code]).toEqual([403, 'Authorization_RequestDenied']);
  else expect([200, 400, 404]).toContain(read.status);
});

test('each of these requests has its record', async () => {
  const records = new Map((await auditRecords(server)).map((record) => [record.correlationId, record]));
  for (const [name, route, at] of rows) {
    const record = records.get(`reader-${at}`);
    expect([name, record?.operationName]).toEqual([name, route.audit]);
    for (const who of ['without', 'vault', 'deleted']) expect(records.has(`${who}-${at}`)).toBe(true);
  }
});

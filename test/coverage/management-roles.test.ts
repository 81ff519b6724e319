/**
 * Proves that the built-in roles allow on the management plane what the golden file says, over the wire, and that the
 * file is what the code says.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AuthorizationDeps, authorizationRoutes } from '../../src/api/management/authorization.ts';
import { builtInRoles } from '../../src/authorization/built-in-roles.ts';
import { managementActions } from '../../src/authorization/management-actions.ts';
import { goldenManagementRoles, managementMatrix, parseMatrix } from '../support/role-matrix.ts';
import { makeIdentity, send, startTestServer, type TestServer, tokenFor } from '../support/server.ts';

const golden = readFileSync(goldenManagementRoles, 'utf8');
/** Only the handlers touch what they are built with, and none is called. */
const rows = authorizationRoutes({} as AuthorizationDeps);
const authorization = '/providers/Microsoft.Authorization';
const nothing = '00000000-0000-4000-8000-000000000000';
/** A role that a delegate with the one condition may give. */
const reader = '21090545-7ca7-4776-b22c-e363652d74d2';

/** A request for each action, below a resource group; what is wrong with it is found when the caller is let in. */
const requests: Readonly<Record<string, [string, string, object?]>> = {
  'Microsoft.Authorization/roleAssignments/read': ['GET', `${authorization}/roleAssignments`],
  'Microsoft.Authorization/roleAssignments/write': [
    'PUT',
    `${authorization}/roleAssignments/${nothing}`,
    {
      properties: {
        roleDefinitionId: `${authorization}/roleDefinitions/${reader}`,
        principalId: nothing,
      },
    },
  ],
  'Microsoft.Authorization/roleAssignments/delete': ['DELETE', `${authorization}/roleAssignments/${nothing}`],
  'Microsoft.Authorization/roleDefinitions/read': ['GET', `${authorization}/roleDefinitions`],
  'Microsoft.Authorization/roleDefinitions/write': [
    'PUT',
    `${authorization}/roleDefinitions/${nothing}`,
    { properties: { roleName: 'x', permissions: [{ actions: [] }], assignableScopes: [] } },
  ],
  'Microsoft.Authorization/roleDefinitions/delete': ['DELETE', `${authorization}/roleDefinitions/${nothing}`],
  'Microsoft.Authorization/permissions/read': ['GET', `${authorization}/permissions`],
  'Microsoft.Authorization/denyAssignments/read': ['GET', `${authorization}/denyAssignments`],
  'Microsoft.Authorization/classicAdministrators/read': ['GET', `${authorization}/classicAdministrators`],
  'Microsoft.Resources/subscriptions/resourceGroups/read': ['GET', ''],
};

let server: TestServer;
let group: string;

beforeAll(async () => {
  server = await startTestServer();
  const { subscriptionId } = await server.control<{ subscriptionId: string }>('status');
  group = `/subscriptions/${subscriptionId}/resourceGroups/default`;
});
afterAll(() => server.close());

test('the golden file says what the code does', () => {
  expect(golden, 'look at the difference; if it is wanted: node scripts/golden.ts').toBe(managementMatrix());
  expect([...parseMatrix(golden).keys()]).toEqual(builtInRoles.map(({ name }) => name));
});

test('every action of a row is in the file, and has its request here', () => {
  const actions = new Set(rows.flatMap(({ action }) => (action === undefined ? [] : [action])));
  for (const action of actions) {
    expect(managementActions).toContain(action);
    expect(Object.keys(requests)).toContain(action);
  }
  for (const action of Object.keys(requests)) expect(managementActions).toContain(action);
});

test.each([...parseMatrix(golden)])('%s, over the wire', async (role, verdicts) => {
  const identity = await makeIdentity(server, role, [{ role, scope: group }]);
  const token = await tokenFor(server, { identity, resource: 'https://management.azure.com' });
  for (const [action, [method, path, body]] of Object.entries(requests)) {
    const reply = await send(server, {
      ...{ host: 'management.azure.com', method, path: `${group}${path}?api-version=2022-04-01` },
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const seen = reply.status === 403 ? reply.json.error.code : reply.status < 500;
    expect([action, seen]).toEqual([action, verdicts.get(action) === true ? true : 'AuthorizationFailed']);
  }
});

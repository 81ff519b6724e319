/**
 * Proves for every built-in role, and for none, and for every operation of the management plane, over the wire: who is
 * let in is whom the golden file names, the file is what the code says, and the code is what Azure publishes. A new row
 * that leaves the question to its handler fails here until it says whom it lets in.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ManagementRoute } from '../../src/api/management/route.ts';
import { type ManagementNouns, managementRoutes } from '../../src/api/management/routes.ts';
import { builtInRoles } from '../../src/authorization/built-in-roles.ts';
import { managementActions } from '../../src/authorization/management-actions.ts';
import { connectTo } from '../support/cluster-client.ts';
import { managementAudience, managementHost, subscriptionOf } from '../support/management.ts';
import { managementExamples, type Place } from '../support/management-examples.ts';
import { goldenManagementRoles, managementMatrix, parseMatrix } from '../support/role-matrix.ts';
import { makeIdentity, startTestServer, type TestServer, tokenFor } from '../support/server.ts';
import published from '../vectors/azure-roles.json' with { type: 'json' };

const golden = readFileSync(goldenManagementRoles, 'utf8');
/** Only the handlers touch the nouns, and none is called. */
const rows = managementRoutes({
  ...{ resources: {}, authorization: {}, keyVault: {}, managedIdentity: {} },
} as ManagementNouns);

/** Rows without an action: what their handlers ask for, if it is one, or else who is let in. */
const inHandlers: Readonly<Record<string, string>> = {
  Tenants_List: 'anyone',
  Subscriptions_List: 'anyone',
  ManagementGroups_List: 'anyone',
  ResourceGroups_List: 'any role',
  Resources_List: 'any role',
  Resources_ListByResourceGroup: 'any role',
  Providers_ListAtTenantScope: 'anyone',
  Providers_GetAtTenantScope: 'anyone',
  Providers_Register: 'Microsoft.KeyVault/register/action',
  Providers_Unregister: 'Microsoft.KeyVault/unregister/action',
  OperationResults_Get: 'anyone',
  KeyVaultOperationResults_Get: 'anyone',
  RoleDefinitions_List: 'Microsoft.Authorization/roleDefinitions/read',
  RoleDefinitions_Get: 'Microsoft.Authorization/roleDefinitions/read',
  ProviderOperationsMetadata_List: 'anyone',
  ProviderOperationsMetadata_Get: 'anyone',
  Operations_List: 'anyone',
  ManagedIdentityOperations_List: 'anyone',
};

function asked({ operation, action }: ManagementRoute): string {
  return action ?? inHandlers[operation] ?? 'unknown';
}

test('the golden file says what the code does', () => {
  expect(golden, 'look at the difference; if it is wanted: node scripts/golden.ts').toBe(managementMatrix());
  expect([...parseMatrix(golden).keys()]).toEqual(builtInRoles.map(({ name }) => name));
});

test('every action that is asked for is in the file', () => {
  expect(rows.map(asked)).not.toContain('unknown');
  const actions = rows.map(asked).filter((action) => !action.startsWith('any'));
  expect(actions.filter((action) => !managementActions.includes(action))).toEqual([]);
});

test.each(published)('$name is what Azure publishes', ({ id, name, condition, ...lists }) => {
  const role = builtInRoles.find((each) => each.id === id);
  expect(role?.name).toBe(name);
  for (const [kind, list] of Object.entries(lists))
    expect(new Set(role?.[kind as keyof typeof lists])).toEqual(new Set(list));
  const spaceless = (text: string | undefined) => text?.replace(/\s/g, '');
  expect(spaceless(role?.condition)).toBe(spaceless(condition));
});

describe('over the wire', () => {
  let server: TestServer;
  let place: Place;
  beforeAll(async () => {
    server = await startTestServer();
    const id = '00000000-0000-4000-8000-000000000000';
    place = { subscriptionId: await subscriptionOf(server), tenantId: server.tenantId, id };
  });
  afterAll(() => server.close());

  test.concurrent.each(['no role', ...builtInRoles.map(({ name }) => name)])('%s', async (name) => {
    const grants = name === 'no role' ? [] : [{ role: name, scope: '/' }];
    const identity = await makeIdentity(server, name, grants);
    const token = await tokenFor(server, { identity, resource: managementAudience });
    const connection = connectTo(server, managementHost, { Authorization: `Bearer ${token}` });
    const verdicts = parseMatrix(golden).get(name);
    const seen: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const row of rows) {
      const reply = await connection.send(row.method, pathOf(row, place), bodyOf(row));
      seen[row.operation] = verdictOf(row, reply);
      const isAllowed = name !== 'no role' && (asked(row) === 'any role' || verdicts?.get(asked(row)));
      expected[row.operation] = isAllowed === true || asked(row) === 'anyone' ? 'allowed' : 'refused';
    }
    connection.close();
    expect(seen).toEqual(expected);
  });
});

const newest = {
  'Microsoft.KeyVault': '2026-04-01',
  'Microsoft.Authorization': '2022-04-01',
  'Microsoft.ManagedIdentity': '2024-11-30',
};

/** What a write is about is not there, and what it writes is missing: that is found when the caller has been let in. */
function pathOf({ operation, method, provider }: ManagementRoute, place: Place): string {
  const path = managementExamples[operation]?.path(place) ?? operation;
  const isHarmless = method === 'GET' || method === 'HEAD' || provider === 'Microsoft.Authorization';
  const at = isHarmless ? path : path.replace('/resourceGroups/default', '/resourceGroups/none');
  return `${at}?api-version=${newest[provider as keyof typeof newest] ?? '2021-04-01'}`;
}

/** A role to nobody; one that a delegate under the one condition may give. */
function bodyOf({ operation }: ManagementRoute): object | undefined {
  if (operation !== 'RoleAssignments_Create') return undefined;
  const reader = '21090545-7ca7-4776-b22c-e363652d74d2';
  const roleDefinitionId = `/providers/Microsoft.Authorization/roleDefinitions/${reader}`;
  return { properties: { roleDefinitionId, principalId: '00000000-0000-4000-8000-000000000001' } };
}

/** `refused` is a refusal for want of permission and nothing else. */
function verdictOf(
  { method }: ManagementRoute,
  reply: { status: number; json: { error?: { code: string } } },
) {
  const { status, json } = reply;
  const isRefusal = status === 403 && (method === 'HEAD' || json.error?.code === 'AuthorizationFailed');
  if (isRefusal) return 'refused';
  return status < 500 && status !== 401 && status !== 403 ? 'allowed' : `${status} ${json.error?.code}`;
}

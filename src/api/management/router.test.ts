import { describe, expect, test } from 'vitest';
import { parsePath } from './path.ts';
import { managementRoute } from './route.ts';
import { createManagementRouter } from './router.ts';

const id = '00000000-0000-4000-8000-000000000001';
const group = `/subscriptions/${id}/resourceGroups/rg`;
const vault = `${group}/providers/Microsoft.KeyVault/vaults/kv`;

function row(method: 'GET' | 'HEAD' | 'PUT', path: string) {
  const names = { operation: `${method} ${path}`, audit: 'Test', provider: 'Microsoft.Resources' };
  return managementRoute({
    ...names,
    method,
    path,
    action: undefined,
    handle: async () => ({ status: 200, body: {} }),
  });
}

const assignments = '{scope}/providers/Microsoft.Authorization/roleAssignments/:name';
const vaults = '/subscriptions/:s/resourceGroups/:g/providers/Microsoft.KeyVault/vaults/:v';
const router = createManagementRouter([
  row('GET', assignments),
  row('PUT', assignments),
  row('GET', vaults),
  row('GET', '/subscriptions/:s/resourceGroups/:g/providers/:n/:t/:r/x'),
  row('HEAD', '/subscriptions/:s/resourceGroups/:g/providers/:n/:t/:r'),
]);
const find = (path: string, method = 'GET') => router.find(method, parsePath(path));

describe('a row below any scope', () => {
  test.each([
    ['', '/'],
    [`/subscriptions/${id}`, `/subscriptions/${id}`],
    [group, group],
    [vault, vault],
    [`${vault}/secrets/x`, `${vault}/secrets/x`],
    [`/providers/Microsoft.Management/managementGroups/${id}`, undefined],
  ])("is found at '%s'", (scope, asked) => {
    const found = find(`${scope}/PROVIDERS/microsoft.authorization/roleassignments/A`);
    expect(found.params).toMatchObject({ scope, name: 'A' });
    expect(found.below).toBe(scope);
    expect(found.scope).toBe(asked ?? scope);
  });

  test('is not found at what is no id, or a part of one, or an id within an id', () => {
    for (const scope of [
      '/subscriptions',
      '/subscriptions/no-guid',
      `/subscriptions/${id}/resourceGroups`,
      `${group}/providers/Microsoft.KeyVault`,
      `${group}/providers/Microsoft.KeyVault/vaults`,
      `${vault}/providers/Microsoft.Authorization/roleAssignments/x`,
      `${vault}/providers/Other.Provider/a/b`,
      `/tenants/${id}`,
    ]) {
      const find404 = () => find(`${scope}/providers/Microsoft.Authorization/roleAssignments/x`);
      expect(find404, scope).toThrow(expect.objectContaining({ kind: expect.stringMatching(/Not/) }));
    }
  });

  test('is that of the last extension in the path', () => {
    const path = `${vault}/providers/Microsoft.Authorization/roleAssignments/providers`;
    expect(find(path).params).toMatchObject({ scope: vault, name: 'providers' });
  });
});

test('names keep their case, and slashes may be doubled', () => {
  const found = find(`/SUBSCRIPTIONS/${id}//resourcegroups/RG/providers/microsoft.keyvault//VAULTS/Kv/`);
  expect(found.params).toEqual({ s: id, g: 'RG', v: 'Kv' });
});

test('what is not there is told from what has other methods', () => {
  const refusal = (path: string, method: string) => {
    try {
      find(path, method);
    } catch (error) {
      return error;
    }
    return undefined;
  };
  expect(refusal(vault, 'PUT')).toMatchObject({ kind: 'methodNotAllowed' });
  expect(refusal(`${vault}/providers/Microsoft.Authorization/roleAssignments/x`, 'POST')).toMatchObject({
    kind: 'methodNotAllowed',
  });
  expect(refusal(`${group}/providers/Microsoft.Compute/disks/d`, 'GET')).toMatchObject({
    kind: 'resourceTypeNotFound',
  });
  expect(refusal('/nothing', 'GET')).toMatchObject({ kind: 'notFound' });
});

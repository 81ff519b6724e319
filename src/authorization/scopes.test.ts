/** Proves what a scope is, how far down it reaches, and which scopes are above it. */
import { describe, expect, it } from 'vitest';
import { keysAbove, parseScope, scopeCovers, scopeKey } from './scopes.ts';

const vault = '/subscriptions/s1/resourceGroups/Group/providers/Microsoft.KeyVault/vaults/kv1';
const subscription = '/subscriptions/50000000-0000-4000-8000-000000000000';
const tenantId = '10000000-0000-4000-8000-000000000000';

it.each([
  '/',
  '/subscriptions/s1',
  '/subscriptions/s1/',
  '/SUBSCRIPTIONS/S1/resourcegroups/GROUP',
  vault,
  `${vault}/`,
  `${vault}/secrets`,
  `${vault}/secrets/name`,
  `${vault.toUpperCase()}/Secrets/NAME`,
])('%s covers a secret below it, and is among the keys above it', (scope) => {
  expect(scopeCovers(scope, `${vault}/secrets/Name`)).toBe(true);
  expect(keysAbove(`${vault}/secrets/Name`, tenantId)).toContain(scopeKey(scope));
});

it.each([
  '',
  '//',
  ' /',
  's',
  'subscriptions/s1',
  '/subscriptions/s',
  '/subscriptions/s10',
  '/subscriptions/s1/resourceGroups/Grou',
  vault.slice(0, -1),
  `${vault}0`,
  `${vault}/secrets/nam`,
  `${vault}/secrets/name2`,
  `${vault}/secrets/name/versions`,
  `${vault}/keys/name`,
  `${vault}//secrets/name`,
])('%j does not', (scope) => {
  expect(scopeCovers(scope, `${vault}/secrets/name`)).toBe(false);
  expect(keysAbove(`${vault}/secrets/name`, tenantId)).not.toContain(scopeKey(scope));
});

it('a secret’s scope does not reach up to its vault', () => {
  expect(scopeCovers(`${vault}/secrets/name`, vault)).toBe(false);
});

it('the root management group is above the subscriptions of its tenant, and another group is not', () => {
  const group = `/providers/Microsoft.Management/managementGroups/${tenantId}`;
  expect(keysAbove(subscription, tenantId)).toEqual([
    '/',
    group.toLowerCase(),
    '/subscriptions',
    subscription,
  ]);
  expect(keysAbove(subscription, 'another')).not.toContain(group.toLowerCase());
  expect(keysAbove('/', tenantId)).toEqual(['/']);
  expect(keysAbove('not a scope', tenantId)).toEqual([]);
  expect(keysAbove('', tenantId)).toEqual([]);
});

describe('parsing', () => {
  it('tells the kinds apart', () => {
    const group = `${subscription}/resourcegroups/My.Group_(1)-`;
    expect(parseScope('/')?.kind).toBe('root');
    expect(parseScope('/providers/microsoft.management/managementgroups/mg-1')).toEqual({
      kind: 'managementGroup',
      id: 'mg-1',
    });
    expect(parseScope(subscription.toUpperCase())?.kind).toBe('subscription');
    expect(parseScope(group)).toMatchObject({ kind: 'resourceGroup', resourceGroup: 'My.Group_(1)-' });
    expect(parseScope(`${group}/providers/Microsoft.KeyVault/vaults/kv1/secrets/a`)).toMatchObject({
      kind: 'resource',
      provider: 'Microsoft.KeyVault',
      path: ['vaults', 'kv1', 'secrets', 'a'],
    });
  });

  it.each([
    '',
    '//',
    '/subscriptions',
    '/subscriptions/s1',
    `${subscription}/`,
    `${subscription}/resourceGroups`,
    `${subscription}/resourceGroups/a.`,
    `${subscription}/resourceGroups/..`,
    `${subscription}/groups/a`,
    `${subscription}/resourceGroups/a/providers/Microsoft.KeyVault`,
    `${subscription}/resourceGroups/a/providers/Microsoft.KeyVault/vaults`,
    `${subscription}/resourceGroups/a/providers/Microsoft.KeyVault/vaults/../x`,
    `${subscription}/resourceGroups/a/providers/Microsoft.KeyVault/vaults/kv%31`,
    `${subscription}/resourceGroups/a/providers/Microsoft.KeyVault/vaults/kv1/secrets`,
    `${subscription}/resourceGroups/a/providers/Microsoft.KeyVault/vaults/\u212Av1`,
    `${subscription}/resourceGroups/a/provider/Microsoft.KeyVault/vaults/kv1`,
    '/providers/Microsoft.Management/managementGroups',
    '/providers/Microsoft.Management/managementGroups/a/b',
    '/providers/Microsoft.KeyVault/vaults/kv1',
    `${subscription}/resourceGroups/a/providers/P/t/${'a/b/'.repeat(300)}c`,
  ])('%j is none', (text) => {
    expect(parseScope(text)).toBeUndefined();
  });
});

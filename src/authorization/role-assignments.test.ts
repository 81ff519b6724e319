/** Proves how far down a scope reaches. */
import { expect, it } from 'vitest';
import { scopeCovers } from './role-assignments.ts';

const vault = '/subscriptions/s1/resourceGroups/Group/providers/Microsoft.KeyVault/vaults/kv1';

it.each([
  '/',
  '/subscriptions/s1',
  '/subscriptions/s1/',
  '/SUBSCRIPTIONS/S1/resourcegroups/GROUP',
  vault,
  `${vault}/`,
  `${vault}/secrets/name`,
  `${vault.toUpperCase()}/Secrets/NAME`,
])('%s covers a secret below it', (scope) => {
  expect(scopeCovers(scope, `${vault}/secrets/Name`)).toBe(true);
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
});

it('a secret’s scope does not reach up to its vault', () => {
  expect(scopeCovers(`${vault}/secrets/name`, vault)).toBe(false);
});

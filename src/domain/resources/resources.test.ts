/** Proves what locks refuse, how tags change, and what a resource group may be. */
import { describe, expect, test } from 'vitest';
import { guid } from '../../../test/contracts/rows.ts';
import type { Lock, LockLevel, LockStore } from './lock-store.ts';
import { createLocks } from './locks.ts';
import { assertTags, changeTags } from './tags.ts';

const subscription = `/subscriptions/${guid(1)}`;
const group = `${subscription}/resourceGroups/rg`;
const vault = `${group}/providers/Microsoft.KeyVault/vaults/kv1`;

function locksOn(scope: string, level: LockLevel) {
  const lock: Lock = { scope, name: 'l', level, notes: undefined, owners: [] };
  const store = { ofSubscription: async (id: string) => (id === guid(1) ? [lock] : []) };
  return createLocks(store as unknown as LockStore);
}

describe('a lock', () => {
  test.each([
    ['CanNotDelete', group, 'delete', vault, true],
    ['CanNotDelete', group, 'delete', group, true],
    ['CanNotDelete', vault, 'delete', group, true],
    ['CanNotDelete', vault, 'delete', subscription, true],
    ['CanNotDelete', group, 'write', vault, false],
    ['CanNotDelete', `${group}1`, 'delete', group, false],
    ['CanNotDelete', vault, 'delete', `${vault}0`, false],
    ['ReadOnly', subscription, 'write', vault, true],
    ['ReadOnly', vault.toUpperCase(), 'write', `${vault}/secrets/s`, true],
    ['ReadOnly', vault, 'write', group, false],
    ['ReadOnly', vault, 'delete', vault, true],
    ['ReadOnly', subscription, 'write', `${subscription}/providers/Microsoft.KeyVault/locations/l/x/y`, true],
    ['ReadOnly', subscription, 'write', `/subscriptions/${guid(2)}`, false],
    ['ReadOnly', subscription, 'write', '/', false],
  ] as const)('%s on %s refuses %s of %s: %s', async (level, on, operation, scope, refused) => {
    const asked = locksOn(on, level).assertAllow(operation, scope);
    if (!refused) return expect(asked).resolves.toBeUndefined();
    return expect(asked).rejects.toMatchObject({
      kind: 'scopeLocked',
      message: `The scope '${scope}' cannot perform ${operation} operation because following scope(s) are locked: '${on}'. Please remove the lock and try again.`,
    });
  });

  test.each(['/', '', '/providers/Microsoft.Management/managementGroups/x', `${group}/x`])(
    "cannot be on '%s'",
    async (scope) => {
      const lock = { scope, name: 'l', level: 'ReadOnly', notes: undefined, owners: [] } as const;
      await expect(locksOn(group, 'ReadOnly').put(lock)).rejects.toMatchObject({
        kind: 'invalidRequestContent',
      });
    },
  );
});

describe('tags', () => {
  test('are merged, replaced and taken away by name without regard to case', () => {
    const tags = { Env: 'dev', owner: 'me' };
    expect(changeTags(tags, 'Merge', { env: 'prod' })).toEqual({ owner: 'me', env: 'prod' });
    expect(changeTags(tags, 'Replace', { x: 'y' })).toEqual({ x: 'y' });
    expect(changeTags(tags, 'Delete', { ENV: 'dev', owner: 'other' })).toEqual({ owner: 'me' });
    expect(changeTags(tags, 'Merge', { constructor: 'c' })).toEqual({ ...tags, constructor: 'c' });
  });

  test.each([
    ['too many', Object.fromEntries(Array.from({ length: 51 }, (_, n) => [`t${n}`, '']))],
    ['no name', { '': 'x' }],
    ['too long a name', { ['n'.repeat(513)]: '' }],
    ['too long a value', { n: 'v'.repeat(257) }],
    ['a slash', { 'a/b': '' }],
    ['the same name twice', { a: '', A: '' }],
    ['a null', { a: '\0' }],
    ['half a pair', { a: '\ud800' }],
  ])('with %s are refused', (_, tags) => {
    expect(() => assertTags(tags)).toThrow(expect.objectContaining({ kind: 'invalidRequestContent' }));
  });

  test('at the limits are taken', () => {
    const tags = Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`t${n}`, 'v'.repeat(256)]));
    expect(() => assertTags(tags)).not.toThrow();
    expect(() => assertTags({ ['n'.repeat(512)]: '' })).not.toThrow();
  });
});

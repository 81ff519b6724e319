import { describe, expect, test } from 'vitest';
import { joinPath, parsePath, placeOf, scopeOf } from './path.ts';

describe('a path', () => {
  test('has no empty segments, whatever slashes it has', () => {
    expect(parsePath('//subscriptions///s/resourceGroups/rg//')).toEqual([
      'subscriptions',
      's',
      'resourceGroups',
      'rg',
    ]);
  });

  test.each([
    '/%2Fsubscriptions%2Fs%2FresourceGroups%2Frg/providers/P/locks/l',
    '/subscriptions%2fs%2fresourceGroups%2frg/providers/P/locks/l',
    '//%2F%2Fsubscriptions%2Fs/resourceGroups/rg/providers/P/locks/l',
  ])('may begin with an id that is encoded as a whole: %s', (path) => {
    expect(parsePath(path)).toEqual(parsePath('/subscriptions/s/resourceGroups/rg/providers/P/locks/l'));
  });

  test.each([
    ['two dots in an id that is encoded as a whole', '/%2Fsubscriptions%2Fs%2F..%2Fx'],
    ['doubled encoding of a whole id', '/%252Fsubscriptions%252Fs'],
    ['an encoded slash after a whole id', '/%2Fsubscriptions%2Fs/resourceGroups/a%2Fb'],
    ['an encoded slash', '/subscriptions/s%2Fx'],
    ['one in lower case', '/subscriptions/s%2fresourceGroups/rg'],
    ['an encoded backslash', '/subscriptions/s%5Cx'],
    ['a backslash', '/subscriptions/s\\x'],
    ['doubled encoding', '/subscriptions/s%252Fx'],
    ['damaged encoding', '/subscriptions/%zz'],
    ['encoding of no UTF-8', '/subscriptions/%ff'],
    ['a null', '/subscriptions/s%00'],
    ['a line end', '/subscriptions/s%0d%0a'],
    ['a question mark', '/subscriptions/s%3Fapi-version=1'],
    ['a dot', '/subscriptions/./s'],
    ['two dots', '/subscriptions/s/../../tenants'],
    ['two encoded dots', '/subscriptions/s/%2e%2E/x'],
    ['too long a segment', `/subscriptions/${'s'.repeat(513)}`],
    ['too much of everything', `/${'s/'.repeat(3000)}`],
  ])('with %s is refused', (_, path) => {
    expect(() => parsePath(path)).toThrow(expect.objectContaining({ kind: 'invalidRequestUri' }));
  });

  test('is the same after it is put together', () => {
    const segments = ['a b', 'ü', '(x)', '{scope}', 'c:d'];
    expect(parsePath(joinPath(segments))).toEqual(segments);
  });
});

const vault = '/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv';

describe('the scope of an operation is the longest id that its path begins with', () => {
  test.each([
    ['/', '/'],
    ['/tenants', '/'],
    ['/subscriptions', '/'],
    ['/subscriptions/s', '/subscriptions/s'],
    ['/subscriptions/s/resources', '/subscriptions/s'],
    ['/subscriptions/s/resourceGroups', '/subscriptions/s'],
    ['/subscriptions/s/RESOURCEGROUPS/rg', '/subscriptions/s/RESOURCEGROUPS/rg'],
    ['/subscriptions/s/resourceGroups/rg/resources', '/subscriptions/s/resourceGroups/rg'],
    ['/subscriptions/s/providers/Microsoft.KeyVault', '/subscriptions/s'],
    ['/subscriptions/s/providers/Microsoft.KeyVault/vaults', '/subscriptions/s'],
    ['/subscriptions/s/providers/Microsoft.KeyVault/register', '/subscriptions/s'],
    [vault, vault],
    [`${vault}/secrets`, vault],
    [`${vault}/secrets/x`, `${vault}/secrets/x`],
    [`${vault}/keys/k/versions`, `${vault}/keys/k`],
    [
      '/subscriptions/s/providers/Microsoft.KeyVault/locations/l/deletedVaults/kv/purge',
      '/subscriptions/s/providers/Microsoft.KeyVault/locations/l/deletedVaults/kv',
    ],
    [
      '/providers/microsoft.management/managementgroups/g/x',
      '/providers/microsoft.management/managementgroups/g',
    ],
    ['/providers/Microsoft.Management/managementGroups', '/'],
  ])('%s: %s', (path, scope) => {
    expect(scopeOf(parsePath(path))).toBe(scope);
  });
});

test('a group is told from what is in it', () => {
  const place = (path: string) => placeOf(parsePath(path));
  expect(place('/tenants').subscriptionId).toBeUndefined();
  expect(place('/SUBSCRIPTIONS/s').subscriptionId).toBe('s');
  expect(place('/subscriptions/s/resourcegroups/rg').isInGroup).toBe(false);
  expect(place('/subscriptions/s/resourcegroups/rg/resources').isInGroup).toBe(true);
  expect(place('/subscriptions/s/providers/resourceGroups/rg').resourceGroup).toBeUndefined();
});

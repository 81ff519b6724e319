/** Proves which names are valid, and in what form they compare. */
import { describe, expect, it } from 'vitest';
import { isGuid, isObjectName, isResourceGroupName, isVaultName, objectKey } from './names.ts';

describe('names', () => {
  it.each(['a', 'A-1', '0', '-', '-a-', 'a'.repeat(127)])('%s names an object', (name) => {
    expect(isObjectName(name)).toBe(true);
  });

  it.each(['', 'a'.repeat(128), 'a_b', 'a.b', 'a b', 'a/b', 'ä', 'a\n', 'a\0', '\u212a', '%61'])(
    '%j does not',
    (name) => {
      expect(isObjectName(name)).toBe(false);
    },
  );

  it.each(['abc', 'a-b', 'A1b', `a${'b'.repeat(23)}`, 'a-b-c-d'])('%s names a vault', (name) => {
    expect(isVaultName(name)).toBe(true);
  });

  it.each(['', 'ab', `a${'b'.repeat(24)}`, '1ab', '-ab', 'ab-', 'a--b', 'a_b', 'a.b', 'abc\n', 'äbc'])(
    '%j does not',
    (name) => {
      expect(isVaultName(name)).toBe(false);
    },
  );

  it('resource groups and GUIDs have their forms', () => {
    for (const name of ['a', 'a.b', '(x)_-', 'a'.repeat(90)]) expect(isResourceGroupName(name)).toBe(true);
    for (const name of ['', 'a.', '.', 'a b', 'a/b', 'a'.repeat(91)])
      expect(isResourceGroupName(name)).toBe(false);
    expect(isGuid('0123abCD-0000-4000-8000-000000000000')).toBe(true);
    for (const id of [
      '',
      '{0123abcd-0000-4000-8000-000000000000}',
      '0123abcd000040008000000000000000',
      'x',
    ]) {
      expect(isGuid(id)).toBe(false);
    }
  });

  it('of an object compare without regard to case', () => {
    expect(objectKey('aB-1')).toBe(objectKey('Ab-1'));
    expect(objectKey('a-1')).not.toBe(objectKey('a1'));
  });

  it('are checked in a time that grows with their length only', () => {
    const long = `a${'-a'.repeat(50_000)}-`;
    for (const check of [isVaultName, isObjectName, isResourceGroupName, isGuid])
      expect(check(long)).toBe(false);
  });
});

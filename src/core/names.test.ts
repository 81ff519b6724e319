/** Proves which names are valid, and in what form they compare. */
import { describe, expect, it } from 'vitest';
import { authorityKey, isGuid, isObjectName, isResourceGroupName, isVaultName, objectKey } from './names.ts';

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

  it('of attestation authorities compare by what they address', () => {
    const same = ['https://a.example.com', 'HTTPS://A.Example.COM/', 'https://a.example.com:443'];
    for (const text of same) expect(authorityKey(text)).toBe('https://a.example.com');
    expect(authorityKey('https://a.example.com:8443/Tenant/')).toBe('https://a.example.com:8443/Tenant');
    expect(authorityKey('https://a.example.com/x/../y')).toBe('https://a.example.com/y');
    for (const text of [
      ...['', 'https://', 'http://a', 'a.example.com', '//a', 'file:///etc', 'https:a', 'https://a b'],
      ...[
        'https://user@a',
        'https://user:pass@a',
        'https://a?',
        'https://a/?b',
        'https://a#',
        'https://a/#b',
      ],
      ...[
        'https://a\\@b',
        'https://a\n',
        ' https://a',
        'https://a\tb',
        'https://ä.example.com',
        'https://[',
        'https://a:x',
      ],
      `https://a/${'b'.repeat(1024)}`,
    ]) {
      expect(authorityKey(text)).toBeUndefined();
    }
  });

  it('are checked in a time that grows with their length only', () => {
    const long = `a${'-a'.repeat(50_000)}-`;
    for (const check of [isVaultName, isObjectName, isResourceGroupName, isGuid])
      expect(check(long)).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { isGuid } from '../core/names.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { createKeyedDigest, nameBasedGuid, sha256Base64 } from './digests.ts';

describe('digests', () => {
  it('hashes text by SHA-256 (FIPS 180-4 example "abc")', () => {
    expect(sha256Base64('abc')).toBe('ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=');
  });

  // RFC 9562 appendix B.2: namespace DNS, name "www.example.com".
  it("makes the RFC's example of a name-based GUID with SHA-256", () => {
    expect(nameBasedGuid('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe(
      '5c146b14-3c52-8afd-938a-375d0df1fbf6',
    );
  });

  it('makes GUIDs that differ with the name and with the namespace, and refuses another namespace', () => {
    const [a, b] = ['6ba7b810-9dad-11d1-80b4-00c04fd430c8', '6ba7b811-9dad-11d1-80b4-00c04fd430c8'];
    const made = [nameBasedGuid(a, 'x'), nameBasedGuid(a, 'y'), nameBasedGuid(b, 'x')];
    expect(new Set(made).size).toBe(3);
    expect(made.every(isGuid)).toBe(true);
    expect(() => nameBasedGuid('x', 'y')).toThrow(TypeError);
  });

  it('names values under a key: other keys, scopes and values give other names', () => {
    const key = createKeyedDigest(new SecretBytes(new Uint8Array(32)));
    const other = createKeyedDigest(new SecretBytes(new Uint8Array(32).fill(1)));
    const secret = (text: string) => SecretBytes.fromText(text);
    expect(key('app', secret('s'))).toBe(key('app', secret('s')));
    const names = [
      key('app', secret('s')),
      key('ap', secret('ps')),
      key('app', secret('t')),
      other('app', secret('s')),
    ];
    expect(new Set(names).size).toBe(4);
  });
});

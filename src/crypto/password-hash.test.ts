import { describe, expect, it } from 'vitest';
import { SecretBytes } from '../core/secret-bytes.ts';
import { decoyHash, hashPassword, verifyPassword } from './password-hash.ts';
import { systemRandom } from './random.ts';

const secret = SecretBytes.fromText('correct horse battery staple');

describe('password hash', () => {
  it('verifies the secret that was hashed, and no other', async () => {
    const encoded = await hashPassword(secret, systemRandom);
    expect(encoded).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await verifyPassword(secret, encoded)).toBe(true);
    expect(await verifyPassword(SecretBytes.fromText('correct horse battery stapl'), encoded)).toBe(false);
    expect(await verifyPassword(SecretBytes.fromText(''), encoded)).toBe(false);
  });

  it('salts: the same secret hashes differently each time', async () => {
    expect(await hashPassword(secret, systemRandom)).not.toBe(await hashPassword(secret, systemRandom));
  });

  // Made by the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 (README vectors).
  it('reads a hash of the reference implementation, with other parameters than its own', async () => {
    const encoded = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
    expect(await verifyPassword(SecretBytes.fromText('password'), encoded)).toBe(true);
    expect(await verifyPassword(SecretBytes.fromText('differentpassword'), encoded)).toBe(false);
  });

  it('offers a decoy that no secret matches', async () => {
    expect(await verifyPassword(secret, decoyHash)).toBe(false);
  });

  const salt = 'c29tZXNhbHRzb21lc2FsdA';
  const tag = 'CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
  it.each([
    ['another algorithm', `$argon2i$v=19$m=19456,t=2,p=1$${salt}$${tag}`],
    ['another version', `$argon2id$v=16$m=19456,t=2,p=1$${salt}$${tag}`],
    ['a gigabyte of memory', `$argon2id$v=19$m=1048576,t=2,p=1$${salt}$${tag}`],
    ['too little memory for its lanes', `$argon2id$v=19$m=16,t=2,p=4$${salt}$${tag}`],
    ['a thousand passes', `$argon2id$v=19$m=19456,t=999,p=1$${salt}$${tag}`],
    ['no passes', `$argon2id$v=19$m=19456,t=0,p=1$${salt}$${tag}`],
    ['no lanes', `$argon2id$v=19$m=19456,t=2,p=0$${salt}$${tag}`],
    ['many lanes', `$argon2id$v=19$m=19456,t=2,p=64$${salt}$${tag}`],
    ['an empty tag', `$argon2id$v=19$m=19456,t=2,p=1$${salt}$`],
    ['a tag short enough to guess', `$argon2id$v=19$m=19456,t=2,p=1$${salt}$AAAA`],
    ['a trailing line', `$argon2id$v=19$m=19456,t=2,p=1$${salt}$${tag}\n`],
    ['clear text', 'correct horse battery staple'],
    ['nothing', ''],
  ])('refuses a stored hash with %s', async (_what, encoded) => {
    await expect(verifyPassword(secret, encoded)).rejects.toMatchObject({ kind: 'internal' });
  });
});

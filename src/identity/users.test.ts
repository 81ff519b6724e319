/** Proves which names and passwords users can have, and that of passwords slow hashes alone are kept. */
import { describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { systemRandom } from '../crypto/random.ts';
import type { SecretHasher } from './client-secrets.ts';
import { createApplication } from './principals.ts';
import { createUser, generatePassword, setPassword } from './users.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const hasher: SecretHasher = {
  hash: async (secret) => `hash of ${secret.exposeText()}`,
  verify: async (secret, encoded) => encoded === `hash of ${secret.exposeText()}`,
  decoy: 'decoy',
};
const make = () => ({ store: memoryPrincipalStore(), clock: manualClock(), random: systemRandom, hasher });
const password = SecretBytes.fromText('correct horse battery');

describe('users', () => {
  it('are found by their names, without an app id', async () => {
    const deps = make();
    const input = { tenantId, userName: 'Ada.Lovelace@Example.com', displayName: 'Ada' };
    const user = await createUser(deps, { ...input, password });
    expect(user).toMatchObject({ kind: 'user', appId: undefined, enabled: true, userName: input.userName });
    expect(await deps.store.byUserName(tenantId, 'ada.lovelace@example.com')).toEqual(user);
    const [kept, ...others] = await deps.store.credentialsOf(user.objectId);
    expect(others).toEqual([]);
    expect(kept).toMatchObject({ kind: 'password', hash: 'hash of correct horse battery', hint: '' });
    await expect(createUser(deps, input)).rejects.toMatchObject({ kind: 'alreadyExists' });
  });

  it('without a password have no credential', async () => {
    const deps = make();
    const user = await createUser(deps, { tenantId, userName: 'a@b.c', displayName: 'A' });
    expect(await deps.store.credentialsOf(user.objectId)).toEqual([]);
  });

  it.each([
    'ada',
    '@example.com',
    'ada@',
    'a b@example.com',
    '.ada@example.com',
    'ada..x@example.com',
    'ada@-example.com',
    'ada@example.com\n',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b'.repeat(49)}`,
    'a@b@c',
    'ädä@example.com',
    "a'or'1@example.com/x",
  ])('are not named %j', async (userName) => {
    await expect(createUser(make(), { tenantId, userName, displayName: 'A' })).rejects.toMatchObject({
      kind: 'badParameter',
    });
  });

  it.each([
    ['too short', 'abcdefg'],
    ['too long', `${'abcde'.repeat(52)}`],
    ['of few characters', 'abababababab'],
    ['with the user name in it', 'xx-LOVELACE-99'],
    ['with control characters', 'abcdefgh\u0000ij'],
  ])('have no password %s, and are not made with one', async (_what, text) => {
    const deps = make();
    const input = { tenantId, userName: 'lovelace@example.com', displayName: 'Ada' };
    const attempt = createUser(deps, { ...input, password: SecretBytes.fromText(text) });
    await expect(attempt).rejects.toMatchObject({ kind: 'badParameter' });
    expect(await deps.store.byUserName(tenantId, input.userName)).toBeUndefined();
  });

  it('get a new password in the place of the old one', async () => {
    const deps = make();
    const user = await createUser(deps, { tenantId, userName: 'a@b.c', displayName: 'A', password });
    await setPassword(deps, { objectId: user.objectId, password: SecretBytes.fromText('another password') });
    const kept = await deps.store.credentialsOf(user.objectId);
    expect(kept.map(({ hash }) => hash)).toEqual(['hash of another password']);
    const weak = setPassword(deps, { objectId: user.objectId, password: SecretBytes.fromText('weak') });
    await expect(weak).rejects.toMatchObject({ kind: 'badParameter' });
    expect(await deps.store.credentialsOf(user.objectId)).toEqual(kept);
    const application = await createApplication(deps, { tenantId, displayName: 'web' });
    const foreign = setPassword(deps, { objectId: application.objectId, password });
    await expect(foreign).rejects.toMatchObject({ kind: 'notFound' });
  });

  it('can be given a password that is made, which satisfies the rules', async () => {
    const deps = make();
    const generated = generatePassword(systemRandom);
    expect(generated.exposeText()).toMatch(/^[\w][\w-]{19}$/);
    await createUser(deps, { tenantId, userName: 'a@b.c', displayName: 'A', password: generated });
  });
});

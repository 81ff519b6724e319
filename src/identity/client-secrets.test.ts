import { describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { decoyHash, hashPassword, verifyPassword } from '../crypto/password-hash.ts';
import { systemRandom } from '../crypto/random.ts';
import { addSecret, createClientSecretVerifier, removeSecret, type SecretHasher } from './client-secrets.ts';
import { createApplication, createManagedIdentity } from './principals.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const day = 24 * 60 * 60 * 1000;

/** A hasher that counts, and that can be held back. */
function countingHasher() {
  const checked: string[] = [];
  const held: (() => void)[] = [];
  const state = { hold: false, running: 0, peak: 0 };
  const hasher: SecretHasher = {
    hash: async (secret) => `hash of ${secret.exposeText()}`,
    async verify(secret, encoded) {
      checked.push(encoded);
      state.running += 1;
      state.peak = Math.max(state.peak, state.running);
      if (state.hold) await new Promise<void>((go) => held.push(go));
      state.running -= 1;
      return encoded === `hash of ${secret.exposeText()}`;
    },
    decoy: 'decoy',
  };
  return { hasher, checked, held, state };
}

async function setup(limits?: { concurrent: number; waiting: number }) {
  const counting = countingHasher();
  const deps = {
    store: memoryPrincipalStore(),
    clock: manualClock(),
    random: systemRandom,
    hasher: counting.hasher,
  };
  const application = await createApplication(deps, { tenantId, displayName: 'web' });
  const appId = application.appId ?? '';
  const expires = deps.clock.now() + day;
  const { credential, secret } = await addSecret(deps, { objectId: application.objectId, expires });
  const verify = createClientSecretVerifier(deps, limits);
  return { ...counting, deps, application, appId, credential, secret, verify };
}

const wrong = SecretBytes.fromText('x'.repeat(44));

describe('client secrets', () => {
  it('makes a secret of 256 bits and more, URL-safe, kept only as hash and hint', async () => {
    const { secret, credential, deps, application } = await setup();
    expect(secret.exposeText()).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]{43}$/);
    expect(credential.hint).toBe(secret.exposeText().slice(0, 3));
    expect(await deps.store.credentialsOf(application.objectId)).toEqual([credential]);
  });

  it('makes no secret that begins like an option of a command line', async () => {
    const { deps, application } = await setup();
    const random = { ...systemRandom, bytes: (length: number) => new Uint8Array(length).fill(0xfb) };
    const input = { objectId: application.objectId, expires: deps.clock.now() + 1 };
    const { secret } = await addSecret({ ...deps, random }, input);
    expect(secret.exposeText()).toMatch(/^A/);
  });

  it('refuses secrets for identities without any, for nobody, and beyond two years', async () => {
    const { deps, application } = await setup();
    const identity = await createManagedIdentity(deps, { tenantId, displayName: 'vm' });
    const expires = deps.clock.now() + day;
    await expect(addSecret(deps, { objectId: identity.objectId, expires })).rejects.toMatchObject({
      kind: 'badParameter',
    });
    await expect(addSecret(deps, { objectId: 'nobody', expires })).rejects.toMatchObject({
      kind: 'notFound',
    });
    for (const bad of [deps.clock.now(), Number.NaN, deps.clock.now() + 800 * day]) {
      const input = { objectId: application.objectId, expires: bad };
      await expect(addSecret(deps, input)).rejects.toMatchObject({ kind: 'badParameter' });
    }
  });

  it('verifies a secret slowly once, and then from memory', async () => {
    const { verify, appId, secret, application, checked } = await setup();
    expect(await verify({ appId, secret, tenantId })).toEqual(application);
    expect(await verify({ appId: appId.toUpperCase(), secret, tenantId })).toEqual(application);
    expect(checked).toHaveLength(1);
  });

  it('forgets a verified secret after ten minutes', async () => {
    const { verify, appId, secret, checked, deps } = await setup();
    await verify({ appId, secret, tenantId });
    deps.clock.advance(10 * 60 * 1000);
    await verify({ appId, secret, tenantId });
    expect(checked).toHaveLength(2);
  });

  it('refuses a remembered secret the moment it is removed', async () => {
    const { verify, appId, secret, deps, application, credential } = await setup();
    await verify({ appId, secret, tenantId });
    await removeSecret(deps.store, { objectId: application.objectId, keyId: credential.keyId });
    await expect(verify({ appId, secret, tenantId })).rejects.toMatchObject({ kind: 'invalidClient' });
    const again = removeSecret(deps.store, { objectId: application.objectId, keyId: credential.keyId });
    await expect(again).rejects.toMatchObject({ kind: 'notFound' });
  });

  it('refuses a secret once it expires, remembered or not, and says so to who knows it only', async () => {
    const { verify, appId, secret, deps } = await setup();
    deps.clock.advance(day - 1);
    await verify({ appId, secret, tenantId });
    deps.clock.advance(1);
    await expect(verify({ appId, secret, tenantId })).rejects.toThrow('AADSTS7000222');
    await expect(verify({ appId, secret: wrong, tenantId })).rejects.toThrow('AADSTS7000215');
  });

  it('answers a wrong secret, an unknown application and another tenant alike, after one slow hash each', async () => {
    const { verify, appId, secret, checked, deps } = await setup();
    const identity = await createManagedIdentity(deps, { tenantId, displayName: 'vm' });
    const attempts = [
      { appId, secret: wrong, tenantId },
      { appId, secret: SecretBytes.fromText(`${secret.exposeText().slice(0, 43)}!`), tenantId },
      { appId, secret: SecretBytes.fromText(''), tenantId },
      { appId: '99999999-9999-4999-8999-999999999999', secret, tenantId },
      { appId: "' or 1=1 --", secret, tenantId },
      { appId, secret, tenantId: '22222222-2222-4222-8222-222222222222' },
      { appId: identity.appId ?? '', secret, tenantId },
    ];
    const messages = new Set<string>();
    for (const [i, attempt] of attempts.entries()) {
      const error = await verify(attempt).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ kind: 'invalidClient' });
      messages.add(String(error));
      expect(checked).toHaveLength(i + 1);
    }
    expect(messages.size).toBe(1);
  });

  it('does not let a secret remembered for one application open another', async () => {
    const { verify, appId, secret, deps } = await setup();
    const other = await createApplication(deps, { tenantId, displayName: 'other' });
    await verify({ appId, secret, tenantId });
    await expect(verify({ appId: other.appId ?? '', secret, tenantId })).rejects.toMatchObject({
      kind: 'invalidClient',
    });
  });

  it('checks the same secret once for all who present it at the same moment, each in its own tenant', async () => {
    const { verify, appId, secret, held, state, checked } = await setup({ concurrent: 1, waiting: 1 });
    state.hold = true;
    const elsewhere = verify({ appId, secret, tenantId: 'dddddddd-0000-4000-8000-00000000000d' });
    const refused = expect(elsewhere).rejects.toMatchObject({ kind: 'invalidClient' });
    const attempts = Array.from({ length: 64 }, () => verify({ appId, secret, tenantId }));
    await expect.poll(() => held.length).toBe(1);
    state.hold = false;
    for (const go of held) go();
    for (const principal of await Promise.all(attempts)) expect(principal).toMatchObject({ appId });
    await refused;
    expect(checked).toHaveLength(2);
  });

  it('bounds the slow checks: so many at once, so many in line, the rest refused with a time to retry', async () => {
    const { verify, appId, secret, held, state } = await setup({ concurrent: 2, waiting: 1 });
    await verify({ appId, secret, tenantId });
    state.hold = true;
    const attempts = [1, 2, 3, 4, 5].map((n) =>
      verify({ appId, secret: SecretBytes.fromText(`guess ${n}`), tenantId }).catch((e: unknown) => e),
    );
    const refused = await Promise.race(attempts);
    expect(refused).toMatchObject({ kind: 'throttled', retryAfter: 1 });
    // Who has been verified lately is served all the same.
    expect(await verify({ appId, secret, tenantId })).toMatchObject({ appId });
    state.hold = false;
    for (const go of held) go();
    const results = await Promise.all(attempts);
    const kinds = results.map((error) => (error as { kind: string }).kind).sort();
    expect(kinds).toEqual(['invalidClient', 'invalidClient', 'invalidClient', 'throttled', 'throttled']);
    expect(state.peak).toBe(2);
    await expect(verify({ appId, secret: wrong, tenantId })).rejects.toMatchObject({ kind: 'invalidClient' });
  });

  it('works with the real hash', async () => {
    const { deps, application, appId } = await setup();
    const hasher: SecretHasher = {
      hash: (secret) => hashPassword(secret, systemRandom),
      verify: verifyPassword,
      decoy: decoyHash,
    };
    const input = { objectId: application.objectId, expires: deps.clock.now() + day };
    const { secret } = await addSecret({ ...deps, hasher }, input);
    const { credentialsOf } = deps.store;
    // The other credential's hash is the counting hasher's.
    const store = { ...deps.store, credentialsOf: async (id: string) => (await credentialsOf(id)).slice(1) };
    const verify = createClientSecretVerifier({ ...deps, store, hasher });
    expect(await verify({ appId, secret, tenantId })).toEqual(application);
    await expect(verify({ appId, secret: wrong, tenantId })).rejects.toMatchObject({ kind: 'invalidClient' });
  });
});

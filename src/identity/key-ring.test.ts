/**
 * Proves that the signing keys in memory are those of the store as far as the news goes, that a revoked key is never
 * brought back by a read that began before, and that without news every question is a read of its own.
 */
import { expect, test } from 'vitest';
import { manualClock, memorySigningKeyStore } from '../../test/support/identity.ts';
import { createChangeHub } from '../core/changes.ts';
import { createKeyRing } from './key-ring.ts';
import type { SigningKeyStore } from './signing-keys.ts';

/** Two processes over one store; the news of the second's changes reaches the first when the test says so. */
function twoRings() {
  const clock = manualClock();
  const shared = memorySigningKeyStore();
  const news = { fresh: true };
  const hub = createChangeHub(() => news.fresh);
  const gates: Promise<void>[] = [];
  let loads = 0;
  const store: SigningKeyStore = {
    save: shared.save,
    async load() {
      loads += 1;
      const seen = await shared.load();
      await gates.shift();
      return seen;
    },
  };
  const ring = createKeyRing({ store, clock, feed: hub });
  const other = createKeyRing({ store: shared, clock, feed: createChangeHub() });
  const tell = () => hub.publish([{ topic: 'sealedItem', key: 'token-keys' }]);
  /** Holds the next read back after it has seen the keys. */
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gates.push(promise);
    return resolve;
  };
  return { clock, ring, other, news, hub, tell, hold, loads: () => loads };
}

test('news of a revocation ends the key at once, and the new one is found without waiting', async () => {
  const { ring, other, tell } = twoRings();
  const { kid } = await ring.signer();
  await other.rotateNow({ revoke: true });
  const { kid: next } = await other.signer();
  expect(ring.has(kid)).toBe(true);
  tell();
  expect(ring.has(kid)).toBe(false);
  expect(await ring.find(kid)).toBeUndefined();
  expect(await ring.find(next)).toMatchObject({ algorithm: 'RS256' });
  expect((await ring.signer()).kid).toBe(next);
});

test('missing some news is treated as news of everything', async () => {
  const { ring, other, hub } = twoRings();
  const { kid } = await ring.signer();
  await other.rotateNow({ revoke: true });
  hub.lapse();
  expect(ring.has(kid)).toBe(false);
  expect((await ring.published()).map((key) => key.kid)).not.toContain(kid);
});

test('without fresh news memory answers nothing: every question is asked of the store', async () => {
  const { ring, other, news, loads } = twoRings();
  const { kid } = await ring.signer();
  expect(ring.has(kid)).toBe(true);
  news.fresh = false;
  expect(ring.has(kid)).toBe(false);
  const before = loads();
  expect(await ring.find(kid)).toBeDefined();
  expect(await ring.published()).toHaveLength(1);
  await ring.signer();
  expect(loads()).toBe(before + 3);
  await other.rotateNow({ revoke: true });
  const { kid: next } = await other.signer();
  expect(await ring.find(kid)).toBeUndefined();
  expect((await ring.published()).map((key) => key.kid)).toEqual([next]);
  expect((await ring.signer()).kid).toBe(next);
});

test('a read that news of a revocation overtook does not bring the key back', async () => {
  const { ring, other, tell, hold, clock } = twoRings();
  const { kid } = await ring.signer();
  clock.advance(5_000);
  const release = hold();
  const slow = ring.find('unknown');
  await other.rotateNow({ revoke: true });
  tell();
  release();
  await slow;
  expect(ring.has(kid)).toBe(false);
  expect(await ring.find(kid)).toBeUndefined();
});

test('without fresh news no question is answered by a read that began before it', async () => {
  const { ring, other, news, hold } = twoRings();
  const { kid } = await ring.signer();
  news.fresh = false;
  const release = hold();
  const early = ring.find(kid);
  await other.rotateNow({ revoke: true });
  const late = [ring.find(kid), ring.find(kid)];
  release();
  expect(await early).toBeDefined();
  expect(await Promise.all(late)).toEqual([undefined, undefined]);
});

test('without fresh news a store that does not answer refuses every question', async () => {
  const shared = memorySigningKeyStore();
  let away = false;
  const store: SigningKeyStore = {
    save: shared.save,
    load: () => (away ? Promise.reject(new Error('the storage is away')) : shared.load()),
  };
  const feed = createChangeHub(() => !away);
  const ring = createKeyRing({ store, clock: manualClock(), feed });
  const { kid } = await ring.signer();
  away = true;
  const outcomes = await Promise.allSettled([
    ring.find(kid),
    ring.find(kid),
    ring.published(),
    ring.signer(),
  ]);
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(['rejected']));
  away = false;
  expect(await ring.find(kid)).toBeDefined();
});

test('news in the moment in which the first key is made costs no one the token', async () => {
  const clock = manualClock();
  const hub = createChangeHub();
  const shared = memorySigningKeyStore();
  const store: SigningKeyStore = {
    load: shared.load,
    async save(keys, revision) {
      const saved = await shared.save(keys, revision);
      const storm = async () => {
        for (let n = 0; n < 50; n += 1) {
          hub.publish([{ topic: 'sealedItem', key: 'something-else' }]);
          await undefined;
        }
      };
      void storm();
      return saved;
    },
  };
  const ring = createKeyRing({ store, clock, feed: hub });
  const { kid } = await ring.signer();
  expect((await ring.published()).map((key) => key.kid)).toEqual([kid]);
  expect(shared.saves).toBe(1);
});

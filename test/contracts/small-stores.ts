/** What the stores of audit anchors and token signing keys must do; run on each database. */
import { describe, expect, it } from 'vitest';
import type { AnchorStore } from '../../src/audit/log.ts';
import { SecretBytes } from '../../src/core/secret-bytes.ts';
import type { SigningKey, SigningKeyStore } from '../../src/identity/signing-keys.ts';

/** Defines the suite; `makeStores` gives empty stores of two logs of one database each time. */
export function anchorStoreContract(
  makeStores: () => Promise<{ local: AnchorStore; other: AnchorStore }>,
): void {
  describe('anchor store', () => {
    it('keeps the newest anchor of each log', async () => {
      const { local, other } = await makeStores();
      expect(await local.load()).toBeUndefined();
      const anchors = [1, 2, 9_000_000_000_000_000].map((seq) => ({ seq, mac: 'ab'.repeat(32) }));
      for (const anchor of anchors) await local.save(anchor);
      expect(await local.load()).toEqual(anchors.at(-1));
      expect(await other.load()).toBeUndefined();
      await other.save({ seq: 1, mac: 'cd'.repeat(32) });
      expect(await local.load()).toEqual(anchors.at(-1));
    });
  });
}

function signingKey(n: number): SigningKey {
  const publicJwk = { kty: 'RSA', kid: `kid-${n}`, use: 'sig', alg: 'RS256', n: 'AQAB', e: 'AQAB' };
  return {
    kid: `kid-${n}`,
    publicJwk: publicJwk as unknown as SigningKey['publicJwk'],
    privateKey: new SecretBytes(Buffer.of(0, 255, n)),
    notBefore: n,
    retires: n + 1,
    expires: n + 2,
  };
}

/** Defines the suite; `makeStores` gives two stores over the same empty place, as two nodes have them. */
export function signingKeyStoreContract(makeStores: () => Promise<[SigningKeyStore, SigningKeyStore]>): void {
  describe('signing key store', () => {
    it('starts empty at revision 0 and gives back the keys of the last save', async () => {
      const [store, second] = await makeStores();
      expect(await store.load()).toEqual({ keys: [], revision: 0 });
      expect(await store.save([signingKey(1)], 0)).toBe(1);
      expect(await store.save([signingKey(2), signingKey(1)], 1)).toBe(2);
      const { keys, revision } = await second.load();
      expect(revision).toBe(2);
      expect(keys.map((key) => ({ ...key, privateKey: [...key.privateKey.exposeBytes()] }))).toEqual(
        [signingKey(2), signingKey(1)].map((key) => ({
          ...key,
          privateKey: [...key.privateKey.exposeBytes()],
        })),
      );
    });

    it('lets one of several savers of a revision through, the first save included', async () => {
      const [store, second] = await makeStores();
      for (const revision of [0, 1, 2]) {
        const saves = [store, second, store].map((saver, n) => saver.save([signingKey(n)], revision));
        const outcomes = await Promise.all(saves);
        expect(outcomes.filter((outcome) => outcome === revision + 1)).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(2);
      }
      expect(await store.save([], 1)).toBeUndefined();
      expect((await store.load()).revision).toBe(3);
    });
  });
}

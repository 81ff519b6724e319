/** What every store of sign-ins' grants, and of failed attempts, must do; run on each implementation. */
import { describe, expect, it } from 'vitest';
import type { FailureStore, SignInFailures } from '../../src/identity/lock-out.ts';
import type { LoginGrant, LoginGrantStore } from '../../src/identity/login-grants.ts';
import { guid } from './rows.ts';

function grant(id: string, more: Partial<LoginGrant> = {}): LoginGrant {
  return {
    id,
    kind: 'refresh',
    family: 'family',
    objectId: guid(1),
    detail: { scope: 'a b', text: 'ü\u0000"', nested: { list: [1, null] } },
    created: 1_700_000_000_000,
    expires: 1_700_000_000_500,
    used: undefined,
    ...more,
  };
}

/** Defines the suite; `makeStore` gives an empty store each time. */
export function loginGrantStoreContract(makeStore: () => Promise<LoginGrantStore>): void {
  describe('login grant store', () => {
    it('gives back what was added, by id, and by kind and family the newest', async () => {
      const store = await makeStore();
      const all = [
        grant('a'),
        grant('b', { kind: 'device', objectId: undefined, created: 1_700_000_000_100 }),
        grant('c', { kind: 'device', used: 5 }),
        grant('d', { kind: 'device', family: 'other' }),
      ];
      for (const one of all) expect(await store.addOnce(one)).toEqual(one);
      for (const one of all) expect(await store.byId(one.id)).toEqual(one);
      expect(await store.byId('e')).toBeUndefined();
      expect(await store.byFamily('device', 'family')).toEqual(all[1]);
      expect(await store.byFamily('code', 'family')).toBeUndefined();
    });

    it('keeps the first of an id, and answers it', async () => {
      const store = await makeStore();
      const answers = await Promise.all(
        [1, 2, 3, 4].map((created) => store.addOnce(grant('a', { created }))),
      );
      const kept = await store.byId('a');
      for (const answer of answers) expect(answer).toEqual(kept);
    });

    it('takes a step only from what is there, and then all of it', async () => {
      const store = await makeStore();
      const was = await store.addOnce(grant('a'));
      const becomes = { ...was, used: 7, detail: { other: true } };
      const step = { from: { was, becomes }, adds: [grant('b'), grant('c')] };
      expect(await store.exchange(step)).toBe(true);
      expect(await store.byId('a')).toEqual(becomes);
      expect(await store.byId('c')).toEqual(grant('c'));
      expect(await store.exchange({ ...step, adds: [grant('d')] })).toBe(false);
      const gone = grant('gone');
      expect(await store.exchange({ from: { was: gone, becomes: gone }, adds: [grant('d')] })).toBe(false);
      for (const change of [{ used: 8 }, { detail: {} }, { objectId: undefined }, { expires: 1 }]) {
        const wrong = { was: { ...becomes, ...change }, becomes };
        expect(await store.exchange({ from: wrong, adds: [grant('d')] })).toBe(false);
      }
      expect(await store.byId('d')).toBeUndefined();
    });

    it('lets one of several steps from the same through', async () => {
      const store = await makeStore();
      const was = await store.addOnce(grant('a'));
      const steps = ['b', 'c', 'd', 'e'].map((id, used) =>
        store.exchange({ from: { was, becomes: { ...was, used } }, adds: [grant(id)] }),
      );
      expect((await Promise.all(steps)).filter(Boolean)).toHaveLength(1);
      const added = await Promise.all(['b', 'c', 'd', 'e'].map((id) => store.byId(id)));
      expect(added.filter((one) => one !== undefined)).toHaveLength(1);
    });

    it('adds to a session only while it is there, and prolongs it', async () => {
      const store = await makeStore();
      const session = { id: 'family', expires: 1_800_000_000_000 };
      const step = { adds: [grant('a')], session };
      expect(await store.exchange(step)).toBe(false);
      expect(await store.byId('a')).toBeUndefined();
      await store.addOnce(grant('family', { kind: 'session' }));
      const gone = { was: grant('gone'), becomes: grant('gone') };
      expect(await store.exchange({ ...step, from: gone })).toBe(false);
      expect((await store.byId('family'))?.expires).toBe(grant('x').expires);
      expect(await store.exchange(step)).toBe(true);
      expect((await store.byId('family'))?.expires).toBe(session.expires);
    });

    it('revokes a session with all that belongs to it; what comes at the same moment is in vain', async () => {
      const store = await makeStore();
      await store.addOnce(grant('family', { kind: 'session' }));
      const was = await store.addOnce(grant('a'));
      await store.addOnce(grant('other', { family: 'another' }));
      const session = { id: 'family', expires: 1_800_000_000_000 };
      const [, revoked] = await Promise.all([
        store.exchange({ from: { was, becomes: { ...was, used: 1 } }, adds: [grant('b')], session }),
        store.revokeFamily('family'),
      ]);
      expect(revoked).toBeGreaterThanOrEqual(2);
      expect(await store.byId('family')).toBeUndefined();
      expect(await store.byId('a')).toBeUndefined();
      expect(await store.exchange({ adds: [grant('c')], session })).toBe(false);
      expect(await store.byId('other')).toBeDefined();
      expect(await store.revokeFamily('family')).toBeLessThanOrEqual(1);
    });

    it('forgets what has expired', async () => {
      const store = await makeStore();
      for (const expires of [10, 11, 12]) await store.addOnce(grant(`e${expires}`, { expires }));
      expect(await store.prune(11)).toBe(2);
      expect(await store.byId('e11')).toBeUndefined();
      expect(await store.byId('e12')).toBeDefined();
    });
  });
}

/** Defines the suite; `makeStore` gives an empty store each time. */
export function failureStoreContract(makeStore: () => Promise<FailureStore>): void {
  const failures = (more: Partial<SignInFailures> = {}): SignInFailures => ({
    objectId: guid(1),
    failures: 1,
    last: 1_700_000_000_000,
    lockedUntil: 0,
    ...more,
  });

  describe('failure store', () => {
    it('writes only over what it was told was there', async () => {
      const store = await makeStore();
      expect(await store.of(guid(1))).toBeUndefined();
      expect(await store.replace(failures(), failures())).toBe(false);
      expect(await store.replace(failures(), undefined)).toBe(true);
      expect(await store.replace(failures({ failures: 2 }), undefined)).toBe(false);
      const first = await store.of(guid(1));
      expect(first).toEqual(failures());
      expect(await store.replace(failures({ failures: 2, lockedUntil: 9 }), first)).toBe(true);
      expect(await store.replace(failures({ failures: 3 }), first)).toBe(false);
      expect(await store.of(guid(1))).toEqual(failures({ failures: 2, lockedUntil: 9 }));
      await store.clear(guid(1));
      expect(await store.of(guid(1))).toBeUndefined();
    });

    it('counts by itself until a time is over, and begins again', async () => {
      const store = await makeStore();
      const id = 'address/192.0.2.1';
      const count = (now: number) => store.count(id, { now, until: now + 100 });
      await Promise.all([1000, 1000, 1000, 1000].map(count));
      expect(await store.of(id)).toEqual({ objectId: id, failures: 4, last: 1000, lockedUntil: 1100 });
      await count(1099);
      expect(await store.of(id)).toEqual({ objectId: id, failures: 5, last: 1099, lockedUntil: 1100 });
      await count(1100);
      expect(await store.of(id)).toEqual({ objectId: id, failures: 1, last: 1100, lockedUntil: 1200 });
    });

    it('forgets what is old, and of strangers all but the latest', async () => {
      const store = await makeStore();
      const ids = [1, 2, 3, 4].map((n) => `name/${n}`);
      for (const [n, id] of ids.entries()) await store.count(id, { now: 1000 + n, until: 9000 });
      for (const n of [1, 2]) await store.replace(failures({ objectId: guid(n), last: 999 + n }), undefined);
      const left = async () => {
        const found = await Promise.all([...ids, guid(1), guid(2)].map((id) => store.of(id)));
        return found.flatMap((each) => each?.objectId ?? []);
      };
      await store.prune(1000, 10);
      expect(await left()).toEqual([...ids, guid(1), guid(2)]);
      await store.prune(1001, 2);
      expect(await left()).toEqual(['name/3', 'name/4', guid(2)]);
    });

    it('counts every one of several attempts at the same moment', async () => {
      const store = await makeStore();
      const attempt = async () => {
        for (;;) {
          const was = await store.of(guid(1));
          if (await store.replace(failures({ failures: (was?.failures ?? 0) + 1 }), was)) return;
        }
      };
      await Promise.all(Array.from({ length: 8 }, attempt));
      expect((await store.of(guid(1)))?.failures).toBe(8);
    });
  });
}

/** What every store of leases must do, and how a fence holds a late writer off; run on each database. */
import { describe, expect, it } from 'vitest';
import type { Fence, Lease, LeaseStore } from '../../src/jobs/lease-store.ts';

export interface LeaseStores {
  readonly leases: LeaseStore;
  /** Writes something under the fence; rejects with what `isLeaseLost` knows when the lease is another's. */
  readonly writeUnder: (fence: Fence, name: string) => Promise<void>;
  readonly written: () => Promise<readonly string[]>;
  readonly isLeaseLost: (error: unknown) => boolean;
}

/** Defines the suite; `makeStores` gives empty stores of one database each time. */
export function leaseStoreContract(makeStores: () => Promise<LeaseStores>): void {
  const fenceOf = ({ name, term }: Lease): Fence => ({ lease: name, term });
  /** Stores with one lease, taken. */
  async function open() {
    const stores = await makeStores();
    const lease = await stores.leases.take('jobs', 'first', undefined);
    if (lease === undefined) throw new Error('a new lease is free');
    return { ...stores, lease };
  }

  describe('lease store', () => {
    it('gives a lease that nobody has, and keeps leases apart by name', async () => {
      const { leases } = await makeStores();
      expect(await leases.read('jobs')).toBeUndefined();
      const lease = await leases.take('jobs', 'me', undefined);
      expect(lease).toEqual({ name: 'jobs', holder: 'me', term: 1, beat: 0 });
      expect(await leases.read('jobs')).toEqual(lease);
      expect(await leases.read('other')).toBeUndefined();
      expect(await leases.take('other', 'you', undefined)).toMatchObject({ term: 1 });
    });

    it('shows each beat, and refuses those of an older term', async () => {
      const { leases, lease } = await open();
      for (const beat of [1, 2]) {
        expect(await leases.renew(lease)).toBe(true);
        expect(await leases.read('jobs')).toEqual({ ...lease, beat });
      }
      const seen = await leases.read('jobs');
      const next = await leases.take('jobs', 'second', seen);
      expect(next).toEqual({ name: 'jobs', holder: 'second', term: 2, beat: 0 });
      expect(await leases.renew(lease)).toBe(false);
      expect(await leases.read('jobs')).toEqual(next);
      expect(await leases.renew({ ...lease, name: 'nobody has this one' })).toBe(false);
    });

    it('is taken only as it was seen', async () => {
      const { leases, lease } = await open();
      expect(await leases.take('jobs', 'late', undefined)).toBeUndefined();
      await leases.renew(lease);
      expect(await leases.take('jobs', 'late', lease)).toBeUndefined();
      expect(await leases.take('nothing', 'late', lease)).toBeUndefined();
      expect(await leases.read('jobs')).toMatchObject({ holder: 'first', term: 1 });
    });

    it('goes to one of several who take it at once', async () => {
      const { leases } = await makeStores();
      for (let term = 1; term <= 4; term += 1) {
        const seen = await leases.read('jobs');
        const taken = await Promise.all(['a', 'b', 'c'].map((holder) => leases.take('jobs', holder, seen)));
        const winners = taken.filter((lease) => lease !== undefined);
        expect(winners).toHaveLength(1);
        expect(winners[0]?.term).toBe(term);
        expect(await leases.read('jobs')).toEqual(winners[0]);
      }
    });

    it('goes to the taker or stays with the holder, when a beat and a take meet', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { leases, lease } = await open();
        const [renewed, taken] = await Promise.all([
          leases.renew(lease),
          leases.take('jobs', 'second', lease),
        ]);
        expect(renewed).toBe(taken === undefined);
        const { holder } = (await leases.read('jobs')) ?? {};
        expect(holder).toBe(renewed ? 'first' : 'second');
      }
    });

    it('is free when it was given back, by its holder only, and never gives a term twice', async () => {
      const { leases, lease } = await open();
      await leases.release(lease);
      const free = await leases.read('jobs');
      expect(free).toMatchObject({ holder: '', term: 1 });
      const next = await leases.take('jobs', 'second', free);
      expect(next?.term).toBe(2);
      await leases.release(lease);
      expect(await leases.read('jobs')).toMatchObject({ holder: 'second' });
    });

    it('holds off the writes of who had the lease before, and of who never had it', async () => {
      const { leases, lease, writeUnder, written, isLeaseLost } = await open();
      await writeUnder(fenceOf(lease), 'while it holds');
      await leases.renew(lease);
      await writeUnder(fenceOf(lease), 'after a beat');
      const next = await leases.take('jobs', 'second', await leases.read('jobs'));
      const stale = [fenceOf(lease), { lease: 'jobs', term: 3 }, { lease: 'other', term: 2 }];
      for (const fence of stale) {
        const error: unknown = await writeUnder(fence, 'too late').catch((thrown: unknown) => thrown);
        expect(isLeaseLost(error)).toBe(true);
      }
      if (next !== undefined) await writeUnder(fenceOf(next), 'of the next');
      expect(await written()).toEqual(['after a beat', 'of the next', 'while it holds']);
    });

    it('lets no write of an old term in behind the take, however they meet', async () => {
      for (let round = 0; round < 5; round += 1) {
        const { leases, lease, writeUnder, written } = await open();
        const order: string[] = [];
        const take = leases.take('jobs', 'second', lease).then(() => order.push('taken'));
        const late = take.then(() => writeUnder(fenceOf(lease), 'late'));
        const [, , behind] = await Promise.allSettled([writeUnder(fenceOf(lease), 'racing'), take, late]);
        expect(behind?.status).toBe('rejected');
        expect(await written()).not.toContain('late');
      }
    });
  });
}

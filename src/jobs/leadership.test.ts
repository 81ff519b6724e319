/**
 * Proves that at most one process believes that it leads, whatever the wall clocks do, that a leader that slept through
 * its lease does not, and that the lead moves on when its holder goes away.
 */
import { expect, test } from 'vitest';
import { type ManualClock, manualClock } from '../../test/support/identity.ts';
import { type Log, silentLog } from '../core/log.ts';
import { beatInterval, leaseLength, standForLeadership } from './leadership.ts';
import type { Lease, LeaseStore } from './lease-store.ts';

const name = 'jobs';

function memoryLeases() {
  let lease: Lease | undefined;
  const faults: { error?: Error } = {};
  const beforeRead: (() => Promise<unknown>)[] = [];
  const afterRead: (() => Promise<unknown>)[] = [];
  const check = () => {
    if (faults.error !== undefined) throw faults.error;
  };
  const store: LeaseStore = {
    async read() {
      await beforeRead.shift()?.();
      check();
      const seen = lease;
      await afterRead.shift()?.();
      return seen;
    },
    async take(_name, holder, seen) {
      check();
      if (seen?.term !== lease?.term || seen?.beat !== lease?.beat) return undefined;
      lease = { name, holder, term: (lease?.term ?? 0) + 1, beat: 0 };
      return lease;
    },
    async renew({ term }) {
      check();
      if (lease?.term !== term) return false;
      lease = { ...lease, beat: lease.beat + 1 };
      return true;
    },
    async release({ term }) {
      check();
      if (lease?.term === term) lease = { ...lease, holder: '' };
    },
  };
  return { store, faults, beforeRead, afterRead, lease: () => lease };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Time passes on one process's clock alone, a second at a time. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1000) {
    clock.advance(Math.min(1000, ms - passed));
    await settled();
  }
}

async function stand(store: LeaseStore, holder: string, more: { clock?: ManualClock; log?: Log } = {}) {
  const { clock = manualClock(), log = silentLog } = more;
  const leadership = standForLeadership({ store, clock, log }, { name, holder });
  await settled();
  return { clock, leadership, fence: () => leadership.fence() };
}

test('the first to stand leads at once, and goes on while it shows life', async () => {
  const { store, lease } = memoryLeases();
  const { clock, leadership, fence } = await stand(store, 'a');
  expect(fence()).toEqual({ lease: name, term: 1 });
  await pass(clock, 10 * leaseLength);
  expect(fence()).toEqual({ lease: name, term: 1 });
  expect(lease()?.beat).toBe((10 * leaseLength) / beatInterval);
  await leadership.stop();
  expect(fence()).toBeUndefined();
});

test('of two one leads; the other takes over a whole lease after the last beat that it saw, not before', async () => {
  const { store } = memoryLeases();
  const a = await stand(store, 'a');
  const b = await stand(store, 'b');
  for (let seconds = 0; seconds < 60; seconds += 1) {
    await Promise.all([pass(a.clock, 1000), pass(b.clock, 1000)]);
    expect([a.fence()?.term, b.fence()]).toEqual([1, undefined]);
  }
  // From here on a shows no life.
  let since = 0;
  while (b.fence() === undefined) {
    await pass(b.clock, 1000);
    since += 1000;
    expect(since).toBeLessThanOrEqual(leaseLength + beatInterval);
  }
  expect(since).toBeGreaterThanOrEqual(leaseLength - beatInterval);
  expect(b.fence()).toEqual({ lease: name, term: 2 });
});

test('whoever is taken over has stopped to lead before, by its own clock', async () => {
  const { store } = memoryLeases();
  const clock = manualClock();
  const a = await stand(store, 'a', { clock });
  const b = await stand({ ...store }, 'b', { clock });
  await pass(clock, 2 * beatInterval + 1000);
  // Its beats do not get through any more.
  store.renew = () => new Promise(() => undefined);
  for (let ms = 0; ms < 2 * leaseLength; ms += 500) {
    clock.advance(500);
    await settled();
    expect(a.fence() !== undefined && b.fence() !== undefined).toBe(false);
  }
  expect([a.fence(), b.fence()?.term]).toEqual([undefined, 2]);
});

test('a leader that sleeps past its lease has no fence when it wakes, and learns that it was taken over', async () => {
  const { store } = memoryLeases();
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (message: string) => warnings.push(message) };
  const a = await stand(store, 'a', { log });
  const b = await stand(store, 'b');
  await pass(b.clock, leaseLength + beatInterval);
  expect(b.fence()?.term).toBe(2);
  // All timers of the sleeper come at once; nothing has been asked of the store yet.
  a.clock.advance(leaseLength);
  expect(a.fence()).toBeUndefined();
  await settled();
  expect(a.fence()).toBeUndefined();
  expect(warnings).toEqual(['The lead was lost to another process.']);
  await pass(b.clock, beatInterval);
  await pass(a.clock, beatInterval);
  expect([a.fence(), b.fence()?.term]).toEqual([undefined, 2]);
});

test('a leader that sleeps past its lease and is not taken over leads on after a beat', async () => {
  const { store } = memoryLeases();
  const { clock, fence } = await stand(store, 'a');
  clock.advance(leaseLength);
  expect(fence()).toBeUndefined();
  await settled();
  expect(fence()).toEqual({ lease: name, term: 1 });
});

test('jumps of the wall clock change nothing', async () => {
  const { store } = memoryLeases();
  const a = await stand(store, 'a');
  const b = await stand(store, 'b');
  for (const jump of [7 * 86_400_000, -30 * 86_400_000, leaseLength, -1]) {
    for (const { clock } of [a, b]) {
      clock.jump(jump);
      await pass(clock, beatInterval);
    }
    expect([a.fence()?.term, b.fence()]).toEqual([1, undefined]);
  }
});

test('who reads slowly counts from when it has seen the beat, not from when it asked', async () => {
  const { store, beforeRead } = memoryLeases();
  const clock = manualClock();
  const a = await stand(store, 'a', { clock });
  const slow = Promise.withResolvers<void>();
  beforeRead.push(() => slow.promise);
  const b = await stand({ ...store }, 'b', { clock });
  // The answer is under way for nine seconds, and shows a beat that is only just done.
  await pass(clock, 3 * beatInterval);
  slow.resolve();
  await settled();
  store.renew = () => new Promise(() => undefined);
  for (let ms = 0; ms < 2 * leaseLength; ms += 500) {
    clock.advance(500);
    await settled();
    expect(a.fence() !== undefined && b.fence() !== undefined).toBe(false);
  }
  expect(b.fence()?.term).toBe(2);
});

test('a lease that was given back goes to the next at its next look', async () => {
  const { store, lease } = memoryLeases();
  const a = await stand(store, 'a');
  const b = await stand(store, 'b');
  await a.leadership.stop();
  expect(a.fence()).toBeUndefined();
  expect(lease()?.holder).toBe('');
  await pass(b.clock, beatInterval);
  expect(b.fence()).toEqual({ lease: name, term: 2 });
  await pass(a.clock, 3 * leaseLength);
  expect([a.fence(), lease()?.term]).toEqual([undefined, 2]);
});

test('two who find the lease free at once do not both get it', async () => {
  const { store } = memoryLeases();
  const stands = await Promise.all(['a', 'b', 'c'].map((holder) => stand(store, holder)));
  expect(stands.filter(({ fence }) => fence() !== undefined)).toHaveLength(1);
});

test('a store that fails costs the lead when it does so for a whole lease; it is asked again all the time', async () => {
  const { store, faults } = memoryLeases();
  const warnings: string[] = [];
  const log = { ...silentLog, warn: (message: string) => warnings.push(message) };
  const { clock, fence } = await stand(store, 'a', { log });
  faults.error = new Error('away');
  await pass(clock, leaseLength - 1000);
  expect(fence()?.term).toBe(1);
  await pass(clock, 1000);
  expect(fence()).toBeUndefined();
  expect(warnings).toHaveLength(leaseLength / beatInterval);
  delete faults.error;
  await pass(clock, beatInterval);
  expect(fence()).toEqual({ lease: name, term: 1 });
});

test('a store that is away at the start is asked again, and the lease taken when it is there', async () => {
  const { store, faults } = memoryLeases();
  faults.error = new Error('away');
  const { clock, fence } = await stand(store, 'a');
  expect(fence()).toBeUndefined();
  delete faults.error;
  await pass(clock, beatInterval);
  expect(fence()?.term).toBe(1);
});

test('stopping in the middle of a look gives back what that look still brings, and never looks again', async () => {
  const { store, afterRead, lease } = memoryLeases();
  const held = Promise.withResolvers<void>();
  afterRead.push(() => held.promise);
  const { clock, leadership, fence } = await stand(store, 'a');
  const stopping = leadership.stop();
  held.resolve();
  await stopping;
  expect([fence(), lease()?.holder]).toEqual([undefined, '']);
  await pass(clock, 3 * leaseLength);
  expect(lease()).toMatchObject({ holder: '', term: 1 });
});

test('stopping while the store is away does not fail', async () => {
  const { store, faults } = memoryLeases();
  const { leadership } = await stand(store, 'a');
  faults.error = new Error('away');
  await expect(leadership.stop()).resolves.toBeUndefined();
});

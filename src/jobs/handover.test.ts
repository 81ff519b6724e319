/** Proves that the old root key stops giving access to the new one some time after a rotation, not during one. */
import { expect, test } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import type { RootKeyRow, RootSealedStore } from '../domain/sealing/sealing-store.ts';
import { handoverJob, handoverLength } from './handover.ts';

const minute = 60_000;
const key = (id: string, by?: string): RootKeyRow => ({
  id,
  handover: by === undefined ? undefined : { by, sealed: Buffer.of(1) },
});

function jobOver(first: readonly RootKeyRow[]) {
  const clock = manualClock();
  const state = { rows: first };
  const unused = () => Promise.reject(new Error('not in this test'));
  const store: RootSealedStore = {
    rootKeys: async () => state.rows,
    async endHandover(id) {
      state.rows = state.rows.map((row) => (row.id === id ? { id, handover: undefined } : row));
    },
    addRootKey: unused,
    notUnder: unused,
    replace: unused,
    retireOtherRootKeys: unused,
  };
  const job = handoverJob({ clock, store });
  /** The job runs once a minute, for so many minutes; answers how many handovers are left. */
  const run = async (minutes: number) => {
    for (let n = 0; n < minutes; n += 1) {
      await job.run({ lease: 'jobs', term: 1 });
      clock.advance(minute);
    }
    return state.rows.filter(({ handover }) => handover !== undefined).length;
  };
  return { clock, state, job, run };
}

test('a handover ends when its key has been the only one for the whole time, and not before', async () => {
  const { run, job } = jobOver([key('b', 'a')]);
  expect(job.every).toBe(minute);
  expect(await run(handoverLength / minute)).toBe(1);
  expect(await run(1)).toBe(0);
});

test('while a rotation is under way no handover ends, and the time begins anew after it', async () => {
  const { run, state } = jobOver([key('a'), key('b', 'a')]);
  expect(await run(30)).toBe(1);
  state.rows = [key('b', 'a')];
  expect(await run(8)).toBe(1);
  state.rows = [key('b', 'a'), key('c', 'b')];
  expect(await run(30)).toBe(2);
  state.rows = [key('c', 'b')];
  expect(await run(handoverLength / minute)).toBe(1);
  expect(await run(1)).toBe(0);
});

test('one rotation after another between two looks is another handover', async () => {
  const { run, state } = jobOver([key('b', 'a')]);
  expect(await run(8)).toBe(1);
  state.rows = [key('c', 'b')];
  expect(await run(handoverLength / minute)).toBe(1);
  expect(await run(1)).toBe(0);
});

test('without a handover there is nothing to end', async () => {
  for (const rows of [[], [key('a')]]) expect(await jobOver(rows).run(20)).toBe(0);
});

test('the wall clock has no say', async () => {
  const { clock, run } = jobOver([key('b', 'a')]);
  expect(await run(1)).toBe(1);
  clock.jump(30 * 86_400_000);
  expect(await run(1)).toBe(1);
});

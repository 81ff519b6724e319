import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

/** Runs that end when they are told to. */
function controlled() {
  const started: number[] = [];
  const ends: PromiseWithResolvers<number>[] = [];
  return {
    started,
    run: (id: number) => () => {
      started.push(id);
      const end = Promise.withResolvers<number>();
      ends[id] = end;
      return end.promise;
    },
    finish: (id: number) => ends[id]?.resolve(id),
    fail: (id: number) => ends[id]?.reject(new Error(`failure of ${id}`)),
  };
}

test('no more run at once than there are places, in the order in which they came', async () => {
  const turns = createTurns(2);
  const { started, run, finish } = controlled();
  const all = [0, 1, 2, 3].map((id) => turns(run(id)));
  expect(started).toEqual([0, 1]);
  finish(1);
  await all[1];
  await expect.poll(() => started).toEqual([0, 1, 2]);
  finish(2);
  await all[2];
  await expect.poll(() => started).toEqual([0, 1, 2, 3]);
  finish(0);
  finish(3);
  expect(await Promise.all(all)).toEqual([0, 1, 2, 3]);
});

test('one that comes when a place is handed on does not go before those who wait', async () => {
  const turns = createTurns(1);
  const { started, run, finish } = controlled();
  const first = turns(run(0));
  const second = turns(run(1));
  finish(0);
  const third = first.then(() => turns(run(2)));
  await expect.poll(() => started).toEqual([0, 1]);
  finish(1);
  await second;
  await expect.poll(() => started).toEqual([0, 1, 2]);
  finish(2);
  expect(await third).toBe(2);
});

test('a failure, also one that is thrown at once, gives its place back', async () => {
  const turns = createTurns(1);
  const { run, fail } = controlled();
  const failing = turns(run(0));
  const throwing = turns(() => {
    throw new Error('at once');
  });
  fail(0);
  await expect(failing).rejects.toThrow('failure of 0');
  await expect(throwing).rejects.toThrow('at once');
  expect(await turns(async () => 'run')).toBe('run');
});

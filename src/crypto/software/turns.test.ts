import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
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

describe('results while others wait', () => {
  /** Calls that wait for one place; `told` are those whose result was handed over. */
  function inOnePlace(kinds: readonly { readonly isShort: boolean }[]) {
    const turns = createTurns(1);
    const { run, finish, started } = controlled();
    const told: number[] = [];
    for (const [id, kind] of kinds.entries()) void turns(run(id), kind).then(() => told.push(id));
    const end = async (id: number) => {
      await expect.poll(() => started).toContain(id);
      finish(id);
      // The next has begun when the end of this one was seen to.
      if (id + 1 < kinds.length) await expect.poll(() => started).toContain(id + 1);
      // What is told is told in the same turn.
      await new Promise<void>((resolve) => setImmediate(resolve));
    };
    return { told, end };
  }
  const [short, long] = [{ isShort: true }, { isShort: false }];

  test('of short ones are told four at a time, and the last as soon as nobody waits', async () => {
    const { told, end } = inOnePlace([short, short, short, short, short, short]);
    for (const id of [0, 1, 2]) await end(id);
    expect(told).toEqual([]);
    await end(3);
    expect(told).toEqual([0, 1, 2, 3]);
    await end(4);
    expect(told).toEqual([0, 1, 2, 3]);
    await end(5);
    expect(told).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('are not kept for the end of a long one', async () => {
    const { told, end } = inOnePlace([short, short, long, short]);
    await end(0);
    expect(told).toEqual([]);
    await end(1);
    expect(told).toEqual([0, 1]);
    await end(2);
    expect(told).toEqual([0, 1]);
    await end(3);
    expect(told).toEqual([0, 1, 2, 3]);
  });

  test('of whatever kinds, at however many places, are all told', async () => {
    const outcomes = fc.array(fc.record({ isShort: fc.boolean(), turns: fc.nat(3), fails: fc.boolean() }), {
      maxLength: 40,
    });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), outcomes, async (places, calls) => {
        const turns = createTurns(places);
        let running = 0;
        const all = calls.map(({ isShort, turns: lasting, fails }, id) =>
          turns(
            async () => {
              running += 1;
              if (running > places) throw new Error('too many at once');
              for (let turn = 0; turn < lasting; turn += 1)
                await new Promise<void>((resolve) => setImmediate(resolve));
              running -= 1;
              if (fails) throw id;
              return id;
            },
            { isShort },
          ).then(
            (value) => ({ value, fails: false }),
            (value: unknown) => ({ value, fails: true }),
          ),
        );
        expect(await Promise.all(all)).toEqual(calls.map(({ fails }, value) => ({ value, fails })));
      }),
    );
  });
});

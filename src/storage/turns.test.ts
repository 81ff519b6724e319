/** Proves that work of one key never overlaps, that other keys do not wait for it, and that failures end a turn too. */
import { expect, test } from 'vitest';
import { createTurns } from './turns.ts';

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Work that ends when the test says so. */
function heldWork(log: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const work = () => {
    log.push(`${name} begins`);
    return promise.finally(() => log.push(`${name} ends`));
  };
  return { work, end: () => resolve(name), fail: (error: Error) => reject(error) };
}

test('work of one key goes one after the other, in order; work of other keys side by side', async () => {
  const turns = createTurns();
  const log: string[] = [];
  const [a1, a2, a3, b] = ['a1', 'a2', 'a3', 'b'].map((name) => heldWork(log, name));
  if (!a1 || !a2 || !a3 || !b) throw new Error('there are four');
  const done = [a1, a2, a3].map(({ work }) => turns.take('a', work));
  const other = turns.take('b', b.work);
  for (const { end } of [a3, a2, b]) end();
  expect(await other).toBe('b');
  await settled();
  expect(log).toEqual(['a1 begins', 'b begins', 'b ends']);
  a1.end();
  expect(await Promise.all(done)).toEqual(['a1', 'a2', 'a3']);
  expect(log.slice(3)).toEqual(['a1 ends', 'a2 begins', 'a2 ends', 'a3 begins', 'a3 ends']);
});

test('work that fails, at once or later, fails its asker alone', async () => {
  const turns = createTurns();
  const log: string[] = [];
  const held = heldWork(log, 'held');
  const error = new Error('no');
  const throwing = () => {
    throw error;
  };
  const first = turns.take('a', throwing);
  const outcomes = Promise.allSettled([
    first,
    turns.take('a', held.work),
    turns.take('a', throwing),
    turns.take('a', async () => 'last'),
  ]);
  held.fail(error);
  expect(await outcomes).toEqual([
    { status: 'rejected', reason: error },
    { status: 'rejected', reason: error },
    { status: 'rejected', reason: error },
    { status: 'fulfilled', value: 'last' },
  ]);
  expect(log).toEqual(['held begins', 'held ends']);
});

test('who comes after all have ended begins at once', async () => {
  const turns = createTurns();
  await turns.take('a', async () => 'first');
  await settled();
  let begun = false;
  const second = turns.take('a', async () => {
    begun = true;
  });
  expect(begun).toBe(true);
  await second;
});

test('thousands of keys, each with its own turns, lose none', async () => {
  const turns = createTurns();
  const counts = new Map<string, number>();
  const add = (key: string) =>
    turns.take(key, async () => {
      const seen = counts.get(key) ?? 0;
      await settled();
      counts.set(key, seen + 1);
    });
  const keys = Array.from({ length: 1000 }, (_, n) => `key ${n}`);
  await Promise.all([...keys, ...keys, ...keys].map(add));
  expect([...counts.values()].every((count) => count === 3)).toBe(true);
  expect(counts.size).toBe(1000);
});

/** Proves that the checker of histories finds what the model forbids, and lets pass what it allows. */
import { describe, expect, test } from 'vitest';
import {
  checkRegister,
  checkTimeline,
  checkVersions,
  type Look,
  type Register,
  type Step,
} from './history.ts';

const none = () => 0;
const strict = { written: none, shown: none, longest: 0 };
/** Processes other than the changer's may be 500 ms behind. */
const behind = (from: string, to: string) => (from === to ? 0 : 500);
const relaxed = { written: behind, shown: behind, longest: 500 };
/** What was answered is seen by all; before that, processes may differ. */
const answered = { written: none, shown: behind, longest: 500 };

type Plain = readonly [process: string, begin: number, end: number, value: string];

const span = ([process, begin, end]: readonly [string, number, number, ...unknown[]]) => ({
  process,
  begin,
  end,
});

function register(
  writes: readonly Plain[],
  reads: readonly (readonly [string, number, number, string?])[],
): Register {
  return {
    writes: writes.map((write) => ({ ...span(write), value: write[3] })),
    reads: reads.map((read) => ({ ...span(read), value: read[3] })),
  };
}

describe('a register', () => {
  test.each<[string, Register]>([
    [
      'reads of what is there',
      register(
        [
          ['a', 0, 1, 'x'],
          ['b', 2, 3, 'y'],
        ],
        [
          ['b', 1.5, 1.8, 'x'],
          ['a', 4, 5, 'y'],
        ],
      ),
    ],
    ['nothing before the first write', register([['a', 5, 6, 'x']], [['b', 0, 1]])],
    [
      'either value while one is written',
      register(
        [
          ['a', 0, 1, 'x'],
          ['a', 2, 9, 'y'],
        ],
        [
          ['a', 3, 4, 'x'],
          ['a', 5, 6, 'y'],
        ],
      ),
    ],
    [
      'writes side by side in either order',
      register(
        [
          ['a', 0, 9, 'x'],
          ['b', 0, 9, 'y'],
        ],
        [
          ['a', 10, 11, 'y'],
          ['b', 12, 13, 'y'],
        ],
      ),
    ],
    [
      'an unanswered write, late',
      register(
        [
          ['a', 0, 1, 'x'],
          ['b', 2, Infinity, 'y'],
        ],
        [
          ['a', 3, 4, 'x'],
          ['a', 90, 91, 'y'],
        ],
      ),
    ],
    [
      'an unanswered write, never',
      register(
        [
          ['a', 0, 1, 'x'],
          ['b', 2, Infinity, 'y'],
        ],
        [
          ['a', 3, 4, 'x'],
          ['a', 90, 91, 'x'],
        ],
      ),
    ],
  ])('strict model, allowed: %s', (_what, history) => {
    expect(checkRegister(history, strict)).toEqual([]);
  });

  test.each<[string, Register]>([
    [
      'a value that was replaced',
      register(
        [
          ['a', 0, 1, 'x'],
          ['a', 2, 3, 'y'],
        ],
        [['b', 4, 5, 'x']],
      ),
    ],
    ['nothing after a write', register([['a', 0, 1, 'x']], [['b', 4, 5]])],
    ['a value that nobody wrote', register([['a', 0, 1, 'x']], [['b', 4, 5, 'z']])],
    ['a value before its write', register([['a', 9, 10, 'x']], [['b', 4, 5, 'x']])],
    [
      'new, then old, while a write is under way',
      register(
        [
          ['a', 0, 1, 'x'],
          ['a', 2, 9, 'y'],
        ],
        [
          ['b', 3, 4, 'y'],
          ['b', 5, 6, 'x'],
        ],
      ),
    ],
    [
      'two orders of two writes',
      register(
        [
          ['a', 0, 3, 'x'],
          ['b', 0, 3, 'y'],
        ],
        [
          ['a', 4, 5, 'x'],
          ['b', 6, 7, 'y'],
        ],
      ),
    ],
    [
      'an unanswered write that comes and goes',
      register(
        [
          ['a', 0, 1, 'x'],
          ['b', 2, Infinity, 'y'],
        ],
        [
          ['a', 3, 4, 'y'],
          ['a', 5, 6, 'x'],
        ],
      ),
    ],
  ])('strict model, forbidden: %s', (_what, history) => {
    expect(checkRegister(history, strict)).not.toEqual([]);
  });

  const changed: Plain[] = [
    ['a', 0, 1, 'x'],
    ['a', 2, 3, 'y'],
  ];
  test('relaxed model: another process may be behind for as long as the bound', () => {
    expect(checkRegister(register(changed, [['b', 502, 503, 'x']]), relaxed)).toEqual([]);
    expect(checkRegister(register(changed, [['b', 504, 505, 'x']]), relaxed)).not.toEqual([]);
  });
  test('relaxed model: the process that wrote may not', () => {
    expect(checkRegister(register(changed, [['a', 4, 5, 'x']]), relaxed)).not.toEqual([]);
  });
  test('relaxed model: no process goes back', () => {
    expect(
      checkRegister(
        register(changed, [
          ['b', 4, 5, 'y'],
          ['b', 6, 7, 'x'],
        ]),
        relaxed,
      ),
    ).not.toEqual([]);
    expect(
      checkRegister(
        register(changed, [
          ['b', 4, 5, 'y'],
          ['c', 6, 7, 'x'],
        ]),
        relaxed,
      ),
    ).toEqual([]);
  });
});

test('what is not answered yet may be seen here and not there, but stays seen here', () => {
  const open: Plain[] = [
    ['a', 0, 1, 'x'],
    ['a', 2, 9, 'y'],
  ];
  const read = (process: string, at: number, value: string) => [process, at, at + 0.5, value] as const;
  expect(checkRegister(register(open, [read('b', 3, 'y'), read('c', 4, 'x')]), answered)).toEqual([]);
  expect(checkRegister(register(open, [read('b', 3, 'y'), read('b', 4, 'x')]), answered)).not.toEqual([]);
  expect(checkRegister(register(open, [read('b', 3, 'y'), read('c', 10, 'x')]), answered)).not.toEqual([]);
});

describe('a timeline', () => {
  const step = (process: string, begin: number, end: number, state: string): Step<string> => ({
    what: state,
    process,
    begin,
    end,
    state,
  });
  const look = (process: string, begin: number, end: number, saw: string): Look<string> => ({
    ...{ process, begin, end, saw },
    fits: (state) => state === saw,
  });
  const steps = [step('a', 10, 11, 'off'), step('a', 600, 601, 'on'), step('a', 1200, 1201, 'off')];
  const check = (...looks: Look<string>[]) => checkTimeline({ initial: 'on', steps, looks }, relaxed);

  test('allowed: what holds, what is under way, and what is behind within the bound', () => {
    expect(check(look('a', 0, 5, 'on'), look('a', 12, 13, 'off'), look('a', 600.2, 600.4, 'on'))).toEqual([]);
    expect(check(look('b', 500, 501, 'on'), look('b', 502, 503, 'off'))).toEqual([]);
  });
  test('forbidden: behind at home, behind beyond the bound, ahead, and back', () => {
    expect(check(look('a', 12, 13, 'on'))).toHaveLength(1);
    expect(check(look('b', 512, 513, 'on'))).toHaveLength(1);
    expect(check(look('b', 5, 6, 'off'))).toHaveLength(1);
    expect(check(look('b', 15, 16, 'off'), look('b', 17, 18, 'on'))).toHaveLength(1);
  });
  test('what one process showed, others show once the bound is over', () => {
    const open = [step('a', 10, Infinity, 'off')];
    const seen = (begin: number) =>
      checkTimeline(
        { initial: 'on', steps: open, looks: [look('b', 20, 21, 'off'), look('c', begin, begin + 1, 'on')] },
        relaxed,
      );
    expect(seen(300)).toEqual([]);
    expect(seen(522)).toHaveLength(1);
  });
  test('a change without an answer may be done or not, but is replaced by a later one', () => {
    const doubtful = [step('a', 10, Infinity, 'off'), step('a', 20, 21, 'on')];
    const at = (...looks: Look<string>[]) =>
      checkTimeline({ initial: 'on', steps: doubtful, looks }, relaxed);
    expect(at(look('a', 12, 13, 'on'), look('a', 14, 15, 'off'))).toEqual([]);
    expect(at(look('a', 12, 13, 'off'), look('a', 14, 15, 'on'))).toHaveLength(1);
    expect(at(look('a', 30, 31, 'off'))).toHaveLength(1);
  });
});

test('versions have one value', () => {
  expect(
    checkVersions([
      ['1', 'x'],
      ['2', 'y'],
      ['1', 'x'],
    ]),
  ).toEqual([]);
  expect(
    checkVersions([
      ['1', 'x'],
      ['2', 'y'],
      ['1', 'y'],
    ]),
  ).toHaveLength(1);
});

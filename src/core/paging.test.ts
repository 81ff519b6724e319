/** Proves that pages end where they should, and that a skip token is good for its own list only. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure, isFailure } from './errors.ts';
import { decodeSkipToken, encodeSkipToken, pageOf } from './paging.ts';

/** Fixed, so that a failure is the same everywhere. */
const seed = 74;

describe('skip tokens', () => {
  const anyText = fc.string({ unit: 'binary', maxLength: 60 });

  it('give back their position to the list that they were made for, and survive a URL', () => {
    fc.assert(
      fc.property(anyText, anyText, (list, after) => {
        const token = encodeSkipToken(list, after);
        expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(new URL(`https://h/?$skiptoken=${token}`).searchParams.get('$skiptoken')).toBe(token);
        expect(decodeSkipToken(list, token)).toBe(after);
      }),
      { seed },
    );
  });

  it('are refused by every other list', () => {
    const token = encodeSkipToken('secrets', 'A');
    for (const list of ['deletedsecrets', 'Secrets', '', 'secrets/A/versions']) {
      expect(() => decodeSkipToken(list, token)).toThrow(Failure);
    }
  });

  it('are refused when anything about them is odd, and always in the same words', () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = encodeSkipToken('l', 'A');
    const odd = [
      '',
      'x',
      '!!!!',
      `${token}=`,
      `${token} `,
      token.slice(0, -1),
      token.slice(1),
      encode(null),
      encode([]),
      encode('A'),
      encode({}),
      encode({ v: 2, list: 'l', after: 'A' }),
      encode({ v: 1, list: 'l' }),
      encode({ v: 1, list: 'l', after: 1 }),
      encode({ v: 1, list: 'l', after: ['A'] }),
      encode({ v: 1, list: 'l', after: 'A', more: true }),
      encode({ list: 'l', v: 1, after: 'A' }),
      Buffer.from('{"v":1, "list":"l","after":"A"}').toString('base64url'),
    ];
    const words = new Set<string>();
    for (const wrong of odd) {
      try {
        decodeSkipToken('l', wrong);
        expect(wrong).toBe('refused');
      } catch (error) {
        expect(isFailure(error, 'badParameter')).toBe(true);
        words.add((error as Failure).message);
      }
    }
    expect(words.size).toBe(1);
    fc.assert(
      fc.property(anyText, (text) => {
        if (text !== token) expect(() => decodeSkipToken('l', text)).toThrow(Failure);
      }),
      { seed },
    );
  });
});

describe('a page', () => {
  it('names the next one only when there is more', () => {
    const rows = ['a', 'b', 'c'];
    const self = (row: string) => row;
    expect(pageOf(rows, 2, self)).toEqual({ items: ['a', 'b'], next: 'b' });
    expect(pageOf(rows, 3, self)).toEqual({ items: rows, next: undefined });
    expect(pageOf([], 1, self)).toEqual({ items: [], next: undefined });
  });
});

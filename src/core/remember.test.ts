import { describe, expect, it } from 'vitest';
import { remember, rememberByIdentity } from './remember.ts';

function counting<K>() {
  const asked: K[] = [];
  const make = (key: K) => {
    asked.push(key);
    return { key };
  };
  return { asked, make };
}

describe('remember', () => {
  it('makes once what is asked for again', () => {
    const { asked, make } = counting<string>();
    const get = remember({ longest: 10, most: 10 }, make);
    expect(get('a')).toBe(get('a'));
    expect(get('b')).toEqual({ key: 'b' });
    expect(asked).toEqual(['a', 'b']);
  });

  it('does not remember texts that are too long', () => {
    const { asked, make } = counting<string>();
    const get = remember({ longest: 3, most: 10 }, make);
    get('abcd');
    expect(get('abcd')).toEqual({ key: 'abcd' });
    expect(asked).toEqual(['abcd', 'abcd']);
  });

  it('forgets everything rather than hold more than it may', () => {
    const { asked, make } = counting<string>();
    const get = remember({ longest: 3, most: 2 }, make);
    for (const text of ['a', 'b', 'c', 'c', 'a']) get(text);
    expect(asked).toEqual(['a', 'b', 'c', 'a']);
  });

  it('does not remember a failure', () => {
    let failing = true;
    const get = remember({ longest: 3, most: 2 }, (text) => {
      if (failing) throw new Error('no');
      return text;
    });
    expect(() => get('a')).toThrow('no');
    failing = false;
    expect(get('a')).toBe('a');
  });

  it('tells texts apart by their UTF-16 units, lone halves of pairs among them', () => {
    const get = remember({ longest: 3, most: 10 }, (text) => text.charCodeAt(0));
    expect(get('\ud800')).toBe(0xd800);
    expect(get('\ud801')).toBe(0xd801);
    expect(get('\ufffd')).toBe(0xfffd);
  });
});

describe('rememberByIdentity', () => {
  it('makes once for each object, and anew for an equal one', () => {
    const { asked, make } = counting<object>();
    const get = rememberByIdentity(make);
    const one = { a: 1 };
    expect(get(one)).toBe(get(one));
    expect(get({ a: 1 })).not.toBe(get(one));
    expect(asked).toHaveLength(2);
  });
});

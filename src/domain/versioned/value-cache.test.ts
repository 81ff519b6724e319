/**
 * Proves that a kept value is never older than the last news of its object, bypassed while there is no news, never
 * more than the bound, and gone when idle.
 */
import { expect, test } from 'vitest';
import { manualClock } from '../../../test/support/identity.ts';
import { createChangeHub, everyKey } from '../../core/changes.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { type ObjectKey, objectChangeKey } from './object-store.ts';
import { createValueCache, type OpenedVersion } from './value-cache.ts';

const key = (nameKey: string): ObjectKey => ({ vaultId: 'v', kind: 'secrets', nameKey });

function opened(text: string): OpenedVersion<SecretBytes> {
  return {
    head: {
      name: 'n',
      currentVersion: 'c',
      deletedAt: undefined,
      purgeAt: undefined,
      detail: undefined,
      dueAt: undefined,
    },
    version: {
      version: 'c',
      enabled: true,
      notBefore: undefined,
      expires: undefined,
      created: 0,
      // Other values here are of other states.
      updated: text.length,
      managed: false,
      tags: undefined,
      detail: undefined,
    },
    value: SecretBytes.fromText(text),
  };
}

function cacheOf(limits: { bytes: number; idle: number } = { bytes: 1_000_000, idle: 60_000 }) {
  const clock = manualClock();
  const news = { fresh: true };
  const hub = createChangeHub(() => news.fresh);
  const dropped: string[] = [];
  const cache = createValueCache<SecretBytes>(
    { clock, feed: hub },
    {
      ...limits,
      sizeOf: (value) => value.length,
      dropped: (value) => dropped.push(value.exposeText()),
    },
  );
  const changed = (name: string) => hub.publish([{ topic: 'object', key: objectChangeKey(key(name)) }]);
  const keep = (name: string, text: string, version?: string) =>
    cache.put(key(name), version, { opened: opened(text), mark: cache.mark(key(name)) });
  const seen = (name: string, version?: string) => cache.get(key(name), version)?.value.exposeText();
  return { clock, news, hub, cache, changed, keep, seen, dropped };
}

test('the current version and each named one are kept apart, and forgotten together', () => {
  const { changed, keep, seen } = cacheOf();
  keep('A', 'current');
  keep('A', 'old', '01');
  keep('B', 'other');
  expect([seen('A'), seen('A', '01'), seen('A', '02'), seen('B')]).toEqual([
    'current',
    'old',
    undefined,
    'other',
  ]);
  changed('A');
  expect([seen('A'), seen('A', '01'), seen('B')]).toEqual([undefined, undefined, 'other']);
});

const overtaking: [string, (cache: ReturnType<typeof cacheOf>) => void][] = [
  ['its object', ({ changed }) => changed('A')],
  ['anything', ({ hub }) => hub.publish([{ topic: 'object', key: everyKey }])],
  ['nobody knows what', ({ hub }) => hub.lapse()],
];

test.each(overtaking)('what was read before a change of %s is not kept after it', (_what, change) => {
  const all = cacheOf();
  all.keep('A', 'kept');
  const mark = all.cache.mark(key('A'));
  change(all);
  expect(all.seen('A')).toBeUndefined();
  all.cache.put(key('A'), undefined, { opened: opened('stale'), mark });
  expect(all.seen('A')).toBeUndefined();
  all.keep('A', 'read again');
  expect(all.seen('A')).toBe('read again');
});

test('news of one object costs no other anything, also while it is read', () => {
  const { cache, hub, changed, keep, seen } = cacheOf();
  keep('A', 'kept');
  const mark = cache.mark(key('B'));
  changed('C');
  hub.publish([{ topic: 'vault', key: objectChangeKey(key('A')) }]);
  cache.put(key('B'), undefined, { opened: opened('read meanwhile'), mark });
  expect([seen('A'), seen('B')]).toEqual(['kept', 'read meanwhile']);
});

test('without fresh news nothing is answered from memory; news that caught up brings back what it did not touch', () => {
  const { news, changed, keep, seen } = cacheOf();
  for (const name of ['A', 'B']) keep(name, name);
  news.fresh = false;
  expect([seen('A'), seen('B')]).toEqual([undefined, undefined]);
  changed('A');
  news.fresh = true;
  expect([seen('A'), seen('B')]).toEqual([undefined, 'B']);
});

test('two reads that come one after the other take the room of one', () => {
  const { cache, changed, keep, seen } = cacheOf({ bytes: 2 * 1024 + 1000, idle: 60_000 });
  for (let round = 0; round < 50; round += 1) {
    // Both began before the news of a change that only the second has seen.
    const mark = cache.mark(key('A'));
    cache.put(key('A'), undefined, { opened: opened('x'.repeat(900)), mark });
    cache.put(key('A'), undefined, { opened: opened(''), mark });
    changed('A');
  }
  for (const name of ['B', 'C']) keep(name, 'y'.repeat(500));
  expect([seen('B'), seen('C')]).toEqual(['y'.repeat(500), 'y'.repeat(500)]);
  for (let round = 0; round < 50; round += 1) {
    const mark = cache.mark(key('A'));
    cache.put(key('A'), undefined, { opened: opened(''), mark });
    cache.put(key('A'), undefined, { opened: opened('x'.repeat(900)), mark });
    changed('A');
  }
  for (const name of ['B', 'C', 'D', 'E']) keep(name, 'y'.repeat(500));
  expect(['B', 'C', 'D', 'E'].filter((name) => seen(name) !== undefined)).toEqual(['D', 'E']);
});

test('the oldest go when the bound is reached, and what is dropped frees its room', () => {
  const { changed, keep, seen } = cacheOf({ bytes: 3 * 2048, idle: 60_000 });
  const text = 'x'.repeat(1000);
  for (const name of ['A', 'B', 'C']) keep(name, text);
  expect([seen('A'), seen('B'), seen('C')].every((value) => value === undefined)).toBe(false);
  keep('D', text);
  expect(seen('A')).toBeUndefined();
  expect(seen('D')).toBe(text);
  for (const name of ['B', 'C', 'D']) changed(name);
  for (const name of ['E', 'F', 'G']) keep(name, text);
  expect([seen('E'), seen('F'), seen('G')]).toEqual([text, text, text]);
});

test('values that nobody reads are let go, those in use stay', () => {
  const { clock, keep, seen } = cacheOf();
  keep('used', 'u');
  keep('idle', 'i');
  for (let half = 0; half < 4; half += 1) {
    clock.advance(30_000);
    expect(seen('used')).toBe('u');
  }
  expect(seen('idle')).toBeUndefined();
  clock.advance(120_000);
  expect(seen('used')).toBeUndefined();
});

test('what the store shows of an object is not followed by an older state from memory', () => {
  const { cache, keep, seen } = cacheOf();
  const { head } = opened('');
  const entries = ['SAME', 'NEW', 'DELETED', 'GONE'];
  for (const name of entries) for (const version of [undefined, '01']) keep(name, 'kept', version);
  const late = cache.mark(key('NEW'));
  cache.saw(key('SAME'), { ...head });
  cache.saw(key('NEW'), { ...head, currentVersion: 'd' });
  cache.saw(key('DELETED'), { ...head, deletedAt: 1, purgeAt: 2 });
  cache.saw(key('GONE'), undefined);
  cache.saw(key('UNKNOWN'), undefined);
  expect(entries.map((name) => [seen(name), seen(name, '01')])).toEqual([
    ['kept', 'kept'],
    [undefined, undefined],
    [undefined, undefined],
    [undefined, undefined],
  ]);
  // Read before, and put after.
  cache.put(key('NEW'), undefined, { opened: opened('old'), mark: late });
  expect(seen('NEW')).toBeUndefined();
});

test('of two reads of one state the first is kept for both, and what is let go is told of once', () => {
  const { cache, changed, dropped, seen } = cacheOf();
  const mark = cache.mark(key('A'));
  const put = (text: string) =>
    cache.put(key('A'), undefined, { opened: opened(text), mark })?.value.exposeText();
  expect(put('one')).toBe('one');
  expect(put('two')).toBe('one');
  expect(dropped).toEqual([]);
  expect(put('newer')).toBe('newer');
  expect(dropped).toEqual(['one']);
  cache.clear();
  expect([seen('A'), put('late')]).toEqual([undefined, undefined]);
  changed('A');
  expect(dropped).toEqual(['one', 'newer']);
});

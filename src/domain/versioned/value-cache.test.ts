/** Proves that a kept value is never older than the last write, never more than the bound, and gone when idle. */
import { expect, test } from 'vitest';
import { manualClock } from '../../../test/support/identity.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { ObjectKey, ObjectWriter } from './object-store.ts';
import { createValueCache, forgettingWriter, type OpenedVersion } from './value-cache.ts';

const key = (nameKey: string): ObjectKey => ({ vaultId: 'v', kind: 'secrets', nameKey });

function opened(text: string): OpenedVersion {
  return {
    head: { name: 'n', currentVersion: 'c', deletedAt: undefined, purgeAt: undefined },
    version: {
      version: 'c',
      enabled: true,
      notBefore: undefined,
      expires: undefined,
      created: 0,
      updated: 0,
      managed: false,
      tags: undefined,
      detail: undefined,
    },
    value: SecretBytes.fromText(text),
  };
}

function cacheOf(limits: { bytes: number; idle: number } = { bytes: 1_000_000, idle: 60_000 }) {
  const clock = manualClock();
  const cache = createValueCache(clock, limits);
  const keep = (name: string, text: string, version?: string) =>
    cache.put(key(name), version, { opened: opened(text), mark: cache.mark(key(name)) });
  const seen = (name: string, version?: string) => cache.get(key(name), version)?.value.exposeText();
  return { clock, cache, keep, seen };
}

test('the current version and each named one are kept apart, and forgotten together', () => {
  const { cache, keep, seen } = cacheOf();
  keep('A', 'current');
  keep('A', 'old', '01');
  keep('B', 'other');
  expect([seen('A'), seen('A', '01'), seen('A', '02'), seen('B')]).toEqual([
    'current',
    'old',
    undefined,
    'other',
  ]);
  cache.forget(key('A'));
  expect([seen('A'), seen('A', '01'), seen('B')]).toEqual([undefined, undefined, 'other']);
});

test('what was read before a write is not kept after it', () => {
  const { cache, seen } = cacheOf();
  const mark = cache.mark(key('A'));
  cache.forget(key('A'));
  cache.put(key('A'), undefined, { opened: opened('stale'), mark });
  expect(seen('A')).toBeUndefined();
});

test('a writer forgets its object whether the write succeeded or not, and before it is known', async () => {
  const { cache, keep, seen } = cacheOf();
  let fail = false;
  const store: ObjectWriter = {
    async change() {
      if (fail) throw new Error('no');
      return undefined as never;
    },
  };
  const writer = forgettingWriter(store, cache);
  const change = () =>
    writer.change(key('A'), { version: undefined }, () => ({ head: 'same' as const, result: undefined }));
  keep('A', 'before');
  await change();
  expect(seen('A')).toBeUndefined();
  keep('A', 'before');
  fail = true;
  await expect(change()).rejects.toThrow('no');
  expect(seen('A')).toBeUndefined();
});

test('the oldest go when the bound is reached, and what is dropped frees its room', () => {
  const { cache, keep, seen } = cacheOf({ bytes: 3 * 2048, idle: 60_000 });
  const text = 'x'.repeat(1000);
  for (const name of ['A', 'B', 'C']) keep(name, text);
  expect([seen('A'), seen('B'), seen('C')].every((value) => value === undefined)).toBe(false);
  keep('D', text);
  expect(seen('A')).toBeUndefined();
  expect(seen('D')).toBe(text);
  for (const name of ['B', 'C', 'D']) cache.forget(key(name));
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

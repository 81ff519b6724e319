/** Proves that the server's own secrets open under their own name and root key only, and that makers agree. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDomain, type TestDomain } from '../../../test/support/domain.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { SealBroken } from '../../crypto/sealing.ts';
import type { Writer } from '../../storage/database.ts';
import { createSealedItemStore } from '../../storage/sealing.ts';
import { createSealedItems, openItem, sealItem } from './sealed-items.ts';
import { type SealedItemRow, type SealedItemStore, StaleRootKey } from './sealing-store.ts';

const text = (value: string) => SecretBytes.fromText(value);

let domain: TestDomain;
let store: SealedItemStore;
beforeAll(async () => {
  domain = await openTestDomain();
  store = createSealedItemStore(domain.data.db);
});
afterAll(() => domain.close());

async function stored(name: string, value: string): Promise<SealedItemRow> {
  await domain.data.items.put(name, text(value));
  const row = await store.item(name);
  if (row === undefined) throw new Error(`${name} is not there`);
  return row;
}

test('gives back what was put last, also after a restart', async () => {
  const { items } = domain.data;
  expect(await items.get('put')).toBeUndefined();
  await items.put('put', text('one'));
  await items.put('put', text('two'));
  expect((await items.get('put'))?.exposeText()).toBe('two');
  await domain.reopen();
  store = createSealedItemStore(domain.data.db);
  expect((await domain.data.items.get('put'))?.exposeText()).toBe('two');
});

test('the stored bytes show nothing of the value', async () => {
  const row = await stored('hidden', 'a value to look for');
  expect(Buffer.from(row.sealed).toString('latin1')).not.toContain('value');
});

test('a row under another name, another root key id, or with any byte changed does not open', async () => {
  const { rootKey } = domain.data;
  const row = await stored('a', 'value of a');
  const other = await stored('b', 'value of b');
  expect(() => openItem(rootKey, { ...row, name: 'b' })).toThrow(SealBroken);
  expect(() => openItem(rootKey, { ...row, sealed: other.sealed })).toThrow(SealBroken);
  expect(() => openItem(rootKey, { ...row, rootKeyId: domain.tools.random.guid() })).toThrow(SealBroken);
  for (let at = 0; at < row.sealed.length; at += 1) {
    const sealed = Buffer.from(row.sealed);
    sealed[at] = (sealed[at] ?? 0) ^ 0x10;
    expect(() => openItem(rootKey, { ...row, sealed })).toThrow(SealBroken);
  }
  await store.putItem({ ...row, name: 'b' });
  await expect(domain.data.items.get('b')).rejects.toThrow(SealBroken);
});

test('all who make an item at once end up with the same one', async () => {
  const { items } = domain.data;
  const made = await Promise.all(
    Array.from({ length: 20 }, (_, maker) => items.getOrMake('made-once', async () => text(`by ${maker}`))),
  );
  expect(new Set(made.map((value) => value.exposeText())).size).toBe(1);
  const again = await items.getOrMake('made-once', () => text('too late'));
  expect(again.exposeText()).toBe(made[0]?.exposeText());
});

test('a maker that fails leaves nothing behind', async () => {
  const { items } = domain.data;
  await expect(items.getOrMake('failed', () => Promise.reject(new Error('no luck')))).rejects.toThrow(
    'no luck',
  );
  expect(await items.get('failed')).toBeUndefined();
});

test('of swaps from the same state one wins', async () => {
  const { items } = domain.data;
  const first = await Promise.all(
    ['a', 'b', 'c'].map((value) => items.swap('swapped', text(value), undefined)),
  );
  expect(first).toEqual([true, false, false]);
  const state = await items.read('swapped');
  expect(state?.value.exposeText()).toBe('a');
  const second = await Promise.all(
    ['d', 'e'].map((value) => items.swap('swapped', text(value), state?.mark)),
  );
  expect(second).toEqual([true, false]);
  expect((await items.get('swapped'))?.exposeText()).toBe('d');
  expect(await items.swap('swapped', text('f'), state?.mark)).toBe(false);
});

test('an item under a root key that is not in hand is refused, not taken for missing', async () => {
  const { random } = domain.tools;
  const foreign = await openTestDomain();
  try {
    const row = sealItem({ rootKeys: foreign.data.rootKey, random }, 'foreign', text('value'));
    await expect(store.putItem(row)).rejects.toThrow(StaleRootKey);
    // As one with write access to the database can.
    const values = { name: row.name, root_key_id: row.rootKeyId, sealed: row.sealed };
    const run = (tx: Writer) => tx.insertInto('sealed_items').values(values).execute();
    await domain.data.db.write({ name: 'tamper', run }, null);
    const items = createSealedItems({ store, rootKeys: domain.data.rootKeys, random });
    await expect(items.get('foreign')).rejects.toThrow(SealBroken);
    await expect(items.getOrMake('foreign', () => text('new'))).rejects.toThrow(SealBroken);
  } finally {
    await foreign.close();
    await domain.data.items.put('foreign', text('ours'));
  }
});

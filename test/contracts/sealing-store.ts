/** What every store of sealed rows must do: items, vault keys and the data keys under them; run on each database. */
import { describe, expect, it } from 'vitest';
import type {
  RootSealedStore,
  SealedItemRow,
  SealedItemStore,
} from '../../src/domain/sealing/sealing-store.ts';
import type { ObjectStores } from './object-store.ts';
import { guid, objectKey, sealedVersion, vaultKeyRow, vaultRecord, versionId } from './rows.ts';

export interface SealingStores extends ObjectStores {
  readonly items: SealedItemStore;
  readonly underRoot: RootSealedStore;
}

const [oldRoot, newRoot] = [guid(800), guid(801)];

function item(name: string, sealed = `sealed ${name}`, rootKeyId = oldRoot): SealedItemRow {
  return { name, rootKeyId, sealed: Buffer.from(sealed) };
}

const textOf = (row: { sealed: Uint8Array } | undefined) => row && Buffer.from(row.sealed).toString();

/** Defines the suite; `makeStores` gives empty stores of one database each time. */
export function sealingStoreContract(makeStores: () => Promise<SealingStores>): void {
  async function open() {
    const stores = await makeStores();
    for (const n of [1, 2]) await stores.vaults.add(vaultRecord(n), vaultKeyRow(guid(n)));
    return stores;
  }

  async function addObjects(stores: SealingStores, vault: number, count: number) {
    for (let n = 0; n < count; n += 1) {
      const version = sealedVersion(n);
      const head = {
        name: `n${n}`,
        currentVersion: version.version,
        deletedAt: undefined,
        purgeAt: undefined,
      };
      const change = { head, add: [version], result: undefined };
      await stores.writer.change(objectKey(vault, `N${n}`), { version: undefined }, () => change);
    }
  }

  describe('sealed item store', () => {
    it('adds, replaces and finds by name', async () => {
      const { items } = await open();
      expect(await items.item('a')).toBeUndefined();
      await items.putItem(item('a', 'one'));
      await items.putItem(item('a', 'two', newRoot));
      await items.putItem(item('A', 'other'));
      expect(await items.item('a')).toMatchObject({ name: 'a', rootKeyId: newRoot });
      expect(textOf(await items.item('a'))).toBe('two');
      expect(textOf(await items.item('A'))).toBe('other');
    });

    it('adds once and answers what is there', async () => {
      const { items } = await open();
      const rows = await Promise.all(['x', 'y', 'z'].map((value) => items.addItem(item('a', value))));
      expect(rows.map(textOf)).toEqual(['x', 'x', 'x']);
    });

    it('swaps only what is as expected', async () => {
      const { items } = await open();
      expect(await items.swapItem(item('a', 'one'), Buffer.from('zero'))).toBe(false);
      expect(await items.item('a')).toBeUndefined();
      expect(await items.swapItem(item('a', 'one'), undefined)).toBe(true);
      expect(await items.swapItem(item('a', 'two'), undefined)).toBe(false);
      expect(await items.swapItem(item('a', 'two'), Buffer.from('one'))).toBe(true);
      expect(await items.swapItem(item('a', 'three'), Buffer.from('one'))).toBe(false);
      expect(textOf(await items.item('a'))).toBe('two');
    });
  });

  describe('vault key store', () => {
    it("gives a vault's keys, adds versions, refuses one that is taken", async () => {
      const { vaultKeys } = await open();
      await vaultKeys.addVaultKey(vaultKeyRow(guid(1), 2));
      await expect(vaultKeys.addVaultKey(vaultKeyRow(guid(1), 2))).rejects.toThrow();
      await expect(vaultKeys.addVaultKey(vaultKeyRow(guid(99), 1))).rejects.toThrow();
      const versions = (await vaultKeys.vaultKeys(guid(1))).map(({ version }) => version);
      expect(versions.sort()).toEqual([1, 2]);
      expect(await vaultKeys.vaultKeys(guid(2))).toHaveLength(1);
      expect(await vaultKeys.vaultKeys(guid(99))).toEqual([]);
    });

    it('removes a key only when no version needs it', async () => {
      const stores = await open();
      await addObjects(stores, 1, 1);
      await stores.vaultKeys.addVaultKey(vaultKeyRow(guid(1), 2));
      expect(await stores.vaultKeys.removeVaultKey(guid(1), 1)).toBe(false);
      expect(await stores.vaultKeys.removeVaultKey(guid(1), 2)).toBe(true);
      expect((await stores.vaultKeys.vaultKeys(guid(1))).map(({ version }) => version)).toEqual([1]);
      expect(await stores.vaultKeys.vaultKeys(guid(2))).toHaveLength(1);
    });

    it('moves data keys from one version to another, and leaves those that were moved before', async () => {
      const stores = await open();
      const { vaultKeys, reader } = stores;
      await addObjects(stores, 1, 5);
      await addObjects(stores, 2, 2);
      await vaultKeys.addVaultKey(vaultKeyRow(guid(1), 2));
      expect(await vaultKeys.dataKeys(guid(1), 1, 3)).toHaveLength(3);
      expect(await vaultKeys.dataKeys(guid(1), 2, 3)).toEqual([]);
      const rows = (await vaultKeys.dataKeys(guid(1), 1, 10)).map((row) => ({
        ...row,
        dataKey: Buffer.from('new'),
      }));
      await vaultKeys.replaceDataKeys(guid(1), { fromVersion: 1, toVersion: 2, rows: rows.slice(0, 3) });
      const again = rows.map((row) => ({ ...row, dataKey: Buffer.from('newer') }));
      await vaultKeys.replaceDataKeys(guid(1), { fromVersion: 1, toVersion: 2, rows: again });
      const moved = await vaultKeys.dataKeys(guid(1), 2, 10);
      expect(moved.map(({ dataKey }) => Buffer.from(dataKey).toString()).sort()).toEqual([
        'new',
        'new',
        'new',
        'newer',
        'newer',
      ]);
      expect(await vaultKeys.dataKeys(guid(1), 1, 10)).toEqual([]);
      expect(await vaultKeys.dataKeys(guid(2), 1, 10)).toHaveLength(2);
      const one = await reader.sealedVersion(objectKey(1, 'N0'), versionId(0));
      expect(one?.version.envelope.keyVersion).toBe(2);
      expect(Buffer.from(one?.version.envelope.value ?? []).toString()).toBe('value 0');
      expect(await vaultKeys.removeVaultKey(guid(1), 1)).toBe(true);
    });

    it('moves all of a batch or none', async () => {
      const stores = await open();
      await addObjects(stores, 1, 3);
      const rows = await stores.vaultKeys.dataKeys(guid(1), 1, 10);
      // There is no key of version 2.
      const moved = stores.vaultKeys.replaceDataKeys(guid(1), { fromVersion: 1, toVersion: 2, rows });
      await expect(moved).rejects.toThrow();
      expect(await stores.vaultKeys.dataKeys(guid(1), 1, 10)).toHaveLength(3);
    });
  });

  describe('store of what is under the root key', () => {
    it('finds items and vault keys under other root keys, at most so many', async () => {
      const { items, underRoot } = await open();
      for (const name of ['a', 'b', 'c']) await items.putItem(item(name));
      await items.putItem(item('d', 'moved', newRoot));
      const rows = await underRoot.notUnder(newRoot, 10);
      expect(rows.items.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c']);
      expect(rows.vaultKeys).toHaveLength(2);
      const few = await underRoot.notUnder(newRoot, 1);
      expect(few.items).toHaveLength(1);
      expect(few.vaultKeys).toHaveLength(1);
      expect((await underRoot.notUnder(oldRoot, 10)).items.map(({ name }) => name)).toEqual(['d']);
    });

    it('sees every write that was asked for before', async () => {
      const { items, underRoot } = await open();
      const late = items.putItem(item('late'));
      expect((await underRoot.notUnder(newRoot, 10)).items.map(({ name }) => name)).toEqual(['late']);
      await late;
    });

    it('replaces what is as it was read, and nothing that was written since', async () => {
      const { items, underRoot, vaultKeys } = await open();
      for (const name of ['a', 'b', 'gone']) await items.putItem(item(name));
      const rows = await underRoot.notUnder(newRoot, 10);
      await items.putItem(item('b', 'newer'));
      const again = <R extends { sealed: Uint8Array }>(row: R) => ({
        row: { ...row, rootKeyId: newRoot, sealed: Buffer.concat([Buffer.from('re-'), row.sealed]) },
        was: row.sealed,
      });
      await underRoot.replace({ items: rows.items.map(again), vaultKeys: rows.vaultKeys.map(again) });
      expect(await items.item('a')).toMatchObject({ rootKeyId: newRoot });
      expect(textOf(await items.item('a'))).toBe('re-sealed a');
      expect(await items.item('b')).toMatchObject({ rootKeyId: oldRoot });
      expect(textOf(await items.item('b'))).toBe('newer');
      const [key] = await vaultKeys.vaultKeys(guid(1));
      expect(key).toMatchObject({ rootKeyId: newRoot, version: 1 });
      expect((await underRoot.notUnder(newRoot, 10)).items.map(({ name }) => name)).toEqual(['b']);
    });
  });
}

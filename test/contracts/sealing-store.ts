/** What every store of sealed rows must do: items, vault keys and the data keys under them; run on each database. */
import { describe, expect, it } from 'vitest';
import {
  type RootKeyRow,
  type RootSealedStore,
  type SealedItemRow,
  type SealedItemStore,
  StaleRootKey,
} from '../../src/domain/sealing/sealing-store.ts';
import type { ObjectStores } from './object-stores.ts';
import { guid, objectKey, sealedVersion, vaultKeyRow, vaultRecord, versionId } from './rows.ts';

export interface SealingStores extends ObjectStores {
  readonly items: SealedItemStore;
  readonly underRoot: RootSealedStore;
}

const [oldRoot, newRoot, thirdRoot] = [guid(800), guid(801), guid(802)];

function rootKey(id: string, by?: string): RootKeyRow {
  return { id, handover: by === undefined ? undefined : { by, sealed: Buffer.of(0, 255, 7) } };
}

function item(name: string, sealed = `sealed ${name}`, rootKeyId = oldRoot): SealedItemRow {
  return { name, rootKeyId, sealed: Buffer.from(sealed) };
}

const textOf = (row: { sealed: Uint8Array } | undefined) => row && Buffer.from(row.sealed).toString();

/** Defines the suite; `makeStores` gives stores of one database each time, empty but for the root key of `rows.ts`. */
export function sealingStoreContract(makeStores: () => Promise<SealingStores>): void {
  async function open() {
    const stores = await makeStores();
    for (const n of [1, 2]) await stores.vaults.add(vaultRecord(n), vaultKeyRow(guid(n)));
    return stores;
  }

  /** The same during a rotation of the root key. */
  async function openRotating() {
    const stores = await open();
    expect(await stores.underRoot.addRootKey(rootKey(newRoot, oldRoot))).toBe(true);
    return stores;
  }

  /** Puts everything under the new root key. */
  async function moveAll({ underRoot }: SealingStores, to = newRoot) {
    const { items, vaultKeys } = await underRoot.notUnder(to, 1000);
    const again = <R extends { sealed: Uint8Array }>(row: R) => ({
      row: { ...row, rootKeyId: to },
      was: row.sealed,
    });
    await underRoot.replace({ items: items.map(again), vaultKeys: vaultKeys.map(again) });
  }

  async function addObjects(stores: SealingStores, vault: number, count: number) {
    for (let n = 0; n < count; n += 1) {
      const version = sealedVersion(n);
      const head = {
        name: `n${n}`,
        currentVersion: version.version,
        deletedAt: undefined,
        purgeAt: undefined,
        detail: undefined,
        dueAt: undefined,
      };
      const change = { head, add: [version], result: undefined };
      await stores.writer.change(objectKey(vault, `N${n}`), { version: undefined }, () => change);
    }
  }

  describe('sealed item store', () => {
    it('adds, replaces and finds by name', async () => {
      const { items } = await openRotating();
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
      expect(await vaultKeys.addVaultKey(vaultKeyRow(guid(1), 2))).toBe(true);
      const taken = { ...vaultKeyRow(guid(1), 2), sealed: Buffer.from('another') };
      expect(await vaultKeys.addVaultKey(taken)).toBe(false);
      expect((await vaultKeys.vaultKeys(guid(1))).map(textOf)).not.toContain('another');
      await expect(vaultKeys.addVaultKey(vaultKeyRow(guid(99), 1))).rejects.toThrow();
      const versions = (await vaultKeys.vaultKeys(guid(1))).map(({ version }) => version);
      expect(versions.sort()).toEqual([1, 2]);
      expect(await vaultKeys.vaultKeys(guid(2))).toHaveLength(1);
      expect(await vaultKeys.vaultKeys(guid(99))).toEqual([]);
    });

    it('lets one of several who add a version have it', async () => {
      const { vaultKeys } = await open();
      const added = await Promise.all(
        ['a', 'b', 'c'].map((sealed) =>
          vaultKeys.addVaultKey({ ...vaultKeyRow(guid(1), 2), sealed: Buffer.from(sealed) }),
        ),
      );
      expect(added.filter(Boolean)).toHaveLength(1);
      const there = (await vaultKeys.vaultKeys(guid(1))).find(({ version }) => version === 2);
      expect(textOf(there)).toBe(['a', 'b', 'c'][added.indexOf(true)]);
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

    it('moves nothing to a key that is not there', async () => {
      const stores = await open();
      await addObjects(stores, 1, 3);
      const rows = await stores.vaultKeys.dataKeys(guid(1), 1, 10);
      const move = { fromVersion: 1, toVersion: 2, rows };
      expect(await stores.vaultKeys.replaceDataKeys(guid(1), move)).toBe(false);
      expect(await stores.vaultKeys.dataKeys(guid(1), 1, 10)).toHaveLength(3);
    });
  });

  describe('store of what is under the root key', () => {
    it('finds items and vault keys under other root keys, at most so many', async () => {
      const { items, underRoot } = await openRotating();
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

    it('replaces what is as it was read, and nothing that was written since', async () => {
      const { items, underRoot, vaultKeys } = await openRotating();
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

    it('knows one root key, two during a rotation whose second was handed over by the first, never three', async () => {
      const { underRoot } = await makeStores();
      const ids = async () => (await underRoot.rootKeys()).map(({ id }) => id).sort();
      expect(await underRoot.rootKeys()).toEqual([rootKey(oldRoot)]);
      expect(await underRoot.addRootKey(rootKey(oldRoot))).toBe(true);
      for (const refused of [rootKey(newRoot), rootKey(newRoot, newRoot), rootKey(newRoot, thirdRoot)]) {
        expect(await underRoot.addRootKey(refused)).toBe(false);
      }
      expect(await ids()).toEqual([oldRoot]);
      expect(await underRoot.addRootKey(rootKey(newRoot, oldRoot))).toBe(true);
      const rows = await underRoot.rootKeys();
      const { handover } = rows.find(({ id }) => id === newRoot) ?? {};
      expect(handover?.by).toBe(oldRoot);
      expect([...(handover?.sealed ?? [])]).toEqual([0, 255, 7]);
      for (const by of [oldRoot, newRoot]) {
        expect(await underRoot.addRootKey(rootKey(thirdRoot, by))).toBe(false);
      }
      expect(await ids()).toEqual([oldRoot, newRoot]);
      expect(await underRoot.addRootKey(rootKey(newRoot, oldRoot))).toBe(true);
    });

    it('lets one of several rotations begin', async () => {
      const { underRoot } = await makeStores();
      const begun = await Promise.all(
        [newRoot, thirdRoot, guid(803)].map((id) => underRoot.addRootKey(rootKey(id, oldRoot))),
      );
      expect(begun.filter(Boolean)).toHaveLength(1);
      expect(await underRoot.rootKeys()).toHaveLength(2);
    });

    it('ends the handover and leaves the key', async () => {
      const stores = await openRotating();
      await moveAll(stores);
      await stores.underRoot.retireOtherRootKeys(newRoot);
      expect((await stores.underRoot.rootKeys())[0]?.handover?.by).toBe(oldRoot);
      await stores.underRoot.endHandover(newRoot);
      expect(await stores.underRoot.rootKeys()).toEqual([rootKey(newRoot)]);
    });

    it('retires a root key only when nothing is under it, and then nothing can come under it', async () => {
      const stores = await openRotating();
      const { items, underRoot, vaultKeys, vaults } = stores;
      await items.putItem(item('a'));
      expect(await underRoot.retireOtherRootKeys(newRoot)).toBe(false);
      await underRoot.replace({
        items: [{ row: item('a', 'moved', newRoot), was: item('a').sealed }],
        vaultKeys: [],
      });
      // The vaults' keys are still under the old one.
      expect(await underRoot.retireOtherRootKeys(newRoot)).toBe(false);
      await moveAll(stores);
      expect(await underRoot.retireOtherRootKeys(newRoot)).toBe(true);
      expect(await underRoot.retireOtherRootKeys(newRoot)).toBe(true);
      expect((await underRoot.rootKeys()).map(({ id }) => id)).toEqual([newRoot]);
      const [key] = await vaultKeys.vaultKeys(guid(1));
      const stale = [
        () => items.putItem(item('a', 'stale')),
        () => items.putItem(item('new')),
        () => items.swapItem(item('a', 'stale'), Buffer.from('moved')),
        () => items.swapItem(item('new'), undefined),
        () => items.addItem(item('a')),
        () => vaultKeys.addVaultKey(vaultKeyRow(guid(1), 2)),
        () => vaults.add(vaultRecord(3), vaultKeyRow(guid(3))),
        () =>
          underRoot.replace({
            items: [],
            vaultKeys: [
              { row: { ...vaultKeyRow(guid(1)), rootKeyId: oldRoot }, was: key?.sealed ?? Buffer.alloc(0) },
            ],
          }),
      ];
      for (const write of stale) await expect(write()).rejects.toThrow(StaleRootKey);
      expect(textOf(await items.item('a'))).toBe('moved');
      expect(await items.item('new')).toBeUndefined();
      expect(await vaults.byName('vault-3')).toBeUndefined();
      expect(await underRoot.notUnder(newRoot, 10)).toEqual({ items: [], vaultKeys: [] });
      expect(await underRoot.addRootKey(rootKey(thirdRoot, newRoot))).toBe(true);
    });

    it('does not retire a newer root key for an older one, nor all for one that is not in use', async () => {
      const stores = await openRotating();
      // Nothing is under the new one yet.
      expect(await stores.underRoot.retireOtherRootKeys(oldRoot)).toBe(false);
      await moveAll(stores);
      await stores.underRoot.retireOtherRootKeys(newRoot);
      const empty = await makeStores();
      expect(await empty.underRoot.retireOtherRootKeys(newRoot)).toBe(false);
      expect((await empty.underRoot.rootKeys()).map(({ id }) => id)).toEqual([oldRoot]);
      expect((await stores.underRoot.rootKeys()).map(({ id }) => id)).toEqual([newRoot]);
    });

    it('leaves nothing under a retired root key, whoever writes at that moment', async () => {
      for (let round = 0; round < 8; round += 1) {
        const stores = await openRotating();
        const { items, underRoot, vaults, vaultKeys } = stores;
        await moveAll(stores);
        const outcomes = await Promise.allSettled([
          items.putItem(item('before')),
          underRoot.retireOtherRootKeys(newRoot),
          items.addItem(item('after')),
          vaultKeys.addVaultKey(vaultKeyRow(guid(1), 2)),
          vaults.add(vaultRecord(3), vaultKeyRow(guid(3))),
          items.putItem(item('new', 'new', newRoot)),
        ]);
        const keys = (await underRoot.rootKeys()).map(({ id }) => id);
        const old = await underRoot.notUnder(newRoot, 10);
        const left = old.items.length + old.vaultKeys.length;
        const retired = outcomes[1]?.status === 'fulfilled' && outcomes[1].value === true;
        expect(keys).toHaveLength(retired ? 1 : 2);
        if (retired) expect(left).toBe(0);
        for (const at of [0, 2, 3, 4]) {
          const outcome = outcomes[at];
          if (outcome?.status === 'rejected') expect(outcome.reason).toBeInstanceOf(StaleRootKey);
          else expect(retired).toBe(false);
        }
        expect(outcomes[5]?.status).toBe('fulfilled');
      }
    });
  });
}

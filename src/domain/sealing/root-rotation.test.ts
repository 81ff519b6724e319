/**
 * Proves that the root key can be rotated under load and cut short anywhere: whatever was written opens afterwards,
 * and the old key is gone when nothing needs it, not before.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTestDomain, secretGrant, type TestDomain } from '../../../test/support/domain.ts';
import { secretActions as actions } from '../../authorization/actions.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { seal } from '../../crypto/sealing.ts';
import { StartRefused } from '../../service/data.ts';
import { createRootSealedStore, createSealedItemStore } from '../../storage/sealing.ts';
import type { Vault } from '../vaults/vault.ts';
import { finishRootRotation, rotateRootKey } from './root-rotation.ts';
import type { RootSealedStore } from './sealing-store.ts';

const text = (value: string) => SecretBytes.fromText(value);
const noAttributes = {
  enabled: undefined,
  notBefore: undefined,
  expires: undefined,
  contentType: undefined,
  tags: undefined,
};

let domain: TestDomain;
let vault: Vault;
beforeEach(async () => {
  domain = await openTestDomain();
  vault = await domain.vault('rotated');
});
afterEach(() => domain.close());

const rotationDeps = (store: RootSealedStore = createRootSealedStore(domain.data.db)) => ({
  store,
  rootKey: domain.data.rootKey,
  random: domain.tools.random,
});

function set(name: string, value: string): Promise<unknown> {
  const grant = secretGrant(vault, actions.set, name);
  return domain.core.secrets.set(grant, { value: text(value), ...noAttributes });
}

async function get(name: string): Promise<string | undefined> {
  const grant = secretGrant(vault, actions.get, name);
  const found = await domain.core.secrets.get(grant, { version: undefined, outContentType: undefined });
  return found.value?.exposeText();
}

/** What the root key file holds: the ids of its keys. */
function keysInFile(): string[] {
  const document = JSON.parse(readFileSync(domain.tools.config.paths.rootKey, 'utf8')) as {
    keys: { id: string }[];
  };
  return document.keys.map(({ id }) => id);
}

/** Writes enough items for several batches of a rotation. */
async function fill(count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, n) => domain.data.items.put(`item-${n}`, text(`value ${n}`))),
  );
  await set('secret', 'secret value');
}

async function expectAllOpens(count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    expect((await domain.data.items.get(`item-${n}`))?.exposeText()).toBe(`value ${n}`);
  }
  expect(await get('secret')).toBe('secret value');
}

/** A store that gives way at its call number `at`: before doing its work, or after it. */
function failing(store: RootSealedStore, at: number, when: 'before' | 'after'): RootSealedStore {
  let calls = 0;
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls === at && when === 'before') throw new Error('the power is gone');
    const result = await work();
    if (calls === at) throw new Error('the power is gone');
    return result;
  };
  return {
    notUnder: (rootKeyId, limit) => step(() => store.notUnder(rootKeyId, limit)),
    replace: (rows) => step(() => store.replace(rows)),
  };
}

test('everything moves to the new key, and the old one is forgotten', async () => {
  await fill(250);
  const [oldId] = keysInFile();
  const { keyId, moved } = await rotateRootKey(rotationDeps());
  expect(moved).toBeGreaterThan(250);
  expect(keysInFile()).toEqual([keyId]);
  expect(keyId).not.toBe(oldId);
  expect(domain.data.rootKey.byId(oldId ?? '')).toBeUndefined();
  const left = await createRootSealedStore(domain.data.db).notUnder(keyId, 10);
  expect(left).toEqual({ items: [], vaultKeys: [] });
  await expectAllOpens(250);
  await domain.reopen();
  await expectAllOpens(250);
});

test('a rotation that was cut short anywhere is completed by the next start', async () => {
  const count = 230;
  await fill(count);
  const cuts: [number, 'before' | 'after'][] = [];
  // Two batches, each read and replaced, and the last look.
  for (let at = 1; at <= 5; at += 1) cuts.push([at, 'before'], [at, 'after']);
  for (const [at, when] of cuts) {
    const store = failing(createRootSealedStore(domain.data.db), at, when);
    const before = keysInFile();
    await expect(rotateRootKey(rotationDeps(store))).rejects.toThrow('the power is gone');
    expect(keysInFile()).toHaveLength(2);
    const { id } = domain.data.rootKey.current;
    expect(before).not.toContain(id);
    await expectAllOpens(3);
    await domain.reopen();
    expect(keysInFile()).toEqual([id]);
    expect(domain.data.rootKey.current.id).toBe(id);
    await expectAllOpens(count);
  }
});

test('a start right after the key was added, or with all moved and the file not trimmed, completes it', async () => {
  await fill(5);
  const added = domain.data.rootKey.add();
  await domain.data.items.put('item-0', text('value 0'));
  await domain.reopen();
  expect(keysInFile()).toEqual([added]);
  await expectAllOpens(5);

  const file = readFileSync(domain.tools.config.paths.rootKey);
  const again = domain.data.rootKey.add();
  const both = readFileSync(domain.tools.config.paths.rootKey);
  await finishRootRotation(rotationDeps());
  expect(file.equals(both)).toBe(false);
  await domain.reopen(() => writeFileSync(domain.tools.config.paths.rootKey, both, { mode: 0o600 }));
  expect(keysInFile()).toEqual([again]);
  await expectAllOpens(5);
});

test('after a rotation that failed the next one in the same process completes both', async () => {
  await fill(5);
  for (let attempt = 0; attempt < 12; attempt += 1) {
    const store = failing(createRootSealedStore(domain.data.db), 1, 'before');
    await expect(rotateRootKey(rotationDeps(store))).rejects.toThrow('the power is gone');
    expect(keysInFile().length).toBeLessThanOrEqual(2);
  }
  const { keyId } = await rotateRootKey(rotationDeps());
  expect(keysInFile()).toEqual([keyId]);
  await expectAllOpens(5);
});

test('what is written at the moment of a rotation is neither lost nor left under the old key', async () => {
  await fill(5);
  for (let round = 0; round < 10; round += 1) {
    const replaced = domain.data.items.put('item-0', text(`round ${round}`));
    const added = domain.data.items.put(`round-${round}`, text('added'));
    const made = domain.data.items.getOrMake(`made-${round}`, () => text('made'));
    const newVault = domain.vault(`round-${round}`);
    const rotated = rotateRootKey(rotationDeps());
    await Promise.all([replaced, added, made, newVault, rotated]);
    expect((await domain.data.items.get('item-0'))?.exposeText()).toBe(`round ${round}`);
    expect((await domain.data.items.get(`round-${round}`))?.exposeText()).toBe('added');
    const { id } = domain.data.rootKey.current;
    expect(await createRootSealedStore(domain.data.db).notUnder(id, 10)).toEqual({
      items: [],
      vaultKeys: [],
    });
  }
  await domain.reopen();
  expect((await domain.data.items.get('item-0'))?.exposeText()).toBe('round 9');
});

test('an item written between the reading and the replacing of a batch keeps its new value', async () => {
  await fill(5);
  const store = createRootSealedStore(domain.data.db);
  const old = domain.data.rootKey.current;
  let written = false;
  const interleaved: RootSealedStore = {
    ...store,
    async replace(rows) {
      if (!written) {
        written = true;
        // Under the old key still: sealed by somebody just before the new one was there.
        const place = { identity: 'item|item-1', random: domain.tools.random };
        const sealed = seal(old, text('newer'), place);
        await createSealedItemStore(domain.data.db).putItem({
          name: 'item-1',
          rootKeyId: old.id,
          sealed,
        });
      }
      await store.replace(rows);
    },
  };
  await rotateRootKey(rotationDeps(interleaved));
  expect((await domain.data.items.get('item-1'))?.exposeText()).toBe('newer');
  expect(keysInFile()).toHaveLength(1);
});

test('a key that another rotation adds at the last moment does not cost the key before it', async () => {
  await fill(5);
  const store = createRootSealedStore(domain.data.db);
  let second: string | undefined;
  const interleaved: RootSealedStore = {
    ...store,
    async notUnder(rootKeyId, limit) {
      const rows = await store.notUnder(rootKeyId, limit);
      if (rows.items.length === 0 && rows.vaultKeys.length === 0) second ??= domain.data.rootKey.add();
      return rows;
    },
  };
  await rotateRootKey(rotationDeps(interleaved));
  expect(keysInFile()).toEqual([second]);
  await expectAllOpens(5);
  await domain.reopen();
  await expectAllOpens(5);
});

test('readers, writers and several rotations at once lose nothing', async () => {
  await fill(20);
  const last = new Map<string, string>();
  const writer = async (name: string) => {
    for (let n = 0; n < 30; n += 1) {
      await domain.data.items.put(name, text(`${n}`));
      last.set(name, `${n}`);
      expect((await domain.data.items.get(name))?.exposeText()).toBe(`${n}`);
      await set(name, `${n}`);
      expect(await get(name)).toBe(`${n}`);
    }
  };
  const rotations = async () => {
    for (let n = 0; n < 4; n += 1)
      await Promise.all([rotateRootKey(rotationDeps()), rotateRootKey(rotationDeps())]);
  };
  await Promise.all([writer('w1'), writer('w2'), writer('w3'), rotations()]);
  expect(keysInFile()).toHaveLength(1);
  await domain.reopen();
  await expectAllOpens(20);
  for (const [name, value] of last) {
    expect((await domain.data.items.get(name))?.exposeText()).toBe(value);
    expect(await get(name)).toBe(value);
  }
});

test('a root key file from before a rotation that was cut short is refused, though it opens some rows', async () => {
  await fill(230);
  const { rootKey } = domain.tools.config.paths;
  const before = readFileSync(rootKey);
  const store = failing(createRootSealedStore(domain.data.db), 2, 'after');
  await expect(rotateRootKey(rotationDeps(store))).rejects.toThrow('the power is gone');
  const both = readFileSync(rootKey);
  await expect(domain.reopen(() => writeFileSync(rootKey, before))).rejects.toThrow(StartRefused);
  expect(readFileSync(rootKey).equals(before)).toBe(true);
  await domain.reopen(() => writeFileSync(rootKey, both));
  expect(keysInFile()).toHaveLength(1);
  await expectAllOpens(230);
});

test('another root key, or none, is refused and touches nothing', async () => {
  await fill(5);
  const { rootKey, database } = domain.tools.config.paths;
  const other = await openTestDomain();
  const foreign = readFileSync(other.tools.config.paths.rootKey);
  await other.close();
  const own = readFileSync(rootKey);
  let before = Buffer.alloc(0);
  const refused = domain.reopen(() => {
    before = readFileSync(database);
    writeFileSync(rootKey, foreign);
  });
  await expect(refused).rejects.toThrow(StartRefused);
  expect(readFileSync(database).equals(before)).toBe(true);
  expect(readFileSync(rootKey).equals(foreign)).toBe(true);
  await expect(domain.reopen(() => renameSync(rootKey, `${rootKey}.away`))).rejects.toThrow(/is missing/);
  expect(() => readFileSync(rootKey)).toThrow(/ENOENT/);
  expect(readFileSync(database).equals(before)).toBe(true);
  await domain.reopen(() => writeFileSync(rootKey, own, { mode: 0o600 }));
  await expectAllOpens(5);
});

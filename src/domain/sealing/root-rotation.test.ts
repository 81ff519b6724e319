/**
 * Proves that the root key can be rotated under load and cut short anywhere: whatever was written opens afterwards,
 * and the old key is gone when nothing needs it, not before.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTestDomain, secretGrant, type TestDomain } from '../../../test/support/domain.ts';
import { secretActions as actions } from '../../authorization/actions.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { seal } from '../../crypto/sealing.ts';
import { StartRefused } from '../../service/data.ts';
import type { Writer } from '../../storage/database.ts';
import { createRootSealedStore, createSealedItemStore } from '../../storage/sealing.ts';
import type { Vault } from '../vaults/vault.ts';
import { rotateRootKey } from './root-rotation.ts';
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
  severalNodes: false,
});

/** What the database knows of root keys. */
const rootKeyRows = () => createRootSealedStore(domain.data.db).rootKeys();

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
    rootKeys: () => step(() => store.rootKeys()),
    addRootKey: (row) => step(() => store.addRootKey(row)),
    notUnder: (rootKeyId, limit) => step(() => store.notUnder(rootKeyId, limit)),
    replace: (rows) => step(() => store.replace(rows)),
    retireOtherRootKeys: (rootKeyId) => step(() => store.retireOtherRootKeys(rootKeyId)),
    endHandover: (rootKeyId) => step(() => store.endHandover(rootKeyId)),
  };
}

/** The file and the database know one root key, the same, and nothing is under another. */
async function expectOneRootKey(): Promise<string> {
  const [id = ''] = keysInFile();
  expect(keysInFile()).toEqual([id]);
  expect(domain.data.rootKey.ids).toEqual([id]);
  expect((await rootKeyRows()).map((row) => row.id)).toEqual([id]);
  const left = await createRootSealedStore(domain.data.db).notUnder(id, 10);
  expect(left).toEqual({ items: [], vaultKeys: [] });
  return id;
}

test('everything moves to the new key, and the old one is forgotten', async () => {
  await fill(250);
  const [oldId] = keysInFile();
  const { keyId, moved } = await rotateRootKey(rotationDeps());
  expect(moved).toBeGreaterThan(250);
  expect(await expectOneRootKey()).toBe(keyId);
  expect(keyId).not.toBe(oldId);
  expect(domain.data.rootKey.byId(oldId ?? '')).toBeUndefined();
  // Nobody else needs the new key from the old one.
  expect(await rootKeyRows()).toEqual([{ id: keyId, handover: undefined }]);
  await expectAllOpens(250);
  await domain.reopen();
  await expectAllOpens(250);
});

test('a rotation that was cut short anywhere is completed by the next start, or never was', async () => {
  const count = 230;
  await fill(count);
  const cuts: [number, 'before' | 'after'][] = [];
  // The new key is added and looked up; two batches, each read and replaced; the last look, retirement, handover.
  for (let at = 1; at <= 9; at += 1) cuts.push([at, 'before'], [at, 'after']);
  for (const [at, when] of cuts) {
    const store = failing(createRootSealedStore(domain.data.db), at, when);
    const before = keysInFile();
    await expect(rotateRootKey(rotationDeps(store))).rejects.toThrow('the power is gone');
    await expectAllOpens(3);
    await domain.reopen();
    const id = await expectOneRootKey();
    expect(before.includes(id)).toBe(at === 1 && when === 'before');
    await expectAllOpens(count);
  }
});

test('a rotation of more steps than are cut above is not cut', async () => {
  await fill(230);
  await rotateRootKey(rotationDeps(failing(createRootSealedStore(domain.data.db), 10, 'before')));
});

test('a start completes what it finds: a key that was only staged, one in use, one that is the last', async () => {
  await fill(5);
  const { rootKey } = domain.tools.config.paths;
  const first = domain.data.rootKey.current.id;
  domain.data.rootKey.stage();
  await domain.reopen();
  expect(await expectOneRootKey()).toBe(first);

  const second = domain.data.rootKey.stage();
  const handover = { by: first, sealed: domain.data.rootKey.sealUnder(second, first) };
  await createRootSealedStore(domain.data.db).addRootKey({ id: second, handover });
  await domain.data.items.put('item-0', text('value 0'));
  const staged = readFileSync(rootKey);
  await domain.reopen();
  expect(await expectOneRootKey()).toBe(second);
  await expectAllOpens(5);

  // All moved, and the file as it was when the key was staged.
  await domain.reopen(() => writeFileSync(rootKey, staged, { mode: 0o600 }));
  expect(await expectOneRootKey()).toBe(second);
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
    for (let n = 0; n < 4; n += 1) {
      const two = [rotateRootKey(rotationDeps()), rotateRootKey(rotationDeps())];
      const outcomes = await Promise.allSettled(two);
      expect(outcomes.map(({ status }) => status)).toContain('fulfilled');
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ kind: 'conflict' });
      }
    }
  };
  await Promise.all([writer('w1'), writer('w2'), writer('w3'), rotations()]);
  await expectOneRootKey();
  await domain.reopen();
  await expectAllOpens(20);
  for (const [name, value] of last) {
    expect((await domain.data.items.get(name))?.exposeText()).toBe(value);
    expect(await get(name)).toBe(value);
  }
});

test('a root key file from before a rotation takes the new key up while it is handed over, and is refused later', async () => {
  await fill(230);
  const { rootKey, database } = domain.tools.config.paths;
  const before = readFileSync(rootKey);
  // The first batch is moved: the old key alone opens some rows, the canary perhaps, and not others.
  const store = failing(createRootSealedStore(domain.data.db), 4, 'after');
  await expect(rotateRootKey(rotationDeps(store))).rejects.toThrow('the power is gone');
  await domain.reopen(() => writeFileSync(rootKey, before));
  const id = await expectOneRootKey();
  expect(before.toString()).not.toContain(id);
  await expectAllOpens(230);

  const own = readFileSync(rootKey);
  let data = Buffer.alloc(0);
  const late = domain.reopen(() => {
    data = readFileSync(database);
    writeFileSync(rootKey, before);
  });
  await expect(late).rejects.toThrow(StartRefused);
  expect(readFileSync(rootKey).equals(before)).toBe(true);
  expect(readFileSync(database).equals(data)).toBe(true);
  await domain.reopen(() => writeFileSync(rootKey, own));
  await expectAllOpens(230);
});

test('a handover that was altered in the database is refused, and the key is not taken up', async () => {
  await fill(5);
  const { rootKey } = domain.tools.config.paths;
  const before = readFileSync(rootKey);
  const store = failing(createRootSealedStore(domain.data.db), 2, 'before');
  await expect(rotateRootKey(rotationDeps(store))).rejects.toThrow('the power is gone');
  const both = readFileSync(rootKey);
  const spoil = {
    name: 'tamper',
    run: (tx: Writer) => sql`UPDATE root_keys SET handover = x'00'`.execute(tx),
  };
  await domain.data.db.write(spoil, null);
  await expect(domain.reopen(() => writeFileSync(rootKey, before))).rejects.toThrow(/root key|seal/i);
  await domain.reopen(() => writeFileSync(rootKey, both, { mode: 0o600 }));
  await expectOneRootKey();
  await expectAllOpens(5);
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

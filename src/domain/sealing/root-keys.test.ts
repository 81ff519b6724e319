/**
 * Proves that processes with root keys of their own in memory agree with one that rotates: a rotation is taken up from
 * the news or at the first refusal, and nothing is left under a retired key, however the two interleave.
 */
import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { guid, vaultRecord } from '../../../test/contracts/rows.ts';
import { type ChangeFeed, createChangeHub } from '../../core/changes.ts';
import { systemClock } from '../../core/clock.ts';
import { isFailure } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { systemRandom as random } from '../../crypto/random.ts';
import { fileProtection, passphraseProtection } from '../../crypto/root-key/protector.ts';
import { RootKeyFile, RootKeyUnusable } from '../../crypto/root-key/root-key-file.ts';
import { SealBroken } from '../../crypto/sealing.ts';
import type { Database } from '../../storage/database.ts';
import { createDirectoryStore } from '../../storage/directory.ts';
import { createRootSealedStore, createSealedItemStore, createVaultKeyStore } from '../../storage/sealing.ts';
import { openSqlite } from '../../storage/sqlite.ts';
import { createVaultStore } from '../../storage/vaults.ts';
import { createLiveRootKeys, newestRootKey, takeUp, underCurrentRootKey } from './root-keys.ts';
import { finishRootRotation, rotateRootKey } from './root-rotation.ts';
import { createSealedItems } from './sealed-items.ts';
import { type RootSealedStore, StaleRootKey } from './sealing-store.ts';
import { createVaultKeys } from './vault-keys.ts';

const text = (value: string) => SecretBytes.fromText(value);
const deps = { clock: systemClock, random };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
/** Tells nobody anything, and lets memory be trusted: the worst that a process can be told. */
const silence: ChangeFeed = createChangeHub();

let folder: string;
let path: string;
let db: Database;
let store: RootSealedStore;
let keeper: Process;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-root-keys-'));
  path = join(folder, 'root-key.json');
  db = await openSqlite(join(folder, 'test.db'));
  const { subscriptionId, resourceGroup: name } = vaultRecord(1);
  await createDirectoryStore(db).addResourceGroup({ subscriptionId, name, location: 'local', tags: {} });
  store = createRootSealedStore(db);
  keeper = processOf(await RootKeyFile.create(deps, path, fileProtection), db.feed);
  await store.addRootKey({ id: keeper.file.current.id, handover: undefined });
  await keeper.items.put('first', text('first'));
});
afterEach(async () => {
  await db.close();
  await rm(folder, { recursive: true });
});

type Process = ReturnType<typeof processOf>;

/** What one process has of the root key, over the database of the test. */
function processOf(file: RootKeyFile, feed: ChangeFeed) {
  const rootKeys = createLiveRootKeys({ file, store, feed, log: silentLog });
  const items = createSealedItems({ store: createSealedItemStore(db), rootKeys, random });
  const vaultKeys = createVaultKeys({ store: createVaultKeyStore(db), rootKeys, feed, random });
  const rotate = (over = store, severalNodes = false) =>
    rotateRootKey({ store: over, rootKey: file, random, severalNodes });
  const read = async (name: string) => (await items.get(name))?.exposeText();
  return { file, rootKeys, items, vaultKeys, rotate, read };
}

/** Another process of the same folder, which does not write the file. */
async function worker(feed: ChangeFeed): Promise<Process> {
  return processOf(await RootKeyFile.open({ ...deps, keeps: false }, path, fileProtection), feed);
}

/** A node with a folder, and a copy of the file, of its own. */
async function node(feed: ChangeFeed): Promise<Process> {
  const own = join(folder, `root-key-${random.guid()}.json`);
  await copyFile(path, own);
  return processOf(await RootKeyFile.open(deps, own, fileProtection), feed);
}

/** One key in use, nothing under another; answers its id. */
async function expectOneRootKey(): Promise<string> {
  const rows = await store.rootKeys();
  expect(rows).toHaveLength(1);
  const [{ id } = { id: '' }] = rows;
  expect(await store.notUnder(id, 10)).toEqual({ items: [], vaultKeys: [] });
  return id;
}

/** The store of one who rotates, with something happening before each of its steps. */
function steppedBy(before: (step: number) => Promise<unknown>): RootSealedStore {
  let step = 0;
  const next = async <T>(work: () => Promise<T>): Promise<T> => {
    step += 1;
    await before(step);
    return work();
  };
  return {
    rootKeys: () => next(() => store.rootKeys()),
    addRootKey: (row) => next(() => store.addRootKey(row)),
    notUnder: (rootKeyId, limit) => next(() => store.notUnder(rootKeyId, limit)),
    replace: (rows) => next(() => store.replace(rows)),
    retireOtherRootKeys: (rootKeyId) => next(() => store.retireOtherRootKeys(rootKeyId)),
    endHandover: (rootKeyId) => next(() => store.endHandover(rootKeyId)),
  };
}

test('a worker takes a rotation up when it is told of it, and leaves the file to its keeper', async () => {
  const other = await worker(db.feed);
  const { keyId } = await keeper.rotate();
  const file = readFileSync(path);
  while (other.file.ids.length > 1 || other.file.current.id !== keyId) await turn();
  expect(await other.read('first')).toBe('first');
  await other.items.put('second', text('second'));
  expect(await keeper.read('second')).toBe('second');
  expect(await expectOneRootKey()).toBe(keyId);
  expect(readFileSync(path).equals(file)).toBe(true);
});

test('a node that was told nothing learns of a rotation at its first write, or its first read', async () => {
  const writes = await node(silence);
  const reads = await node(silence);
  const { keyId } = await keeper.rotate(store, true);
  expect(writes.file.current.id).not.toBe(keyId);
  await writes.items.put('second', text('second'));
  expect(await reads.read('second')).toBe('second');
  for (const { file } of [writes, reads]) expect(file.ids).toEqual([keyId]);
  expect(await expectOneRootKey()).toBe(keyId);
});

test('a new vault, a new vault key and a swap learn of it too', async () => {
  const other = await node(silence);
  const vaults = createVaultStore(db);
  await keeper.rotate(store, true);
  const added = await other.vaultKeys.create(guid(1), (key) => vaults.add(vaultRecord(1), key));
  expect(added).toBe('added');
  await keeper.rotate(store, true);
  expect(await other.vaultKeys.rotate(guid(1))).toMatchObject({ version: 2 });
  await keeper.rotate(store, true);
  expect(await other.items.swap('swapped', text('one'), undefined)).toBe(true);
  await keeper.rotate(store, true);
  expect((await other.items.getOrMake('made', () => text('made'))).exposeText()).toBe('made');
  await expectOneRootKey();
  expect(await keeper.read('swapped')).toBe('one');
});

test('a worker that slept through rotation and handover finds the key in the file', async () => {
  const writes = await worker(silence);
  const reads = await worker(silence);
  for (let rotation = 0; rotation < 2; rotation += 1) await keeper.rotate();
  const keyId = await expectOneRootKey();
  expect((await store.rootKeys())[0]?.handover).toBeUndefined();
  await writes.items.put('second', text('second'));
  expect(await reads.read('second')).toBe('second');
  for (const { file } of [writes, reads]) expect(file.ids).toEqual([keyId]);
});

test('a worker whose file has been put under a passphrase meanwhile says so, and changes nothing', async () => {
  const other = await worker(silence);
  const { id } = other.file.current;
  await keeper.rotate();
  await keeper.file.protectWith(passphraseProtection(text('a long passphrase')));
  await expect(other.items.put('second', text('second'))).rejects.toThrow(RootKeyUnusable);
  expect(other.file.ids).toEqual([id]);
  expect(await keeper.items.get('second')).toBeUndefined();
});

test('a node that slept through the handover too is refused for now, and writes nothing', async () => {
  const other = await node(silence);
  const { id } = other.file.current;
  const { keyId } = await keeper.rotate(store, true);
  await store.endHandover(keyId);
  const refused = await other.items.put('second', text('second')).catch((error: unknown) => error);
  expect(isFailure(refused, 'unavailable')).toBe(true);
  expect(refused).toMatchObject({ retryAfter: 1 });
  await expect(other.items.get('first')).rejects.toThrow(SealBroken);
  expect(other.file.ids).toEqual([id]);
  expect(await keeper.read('second')).toBeUndefined();
});

test('what another process writes before any step of a rotation is neither lost nor left under the old key', async () => {
  const others = [await worker(db.feed), await node(db.feed), await node(silence)];
  const vaults = createVaultStore(db);
  let written = 0;
  let steps = 0;
  for (let at = 1; at <= 8; at += 1) {
    const stepped = steppedBy(async (step) => {
      steps = Math.max(steps, step);
      if (step !== at) return;
      for (const other of others) {
        written += 1;
        const n = written;
        await other.items.put(`item ${n}`, text(`value ${n}`));
        await other.vaultKeys.create(guid(n), (key) => vaults.add(vaultRecord(n), key));
      }
    });
    // The handover goes on: the last node is told nothing.
    await keeper.rotate(stepped, true);
    const keyId = await expectOneRootKey();
    for (const reader of [keeper, ...others]) {
      for (let n = 1; n <= written; n += 1) expect(await reader.read(`item ${n}`)).toBe(`value ${n}`);
    }
    for (const other of others) {
      await other.items.put('afterwards', text('x'));
      expect(other.file.current.id).toBe(keyId);
    }
  }
  expect(steps).toBeGreaterThanOrEqual(6);
  expect(written).toBeGreaterThanOrEqual(6 * others.length);
});

test('of two nodes that rotate at once one does; the other is refused, keeps working and can do so next', async () => {
  const other = await node(db.feed);
  const outcomes = await Promise.allSettled([keeper.rotate(store, true), other.rotate(store, true)]);
  const [won] = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  const [lost] = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(isFailure(lost?.reason, 'conflict')).toBe(true);
  expect(await expectOneRootKey()).toBe(won?.value.keyId);
  for (const { items } of [keeper, other]) await items.put('first', text('again'));
  const { keyId } = await other.rotate(store, true);
  expect(await expectOneRootKey()).toBe(keyId);
  expect(await keeper.read('first')).toBe('again');
});

test('a rotation that another node begins before the last has ended costs neither of them a key', async () => {
  for (let at = 2; at <= 7; at += 1) {
    const other = await node(db.feed);
    let second: Promise<unknown> = Promise.resolve();
    const stepped = steppedBy(async (step) => {
      if (step !== at) return;
      second = other.rotate(store, true);
      await second.catch(() => undefined);
    });
    const outcomes = await Promise.allSettled([keeper.rotate(stepped, true)]);
    outcomes.push(...((await Promise.allSettled([second])) as typeof outcomes));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(isFailure(outcome.reason, 'conflict')).toBe(true);
    }
    const keyId = await expectOneRootKey();
    for (const each of [keeper, other]) {
      await each.items.put('first', text(`${at}`));
      expect(each.file.ids).toEqual([keyId]);
      expect(await each.read('first')).toBe(`${at}`);
    }
  }
});

test('a helper that looked before the next rotation began neither undoes nor retires it', async () => {
  const helper = await node(silence);
  const first = helper.file.current.id;
  const staged = keeper.file.stage();
  await store.addRootKey({
    id: staged,
    handover: { by: first, sealed: keeper.file.sealUnder(staged, first) },
  });
  await helper.rootKeys.learn();
  let keyId = '';
  const stepped = steppedBy(async (step) => {
    // It has seen the first rotation only; now that one ends and another begins.
    if (step !== 2) return;
    await finishRootRotation({ store, rootKey: keeper.file, random, severalNodes: true });
    keyId = (await keeper.rotate(store, true)).keyId;
  });
  const late = finishRootRotation({ store: stepped, rootKey: helper.file, random, severalNodes: true });
  await Promise.allSettled([late]);
  expect((await store.rootKeys()).map(({ id }) => id)).toEqual([keyId]);
  expect(await expectOneRootKey()).toBe(keyId);
  expect(await keeper.read('first')).toBe('first');
  await helper.items.put('second', text('second'));
  expect(await keeper.read('second')).toBe('second');
});

test('rows that were read before a rotation and arrive after it lose no key', async () => {
  const stale = await store.rootKeys();
  const { keyId } = await keeper.rotate(store, true);
  takeUp(keeper.file, stale);
  expect(keeper.file.ids).toEqual([keyId]);
  await keeper.items.put('second', text('second'));
  expect(await expectOneRootKey()).toBe(keyId);

  const during = steppedBy(async (step) => {
    if (step === 3) takeUp(keeper.file, await store.rootKeys().then(([row]) => (row ? [row] : [])));
  });
  const next = await keeper.rotate(during, true);
  expect(await expectOneRootKey()).toBe(next.keyId);
  expect(keeper.file.ids).toEqual([next.keyId]);
});

test('the newest of the root keys is the one that another handed over', () => {
  const sealed = Buffer.alloc(0);
  const a = { id: 'a', handover: undefined };
  const b = { id: 'b', handover: { by: 'a', sealed } };
  const c = { id: 'c', handover: { by: 'b', sealed } };
  expect(newestRootKey([])).toBeUndefined();
  expect(newestRootKey([b])).toBe('b');
  for (const rows of [
    [a, b],
    [b, a],
  ]) {
    expect(newestRootKey(rows)).toBe('b');
  }
  expect(newestRootKey([c, b])).toBe('c');
});

test('only a retired root key is a reason to try again, and once', async () => {
  const { rootKeys } = keeper;
  let runs = 0;
  const failing = (error: Error) => () => {
    runs += 1;
    return Promise.reject(error);
  };
  const other = new Error('something else');
  await expect(underCurrentRootKey(rootKeys, failing(other))).rejects.toBe(other);
  expect(runs).toBe(1);
  const stale = underCurrentRootKey(rootKeys, failing(new StaleRootKey()));
  await expect(stale).rejects.toMatchObject({ kind: 'unavailable', retryAfter: 1 });
  expect(runs).toBe(3);
});

test('news while the database is away is logged, and the next write learns', async () => {
  const hub = createChangeHub();
  const errors: unknown[] = [];
  const log = { ...silentLog, error: (message: string) => errors.push(message) };
  const file = await RootKeyFile.open({ ...deps, keeps: false }, path, fileProtection);
  const away = { ...store, rootKeys: () => Promise.reject(new Error('away')) };
  createLiveRootKeys({ file, store: away, feed: hub, log });
  hub.lapse();
  while (errors.length === 0) await turn();
  expect(errors).toEqual(['The root keys in use cannot be taken up.']);
});

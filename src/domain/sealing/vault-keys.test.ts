/**
 * Proves the middle and the bottom of the key hierarchy: rows open only where they were written, and a vault's key
 * can be rotated while the vault is in use, cut short anywhere, without losing a version.
 */
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTestDomain, secretGrant, type TestDomain } from '../../../test/support/domain.ts';
import { secretActions as actions } from '../../authorization/actions.ts';
import { type ChangeFeed, createChangeHub } from '../../core/changes.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { SealBroken } from '../../crypto/sealing.ts';
import { createObjectReader, createObjectWriter } from '../../storage/objects.ts';
import { createVaultKeyStore } from '../../storage/sealing.ts';
import { secretKind } from '../secrets/secrets.ts';
import type { Vault } from '../vaults/vault.ts';
import { type ObjectWriter, StaleVaultKey } from '../versioned/object-store.ts';
import { createVersionedObjects, type VersionedDeps } from '../versioned/versioned-objects.ts';
import type { VaultKeyStore } from './sealing-store.ts';
import { createVaultKeys, VaultKeyMissing } from './vault-keys.ts';

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
  vault = await domain.vault('first');
});
afterEach(() => domain.close());

async function set(name: string, value: string, at = vault): Promise<string> {
  const grant = secretGrant(at, actions.set, name);
  return (await domain.core.secrets.set(grant, { value: text(value), ...noAttributes })).version.version;
}

async function get(name: string, version?: string, at = vault): Promise<string | undefined> {
  const grant = secretGrant(at, actions.get, name);
  return (await domain.core.secrets.get(grant, { version, outContentType: undefined })).value?.exposeText();
}

async function keyVersions(at = vault): Promise<number[]> {
  return (await createVaultKeyStore(domain.data.db).vaultKeys(at.id)).map(({ version }) => version).sort();
}

/** Changes rows behind the server's back, as one with write access to the database can. */
function tamper(statement: ReturnType<typeof sql>): Promise<unknown> {
  return domain.data.db.write({ name: 'tamper', run: (tx) => statement.execute(tx) }, null);
}

/** Puts the sealed columns of one version in the place of another's. */
function moveRow(from: [Vault, string, string], to: [Vault, string, string]): Promise<unknown> {
  const source = sql`SELECT key_version, data_key, value FROM object_versions
    WHERE vault_id = ${from[0].id} AND name_key = ${from[1]} AND version = ${from[2]}`;
  return tamper(sql`UPDATE object_versions SET (key_version, data_key, value) = (${source})
    WHERE vault_id = ${to[0].id} AND name_key = ${to[1]} AND version = ${to[2]}`);
}

test('a row moved to another name, version or vault does not open', async () => {
  const second = await domain.vault('second');
  const a = await set('a', 'a');
  const b1 = await set('b', 'b, first');
  const b2 = await set('b', 'b, second');
  const c = await set('a', 'in the second vault', second);
  await moveRow([vault, 'A', a], [vault, 'B', b1]);
  await expect(get('b', b1)).rejects.toThrow(SealBroken);
  await moveRow([vault, 'B', b2], [vault, 'A', a]);
  await expect(get('a', a)).rejects.toThrow(SealBroken);
  await moveRow([vault, 'B', b2], [second, 'A', c]);
  await expect(get('a', c, second)).rejects.toThrow(SealBroken);
  expect(await get('b', b2)).toBe('b, second');
});

test('a renamed or re-numbered row, or one carried to another vault, does not open', async () => {
  const second = await domain.vault('second');
  const id = await set('a', 'value');
  const version = 'f'.repeat(32);
  await tamper(sql`UPDATE object_versions SET version = ${version} WHERE version = ${id}`);
  await tamper(sql`UPDATE objects SET current_version = ${version}`);
  await expect(get('a')).rejects.toThrow(SealBroken);
  await tamper(sql`UPDATE object_versions SET version = ${id}, vault_id = ${second.id}`);
  await tamper(sql`UPDATE objects SET current_version = ${id}, vault_id = ${second.id}`);
  await expect(get('a', undefined, second)).rejects.toThrow(SealBroken);
});

test("one vault's key does not open in the place of another's, nor one version's for another's", async () => {
  const second = await domain.vault('second');
  await set('a', 'value');
  await tamper(sql`UPDATE vault_keys SET sealed = (SELECT sealed FROM vault_keys WHERE vault_id = ${second.id})
    WHERE vault_id = ${vault.id}`);
  await domain.reopen();
  await expect(get('a')).rejects.toThrow(SealBroken);
});

test.each(['data_key', 'value'])('every changed byte of a stored %s is noticed', async (column) => {
  const version = await set('a', 'v');
  const reader = createObjectReader(domain.data.db);
  const key = { vaultId: vault.id, kind: 'secrets', nameKey: 'A' } as const;
  const found = await reader.sealedVersion(key, version);
  const envelope = found?.version.envelope;
  if (envelope === undefined) throw new Error('the version is not there');
  const part = column === 'value' ? 'value' : 'dataKey';
  for (let at = 0; at < envelope[part].length; at += 1) {
    const bytes = Buffer.from(envelope[part]);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    const altered = { ...envelope, [part]: bytes };
    await expect(domain.core.vaultKeys.open({ ...key, version }, altered)).rejects.toThrow(SealBroken);
  }
  await expect(
    domain.core.vaultKeys.open({ ...key, version }, { ...envelope, keyVersion: 9 }),
  ).rejects.toThrow(VaultKeyMissing);
});

test('a rotation moves every version and forgets the old key', async () => {
  const versions = new Map<string, string>();
  for (let n = 0; n < 5; n += 1) versions.set(await set('a', `value ${n}`), `value ${n}`);
  await set('deleted', 'still there');
  await domain.core.secrets.delete(secretGrant(vault, actions.delete, 'deleted'));
  expect(await domain.core.vaultKeys.rotate(vault.id)).toEqual({ version: 2, moved: 6 });
  expect(await keyVersions()).toEqual([2]);
  await domain.reopen();
  for (const [version, value] of versions) expect(await get('a', version)).toBe(value);
  await domain.core.secrets.recover(secretGrant(vault, actions.recover, 'deleted'));
  expect(await get('deleted')).toBe('still there');
});

test('readers, writers and several rotations at once lose nothing and leave one key', async () => {
  const written = new Map<string, string>();
  const work = async (name: string) => {
    for (let n = 0; n < 40; n += 1) {
      written.set(await set(name, `${n}`), `${n}`);
      expect(await get(name)).toBe(`${n}`);
      if (n % 10 !== 9) continue;
      expect(await domain.core.secrets.backup(secretGrant(vault, actions.backup, name))).not.toBe('');
      await domain.core.secrets.delete(secretGrant(vault, actions.delete, name));
      await domain.core.secrets.recover(secretGrant(vault, actions.recover, name));
    }
  };
  const rotations = async () => {
    for (let n = 0; n < 5; n += 1)
      await Promise.all([domain.core.vaultKeys.rotate(vault.id), domain.core.vaultKeys.rotate(vault.id)]);
  };
  await Promise.all([work('a'), work('b'), work('c'), rotations()]);
  expect(await keyVersions()).toEqual([11]);
  await domain.reopen();
  const names = ['a', 'b', 'c'];
  let found = 0;
  for (const name of names) {
    const grant = secretGrant(vault, actions.list, name);
    const { items } = await domain.core.secrets.listVersions(grant, { limit: 100, after: undefined });
    for (const { version } of items) {
      expect(await get(name, version.version)).toBe(written.get(version.version));
      found += 1;
    }
  }
  expect(found).toBe(written.size);
});

/** Objects over the domain's own database, with parts replaced. */
function objectsWith(parts: Partial<VersionedDeps<SecretBytes>>) {
  const { core, clock, data } = domain;
  const nothing = () => undefined;
  const values = { get: nothing, mark: () => 0, put: nothing, saw: nothing, forget: nothing, clear: nothing };
  const deps = { reader: createObjectReader(data.db), writer: createObjectWriter(data.db), values, clock };
  return createVersionedObjects({ ...deps, vaultKeys: core.vaultKeys, ...parts }, secretKind);
}

function openVersion(id: string, value: string) {
  const version = {
    version: id,
    enabled: true,
    notBefore: undefined,
    expires: undefined,
    created: 1,
    updated: 1,
    managed: false,
    tags: undefined,
    detail: undefined,
  };
  return { version, value: text(value) };
}

test('a value sealed under a key that is rotated away before the write is sealed again', async () => {
  const { vaultKeys } = domain.core;
  const writer = createObjectWriter(domain.data.db);
  let writes = 0;
  const overtaken: ObjectWriter = {
    ...writer,
    async change(key, ask, decide) {
      writes += 1;
      if (writes === 1) await vaultKeys.rotate(vault.id);
      return writer.change(key, ask, decide);
    },
  };
  const id = domain.tools.random.version();
  await objectsWith({ writer: overtaken }).add(secretGrant(vault, actions.set, 'a'), {
    next: openVersion(id, 'value'),
  });
  expect(writes).toBe(2);
  expect(await keyVersions()).toEqual([2]);
  expect(await get('a', id)).toBe('value');
});

test('a restore that is overtaken by a rotation is sealed again as a whole', async () => {
  const writer = createObjectWriter(domain.data.db);
  let writes = 0;
  const overtaken: ObjectWriter = {
    ...writer,
    async change(key, ask, decide) {
      writes += 1;
      if (writes === 1) await domain.core.vaultKeys.rotate(vault.id);
      return writer.change(key, ask, decide);
    },
  };
  const versions = ['1', '2', '3'].map((digit) => openVersion(digit.repeat(32), `value ${digit}`));
  const identify = (name: string, version: string) => `${name}/${version}`;
  const currentVersion = '2'.repeat(32);
  const object = { name: 'a', currentVersion, headDetail: undefined, versions, identify };
  await objectsWith({ writer: overtaken }).import(secretGrant(vault, actions.restore), {
    ...object,
    identify: (name) => name,
  });
  expect(writes).toBe(2);
  expect(await get('a')).toBe('value 2');
  expect(await get('a', '1'.repeat(32))).toBe('value 1');
});

test('a row that was read before a rotation and opened after it is read again', async () => {
  const id = await set('a', 'value');
  const reader = createObjectReader(domain.data.db);
  let reads = 0;
  const slow: VersionedDeps<SecretBytes>['reader'] = {
    ...reader,
    async sealedVersion(key, version) {
      const found = await reader.sealedVersion(key, version);
      reads += 1;
      if (reads === 1) await domain.core.vaultKeys.rotate(vault.id);
      return found;
    },
    async listSealedVersions(key, range) {
      const found = await reader.listSealedVersions(key, range);
      reads += 1;
      if (reads === 3) await domain.core.vaultKeys.rotate(vault.id);
      return found;
    },
  };
  const objects = objectsWith({ reader: slow });
  const read = await objects.readValue(secretGrant(vault, actions.get, 'a'), id);
  expect(read.value.exposeText()).toBe('value');
  const exported = await objects.export(secretGrant(vault, actions.backup, 'a'));
  expect(exported.versions.map(({ value }) => value.exposeText())).toEqual(['value']);
  expect(reads).toBe(4);
  expect(await keyVersions()).toEqual([3]);
});

test('a write under the old key that lands after the last batch is moved too', async () => {
  await set('a', 'value');
  const store = createVaultKeyStore(domain.data.db);
  const { rootKeys, db } = domain.data;
  const { random } = domain.tools;
  const place = { vaultId: vault.id, kind: 'secrets', nameKey: 'LATE', version: 'e'.repeat(32) } as const;
  const envelope = await domain.core.vaultKeys.seal(place, text('late'));
  let empty = 0;
  const interleaved: VaultKeyStore = {
    ...store,
    async dataKeys(vaultId, keyVersion, limit) {
      const rows = await store.dataKeys(vaultId, keyVersion, limit);
      if (rows.length === 0) empty += 1;
      if (rows.length === 0 && empty === 1) {
        const head = {
          name: 'late',
          currentVersion: place.version,
          deletedAt: undefined,
          purgeAt: undefined,
          detail: undefined,
          dueAt: undefined,
        };
        const add = [{ ...openVersion(place.version, '').version, envelope }];
        const writer = createObjectWriter(domain.data.db);
        await writer.change(place, { version: undefined }, () => ({ head, add, result: undefined }));
      }
      return rows;
    },
  };
  const { moved } = await createVaultKeys({ store: interleaved, rootKeys, feed: db.feed, random }).rotate(
    vault.id,
  );
  expect(moved).toBe(2);
  expect(await keyVersions()).toEqual([2]);
  await domain.reopen();
  expect(await get('late')).toBe('late');
});

test('a rotation that was cut short anywhere loses nothing, and the next one completes it', async () => {
  const values = new Map<string, string>();
  await Promise.all(
    Array.from({ length: 600 }, async (_, n) => {
      await set(`name-${n}`, `value ${n}`);
      values.set(`name-${n}`, `value ${n}`);
    }),
  );
  const store = createVaultKeyStore(domain.data.db);
  // addVaultKey; two batches, each read and replaced, and the empty look; removeVaultKey.
  for (let at = 1; at <= 7; at += 1) {
    let calls = 0;
    const step = async <T>(work: () => Promise<T>): Promise<T> => {
      calls += 1;
      const result = await work();
      if (calls === at) throw new Error('the power is gone');
      return result;
    };
    const failing: VaultKeyStore = {
      vaultKeys: (id) => store.vaultKeys(id),
      addVaultKey: (row) => step(() => store.addVaultKey(row)),
      removeVaultKey: (id, version) => step(() => store.removeVaultKey(id, version)),
      dataKeys: (id, version, limit) => step(() => store.dataKeys(id, version, limit)),
      replaceDataKeys: (id, change) => step(() => store.replaceDataKeys(id, change)),
    };
    const { rootKeys, db } = domain.data;
    const keys = createVaultKeys({ store: failing, rootKeys, feed: db.feed, random: domain.tools.random });
    await expect(keys.rotate(vault.id)).rejects.toThrow('the power is gone');
    domain.core.vaultKeys.forget(vault.id);
    for (const name of ['name-0', 'name-599']) expect(await get(name)).toBe(values.get(name));
  }
  await domain.core.vaultKeys.rotate(vault.id);
  expect(await keyVersions()).toHaveLength(1);
  await domain.reopen();
  for (const [name, value] of values) expect(await get(name)).toBe(value);
});

/** The keys of vaults as another process has them, which is told of what this feed says. */
function another(feed: ChangeFeed) {
  const { rootKeys, db } = domain.data;
  return createVaultKeys({ store: createVaultKeyStore(db), rootKeys, feed, random: domain.tools.random });
}

test('a process that was told nothing of a rotation opens what is under the new key, and is refused under the old', async () => {
  await set('a', 'before');
  const other = another(createChangeHub());
  const place = { vaultId: vault.id, kind: 'secrets', nameKey: 'B', version: 'b'.repeat(32) } as const;
  const sealed = await other.seal(place, text('sealed by the other'));
  await domain.core.vaultKeys.rotate(vault.id);
  const after = await set('c', 'after');
  const reader = createObjectReader(domain.data.db);
  const found = await reader.sealedVersion({ vaultId: vault.id, kind: 'secrets', nameKey: 'C' }, after);
  if (found === undefined) throw new Error('the version is not there');
  const at = { ...place, nameKey: 'C', version: after };
  expect((await other.open(at, found.version.envelope)).exposeText()).toBe('after');
  const head = {
    name: 'b',
    currentVersion: place.version,
    deletedAt: undefined,
    purgeAt: undefined,
    detail: undefined,
    dueAt: undefined,
  };
  const add = [{ ...openVersion(place.version, '').version, envelope: sealed }];
  const writer = createObjectWriter(domain.data.db);
  const stale = writer.change(place, { version: undefined }, () => ({ head, add, result: undefined }));
  await expect(stale).rejects.toThrow(StaleVaultKey);
  // The other process seals anew, now under the key that it has met.
  expect((await other.seal(place, text('again'))).keyVersion).toBe(2);
});

test('news of a vault key, and of who knows what, makes a process look again', async () => {
  const hub = createChangeHub();
  const { rootKeys, db } = domain.data;
  const inner = createVaultKeyStore(db);
  let reads = 0;
  const store: VaultKeyStore = {
    ...inner,
    vaultKeys(id) {
      reads += 1;
      return inner.vaultKeys(id);
    },
  };
  const keys = createVaultKeys({ store, rootKeys, feed: hub, random: domain.tools.random });
  const second = await domain.vault('second');
  const sealAll = async () => {
    for (const { id } of [vault, second]) {
      const place = { vaultId: id, kind: 'secrets', nameKey: 'A', version: 'a'.repeat(32) };
      await keys.seal(place, text('x'));
    }
    return reads;
  };
  expect([await sealAll(), await sealAll()]).toEqual([2, 2]);
  hub.publish([{ topic: 'vaultKeys', key: vault.id }]);
  expect(await sealAll()).toBe(3);
  hub.lapse();
  expect(await sealAll()).toBe(5);
});

test('two processes that rotate the key of one vault at once lose nothing', async () => {
  for (let n = 0; n < 20; n += 1) await set(`name-${n}`, `value ${n}`);
  for (let round = 0; round < 5; round += 1) {
    const { feed } = domain.data.db;
    await Promise.all([another(feed).rotate(vault.id), another(feed).rotate(vault.id)]);
    expect(await keyVersions()).toEqual([3 + 2 * round]);
    for (let n = 0; n < 20; n += 1) expect(await get(`name-${n}`)).toBe(`value ${n}`);
  }
});

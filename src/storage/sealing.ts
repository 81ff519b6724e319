/** What is sealed under the root key: items and vault keys, and the data keys under vault keys. */
import { type Change, everyKey } from '../core/changes.ts';
import {
  type DataKeyMove,
  type RootKeyRow,
  type RootSealedStore,
  type SealedItemRow,
  type SealedItemStore,
  StaleRootKey,
  type VaultKeyRow,
  type VaultKeyStore,
} from '../domain/sealing/sealing-store.ts';
import type { Database, Procedure, Reader, Writer } from './database.ts';
import { lockRows, lockRowsShared } from './dialect.ts';
import type { Schema } from './schema.ts';

export function createSealedItemStore(db: Database): SealedItemStore {
  return {
    async item(name) {
      const row = await db.read
        .selectFrom('sealed_items')
        .selectAll()
        .where('name', '=', name)
        .executeTakeFirst();
      return row === undefined ? undefined : toItem(row);
    },
    putItem: (item) => db.write(putItem, item),
    swapItem: (item, expected) => db.write(swapItem, { item, expected }),
    addItem: (item) => db.write(addItem, item),
  };
}

const itemChange = (name: string): Change => ({ topic: 'sealedItem', key: name });

export const putItem: Procedure<SealedItemRow, void> = {
  name: 'sealedItems.put',
  async run(tx, item) {
    await assertRootKeyInUse(tx, item.rootKeyId);
    const columns = { root_key_id: item.rootKeyId, sealed: item.sealed };
    await tx
      .insertInto('sealed_items')
      .values({ name: item.name, ...columns })
      .onConflict((conflict) => conflict.column('name').doUpdateSet(columns))
      .execute();
  },
  changes: ({ name }) => [itemChange(name)],
};

export const swapItem: Procedure<{ item: SealedItemRow; expected: Uint8Array | undefined }, boolean> = {
  name: 'sealedItems.swap',
  async run(tx, { item, expected }) {
    await assertRootKeyInUse(tx, item.rootKeyId);
    const columns = { root_key_id: item.rootKeyId, sealed: item.sealed };
    if (expected === undefined) {
      const { numInsertedOrUpdatedRows } = await tx
        .insertInto('sealed_items')
        .values({ name: item.name, ...columns })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .executeTakeFirst();
      return numInsertedOrUpdatedRows === 1n;
    }
    const { numUpdatedRows } = await tx
      .updateTable('sealed_items')
      .set(columns)
      .where('name', '=', item.name)
      .where('sealed', '=', expected)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  },
  changes: ({ item }) => [itemChange(item.name)],
};

export const addItem: Procedure<SealedItemRow, SealedItemRow> = {
  name: 'sealedItems.add',
  async run(tx, item) {
    await assertRootKeyInUse(tx, item.rootKeyId);
    await tx
      .insertInto('sealed_items')
      .values({ name: item.name, root_key_id: item.rootKeyId, sealed: item.sealed })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
    const row = await tx
      .selectFrom('sealed_items')
      .selectAll()
      .where('name', '=', item.name)
      .executeTakeFirstOrThrow();
    return toItem(row);
  },
  changes: ({ name }) => [itemChange(name)],
};

export function createVaultKeyStore(db: Database): VaultKeyStore {
  return {
    async vaultKeys(vaultId) {
      const rows = await db.read
        .selectFrom('vault_keys')
        .selectAll()
        .where('vault_id', '=', vaultId)
        .execute();
      return rows.map(toVaultKey);
    },
    addVaultKey: (row) => db.write(addVaultKey, row),
    removeVaultKey: (vaultId, version) => db.write(removeVaultKey, { vaultId, version }),
    async dataKeys(vaultId, keyVersion, limit) {
      const rows = await db.read
        .selectFrom('object_versions')
        .select(['kind', 'name_key', 'version', 'data_key'])
        .where('vault_id', '=', vaultId)
        .where('key_version', '=', keyVersion)
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        kind: row.kind,
        nameKey: row.name_key,
        version: row.version,
        dataKey: row.data_key,
      }));
    },
    replaceDataKeys: (vaultId, change) => db.write(replaceDataKeys, { vaultId, ...change }),
  };
}

export const addVaultKey: Procedure<VaultKeyRow, boolean> = {
  name: 'vaultKeys.add',
  run: (tx, row) => insertVaultKey(tx, row),
  changes: ({ vaultId }) => [{ topic: 'vaultKeys', key: vaultId }],
};

/** The foreign key of the versions keeps a key that a racing write has come to need. */
export const removeVaultKey: Procedure<{ vaultId: string; version: number }, boolean> = {
  name: 'vaultKeys.remove',
  async run(tx, { vaultId, version }) {
    const key = tx
      .selectFrom('vault_keys')
      .select('version')
      .where('vault_id', '=', vaultId)
      .where('version', '=', version);
    await lockRows(tx, key).execute();
    const used = await tx
      .selectFrom('object_versions')
      .select('version')
      .where('vault_id', '=', vaultId)
      .where('key_version', '=', version)
      .limit(1)
      .executeTakeFirst();
    if (used !== undefined) return false;
    await tx
      .deleteFrom('vault_keys')
      .where('vault_id', '=', vaultId)
      .where('version', '=', version)
      .execute();
    return true;
  },
  changes: ({ vaultId }) => [{ topic: 'vaultKeys', key: vaultId }],
};

interface ReplacedDataKeys extends DataKeyMove {
  readonly vaultId: string;
}

export const replaceDataKeys: Procedure<ReplacedDataKeys, boolean> = {
  name: 'vaultKeys.replaceDataKeys',
  async run(tx, { vaultId, fromVersion, toVersion, rows }) {
    const key = tx
      .selectFrom('vault_keys')
      .select('version')
      .where('vault_id', '=', vaultId)
      .where('version', '=', toVersion);
    if ((await lockRowsShared(tx, key).executeTakeFirst()) === undefined) return false;
    for (const row of rows) {
      await tx
        .updateTable('object_versions')
        .set({ key_version: toVersion, data_key: row.dataKey })
        .where('vault_id', '=', vaultId)
        .where('kind', '=', row.kind)
        .where('name_key', '=', row.nameKey)
        .where('version', '=', row.version)
        .where('key_version', '=', fromVersion)
        .execute();
    }
    return true;
  },
};

export function createRootSealedStore(db: Database): RootSealedStore {
  return {
    async rootKeys() {
      const rows = await db.read.selectFrom('root_keys').selectAll().execute();
      return rows.map(toRootKey);
    },
    addRootKey: (row) => db.write(addRootKey, row),
    async notUnder(rootKeyId, limit) {
      const items = await db.read
        .selectFrom('sealed_items')
        .selectAll()
        .where('root_key_id', '!=', rootKeyId)
        .limit(limit)
        .execute();
      const vaultKeys = await db.read
        .selectFrom('vault_keys')
        .selectAll()
        .where('root_key_id', '!=', rootKeyId)
        .limit(limit)
        .execute();
      return { items: items.map(toItem), vaultKeys: vaultKeys.map(toVaultKey) };
    },
    replace: (rows) => db.write(replaceRootSealed, rows),
    retireOtherRootKeys: (rootKeyId) => db.write(retireOtherRootKeys, rootKeyId),
    endHandover: (rootKeyId) => db.write(endHandover, rootKeyId),
  };
}

const rootKeysChange: Change = { topic: 'rootKeys', key: everyKey };

/**
 * The root keys, held until the transaction ends. Read again once they are held: who waited for another's end is given the
 * rows of before it, and would not see the one that was added meanwhile.
 */
async function heldRootKeys(tx: Writer): Promise<{ id: string; handover_by: string | null }[]> {
  const keys = () => tx.selectFrom('root_keys').select(['id', 'handover_by']);
  await lockRows(tx, keys()).execute();
  return keys().execute();
}

/** Only the first key comes without a handover; refused while a rotation is under way: there is never a third key. */
export const addRootKey: Procedure<RootKeyRow, boolean> = {
  name: 'rootKeys.add',
  async run(tx, row) {
    const there = await heldRootKeys(tx);
    if (there.some(({ id }) => id === row.id)) return true;
    if (there.length > 1 || (there.length === 1 && row.handover?.by !== there[0]?.id)) return false;
    await tx
      .insertInto('root_keys')
      .values({
        id: row.id,
        handover_by: row.handover?.by ?? null,
        handover: row.handover?.sealed ?? null,
      })
      .execute();
    return true;
  },
  changes: () => [rootKeysChange],
};

/**
 * Removes the root keys before this one, unless something is under them: a write that is to be holds its key's row.
 * Refused for a key that another rotation has begun to replace.
 */
export const retireOtherRootKeys: Procedure<string, boolean> = {
  name: 'rootKeys.retireOthers',
  async run(tx, rootKeyId) {
    const keys = await heldRootKeys(tx);
    const isNewest = keys.every(({ handover_by }) => handover_by !== rootKeyId);
    if (!isNewest || keys.every(({ id }) => id !== rootKeyId)) return false;
    for (const table of ['sealed_items', 'vault_keys'] as const) {
      const used = await tx
        .selectFrom(table)
        .select('root_key_id')
        .where('root_key_id', '!=', rootKeyId)
        .limit(1)
        .executeTakeFirst();
      if (used !== undefined) return false;
    }
    await tx.deleteFrom('root_keys').where('id', '!=', rootKeyId).execute();
    return true;
  },
  changes: () => [rootKeysChange],
};

export const endHandover: Procedure<string, void> = {
  name: 'rootKeys.endHandover',
  async run(tx, rootKeyId) {
    await tx
      .updateTable('root_keys')
      .set({ handover_by: null, handover: null })
      .where('id', '=', rootKeyId)
      .execute();
  },
};

export const replaceRootSealed: Procedure<Parameters<RootSealedStore['replace']>[0], void> = {
  name: 'rootKeys.reseal',
  async run(tx, { items, vaultKeys }) {
    const ids = new Set([...items, ...vaultKeys].map(({ row }) => row.rootKeyId));
    for (const id of ids) await assertRootKeyInUse(tx, id);
    for (const { row, was } of items) {
      await tx
        .updateTable('sealed_items')
        .set({ root_key_id: row.rootKeyId, sealed: row.sealed })
        .where('name', '=', row.name)
        .where('sealed', '=', was)
        .execute();
    }
    for (const { row, was } of vaultKeys) {
      await tx
        .updateTable('vault_keys')
        .set({ root_key_id: row.rootKeyId, sealed: row.sealed })
        .where('vault_id', '=', row.vaultId)
        .where('version', '=', row.version)
        .where('sealed', '=', was)
        .execute();
    }
  },
};

/** Keeps the root key from being retired until the transaction ends; throws `StaleRootKey` if it has been. */
async function assertRootKeyInUse(tx: Writer, id: string): Promise<void> {
  const query = tx.selectFrom('root_keys').select('id').where('id', '=', id);
  if ((await lockRowsShared(tx, query).executeTakeFirst()) === undefined) throw new StaleRootKey();
}

/** The ids of all root keys that something is sealed under, in a database that may have no schema yet. */
export async function readRootKeyIds(db: Reader): Promise<readonly string[]> {
  if (!(await hasSchema(db))) return [];
  const rows = await db
    .selectFrom('sealed_items')
    .select('root_key_id')
    .union((union) => union.selectFrom('vault_keys').select('root_key_id'))
    .execute();
  return rows.map((row) => row.root_key_id);
}

/** The root keys in use, of a database that may have no schema yet, or one from before they were listed. */
export async function readRootKeys(db: Reader): Promise<readonly RootKeyRow[]> {
  if (!(await hasTable(db, 'root_keys'))) return [];
  return (await db.selectFrom('root_keys').selectAll().execute()).map(toRootKey);
}

async function hasTable(db: Reader, name: string): Promise<boolean> {
  return (await db.introspection.getTables()).some((table) => table.name === name);
}

async function hasSchema(db: Reader): Promise<boolean> {
  // All tables here come with the first migration, in one transaction.
  return hasTable(db, 'vault_keys');
}

/** One sealed item of a database that may have no schema yet; undefined if there is none. */
export async function readSealedItem(db: Reader, name: string): Promise<SealedItemRow | undefined> {
  if (!(await hasSchema(db))) return undefined;
  const row = await db.selectFrom('sealed_items').selectAll().where('name', '=', name).executeTakeFirst();
  return row === undefined ? undefined : toItem(row);
}

/** Adds the key unless the vault has one of its version; answers whether it did. */
export async function insertVaultKey(tx: Writer, row: VaultKeyRow): Promise<boolean> {
  await assertRootKeyInUse(tx, row.rootKeyId);
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('vault_keys')
    .values({ vault_id: row.vaultId, version: row.version, root_key_id: row.rootKeyId, sealed: row.sealed })
    .onConflict((conflict) => conflict.columns(['vault_id', 'version']).doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

function toRootKey(row: Schema['root_keys']): RootKeyRow {
  const { id, handover_by: by, handover: sealed } = row;
  return { id, handover: by === null || sealed === null ? undefined : { by, sealed } };
}

function toItem(row: Schema['sealed_items']): SealedItemRow {
  return { name: row.name, rootKeyId: row.root_key_id, sealed: row.sealed };
}

function toVaultKey(row: Schema['vault_keys']): VaultKeyRow {
  return { vaultId: row.vault_id, version: row.version, rootKeyId: row.root_key_id, sealed: row.sealed };
}

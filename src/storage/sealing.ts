/** What is sealed under the root key: items and vault keys, and the data keys under vault keys. */
import type {
  RootSealedStore,
  SealedItemRow,
  SealedItemStore,
  VaultKeyRow,
  VaultKeyStore,
} from '../domain/sealing/sealing-store.ts';
import type { Database, Reader, Writer } from './database.ts';
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
    putItem: (item) =>
      db.write(async (tx) => {
        const columns = { root_key_id: item.rootKeyId, sealed: item.sealed };
        await tx
          .insertInto('sealed_items')
          .values({ name: item.name, ...columns })
          .onConflict((conflict) => conflict.column('name').doUpdateSet(columns))
          .execute();
      }),
    swapItem: (item, expected) =>
      db.write(async (tx) => {
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
      }),
    addItem: (item) =>
      db.write(async (tx) => {
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
      }),
  };
}

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
    addVaultKey: (row) => db.write((tx) => insertVaultKey(tx, row)),
    removeVaultKey: (vaultId, version) =>
      db.write(async (tx) => {
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
      }),
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
    replaceDataKeys: (vaultId, { fromVersion, toVersion, rows }) =>
      db.write(async (tx) => {
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
      }),
  };
}

export function createRootSealedStore(db: Database): RootSealedStore {
  return {
    // A write job, though it only reads: it waits its turn behind the writes that were asked for before it.
    notUnder: (rootKeyId, limit) =>
      db.write(async (tx) => {
        const items = await tx
          .selectFrom('sealed_items')
          .selectAll()
          .where('root_key_id', '!=', rootKeyId)
          .limit(limit)
          .execute();
        const vaultKeys = await tx
          .selectFrom('vault_keys')
          .selectAll()
          .where('root_key_id', '!=', rootKeyId)
          .limit(limit)
          .execute();
        return { items: items.map(toItem), vaultKeys: vaultKeys.map(toVaultKey) };
      }),
    replace: ({ items, vaultKeys }) =>
      db.write(async (tx) => {
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
      }),
  };
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

async function hasSchema(db: Reader): Promise<boolean> {
  // All tables here come with the first migration, in one transaction.
  return (await db.introspection.getTables()).some((table) => table.name === 'vault_keys');
}

/** One sealed item of a database that may have no schema yet; undefined if there is none. */
export async function readSealedItem(db: Reader, name: string): Promise<SealedItemRow | undefined> {
  if (!(await hasSchema(db))) return undefined;
  const row = await db.selectFrom('sealed_items').selectAll().where('name', '=', name).executeTakeFirst();
  return row === undefined ? undefined : toItem(row);
}

export async function insertVaultKey(tx: Writer, row: VaultKeyRow): Promise<void> {
  await tx
    .insertInto('vault_keys')
    .values({ vault_id: row.vaultId, version: row.version, root_key_id: row.rootKeyId, sealed: row.sealed })
    .execute();
}

function toItem(row: Schema['sealed_items']): SealedItemRow {
  return { name: row.name, rootKeyId: row.root_key_id, sealed: row.sealed };
}

function toVaultKey(row: Schema['vault_keys']): VaultKeyRow {
  return { vaultId: row.vault_id, version: row.version, rootKeyId: row.root_key_id, sealed: row.sealed };
}

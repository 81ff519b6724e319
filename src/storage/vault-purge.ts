/** The end of a vault, in transactions of bounded size: once begun it goes on until nothing of the vault is left. */
import type { Procedure, Writer } from './database.ts';
import { lockRows } from './dialect.ts';
import type { Schema } from './schema.ts';

type Begun = 'begun' | 'absent' | 'protected' | 'early';

/** What `purge_at` is from the moment when a vault cannot be recovered any more: before every date. */
const purging = 0;

export const beginVaultPurge: Procedure<{ id: string; now: number; atWish: boolean }, Begun> = {
  name: 'vaults.beginPurge',
  async run(tx, { id, now, atWish }) {
    const row = await lockedVault(tx, id);
    if (row === undefined || row.purge_at === null) return 'absent';
    if (row.purge_at > now && !atWish) return 'early';
    if (row.purge_at > now && row.purge_protection === 1) return 'protected';
    await tx.updateTable('vaults').set({ purge_at: purging }).where('id', '=', id).execute();
    return 'begun';
  },
  async targets({ id }, tx) {
    const row = await tx.selectFrom('vaults').selectAll().where('id', '=', id).executeTakeFirst();
    if (row === undefined) return [];
    // A deleted vault is its subscription's, and in no group any more.
    const place = `/subscriptions/${row.subscription_id}/providers/Microsoft.KeyVault/locations/${row.location}`;
    return [{ operation: 'write', scope: `${place}/deletedVaults/${row.name}` }];
  },
};

/** Rows in one transaction: others' writes wait for no more than these. */
const batch = 500;

/** Input: the vault's id. Answers whether nothing is left. */
export const purgeSomeOfVault: Procedure<string, boolean> = {
  name: 'vaults.purgeSome',
  async run(tx, id) {
    const row = await lockedVault(tx, id);
    if (row === undefined) return true;
    if (row.purge_at !== purging) throw new Error(`the purge of vault ${id} has not begun`);
    // A write of who has not heard of the deletion yet needs one of the keys, and waits or fails.
    const keys = tx.selectFrom('vault_keys').select('version').where('vault_id', '=', id);
    await lockRows(tx, keys).execute();
    if ((await removeVersions(tx, id)) || (await removeHeads(tx, id))) return false;
    await tx.deleteFrom('vault_keys').where('vault_id', '=', id).execute();
    await tx.deleteFrom('vaults').where('id', '=', id).execute();
    return true;
  },
  changes: (id) => [{ topic: 'vaultKeys', key: id }],
  // What has begun goes on.
  targets: () => [],
};

async function lockedVault(tx: Writer, id: string): Promise<Schema['vaults'] | undefined> {
  return lockRows(tx, tx.selectFrom('vaults').selectAll().where('id', '=', id)).executeTakeFirst();
}

/** Answers whether there were any. */
async function removeVersions(tx: Writer, id: string): Promise<boolean> {
  const rows = await tx
    .selectFrom('object_versions')
    .select(['kind', 'name_key', 'version'])
    .where('vault_id', '=', id)
    .limit(batch)
    .execute();
  for (const row of rows) {
    await tx
      .deleteFrom('object_versions')
      .where('vault_id', '=', id)
      .where('kind', '=', row.kind)
      .where('name_key', '=', row.name_key)
      .where('version', '=', row.version)
      .execute();
  }
  return rows.length > 0;
}

async function removeHeads(tx: Writer, id: string): Promise<boolean> {
  const rows = await tx
    .selectFrom('objects')
    .select(['kind', 'name_key'])
    .where('vault_id', '=', id)
    .limit(batch)
    .execute();
  for (const row of rows) {
    await tx
      .deleteFrom('objects')
      .where('vault_id', '=', id)
      .where('kind', '=', row.kind)
      .where('name_key', '=', row.name_key)
      .execute();
  }
  return rows.length > 0;
}

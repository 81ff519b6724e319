/**
 * The root key of a backup. While a root key is rotated, rows are under the old and the new one; a backup is under one
 * alone, so that the copy of the root key's file from any moment of its use opens it.
 */
import type { RootKeys } from '../crypto/root-key/root-key-file.ts';
import { RootKeyFile, RootKeyUnusable } from '../crypto/root-key/root-key-file.ts';
import { SealBroken } from '../crypto/sealing.ts';
import { takeUp } from '../domain/sealing/root-keys.ts';
import { openItem, sealItem } from '../domain/sealing/sealed-items.ts';
import { openVaultKey, resealVaultKey } from '../domain/sealing/vault-keys.ts';
import type { Reader } from '../storage/database.ts';
import type { DumpPage, Value } from '../storage/dump-tables.ts';
import { readRootKeyIds, readRootKeys, readSealedItem } from '../storage/sealing.ts';
import { canaryItem, protectionOf, type Tools } from './data.ts';

/** Opens the root key's file, and changes nothing in it. Throws `RootKeyUnusable`. */
export function openRootKeyFile({ config, clock, random }: Tools): Promise<RootKeyFile> {
  return RootKeyFile.open({ clock, random, keeps: false }, config.paths.rootKey, protectionOf(config));
}

/**
 * The root keys of what the snapshot holds, the newest in use as the current one; undefined if the file does not hold
 * them all, as when a rotation has ended between the two. Throws `RootKeyUnusable` for another server's.
 */
export async function rootKeysOf(tools: Tools, read: Reader): Promise<RootKeys | undefined> {
  const file = await openRootKeyFile(tools);
  takeUp(file, await readRootKeys(read));
  const ids = await readRootKeyIds(read);
  if (!ids.every((id) => file.byId(id) !== undefined)) return undefined;
  const canary = await readSealedItem(read, canaryItem);
  try {
    if (canary !== undefined) openItem(file, canary);
  } catch (error) {
    if (error instanceof SealBroken) throw foreignRootKey();
    throw error;
  }
  return file;
}

export function foreignRootKey(): RootKeyUnusable {
  return new RootKeyUnusable('The root key is not the one that sealed this data. Nothing was written.');
}

/** The page with all that is sealed in it under the current root key, as the only one in use. */
export function underCurrentKey(tools: Tools, rootKeys: RootKeys, page: DumpPage): DumpPage {
  const sealing = { rootKeys, random: tools.random };
  const { id } = rootKeys.current;
  switch (page.table) {
    case 'root_keys':
      return withRows(page, page.rows.length === 0 ? [] : [{ id, handover_by: null, handover: null }]);
    case 'sealed_items':
      return changed(page, id, ({ name, root_key_id, sealed }) => {
        const row = { name: text(name), rootKeyId: text(root_key_id), sealed: bytes(sealed) };
        const moved = sealItem(sealing, row.name, openItem(rootKeys, row));
        return { root_key_id: moved.rootKeyId, sealed: moved.sealed };
      });
    case 'vault_keys':
      return changed(page, id, ({ vault_id, version, root_key_id, sealed }) => {
        const of = { vaultId: text(vault_id), version: Number(version) };
        const row = { ...of, rootKeyId: text(root_key_id), sealed: bytes(sealed) };
        const moved = resealVaultKey(sealing, of, openVaultKey(rootKeys, row));
        return { root_key_id: moved.rootKeyId, sealed: moved.sealed };
      });
    default:
      return page;
  }
}

type Row = Readonly<Record<string, Value>>;

/** The page with the rows under other root keys changed. */
function changed(page: DumpPage, rootKeyId: string, change: (row: Row) => Row): DumpPage {
  const rows = page.rows.map((values) => {
    const row: Row = Object.fromEntries(page.columns.map((name, index) => [name, values[index] ?? null]));
    return row.root_key_id === rootKeyId ? row : { ...row, ...change(row) };
  });
  return withRows(page, rows);
}

function withRows(page: DumpPage, rows: readonly Row[]): DumpPage {
  return { ...page, rows: rows.map((row) => page.columns.map((name) => row[name] ?? null)) };
}

function text(value: Value | undefined): string {
  if (typeof value !== 'string') throw new TypeError('a text is expected');
  return value;
}

function bytes(value: Value | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('bytes are expected');
  return value;
}

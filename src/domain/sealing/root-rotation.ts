import type { Random } from '../../core/random.ts';
import type { RootKeyFile } from '../../crypto/root-key/root-key-file.ts';
import { openItem, sealItem } from './sealed-items.ts';
import type { RootSealedStore } from './sealing-store.ts';
import { openVaultKey, resealVaultKey } from './vault-keys.ts';

interface Deps {
  readonly store: RootSealedStore;
  readonly rootKey: RootKeyFile;
  readonly random: Random;
}

const batch = 200;

/**
 * Gives the server a new root key while it serves. The order makes every crash harmless: the file holds both keys
 * before any row moves, rows name the key they are under, and the old key goes only when no row needs it.
 */
export async function rotateRootKey(deps: Deps): Promise<{ keyId: string; moved: number }> {
  // A rotation that failed half-way is completed first: keys must not pile up in the file.
  if (deps.rootKey.hasOthers) await finishRootRotation(deps);
  const keyId = deps.rootKey.add();
  return { keyId, moved: await finishRootRotation(deps) };
}

/** Moves everything under the current root key and forgets the others; also completes a rotation cut short. */
export async function finishRootRotation(deps: Deps): Promise<number> {
  const { store, rootKey } = deps;
  const sealing = { rootKeys: rootKey, random: deps.random };
  let moved = 0;
  for (;;) {
    const { id } = rootKey.current;
    const rows = await store.notUnder(id, batch);
    if (rows.items.length === 0 && rows.vaultKeys.length === 0) {
      // Another rotation may have begun during the wait; what is under this key then still needs it.
      if (rootKey.current.id === id) break;
      continue;
    }
    await store.replace({
      items: rows.items.map((row) => ({
        row: sealItem(sealing, row.name, openItem(rootKey, row)),
        was: row.sealed,
      })),
      vaultKeys: rows.vaultKeys.map((row) => ({
        row: resealVaultKey(sealing, row, openVaultKey(rootKey, row)),
        was: row.sealed,
      })),
    });
    moved += rows.items.length + rows.vaultKeys.length;
  }
  rootKey.dropOthers();
  return moved;
}

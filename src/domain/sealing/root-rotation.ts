import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { RootKeyFile } from '../../crypto/root-key/root-key-file.ts';
import type { SealingKey } from '../../crypto/sealing.ts';
import { newestRootKey, takeUp } from './root-keys.ts';
import { openItem, sealItem } from './sealed-items.ts';
import type { RootSealedStore } from './sealing-store.ts';
import { openVaultKey, resealVaultKey } from './vault-keys.ts';

interface Deps {
  readonly store: RootSealedStore;
  readonly rootKey: RootKeyFile;
  readonly random: Random;
  /** Whether nodes with files of their own have to take the new key up from the database. */
  readonly severalNodes: boolean;
}

const batch = 200;

/**
 * Gives the server a new root key while it serves. The order makes every crash harmless: the file holds both keys
 * before the new one is in use, it is in use before any row moves, and the old key goes only when no row can need it.
 * Throws `Failure` (`conflict`) while another node does the same.
 */
export async function rotateRootKey(deps: Deps): Promise<{ keyId: string; moved: number }> {
  // A rotation that failed half-way is completed first: keys must not pile up in the file.
  if (deps.rootKey.hasOthers) await finishRootRotation(deps);
  const { rootKey, store } = deps;
  const before = rootKey.current.id;
  const keyId = rootKey.stage();
  if (
    !(await store.addRootKey({
      id: keyId,
      handover: { by: before, sealed: rootKey.sealUnder(keyId, before) },
    }))
  ) {
    rootKey.unstage(keyId);
    throw anotherRotation();
  }
  return { keyId, moved: await finishRootRotation(deps) };
}

/**
 * Moves everything under the newest root key and retires the others; also completes a rotation cut short. Answers how
 * many rows were moved; throws `Failure` (`conflict`) when another node is giving out a key that is not in hand.
 */
export async function finishRootRotation(deps: Deps): Promise<number> {
  const { store, rootKey } = deps;
  for (let moved = 0; ; ) {
    // Looked at each time: another node may have completed this rotation and begun the next.
    const rows = await store.rootKeys();
    const keyId = newestRootKey(rows);
    if (keyId === undefined) return moved;
    takeUp(rootKey, rows);
    const key = rootKey.byId(keyId);
    if (key === undefined) throw anotherRotation();
    try {
      moved += await moveAll(deps, key);
    } catch (error) {
      if (newestRootKey(await store.rootKeys()) === keyId) throw error;
      continue;
    }
    if (!(await store.retireOtherRootKeys(keyId))) continue;
    rootKey.keepOnly(keyId);
    // Processes over the same folder took it up when they were told of it; to whom else it comes too late, has the file.
    if (!deps.severalNodes) await store.endHandover(keyId);
    return moved;
  }
}

function anotherRotation(): Failure {
  return new Failure('conflict', 'Another rotation of the root key is under way.');
}

async function moveAll({ store, rootKey, random }: Deps, key: SealingKey): Promise<number> {
  // Under this key whatever becomes the current one meanwhile.
  const sealing = { rootKeys: { current: key, byId: (id: string) => rootKey.byId(id) }, random };
  for (let moved = 0; ; ) {
    const rows = await store.notUnder(key.id, batch);
    if (rows.items.length === 0 && rows.vaultKeys.length === 0) return moved;
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
}

import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { RootKeys } from '../../crypto/root-key/root-key-file.ts';
import { open, SealBroken, seal } from '../../crypto/sealing.ts';
import type { SealedItemRow, SealedItemStore } from './sealing-store.ts';

/** The server's own secrets by name, sealed under the root key. */
export interface SealedItems {
  /** The item's bytes; undefined if there is none. Throws `SealBroken` if it does not open. */
  get(name: string): Promise<SecretBytes | undefined>;
  put(name: string, value: SecretBytes): Promise<void>;
  /** The item with a mark of its present state, for `swap`. */
  read(name: string): Promise<{ value: SecretBytes; mark: Uint8Array } | undefined>;
  /** Replaces the item if its state is still that of `mark` (undefined: not there); false if it is not. */
  swap(name: string, value: SecretBytes, mark: Uint8Array | undefined): Promise<boolean>;
  /** The item of this name, made on first use; two makers at once end up with the same one. */
  getOrMake(name: string, make: () => SecretBytes | Promise<SecretBytes>): Promise<SecretBytes>;
}

interface Deps {
  readonly store: SealedItemStore;
  readonly rootKeys: RootKeys;
  readonly random: Random;
}

export function createSealedItems(deps: Deps): SealedItems {
  const get = async (name: string): Promise<SecretBytes | undefined> => {
    const row = await deps.store.item(name);
    return row === undefined ? undefined : openItem(deps.rootKeys, row);
  };
  return {
    get,
    put: (name, value) => deps.store.putItem(sealItem(deps, name, value)),
    async read(name) {
      const row = await deps.store.item(name);
      return row === undefined ? undefined : { value: openItem(deps.rootKeys, row), mark: row.sealed };
    },
    swap: (name, value, mark) => deps.store.swapItem(sealItem(deps, name, value), mark),
    async getOrMake(name, make) {
      const there = await get(name);
      if (there !== undefined) return there;
      return openItem(deps.rootKeys, await deps.store.addItem(sealItem(deps, name, await make())));
    },
  };
}

export function sealItem(deps: Omit<Deps, 'store'>, name: string, value: SecretBytes): SealedItemRow {
  const key = deps.rootKeys.current;
  return {
    name,
    rootKeyId: key.id,
    sealed: seal(key, value, { identity: `item|${name}`, random: deps.random }),
  };
}

export function openItem(rootKeys: RootKeys, row: SealedItemRow): SecretBytes {
  const key = rootKeys.byId(row.rootKeyId);
  if (key === undefined) throw new SealBroken(`${row.name} is sealed under another root key`);
  return open(key, row.sealed, `item|${row.name}`);
}

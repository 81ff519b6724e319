import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { RootKeys } from '../../crypto/root-key/root-key-file.ts';
import { open, SealBroken, seal } from '../../crypto/sealing.ts';
import { type LiveRootKeys, underCurrentRootKey } from './root-keys.ts';
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
  readonly rootKeys: LiveRootKeys;
  readonly random: Random;
}

export function createSealedItems(deps: Deps): SealedItems {
  const { store, rootKeys } = deps;
  const sealed = <T>(write: () => Promise<T>) => underCurrentRootKey(rootKeys, write);
  const opened = async (row: SealedItemRow) => {
    if (rootKeys.byId(row.rootKeyId) === undefined) await rootKeys.learn();
    return openItem(rootKeys, row);
  };
  const get = async (name: string): Promise<SecretBytes | undefined> => {
    const row = await store.item(name);
    return row === undefined ? undefined : opened(row);
  };
  return {
    get,
    put: (name, value) => sealed(() => store.putItem(sealItem(deps, name, value))),
    async read(name) {
      const row = await store.item(name);
      return row === undefined ? undefined : { value: await opened(row), mark: row.sealed };
    },
    swap: (name, value, mark) => sealed(() => store.swapItem(sealItem(deps, name, value), mark)),
    async getOrMake(name, make) {
      const there = await get(name);
      if (there !== undefined) return there;
      const made = await make();
      return opened(await sealed(() => store.addItem(sealItem(deps, name, made))));
    },
  };
}

export function sealItem(
  deps: { readonly rootKeys: RootKeys; readonly random: Random },
  name: string,
  value: SecretBytes,
): SealedItemRow {
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

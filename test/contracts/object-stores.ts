/** Stores of objects as their contracts begin with them: two vaults, each with its key, and short ways to write. */
import type { ChangeFeed } from '../../src/core/changes.ts';
import type { VaultKeyStore } from '../../src/domain/sealing/sealing-store.ts';
import type { VaultStore } from '../../src/domain/vaults/vault-store.ts';
import type {
  ObjectHead,
  ObjectKey,
  ObjectReader,
  ObjectVersion,
  ObjectWriter,
  SealedVersion,
} from '../../src/domain/versioned/object-store.ts';
import { guid, vaultKeyRow, vaultRecord } from './rows.ts';

export interface ObjectStores {
  readonly reader: ObjectReader;
  readonly writer: ObjectWriter;
  /** A writer of another process: it takes no turns with `writer`. */
  readonly other: ObjectWriter;
  /** A writer that runs `before` between reading a state and writing what was decided on it. */
  readonly writerBehind: (before: () => Promise<unknown>) => ObjectWriter;
  /** Tells `writer` of what was changed. */
  readonly feed: ChangeFeed;
  readonly vaults: VaultStore;
  readonly vaultKeys: VaultKeyStore;
}

export interface OpenObjectStores extends ObjectStores {
  readonly put: (
    key: ObjectKey,
    head: ObjectHead | 'same' | undefined,
    ...add: SealedVersion[]
  ) => Promise<undefined>;
  /** Makes an object whose current version is the last one. */
  readonly create: (key: ObjectKey, name: string, ...versions: SealedVersion[]) => Promise<void>;
}

/** The range of a whole list. */
export const all = { after: undefined, limit: 100 };

export function metadataOf({ envelope: _sealed, ...version }: SealedVersion): ObjectVersion {
  return version;
}

export function liveHead(name: string, current: SealedVersion, more: Partial<ObjectHead> = {}): ObjectHead {
  return {
    name,
    currentVersion: current.version,
    deletedAt: undefined,
    purgeAt: undefined,
    detail: undefined,
    dueAt: undefined,
    ...more,
  };
}

/** Stores with the vaults 1 and 2, each with its first key. */
export async function openObjectStores(makeStores: () => Promise<ObjectStores>): Promise<OpenObjectStores> {
  const stores = await makeStores();
  for (const n of [1, 2]) await stores.vaults.add(vaultRecord(n), vaultKeyRow(guid(n)));
  const put: OpenObjectStores['put'] = (key, head, ...add) =>
    stores.writer.change(key, { version: undefined }, () => ({ head, add, result: undefined }));
  return {
    ...stores,
    put,
    async create(key, name, ...versions) {
      const current = versions.at(-1);
      if (current === undefined) throw new Error('an object has a version');
      await put(key, liveHead(name, current), ...versions);
    },
  };
}

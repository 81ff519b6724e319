/** Ports: what is sealed directly under the root key, as rows that mean nothing without it. */

/** A small secret of the server itself (authority key, token keys, backup key), sealed under a root key. */
export interface SealedItemRow {
  readonly name: string;
  readonly rootKeyId: string;
  readonly sealed: Uint8Array;
}

/** A vault's key, sealed under a root key. Versions count from 1; the highest one seals. */
export interface VaultKeyRow {
  readonly vaultId: string;
  readonly version: number;
  readonly rootKeyId: string;
  readonly sealed: Uint8Array;
}

/** One object version's sealed data key, for moving it to another vault key. */
export interface DataKeyRow {
  readonly kind: string;
  readonly nameKey: string;
  readonly version: string;
  readonly dataKey: Uint8Array;
}

export interface SealedItemStore {
  item(name: string): Promise<SealedItemRow | undefined>;
  /** Adds or replaces one item, durably. */
  putItem(row: SealedItemRow): Promise<void>;
  /** Replaces the item if its sealed bytes are still `expected` (undefined: no such item); answers whether it did. */
  swapItem(row: SealedItemRow, expected: Uint8Array | undefined): Promise<boolean>;
  /** Adds an item unless one of the name is there; answers the one that is there afterwards. */
  addItem(row: SealedItemRow): Promise<SealedItemRow>;
}

export interface VaultKeyStore {
  vaultKeys(vaultId: string): Promise<readonly VaultKeyRow[]>;
  addVaultKey(row: VaultKeyRow): Promise<void>;
  /** Removes the key unless an object version still needs it; answers whether it is gone. */
  removeVaultKey(vaultId: string, version: number): Promise<boolean>;
  /** At most `limit` data keys of the vault that are still sealed under `keyVersion`. */
  dataKeys(vaultId: string, keyVersion: number, limit: number): Promise<readonly DataKeyRow[]>;
  /** Replaces data keys where they are still sealed under `fromVersion`; all of them or none. */
  replaceDataKeys(
    vaultId: string,
    change: { fromVersion: number; toVersion: number; rows: readonly DataKeyRow[] },
  ): Promise<void>;
}

/** A row sealed anew, and the sealed bytes that it replaces. */
export interface Resealed<R> {
  readonly row: R;
  readonly was: Uint8Array;
}

/** Everything under the root key, for its rotation and for the check at the start. */
export interface RootSealedStore {
  /**
   * At most `limit` rows of either kind that are sealed under another root key than `rootKeyId`. Sees every write
   * that was asked for before it, so that "none" stays true once nothing seals under another key any more.
   */
  notUnder(
    rootKeyId: string,
    limit: number,
  ): Promise<{ items: readonly SealedItemRow[]; vaultKeys: readonly VaultKeyRow[] }>;
  /** Replaces each row whose sealed bytes are still those it was read with; leaves rows written since then. */
  replace(rows: {
    items: readonly Resealed<SealedItemRow>[];
    vaultKeys: readonly Resealed<VaultKeyRow>[];
  }): Promise<void>;
}

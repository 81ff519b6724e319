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

export interface DataKeyMove {
  readonly fromVersion: number;
  readonly toVersion: number;
  readonly rows: readonly DataKeyRow[];
}

/**
 * A root key that rows may be under. A new one comes with itself sealed under the one before it, so that every process
 * and node that holds that one can take it up; the handover ends some time after the rotation.
 */
export interface RootKeyRow {
  readonly id: string;
  readonly handover: { readonly by: string; readonly sealed: Uint8Array } | undefined;
}

/** What was written is sealed under a root key that has been retired: take up the new one and seal again. */
export class StaleRootKey extends Error {
  constructor() {
    super('the root key of this write is no longer in use');
    this.name = 'StaleRootKey';
  }
}

/** Whatever is written must be under a root key in use; all writes throw `StaleRootKey` if it is not. */
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
  /** Adds the key unless the vault has one of its version; answers whether it did. */
  addVaultKey(row: VaultKeyRow): Promise<boolean>;
  /** Removes the key unless an object version still needs it; answers whether it is gone. */
  removeVaultKey(vaultId: string, version: number): Promise<boolean>;
  /** At most `limit` data keys of the vault that are still sealed under `keyVersion`. */
  dataKeys(vaultId: string, keyVersion: number, limit: number): Promise<readonly DataKeyRow[]>;
  /**
   * Replaces data keys where they are still sealed under `fromVersion`; all of them or none. Answers false, and changes
   * nothing, when the key that they are to be under is gone: another rotation has overtaken this one.
   */
  replaceDataKeys(vaultId: string, change: DataKeyMove): Promise<boolean>;
}

/** A row sealed anew, and the sealed bytes that it replaces. */
export interface Resealed<R> {
  readonly row: R;
  readonly was: Uint8Array;
}

/** Everything under the root key, for its rotation and for the check at the start. */
export interface RootSealedStore {
  /** One key, or two during a rotation. */
  rootKeys(): Promise<readonly RootKeyRow[]>;
  /** Adds a key, unless a rotation is under way; answers whether it is there. */
  addRootKey(row: RootKeyRow): Promise<boolean>;
  /** At most `limit` rows of either kind that are sealed under another root key than `rootKeyId`. */
  notUnder(
    rootKeyId: string,
    limit: number,
  ): Promise<{ items: readonly SealedItemRow[]; vaultKeys: readonly VaultKeyRow[] }>;
  /** Replaces each row whose sealed bytes are still those it was read with; leaves rows written since then. */
  replace(rows: {
    items: readonly Resealed<SealedItemRow>[];
    vaultKeys: readonly Resealed<VaultKeyRow>[];
  }): Promise<void>;
  /** Ends the use of every root key but this one; answers false, and changes nothing, while rows are under them. */
  retireOtherRootKeys(rootKeyId: string): Promise<boolean>;
  endHandover(rootKeyId: string): Promise<void>;
}

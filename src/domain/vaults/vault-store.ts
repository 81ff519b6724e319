import type { VaultKeyRow } from '../sealing/sealing-store.ts';
import type { VaultRecord } from './vault.ts';

/**
 * Port: vault records, of live vaults and of deleted ones, whose names stay theirs. `nameKey` is the lower-cased name.
 * Of a store under locks, every write fails with `scopeLocked` where a lock forbids it, and nothing is changed.
 */
export interface VaultStore {
  byName(nameKey: string): Promise<VaultRecord | undefined>;
  /** All, or a subscription's, in the order of their names. */
  list(subscriptionId?: string): Promise<readonly VaultRecord[]>;
  /** Adds the record and the vault's first key together, if the name is free and the resource group is there. */
  add(record: VaultRecord, key: VaultKeyRow): Promise<'added' | 'taken' | 'groupAbsent'>;
  /** Replaces the vault's record if it is still `was`; answers whether it did. */
  replace(record: VaultRecord, was: VaultRecord): Promise<boolean>;
  /**
   * Marks the vault as deleted and takes away the role assignments on it and on what is in it, all together; false if
   * there is none.
   */
  remove(vault: VaultRecord, now: number): Promise<boolean>;
  /** The reverse of `remove`, without the role assignments; refused from the purge date on, and once purging has begun. */
  recover(recovery: VaultRecovery): Promise<'recovered' | 'absent' | 'groupAbsent'>;
  /**
   * Begins to remove a deleted vault for good, from when nobody can stop it: at anyone's wish if it is not protected,
   * and in any case from its purge date on.
   */
  beginPurge(purge: {
    id: string;
    now: number;
    atWish: boolean;
  }): Promise<'begun' | 'absent' | 'protected' | 'early'>;
  /** Removes some of what is in a vault whose purge has begun, and the vault itself at the end; answers whether that is. */
  purgeSome(id: string): Promise<boolean>;
  /** Deleted vaults whose time has come, and those whose purge was cut short, the longest due first. */
  due(now: number): Promise<readonly VaultRecord[]>;
}

export interface VaultRecovery {
  /** The deleted vault's record as it was read. */
  readonly was: VaultRecord;
  readonly now: number;
  readonly updatedBy: VaultRecord['updatedBy'];
}

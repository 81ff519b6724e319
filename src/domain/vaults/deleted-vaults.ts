/** Deleted vaults: seen in their subscription, and removed for good at somebody's wish or when their time comes. */
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { foldLocation } from '../resources/locations.ts';
import type { VaultDeletion, VaultRecord } from './vault.ts';
import { deletedVaultNotFound } from './vault-rules.ts';
import type { VaultStore } from './vault-store.ts';

export interface DeletedVault extends VaultRecord {
  readonly deleted: VaultDeletion;
}

/** A deleted vault by its ARM id, which says its location in the place of its resource group. */
export interface DeletedVaultId {
  readonly subscriptionId: string;
  readonly location: string;
  readonly name: string;
}

export interface DeletedVaults {
  /** By name; those that cannot be recovered any more are not among them. */
  list(subscriptionId: string): Promise<readonly DeletedVault[]>;
  get(at: DeletedVaultId): Promise<DeletedVault>;
  /** Removes the vault with everything in it; refused for one that is protected. */
  purge(at: DeletedVaultId): Promise<void>;
}

interface Deps {
  readonly store: VaultStore;
  readonly clock: Clock;
  /** Ends what a vault's objects have under way elsewhere, while it can still be read. */
  readonly beforePurge?: (vault: VaultRecord) => Promise<void>;
}

export function createDeletedVaults(deps: Deps): DeletedVaults {
  const { store, clock } = deps;
  const get = async ({ subscriptionId, location, name }: DeletedVaultId): Promise<DeletedVault> => {
    const record = await store.byName(foldCase(name));
    if (record?.subscriptionId !== subscriptionId || !isRecoverable(record, clock))
      throw deletedVaultNotFound(name);
    if (record.location !== foldLocation(location)) throw deletedVaultNotFound(name);
    return record;
  };
  return {
    async list(subscriptionId) {
      const records = await store.list(subscriptionId);
      return records.filter((record) => isRecoverable(record, clock));
    },
    get,
    async purge(at) {
      const vault = await get(at);
      const begun = await store.beginPurge({ id: vault.id, now: clock.now(), atWish: true });
      if (begun === 'absent') throw deletedVaultNotFound(at.name);
      if (begun === 'protected')
        throw new Failure('methodNotAllowed', "Operation 'DeletedVaultPurge' is not allowed.");
      await purgeWhole(deps, vault);
    },
  };
}

function isRecoverable(record: VaultRecord, clock: Clock): record is DeletedVault {
  return record.deleted !== undefined && record.deleted.purgeAt > clock.now();
}

/**
 * Removes every vault whose time has come, and what a purge that was cut short has left; answers which are gone. One that
 * fails does not hold up the others, and is thrown at the end. Under a fence where the store is under one.
 */
export async function* purgeDueVaults(deps: Deps): AsyncGenerator<VaultRecord> {
  const { store, clock } = deps;
  const failures: unknown[] = [];
  for (const vault of await store.due(clock.now())) {
    try {
      const begun = await store.beginPurge({ id: vault.id, now: clock.now(), atWish: false });
      if (begun !== 'begun') continue;
      await purgeWhole(deps, vault);
    } catch (error) {
      failures.push(error);
      continue;
    }
    yield vault;
  }
  if (failures.length > 0) throw failures[0];
}

async function purgeWhole({ store, beforePurge }: Deps, vault: VaultRecord): Promise<void> {
  await beforePurge?.(vault);
  while (!(await store.purgeSome(vault.id)));
}

/** Locks on scopes. They are read each time: what they stand in the way of is rare, and must not slip past. */
import { foldCase } from '../core/names.ts';
import {
  type Lock,
  type LockedGroup,
  type LockStore,
  lockedSubscription,
} from '../domain/resources/lock-store.ts';
import type { Database, Procedure } from './database.ts';
import { lockRows } from './dialect.ts';
import { readLocks, subscriptionRow, toLockRow } from './lock-rows.ts';
import { holdResourceGroup } from './resource-groups.ts';

export function createLockStore(db: Database): LockStore {
  return {
    ofSubscription: (subscriptionId) => readLocks(db.read, subscriptionId),
    put: (lock, group) => db.write(putLock, { lock, group }),
    remove: (scope, name) => db.write(removeLock, { scope, name }),
  };
}

export const putLock: Procedure<
  { lock: Lock; group: LockedGroup | undefined },
  'created' | 'replaced' | 'groupAbsent'
> = {
  name: 'locks.put',
  async run(tx, { lock, group }) {
    // What has found no lock to refuse it comes first, whole.
    await lockRows(tx, subscriptionRow(tx, lockedSubscription(lock.scope))).execute();
    if (group !== undefined && !(await holdResourceGroup(tx, group))) return 'groupAbsent';
    const row = toLockRow(lock);
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('locks')
      .values(row)
      .onConflict((conflict) => conflict.columns(['scope_key', 'name_key']).doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows === 1n) return 'created';
    await tx
      .updateTable('locks')
      .set({ level: row.level, detail: row.detail })
      .where('scope_key', '=', row.scope_key)
      .where('name_key', '=', row.name_key)
      .execute();
    return 'replaced';
  },
};

export const removeLock: Procedure<Pick<Lock, 'scope' | 'name'>, boolean> = {
  name: 'locks.remove',
  async run(tx, { scope, name }) {
    const { numDeletedRows } = await tx
      .deleteFrom('locks')
      .where('scope_key', '=', foldCase(scope))
      .where('name_key', '=', foldCase(name))
      .executeTakeFirst();
    return numDeletedRows === 1n;
  },
};

/** Locks on scopes. They are read each time: what they stand in the way of is rare, and must not slip past. */
import { foldCase } from '../core/names.ts';
import type { Lock, LockedGroup, LockLevel, LockStore } from '../domain/resources/lock-store.ts';
import type { Database, Procedure, Reader, Writer } from './database.ts';
import { lockRows, lockRowsShared } from './dialect.ts';
import { holdResourceGroup } from './resource-groups.ts';
import type { Schema } from './schema.ts';
import { atOrBelow, isAtOrBelow } from './scopes.ts';

export function createLockStore(db: Database): LockStore {
  return {
    ofSubscription: (subscriptionId) => readLocks(db.read, subscriptionId),
    put: (lock, group) => db.write(putLock, { lock, group }),
    remove: (scope, name) => db.write(removeLock, { scope, name }),
  };
}

/**
 * Scopes of the locks that keep what has this key from being deleted: those on it, on what it is in and on what is in it.
 * The caller holds its group's row, as who puts a lock on something in the group does.
 */
export async function locksAgainstDeletion(
  tx: Writer,
  { subscriptionId, scope }: { subscriptionId: string; scope: string },
): Promise<readonly string[]> {
  await lockRowsShared(tx, subscriptionRow(tx, subscriptionId)).execute();
  const scopes = (await readLocks(tx, subscriptionId)).map((lock) => lock.scope);
  return scopes.filter(
    (locked) => isAtOrBelow(scope, foldCase(locked)) || isAtOrBelow(foldCase(locked), scope),
  );
}

function subscriptionRow(tx: Writer, id: string) {
  return tx.selectFrom('subscriptions').select('id').where('id', '=', id);
}

/** Every lock on the subscription and below it. */
async function readLocks(read: Reader, subscriptionId: string): Promise<readonly Lock[]> {
  const rows = await read
    .selectFrom('locks')
    .selectAll()
    .where(atOrBelow(foldCase(`/subscriptions/${subscriptionId}`)))
    .orderBy('scope_key')
    .orderBy('name_key')
    .execute();
  return rows.map(toLock);
}

export const putLock: Procedure<
  { lock: Lock; group: LockedGroup | undefined },
  'created' | 'replaced' | 'groupAbsent'
> = {
  name: 'locks.put',
  async run(tx, { lock, group }) {
    if (group !== undefined && !(await holdResourceGroup(tx, group))) return 'groupAbsent';
    const row = toRow(lock);
    // A deletion that has found no lock on the subscription comes first, whole.
    if (group === undefined)
      await lockRows(tx, subscriptionRow(tx, row.scope_key.split('/')[2] ?? '')).execute();
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

interface Detail {
  readonly notes?: string;
  readonly owners: readonly string[];
}

function toRow({ scope, name, level, notes, owners }: Lock): Schema['locks'] {
  const detail: Detail = notes === undefined ? { owners } : { notes, owners };
  return {
    scope_key: foldCase(scope),
    name_key: foldCase(name),
    scope,
    name,
    level,
    detail: JSON.stringify(detail),
  };
}

function toLock(row: Schema['locks']): Lock {
  const { notes, owners } = JSON.parse(row.detail) as Detail;
  return { scope: row.scope, name: row.name, level: row.level as LockLevel, notes, owners };
}

/**
 * Locks, as the transactions of writes ask for them. Who puts a lock holds its subscription's row alone, and who writes
 * under locks holds it with others: a write that has found no lock is done before there is one.
 */
import type { Kysely, Transaction } from 'kysely';
import { foldCase } from '../core/names.ts';
import {
  type Lock,
  type LockLevel,
  type LockTarget,
  lockedSubscription,
  lockRefusal,
} from '../domain/resources/lock-store.ts';
import { keepRows } from './dialect.ts';
import type { Schema } from './schema.ts';
import { atOrBelow } from './scopes.ts';

/** Throws the refusal of a lock that forbids this. To come before whatever else the transaction holds. */
export async function assertUnlocked(tx: Transaction<Schema>, target: LockTarget): Promise<void> {
  const subscriptionId = lockedSubscription(target.scope);
  if (subscriptionId === '') return;
  await keepRows(tx, subscriptionRow(tx, subscriptionId)).execute();
  const refusal = lockRefusal(await readLocks(tx, subscriptionId), target);
  if (refusal !== undefined) throw refusal;
}

export function subscriptionRow(tx: Transaction<Schema>, id: string) {
  return tx.selectFrom('subscriptions').select('id').where('id', '=', id);
}

/** Every lock on the subscription and below it, in the order of scopes and names. */
export async function readLocks(read: Kysely<Schema>, subscriptionId: string): Promise<readonly Lock[]> {
  const rows = await read
    .selectFrom('locks')
    .selectAll()
    .where(atOrBelow(foldCase(`/subscriptions/${subscriptionId}`)))
    .orderBy('scope_key')
    .orderBy('name_key')
    .execute();
  return rows.map(toLock);
}

/** What the detail column holds. */
interface Detail {
  readonly notes?: string;
  readonly owners: readonly string[];
}

export function toLockRow({ scope, name, level, notes, owners }: Lock): Schema['locks'] {
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

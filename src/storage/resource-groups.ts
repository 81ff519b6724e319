import { foldCase } from '../core/names.ts';
import type { Writer } from './database.ts';
import { lockRowsShared } from './dialect.ts';

/** What names a resource group. */
export interface GroupName {
  readonly subscriptionId: string;
  readonly name: string;
}

/** A group's row, for a transaction that takes a lock on it. */
export function groupRow(tx: Writer, { subscriptionId, name }: GroupName) {
  return tx
    .selectFrom('resource_groups')
    .selectAll()
    .where('subscription_id', '=', subscriptionId)
    .where('name_key', '=', foldCase(name));
}

/** Whether the group is there, and stays until the transaction ends: for whatever adds something to it. */
export async function holdResourceGroup(tx: Writer, group: GroupName): Promise<boolean> {
  return (await lockRowsShared(tx, groupRow(tx, group)).executeTakeFirst()) !== undefined;
}

/** Port: locks; and the one rule of what they refuse, which requests are asked by and the transactions of writes again. */
import { scopeCovers } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isGuid } from '../../core/names.ts';

/** `CanNotDelete` refuses deletion; `ReadOnly` refuses that and every change. */
export type LockLevel = 'CanNotDelete' | 'ReadOnly';

/** A lock on a scope and on everything below it. */
export interface Lock {
  /** ARM id of a subscription, a resource group or a resource. */
  readonly scope: string;
  /** Unique in its scope, without regard to case. */
  readonly name: string;
  readonly level: LockLevel;
  readonly notes: string | undefined;
  readonly owners: readonly string[];
}

export type LockedOperation = 'write' | 'delete';

/** What is about to be done, and with what. */
export interface LockTarget {
  readonly operation: LockedOperation;
  /** `/` or an ARM id. */
  readonly scope: string;
}

/** The refusal of those locks that stand in the way, in Azure's words and naming each scope once; undefined for none. */
export function lockRefusal(locks: readonly Lock[], { operation, scope }: LockTarget): Failure | undefined {
  const standing = locks.filter((lock) => refuses(lock, { operation, scope }));
  if (standing.length === 0) return undefined;
  const scopes = [...new Set(standing.map((lock) => lock.scope))].join(',');
  return new Failure(
    'scopeLocked',
    `The scope '${scope}' cannot perform ${operation} operation because following scope(s) are locked: '${scopes}'. Please remove the lock and try again.`,
  );
}

/** A lock on something refuses the deletion of what it is in, too. */
function refuses(lock: Lock, { operation, scope }: LockTarget): boolean {
  if (operation === 'delete') return scopeCovers(lock.scope, scope) || scopeCovers(scope, lock.scope);
  return lock.level === 'ReadOnly' && scopeCovers(lock.scope, scope);
}

/** The subscription that the id begins with; empty for what is in none: there are no locks there. */
export function lockedSubscription(scope: string): string {
  const [, id = ''] = /^\/subscriptions\/([^/]+)/.exec(foldCase(scope)) ?? [];
  return isGuid(id) ? id : '';
}

/** Scopes and names compare without case. */
export interface LockStore {
  /** Every lock on the subscription and below it, in the order of scopes and names. */
  ofSubscription(subscriptionId: string): Promise<readonly Lock[]>;
  /**
   * Makes the lock, or puts it in the place of the one of the same scope and name. `group` is the resource group that
   * the scope is in; nothing is locked in one that is not there.
   */
  put(lock: Lock, group: LockedGroup | undefined): Promise<'created' | 'replaced' | 'groupAbsent'>;
  remove(scope: string, name: string): Promise<boolean>;
}

export interface LockedGroup {
  readonly subscriptionId: string;
  readonly name: string;
}

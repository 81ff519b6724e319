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

/** Port: locks. Scopes and names compare without case. */
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

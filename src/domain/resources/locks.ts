/** Locks: what they refuse, on the scope that they are on and on everything below it. */
import { parseScope, scopeCovers, scopeKey } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import {
  type Lock,
  type LockedOperation,
  type LockStore,
  lockedSubscription,
  lockRefusal,
} from './lock-store.ts';

export interface Locks {
  /** Those on the scope and below it. */
  list(scope: string): Promise<readonly Lock[]>;
  get(scope: string, name: string): Promise<Lock | undefined>;
  /** Makes or replaces; answers whether it is new. */
  put(lock: Lock): Promise<boolean>;
  remove(scope: string, name: string): Promise<boolean>;
  /** Throws if a lock stands in the operation's way. What is written then asks once more, in its transaction. */
  assertAllow(operation: LockedOperation, scope: string): Promise<void>;
}

const longestName = 260;
const longestNotes = 512;

export function createLocks(store: LockStore): Locks {
  const inSubscription = async (scope: string): Promise<readonly Lock[]> => {
    const subscriptionId = lockedSubscription(scope);
    return subscriptionId === '' ? [] : store.ofSubscription(subscriptionId);
  };
  return {
    async list(scope) {
      return (await inSubscription(scope)).filter((lock) => scopeCovers(scope, lock.scope));
    },
    async get(scope, name) {
      const isMeant = (lock: Lock) =>
        scopeKey(lock.scope) === scopeKey(scope) && foldCase(lock.name) === foldCase(name);
      return (await inSubscription(scope)).find(isMeant);
    },
    async put(lock) {
      assertValid(lock);
      const outcome = await store.put(lock, groupOf(lock.scope));
      if (outcome === 'groupAbsent') throw resourceGroupNotFound(groupOf(lock.scope)?.name ?? '');
      return outcome === 'created';
    },
    remove: (scope, name) => store.remove(scope, name),
    async assertAllow(operation, scope) {
      const refusal = lockRefusal(await inSubscription(scope), { operation, scope });
      if (refusal !== undefined) throw refusal;
    },
  };
}

export function resourceGroupNotFound(name: string): Failure {
  return new Failure('resourceGroupNotFound', `Resource group '${name}' could not be found.`);
}

function assertValid({ scope, name, notes, owners }: Lock): void {
  if (lockedSubscription(scope) === '' || parseScope(scope) === undefined)
    throw new Failure(
      'invalidRequestContent',
      'A lock is on a subscription, a resource group or a resource.',
    );
  if (name === '' || name.length > longestName || !/^[^<>%&:\\?/\p{Cc}]+$/u.test(name))
    throw new Failure('invalidRequestContent', `The lock name '${name.slice(0, 64)}' is invalid.`);
  const texts = [notes ?? '', ...owners];
  if (texts.some((text) => text.length > longestNotes || !text.isWellFormed() || text.includes('\0')))
    throw new Failure('invalidRequestContent', `Notes and owners have at most ${longestNotes} characters.`);
}

function groupOf(scope: string): { subscriptionId: string; name: string } | undefined {
  const parsed = parseScope(scope);
  if (parsed === undefined || !('resourceGroup' in parsed)) return undefined;
  return { subscriptionId: foldCase(parsed.subscriptionId), name: parsed.resourceGroup };
}

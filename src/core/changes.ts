/**
 * What caches go by: which things changed, and whether the news is up to date. A cache subscribes to its topic,
 * forgets what it is told to, and answers from memory only while `fresh()`.
 */

/** A kind of thing that is kept in memory; the key of each is in its comment. */
export type Topic =
  /** An object with versions: `objectChangeKey`. */
  | 'object'
  /** A vault record: the lower-cased name. */
  | 'vault'
  /** The keys of a vault: the vault's id. */
  | 'vaultKeys'
  /** The role assignments of a principal: its object id. */
  | 'roleAssignments'
  /** A custom role: its id. */
  | 'roleDefinitions'
  /** A principal's record and the groups that it is in: its object id. */
  | 'principal'
  /** A sealed item: its name. */
  | 'sealedItem'
  /** The root keys in use, all together. */
  | 'rootKeys';

export interface Change {
  readonly topic: Topic;
  readonly key: string;
}

/** A change's key for anything of its topic. */
export const everyKey = '*';

/** Hears of a change; `key` is undefined when anything of the topic may have changed. */
export type ChangeListener = (key: string | undefined) => void;

export interface ChangeFeed {
  /** Whether all changes up to a bounded time ago have been told; while not, memory is to be bypassed. */
  fresh(): boolean;
  subscribe(topic: Topic, listener: ChangeListener): void;
}

export interface ChangeHub extends ChangeFeed {
  /** Tells of changes, at once and in order. */
  publish(changes: readonly Change[]): void;
  /** Tells every listener that it may have missed something. */
  lapse(): void;
}

/** A feed and its sending end. `fresh` says whether the news is up to date; by default it always is. */
export function createChangeHub(fresh: () => boolean = () => true): ChangeHub {
  const listeners = new Map<Topic, ChangeListener[]>();
  return {
    fresh,
    subscribe(topic, listener) {
      listeners.set(topic, [...(listeners.get(topic) ?? []), listener]);
    },
    publish(changes) {
      for (const { topic, key } of changes) {
        for (const listener of listeners.get(topic) ?? []) listener(key === everyKey ? undefined : key);
      }
    },
    lapse() {
      for (const all of listeners.values()) for (const listener of all) listener(undefined);
    },
  };
}

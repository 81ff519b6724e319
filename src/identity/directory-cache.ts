/** What each request asks of the directory, from memory as long as the feed vouches for it: who is enabled, and in which groups. */
import type { ChangeFeed } from '../core/changes.ts';
import type { PrincipalRecord, PrincipalStore } from './principals.ts';

/** A principal as it is now; `principal` is undefined for an object id that the directory does not know. */
export interface DirectoryEntry {
  readonly principal: PrincipalRecord | undefined;
  /** Object ids of all groups that it is in, however they are nested. */
  readonly groups: readonly string[];
}

export interface DirectoryCache {
  entryOf(objectId: string): Promise<DirectoryEntry>;
  /** The same if it is in memory, without waiting. */
  known(objectId: string): DirectoryEntry | undefined;
  /** Whether the directory has the principal and it is not disabled. Without waiting where it is in memory. */
  isEnabled(objectId: string): boolean | Promise<boolean>;
  groupsOf(objectId: string): readonly string[] | Promise<readonly string[]>;
}

const mostEntries = 10_000;

export function createDirectoryCache(
  store: Pick<PrincipalStore, 'byObjectId' | 'groupsOf'>,
  feed: ChangeFeed,
): DirectoryCache {
  const kept = new Map<string, DirectoryEntry>();
  let changes = 0;
  feed.subscribe('principal', (objectId) => {
    changes += 1;
    if (objectId === undefined) kept.clear();
    else kept.delete(objectId);
  });
  const known = (objectId: string) => (feed.fresh() ? kept.get(objectId) : undefined);
  const entryOf = async (objectId: string): Promise<DirectoryEntry> => {
    const there = known(objectId);
    if (there !== undefined) return there;
    const before = changes;
    const [principal, groups] = [await store.byObjectId(objectId), await store.groupsOf(objectId)];
    const entry = { principal, groups };
    // What was read before a change must not be kept after it.
    if (before === changes) {
      if (kept.size >= mostEntries) kept.clear();
      kept.set(objectId, entry);
    }
    return entry;
  };
  const isOn = ({ principal }: DirectoryEntry) => principal?.enabled === true;
  return {
    entryOf,
    known,
    isEnabled(objectId) {
      const there = known(objectId);
      return there === undefined ? entryOf(objectId).then(isOn) : isOn(there);
    },
    groupsOf(objectId) {
      const there = known(objectId);
      return there === undefined ? entryOf(objectId).then(({ groups }) => groups) : there.groups;
    },
  };
}

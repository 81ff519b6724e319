/**
 * What was opened of recently read versions, in bounded memory, as long as the feed vouches for it. What nobody asks
 * for in a minute is let go, so that an idle server holds none.
 */
import type { ChangeFeed } from '../../core/changes.ts';
import type { Clock } from '../../core/clock.ts';
import { type HeadAndVersion, type ObjectHead, type ObjectKey, objectChangeKey } from './object-store.ts';

/** A version with what its noun keeps of it: a secret's value, a key that is ready for use. */
export type OpenedVersion<V> = HeadAndVersion & { readonly value: V };

export interface ValueCache<V> {
  /** What was read before; `version` undefined is the current one. */
  get(key: ObjectKey, version: string | undefined): OpenedVersion<V> | undefined;
  /** To be taken before the store is read; `put` keeps nothing if the object has changed since. */
  mark(key: ObjectKey): number;
  /**
   * Answers what is kept now: this, or the same from a read that ended before; undefined for nothing. A value that is
   * not kept is the caller's own.
   */
  put(
    key: ObjectKey,
    version: string | undefined,
    read: { opened: OpenedVersion<V>; mark: number },
  ): OpenedVersion<V> | undefined;
  /**
   * What the store has just shown of the object; undefined for nothing. Forgets it where that is news, so that nobody
   * who was answered with it is answered with the state before.
   */
  saw(key: ObjectKey, head: ObjectHead | undefined): void;
  /** Forgets an object that has turned out to be another by now. */
  forget(key: ObjectKey): void;
  /** Forgets everything. */
  clear(): void;
}

interface Entry<V> {
  readonly opened: OpenedVersion<V>;
  lastUsed: number;
}

export interface ValueCacheOptions<V> {
  /** Bytes that a value takes, roughly. */
  readonly sizeOf: (value: V) => number;
  /** Told of each value that is no longer kept. */
  readonly dropped?: (value: V) => void;
  /** Bytes of all values together; 64 MiB by default. */
  readonly bytes?: number;
  /** Milliseconds for which an unused value is kept; a minute by default. */
  readonly idle?: number;
}

/** What an entry costs besides its value, roughly. */
const overhead = 1024;
/** Marks are per shard of names, not per name: a clash only keeps a value from being cached once. */
const shards = 4096;

export function createValueCache<V>(
  { clock, feed }: { clock: Clock; feed: ChangeFeed },
  options: ValueCacheOptions<V>,
): ValueCache<V> {
  const { bytes: most = 64 * 1024 * 1024, idle = 60_000 } = options;
  const sizeOf = ({ value }: OpenedVersion<V>) => options.sizeOf(value) + overhead;
  const objects = new Map<string, Map<string, Entry<V>>>();
  const marks = new Uint32Array(shards);
  let everything = 0;
  let bytes = 0;
  let sweeping = false;

  const release = ({ opened }: Entry<V>) => {
    bytes -= sizeOf(opened);
    options.dropped?.(opened.value);
  };
  const drop = (id: string) => {
    const versions = objects.get(id);
    objects.delete(id);
    for (const entry of versions?.values() ?? []) release(entry);
  };
  const sweep = () => {
    const oldest = clock.monotonic() - idle;
    for (const [id, versions] of objects) {
      if ([...versions.values()].every((entry) => entry.lastUsed <= oldest)) drop(id);
    }
    sweeping = objects.size > 0;
    if (sweeping) clock.after(idle, sweep);
  };
  const markOf = (id: string) => everything + (marks[shardOf(id)] ?? 0);
  const forget = (id: string) => {
    const shard = shardOf(id);
    marks[shard] = (marks[shard] ?? 0) + 1;
    drop(id);
  };
  const clear = () => {
    everything += 1;
    for (const each of [...objects.keys()]) drop(each);
  };
  feed.subscribe('object', (id) => (id === undefined ? clear() : forget(id)));
  return {
    clear,
    forget: (key) => forget(objectChangeKey(key)),
    get(key, version) {
      if (!feed.fresh()) return undefined;
      const entry = objects.get(objectChangeKey(key))?.get(version ?? '');
      if (entry === undefined) return undefined;
      entry.lastUsed = clock.monotonic();
      return entry.opened;
    },
    mark: (key) => markOf(objectChangeKey(key)),
    put(key, version, { opened, mark }) {
      const id = objectChangeKey(key);
      if (markOf(id) !== mark) return undefined;
      const asked = version ?? '';
      // Two reads may end after each other, and need not have seen the same.
      const before = objects.get(id)?.get(asked);
      if (before !== undefined && isSame(before.opened, opened)) return before.opened;
      const size = sizeOf(opened);
      // Maps keep the order of insertion: the first are the oldest.
      for (const old of objects.keys()) {
        if (bytes + size <= most) break;
        drop(old);
      }
      const versions = objects.get(id) ?? new Map<string, Entry<V>>();
      const replaced = versions.get(asked);
      versions.set(asked, { opened, lastUsed: clock.monotonic() });
      bytes += size;
      if (replaced !== undefined) release(replaced);
      objects.set(id, versions);
      if (!sweeping) clock.after(idle, sweep);
      sweeping = true;
      return opened;
    },
    saw(key, head) {
      const id = objectChangeKey(key);
      for (const { opened } of objects.get(id)?.values() ?? []) {
        const { currentVersion, deletedAt } = opened.head;
        if (currentVersion === head?.currentVersion && deletedAt === head.deletedAt) continue;
        forget(id);
        return;
      }
    },
  };
}

/** Whether both are of the same state of the object: a version's value never changes, all else is compared. */
function isSame(a: HeadAndVersion, b: HeadAndVersion): boolean {
  return JSON.stringify([a.head, a.version]) === JSON.stringify([b.head, b.version]);
}

function shardOf(id: string): number {
  let hash = 0;
  for (let index = 0; index < id.length; index += 1) hash = (hash * 31 + id.charCodeAt(index)) | 0;
  return hash & (shards - 1);
}

/**
 * Opened values of recently read versions, in bounded memory, as long as the feed vouches for them. Values that nobody
 * reads for a minute are let go, so that an idle server holds none.
 */
import type { ChangeFeed } from '../../core/changes.ts';
import type { Clock } from '../../core/clock.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { type HeadAndVersion, type ObjectHead, type ObjectKey, objectChangeKey } from './object-store.ts';

export type OpenedVersion = HeadAndVersion & { readonly value: SecretBytes };

export interface ValueCache {
  /** What was read before; `version` undefined is the current one. */
  get(key: ObjectKey, version: string | undefined): OpenedVersion | undefined;
  /** To be taken before the store is read; `put` keeps nothing if the object has changed since. */
  mark(key: ObjectKey): number;
  put(key: ObjectKey, version: string | undefined, read: { opened: OpenedVersion; mark: number }): void;
  /**
   * What the store has just shown of the object; undefined for nothing. Forgets it where that is news, so that nobody
   * who was answered with it is answered with the state before.
   */
  saw(key: ObjectKey, head: ObjectHead | undefined): void;
}

interface Entry {
  readonly opened: OpenedVersion;
  lastUsed: number;
}

interface Limits {
  /** Sum of the values' lengths. */
  readonly bytes: number;
  /** Milliseconds for which an unused value is kept. */
  readonly idle: number;
}

const defaults: Limits = { bytes: 64 * 1024 * 1024, idle: 60_000 };
/** What an entry costs besides its value, roughly. */
const overhead = 1024;
/** Marks are per shard of names, not per name: a clash only keeps a value from being cached once. */
const shards = 4096;

export function createValueCache(
  { clock, feed }: { clock: Clock; feed: ChangeFeed },
  limits: Limits = defaults,
): ValueCache {
  const objects = new Map<string, Map<string, Entry>>();
  const marks = new Uint32Array(shards);
  let everything = 0;
  let bytes = 0;
  let sweeping = false;

  const drop = (id: string) => {
    for (const entry of objects.get(id)?.values() ?? []) bytes -= sizeOf(entry.opened);
    objects.delete(id);
  };
  const sweep = () => {
    const oldest = clock.monotonic() - limits.idle;
    for (const [id, versions] of objects) {
      if ([...versions.values()].every((entry) => entry.lastUsed <= oldest)) drop(id);
    }
    sweeping = objects.size > 0;
    if (sweeping) clock.after(limits.idle, sweep);
  };
  const markOf = (id: string) => everything + (marks[shardOf(id)] ?? 0);
  const forget = (id: string) => {
    const shard = shardOf(id);
    marks[shard] = (marks[shard] ?? 0) + 1;
    drop(id);
  };
  feed.subscribe('object', (id) => {
    if (id === undefined) {
      everything += 1;
      for (const each of [...objects.keys()]) drop(each);
      return;
    }
    forget(id);
  });
  return {
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
      if (markOf(id) !== mark) return;
      const size = sizeOf(opened);
      // Maps keep the order of insertion: the first are the oldest.
      for (const old of objects.keys()) {
        if (bytes + size <= limits.bytes) break;
        drop(old);
      }
      const versions = objects.get(id) ?? new Map<string, Entry>();
      // Two reads may end after each other, and need not have seen the same.
      const replaced = versions.get(version ?? '');
      bytes += size - (replaced === undefined ? 0 : sizeOf(replaced.opened));
      versions.set(version ?? '', { opened, lastUsed: clock.monotonic() });
      objects.set(id, versions);
      if (!sweeping) clock.after(limits.idle, sweep);
      sweeping = true;
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

function sizeOf(opened: OpenedVersion): number {
  return opened.value.length + overhead;
}

function shardOf(id: string): number {
  let hash = 0;
  for (let index = 0; index < id.length; index += 1) hash = (hash * 31 + id.charCodeAt(index)) | 0;
  return hash & (shards - 1);
}

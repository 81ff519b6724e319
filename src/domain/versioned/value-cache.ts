/**
 * Opened values of recently read versions, in bounded memory, for one process that makes all the writes itself: a
 * write forgets its object before it is answered. Values that nobody reads for a minute are let go, so that an idle
 * server holds none.
 */
import type { Clock } from '../../core/clock.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { HeadAndVersion, ObjectKey, ObjectWriter } from './object-store.ts';

export type OpenedVersion = HeadAndVersion & { readonly value: SecretBytes };

export interface ValueCache {
  /** What was read before; `version` undefined is the current one. */
  get(key: ObjectKey, version: string | undefined): OpenedVersion | undefined;
  /** To be taken before the store is read; `put` keeps nothing if the object was forgotten since. */
  mark(key: ObjectKey): number;
  put(key: ObjectKey, version: string | undefined, read: { opened: OpenedVersion; mark: number }): void;
  forget(key: ObjectKey): void;
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

export function createValueCache(clock: Clock, limits: Limits = defaults): ValueCache {
  const objects = new Map<string, Map<string, Entry>>();
  const marks = new Uint32Array(shards);
  let bytes = 0;
  let sweeping = false;

  const drop = (id: string) => {
    for (const entry of objects.get(id)?.values() ?? []) bytes -= entry.opened.value.length + overhead;
    objects.delete(id);
  };
  const sweep = () => {
    const oldest = clock.now() - limits.idle;
    for (const [id, versions] of objects) {
      if ([...versions.values()].every((entry) => entry.lastUsed <= oldest)) drop(id);
    }
    sweeping = objects.size > 0;
    if (sweeping) clock.after(limits.idle, sweep);
  };
  return {
    get(key, version) {
      const entry = objects.get(idOf(key))?.get(version ?? '');
      if (entry === undefined) return undefined;
      entry.lastUsed = clock.now();
      return entry.opened;
    },
    mark: (key) => marks[shardOf(key)] ?? 0,
    put(key, version, { opened, mark }) {
      if (marks[shardOf(key)] !== mark) return;
      const id = idOf(key);
      const size = opened.value.length + overhead;
      // Maps keep the order of insertion: the first are the oldest.
      for (const old of objects.keys()) {
        if (bytes + size <= limits.bytes) break;
        drop(old);
      }
      const versions = objects.get(id) ?? new Map<string, Entry>();
      if (!versions.has(version ?? '')) bytes += size;
      versions.set(version ?? '', { opened, lastUsed: clock.now() });
      objects.set(id, versions);
      if (!sweeping) clock.after(limits.idle, sweep);
      sweeping = true;
    },
    forget(key) {
      const shard = shardOf(key);
      marks[shard] = (marks[shard] ?? 0) + 1;
      drop(idOf(key));
    },
  };
}

/** A writer that makes the cache forget each object that it may have changed, before the change is known to anyone. */
export function forgettingWriter(writer: ObjectWriter, values: ValueCache): ObjectWriter {
  return {
    async change(key, ask, decide) {
      try {
        return await writer.change(key, ask, decide);
      } finally {
        values.forget(key);
      }
    },
  };
}

function idOf(key: ObjectKey): string {
  return `${key.vaultId}|${key.kind}|${key.nameKey}`;
}

function shardOf(key: ObjectKey): number {
  let hash = 0;
  for (let index = 0; index < key.nameKey.length; index += 1)
    hash = (hash * 31 + key.nameKey.charCodeAt(index)) | 0;
  return hash & (shards - 1);
}

/**
 * The root keys that this process holds, kept in step with those in use: a rotation by another process or node is
 * taken up when its news arrives, or at the latest when something meets a key that is not in hand.
 */
import type { ChangeFeed } from '../../core/changes.ts';
import { Failure } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { RootKeyFile, RootKeys } from '../../crypto/root-key/root-key-file.ts';
import { type RootKeyRow, type RootSealedStore, StaleRootKey } from './sealing-store.ts';

export interface LiveRootKeys extends RootKeys {
  /** Takes up the keys in use and forgets those that are not. */
  learn(): Promise<void>;
}

interface Deps {
  readonly file: RootKeyFile;
  readonly store: RootSealedStore;
  readonly feed: ChangeFeed;
  readonly log: Log;
}

export function createLiveRootKeys({ file, store, feed, log }: Deps): LiveRootKeys {
  const learn = async () => {
    const rows = await store.rootKeys();
    takeUp(file, rows);
    const newest = newestRootKey(rows);
    if (newest === undefined || file.byId(newest) !== undefined) return;
    // The handover was missed; another process of this folder may have written the key to the file.
    file.reread();
    takeUp(file, rows);
  };
  feed.subscribe('rootKeys', () => {
    learn().catch((error: unknown) => log.error('The root keys in use cannot be taken up.', { error }));
  });
  return {
    get current() {
      return file.current;
    },
    byId: (id) => file.byId(id),
    learn,
  };
}

/** Brings the file in step with the keys in use, as far as they can be had. */
export function takeUp(file: RootKeyFile, rows: readonly RootKeyRow[]): void {
  for (const { id, handover } of rows) if (handover !== undefined) file.adopt(id, handover);
  const newest = newestRootKey(rows);
  if (newest === undefined || file.byId(newest) === undefined) return;
  if (file.current.id !== newest) file.promote(newest);
  // During a rotation of its own the file is ahead of the rows: nothing but retired keys may go.
  const retired = rows.length === 1 && file.ids.length > 1 && file.ids[0] !== newest;
  if (retired) file.keepOnly(newest);
}

/** Of two keys in use the one that was handed over by the other; undefined for an empty database. */
export function newestRootKey(rows: readonly RootKeyRow[]): string | undefined {
  if (rows.length === 1) return rows[0]?.id;
  return rows.find(({ handover }) => rows.some(({ id }) => id === handover?.by))?.id;
}

/** Runs what seals under the root key; once more when a rotation elsewhere has overtaken it. */
export async function underCurrentRootKey<T>(rootKeys: LiveRootKeys, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof StaleRootKey)) throw error;
    await rootKeys.learn();
  }
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof StaleRootKey)) throw error;
    throw new Failure('unavailable', 'The root key of this server is no longer in use.', {
      cause: error,
      retryAfter: 1,
    });
  }
}

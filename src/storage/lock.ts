/**
 * One process per data folder. The lock is SQLite's own on a file that holds nothing, so that the operating system
 * releases it however the process ends.
 */
import { DatabaseSync } from 'node:sqlite';

export interface FolderLock {
  release(): void;
}

/** Takes the lock; undefined if another process has it. */
export function lockFolder(path: string): FolderLock | undefined {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    // 5: SQLITE_BUSY.
    if ((error as { errcode?: unknown }).errcode === 5) return undefined;
    throw error;
  }
  return { release: () => database.close() };
}

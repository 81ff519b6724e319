/** Opens the database that the settings name, in the way that fits this process. */
import { existsSync } from 'node:fs';
import type { Config } from '../config.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Database, Reader } from '../storage/database.ts';
import { openPostgres } from '../storage/postgres.ts';
import { openSqlite, openSqliteReader } from '../storage/sqlite.ts';
import { connectWriter } from '../storage/writer-client.ts';

/** A process among several of one server; `slot` counts from 1. */
export interface WorkerRole {
  readonly slot: number;
  /** Says that the data folder may be written to: only now the writer process is to be started. */
  readonly admitted: () => void;
}

interface Deps {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly worker?: WorkerRole | undefined;
}

/** `inspect` sees what is there before anything is changed, and stops the opening by throwing. */
export async function openDatabase(deps: Deps, inspect: (read: Reader) => Promise<void>): Promise<Database> {
  const { config, clock, log, worker } = deps;
  const { paths } = config;
  if (config.databaseUrl !== undefined) {
    const settings = {
      url: config.databaseUrl,
      tlsCa: config.databaseTlsCa,
      poolSize: config.databasePoolSize,
    };
    return openPostgres({ clock, log }, settings, inspect);
  }
  if (worker === undefined) return openSqlite(paths.database, { inspect });
  await inspectFile(paths.database, inspect);
  worker.admitted();
  return connectWriter({ clock, log }, { database: paths.database, socket: paths.writer });
}

async function inspectFile(path: string, inspect: (read: Reader) => Promise<void>): Promise<void> {
  if (!existsSync(path)) return;
  const read = openSqliteReader(path);
  try {
    await inspect(read);
  } finally {
    await read.destroy();
  }
}

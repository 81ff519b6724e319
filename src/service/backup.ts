/**
 * A sealed copy of the whole server, taken while it serves or while none does: a process of its own reads one snapshot
 * of the database, holds nobody up and changes nothing. What it seals the copy with is opened by the root key alone.
 */
import { existsSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Config } from '../config.ts';
import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../crypto/random.ts';
import type { RootKeys } from '../crypto/root-key/root-key-file.ts';
import { RootKeyUnusable } from '../crypto/root-key/root-key-file.ts';
import { sealStream } from '../crypto/sealed-stream.ts';
import { SealBroken } from '../crypto/sealing.ts';
import { createLog } from '../logging.ts';
import {
  countRows,
  openPostgresSnapshot,
  openSqliteSnapshot,
  readPages,
  type Snapshot,
} from '../storage/dump.ts';
import { encodeDump } from '../storage/dump-format.ts';
import type { DumpPage, RowCounts } from '../storage/dump-tables.ts';
import { newestSchema } from '../storage/migrate.ts';
import { CommitUnknown, PostgresError } from '../storage/postgres-errors.ts';
import { InvalidPostgresSettings } from '../storage/postgres-settings.ts';
import { writeWholeFile } from './backup-file.ts';
import { foreignRootKey, rootKeysOf, underCurrentKey } from './backup-root-key.ts';
import { StartRefused, type Tools } from './data.ts';

/** The first line of every backup; the number is that of its format. */
export const backupKind = 'strongroom-backup/1';

/** Tells how far a copy has come: rows, or bytes while it is only checked. */
export type Progress = (step: 'reading' | 'checking' | 'writing', done: number, total: number) => void;

export interface BackupRequest {
  /** A file, which is replaced only if that is asked for, or a stream, which is not ended. */
  readonly to: { readonly file: string; readonly replace: boolean } | Writable;
  readonly progress?: Progress | undefined;
  /** Ends it early, with no file written. */
  readonly signal?: AbortSignal | undefined;
}

/** What is in a copy. */
export interface CopyReport {
  /** By table; those without any are left out. */
  readonly rows: RowCounts;
  /** Length of the copy. */
  readonly bytes: number;
  readonly seconds: number;
  /** The newest migration of the database that was copied. */
  readonly schema: string;
  /** The root key that opens the copy. */
  readonly rootKeyId: string;
}

/** How often a snapshot is taken again because a rotation of the root key ended just then. */
const attempts = 3;

/** Throws `StartRefused` or `Failure`, with no file written. */
export async function backUpServer(config: Config, request: BackupRequest): Promise<CopyReport> {
  const tools = commandTools(config);
  const started = tools.clock.monotonic();
  try {
    const source = await openSource(tools);
    try {
      const totals = await countRows(source.snapshot.read);
      const chunks = copyOf(tools, { ...source, totals }, request);
      const { to } = request;
      const bytes = 'file' in to ? await writeWholeFile(to.file, chunks, to) : await writeStream(to, chunks);
      return {
        rows: { ...totals, root_keys: 1 },
        bytes,
        seconds: (tools.clock.monotonic() - started) / 1000,
        schema: newestSchema,
        rootKeyId: source.rootKeys.current.id,
      };
    } finally {
      await source.snapshot.close();
    }
  } catch (error) {
    throw explained(error, request.signal);
  }
}

/** What the two commands work with: the machine's own time and randomness, and a log of what is wrong only. */
export function commandTools(config: Config): Tools {
  const quiet = { ...config, dev: false, logLevel: 'warn' as const };
  return { config: quiet, clock: systemClock, random: systemRandom, log: createLog('warn') };
}

/** Where the data is on PostgreSQL; undefined if it is in the data folder. */
export function postgresSettings({ config }: Tools): { url: string; tlsCa: string | undefined } | undefined {
  return config.databaseUrl === undefined
    ? undefined
    : { url: config.databaseUrl, tlsCa: config.databaseTlsCa };
}

interface Source {
  readonly snapshot: Snapshot;
  readonly rootKeys: RootKeys;
}

async function openSource(tools: Tools): Promise<Source> {
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const snapshot = await openSnapshot(tools);
    try {
      assertSchema(snapshot);
      const rootKeys = await rootKeysOf(tools, snapshot.read);
      if (rootKeys !== undefined) return { snapshot, rootKeys };
    } catch (error) {
      await snapshot.close();
      throw error;
    }
    await snapshot.close();
  }
  throw foreignRootKey();
}

function openSnapshot(tools: Tools): Promise<Snapshot> {
  const settings = postgresSettings(tools);
  if (settings !== undefined) return openPostgresSnapshot(tools, settings);
  const { data, paths } = tools.config;
  if (existsSync(paths.database)) return openSqliteSnapshot(paths.database);
  throw new StartRefused(
    `There is no database in ${data}. Name the server's folder with --data, or its PostgreSQL database with --database-url.`,
  );
}

function assertSchema({ schema }: Snapshot): void {
  if (schema === newestSchema) return;
  throw new StartRefused(
    schema === undefined
      ? 'The database is empty: there is nothing to back up.'
      : `The database has the schema ${schema}, but this version copies ${newestSchema} only. Use the version that serves it, or start this one once.`,
  );
}

function copyOf(
  tools: Tools,
  { snapshot, rootKeys, totals }: Source & { totals: RowCounts },
  { progress, signal }: BackupRequest,
): AsyncGenerator<Uint8Array> {
  const total = sumOf(totals);
  async function* pages(): AsyncGenerator<DumpPage> {
    let done = 0;
    for await (const page of readPages(snapshot.read)) {
      done += page.rows.length;
      progress?.('reading', done, total);
      signal?.throwIfAborted();
      yield underCurrentKey(tools, rootKeys, page);
    }
    // Pages and count are of one snapshot: a difference would be a fault of the paging.
    if (done !== total) throw new Error(`${done} of ${total} rows were read`);
  }
  const head = { schema: newestSchema, rootKeyId: rootKeys.current.id, made: tools.clock.now() };
  const place = { kind: backupKind, random: tools.random };
  return sealStream(rootKeys.current, encodeDump(head, pages()), place);
}

export function sumOf(counts: RowCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

async function writeStream(to: Writable, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      length += chunk.length;
      yield chunk;
    }
  }
  await pipeline(counted, to, { end: false });
  return length;
}

const fileErrors: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EEXIST: 'it is there already: another run is under way, or one was cut short; in that case remove it',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOSPC: 'no space is left',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  EPIPE: 'the reader has gone',
};

/** The error as one with a message for people, where it is one that an operator can do something about. */
export function explained(error: unknown, signal?: AbortSignal): unknown {
  const { code, path } = error as NodeJS.ErrnoException;
  if (signal?.aborted === true && error === signal.reason)
    return new StartRefused('Interrupted: nothing was written.');
  if (error instanceof RootKeyUnusable || error instanceof InvalidPostgresSettings)
    return new StartRefused(error.message, { cause: error });
  if (error instanceof SealBroken)
    return new StartRefused(`What the root key seals is damaged: ${error.message}.`, { cause: error });
  const ofDatabase = databaseMessage(error);
  if (ofDatabase !== undefined) return new StartRefused(ofDatabase, { cause: error });
  const known = code === undefined ? undefined : fileErrors[code];
  if (known !== undefined) return new StartRefused(`${path ?? 'The copy'}: ${known}.`, { cause: error });
  return error;
}

/** SQLite's primary result codes for a file that cannot be used now, and whatever PostgreSQL refuses. */
const sqliteFaults: readonly number[] = [5, 8, 10, 11, 13, 14, 26];

function databaseMessage(error: unknown): string | undefined {
  const { errcode, message, cause } = error as { errcode?: unknown; message?: string; cause?: unknown };
  if (typeof errcode === 'number' && sqliteFaults.includes(errcode & 0xff))
    return `The database cannot be used: ${message}.`;
  if (error instanceof CommitUnknown)
    return 'The connection was lost at the end: look whether the data is there, and restore again if it is not.';
  if (error instanceof PostgresError) return `The database cannot be used: ${message}.`;
  return cause instanceof PostgresError ? message : undefined;
}

/**
 * Puts a copy into an empty server of either database. It is read twice: the first time to its end, to know that it is
 * whole and genuine before anything is changed; the second time all its rows go in with one transaction.
 */
import { existsSync } from 'node:fs';
import type { Config } from '../config.ts';
import { silentLog } from '../core/log.ts';
import { NotThisStream, openStream, StreamKeyMissing } from '../crypto/sealed-stream.ts';
import { SealBroken } from '../crypto/sealing.ts';
import { createDirectoryStore } from '../storage/directory.ts';
import { DumpBroken, type DumpHead, type DumpReader, decodeDump } from '../storage/dump-format.ts';
import type { RowCounts } from '../storage/dump-tables.ts';
import { lockFolder } from '../storage/lock.ts';
import { newestSchema } from '../storage/migrate.ts';
import {
  isKnownSchema,
  postgresTarget,
  type RestoreTarget,
  sqliteTarget,
  TargetNotEmpty,
} from '../storage/restore.ts';
import {
  backupKind,
  type CopyReport,
  commandTools,
  explained,
  type Progress,
  postgresSettings,
  sumOf,
} from './backup.ts';
import { openReadableFile, type ReadableFile } from './backup-file.ts';
import { openRootKeyFile } from './backup-root-key.ts';
import { openData, StartRefused, type Tools } from './data.ts';

export interface RestoreRequest {
  readonly file: string;
  readonly progress?: Progress | undefined;
  /** Ends it early, with the database empty as before. */
  readonly signal?: AbortSignal | undefined;
}

/** Throws `StartRefused` or `Failure`, with the database empty as before unless the message says otherwise. */
export async function restoreServer(config: Config, request: RestoreRequest): Promise<CopyReport> {
  const tools = commandTools(config);
  const started = tools.clock.monotonic();
  try {
    assertRootKeyThere(config);
    const copy = await underLock(config, () => restoreUnderLock(tools, request));
    await recordRestore(tools);
    return { ...copy, seconds: (tools.clock.monotonic() - started) / 1000 };
  } catch (error) {
    throw explained(refusalOf(error, request.file), request.signal);
  }
}

function assertRootKeyThere({ paths }: Config): void {
  if (existsSync(paths.rootKey)) return;
  throw new StartRefused(
    `There is no root key at ${paths.rootKey}. Put there a copy of the root-key.json of the server that was backed up, with mode 0600.`,
  );
}

async function underLock<T>(config: Config, run: () => Promise<T>): Promise<T> {
  const lock = lockFolder(config.paths.lock);
  if (lock === undefined)
    throw new StartRefused(`Another process is using ${config.data}. Stop the server first.`);
  try {
    return await run();
  } finally {
    lock.release();
  }
}

async function restoreUnderLock(tools: Tools, request: RestoreRequest): Promise<Omit<CopyReport, 'seconds'>> {
  const settings = postgresSettings(tools);
  // What is to be said of the database is said when the restored server is opened.
  const quiet = { clock: tools.clock, log: silentLog };
  const target =
    settings === undefined ? sqliteTarget(tools.config.paths.database) : postgresTarget(quiet, settings);
  const rootKey = await openRootKeyFile(tools);
  const file = await openReadableFile(request.file);
  try {
    const source: Source = { file, signal: request.signal, keyOf: (id) => rootKey.byId(id) };
    const head = await readHead(source);
    await assertFits(target, head);
    const rows = await check(source, request.progress);
    await fill(target, source, { head, total: sumOf(rows), progress: request.progress });
    const { schema, rootKeyId } = head;
    return { rows, schema, rootKeyId, bytes: file.length };
  } finally {
    await file.close();
  }
}

interface Source {
  readonly file: ReadableFile;
  readonly keyOf: Parameters<typeof openStream>[0];
  readonly signal: AbortSignal | undefined;
}

/** Reads the copy from its beginning; `seen` is told how many bytes have been read. */
function read(source: Source, reader: DumpReader, seen?: (bytes: number) => void): Promise<RowCounts> {
  const { file, keyOf, signal } = source;
  async function* bytes(): AsyncGenerator<Uint8Array> {
    let done = 0;
    for await (const piece of file.read()) {
      done += piece.length;
      seen?.(done);
      signal?.throwIfAborted();
      yield piece;
    }
  }
  return decodeDump(openStream(keyOf, bytes(), backupKind), reader);
}

/** What the copy says of itself; the rest is not read. */
async function readHead(source: Source): Promise<DumpHead> {
  let found: DumpHead | undefined;
  const enough = new Error('the head was read');
  const reader: DumpReader = {
    head(head) {
      found = head;
      throw enough;
    },
    page: () => undefined,
  };
  await read(source, reader).catch((error: unknown) => {
    if (error !== enough) throw error;
  });
  if (found === undefined) throw new DumpBroken('the head is missing');
  return found;
}

async function assertFits(target: RestoreTarget, head: DumpHead): Promise<void> {
  if (!isKnownSchema(head.schema))
    throw new StartRefused(
      `The backup has the schema ${head.schema}, which is newer than this version's ${newestSchema}. Restore it with the version that made it, or a newer one.`,
    );
  const { schema, isEmpty } = await target.inspect();
  if (!isEmpty) throw new TargetNotEmpty();
  if (schema === undefined || schema <= head.schema) return;
  throw new StartRefused(
    `The database has the schema ${schema} already, and the backup the older ${head.schema}. Restore into a new database.`,
  );
}

async function check(source: Source, progress: Progress | undefined): Promise<RowCounts> {
  const reader: DumpReader = { head: () => undefined, page: () => undefined };
  return read(source, reader, (bytes) => progress?.('checking', bytes, source.file.length));
}

async function fill(
  target: RestoreTarget,
  source: Source,
  { head, total, progress }: { head: DumpHead; total: number; progress: Progress | undefined },
): Promise<void> {
  let done = 0;
  await target.fill({
    schema: head.schema,
    read: (take) =>
      read(source, {
        head: () => undefined,
        async page(page) {
          await take(page);
          done += page.rows.length;
          progress?.('writing', done, total);
          source.signal?.throwIfAborted();
        },
      }),
  });
}

/** Opens the restored server, which proves that it opens, and leaves the record that says where its data is from. */
async function recordRestore(tools: Tools): Promise<void> {
  const { clock, random } = tools;
  const time = clock.now();
  try {
    const data = await openData(tools);
    try {
      const [tenant] = await createDirectoryStore(data.db).tenants();
      await data.audit.append({
        time,
        resourceId: `/tenants/${tenant?.id ?? ''}`,
        operationName: 'ServerRestore',
        operationVersion: '',
        status: 200,
        failure: undefined,
        durationMs: clock.now() - time,
        callerIpAddress: '',
        correlationId: random.guid(),
        principal: undefined,
        userAgent: 'strongroom command line',
        requestUri: '/restore',
        id: undefined,
      });
    } finally {
      await data.close();
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const message = `Everything is restored, but the restored server could not be opened to record that: ${reason}`;
    throw new StartRefused(message, { cause: error });
  }
}

function refusalOf(error: unknown, file: string): unknown {
  if (error instanceof TargetNotEmpty)
    return new StartRefused('There is data here already. A backup is restored into an empty server only.');
  if (error instanceof NotThisStream)
    return new StartRefused(`${file} is not a backup of a Strongroom server, or one of another format.`);
  if (error instanceof StreamKeyMissing)
    return new StartRefused(
      `The backup opens with the root key ${error.keyId} only, and the root key file here does not hold it.`,
    );
  if (error instanceof SealBroken || error instanceof DumpBroken)
    return new StartRefused(`${file} is damaged: it was altered or cut short. Nothing was restored.`, {
      cause: error,
    });
  return error;
}

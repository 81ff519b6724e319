/** Opens the data folder: its lock, root key, database, sealed items and audit log, in that order, or nothing. */
import { mkdirSync } from 'node:fs';
import { type OpenAuditLog, openFileAuditLog } from '../audit/file-log.ts';
import type { FileOperations } from '../audit/files.ts';
import { AuditLogDamaged } from '../audit/inspect.ts';
import type { AnchorStore } from '../audit/log.ts';
import { auditFolder } from '../audit/several.ts';
import { type Config, passphraseOf } from '../config.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import {
  fileProtection,
  passphraseProtection,
  type RootKeyProtection,
} from '../crypto/root-key/protector.ts';
import { RootKeyFile, RootKeyUnusable } from '../crypto/root-key/root-key-file.ts';
import { macOf, SealBroken, sealingKeyLength } from '../crypto/sealing.ts';
import { createLiveRootKeys, type LiveRootKeys, takeUp } from '../domain/sealing/root-keys.ts';
import { finishRootRotation } from '../domain/sealing/root-rotation.ts';
import { createSealedItems, openItem, type SealedItems } from '../domain/sealing/sealed-items.ts';
import type { RootSealedStore } from '../domain/sealing/sealing-store.ts';
import { createAnchorStore } from '../storage/audit-anchor.ts';
import type { Database, Reader } from '../storage/database.ts';
import { type FolderLock, lockFolder } from '../storage/lock.ts';
import {
  createRootSealedStore,
  createSealedItemStore,
  readRootKeyIds,
  readRootKeys,
  readSealedItem,
} from '../storage/sealing.ts';
import { auditLogName } from './audit-logs.ts';
import { openDatabase, type WorkerRole } from './database.ts';

/** What every part is built with. */
export interface Tools {
  /** Undefined in a process that does everything alone. */
  readonly worker?: WorkerRole | undefined;
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly testOnlyFaults?: TestOnlyFaults | undefined;
}

/** What a test puts between the server and its database and disk, to make them fail. */
export interface TestOnlyFaults {
  /** Stands between the server and the database that was opened. */
  readonly database?: (db: Database) => Database;
  /** In the place of the operating system's, for the audit log. */
  readonly auditFiles?: FileOperations;
}

/** A start that cannot be, with a message for people; nothing was changed. */
export class StartRefused extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StartRefused';
  }
}

/** The data folder without its audit log, which is neither checked nor written to. */
export interface Store {
  readonly db: Database;
  readonly rootKey: RootKeyFile;
  readonly rootKeys: LiveRootKeys;
  readonly items: SealedItems;
  readonly auditMac: (previous: Uint8Array, group: Uint8Array) => Uint8Array;
  readonly anchors: AnchorStore;
  close(): Promise<void>;
}

export interface Data extends Store {
  readonly audit: OpenAuditLog;
}

/** Tells whether a root key fits, before anything is changed. */
export const canaryItem = 'canary';

export async function openData(tools: Tools): Promise<Data> {
  const { config, clock, log } = tools;
  const operations = tools.testOnlyFaults?.auditFiles;
  const store = await openStore(tools);
  try {
    const audit = await openFileAuditLog(
      {
        ...{ clock, log, mac: store.auditMac, anchors: store.anchors },
        ...(operations === undefined ? {} : { operations }),
      },
      {
        directory: auditFolder(config.paths.audit, tools.worker?.slot ?? 1),
        maxBytes: config.auditMaxBytes,
        maxFiles: config.auditMaxFiles,
      },
    );
    const close = async () => {
      await audit.close();
      await store.close();
    };
    return { ...store, audit, close };
  } catch (error) {
    await store.close();
    if (error instanceof AuditLogDamaged) throw new StartRefused(error.message, { cause: error });
    throw error;
  }
}

/** Takes the folder's lock, as `openData` does. */
export async function openStore(tools: Tools): Promise<Store> {
  const { config, random } = tools;
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  const closers: (() => void | Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.reverse()) await closer();
  };
  try {
    const lock = await takeLock(tools);
    closers.push(() => lock.release());
    const { rootKey, db: opened } = await openWithRootKey(tools);
    closers.push(() => opened.close());
    const db = tools.testOnlyFaults?.database?.(opened) ?? opened;
    const store = createRootSealedStore(db);
    await enrol(store, rootKey);
    const rootKeys = createLiveRootKeys({ file: rootKey, store, feed: db.feed, log: tools.log });
    const items = createSealedItems({ store: createSealedItemStore(db), rootKeys, random });
    const newKey = () => new SecretBytes(random.bytes(sealingKeyLength));
    await items.getOrMake(canaryItem, newKey);
    if (rootKey.hasOthers && isKeeper(tools)) await resumeRotation(tools, db, rootKey);
    const auditMac = macOf(await items.getOrMake('audit-key', newKey));
    const anchors = createAnchorStore(db, auditLogName(tools, tools.worker?.slot));
    return { db, rootKey, rootKeys, items, auditMac, anchors, close };
  } catch (error) {
    await close();
    if (error instanceof RootKeyUnusable) throw new StartRefused(error.message, { cause: error });
    throw error;
  }
}

/** One process per folder, or one supervisor and one of each of its workers. */
async function takeLock({ config, worker, clock }: Tools): Promise<FolderLock> {
  if (worker === undefined) {
    const lock = lockFolder(config.paths.lock);
    if (lock === undefined) throw new StartRefused(`Another process is using ${config.data}.`);
    return lock;
  }
  return takeProcessLock({ config, clock }, String(worker.slot));
}

/** The lock of one of several processes; the one that it follows may still be on its way out. */
export async function takeProcessLock(
  { config, clock }: Pick<Tools, 'config' | 'clock'>,
  name: string,
): Promise<FolderLock> {
  for (let attempt = 0; attempt < lockAttempts; attempt += 1) {
    const lock = lockFolder(`${config.paths.lock}.${name}`);
    if (lock !== undefined) return lock;
    await new Promise<void>((resolve) => clock.after(lockPause, resolve));
  }
  throw new StartRefused(`Another process is using ${config.data}.`);
}

const lockPause = 50;
const lockAttempts = 200;

/** Whether this process writes the data folder's files, where several serve it. */
export function isKeeper({ worker }: Pick<Tools, 'worker'>): boolean {
  return worker === undefined || worker.slot === 1;
}

/** The root key is looked for, and made, when it is known whether the database has any use for a new one. */
async function openWithRootKey(tools: Tools): Promise<{ db: Database; rootKey: RootKeyFile }> {
  let rootKey: RootKeyFile | undefined;
  const inspect = async (read: Reader) => {
    const ids = await readRootKeyIds(read);
    rootKey = await openRootKey(tools, ids.length > 0);
    await assertRootKeyFits(read, rootKey, ids);
  };
  const db = await openDatabase(tools, inspect).catch((error: Error) => {
    // What a database server is refused for is for people to put right.
    const isForeseen = tools.config.databaseUrl !== undefined && !(error instanceof RootKeyUnusable);
    throw isForeseen ? new StartRefused(error.message, { cause: error }) : error;
  });
  try {
    return { db, rootKey: rootKey ?? (await openRootKey(tools, false)) };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** Makes a new server's root key known, and takes up one that was handed over while this process was away. */
async function enrol(store: RootSealedStore, rootKey: RootKeyFile): Promise<void> {
  const rows = await store.rootKeys();
  try {
    takeUp(rootKey, rows);
  } catch (error) {
    if (error instanceof SealBroken) throw foreignRootKey(error);
    throw error;
  }
  const { id } = rootKey.current;
  if (rows.some((row) => row.id === id)) return;
  if (rows.length > 0 || !(await store.addRootKey({ id, handover: undefined }))) throw foreignRootKey();
}

/** Completes a rotation that was cut short. One damaged row must not keep the server down: the old key stays then. */
async function resumeRotation(
  { config, log, random }: Tools,
  db: Database,
  rootKey: RootKeyFile,
): Promise<void> {
  try {
    const severalNodes = config.databaseUrl !== undefined;
    await finishRootRotation({ store: createRootSealedStore(db), rootKey, random, severalNodes });
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    log.error('A rotation of the root key cannot be completed: something sealed under it is damaged.', {
      error,
    });
  }
}

/** How the settings say that the root key's file is protected. */
export function protectionOf(config: Config): RootKeyProtection {
  const passphrase = passphraseOf(config);
  return passphrase === undefined ? fileProtection : passphraseProtection(SecretBytes.fromText(passphrase));
}

async function openRootKey(tools: Tools, isNeeded: boolean): Promise<RootKeyFile> {
  const { config, clock, random, log } = tools;
  const { rootKey } = config.paths;
  const deps = { clock, random, keeps: isKeeper(tools) };
  if (RootKeyFile.exists(rootKey)) {
    const file = await RootKeyFile.open(deps, rootKey, protectionOf(config));
    const isConfigured = config.passphrase !== undefined || config.passphraseFile !== undefined;
    if (isConfigured && file.protector === 'file' && deps.keeps) {
      log.warn(
        'A passphrase is configured, but the root key is in a plain file. See: strongroom root-key protect',
      );
    }
    return file;
  }
  if (isNeeded) {
    const what = config.databaseUrl === undefined ? config.paths.database : 'the database';
    throw new RootKeyUnusable(
      `The root key ${rootKey} is missing, and ${what} cannot be opened without it. Put it back from your copy, or from another node; nothing was changed.`,
    );
  }
  return RootKeyFile.create(deps, rootKey, protectionOf(config));
}

async function assertRootKeyFits(read: Reader, rootKey: RootKeyFile, ids: readonly string[]): Promise<void> {
  // A file from before a rotation that was cut short opens some rows, the canary perhaps, and not others.
  const canHave = await obtainableRootKeyIds(read, rootKey);
  if (!ids.every((id) => canHave.has(id))) throw foreignRootKey();
  const canary = await readSealedItem(read, canaryItem);
  if (canary === undefined || rootKey.byId(canary.rootKeyId) === undefined) return;
  try {
    openItem(rootKey, canary);
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    throw foreignRootKey(error);
  }
}

/** The ids of the keys in the file, and of those that are handed over to who holds them. */
async function obtainableRootKeyIds(read: Reader, rootKey: RootKeyFile): Promise<ReadonlySet<string>> {
  const handedOver = (await readRootKeys(read)).filter(
    ({ handover }) => handover !== undefined && rootKey.byId(handover.by) !== undefined,
  );
  return new Set([...rootKey.ids, ...handedOver.map(({ id }) => id)]);
}

function foreignRootKey(cause?: unknown): RootKeyUnusable {
  const message = 'The root key is not the one that sealed this data. Nothing was changed.';
  return new RootKeyUnusable(message, { cause });
}

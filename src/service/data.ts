/** Opens the data folder: its lock, root key, database, sealed items and audit log, in that order, or nothing. */
import { existsSync, mkdirSync } from 'node:fs';
import { type OpenAuditLog, openFileAuditLog } from '../audit/file-log.ts';
import { AuditLogDamaged } from '../audit/inspect.ts';
import type { AnchorStore } from '../audit/log.ts';
import type { Config } from '../config.ts';
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
import { finishRootRotation } from '../domain/sealing/root-rotation.ts';
import { createSealedItems, openItem, type SealedItems } from '../domain/sealing/sealed-items.ts';
import { createAnchorStore } from '../storage/audit-anchor.ts';
import type { Database } from '../storage/database.ts';
import { lockFolder } from '../storage/lock.ts';
import {
  createRootSealedStore,
  createSealedItemStore,
  readRootKeyIds,
  readSealedItem,
} from '../storage/sealing.ts';
import { openSqlite } from '../storage/sqlite.ts';

/** What every part is built with. */
export interface Tools {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
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
  readonly items: SealedItems;
  readonly auditMac: (previous: Uint8Array, group: Uint8Array) => Uint8Array;
  readonly anchors: AnchorStore;
  close(): Promise<void>;
}

export interface Data extends Store {
  readonly audit: OpenAuditLog;
}

const canaryItem = 'canary';

export async function openData(tools: Tools): Promise<Data> {
  const { config, clock, log } = tools;
  const store = await openStore(tools);
  try {
    const audit = await openFileAuditLog(
      { clock, log, mac: store.auditMac, anchors: store.anchors },
      { directory: config.paths.audit, maxBytes: config.auditMaxBytes, maxFiles: config.auditMaxFiles },
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
  const { paths } = config;
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  const lock = lockFolder(paths.lock);
  if (lock === undefined) throw new StartRefused(`Another process is using ${config.data}.`);
  const closers: (() => void | Promise<void>)[] = [() => lock.release()];
  const close = async () => {
    for (const closer of closers.reverse()) await closer();
  };
  try {
    const rootKey = await openRootKey(tools);
    const db = await openSqlite(paths.database, (read) => assertRootKeyFits(read, rootKey));
    closers.push(() => db.close());
    const items = createSealedItems({ store: createSealedItemStore(db), rootKeys: rootKey, random });
    const newKey = () => new SecretBytes(random.bytes(sealingKeyLength));
    await items.getOrMake(canaryItem, newKey);
    if (rootKey.hasOthers) await resumeRotation(tools, db, rootKey);
    const auditMac = macOf(await items.getOrMake('audit-key', newKey));
    return { db, rootKey, items, auditMac, anchors: createAnchorStore(db, 'local'), close };
  } catch (error) {
    await close();
    if (error instanceof RootKeyUnusable) throw new StartRefused(error.message, { cause: error });
    throw error;
  }
}

/** Completes a rotation that was cut short. One damaged row must not keep the server down: the old key stays then. */
async function resumeRotation({ log, random }: Tools, db: Database, rootKey: RootKeyFile): Promise<void> {
  try {
    await finishRootRotation({ store: createRootSealedStore(db), rootKey, random });
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    log.error('A rotation of the root key cannot be completed: something sealed under it is damaged.', {
      error,
    });
  }
}

function protectionOf(config: Config): RootKeyProtection {
  return config.passphrase === undefined
    ? fileProtection
    : passphraseProtection(SecretBytes.fromText(config.passphrase));
}

async function openRootKey({ config, clock, random, log }: Tools): Promise<RootKeyFile> {
  const { rootKey, database } = config.paths;
  if (RootKeyFile.exists(rootKey)) {
    const file = await RootKeyFile.open({ clock, random }, rootKey, protectionOf(config));
    if (config.passphrase !== undefined && file.protector === 'file') {
      log.warn(
        'A passphrase is configured, but the root key is in a plain file. See: strongroom root-key protect',
      );
    }
    return file;
  }
  if (existsSync(database)) {
    throw new RootKeyUnusable(
      `The root key ${rootKey} is missing, and ${database} cannot be opened without it. Put it back from your copy; nothing was changed.`,
    );
  }
  return RootKeyFile.create({ clock, random }, rootKey, protectionOf(config));
}

async function assertRootKeyFits(read: Database['read'], rootKey: RootKeyFile): Promise<void> {
  // A file from before a rotation that was cut short opens some rows, the canary perhaps, and not others.
  if (!(await readRootKeyIds(read)).every((id) => rootKey.byId(id) !== undefined)) throw foreignRootKey();
  const canary = await readSealedItem(read, canaryItem);
  if (canary === undefined) return;
  try {
    openItem(rootKey, canary);
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    throw foreignRootKey(error);
  }
}

function foreignRootKey(cause?: unknown): RootKeyUnusable {
  const message = 'The root key is not the one that sealed this data. Nothing was changed.';
  return new RootKeyUnusable(message, { cause });
}

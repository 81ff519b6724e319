/**
 * The root key's file: one JSON document that holds the root key under a protector. With the `file` protector the
 * key is in clear and mode 0600 guards it; with `passphrase` it is sealed under Argon2id of the passphrase. Every
 * change is written beside the old file, flushed and renamed over it, so that a crash leaves one of the two whole.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import * as v from 'valibot';
import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { type SealingKey, sealingKey, sealingKeyLength } from '../sealing.ts';
import { fileProtector, type Protector, ProtectorFailure, type RootKeyProtection } from './protector.ts';

/** The root keys in hand: one that seals, and during a rotation the one before it. */
export interface RootKeys {
  readonly current: SealingKey;
  /** The key with this id; undefined if it is not in the file. */
  byId(id: string): SealingKey | undefined;
}

interface Entry {
  readonly id: string;
  readonly created: number;
  readonly bytes: SecretBytes;
}

const entrySchema = v.object({
  id: v.pipe(v.string(), v.uuid()),
  created: v.pipe(v.number(), v.integer()),
  key: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]+$/)),
});

const documentSchema = v.object({
  format: v.literal('strongroom-root-key/1'),
  protector: v.picklist(['file', 'passphrase']),
  kdf: v.optional(
    v.object({
      name: v.literal('argon2id'),
      memory: v.pipe(v.number(), v.integer(), v.minValue(8), v.maxValue(4 * 1024 * 1024)),
      passes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100)),
      parallelism: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)),
      salt: v.string(),
    }),
  ),
  current: v.pipe(v.string(), v.uuid()),
  keys: v.pipe(v.array(entrySchema), v.minLength(1), v.maxLength(8)),
});

type Document = v.InferOutput<typeof documentSchema>;

/** A root key that is missing, unreadable, wrongly protected or not the one that sealed the data. */
export class RootKeyUnusable extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'RootKeyUnusable';
  }
}

interface Deps {
  readonly clock: Clock;
  readonly random: Random;
}

/** An open root key file. Rotation: `add`, re-seal everything under the new key, `dropOthers`. */
export class RootKeyFile implements RootKeys {
  readonly #deps: Deps;
  readonly #path: string;
  #protector: Protector;
  #entries: readonly Entry[];
  #handles: ReadonlyMap<string, SealingKey>;
  #current: SealingKey;

  private constructor(
    deps: Deps,
    path: string,
    state: { protector: Protector; entries: readonly Entry[]; current: string },
  ) {
    this.#deps = deps;
    this.#path = path;
    this.#protector = state.protector;
    this.#entries = state.entries;
    this.#handles = new Map(state.entries.map((entry) => [entry.id, sealingKey(entry.id, entry.bytes)]));
    const current = this.#handles.get(state.current);
    if (current === undefined)
      throw new RootKeyUnusable(`${path} names a current key that it does not hold.`);
    this.#current = current;
  }

  static exists(path: string): boolean {
    return existsSync(path);
  }

  /** Makes a new root key and writes its file, which must not exist yet. */
  static async create(deps: Deps, path: string, protection: RootKeyProtection): Promise<RootKeyFile> {
    if (existsSync(path)) throw new RootKeyUnusable(`${path} is there already.`);
    const entry = newEntry(deps);
    const protector = await protection.create(deps.random);
    const file = new RootKeyFile(deps, path, { protector, entries: [entry], current: entry.id });
    file.#save();
    return file;
  }

  /** Opens the file; throws `RootKeyUnusable` with a message for people when that cannot be done. */
  static async open(deps: Deps, path: string, protection: RootKeyProtection): Promise<RootKeyFile> {
    const document = readDocument(path);
    if (document.protector === 'file') assertPrivate(path);
    try {
      const protector = document.protector === 'file' ? fileProtector : await protection.open(document);
      const entries = document.keys.map((key) => ({
        id: key.id,
        created: key.created,
        bytes: protector.unprotect(key.id, Buffer.from(key.key, 'base64url')),
      }));
      return new RootKeyFile(deps, path, { protector, entries, current: document.current });
    } catch (error) {
      if (error instanceof ProtectorFailure)
        throw new RootKeyUnusable(`${path}: ${error.message}`, { cause: error });
      throw error;
    }
  }

  get current(): SealingKey {
    return this.#current;
  }

  get protector(): Protector['name'] {
    return this.#protector.name;
  }

  /** Whether keys of a rotation that was cut short are still in the file. */
  get hasOthers(): boolean {
    return this.#entries.length > 1;
  }

  byId(id: string): SealingKey | undefined {
    return this.#handles.get(id);
  }

  /** Adds a new key, saves both, and seals with the new one from here on. Returns its id. */
  add(): string {
    const entry = newEntry(this.#deps);
    this.#entries = [...this.#entries, entry];
    const handle = sealingKey(entry.id, entry.bytes);
    this.#handles = new Map([...this.#handles, [entry.id, handle]]);
    this.#save();
    this.#current = handle;
    return entry.id;
  }

  /** Forgets every key but the current one. To be called only when nothing is sealed under the others. */
  dropOthers(): void {
    const kept = this.#entries.filter((entry) => entry.id === this.#current.id);
    for (const entry of this.#entries) if (!kept.includes(entry)) entry.bytes.wipe();
    this.#entries = kept;
    this.#handles = new Map([[this.#current.id, this.#current]]);
    this.#save();
  }

  /** Keeps the keys and puts them under another protector. */
  async protectWith(protection: RootKeyProtection): Promise<void> {
    this.#protector = await protection.create(this.#deps.random);
    this.#save();
  }

  #save(): void {
    const document: Document = {
      format: 'strongroom-root-key/1',
      protector: this.#protector.name,
      ...(this.#protector.kdf === undefined ? {} : { kdf: this.#protector.kdf }),
      current: this.#current.id,
      keys: this.#entries.map((entry) => ({
        id: entry.id,
        created: entry.created,
        key: Buffer.from(this.#protector.protect(entry.id, entry.bytes, this.#deps.random)).toString(
          'base64url',
        ),
      })),
    };
    replaceFile(this.#path, `${JSON.stringify(document, null, 2)}\n`);
  }
}

function newEntry(deps: Deps): Entry {
  return {
    id: deps.random.guid(),
    created: deps.clock.now(),
    bytes: new SecretBytes(deps.random.bytes(sealingKeyLength)),
  };
}

function readDocument(path: string): Document {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new RootKeyUnusable(`The root key ${path} cannot be read.`, { cause: error });
  }
  try {
    return v.parse(documentSchema, JSON.parse(text));
  } catch {
    // The cause would quote the file's content, which is the key.
    throw new RootKeyUnusable(`${path} is not a root key file of this version of Strongroom.`);
  }
}

function assertPrivate(path: string): void {
  if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) {
    throw new RootKeyUnusable(`${path} can be read by others. Put it right with: chmod 600 ${path}`);
  }
}

function replaceFile(path: string, text: string): void {
  const next = `${path}.new`;
  const file = openSync(next, 'w', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, path);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

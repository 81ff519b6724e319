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
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import * as v from 'valibot';
import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { open, type SealingKey, seal, sealingKey, sealingKeyLength } from '../sealing.ts';
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

/** One that seals, and those of rotations that were cut short. */
const mostKeys = 8;

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
      // RFC 9106 §3.1 asks for 16 bytes of salt.
      salt: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{22,}$/)),
    }),
  ),
  current: v.pipe(v.string(), v.uuid()),
  keys: v.pipe(v.array(entrySchema), v.minLength(1), v.maxLength(mostKeys)),
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
  /** Whether changes are written to the file; true unless another process does that. */
  readonly keeps?: boolean;
}

/**
 * An open root key file. Rotation: `stage`, make the new key known, `promote`, re-seal everything under it, `keepOnly`.
 * Of the processes that open a file one keeps it; the others change their memory alone.
 */
export class RootKeyFile implements RootKeys {
  readonly #deps: Deps;
  readonly #path: string;
  readonly #keeps: boolean;
  #protector: Protector;
  #entries: readonly Entry[];
  #handles: ReadonlyMap<string, SealingKey>;
  #current: SealingKey;

  private constructor(deps: Deps, path: string, state: State) {
    this.#deps = deps;
    this.#path = path;
    this.#keeps = deps.keeps ?? true;
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
    const state = { protector, entries: [entry], current: entry.id };
    save(deps, path, state);
    return new RootKeyFile(deps, path, state);
  }

  /** Opens the file; throws `RootKeyUnusable` with a message for people when that cannot be done. */
  static async open(deps: Deps, path: string, protection: RootKeyProtection): Promise<RootKeyFile> {
    const document = readDocument(path);
    if (document.protector === 'file') assertPrivate(path);
    try {
      const protector = document.protector === 'file' ? fileProtector : await protection.open(document);
      const entries = document.keys.map((key) => unprotected(protector, key));
      return new RootKeyFile(deps, path, { protector, entries, current: document.current });
    } catch (error) {
      if (error instanceof ProtectorFailure)
        throw new RootKeyUnusable(`${path}: ${error.message}`, { cause: error });
      if (error instanceof RootKeyUnusable) throw error;
      throw new RootKeyUnusable(`${path} is damaged: it does not hold a usable key.`, { cause: error });
    }
  }

  get current(): SealingKey {
    return this.#current;
  }

  /** The ids of all keys in the file. */
  get ids(): readonly string[] {
    return this.#entries.map((entry) => entry.id);
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

  /**
   * Makes a new key and saves it beside the current one, which stays the current one. Returns the new key's id. Throws
   * `RootKeyUnusable` when rotations that were cut short have left no room.
   */
  stage(): string {
    if (this.#entries.length >= mostKeys)
      throw new RootKeyUnusable(`${this.#path} is full of keys of unfinished rotations.`);
    const entry = newEntry(this.#deps);
    this.#change([...this.#entries, entry], this.#current.id);
    return entry.id;
  }

  /** Forgets a staged key that could not be made known; the others stay as they are. */
  unstage(id: string): void {
    const dropped = this.#entries.filter((entry) => entry.id === id);
    this.#change(
      this.#entries.filter((entry) => entry.id !== id),
      this.#current.id,
    );
    for (const entry of dropped) entry.bytes.wipe();
  }

  /** Seals with the key of this id, which must be in the file, from here on. */
  promote(id: string): void {
    this.#change(this.#entries, id);
  }

  /** Forgets every key but this one. To be called only when nothing is sealed under the others. */
  keepOnly(id: string): void {
    const kept = this.#entries.filter((entry) => entry.id === id);
    const dropped = this.#entries.filter((entry) => entry.id !== id);
    this.#change(kept, id);
    for (const entry of dropped) entry.bytes.wipe();
  }

  /** A key of the file sealed under another of its keys, for those that hold only the latter. */
  sealUnder(id: string, by: string): Uint8Array {
    const entry = this.#entries.find((each) => each.id === id);
    const key = this.#handles.get(by);
    if (entry === undefined || key === undefined) throw new TypeError('the file does not hold both keys');
    return seal(key, entry.bytes, { identity: handoverIdentity(id), random: this.#deps.random });
  }

  /** Takes up a key that came by `sealUnder`; false if the key that it is sealed under is not in hand. */
  adopt(id: string, { by, sealed }: { by: string; sealed: Uint8Array }): boolean {
    const key = this.#handles.get(by);
    if (key === undefined) return false;
    if (this.#handles.has(id)) return true;
    const entry = { id, created: this.#deps.clock.now(), bytes: open(key, sealed, handoverIdentity(id)) };
    this.#change([...this.#entries, entry], this.#current.id);
    return true;
  }

  /**
   * Takes up the keys that the process that keeps the file has written there meanwhile; who keeps it has them. Throws
   * `RootKeyUnusable` when the file does not open with what it was opened with before.
   */
  reread(): void {
    if (this.#keeps) return;
    const document = readDocument(this.#path);
    if (document.protector === 'file') assertPrivate(this.#path);
    try {
      if (document.protector !== this.#protector.name) throw new ProtectorFailure('it has another protector');
      const news = document.keys.filter(({ id }) => !this.#handles.has(id));
      const entries = news.map((key) => unprotected(this.#protector, key));
      this.#change([...this.#entries, ...entries], this.#current.id);
    } catch (cause) {
      throw new RootKeyUnusable(`${this.#path} cannot be read again: start this process anew.`, { cause });
    }
  }

  /** Keeps the keys and puts them under another protector. */
  async protectWith(protection: RootKeyProtection): Promise<void> {
    const protector = await protection.create(this.#deps.random);
    save(this.#deps, this.#path, { protector, entries: this.#entries, current: this.#current.id });
    this.#protector = protector;
  }

  /** Saves first: a failed write leaves the memory as it was too. */
  #change(entries: readonly Entry[], current: string): void {
    const handles = new Map(
      entries.map(({ id, bytes }) => [id, this.#handles.get(id) ?? sealingKey(id, bytes)]),
    );
    const key = handles.get(current);
    if (key === undefined) throw new TypeError('the current key is one of those in the file');
    if (this.#keeps) save(this.#deps, this.#path, { protector: this.#protector, entries, current });
    this.#entries = entries;
    this.#handles = handles;
    this.#current = key;
  }
}

function handoverIdentity(id: string): string {
  return `root-key-handover|${id}`;
}

interface State {
  readonly protector: Protector;
  readonly entries: readonly Entry[];
  readonly current: string;
}

/** Writes the state. Nothing in memory may change before this has returned: a failed write must leave the old. */
function save(deps: Deps, path: string, { protector, entries, current }: State): void {
  const document: Document = {
    format: 'strongroom-root-key/1',
    protector: protector.name,
    ...(protector.kdf === undefined ? {} : { kdf: protector.kdf }),
    current,
    keys: entries.map((entry) => ({
      id: entry.id,
      created: entry.created,
      key: Buffer.from(protector.protect(entry.id, entry.bytes, deps.random)).toString('base64url'),
    })),
  };
  replaceFile(path, `${JSON.stringify(document, null, 2)}\n`);
}

function newEntry(deps: Deps): Entry {
  return {
    id: deps.random.guid(),
    created: deps.clock.now(),
    bytes: new SecretBytes(deps.random.bytes(sealingKeyLength)),
  };
}

function unprotected(protector: Protector, { id, created, key }: Document['keys'][number]): Entry {
  return { id, created, bytes: protector.unprotect(id, Buffer.from(key, 'base64url')) };
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
  // What a crash (or somebody) left there would keep its own mode, or be a link to elsewhere.
  rmSync(next, { force: true });
  const file = openSync(next, 'wx', 0o600);
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

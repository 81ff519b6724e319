/**
 * The middle of the key hierarchy: each vault's own key, sealed under the root key, sealing the data keys of the
 * vault's object versions. Opened once and kept as key objects.
 */
import type { ChangeFeed } from '../../core/changes.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { RootKeys } from '../../crypto/root-key/root-key-file.ts';
import {
  type Envelope,
  open,
  openEnvelope,
  rewrapEnvelope,
  SealBroken,
  type SealingKey,
  seal,
  sealEnvelope,
  sealingKey,
  sealingKeyLength,
} from '../../crypto/sealing.ts';
import { type LiveRootKeys, underCurrentRootKey } from './root-keys.ts';
import type { VaultKeyRow, VaultKeyStore } from './sealing-store.ts';

/** Where a sealed object version belongs; it opens nowhere else. */
export interface ObjectPlace {
  readonly vaultId: string;
  readonly kind: string;
  readonly nameKey: string;
  readonly version: string;
}

export interface VaultKeys {
  /** Runs `add` with the first key of a new vault; again with another if the root key has changed meanwhile. */
  create<T>(vaultId: string, add: (key: VaultKeyRow) => Promise<T>): Promise<T>;
  seal(place: ObjectPlace, value: SecretBytes): Promise<Envelope>;
  /** Throws `SealBroken` for data that was altered or moved, `VaultKeyMissing` when the row may have been moved on. */
  open(place: ObjectPlace, envelope: Envelope): Promise<SecretBytes>;
  /** Gives the vault a new key and moves every data key to it, in batches, while the vault is in use. */
  rotate(vaultId: string): Promise<{ version: number; moved: number }>;
  /** Completes a rotation that was cut short; answers how many data keys were moved. */
  finishRotation(vaultId: string): Promise<number>;
  /** Forgets a vault's opened keys (the vault is gone, or its rows changed underneath). */
  forget(vaultId: string): void;
}

/** The vault has no key of the envelope's version: rotated away since the row was read, or the row was altered. */
export class VaultKeyMissing extends SealBroken {
  constructor(keyVersion: number) {
    super(`vault key ${keyVersion} is missing`);
    this.name = 'VaultKeyMissing';
  }
}

interface Deps {
  readonly store: VaultKeyStore;
  readonly rootKeys: LiveRootKeys;
  readonly feed: ChangeFeed;
  readonly random: Random;
}

interface OpenedKeys {
  readonly current: { readonly version: number; readonly key: SealingKey };
  readonly byVersion: ReadonlyMap<number, SealingKey>;
}

const rotationBatch = 500;

export function createVaultKeys(deps: Deps): VaultKeys {
  const opened = new Map<string, Promise<OpenedKeys>>();
  deps.feed.subscribe('vaultKeys', (vaultId) => {
    if (vaultId === undefined) opened.clear();
    else opened.delete(vaultId);
  });
  // No need for the feed to be fresh: a key that was removed opens nothing, and a write under it is refused.
  const keysOf = (vaultId: string): Promise<OpenedKeys> => {
    const kept = opened.get(vaultId);
    if (kept !== undefined) return kept;
    const keys = openKeys(deps, vaultId);
    opened.set(vaultId, keys);
    keys.catch(() => {
      if (opened.get(vaultId) === keys) opened.delete(vaultId);
    });
    return keys;
  };
  const rotations = new Map<string, Promise<void>>();
  const addKey = async (vaultId: string): Promise<number> => {
    for (;;) {
      opened.delete(vaultId);
      const version = (await keysOf(vaultId)).current.version + 1;
      const add = async () => deps.store.addVaultKey(newRow(deps, vaultId, version));
      // Refused when another process has made a key of this version meanwhile.
      if (await underCurrentRootKey(deps.rootKeys, add)) return version;
    }
  };
  const rotate = async (vaultId: string): Promise<{ version: number; moved: number }> => {
    const version = await addKey(vaultId);
    const moved = await moveDataKeys(deps, vaultId, await keysOf(vaultId));
    // The old keys leave the memory too.
    opened.delete(vaultId);
    return { version, moved };
  };
  const finish = async (vaultId: string): Promise<number> => {
    const keys = await keysOf(vaultId);
    if (keys.byVersion.size === 1) return 0;
    const moved = await moveDataKeys(deps, vaultId, keys);
    opened.delete(vaultId);
    return moved;
  };
  /** One after the other: two at once would both make the same version. */
  const inTurn = <T>(vaultId: string, run: () => Promise<T>): Promise<T> => {
    const turn = (rotations.get(vaultId) ?? Promise.resolve()).then(run);
    const ended = turn.then(noop, noop).then(() => {
      if (rotations.get(vaultId) === ended) rotations.delete(vaultId);
    });
    rotations.set(vaultId, ended);
    return turn;
  };
  return {
    create: (vaultId, add) => underCurrentRootKey(deps.rootKeys, async () => add(newRow(deps, vaultId, 1))),
    async seal(place, value) {
      const keys = await keysOf(place.vaultId);
      return sealEnvelope(keys.current, value, { identity: identityOf(place), random: deps.random });
    },
    async open(place, envelope) {
      let key = (await keysOf(place.vaultId)).byVersion.get(envelope.keyVersion);
      if (key === undefined) {
        opened.delete(place.vaultId);
        key = (await keysOf(place.vaultId)).byVersion.get(envelope.keyVersion);
      }
      if (key === undefined) throw new VaultKeyMissing(envelope.keyVersion);
      return openEnvelope(key, envelope, identityOf(place));
    },
    rotate: (vaultId) => inTurn(vaultId, () => rotate(vaultId)),
    finishRotation: (vaultId) => inTurn(vaultId, () => finish(vaultId)),
    forget: (vaultId) => void opened.delete(vaultId),
  };
}

function noop(): void {}

function identityOf(place: ObjectPlace): string {
  return `${place.vaultId}|${place.kind}|${place.nameKey}|${place.version}`;
}

function newRow(deps: Deps, vaultId: string, version: number): VaultKeyRow {
  const bytes = new SecretBytes(deps.random.bytes(sealingKeyLength));
  const row = resealVaultKey(deps, { vaultId, version }, bytes);
  bytes.wipe();
  return row;
}

/** The row of a vault key under the current root key. */
export function resealVaultKey(
  deps: { readonly rootKeys: RootKeys; readonly random: Random },
  of: Pick<VaultKeyRow, 'vaultId' | 'version'>,
  bytes: SecretBytes,
): VaultKeyRow {
  const root = deps.rootKeys.current;
  const sealed = seal(root, bytes, { identity: vaultKeyIdentity(of), random: deps.random });
  return { vaultId: of.vaultId, version: of.version, rootKeyId: root.id, sealed };
}

/** Opens a vault key's row; throws `SealBroken` when its root key is not in hand or the row was altered. */
export function openVaultKey(rootKeys: RootKeys, row: VaultKeyRow): SecretBytes {
  const root = rootKeys.byId(row.rootKeyId);
  if (root === undefined)
    throw new SealBroken(`the key of vault ${row.vaultId} is sealed under another root key`);
  return open(root, row.sealed, vaultKeyIdentity(row));
}

function vaultKeyIdentity(of: Pick<VaultKeyRow, 'vaultId' | 'version'>): string {
  return `vault-key|${of.vaultId}|${of.version}`;
}

async function openKeys(deps: Deps, vaultId: string): Promise<OpenedKeys> {
  const rows = await deps.store.vaultKeys(vaultId);
  if (rows.some((row) => deps.rootKeys.byId(row.rootKeyId) === undefined)) await deps.rootKeys.learn();
  const byVersion = new Map<number, SealingKey>();
  let newest = 0;
  for (const row of rows) {
    const bytes = openVaultKey(deps.rootKeys, row);
    byVersion.set(row.version, sealingKey(`${vaultId}/${row.version}`, bytes));
    bytes.wipe();
    newest = Math.max(newest, row.version);
  }
  const key = byVersion.get(newest);
  if (key === undefined) throw new SealBroken(`vault ${vaultId} has no key`);
  return { current: { version: newest, key }, byVersion };
}

async function moveDataKeys(deps: Deps, vaultId: string, keys: OpenedKeys): Promise<number> {
  let moved = 0;
  const to = keys.current;
  for (const [version, from] of keys.byVersion) {
    if (version === to.version) continue;
    // A write that was sealed before the new key was there may land after the last batch was read.
    do {
      const batches = await moveFrom(deps, vaultId, { from: { version, key: from }, to });
      moved += batches.moved;
      // Another process has given the vault a newer key, and moves all to that.
      if (batches.overtaken) return moved;
    } while (!(await deps.store.removeVaultKey(vaultId, version)));
  }
  return moved;
}

interface KeyVersion {
  readonly version: number;
  readonly key: SealingKey;
}

async function moveFrom(
  deps: Deps,
  vaultId: string,
  { from, to }: { from: KeyVersion; to: KeyVersion },
): Promise<{ moved: number; overtaken: boolean }> {
  let moved = 0;
  for (;;) {
    const rows = await deps.store.dataKeys(vaultId, from.version, rotationBatch);
    if (rows.length === 0) return { moved, overtaken: false };
    const rewrapped = rows.map((row) => {
      const place = { identity: identityOf({ vaultId, ...row }), random: deps.random };
      return { ...row, dataKey: rewrapEnvelope({ from: from.key, to }, row, place).dataKey };
    });
    const move = { fromVersion: from.version, toVersion: to.version, rows: rewrapped };
    if (!(await deps.store.replaceDataKeys(vaultId, move))) return { moved, overtaken: true };
    moved += rows.length;
  }
}

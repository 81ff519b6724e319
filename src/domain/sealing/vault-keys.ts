/**
 * The middle of the key hierarchy: each vault's own key, sealed under the root key, sealing the data keys of the
 * vault's object versions. Opened once and kept as key objects.
 */
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
import type { VaultKeyRow, VaultKeyStore } from './sealing-store.ts';

/** Where a sealed object version belongs; it opens nowhere else. */
export interface ObjectPlace {
  readonly vaultId: string;
  readonly kind: string;
  readonly nameKey: string;
  readonly version: string;
}

export interface VaultKeys {
  /** Makes the first key of a new vault. */
  create(vaultId: string): VaultKeyRow;
  seal(place: ObjectPlace, value: SecretBytes): Promise<Envelope>;
  /** Throws `SealBroken` for data that was altered or moved. */
  open(place: ObjectPlace, envelope: Envelope): Promise<SecretBytes>;
  /** Gives the vault a new key and moves every data key to it, in batches, while the vault is in use. */
  rotate(vaultId: string): Promise<{ version: number; moved: number }>;
  /** Forgets a vault's opened keys (the vault is gone, or its rows changed underneath). */
  forget(vaultId: string): void;
}

interface Deps {
  readonly store: VaultKeyStore;
  readonly rootKeys: RootKeys;
  readonly random: Random;
}

interface OpenedKeys {
  readonly current: { readonly version: number; readonly key: SealingKey };
  readonly byVersion: ReadonlyMap<number, SealingKey>;
}

const rotationBatch = 500;

export function createVaultKeys(deps: Deps): VaultKeys {
  const opened = new Map<string, Promise<OpenedKeys>>();
  const keysOf = (vaultId: string): Promise<OpenedKeys> => {
    let keys = opened.get(vaultId);
    if (keys === undefined) {
      keys = openKeys(deps, vaultId);
      opened.set(vaultId, keys);
      keys.catch(() => opened.delete(vaultId));
    }
    return keys;
  };
  return {
    create: (vaultId) => newRow(deps, vaultId, 1),
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
      if (key === undefined) throw new SealBroken(`vault key ${envelope.keyVersion} is missing`);
      return openEnvelope(key, envelope, identityOf(place));
    },
    async rotate(vaultId) {
      const version = (await keysOf(vaultId)).current.version + 1;
      await deps.store.addVaultKey(newRow(deps, vaultId, version));
      opened.delete(vaultId);
      return { version, moved: await moveDataKeys(deps, vaultId, await keysOf(vaultId)) };
    },
    forget: (vaultId) => void opened.delete(vaultId),
  };
}

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
  deps: Pick<Deps, 'rootKeys' | 'random'>,
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
  for (const [version, from] of keys.byVersion) {
    if (version === keys.current.version) continue;
    for (;;) {
      const rows = await deps.store.dataKeys(vaultId, version, rotationBatch);
      if (rows.length === 0) break;
      const to = keys.current;
      const rewrapped = rows.map((row) => {
        const identity = identityOf({ vaultId, ...row });
        return {
          ...row,
          dataKey: rewrapEnvelope({ from, to }, row, { identity, random: deps.random }).dataKey,
        };
      });
      await deps.store.replaceDataKeys(vaultId, {
        fromVersion: version,
        toVersion: to.version,
        rows: rewrapped,
      });
      moved += rows.length;
    }
    await deps.store.removeVaultKey(vaultId, version);
  }
  return moved;
}

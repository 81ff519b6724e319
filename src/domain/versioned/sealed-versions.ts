/** Values of versions, sealed for their place before they are written and opened after they were read. */
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { VaultKeyMissing, type VaultKeys } from '../sealing/vault-keys.ts';
import {
  type ObjectKey,
  type ObjectReader,
  type ObjectVersion,
  type SealedVersion,
  StaleVaultKey,
} from './object-store.ts';

interface Deps {
  readonly vaultKeys: VaultKeys;
}

/** A version that its value is still to be sealed for. */
export interface OpenVersion {
  readonly version: ObjectVersion;
  readonly value: SecretBytes;
}

export async function sealVersion(deps: Deps, key: ObjectKey, next: OpenVersion): Promise<SealedVersion> {
  const envelope = await deps.vaultKeys.seal({ ...key, version: next.version.version }, next.value);
  return { ...next.version, envelope };
}

/** As `sealVersion`; the value is wiped, whether or not it could be sealed. */
export async function sealAndWipe(deps: Deps, key: ObjectKey, next: OpenVersion): Promise<SealedVersion> {
  try {
    return await sealVersion(deps, key, next);
  } finally {
    next.value.wipe();
  }
}

/** Seals once more when the vault's key was rotated away between sealing and writing; `write` seals what it writes. */
export async function withFreshKey<T>(deps: Deps, vaultId: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof StaleVaultKey)) throw error;
    deps.vaultKeys.forget(vaultId);
    return write();
  }
}

/**
 * Opens a version's value; reads the row again when the vault's key was rotated away since. Undefined for a version
 * that is gone by then.
 */
export async function unsealVersion(
  deps: Deps & { readonly reader: ObjectReader },
  key: ObjectKey,
  sealed: SealedVersion,
): Promise<SecretBytes | undefined> {
  const place = { ...key, version: sealed.version };
  try {
    return await deps.vaultKeys.open(place, sealed.envelope);
  } catch (error) {
    if (!(error instanceof VaultKeyMissing)) throw error;
    const again = await deps.reader.sealedVersion(key, sealed.version);
    if (again === undefined) return undefined;
    return deps.vaultKeys.open(place, again.version.envelope);
  }
}

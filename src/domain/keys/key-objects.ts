/** What all operations on keys work with: the versions of keys and the providers that have them. */
import { unixSeconds } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { KeyProvider, NewKey } from '../../crypto/provider.ts';
import type { Vault, VaultGrant } from '../vaults/vault.ts';
import { keyNoun } from '../versioned/nouns.ts';
import { type Deletion, deletionOf, type Shown } from '../versioned/object-operations.ts';
import type { ObjectVersion } from '../versioned/object-store.ts';
import type { OpenVersion } from '../versioned/sealed-versions.ts';
import {
  createVersionedObjects,
  type VersionedDeps,
  type VersionedObjects,
} from '../versioned/versioned-objects.ts';
import { formatKeyDetail, type KeyDetail, packMaterial, parseKeyDetail } from './key-detail.ts';
import { keyDueAt } from './key-state.ts';
import { OpenKey } from './open-key.ts';
import type { RotationLimits } from './rotation-policy.ts';

export interface KeyProviders {
  readonly software: KeyProvider;
  /** Makes and takes in `-HSM` keys; undefined where the configuration allows none. */
  readonly hsm: KeyProvider | undefined;
}

export interface KeyDeps extends VersionedDeps<OpenKey> {
  readonly random: Random;
  readonly providers: KeyProviders;
  readonly limits: RotationLimits;
}

/** A key's version as it is shown. Times are Unix seconds. */
export interface Key {
  readonly name: string;
  readonly version: ObjectVersion;
  readonly detail: KeyDetail;
  readonly deleted: Deletion | undefined;
}

/** What a caller chooses about a version; undefined is not given. */
export interface KeyAttributes {
  readonly enabled: boolean | undefined;
  readonly notBefore: number | undefined;
  readonly expires: number | undefined;
  readonly tags: Readonly<Record<string, string>> | undefined;
}

export function createKeyObjects(deps: KeyDeps): VersionedObjects<OpenKey> {
  const { software, hsm } = deps.providers;
  const providers = new Map([software, ...(hsm === undefined ? [] : [hsm])].map((each) => [each.name, each]));
  const providerOf = (name: string): KeyProvider => {
    const provider = providers.get(name);
    if (provider === undefined) throw new Error(`the key provider '${name}' is not configured`);
    return provider;
  };
  return createVersionedObjects(deps, {
    noun: keyNoun,
    open: (version, unseal) => new OpenKey(parseKeyDetail(version.detail), unseal, providerOf),
    close: (key) => key.close(),
    dueAt: (detail, version) => keyDueAt(deps.limits, detail, version),
  });
}

/** The provider for new keys; refuses `-HSM` keys where the vault or the configuration has none. */
export function providerFor(
  { providers }: Pick<KeyDeps, 'providers'>,
  vault: Vault,
  hsm: boolean,
): KeyProvider {
  if (!hsm) return providers.software;
  if (vault.sku !== 'premium')
    throw new Failure('badParameter', 'Hardware key operation not allowed on standard vault');
  if (providers.hsm === undefined) {
    throw new Failure(
      'badParameter',
      'This server has no hardware security module, and is configured not to let software stand in for one.',
    );
  }
  return providers.hsm;
}

/** What a version is, for one that is to follow it: that a key may leave, and under which policy, as it was sealed. */
export async function inheritedDetail(
  objects: VersionedObjects<OpenKey>,
  grant: VaultGrant,
  { version, detail: text }: ObjectVersion,
): Promise<KeyDetail> {
  const detail = parseKeyDetail(text);
  if (!detail.exportable && detail.releasePolicy === undefined) return detail;
  const { value } = await objects.readValue(grant, version);
  return value.sealedDetail();
}

/** Seconds for which a key that others are wrapped for lives, where nothing is said of it: two days (recorded). */
const transferKeyLifetime = 172_800;

/** A new version of a key, ready to be added. */
export function newKeyVersion(
  deps: KeyDeps,
  made: NewKey,
  of: KeyAttributes & Omit<KeyDetail, 'spec' | 'jwk' | 'provider' | 'platform'> & { by: KeyProvider },
): OpenVersion {
  const { hsm, operations, exportable, releasePolicy, by } = of;
  const now = unixSeconds(deps.clock.now());
  const detail: KeyDetail = {
    spec: made.spec,
    hsm,
    provider: by.name,
    platform: by.platform,
    jwk: made.publicJwk,
    operations,
    exportable,
    releasePolicy,
  };
  const version: ObjectVersion = {
    version: deps.random.version(),
    enabled: of.enabled ?? true,
    notBefore: of.notBefore,
    expires: of.expires ?? (operations.includes('import') ? now + transferKeyLifetime : undefined),
    created: now,
    updated: now,
    managed: false,
    tags: of.tags,
    detail: formatKeyDetail(detail),
  };
  const policy = releasePolicy?.immutable ? releasePolicy.data : undefined;
  return { version, value: packMaterial(made.material, { exportable, policy }) };
}

export function toKey({ head, version }: Shown, detail = parseKeyDetail(version.detail)): Key {
  return { name: head.name, version, detail, deleted: deletionOf(head) };
}

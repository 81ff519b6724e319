/** Keys as objects: made, taken in, shown, changed, deleted and backed up. What they do is in `key-use.ts`. */
import { keyActions as actions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { Failure, isFailure } from '../../core/errors.ts';
import type { KeyTransportAlgorithm } from '../../crypto/algorithms.ts';
import type { KeySpec, NewKey, PrivateJwk } from '../../crypto/provider.ts';
import type { SealedItems } from '../sealing/sealed-items.ts';
import type { Vault, VaultGrant } from '../vaults/vault.ts';
import { keyNoun } from '../versioned/nouns.ts';
import { createObjectBackups, type ObjectBackups } from '../versioned/object-backup.ts';
import { createObjectOperations, type ObjectOperations } from '../versioned/object-operations.ts';
import type { OpenedVersion } from '../versioned/value-cache.ts';
import { ObjectChanged, type VersionedObjects } from '../versioned/versioned-objects.ts';
import type { AttestationVerifier } from './attestation.ts';
import {
  canEver,
  formatKeyDetail,
  type KeyDetail,
  type KeyOperation,
  parseKeyDetail,
  usualOperations,
} from './key-detail.ts';
import {
  inheritedDetail,
  type Key,
  type KeyAttributes,
  type KeyDeps,
  newKeyVersion,
  providerFor,
  toKey,
} from './key-objects.ts';
import type { OpenKey } from './open-key.ts';
import {
  assertReleasePolicyRules,
  authoritiesOf,
  parseReleasePolicy,
  type ReleaseChange,
  type ReleasePolicy,
  type ReleasePolicyInput,
  readReleaseRules,
} from './release-policy.ts';

/** What a caller chooses about a key that is made or taken in; undefined is not given. */
export interface KeyChoices extends KeyAttributes {
  readonly hsm: boolean;
  readonly operations: readonly KeyOperation[] | undefined;
  readonly exportable: boolean | undefined;
  readonly releasePolicy: ReleasePolicyInput | undefined;
}

/** A private key that was wrapped for a key of this vault which has the operation `import` (BYOK). */
export interface WrappedKey {
  readonly algorithm: KeyTransportAlgorithm;
  readonly wrapped: Uint8Array;
  /** What it is said to be. */
  readonly type: KeySpec['type'];
  /** The key that it is wrapped for. */
  readonly under: { readonly name: string; readonly version: string | undefined };
}

export interface Keys extends ObjectOperations<Key> {
  create(grant: VaultGrant, input: KeyChoices & { spec: KeySpec }): Promise<Key>;
  /** The key that is there, whatever it is; makes it if there is none. Of several callers at once one has made it. */
  createIfAbsent(
    grant: VaultGrant,
    input: KeyChoices & { spec: KeySpec },
  ): Promise<{ key: Key; isNew: boolean }>;
  import(grant: VaultGrant, input: KeyChoices & { from: PrivateJwk | WrappedKey }): Promise<Key>;
  /** What `get` answers for a version that is in memory, without waiting; undefined says nothing about others. */
  known(grant: VaultGrant, version: string | undefined): Key | undefined;
  /** A disabled or expired key is shown too. */
  get(grant: VaultGrant, version: string | undefined): Promise<Key>;
  /** The material never changes; an immutable release policy neither. */
  update(
    grant: VaultGrant,
    input: KeyAttributes & Omit<KeyChoices, 'hsm'> & { version: string | undefined },
  ): Promise<Key>;
}

interface Deps extends KeyDeps {
  readonly objects: VersionedObjects<OpenKey>;
  readonly sealedItems: SealedItems;
  readonly attestations: Pick<AttestationVerifier, 'assertTrusted'>;
  /** Takes in a key that is wrapped for another key of the vault. */
  readonly unwrapPrivate: (grant: VaultGrant, wrapped: WrappedKey) => Promise<NewKey>;
}

export function createKeys(deps: Deps): Keys {
  const { objects } = deps;
  const backups = keyBackups(deps);
  return {
    ...createObjectOperations({ objects, backups, actions, show: (shown) => toKey(shown) }),
    async create(grant, { spec, ...choices }) {
      assertGranted(grant, actions.create);
      const make: NewMaterial['make'] = (provider) => provider.generate(spec);
      return (await addKey(deps, grant, { choices, type: spec.type, make })).key;
    },
    async createIfAbsent(grant, { spec, ...choices }) {
      assertGranted(grant, actions.create);
      const make: NewMaterial['make'] = (provider) => provider.generate(spec);
      return addKey(deps, grant, { choices, type: spec.type, make, ifAbsent: true });
    },
    async import(grant, { from, ...choices }) {
      assertGranted(grant, actions.import);
      const material: Omit<NewMaterial, 'choices'> =
        'wrapped' in from
          ? { type: from.type, make: () => unwrapped(deps, grant, from) }
          : { type: from.kty, make: (provider) => provider.import(from) };
      return (await addKey(deps, grant, { choices, ...material })).key;
    },
    known(grant, version) {
      assertGranted(grant, actions.get);
      const found = objects.knownValue(grant, version);
      return found === undefined ? undefined : toKey(found, found.value.detail);
    },
    async get(grant, version) {
      assertGranted(grant, actions.get);
      const found = await objects.readValue(grant, version);
      return toKey(found, found.value.detail);
    },
    async update(grant, { version, ...patch }) {
      assertGranted(grant, actions.update);
      const detail = (current: string | undefined) => changedDetail(deps, current, patch);
      return toKey(await objects.update(grant, version, { ...patch, detail }));
    },
  };
}

/** A backup brings no HSM key into a vault, or onto a server, that makes none. */
function keyBackups(deps: Deps): ObjectBackups {
  const backups = createObjectBackups(deps, keyNoun);
  return {
    ...backups,
    async open(vault, blob) {
      const object = await backups.open(vault, blob);
      const details = object.versions.map(({ version }) => parseKeyDetail(version.detail));
      if (details.some(({ hsm }) => hsm)) providerFor(deps, vault, true);
      return object;
    },
  };
}

async function unwrapped(deps: Deps, grant: VaultGrant, from: WrappedKey): Promise<NewKey> {
  const made = await deps.unwrapPrivate(grant, from);
  if (made.spec.type !== from.type)
    throw new Failure('badParameter', `The key that was wrapped is not of type ${from.type}.`);
  return made;
}

interface NewMaterial {
  readonly choices: KeyChoices;
  readonly type: KeySpec['type'];
  readonly make: (provider: ReturnType<typeof providerFor>) => Promise<NewKey>;
  /** Whether a key that is there stays as it is. */
  readonly ifAbsent?: true;
}

async function addKey(
  deps: Deps,
  grant: VaultGrant,
  { choices, type, make, ifAbsent }: NewMaterial,
): Promise<{ key: Key; isNew: boolean }> {
  const by = providerFor(deps, grant.vault, choices.hsm);
  let made: NewKey | undefined;
  for (;;) {
    const current = await currentVersion(deps, grant);
    if (ifAbsent === true && current !== undefined)
      return { key: toKey(current, current.value.detail), isNew: false };
    const was = current && (await inheritedDetail(deps.objects, grant, current.version));
    const rules = newKeyRules(deps, { choices, type, vault: grant.vault, was });
    made ??= await make(by);
    const next = newKeyVersion(deps, made, { ...choices, ...rules, by });
    try {
      return { key: toKey(await deps.objects.add(grant, { next, after: current ?? 'absent' })), isNew: true };
    } catch (error) {
      // What the new version may be was decided on the one before it, which is another one by now.
      if (!(error instanceof ObjectChanged)) throw error;
    }
  }
}

async function currentVersion(deps: Deps, grant: VaultGrant): Promise<OpenedVersion<OpenKey> | undefined> {
  try {
    return await deps.objects.readValue(grant, undefined);
  } catch (error) {
    if (isFailure(error, 'keyNotFound')) return undefined;
    throw error;
  }
}

/** What a new version has, by what was asked for and by what the key has been so far. */
function newKeyRules(
  deps: Deps,
  of: { choices: KeyChoices; type: KeySpec['type']; vault: Vault; was: KeyDetail | undefined },
): Pick<KeyDetail, 'operations' | 'exportable' | 'releasePolicy'> {
  const { choices, type, vault, was } = of;
  const { hsm } = choices;
  const exportable = choices.exportable ?? was?.exportable ?? false;
  if (was !== undefined && was.exportable !== exportable) throw exportableChanged();
  if (exportable && vault.sku !== 'premium')
    throw badParameter('AKV.SKR.1001: The exportable attribute is only supported with premium vaults.');
  if (exportable && !hsm) throw badParameter('AKV.SKR.1006: Exportable keys must be HSM keys.');
  const operations = choices.operations ?? usualOperations(type);
  const previous = was?.releasePolicy;
  assertOperations({ type, hsm, exportable, operations });
  const releasePolicy = changedPolicy(deps, {
    policy: choices.releasePolicy,
    ...{ exportable, operations, previous },
  });
  return { operations, exportable, releasePolicy };
}

function changedPolicy(
  { attestations }: Pick<Deps, 'attestations'>,
  of: Omit<ReleaseChange, 'wrapsSecurely'> & { operations: readonly KeyOperation[] },
): ReleasePolicy | undefined {
  const { policy, previous, operations } = of;
  assertReleasePolicyRules({ ...of, wrapsSecurely: wrapsSecurely(operations) });
  if (policy === undefined) return previous;
  const parsed = parseReleasePolicy(policy, previous);
  // A policy that could never be satisfied is refused now; who it names is asked when a key is released.
  attestations.assertTrusted(authoritiesOf(readReleaseRules(parsed.data)));
  return parsed;
}

function wrapsSecurely(operations: readonly KeyOperation[]): boolean {
  return operations.includes('secureWrapKey') || operations.includes('secureUnwrapKey');
}

function exportableChanged(): Failure {
  return badParameter('AKV.SKR.1003: The exportable attribute of an existing key cannot be modified.');
}

function badParameter(message: string): Failure {
  return new Failure('badParameter', message);
}

/** A pure function, as changes of an object are. */
function changedDetail(
  deps: Deps,
  current: string | undefined,
  patch: Pick<KeyChoices, 'operations' | 'exportable' | 'releasePolicy'>,
): string | undefined {
  const { operations, exportable, releasePolicy } = patch;
  if (operations === undefined && exportable === undefined && releasePolicy === undefined) return current;
  const detail = parseKeyDetail(current);
  if (exportable !== undefined && exportable !== detail.exportable) throw exportableChanged();
  if (operations !== undefined) assertOperations({ ...detail, type: detail.spec.type, operations });
  const next = operations ?? detail.operations;
  const previous = detail.releasePolicy;
  const policy = changedPolicy(deps, {
    ...{ exportable: detail.exportable, operations: next, policy: releasePolicy, previous },
  });
  return formatKeyDetail({ ...detail, operations: next, releasePolicy: policy });
}

function assertOperations(of: {
  type: KeySpec['type'];
  hsm: boolean;
  exportable: boolean;
  operations: readonly KeyOperation[];
}): void {
  const { type, hsm, exportable, operations } = of;
  const impossible = operations.find((operation) => !canEver(type, operation));
  if (impossible !== undefined)
    throw refused(`A key of type ${type} does not have the operation ${impossible}.`);
  if (new Set(operations).size !== operations.length) throw refused('An operation is named twice.');
  if (operations.includes('export') && !exportable)
    throw refused('The operation export is for exportable keys.');
  if (operations.includes('import') && (operations.length > 1 || !hsm)) {
    throw refused('The operation import is for an RSA-HSM key that does nothing else.');
  }
  // What was wrapped securely would be unwrapped for anyone who may use the key, without an attestation.
  if (wrapsSecurely(operations) && (operations.includes('unwrapKey') || operations.includes('decrypt'))) {
    throw refused('The operations unwrapKey and decrypt are not for a key for secure wrap and unwrap.');
  }
}

function refused(why: string): Failure {
  return new Failure('badParameter', `Property key_ops has invalid value\r\n${why}`);
}

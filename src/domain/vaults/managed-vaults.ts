/**
 * Vaults as resources: what the management plane does with their records. Who asks names the vault's place, and a
 * vault that is elsewhere is none: permission on one resource group gives none on another's vaults.
 */
import type { AccessPolicy } from '../../authorization/access-policies.ts';
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isVaultName } from '../../core/names.ts';
import type { Random } from '../../core/random.ts';
import type { Tags } from '../resources/directory-store.ts';
import { foldLocation } from '../resources/locations.ts';
import { resourceGroupNotFound } from '../resources/locks.ts';
import type { VaultKeys } from '../sealing/vault-keys.ts';
import { changePolicies, type PolicyChange } from './access-policy-rules.ts';
import type { Author, VaultPlace, VaultRecord } from './vault.ts';
import {
  assertIrreversible,
  changedRecord,
  deletedNameTaken,
  deletedVaultNotFound,
  elsewhere,
  invalidValue,
  nameTaken,
  type VaultSettings,
} from './vault-rules.ts';
import type { VaultStore } from './vault-store.ts';
import { addVault, type NewVault, newRecord } from './vaults.ts';

/** A vault by its ARM id. The subscription's id is lower case. */
export interface VaultId extends VaultPlace {
  readonly name: string;
}

/** Who changes, and what depends on who it is. */
export interface VaultEditor {
  readonly by: Author;
  /** Throws if the caller may not say whether roles or policies decide: it is a way to give oneself access. */
  readonly assertMayChangeModel: () => void;
}

export interface PutVault {
  readonly at: VaultId;
  /** The subscription's. */
  readonly tenantId: string;
  readonly given: VaultSettings & { readonly location: string };
  /** What `enableRbacAuthorization` is for a new vault, if it is not given. */
  readonly rbacByDefault: boolean;
}

export interface ManagedVaults {
  /** The live vault at this place; undefined if there is none. */
  get(at: VaultId): Promise<VaultRecord | undefined>;
  /** Live vaults of the subscription, by name. */
  list(subscriptionId: string): Promise<readonly VaultRecord[]>;
  /** Makes the vault, or changes the one that is there. */
  put(put: PutVault, editor: VaultEditor): Promise<VaultRecord>;
  /** Throws `notFound` if there is none. */
  patch(at: VaultId, given: VaultSettings, editor: VaultEditor): Promise<VaultRecord>;
  changePolicies(
    at: VaultId,
    change: { how: PolicyChange; policies: readonly AccessPolicy[] },
    editor: VaultEditor,
  ): Promise<VaultRecord>;
  /** Any other change; `edit` is a pure function. */
  change(at: VaultId, edit: (record: VaultRecord) => VaultRecord, by: Author): Promise<VaultRecord>;
  setTags(at: VaultId, edit: (tags: Tags) => Tags, by: Author): Promise<VaultRecord>;
  /**
   * Brings a deleted vault back as it was, without its role assignments; a live one is left as it is. Throws
   * `deletedVaultNotFound` for one that is not there, or not any more.
   */
  recover(recovery: Recovery): Promise<VaultRecord>;
  /** Soft-deletes the vault; false if there was none. */
  remove(at: VaultId): Promise<boolean>;
  /** Why a new vault cannot have the name; undefined if it can. */
  nameProblem(name: string): Promise<'invalid' | 'taken' | undefined>;
}

export interface Recovery {
  readonly at: VaultId;
  readonly location: string;
  readonly by: Author;
}

export interface ManagedVaultDeps {
  readonly store: VaultStore;
  readonly vaultKeys: VaultKeys;
  readonly clock: Clock;
  readonly random: Random;
}

export function createManagedVaults(deps: ManagedVaultDeps): ManagedVaults {
  const { store, clock } = deps;
  const get = async (at: VaultId) => {
    const record = await store.byName(foldCase(at.name));
    return record !== undefined && record.deleted === undefined && isAt(record, at) ? record : undefined;
  };
  const edit = async (at: VaultId, next: (was: VaultRecord) => VaultRecord): Promise<VaultRecord> => {
    for (;;) {
      const was = await get(at);
      if (was === undefined) throw vaultAbsent(at);
      const record = next(was);
      // Refused when somebody else has changed the record since it was read.
      if (await store.replace(record, was)) return record;
    }
  };
  const change: ManagedVaults['change'] = (at, next, by) =>
    edit(at, (was) => changedRecord(next(was), {}, { now: clock.now(), by }));
  return {
    get,
    async list(subscriptionId) {
      return (await store.list(subscriptionId)).filter(({ deleted }) => deleted === undefined);
    },
    put: (input, editor) => put(deps, input, editor),
    patch: (at, given, editor) => edit(at, (was) => settled(deps, was, { given, editor })),
    changePolicies: (at, { how, policies }, { by }) =>
      change(
        at,
        (was) => ({ ...was, accessPolicies: changePolicies(was.accessPolicies, how, policies) }),
        by,
      ),
    change,
    recover: (recovery) => recover(deps, recovery),
    setTags: (at, next, by) => change(at, (was) => ({ ...was, tags: next(was.tags) }), by),
    async remove(at) {
      const record = await get(at);
      if (record === undefined) return false;
      return store.remove(record, clock.now());
    },
    async nameProblem(name) {
      if (!isVaultName(name)) return 'invalid';
      return (await store.byName(foldCase(name))) === undefined ? undefined : 'taken';
    },
  };
}

/** Whether the record is that of the vault with this id. */
export function isAt(record: VaultRecord, at: VaultPlace): boolean {
  return (
    record.subscriptionId === at.subscriptionId &&
    foldCase(record.resourceGroup) === foldCase(at.resourceGroup)
  );
}

async function put(deps: ManagedVaultDeps, input: PutVault, editor: VaultEditor): Promise<VaultRecord> {
  const { at, given } = input;
  for (;;) {
    const was = await deps.store.byName(foldCase(at.name));
    if (was === undefined) {
      const record = newRecord(deps, newVault(input, editor.by));
      if ((await addVault(deps, record)) === 'added') return record;
      // Somebody else has taken the name since it was looked for.
      continue;
    }
    if (was.deleted !== undefined && was.subscriptionId === at.subscriptionId) throw deletedNameTaken();
    if (was.deleted !== undefined || !isAt(was, at)) throw nameTaken(at.name);
    assertPoliciesGiven(given, was.enableRbacAuthorization);
    // A PUT says what all tags are; whatever else it leaves out stays as it is.
    const record = settled(deps, was, { given: { ...given, tags: given.tags ?? {} }, editor });
    if (await deps.store.replace(record, was)) return record;
  }
}

function newVault({ at, tenantId, given, rbacByDefault }: PutVault, by: Author): NewVault {
  if (given.tenantId !== undefined && foldCase(given.tenantId) !== tenantId) throw invalidValue('tenantId');
  assertIrreversible(given);
  assertPoliciesGiven(given, rbacByDefault);
  return {
    ...given,
    ...at,
    tenantId,
    enableRbacAuthorization: given.enableRbacAuthorization ?? rbacByDefault,
    by,
  };
}

/** Access policies may be left out only where they count for nothing. */
function assertPoliciesGiven(
  { accessPolicies, enableRbacAuthorization }: VaultSettings,
  otherwise: boolean,
): void {
  if (accessPolicies === undefined && !(enableRbacAuthorization ?? otherwise))
    throw invalidValue('accessPolicies');
}

function settled(
  { clock }: Pick<ManagedVaultDeps, 'clock'>,
  was: VaultRecord,
  { given, editor }: { given: VaultSettings; editor: VaultEditor },
): VaultRecord {
  const { enableRbacAuthorization: model = was.enableRbacAuthorization } = given;
  if (model !== was.enableRbacAuthorization) editor.assertMayChangeModel();
  return changedRecord(was, given, { now: clock.now(), by: editor.by });
}

async function recover(
  { store, clock }: ManagedVaultDeps,
  { at, location, by }: Recovery,
): Promise<VaultRecord> {
  for (;;) {
    const was = await store.byName(foldCase(at.name));
    if (was === undefined || was.subscriptionId !== at.subscriptionId) throw deletedVaultNotFound(at.name);
    if (!isAt(was, at)) {
      throw new Failure(
        'badParameter',
        `The vault '${was.name}' is of another resource group, and can only be recovered there.`,
      );
    }
    if (foldLocation(location) !== was.location) throw elsewhere(was, location);
    if (was.deleted === undefined) return was;
    const now = clock.now();
    if (was.deleted.purgeAt <= now) throw deletedVaultNotFound(at.name);
    const outcome = await store.recover({ was, now, updatedBy: by });
    if (outcome === 'groupAbsent') throw resourceGroupNotFound(was.resourceGroup);
    if (outcome === 'recovered') return { ...was, deleted: undefined, updated: now, updatedBy: by };
    // Somebody else has recovered or purged the vault since it was read.
  }
}

/** In the words of Azure's gateway (ERRORS.md §4). */
export function vaultAbsent({ resourceGroup, name }: VaultId): Failure {
  return new Failure(
    'resourceNotFound',
    `The Resource 'Microsoft.KeyVault/vaults/${name.slice(0, 128)}' under resource group '${resourceGroup.slice(0, 128)}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );
}

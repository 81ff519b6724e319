/** Vaults in use: found by name, listed, made. A found vault is ready for use (rules compiled) and kept in memory. */
import type { AccessPolicy } from '../../authorization/access-policies.ts';
import {
  compileNetworkRules,
  compileRanges,
  type KnownNetworks,
  type NetworkRules,
  noNetworks,
  openNetwork,
} from '../../authorization/network-rules.ts';
import type { EnabledServices } from '../../authorization/trusted-services.ts';
import type { ChangeFeed } from '../../core/changes.ts';
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { Random } from '../../core/random.ts';
import type { DirectoryStore, Tags } from '../resources/directory-store.ts';
import { foldLocation } from '../resources/locations.ts';
import { resourceGroupNotFound } from '../resources/locks.ts';
import type { VaultKeys } from '../sealing/vault-keys.ts';
import { changePolicies, foldPolicies } from './access-policy-rules.ts';
import type { Author, Vault, VaultRecord } from './vault.ts';
import { assertValid, nameTaken } from './vault-rules.ts';
import type { VaultStore } from './vault-store.ts';

/** What a new vault is made from; what is left out takes the default that Azure gives it. */
export interface NewVault {
  readonly name: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly sku?: 'standard' | 'premium' | undefined;
  /** By default on, as from api-version 2026-02-01. */
  readonly enableRbacAuthorization?: boolean | undefined;
  readonly accessPolicies?: readonly AccessPolicy[] | undefined;
  readonly softDeleteRetentionInDays?: number | undefined;
  readonly enablePurgeProtection?: boolean | undefined;
  readonly publicNetworkAccess?: VaultRecord['publicNetworkAccess'] | undefined;
  readonly networkRules?: Partial<NetworkRules> | undefined;
  readonly services?: Partial<EnabledServices> | undefined;
  readonly tags?: Tags | undefined;
  readonly by?: Author | undefined;
}

export interface Vaults {
  create(input: NewVault): Promise<Vault>;
  /** The live vault of this name, without regard to case; undefined if there is none. */
  find(name: string): Promise<Vault | undefined>;
  /** As `find`, for a vault that is in memory, without waiting; undefined says nothing about others. */
  known(nameKey: string): Vault | undefined;
  /** All live vaults. */
  list(): Promise<readonly Vault[]>;
  /** Puts the policy in the place of those of the same principal; one without permissions takes them away. */
  setAccessPolicy(name: string, policy: AccessPolicy): Promise<Vault>;
}

export interface VaultDeps {
  readonly store: VaultStore;
  readonly directory: Pick<DirectoryStore, 'subscriptions'>;
  readonly feed: ChangeFeed;
  readonly vaultKeys: VaultKeys;
  readonly clock: Clock;
  readonly random: Random;
  /** What the configuration says of networks; by default nothing. */
  readonly networks?: KnownNetworks;
}

export function createVaults(deps: VaultDeps): Vaults {
  const { store, clock, networks = noNetworks } = deps;
  const kept = new KeptVaults(deps.feed);
  const prepared = (record: VaultRecord) => prepareVault(record, networks);
  const live = async (nameKey: string): Promise<VaultRecord | undefined> => {
    const record = await store.byName(nameKey);
    return record?.deleted === undefined ? record : undefined;
  };
  return {
    async create(input) {
      await assertSubscription(deps.directory, input);
      const record = newRecord(deps, input);
      const added = await addVault(deps, record);
      if (added === 'taken') throw nameTaken(input.name);
      return prepared(record);
    },
    known: (nameKey) => kept.get(nameKey),
    async find(name) {
      const nameKey = foldCase(name);
      const known = kept.get(nameKey);
      if (known !== undefined) return known;
      const mark = kept.mark;
      const record = await live(nameKey);
      return record === undefined ? undefined : kept.put(nameKey, prepared(record), mark);
    },
    async list() {
      return (await store.list()).filter(({ deleted }) => deleted === undefined).map(prepared);
    },
    async setAccessPolicy(name, policy) {
      for (;;) {
        const was = await live(foldCase(name));
        if (was === undefined) throw new Failure('vaultNotFound', `The vault '${name}' does not exist.`);
        const next = {
          ...was,
          accessPolicies: replacePolicy(was, policy),
          updated: clock.now(),
          updatedBy: undefined,
        };
        // Refused when somebody else has changed the record since it was read.
        if (await store.replace(next, was)) return prepared(next);
      }
    },
  };
}

/** Compiles what each request asks of a vault. */
export function prepareVault(record: VaultRecord, networks: KnownNetworks): Vault {
  const approved = record.connections.filter(({ status }) => status === 'Approved');
  const ranges = approved.flatMap(
    ({ name }) => networks.privateEndpoints.get(foldCase(`${record.name}/${name}`)) ?? [],
  );
  return {
    ...record,
    accessPolicies: foldPolicies(record.accessPolicies),
    networkCheck: compileNetworkRules(record.networkRules, networks),
    ...(ranges.length === 0 ? {} : { privateCheck: compileRanges(ranges) }),
  };
}

const mostKept = 10_000;

/** Vaults in memory, as long as the feed vouches for them. */
class KeptVaults {
  readonly #feed: ChangeFeed;
  readonly #vaults = new Map<string, Vault>();
  #changes = 0;

  constructor(feed: ChangeFeed) {
    this.#feed = feed;
    feed.subscribe('vault', (nameKey) => {
      this.#changes += 1;
      if (nameKey === undefined) this.#vaults.clear();
      else this.#vaults.delete(nameKey);
    });
  }

  get(nameKey: string): Vault | undefined {
    return this.#feed.fresh() ? this.#vaults.get(nameKey) : undefined;
  }

  /** To be taken before the store is read: what was read before a change must not be kept after it. */
  get mark(): number {
    return this.#changes;
  }

  put(nameKey: string, vault: Vault, mark: number): Vault {
    if (mark === this.#changes) {
      if (this.#vaults.size >= mostKept) this.#vaults.clear();
      this.#vaults.set(nameKey, vault);
    }
    return vault;
  }
}

function replacePolicy(record: VaultRecord, policy: AccessPolicy): readonly AccessPolicy[] {
  if (record.enableRbacAuthorization) {
    throw new Failure(
      'badParameter',
      `The vault '${record.name}' uses role assignments; access policies would count for nothing.`,
    );
  }
  const grantsSomething = Object.values(policy.permissions).some((verbs) => verbs.length > 0);
  // The commands' order: who was changed last stands last.
  const others = changePolicies(record.accessPolicies, 'remove', [{ ...policy, permissions: {} }]);
  return grantsSomething ? [...others, policy] : others;
}

/** The record of a new vault; throws for one that cannot be. */
export function newRecord(
  { clock, random }: Pick<VaultDeps, 'clock' | 'random'>,
  input: NewVault,
): VaultRecord {
  const now = clock.now();
  const { services } = input;
  const record: VaultRecord = {
    id: random.guid(),
    name: input.name,
    tenantId: input.tenantId,
    subscriptionId: input.subscriptionId,
    resourceGroup: input.resourceGroup,
    location: foldLocation(input.location),
    sku: input.sku ?? 'standard',
    enableRbacAuthorization: input.enableRbacAuthorization ?? true,
    accessPolicies: input.accessPolicies ?? [],
    softDeleteRetentionInDays: input.softDeleteRetentionInDays ?? 90,
    enablePurgeProtection: input.enablePurgeProtection ?? false,
    publicNetworkAccess: input.publicNetworkAccess ?? 'Enabled',
    networkRules: { ...openNetwork, ...input.networkRules },
    services: { deployment: false, diskEncryption: false, templateDeployment: false, ...services },
    connections: [],
    tags: input.tags ?? {},
    created: now,
    updated: now,
    createdBy: input.by,
    updatedBy: input.by,
    deleted: undefined,
  };
  assertValid(record);
  return record;
}

/** Adds the record with a first key; throws if its resource group is not there. */
export async function addVault(
  { store, vaultKeys }: Pick<VaultDeps, 'store' | 'vaultKeys'>,
  record: VaultRecord,
): Promise<'added' | 'taken'> {
  const added = await vaultKeys.create(record.id, (key) => store.add(record, key));
  if (added === 'groupAbsent') throw resourceGroupNotFound(record.resourceGroup);
  return added;
}

async function assertSubscription(
  directory: Pick<DirectoryStore, 'subscriptions'>,
  { subscriptionId, tenantId }: NewVault,
): Promise<void> {
  const subscription = (await directory.subscriptions()).find((entry) => entry.id === subscriptionId);
  if (subscription === undefined || subscription.tenantId !== tenantId) {
    throw new Failure('notFound', `The subscription '${subscriptionId}' could not be found.`);
  }
}

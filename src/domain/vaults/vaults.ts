/** Vaults: made, found by name, listed. A found vault is ready for use (rules compiled) and kept in memory. */

import type { AccessPolicy } from '../../authorization/access-policies.ts';
import {
  compileNetworkRules,
  isIpRule,
  type NetworkRules,
  openNetwork,
} from '../../authorization/network-rules.ts';
import type { ChangeFeed } from '../../core/changes.ts';
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isLocation, isResourceGroupName, isVaultName } from '../../core/names.ts';
import type { Random } from '../../core/random.ts';
import type { VaultKeys } from '../sealing/vault-keys.ts';
import type { Vault, VaultRecord } from './vault.ts';
import type { DirectoryStore, VaultStore } from './vault-store.ts';

/** What a new vault is made from; what is left out takes the default that Azure gives it. */
export interface NewVault {
  readonly name: string;
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly sku?: 'standard' | 'premium' | undefined;
  readonly enableRbacAuthorization?: boolean | undefined;
  readonly accessPolicies?: readonly AccessPolicy[] | undefined;
  readonly softDeleteRetentionInDays?: number | undefined;
  readonly enablePurgeProtection?: boolean | undefined;
  readonly publicNetworkAccess?: VaultRecord['publicNetworkAccess'] | undefined;
  readonly networkRules?: NetworkRules | undefined;
}

export interface Vaults {
  create(input: NewVault): Promise<Vault>;
  /** The vault of this name, without regard to case; undefined if there is none. */
  find(name: string): Promise<Vault | undefined>;
  /** As `find`, for a vault that is in memory, without waiting; undefined says nothing about others. */
  known(nameKey: string): Vault | undefined;
  list(): Promise<readonly Vault[]>;
  /** Puts the policy in the place of those of the same principal; one without permissions takes them away. */
  setAccessPolicy(name: string, policy: AccessPolicy): Promise<Vault>;
}

interface Deps {
  readonly store: VaultStore;
  readonly directory: DirectoryStore;
  readonly feed: ChangeFeed;
  readonly vaultKeys: VaultKeys;
  readonly clock: Clock;
  readonly random: Random;
}

export function createVaults(deps: Deps): Vaults {
  const kept = new KeptVaults(deps.feed);
  const change = async (name: string, edit: (record: VaultRecord) => VaultRecord): Promise<Vault> => {
    for (;;) {
      const record = await deps.store.byName(foldCase(name));
      if (record === undefined) throw new Failure('vaultNotFound', `The vault '${name}' does not exist.`);
      const next = edit(record);
      // Refused when somebody else has changed the record since it was read.
      if (await deps.store.replace(next, record)) return prepared(next);
    }
  };
  return {
    async create(input) {
      const record = newRecord(deps, input);
      await assertPlace(deps.directory, record);
      if (!(await deps.vaultKeys.create(record.id, (key) => deps.store.add(record, key)))) {
        throw new Failure('alreadyExists', `The vault name '${input.name}' is already in use.`);
      }
      return prepared(record);
    },
    known: (nameKey) => kept.get(nameKey),
    async find(name) {
      const nameKey = foldCase(name);
      const known = kept.get(nameKey);
      if (known !== undefined) return known;
      const mark = kept.mark;
      const record = await deps.store.byName(nameKey);
      return record === undefined ? undefined : kept.put(nameKey, prepared(record), mark);
    },
    async list() {
      return (await deps.store.list()).map(prepared);
    },
    setAccessPolicy: (name, policy) =>
      change(name, (record) => ({
        ...record,
        accessPolicies: replacePolicy(record, policy),
        updated: deps.clock.now(),
      })),
  };
}

function prepared(record: VaultRecord): Vault {
  return { ...record, networkCheck: compileNetworkRules(record.networkRules) };
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
  const others = record.accessPolicies.filter(
    (entry) => entry.objectId !== policy.objectId || entry.applicationId !== policy.applicationId,
  );
  const grantsSomething = Object.values(policy.permissions).some((verbs) => verbs.length > 0);
  return grantsSomething ? [...others, policy] : others;
}

function newRecord(deps: Deps, input: NewVault): VaultRecord {
  const now = deps.clock.now();
  const record: VaultRecord = {
    id: deps.random.guid(),
    name: input.name,
    tenantId: input.tenantId,
    subscriptionId: input.subscriptionId,
    resourceGroup: input.resourceGroup,
    // Azure takes `West US` for `westus`.
    location: foldCase(input.location).replaceAll(' ', ''),
    sku: input.sku ?? 'standard',
    enableRbacAuthorization: input.enableRbacAuthorization ?? true,
    accessPolicies: input.accessPolicies ?? [],
    softDeleteRetentionInDays: input.softDeleteRetentionInDays ?? 90,
    enablePurgeProtection: input.enablePurgeProtection ?? false,
    publicNetworkAccess: input.publicNetworkAccess ?? 'Enabled',
    networkRules: input.networkRules ?? openNetwork,
    tags: {},
    created: now,
    updated: now,
  };
  assertValid(record);
  return record;
}

function assertValid(record: VaultRecord): void {
  if (!isVaultName(record.name)) {
    throw new Failure(
      'badParameter',
      `The vault name '${record.name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens.`,
    );
  }
  if (!isLocation(record.location)) {
    throw new Failure(
      'badParameter',
      `The location '${record.location}' is invalid: letters, digits and hyphens only.`,
    );
  }
  if (!isResourceGroupName(record.resourceGroup)) {
    throw new Failure('badParameter', `The resource group name '${record.resourceGroup}' is invalid.`);
  }
  const days = record.softDeleteRetentionInDays;
  if (!Number.isInteger(days) || days < 7 || days > 90) {
    throw new Failure('badParameter', 'The soft-delete retention must be from 7 to 90 days.');
  }
  const rule = record.networkRules.ipRules.find((text) => !isIpRule(text));
  if (rule !== undefined) throw new Failure('badParameter', `'${rule}' is not an IP address or CIDR range.`);
}

async function assertPlace(directory: DirectoryStore, record: VaultRecord): Promise<void> {
  const subscription = (await directory.subscriptions()).find((entry) => entry.id === record.subscriptionId);
  if (subscription === undefined || subscription.tenantId !== record.tenantId) {
    throw new Failure('notFound', `The subscription '${record.subscriptionId}' could not be found.`);
  }
  if ((await directory.resourceGroup(record.subscriptionId, record.resourceGroup)) === undefined) {
    throw new Failure('notFound', `Resource group '${record.resourceGroup}' could not be found.`);
  }
}

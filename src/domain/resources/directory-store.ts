/** Port: what everything lives in. Ids are lower-case GUIDs; names of resource groups compare without case. */

export interface Tenant {
  readonly id: string;
  readonly name: string;
}

export interface Subscription {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
}

export type Tags = Readonly<Record<string, string>>;

export interface ResourceGroup {
  readonly subscriptionId: string;
  readonly name: string;
  readonly location: string;
  readonly tags: Tags;
}

/** A group that is to go, with everything in it. */
export interface GroupRemoval {
  readonly subscriptionId: string;
  readonly name: string;
  /** Milliseconds since 1970: from when the retention of what is soft-deleted counts. */
  readonly now: number;
}

/** What became of a removal; `locked` names the scopes whose locks stand in its way, and nothing was changed. */
export type GroupRemoved =
  | { readonly outcome: 'removed' | 'absent' }
  | { readonly outcome: 'locked'; readonly scopes: readonly string[] };

/** Adding is idempotent by id, and by subscription and name; what was there first stays. */
export interface DirectoryStore {
  tenants(): Promise<readonly Tenant[]>;
  addTenant(tenant: Tenant): Promise<void>;
  subscriptions(): Promise<readonly Subscription[]>;
  addSubscription(subscription: Subscription): Promise<void>;
  resourceGroup(subscriptionId: string, name: string): Promise<ResourceGroup | undefined>;
  /** In the order of their lower-cased names. */
  resourceGroups(subscriptionId: string): Promise<readonly ResourceGroup[]>;
  /** Answers whether there was none of this name. */
  addResourceGroup(group: ResourceGroup): Promise<boolean>;
  /** Replaces the group if it is still `was`; answers whether it did. */
  replaceResourceGroup(group: ResourceGroup, was: ResourceGroup): Promise<boolean>;
  /**
   * Removes the group and the role assignments in it, and soft-deletes its vaults, all together or not at all.
   */
  removeResourceGroup(removal: GroupRemoval): Promise<GroupRemoved>;
}

/** Port: what everything lives in. Ids are lower-case GUIDs; names of resource groups compare without case. */

export interface Tenant {
  readonly id: string;
  readonly name: string;
}

export interface Subscription {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly tags: Tags;
}

export type Tags = Readonly<Record<string, string>>;

/** Names that tags can have before any tag has them, each with its values; names differ in more than case. */
export type TagNames = Readonly<Record<string, readonly string[]>>;

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

/**
 * Adding is idempotent by id, and by subscription and name; what was there first stays. Of a store under locks, a write
 * of a group fails with `scopeLocked` where a lock forbids it, and nothing is changed.
 */
export interface DirectoryStore {
  tenants(): Promise<readonly Tenant[]>;
  addTenant(tenant: Tenant): Promise<void>;
  subscriptions(): Promise<readonly Subscription[]>;
  addSubscription(subscription: Omit<Subscription, 'tags'>): Promise<void>;
  /** Replaces the subscription's tags if they are still `was`; answers whether it did. */
  replaceSubscriptionTags(id: string, tags: Tags, was: Tags): Promise<boolean>;
  /** Empty for a subscription that is not there. */
  tagNames(subscriptionId: string): Promise<TagNames>;
  /** Replaces the names if they are still `was`; answers whether it did. */
  replaceTagNames(subscriptionId: string, names: TagNames, was: TagNames): Promise<boolean>;
  resourceGroup(subscriptionId: string, name: string): Promise<ResourceGroup | undefined>;
  /** In the order of their lower-cased names. */
  resourceGroups(subscriptionId: string): Promise<readonly ResourceGroup[]>;
  /** Answers whether there was none of this name. */
  addResourceGroup(group: ResourceGroup): Promise<boolean>;
  /** Replaces the group if it is still `was`; answers whether it did. */
  replaceResourceGroup(group: ResourceGroup, was: ResourceGroup): Promise<boolean>;
  /**
   * Removes the group, the role assignments in it, and its identities with their principals, and soft-deletes its vaults,
   * all together or not at all; false if there is none.
   */
  removeResourceGroup(removal: GroupRemoval): Promise<boolean>;
}

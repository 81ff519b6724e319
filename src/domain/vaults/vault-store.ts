import type { VaultKeyRow } from '../sealing/sealing-store.ts';
import type { VaultRecord } from './vault.ts';

/** Port: vault records. `nameKey` is the lower-cased name. */
export interface VaultStore {
  byName(nameKey: string): Promise<VaultRecord | undefined>;
  list(): Promise<readonly VaultRecord[]>;
  /** Adds the record and the vault's first key together; false if the name is taken. */
  add(record: VaultRecord, key: VaultKeyRow): Promise<boolean>;
  /** Replaces the vault's record if it is still `was`; answers whether it did. */
  replace(record: VaultRecord, was: VaultRecord): Promise<boolean>;
}

export interface Tenant {
  readonly id: string;
  readonly name: string;
}

export interface Subscription {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
}

export interface ResourceGroup {
  readonly subscriptionId: string;
  readonly name: string;
  readonly location: string;
}

/** Port: what vaults live in. Adding is idempotent by id, and by subscription and name. */
export interface DirectoryStore {
  tenants(): Promise<readonly Tenant[]>;
  addTenant(tenant: Tenant): Promise<void>;
  subscriptions(): Promise<readonly Subscription[]>;
  addSubscription(subscription: Subscription): Promise<void>;
  resourceGroup(subscriptionId: string, name: string): Promise<ResourceGroup | undefined>;
  addResourceGroup(group: ResourceGroup): Promise<void>;
}

/**
 * Port: user-assigned managed identities as resources. Each is a principal of the directory as well: both are made in one
 * transaction, and go in one.
 */
import type { Tags } from './directory-store.ts';

export const identityType = 'Microsoft.ManagedIdentity/userAssignedIdentities';

/** Whether an identity is meant for resources of its own region only; nothing is assigned here, so that it is a label. */
export const isolationScopes = ['None', 'Regional'] as const;
export type IsolationScope = (typeof isolationScopes)[number];

/** What names an identity: a lower-case subscription id, and names that compare without case. */
export interface IdentityPlace {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

/** Ids are lower-case GUIDs, times milliseconds since 1970. */
export interface UserAssignedIdentity extends IdentityPlace {
  /** Of the principal that roles are given to (Azure's `principalId`). */
  readonly objectId: string;
  readonly clientId: string;
  readonly tenantId: string;
  readonly location: string;
  readonly tags: Tags;
  readonly isolationScope: IsolationScope | undefined;
  readonly created: number;
  readonly updated: number;
}

/** The identity's ARM id, which is also the resource id of its principal. */
export function identityId({ subscriptionId, resourceGroup, name }: IdentityPlace): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/${identityType}/${name}`;
}

/** Of a store under locks, a write fails with `scopeLocked` where a lock forbids it, and nothing is changed. */
export interface UserAssignedIdentityStore {
  find(at: IdentityPlace): Promise<UserAssignedIdentity | undefined>;
  /** In no particular order. */
  list(subscriptionId: string): Promise<readonly UserAssignedIdentity[]>;
  /** `taken`: the ARM id is that of another principal, whether or not that is a resource. */
  add(identity: UserAssignedIdentity): Promise<'added' | 'taken' | 'groupAbsent'>;
  /** Replaces tags and isolation scope if the identity is still `was`; answers whether it did. */
  replace(identity: UserAssignedIdentity, was: UserAssignedIdentity): Promise<boolean>;
  /** Removes the identity, its principal with all credentials and memberships, and the role assignments on it. */
  remove(identity: UserAssignedIdentity): Promise<boolean>;
}

/** Every operation of the management plane. */
import type { Clock } from '../../core/clock.ts';
import type { DirectoryStore } from '../../domain/resources/directory-store.ts';
import type { Locks } from '../../domain/resources/locks.ts';
import type { ResourceGroups } from '../../domain/resources/resource-groups.ts';
import type { Resources } from '../../domain/resources/resources.ts';
import type { Subscriptions } from '../../domain/resources/subscriptions.ts';
import { type AuthorizationDeps, authorizationRoutes } from './authorization.ts';
import { type KeyVaultDeps, keyVaultRoutes } from './key-vault.ts';
import { lockRoutes } from './locks.ts';
import { type ManagedIdentityDeps, managedIdentityRoutes } from './managed-identity.ts';
import { operationResultRoutes } from './operation-results.ts';
import { providerRoutes } from './providers.ts';
import { resourceGroupRoutes } from './resource-groups.ts';
import { resourceListRoutes } from './resources.ts';
import type { ManagementRoute } from './route.ts';
import { subscriptionRoutes } from './subscriptions.ts';
import { tagNameRoutes } from './tag-names.ts';
import { tagRoutes } from './tags.ts';

export interface ResourceNouns {
  readonly clock: Clock;
  readonly directory: DirectoryStore;
  readonly subscriptions: Subscriptions;
  readonly groups: ResourceGroups;
  readonly resources: Resources;
  readonly locks: Locks;
}

/** What the operations work with. */
export interface ManagementNouns {
  readonly resources: ResourceNouns;
  readonly authorization: AuthorizationDeps;
  readonly keyVault: KeyVaultDeps;
  readonly managedIdentity: ManagedIdentityDeps;
}

export function managementRoutes(nouns: ManagementNouns): readonly ManagementRoute[] {
  return [
    ...resourceRoutes(nouns.resources),
    ...authorizationRoutes(nouns.authorization),
    ...keyVaultRoutes(nouns.keyVault),
    ...managedIdentityRoutes(nouns.managedIdentity),
  ];
}

/** Those that belong to no one resource provider. */
function resourceRoutes(of: ResourceNouns): readonly ManagementRoute[] {
  return [
    ...subscriptionRoutes(of.directory),
    ...resourceGroupRoutes(of.groups, of.clock),
    ...resourceListRoutes(of.resources),
    ...providerRoutes(),
    ...tagRoutes(of),
    ...tagNameRoutes(of),
    ...lockRoutes(of.locks),
    ...operationResultRoutes(),
  ];
}

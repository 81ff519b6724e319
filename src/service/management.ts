/** Builds the management plane over the core: its rows, and what they work with. */
import { createManagementApi, type ManagementApi } from '../api/management/api.ts';
import { metadata } from '../api/management/metadata.ts';
import { createManagementRouter } from '../api/management/router.ts';
import { managementRoutes, type ResourceNouns } from '../api/management/routes.ts';
import { foldCase } from '../core/names.ts';
import { createLocks } from '../domain/resources/locks.ts';
import { createResourceGroups } from '../domain/resources/resource-groups.ts';
import { createResources } from '../domain/resources/resources.ts';
import { createSubscriptions } from '../domain/resources/subscriptions.ts';
import {
  createUserAssignedIdentities,
  identityResources,
} from '../domain/resources/user-assigned-identities.ts';
import { createDeletedVaults } from '../domain/vaults/deleted-vaults.ts';
import { createManagedVaults } from '../domain/vaults/managed-vaults.ts';
import { vaultResources } from '../domain/vaults/vault-resources.ts';
import type { TokenValidator } from '../identity/validator.ts';
import { underLocks } from '../storage/database.ts';
import { createDirectoryStore } from '../storage/directory.ts';
import { createLockStore } from '../storage/locks.ts';
import { createPrincipalStore } from '../storage/principals.ts';
import { createRoleAssignmentStore } from '../storage/role-assignments.ts';
import { createRoleDefinitionStore } from '../storage/role-definitions.ts';
import { createUserAssignedIdentityStore } from '../storage/user-assigned-identities.ts';
import { createVaultStore } from '../storage/vaults.ts';
import type { Core } from './core.ts';
import type { Data, Tools } from './data.ts';

export function buildManagement(
  { clock, random }: Pick<Tools, 'clock' | 'random'>,
  { db }: Pick<Data, 'db'>,
  of: { core: Core; validator: TokenValidator },
): ManagementApi {
  const { core, validator } = of;
  // Its callers are asked about locks before, and again in the transactions of what they write.
  const locked = underLocks(db);
  const store = createVaultStore(locked);
  const vaults = createManagedVaults({ store, vaultKeys: core.vaultKeys, clock, random });
  const identities = createUserAssignedIdentities({
    store: createUserAssignedIdentityStore(locked),
    ...{ clock, random },
  });
  const nouns: ResourceNouns = {
    clock,
    directory: core.directory,
    subscriptions: createSubscriptions(createDirectoryStore(locked)),
    groups: createResourceGroups({ store: createDirectoryStore(locked), clock }),
    resources: createResources([vaultResources(vaults), identityResources(identities)]),
    locks: createLocks(createLockStore(db)),
  };
  const keyVault = {
    ...{ clock, random, vaults: core.vaults, keys: core.keys.underLocks, secrets: core.secretsUnderLocks },
    managedVaults: vaults,
    deletedVaults: createDeletedVaults({ store, clock, beforePurge: core.certificates.abandonOrders }),
    vaultUri: (name: string, family: 'own' | 'azure') =>
      family === 'own' ? core.hosts.vaultUri(name) : `https://${foldCase(name)}.vault.azure.net/`,
  };
  const authorization = {
    ...core.roleManagement,
    assignments: { ...core.assignments, ...createRoleAssignmentStore(locked) },
    definitions: createRoleDefinitionStore(locked),
  };
  const managedIdentity = {
    identities,
    directory: { store: createPrincipalStore(locked), clock, random },
  };
  const routes = managementRoutes({ resources: nouns, authorization, keyVault, managedIdentity });
  return createManagementApi({
    ...nouns,
    hosts: core.hosts,
    validator,
    rolesOf: (principal) => core.assignments.rolesOf(principal),
    router: createManagementRouter(routes),
    metadata,
  });
}

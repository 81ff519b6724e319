/** Builds the management plane over the core: its rows, and what they work with. */
import { createManagementApi, type ManagementApi } from '../api/management/api.ts';
import { metadata } from '../api/management/metadata.ts';
import { createManagementRouter } from '../api/management/router.ts';
import { managementRoutes, type ResourceNouns } from '../api/management/routes.ts';
import { foldCase } from '../core/names.ts';
import { createLocks } from '../domain/resources/locks.ts';
import { createResourceGroups } from '../domain/resources/resource-groups.ts';
import { createResources } from '../domain/resources/resources.ts';
import { createDeletedVaults } from '../domain/vaults/deleted-vaults.ts';
import { createManagedVaults } from '../domain/vaults/managed-vaults.ts';
import { vaultResources } from '../domain/vaults/vault-resources.ts';
import type { TokenValidator } from '../identity/validator.ts';
import { createLockStore } from '../storage/locks.ts';
import { createVaultStore } from '../storage/vaults.ts';
import type { Core } from './core.ts';
import type { Data, Tools } from './data.ts';

export function buildManagement(
  { clock, random }: Pick<Tools, 'clock' | 'random'>,
  { db }: Pick<Data, 'db'>,
  of: { core: Core; validator: TokenValidator },
): ManagementApi {
  const { core, validator } = of;
  const store = createVaultStore(db);
  const vaults = createManagedVaults({ store, vaultKeys: core.vaultKeys, clock, random });
  const nouns: ResourceNouns = {
    clock,
    directory: core.directory,
    groups: createResourceGroups({ store: core.directory, clock }),
    resources: createResources([vaultResources(vaults)]),
    locks: createLocks(createLockStore(db)),
  };
  const keyVault = {
    ...{ clock, random, vaults: core.vaults, keys: core.keys, secrets: core.secrets },
    managedVaults: vaults,
    deletedVaults: createDeletedVaults({ store, clock }),
    vaultUri: (name: string, family: 'own' | 'azure') =>
      family === 'own' ? core.hosts.vaultUri(name) : `https://${foldCase(name)}.vault.azure.net/`,
  };
  const routes = managementRoutes({ resources: nouns, authorization: core.roleManagement, keyVault });
  return createManagementApi({
    ...nouns,
    hosts: core.hosts,
    validator,
    rolesOf: (principal) => core.assignments.rolesOf(principal),
    router: createManagementRouter(routes),
    metadata,
  });
}

/** Vaults, as the lists of all resources show them. */
import { vaultScope } from '../../authorization/authorize.ts';
import type { Resource, ResourceProvider } from '../resources/resources.ts';
import { isAt, type ManagedVaults } from './managed-vaults.ts';
import { authorOf, type VaultRecord } from './vault.ts';

export function vaultResources(vaults: ManagedVaults): ResourceProvider {
  return {
    type: 'Microsoft.KeyVault/vaults',
    async list(subscriptionId) {
      return (await vaults.list(subscriptionId)).map(toResource);
    },
    async find(at) {
      const record = await vaults.get(at);
      return record === undefined || !isAt(record, at) ? undefined : toResource(record);
    },
    async setTags(resource, change, by) {
      const { id, resourceGroup, name } = resource;
      const [, , subscriptionId = ''] = id.split('/');
      return toResource(await vaults.setTags({ subscriptionId, resourceGroup, name }, change, authorOf(by)));
    },
  };
}

function toResource(record: VaultRecord): Resource {
  return {
    id: vaultScope(record),
    name: record.name,
    type: 'Microsoft.KeyVault/vaults',
    resourceGroup: record.resourceGroup,
    location: record.location,
    tags: record.tags,
    created: record.created,
    changed: record.updated,
  };
}

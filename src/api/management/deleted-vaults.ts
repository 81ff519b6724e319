/** Deleted vaults, as rows. */
import { foldCase } from '../../core/names.ts';
import type { DeletedVaultId } from '../../domain/vaults/deleted-vaults.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { acceptedHeaders } from './operation-results.ts';
import { type ManagementRoute, managementRoute, type PathParameters } from './route.ts';
import { deletedVaultWire } from './vault-wire.ts';
import { listReply } from './wire.ts';

const subscription = '/subscriptions/:subscriptionId/providers/Microsoft.KeyVault';
const path = `${subscription}/locations/:location/deletedVaults/:vaultName`;
const row = { provider: 'Microsoft.KeyVault', since: '2016-10-01' } as const;

export function deletedVaultRoutes({
  deletedVaults: vaults,
  clock,
}: Pick<KeyVaultDeps, 'deletedVaults' | 'clock'>): readonly ManagementRoute[] {
  return [
    managementRoute({
      ...row,
      operation: 'Vaults_ListDeleted',
      audit: 'VaultListDeleted',
      method: 'GET',
      path: `${subscription}/deletedVaults`,
      action: 'Microsoft.KeyVault/deletedVaults/read',
      async handle(call) {
        const items = await vaults.list(idOf(call.params).subscriptionId);
        const keyOf = ({ name }: { name: string }) => foldCase(name);
        return listReply(call, { list: foldCase(call.path), items, keyOf, wire: deletedVaultWire });
      },
    }),
    managementRoute({
      ...row,
      operation: 'Vaults_GetDeleted',
      audit: 'VaultGetDeleted',
      method: 'GET',
      path,
      action: 'Microsoft.KeyVault/locations/deletedVaults/read',
      handle: async ({ params }) => ({
        status: 200,
        body: deletedVaultWire(await vaults.get(idOf(params))),
      }),
    }),
    managementRoute({
      ...row,
      operation: 'Vaults_PurgeDeleted',
      audit: 'VaultPurge',
      method: 'POST',
      path: `${path}/purge`,
      action: 'Microsoft.KeyVault/locations/deletedVaults/purge/action',
      async handle(call) {
        const at = idOf(call.params);
        await vaults.purge(at);
        const { subscriptionId, location } = at;
        const headers = acceptedHeaders(call, { started: clock.now(), subscriptionId, location });
        return { status: 202, body: undefined, headers };
      },
    }),
  ];
}

function idOf(params: PathParameters): DeletedVaultId {
  return {
    subscriptionId: foldCase(params.subscriptionId ?? ''),
    location: params.location ?? '',
    name: params.vaultName ?? '',
  };
}

/** Configurations that a network security perimeter gives a vault: there are no perimeters here, and so there are none. */
import { Failure } from '../../core/errors.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { type ManagementRoute, managementRoute, type PathParameters } from './route.ts';
import { foundVault, vaultPath } from './vault-wire.ts';

const provider = 'Microsoft.KeyVault';
const action = 'Microsoft.KeyVault/vaults/networkSecurityPerimeterConfigurations';
const list = `${vaultPath}/networkSecurityPerimeterConfigurations`;

export function perimeterRoutes(deps: Pick<KeyVaultDeps, 'managedVaults'>): readonly ManagementRoute[] {
  const absent = async ({ params }: { params: PathParameters }) => {
    await foundVault(deps, params);
    throw new Failure('notFound', 'The vault is in no network security perimeter.');
  };
  return [
    managementRoute({
      operation: 'NetworkSecurityPerimeterConfigurations_ListConfigurations',
      audit: 'VaultPerimeterConfigurationList',
      method: 'GET',
      path: list,
      provider,
      action: `${action}/read`,
      async handle({ params }) {
        await foundVault(deps, params);
        return { status: 200, body: { value: [] } };
      },
    }),
    managementRoute({
      operation: 'NetworkSecurityPerimeterConfigurations_GetConfiguration',
      audit: 'VaultPerimeterConfigurationGet',
      method: 'GET',
      path: `${list}/:configurationName`,
      provider,
      action: `${action}/read`,
      handle: absent,
    }),
    managementRoute({
      operation: 'NetworkSecurityPerimeterConfigurations_ReconcileConfiguration',
      audit: 'VaultPerimeterConfigurationReconcile',
      method: 'POST',
      path: `${list}/:configurationName/reconcile`,
      provider,
      action: `${action}/reconcile/action`,
      handle: absent,
    }),
  ];
}

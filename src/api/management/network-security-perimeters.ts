/** Configurations that a network security perimeter gives a vault: there are no perimeters here, and so there are none. */
import { Failure } from '../../core/errors.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { type ManagementRoute, managementRoute, type PathParameters } from './route.ts';
import { foundVault, vaultPath } from './vault-wire.ts';

const action = 'Microsoft.KeyVault/vaults/networkSecurityPerimeterConfigurations';
const list = `${vaultPath}/networkSecurityPerimeterConfigurations`;
const row = { provider: 'Microsoft.KeyVault', since: '2026-04-01' } as const;

export function perimeterRoutes(deps: Pick<KeyVaultDeps, 'managedVaults'>): readonly ManagementRoute[] {
  const absent = async ({ params }: { params: PathParameters }) => {
    await foundVault(deps, params);
    throw new Failure('notFound', 'The vault is in no network security perimeter.');
  };
  return [
    managementRoute({
      ...row,
      operation: 'NetworkSecurityPerimeterConfigurations_ListConfigurations',
      audit: 'VaultPerimeterConfigurationList',
      method: 'GET',
      path: list,
      action: `${action}/read`,
      async handle({ params }) {
        await foundVault(deps, params);
        return { status: 200, body: { value: [] } };
      },
    }),
    managementRoute({
      ...row,
      operation: 'NetworkSecurityPerimeterConfigurations_GetConfiguration',
      audit: 'VaultPerimeterConfigurationGet',
      method: 'GET',
      path: `${list}/:configurationName`,
      action: `${action}/read`,
      handle: absent,
    }),
    managementRoute({
      ...row,
      operation: 'NetworkSecurityPerimeterConfigurations_ReconcileConfiguration',
      audit: 'VaultPerimeterConfigurationReconcile',
      method: 'POST',
      path: `${list}/:configurationName/reconcile`,
      action: `${action}/reconcile/action`,
      handle: absent,
    }),
  ];
}

/** Every operation of the resource provider Microsoft.KeyVault. */
import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import type { Keys } from '../../domain/keys/keys.ts';
import type { KeyRotation } from '../../domain/keys/rotation.ts';
import type { Secrets } from '../../domain/secrets/secrets.ts';
import type { DeletedVaults } from '../../domain/vaults/deleted-vaults.ts';
import type { ManagedVaults } from '../../domain/vaults/managed-vaults.ts';
import type { Vaults } from '../../domain/vaults/vaults.ts';
import { accessPolicyRoutes } from './access-policies.ts';
import { deletedVaultRoutes } from './deleted-vaults.ts';
import { managedHsmRoutes } from './managed-hsms.ts';
import { managementKeyRoutes } from './management-keys.ts';
import { managementSecretRoutes } from './management-secrets.ts';
import { nameAvailabilityRoutes } from './name-availability.ts';
import { perimeterRoutes } from './network-security-perimeters.ts';
import { privateEndpointRoutes } from './private-endpoints.ts';
import { providerOperationRow } from './provider-operations.ts';
import type { ManagementCall, ManagementRoute } from './route.ts';
import { vaultRoutes } from './vaults.ts';

export interface KeyVaultDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly managedVaults: ManagedVaults;
  readonly deletedVaults: DeletedVaults;
  /** Vaults ready for use, for what is done with their objects. */
  readonly vaults: Pick<Vaults, 'find'>;
  readonly keys: { readonly keys: Keys; readonly rotation: KeyRotation };
  readonly secrets: Secrets;
  /** The vault's base address with its slash, in the family of names that the request came in by. */
  readonly vaultUri: (name: string, family: ManagementCall['family']) => string;
}

export function keyVaultRoutes(deps: KeyVaultDeps): readonly ManagementRoute[] {
  return [
    ...vaultRoutes(deps),
    ...accessPolicyRoutes(deps),
    ...deletedVaultRoutes(deps),
    ...nameAvailabilityRoutes(deps),
    ...privateEndpointRoutes(deps),
    ...perimeterRoutes(deps),
    ...managementKeyRoutes(deps),
    ...managementSecretRoutes(deps),
    ...managedHsmRoutes(),
    providerOperationRow('Operations_List', 'Microsoft.KeyVault'),
  ];
}

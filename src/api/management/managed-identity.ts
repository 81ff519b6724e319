/** Every operation of the resource provider Microsoft.ManagedIdentity. */
import type { UserAssignedIdentities } from '../../domain/resources/user-assigned-identities.ts';
import type { DirectoryDeps } from '../../identity/principals.ts';
import { federatedCredentialRoutes } from './federated-credentials.ts';
import { providerOperationRow } from './provider-operations.ts';
import type { ManagementRoute } from './route.ts';
import { userAssignedIdentityRoutes } from './user-assigned-identities.ts';

export interface ManagedIdentityDeps {
  readonly identities: UserAssignedIdentities;
  /** For the credentials of their principals; writes to its store are under locks. */
  readonly directory: DirectoryDeps;
}

export function managedIdentityRoutes(deps: ManagedIdentityDeps): readonly ManagementRoute[] {
  return [
    ...userAssignedIdentityRoutes(deps),
    ...federatedCredentialRoutes(deps),
    providerOperationRow('ManagedIdentityOperations_List', 'Microsoft.ManagedIdentity'),
  ];
}

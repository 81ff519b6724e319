/** Changes of some of a vault's access policies. */
import { vaultScope } from '../../authorization/authorize.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { PolicyChange } from '../../domain/vaults/access-policy-rules.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { type ManagementRoute, managementRoute } from './route.ts';
import { policiesSchema, policyOf, vaultIdOf, vaultPath } from './vault-wire.ts';
import { editorOf } from './vaults.ts';

const changes: readonly PolicyChange[] = ['add', 'replace', 'remove'];

export function accessPolicyRoutes({
  managedVaults,
}: Pick<KeyVaultDeps, 'managedVaults'>): readonly ManagementRoute[] {
  return [
    managementRoute({
      operation: 'Vaults_UpdateAccessPolicy',
      audit: 'VaultAccessPolicyChange',
      method: 'PUT',
      path: `${vaultPath}/accessPolicies/:operationKind`,
      provider: 'Microsoft.KeyVault',
      action: 'Microsoft.KeyVault/vaults/accessPolicies/write',
      schema: policiesSchema,
      async handle(call) {
        const how = changeOf(call.params.operationKind ?? '');
        const policies = call.body.properties.accessPolicies.map(policyOf);
        const at = vaultIdOf(call.params);
        const record = await managedVaults.changePolicies(at, { how, policies }, editorOf(call));
        // Recorded: those of the named principals, as they are now.
        const named = new Set(policies.map(({ objectId }) => foldCase(objectId)));
        const id = `${vaultScope(record)}/accessPolicies/`;
        const accessPolicies = record.accessPolicies.filter(({ objectId }) => named.has(foldCase(objectId)));
        const type = 'Microsoft.KeyVault/vaults/accessPolicies';
        return { status: 200, body: { id, type, properties: { accessPolicies } }, id };
      },
    }),
  ];
}

function changeOf(text: string): PolicyChange {
  const change = changes.find((known) => known === foldCase(text));
  if (change === undefined)
    throw new Failure('badParameter', `The operation on access policies must be ${changes.join(', ')}.`);
  return change;
}

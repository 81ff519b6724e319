/** Whether a new vault, or a new managed HSM pool, can have a name. */
import * as v from 'valibot';
import { Failure, isFailure } from '../../core/errors.ts';
import { assertVaultName, nameTakenText } from '../../domain/vaults/vault-rules.ts';
import { objectSchema } from '../vault/wire.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import { vaultType } from './vault-wire.ts';
import { wordSchema } from './wire.ts';

const provider = 'Microsoft.KeyVault';
const subscription = '/subscriptions/:subscriptionId/providers/Microsoft.KeyVault';

/** From when on the answer has the long text (recorded). */
const longTextSince = '2021-04-01';

export function nameAvailabilityRoutes(
  deps: Pick<KeyVaultDeps, 'managedVaults'>,
): readonly ManagementRoute[] {
  return [
    managementRoute({
      operation: 'Vaults_CheckNameAvailability',
      audit: 'VaultCheckNameAvailability',
      method: 'POST',
      path: `${subscription}/checkNameAvailability`,
      provider,
      action: 'Microsoft.KeyVault/checkNameAvailability/read',
      schema: objectSchema({
        name: v.string('It must be text.'),
        type: wordSchema([vaultType], `It must be ${vaultType}.`),
      }),
      async handle({ body: { name }, apiVersion }) {
        const problem = await deps.managedVaults.nameProblem(name);
        if (problem === undefined) return { status: 200, body: { nameAvailable: true } };
        if (problem === 'invalid') return invalid(refusalOf(name));
        const text = apiVersion < longTextSince ? shortText(name) : nameTakenText(name);
        return { status: 200, body: { nameAvailable: false, reason: 'AlreadyExists', message: text } };
      },
    }),
    managementRoute({
      operation: 'ManagedHsms_CheckMhsmNameAvailability',
      audit: 'ManagedHsmCheckNameAvailability',
      method: 'POST',
      path: `${subscription}/checkMhsmNameAvailability`,
      provider,
      action: 'Microsoft.KeyVault/checkMhsmNameAvailability/read',
      schema: objectSchema({ name: v.string('It must be text.') }),
      async handle({ body: { name } }) {
        // There are no pools that could have a name; they are named by the rule of vaults.
        const refusal = refusalOf(name);
        return refusal === '' ? { status: 200, body: { nameAvailable: true } } : invalid(refusal);
      },
    }),
  ];
}

function shortText(name: string): string {
  return `The name '${name}' is already in use.`;
}

function invalid(message: string): ManagementReply {
  return { status: 200, body: { nameAvailable: false, reason: 'AccountNameInvalid', message } };
}

/** Why the name is none for a vault; empty if it is one. */
function refusalOf(name: string): string {
  try {
    assertVaultName(name);
    return '';
  } catch (error) {
    if (error instanceof Failure && isFailure(error, 'vaultNameNotValid')) return error.message;
    throw error;
  }
}

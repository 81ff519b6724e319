/** The services that a vault lets past its firewall, whatever address they come from. */

/** What a first-party principal stands for; those of a flag of the vault, and all the others. */
export type TrustedService = 'deployment' | 'diskEncryption' | 'templateDeployment' | 'other';

/** `enabledForDeployment`, `enabledForDiskEncryption` and `enabledForTemplateDeployment` of a vault. */
export interface EnabledServices {
  readonly deployment: boolean;
  readonly diskEncryption: boolean;
  readonly templateDeployment: boolean;
}

/** Whether a vault trusts the service: its bypass must, and a service that has a flag needs that too. */
export function trustsService(
  vault: { readonly bypass: 'AzureServices' | 'None'; readonly services: EnabledServices },
  service: TrustedService,
): boolean {
  if (vault.bypass === 'None') return false;
  return service === 'other' || vault.services[service];
}

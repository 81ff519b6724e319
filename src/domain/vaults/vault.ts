/** What a vault is. Names compare without case; times are Unix milliseconds. */
import type { ProtectedVault } from '../../authorization/authorize.ts';
import type { Grant } from '../../authorization/grant.ts';
import type { NetworkRules } from '../../authorization/network-rules.ts';

/** A vault as it is stored and as the management plane shows it. */
export interface VaultRecord extends Omit<ProtectedVault, 'networkCheck'> {
  readonly sku: 'standard' | 'premium';
  /** 7 to 90; set at creation and never changed (LIMITS.md §3). */
  readonly softDeleteRetentionInDays: number;
  /** Once true, never false again. */
  readonly enablePurgeProtection: boolean;
  readonly networkRules: NetworkRules;
  readonly tags: Readonly<Record<string, string>>;
  readonly created: number;
  readonly updated: number;
}

/** A vault ready for use: its record with the network rules compiled. */
export interface Vault extends VaultRecord, ProtectedVault {}

export type VaultGrant = Grant<Vault>;

/** `Customized…` for a retention of less than 90 days, `+Purgeable` without purge protection (LIMITS.md §3). */
export function recoveryLevel(vault: VaultRecord): string {
  const level = vault.softDeleteRetentionInDays < 90 ? 'CustomizedRecoverable' : 'Recoverable';
  return vault.enablePurgeProtection ? level : `${level}+Purgeable`;
}

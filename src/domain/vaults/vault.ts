/** What a vault is. Names compare without case; times are Unix milliseconds. */
import type { ProtectedVault } from '../../authorization/authorize.ts';
import type { Grant } from '../../authorization/grant.ts';
import type { NetworkRules } from '../../authorization/network-rules.ts';
import type { EnabledServices } from '../../authorization/trusted-services.ts';
import type { Principal } from '../../core/principal.ts';

/** Who made or changed a vault, as `systemData` says it: a user's name, or an application's id. */
export interface Author {
  readonly by: string;
  readonly type: 'User' | 'Application';
}

export type ConnectionStatus = 'Pending' | 'Approved' | 'Rejected' | 'Disconnected';

/** A private endpoint's connection to the vault; only an approved one lets anybody in. */
export interface PrivateEndpointConnection {
  /** Unique in the vault, without regard to case. */
  readonly name: string;
  readonly status: ConnectionStatus;
  readonly description: string | undefined;
  /** ARM id of the private endpoint, if whoever made the connection named it. */
  readonly privateEndpointId: string | undefined;
  /** Another one after every change. */
  readonly etag: string;
}

export interface VaultDeletion {
  readonly at: number;
  /** From when the vault is removed for good; 0 once its removal has begun. */
  readonly purgeAt: number;
}

/** A vault as it is stored and as the management plane shows it. */
export interface VaultRecord extends Omit<ProtectedVault, 'networkCheck' | 'privateCheck'> {
  readonly sku: 'standard' | 'premium';
  /** 7 to 90; set at creation and never changed (LIMITS.md §3). */
  readonly softDeleteRetentionInDays: number;
  /** Once true, never false again. */
  readonly enablePurgeProtection: boolean;
  readonly networkRules: NetworkRules;
  readonly services: EnabledServices;
  readonly connections: readonly PrivateEndpointConnection[];
  readonly tags: Readonly<Record<string, string>>;
  readonly created: number;
  readonly updated: number;
  /** Undefined for what the operator's commands did. */
  readonly createdBy: Author | undefined;
  readonly updatedBy: Author | undefined;
  /** Undefined for a live vault. */
  readonly deleted: VaultDeletion | undefined;
}

/** A live vault ready for use: its record with the network compiled, and with policies in the form that is evaluated. */
export interface Vault extends VaultRecord, ProtectedVault {}

export type VaultGrant = Grant<Vault>;

/** Where a vault is: what its ARM id says besides its name. */
export interface VaultPlace {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
}

export function authorOf(principal: Principal): Author {
  return principal.kind === 'user'
    ? { by: principal.userName ?? principal.objectId, type: 'User' }
    : { by: principal.appId ?? principal.objectId, type: 'Application' };
}

/** `Customized…` for a retention of less than 90 days, `+Purgeable` without purge protection (LIMITS.md §3). */
export function recoveryLevel(vault: VaultRecord): string {
  const level = vault.softDeleteRetentionInDays < 90 ? 'CustomizedRecoverable' : 'Recoverable';
  return vault.enablePurgeProtection ? level : `${level}+Purgeable`;
}

/**
 * What a vault may be, and what of it may change: pure functions over records. The texts are Azure's where clients are
 * known to see them (ERRORS.md §5, §6).
 */
import { isIpRule, type NetworkRules } from '../../authorization/network-rules.ts';
import type { EnabledServices } from '../../authorization/trusted-services.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isLocation, isResourceGroupName, isVaultName } from '../../core/names.ts';
import type { Tags } from '../resources/directory-store.ts';
import { foldLocation } from '../resources/locations.ts';
import { assertTags } from '../resources/tags.ts';
import { assertPolicies } from './access-policy-rules.ts';
import type { Author, VaultRecord } from './vault.ts';

/** What a caller says of a vault; undefined is not given. */
export interface VaultSettings {
  readonly tenantId?: string | undefined;
  readonly location?: string | undefined;
  readonly sku?: VaultRecord['sku'] | undefined;
  readonly accessPolicies?: VaultRecord['accessPolicies'] | undefined;
  readonly enableRbacAuthorization?: boolean | undefined;
  readonly enableSoftDelete?: boolean | undefined;
  readonly softDeleteRetentionInDays?: number | undefined;
  readonly enablePurgeProtection?: boolean | undefined;
  readonly publicNetworkAccess?: VaultRecord['publicNetworkAccess'] | undefined;
  readonly networkRules?: Partial<NetworkRules> | undefined;
  readonly services?: Partial<EnabledServices> | undefined;
  readonly tags?: Tags | undefined;
}

export interface Change {
  readonly now: number;
  readonly by: Author | undefined;
}

/** The record with what was given put into it; throws for what cannot change, and for what cannot be. */
export function changedRecord(was: VaultRecord, given: VaultSettings, change: Change): VaultRecord {
  if (given.tenantId !== undefined && foldCase(given.tenantId) !== was.tenantId)
    throw invalidValue('tenantId');
  if (given.location !== undefined && foldLocation(given.location) !== was.location)
    throw elsewhere(was, given.location);
  assertIrreversible(given);
  const { softDeleteRetentionInDays: days } = given;
  if (days !== undefined && days !== was.softDeleteRetentionInDays) {
    throw new Failure(
      'badParameter',
      'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.',
    );
  }
  const record: VaultRecord = {
    ...was,
    sku: given.sku ?? was.sku,
    accessPolicies: given.accessPolicies ?? was.accessPolicies,
    enableRbacAuthorization: given.enableRbacAuthorization ?? was.enableRbacAuthorization,
    enablePurgeProtection: given.enablePurgeProtection ?? was.enablePurgeProtection,
    publicNetworkAccess: given.publicNetworkAccess ?? was.publicNetworkAccess,
    networkRules: { ...was.networkRules, ...given.networkRules },
    services: { ...was.services, ...given.services },
    tags: given.tags ?? was.tags,
    updated: change.now,
    updatedBy: change.by,
  };
  assertValid(record);
  return record;
}

/** What is given once stays: protection against purge, and soft delete, which every vault has. */
export function assertIrreversible(given: VaultSettings): void {
  if (given.enablePurgeProtection === false) {
    throw new Failure(
      'badParameter',
      'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.',
    );
  }
  if (given.enableSoftDelete === false) {
    throw new Failure(
      'badParameter',
      'The property "enableSoftDelete" cannot be set to false. Soft delete is enabled for every vault, which is an irreversible action.',
    );
  }
}

const mostIpRules = 1000;
const mostSubnetRules = 200;
const subnetForm =
  /^\/subscriptions\/[0-9a-f-]{36}\/resourcegroups\/[\w.()-]{1,90}\/providers\/microsoft\.network\/virtualnetworks\/[\w.-]{1,80}\/subnets\/[\w.-]{1,80}$/;

/** Throws for a record that no vault can have. */
export function assertValid(record: VaultRecord): void {
  assertVaultName(record.name);
  if (!isLocation(record.location)) {
    throw new Failure(
      'badParameter',
      `The location '${record.location.slice(0, 64)}' is invalid: letters, digits and hyphens only.`,
    );
  }
  if (!isResourceGroupName(record.resourceGroup)) {
    throw new Failure('badParameter', `The resource group name '${record.resourceGroup}' is invalid.`);
  }
  const days = record.softDeleteRetentionInDays;
  if (!Number.isInteger(days) || days < 7 || days > 90) {
    throw new Failure('badParameter', 'The soft-delete retention must be from 7 to 90 days.');
  }
  assertPolicies(record);
  assertTags(record.tags);
  assertNetworkRules(record.networkRules);
}

export function assertVaultName(name: string): void {
  if (isVaultName(name)) return;
  throw new Failure(
    'vaultNameNotValid',
    `The vault name '${name.slice(0, 64)}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens. Follow this link for more information: https://go.microsoft.com/fwlink/?linkid=2147742`,
  );
}

function assertNetworkRules({ ipRules, virtualNetworkRules = [] }: NetworkRules): void {
  const rule = ipRules.find((text) => !isIpRule(text));
  if (rule !== undefined)
    throw new Failure('badParameter', `'${rule.slice(0, 64)}' is not an IP address or CIDR range.`);
  if (ipRules.length > mostIpRules)
    throw new Failure('badParameter', `A vault has at most ${mostIpRules} IP rules.`);
  const subnet = virtualNetworkRules.find(({ id }) => !subnetForm.test(id));
  if (subnet !== undefined)
    throw new Failure('badParameter', `'${subnet.id.slice(0, 256)}' is not the resource id of a subnet.`);
  if (virtualNetworkRules.length > mostSubnetRules)
    throw new Failure('badParameter', `A vault has at most ${mostSubnetRules} virtual network rules.`);
}

export function invalidValue(member: string): Failure {
  return new Failure('badParameter', `An invalid value was provided for '${member}'.`);
}

/** In the words of Azure's gateway. */
export function elsewhere(was: VaultRecord, location: string): Failure {
  return new Failure(
    'resourceLocation',
    `The resource '${was.name}' already exists in location '${was.location}' in resource group '${was.resourceGroup}'. A resource with the same name cannot be created in location '${location.slice(0, 64)}'. Please select a new resource name.`,
  );
}

/** The name is a vault's that the caller need not know of, live or deleted. */
export function nameTaken(name: string): Failure {
  return new Failure('vaultAlreadyExists', nameTakenText(name));
}

export function nameTakenText(name: string): string {
  return `The vault name '${name}' is already in use. Vault names are globaly unique so it is possible that the name is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but not purged after being placed in a recoverable state. If the vault is in a recoverable state then the vault will need to be purged before reusing the name. For more information on soft delete and purging a vault follow this link https://go.microsoft.com/fwlink/?linkid=2147740.`;
}

/** The name is that of a deleted vault of the same subscription. */
export function deletedNameTaken(): Failure {
  return new Failure(
    'deletedVaultExists',
    'A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.',
  );
}

export function deletedVaultNotFound(name: string): Failure {
  return new Failure(
    'deletedVaultNotFound',
    `The specified deleted vault '${name.slice(0, 64)}' does not exist. Ensure that the vault was indeed deleted and that it is in recoverable state. If soft delete was not enabled then the vault is permanently deleted. Follow this link for more information: https://go.microsoft.com/fwlink/?linkid=2149745`,
  );
}

/** Vaults as JSON of the management plane: schemas of what comes in, shapes of what goes out (ERRORS.md §10). */
import * as v from 'valibot';
import type { AccessPolicy } from '../../authorization/access-policies.ts';
import { vaultScope } from '../../authorization/authorize.ts';
import type { NetworkRules } from '../../authorization/network-rules.ts';
import { foldCase } from '../../core/names.ts';
import type { DeletedVault } from '../../domain/vaults/deleted-vaults.ts';
import { type VaultId, vaultAbsent } from '../../domain/vaults/managed-vaults.ts';
import type { Author, VaultRecord } from '../../domain/vaults/vault.ts';
import type { VaultSettings } from '../../domain/vaults/vault-rules.ts';
import { objectSchema } from '../vault/wire.ts';
import { connectionItemWire } from './private-endpoint-wire.ts';
import type { PathParameters } from './route.ts';
import { tagsSchema, wordSchema } from './wire.ts';

export const vaultsPath =
  '/subscriptions/:subscriptionId/resourceGroups/:resourceGroupName/providers/Microsoft.KeyVault/vaults';
export const vaultPath = `${vaultsPath}/:vaultName`;
export const vaultType = 'Microsoft.KeyVault/vaults';

/** The vault that the path names. */
export function vaultIdOf(params: PathParameters): VaultId {
  return {
    subscriptionId: foldCase(params.subscriptionId ?? ''),
    resourceGroup: params.resourceGroupName ?? '',
    name: params.vaultName ?? '',
  };
}

export async function foundVault(
  { managedVaults }: { managedVaults: { get(at: VaultId): Promise<VaultRecord | undefined> } },
  params: PathParameters,
): Promise<VaultRecord> {
  const at = vaultIdOf(params);
  const record = await managedVaults.get(at);
  if (record === undefined) throw vaultAbsent(at);
  return record;
}

const flag = v.nullish(v.boolean('It must be true or false.'));
const list = v.nullish(v.array(v.string('It must be text.')));

export const accessPoliciesSchema = v.array(
  objectSchema({
    tenantId: v.string('It must be a GUID.'),
    objectId: v.string('It must be a GUID.'),
    applicationId: v.nullish(v.string('It must be a GUID.')),
    permissions: objectSchema({ keys: list, secrets: list, certificates: list, storage: list }),
  }),
  'It must be a list.',
);

const networkSchema = objectSchema({
  bypass: v.nullish(wordSchema(['AzureServices', 'None'], 'It must be AzureServices or None.')),
  defaultAction: v.nullish(wordSchema(['Allow', 'Deny'], 'It must be Allow or Deny.')),
  ipRules: v.nullish(v.array(objectSchema({ value: v.string('It must be an address or a range.') }))),
  virtualNetworkRules: v.nullish(
    v.array(
      objectSchema({ id: v.string('It must be a resource id.'), ignoreMissingVnetServiceEndpoint: flag }),
    ),
  ),
});

const skuSchema = objectSchema({
  family: v.nullish(wordSchema(['A'], 'It must be A.')),
  name: wordSchema(['standard', 'premium'], 'It must be standard or premium.'),
});

const changeable = {
  accessPolicies: v.nullish(accessPoliciesSchema),
  enabledForDeployment: flag,
  enabledForDiskEncryption: flag,
  enabledForTemplateDeployment: flag,
  enableSoftDelete: flag,
  softDeleteRetentionInDays: v.nullish(v.pipe(v.number(), v.integer('It must be a whole number.'))),
  enableRbacAuthorization: flag,
  createMode: v.nullish(wordSchema(['default', 'recover'], 'It must be default or recover.')),
  enablePurgeProtection: flag,
  networkAcls: v.nullish(networkSchema),
  publicNetworkAccess: v.nullish(
    wordSchema(
      ['Enabled', 'Disabled'],
      'It must be Enabled or Disabled; there are no network security perimeters.',
    ),
  ),
};

export const putVaultSchema = objectSchema({
  location: v.nullish(v.string('It must be text.')),
  tags: v.nullish(tagsSchema),
  properties: objectSchema({ ...changeable, tenantId: v.string('It must be a GUID.'), sku: skuSchema }),
});

export const patchVaultSchema = objectSchema({
  tags: v.nullish(tagsSchema),
  properties: v.nullish(
    objectSchema({ ...changeable, tenantId: v.nullish(v.string()), sku: v.nullish(skuSchema) }),
  ),
});

export const policiesSchema = objectSchema({
  properties: objectSchema({ accessPolicies: accessPoliciesSchema }),
});

/** What was said; null is as good as nothing. */
export function settingsOf(body: v.InferOutput<typeof patchVaultSchema>): VaultSettings {
  const { tags, properties } = body;
  const given = properties ?? {};
  return {
    tenantId: given.tenantId ?? undefined,
    sku: given.sku?.name,
    accessPolicies: given.accessPolicies?.map(policyOf),
    enableRbacAuthorization: given.enableRbacAuthorization ?? undefined,
    enableSoftDelete: given.enableSoftDelete ?? undefined,
    softDeleteRetentionInDays: given.softDeleteRetentionInDays ?? undefined,
    enablePurgeProtection: given.enablePurgeProtection ?? undefined,
    publicNetworkAccess: given.publicNetworkAccess ?? undefined,
    networkRules: networkOf(given.networkAcls),
    services: definedOf({
      deployment: given.enabledForDeployment,
      diskEncryption: given.enabledForDiskEncryption,
      templateDeployment: given.enabledForTemplateDeployment,
    }),
    tags: tags ?? undefined,
  };
}

export function policyOf(policy: v.InferOutput<typeof accessPoliciesSchema>[number]): AccessPolicy {
  const { tenantId, objectId, applicationId, permissions } = policy;
  return {
    ...{ tenantId, objectId },
    ...(applicationId === undefined || applicationId === null ? {} : { applicationId }),
    permissions: definedOf(permissions),
  };
}

function networkOf(acls: v.InferOutput<typeof networkSchema> | null | undefined): Partial<NetworkRules> {
  if (acls === undefined || acls === null) return {};
  return definedOf({
    bypass: acls.bypass,
    defaultAction: acls.defaultAction,
    ipRules: acls.ipRules?.map(({ value }) => value),
    virtualNetworkRules: acls.virtualNetworkRules?.map(
      ({ id, ignoreMissingVnetServiceEndpoint: ignore }) => ({
        // Recorded: they come back in lower case.
        id: foldCase(id),
        ...(ignore === undefined || ignore === null ? {} : { ignoreMissingVnetServiceEndpoint: ignore }),
      }),
    ),
  });
}

type Defined<T> = { -readonly [K in keyof T]?: Exclude<T[K], null | undefined> };

/** Without the members that are null or undefined. */
function definedOf<T extends object>(members: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined && value !== null),
  ) as Defined<T>;
}

export interface Shown {
  readonly apiVersion: string;
  readonly vaultUri: string;
}

/** From when on an api-version has the member; previews count as their date. */
const systemDataSince = '2021-04-01';
const publicAccessSince = '2021-06-01';

export function vaultWire(record: VaultRecord, { apiVersion, vaultUri }: Shown): object {
  const { connections, services } = record;
  return {
    id: vaultScope(record),
    name: record.name,
    type: vaultType,
    location: record.location,
    tags: record.tags,
    systemData: apiVersion < systemDataSince ? undefined : systemDataWire(record),
    properties: {
      sku: { family: 'A', name: record.sku },
      tenantId: record.tenantId,
      networkAcls: networkWire(record.networkRules),
      privateEndpointConnections:
        connections.length === 0 ? undefined : connections.map((each) => connectionItemWire(record, each)),
      accessPolicies: record.accessPolicies,
      enabledForDeployment: services.deployment,
      enabledForDiskEncryption: services.diskEncryption || undefined,
      enabledForTemplateDeployment: services.templateDeployment || undefined,
      enableSoftDelete: true,
      softDeleteRetentionInDays: record.softDeleteRetentionInDays,
      enableRbacAuthorization: record.enableRbacAuthorization,
      // What is not set is left out: clients send back what they have read, and false is refused.
      enablePurgeProtection: record.enablePurgeProtection || undefined,
      vaultUri,
      provisioningState: 'Succeeded',
      publicNetworkAccess: apiVersion < publicAccessSince ? undefined : record.publicNetworkAccess,
    },
  };
}

/** Recorded: rules that were never set are not shown. */
function networkWire(rules: NetworkRules): object | undefined {
  const { bypass, defaultAction, ipRules, virtualNetworkRules = [] } = rules;
  const isOpen = defaultAction === 'Allow' && bypass === 'AzureServices';
  if (isOpen && ipRules.length === 0 && virtualNetworkRules.length === 0) return undefined;
  return { bypass, defaultAction, ipRules: ipRules.map((value) => ({ value })), virtualNetworkRules };
}

function systemDataWire({ created, updated, createdBy, updatedBy }: VaultRecord): object {
  return {
    ...authorWire('createdBy', createdBy),
    createdAt: new Date(created).toISOString(),
    ...authorWire('lastModifiedBy', updatedBy),
    lastModifiedAt: new Date(updated).toISOString(),
  };
}

function authorWire(member: string, author: Author | undefined): object {
  return author === undefined ? {} : { [member]: author.by, [`${member}Type`]: author.type };
}

export function deletedVaultWire(record: DeletedVault): object {
  const { subscriptionId, location, name, deleted, tags } = record;
  return {
    id: `/subscriptions/${subscriptionId}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${name}`,
    name,
    type: 'Microsoft.KeyVault/deletedVaults',
    properties: {
      vaultId: vaultScope(record),
      location,
      tags,
      deletionDate: secondsWire(deleted.at),
      scheduledPurgeDate: secondsWire(deleted.purgeAt),
      purgeProtectionEnabled: record.enablePurgeProtection || undefined,
    },
  };
}

/** `2022-04-27T06:40:02Z`. */
function secondsWire(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

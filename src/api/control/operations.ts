/**
 * What the operator's commands can do, as rows. The same rows run in the serving process, over the control socket,
 * and in a command's own process when the server is stopped.
 */
import * as v from 'valibot';
import {
  certificatePermissions,
  keyPermissions,
  secretPermissions,
} from '../../authorization/access-policies.ts';
import { vaultScope } from '../../authorization/authorize.ts';
import { openNetwork } from '../../authorization/network-rules.ts';
import { defaultLocation, defaultResourceGroup } from '../../domain/vaults/first-start.ts';
import type { Vault } from '../../domain/vaults/vault.ts';
import { directoryOperations } from './directory.ts';
import { identityOperations } from './identities.ts';
import { knownPrincipal, knownVault } from './known.ts';
import { type ControlDeps, type ControlOperation, operation } from './operation.ts';

const nothing = v.strictObject({});
const named = v.strictObject({ name: v.string() });

export const controlOperations: Readonly<Record<string, ControlOperation>> = {
  status: operation({ input: nothing, run: (deps) => deps.status() }),
  'client-environment': operation({
    audit: 'ClientEnvironmentGet',
    input: nothing,
    run: (deps) => deps.clientEnvironment(),
  }),
  'vault create': operation({
    audit: 'VaultPut',
    input: v.strictObject({
      name: v.string(),
      resourceGroup: v.optional(v.string()),
      location: v.optional(v.string()),
      sku: v.optional(v.picklist(['standard', 'premium'])),
      accessPolicies: v.optional(v.boolean()),
      retentionDays: v.optional(v.number()),
      purgeProtection: v.optional(v.boolean()),
      publicNetworkAccess: v.optional(v.picklist(['Enabled', 'Disabled'])),
      defaultAction: v.optional(v.picklist(['Allow', 'Deny'])),
      ipRules: v.optional(v.array(v.string())),
    }),
    run: async (deps, input) => {
      const vault = await deps.vaults.create({
        name: input.name,
        tenantId: deps.tenant.id,
        subscriptionId: deps.subscription.id,
        resourceGroup: input.resourceGroup ?? defaultResourceGroup,
        location: input.location ?? defaultLocation,
        sku: input.sku,
        enableRbacAuthorization: input.accessPolicies !== true,
        softDeleteRetentionInDays: input.retentionDays,
        enablePurgeProtection: input.purgeProtection,
        publicNetworkAccess: input.publicNetworkAccess,
        networkRules: {
          ...openNetwork,
          defaultAction: input.defaultAction ?? openNetwork.defaultAction,
          ipRules: input.ipRules ?? openNetwork.ipRules,
        },
      });
      return vaultView(deps, vault);
    },
  }),
  'vault list': operation({
    input: nothing,
    run: async (deps) => ({ vaults: (await deps.vaults.list()).map((vault) => vaultView(deps, vault)) }),
  }),
  'vault show': operation({
    input: named,
    run: async (deps, { name }) => vaultView(deps, await knownVault(deps, name)),
  }),
  'vault set-policy': operation({
    audit: 'VaultPatch',
    input: v.strictObject({
      name: v.string(),
      identity: v.string(),
      secrets: v.optional(v.array(v.picklist(secretPermissions)), []),
      keys: v.optional(v.array(v.picklist(keyPermissions)), []),
      certificates: v.optional(v.array(v.picklist(certificatePermissions)), []),
    }),
    run: async (deps, { name, identity, ...permissions }) => {
      const { tenantId, objectId } = await knownPrincipal(deps, identity);
      return vaultView(deps, await deps.vaults.setAccessPolicy(name, { tenantId, objectId, permissions }));
    },
  }),
  'vault rotate-key': operation({
    audit: 'VaultKeyRotate',
    input: named,
    run: async (deps, { name }) => deps.rotateVaultKey((await knownVault(deps, name)).id),
  }),
  ...identityOperations,
  ...directoryOperations,
  'root-key rotate': operation({
    audit: 'RootKeyRotate',
    input: nothing,
    run: (deps) => deps.rotateRootKey(),
  }),
  'root-key protect': operation({
    audit: 'RootKeyProtect',
    input: v.strictObject({ passphrase: v.optional(v.string()) }),
    run: (deps, { passphrase }) => deps.protectRootKey(passphrase),
  }),
  'audit verify': operation({ input: nothing, run: (deps) => deps.verifyAudit() }),
};

function vaultView(deps: ControlDeps, vault: Vault) {
  const {
    name,
    tenantId,
    location,
    sku,
    enableRbacAuthorization,
    softDeleteRetentionInDays,
    enablePurgeProtection,
    publicNetworkAccess,
    networkRules,
    connections,
    accessPolicies,
  } = vault;
  return {
    name,
    vaultUri: deps.vaultUri(name),
    id: vaultScope(vault),
    tenantId,
    location,
    sku,
    enableRbacAuthorization,
    softDeleteRetentionInDays,
    enablePurgeProtection,
    publicNetworkAccess,
    networkRules,
    privateEndpoints: connections.filter(({ status }) => status === 'Approved').map((each) => each.name),
    accessPolicies,
    created: new Date(vault.created).toISOString(),
  };
}

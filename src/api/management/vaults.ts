/** Vaults as resources, as rows. */
import { vaultScope } from '../../authorization/authorize.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { parseLocation } from '../../domain/resources/locations.ts';
import { vaultAbsent } from '../../domain/vaults/managed-vaults.ts';
import { authorOf, type VaultRecord } from '../../domain/vaults/vault.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { type ManagementCall, type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import {
  patchVaultSchema,
  putVaultSchema,
  settingsOf,
  vaultIdOf,
  vaultPath,
  vaultsPath,
  vaultWire,
} from './vault-wire.ts';
import { listReply } from './wire.ts';

const provider = 'Microsoft.KeyVault';
const write = 'Microsoft.KeyVault/vaults/write';
const read = 'Microsoft.KeyVault/vaults/read';
const assign = 'Microsoft.Authorization/roleAssignments/write';

/** The api-version from which a new vault uses roles unless it says otherwise. */
const rbacByDefaultSince = '2026-02-01';

export function vaultRoutes(deps: KeyVaultDeps): readonly ManagementRoute[] {
  return [...writeRoutes(deps), ...readRoutes(deps)];
}

function writeRoutes(deps: KeyVaultDeps): ManagementRoute[] {
  const { managedVaults: vaults } = deps;
  const row = { path: vaultPath, provider } as const;
  return [
    managementRoute({
      ...row,
      operation: 'Vaults_CreateOrUpdate',
      audit: 'VaultPut',
      method: 'PUT',
      action: write,
      schema: putVaultSchema,
      async handle(call) {
        const { body, params, tenantId, apiVersion } = call;
        const at = vaultIdOf(params);
        const location = parseLocation(body.location);
        const editor = editorOf(call);
        if (foldCase(body.properties.tenantId) !== tenantId) throw wrongTenant();
        if (body.properties.createMode === 'recover')
          return found(deps, call, await vaults.recover({ at, location, by: editor.by }));
        const given = { ...settingsOf(body), location };
        const rbacByDefault = apiVersion >= rbacByDefaultSince;
        return found(deps, call, await vaults.put({ at, tenantId, given, rbacByDefault }, editor));
      },
    }),
    managementRoute({
      ...row,
      operation: 'Vaults_Update',
      audit: 'VaultPatch',
      method: 'PATCH',
      action: write,
      schema: patchVaultSchema,
      async handle(call) {
        const record = await vaults.patch(vaultIdOf(call.params), settingsOf(call.body), editorOf(call));
        return found(deps, call, record);
      },
    }),
    managementRoute({
      ...row,
      operation: 'Vaults_Delete',
      audit: 'VaultDelete',
      method: 'DELETE',
      action: 'Microsoft.KeyVault/vaults/delete',
      async handle({ params }) {
        const removed = await vaults.remove(vaultIdOf(params));
        return { status: removed ? 200 : 204, body: undefined };
      },
    }),
  ];
}

function readRoutes(deps: KeyVaultDeps): ManagementRoute[] {
  const { managedVaults: vaults } = deps;
  const row = { method: 'GET', provider, action: read } as const;
  const listed = (call: ManagementCall, items: readonly VaultRecord[]) =>
    listReply(call, {
      list: foldCase(call.path),
      items,
      keyOf: ({ name }) => foldCase(name),
      wire: (record) => vaultWire(record, shown(deps, call, record)),
    });
  return [
    managementRoute({
      ...row,
      operation: 'Vaults_Get',
      audit: 'VaultGet',
      path: vaultPath,
      async handle(call) {
        const at = vaultIdOf(call.params);
        const record = await vaults.get(at);
        if (record === undefined) throw vaultAbsent(at);
        return found(deps, call, record);
      },
    }),
    managementRoute({
      ...row,
      operation: 'Vaults_ListByResourceGroup',
      audit: 'VaultList',
      path: vaultsPath,
      async handle(call) {
        const { subscriptionId, resourceGroup } = vaultIdOf(call.params);
        const all = await vaults.list(subscriptionId);
        return listed(
          call,
          all.filter((record) => foldCase(record.resourceGroup) === foldCase(resourceGroup)),
        );
      },
    }),
    managementRoute({
      ...row,
      operation: 'Vaults_ListBySubscription',
      audit: 'VaultList',
      path: '/subscriptions/:subscriptionId/providers/Microsoft.KeyVault/vaults',
      handle: async (call) => listed(call, await vaults.list(vaultIdOf(call.params).subscriptionId)),
    }),
  ];
}

/** Who may choose between roles and policies may give access: Azure asks for the right to assign roles. */
export function editorOf({ principal, may, params }: Pick<ManagementCall, 'principal' | 'may' | 'params'>) {
  const scope = vaultScope(vaultIdOf(params));
  return {
    by: authorOf(principal),
    assertMayChangeModel() {
      if (may(assign, scope)) return;
      throw new Failure(
        'authorizationFailed',
        `The client '${principal.userName ?? principal.objectId}' with object id '${principal.objectId}' does not have authorization to perform action '${assign}' over scope '${scope}', which a change of enableRbacAuthorization needs.`,
      );
    },
  };
}

function wrongTenant(): Failure {
  return new Failure(
    'badParameter',
    "An invalid value was provided for 'tenantId'. It must be the tenant of the subscription.",
  );
}

function shown(
  { vaultUri }: KeyVaultDeps,
  { apiVersion, family }: Pick<ManagementCall, 'apiVersion' | 'family'>,
  { name }: VaultRecord,
) {
  return { apiVersion, vaultUri: vaultUri(name, family) };
}

function found(
  deps: KeyVaultDeps,
  call: Pick<ManagementCall, 'apiVersion' | 'family'>,
  record: VaultRecord,
): ManagementReply {
  return { status: 200, body: vaultWire(record, shown(deps, call, record)), id: vaultScope(record) };
}

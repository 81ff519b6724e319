/** A vault's private endpoint connections and what they can connect to, as rows. */
import * as v from 'valibot';
import { vaultScope } from '../../authorization/authorize.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { Random } from '../../core/random.ts';
import { findConnection, withConnection, withoutConnection } from '../../domain/vaults/private-endpoints.ts';
import { authorOf, type PrivateEndpointConnection, type VaultRecord } from '../../domain/vaults/vault.ts';
import { objectSchema } from '../vault/wire.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { connectionIdOf, connectionWire } from './private-endpoint-wire.ts';
import { type ManagementRoute, managementRoute, type PathParameters } from './route.ts';
import { foundVault, vaultIdOf, vaultPath } from './vault-wire.ts';
import { listReply, wordSchema } from './wire.ts';

const action = 'Microsoft.KeyVault/vaults/privateEndpointConnections';
const list = `${vaultPath}/privateEndpointConnections`;
const path = `${list}/:connectionName`;
const row = { provider: 'Microsoft.KeyVault', since: '2018-02-14' } as const;

const statuses = ['Pending', 'Approved', 'Rejected', 'Disconnected'] as const;
const connectionSchema = objectSchema({
  properties: objectSchema({
    privateEndpoint: v.nullish(objectSchema({ id: v.nullish(v.string()) })),
    privateLinkServiceConnectionState: objectSchema({
      status: wordSchema(statuses, `It must be ${statuses.join(', ')}.`),
      description: v.nullish(v.string()),
    }),
  }),
});

type Deps = Pick<KeyVaultDeps, 'managedVaults'> & { readonly random: Random };

export function privateEndpointRoutes(deps: Deps): readonly ManagementRoute[] {
  return [...connectionRoutes(deps), ...writeRoutes(deps), ...linkRoutes(deps)];
}

function connectionRoutes(deps: Deps): ManagementRoute[] {
  return [
    managementRoute({
      ...row,
      operation: 'PrivateEndpointConnections_ListByResource',
      audit: 'VaultPrivateEndpointConnectionList',
      method: 'GET',
      path: list,
      action: `${action}/read`,
      async handle(call) {
        const record = await foundVault(deps, call.params);
        const keyOf = ({ name }: PrivateEndpointConnection) => foldCase(name);
        const items = record.connections.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
        const wire = (each: PrivateEndpointConnection) => connectionWire(record, each);
        return listReply(call, { list: foldCase(call.path), items, keyOf, wire });
      },
    }),
    managementRoute({
      ...row,
      operation: 'PrivateEndpointConnections_Get',
      audit: 'VaultPrivateEndpointConnectionGet',
      method: 'GET',
      path,
      action: `${action}/read`,
      // Recorded: one that is not there is answered without content.
      async handle({ params }) {
        const record = await foundVault(deps, params);
        const found = findConnection(record, nameOf(params));
        if (found === undefined) return { status: 204, body: undefined };
        return { status: 200, body: connectionWire(record, found), id: connectionIdOf(record, found) };
      },
    }),
  ];
}

function writeRoutes(deps: Deps): ManagementRoute[] {
  const { managedVaults: vaults, random } = deps;
  return [
    managementRoute({
      ...row,
      operation: 'PrivateEndpointConnections_Put',
      audit: 'VaultPrivateEndpointConnectionPut',
      method: 'PUT',
      path,
      action: `${action}/write`,
      schema: connectionSchema,
      async handle({ params, body, principal }) {
        const name = nameOf(params);
        const { privateEndpoint, privateLinkServiceConnectionState: state } = body.properties;
        const given = {
          status: state.status,
          description: state.description ?? undefined,
          privateEndpointId: privateEndpoint?.id ?? undefined,
        };
        const edit = (was: VaultRecord) => withConnection(was, { name, given, etag: random.version() });
        const record = await vaults.change(vaultIdOf(params), edit, authorOf(principal));
        const put = findConnection(record, name);
        if (put === undefined) throw new Failure('internal', 'The connection was not kept.');
        return { status: 200, body: connectionWire(record, put), id: connectionIdOf(record, put) };
      },
    }),
    managementRoute({
      ...row,
      operation: 'PrivateEndpointConnections_Delete',
      audit: 'VaultPrivateEndpointConnectionDelete',
      method: 'DELETE',
      path,
      action: `${action}/delete`,
      async handle({ params, principal }) {
        const record = await foundVault(deps, params);
        const name = nameOf(params);
        const gone = findConnection(record, name);
        if (gone === undefined) return { status: 204, body: undefined };
        const edit = (was: VaultRecord) => withoutConnection(was, name);
        await vaults.change(vaultIdOf(params), edit, authorOf(principal));
        const body = connectionWire(record, { ...gone, status: 'Disconnected' });
        return { status: 200, body, id: connectionIdOf(record, gone) };
      },
    }),
  ];
}

function linkRoutes(deps: Deps): ManagementRoute[] {
  return [
    managementRoute({
      ...row,
      operation: 'PrivateLinkResources_ListByVault',
      audit: 'VaultPrivateLinkResourceList',
      method: 'GET',
      path: `${vaultPath}/privateLinkResources`,
      action: 'Microsoft.KeyVault/vaults/privateLinkResources/read',
      async handle({ params }) {
        const record = await foundVault(deps, params);
        const link = {
          id: `${vaultScope(record)}/privateLinkResources/vault`,
          name: 'vault',
          type: 'Microsoft.KeyVault/vaults/privateLinkResources',
          properties: {
            groupId: 'vault',
            requiredMembers: ['default'],
            requiredZoneNames: ['privatelink.vaultcore.azure.net'],
          },
        };
        return { status: 200, body: { value: [link] } };
      },
    }),
  ];
}

function nameOf(params: PathParameters): string {
  return params.connectionName ?? '';
}

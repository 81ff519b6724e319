/** Private endpoint connections as JSON, in a vault's own list and by themselves. */
import { vaultScope } from '../../authorization/authorize.ts';
import type { PrivateEndpointConnection, VaultRecord } from '../../domain/vaults/vault.ts';

export function connectionIdOf(
  record: VaultRecord,
  { name }: Pick<PrivateEndpointConnection, 'name'>,
): string {
  return `${vaultScope(record)}/privateEndpointConnections/${name}`;
}

function propertiesWire({ status, description, privateEndpointId }: PrivateEndpointConnection): object {
  return {
    provisioningState: status === 'Disconnected' ? 'Disconnected' : 'Succeeded',
    privateEndpoint: privateEndpointId === undefined ? undefined : { id: privateEndpointId },
    privateLinkServiceConnectionState: { status, description, actionsRequired: 'None' },
  };
}

export function connectionItemWire(record: VaultRecord, connection: PrivateEndpointConnection): object {
  return {
    id: connectionIdOf(record, connection),
    etag: connection.etag,
    properties: propertiesWire(connection),
  };
}

export function connectionWire(record: VaultRecord, connection: PrivateEndpointConnection): object {
  return {
    id: connectionIdOf(record, connection),
    name: connection.name,
    type: 'Microsoft.KeyVault/vaults/privateEndpointConnections',
    location: record.location,
    etag: connection.etag,
    properties: propertiesWire(connection),
  };
}

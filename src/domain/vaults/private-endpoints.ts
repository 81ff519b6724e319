/**
 * Private endpoint connections of a vault. There is no network provider here that would ask for one, so that whoever
 * may approve a connection also makes it; which addresses come by it is the server's configuration. Pure functions.
 */
import { parseScope } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { ConnectionStatus, PrivateEndpointConnection, VaultRecord } from './vault.ts';

const mostConnections = 64;
const longestDescription = 1024;
const nameForm = /^\w(?:[\w.-]{0,78}\w)?$/;

export interface ConnectionSettings {
  readonly status: ConnectionStatus;
  readonly description: string | undefined;
  readonly privateEndpointId: string | undefined;
}

export function findConnection(record: VaultRecord, name: string): PrivateEndpointConnection | undefined {
  return record.connections.find((each) => foldCase(each.name) === foldCase(name));
}

/** The record with the connection as it is to be; what is not given stays. Throws for what no connection can be. */
export function withConnection(
  record: VaultRecord,
  of: { name: string; given: ConnectionSettings; etag: string },
): VaultRecord {
  const { name, given, etag } = of;
  const was = findConnection(record, name);
  assertConnection(name, given);
  if (was?.status === 'Disconnected')
    throw invalid('A connection whose private endpoint is gone can only be deleted.');
  const next: PrivateEndpointConnection = {
    name: was?.name ?? name,
    status: given.status,
    description: given.description ?? was?.description,
    privateEndpointId: was?.privateEndpointId ?? given.privateEndpointId,
    etag,
  };
  const connections =
    was === undefined
      ? [...record.connections, next]
      : record.connections.map((each) => (each === was ? next : each));
  if (connections.length > mostConnections)
    throw invalid(`A vault has at most ${mostConnections} private endpoint connections.`);
  return { ...record, connections };
}

export function withoutConnection(record: VaultRecord, name: string): VaultRecord {
  const gone = findConnection(record, name);
  return { ...record, connections: record.connections.filter((each) => each !== gone) };
}

function assertConnection(
  name: string,
  { description = '', privateEndpointId: id }: ConnectionSettings,
): void {
  if (!nameForm.test(name)) throw invalid(`'${name.slice(0, 80)}' is not a name for a connection.`);
  if (description.length > longestDescription || !description.isWellFormed() || description.includes('\0'))
    throw invalid(`A description has at most ${longestDescription} characters.`);
  if (id !== undefined && parseScope(id)?.kind !== 'resource')
    throw invalid('The id of a private endpoint must be a resource id.');
}

function invalid(message: string): Failure {
  return new Failure('badParameter', message);
}

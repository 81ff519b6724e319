/**
 * Managed HSM pools: this server has none and makes none, and says so. What asks about pools is answered as by a
 * subscription without any.
 */
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import {
  type ManagementMethod,
  type ManagementReply,
  type ManagementRoute,
  managementRoute,
  type PathParameters,
} from './route.ts';

const provider = 'Microsoft.KeyVault';
/** The first preview with pools. */
const since = '2020-04-01';
const actions = 'Microsoft.KeyVault/managedHSMs';
const subscription = '/subscriptions/:subscriptionId';
const pools = `${subscription}/resourceGroups/:resourceGroupName/providers/Microsoft.KeyVault/managedHSMs`;
const pool = `${pools}/:name`;

export function managedHsmRoutes(): readonly ManagementRoute[] {
  return [...listRoutes(), ...poolRoutes(), ...deletedRoutes(), ...partRoutes()];
}

function row(
  [operation, audit]: readonly [string, string],
  [method, path]: readonly [ManagementMethod, string],
  of: {
    readonly action: string;
    readonly handle: (call: { params: PathParameters }) => Promise<ManagementReply>;
  },
): ManagementRoute {
  const { action, handle } = of;
  return managementRoute({ operation, audit, method, path, provider, since, action, handle });
}

const empty = async () => ({ status: 200, body: { value: [] } });

function listRoutes(): ManagementRoute[] {
  const of = { action: `${actions}/read`, handle: empty };
  return [
    row(['ManagedHsms_ListByResourceGroup', 'ManagedHsmList'], ['GET', pools], of),
    row(
      ['ManagedHsms_ListBySubscription', 'ManagedHsmList'],
      ['GET', `${subscription}/providers/Microsoft.KeyVault/managedHSMs`],
      of,
    ),
    row(
      ['ManagedHsms_ListDeleted', 'ManagedHsmListDeleted'],
      ['GET', `${subscription}/providers/Microsoft.KeyVault/deletedManagedHSMs`],
      { action: 'Microsoft.KeyVault/deletedManagedHsms/read', handle: empty },
    ),
  ];
}

/** In the words of Azure's gateway (ERRORS.md §4). */
async function absent({ params }: { params: PathParameters }): Promise<never> {
  const { name = '', resourceGroupName: group = '' } = params;
  throw new Failure(
    'resourceNotFound',
    `The Resource 'Microsoft.KeyVault/managedHSMs/${name.slice(0, 128)}' under resource group '${group.slice(0, 128)}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );
}

async function notServed(): Promise<never> {
  throw new Failure('badParameter', 'This version of Strongroom has no managed HSM pools: none can be made.');
}

function poolRoutes(): ManagementRoute[] {
  const read = { action: `${actions}/read`, handle: absent };
  const write = `${actions}/write`;
  return [
    row(['ManagedHsms_CreateOrUpdate', 'ManagedHsmPut'], ['PUT', pool], { action: write, handle: notServed }),
    row(['ManagedHsms_Update', 'ManagedHsmPatch'], ['PATCH', pool], { action: write, handle: absent }),
    row(['ManagedHsms_Delete', 'ManagedHsmDelete'], ['DELETE', pool], {
      action: `${actions}/delete`,
      handle: async () => ({ status: 204, body: undefined }),
    }),
    row(['ManagedHsms_Get', 'ManagedHsmGet'], ['GET', pool], read),
    row(['MHSMRegions_ListByResource', 'ManagedHsmRegionList'], ['GET', `${pool}/regions`], read),
  ];
}

function deletedRoutes(): ManagementRoute[] {
  const path = `${subscription}/providers/Microsoft.KeyVault/locations/:location/deletedManagedHSMs/:name`;
  const action = 'Microsoft.KeyVault/locations/deletedManagedHsms';
  const handle = async (): Promise<never> => {
    throw new Failure(
      'resourceNotFound',
      'The specified resource does not exist. Follow this link for more information: https://go.microsoft.com/fwlink/?linkid=2147446',
    );
  };
  return [
    row(['ManagedHsms_GetDeleted', 'ManagedHsmGetDeleted'], ['GET', path], {
      action: `${action}/read`,
      handle,
    }),
    row(['ManagedHsms_PurgeDeleted', 'ManagedHsmPurge'], ['POST', `${path}/purge`], {
      action: `${action}/purge/action`,
      handle,
    }),
  ];
}

/** What would be in a pool. */
function partRoutes(): ManagementRoute[] {
  const part = (
    names: readonly [string, string],
    [method, path]: readonly [ManagementMethod, string],
    action: string,
  ) => row(names, [method, `${pool}/${path}`], { action: `${actions}/${action}`, handle: absent });
  const connections = 'privateEndpointConnections';
  const connection = `${connections}/:connectionName`;
  const key = 'keys/:keyName';
  const rows: readonly (readonly [string, ManagementMethod, string, string])[] = [
    ['MHSMPrivateEndpointConnections_ListByResource', 'GET', connections, `${connections}/read`],
    ['MHSMPrivateEndpointConnections_Get', 'GET', connection, `${connections}/read`],
    ['MHSMPrivateEndpointConnections_Put', 'PUT', connection, `${connections}/write`],
    ['MHSMPrivateEndpointConnections_Delete', 'DELETE', connection, `${connections}/delete`],
    [
      'MHSMPrivateLinkResources_ListByMHSMResource',
      'GET',
      'privateLinkResources',
      'privateLinkResources/read',
    ],
    ['ManagedHsmKeys_CreateIfNotExist', 'PUT', key, 'keys/write'],
    ['ManagedHsmKeys_Get', 'GET', key, 'keys/read'],
    ['ManagedHsmKeys_List', 'GET', 'keys', 'keys/read'],
    ['ManagedHsmKeys_GetVersion', 'GET', `${key}/versions/:keyVersion`, 'keys/versions/read'],
    ['ManagedHsmKeys_ListVersions', 'GET', `${key}/versions`, 'keys/versions/read'],
  ];
  return rows.map(([operation, method, path, action]) =>
    part([operation, auditOf(operation)], [method, path], action),
  );
}

/** `ManagedHsmKeyGet` of `ManagedHsmKeys_Get`. */
function auditOf(operation: string): string {
  const [noun = '', verb = ''] = operation.split('_');
  const singular = noun.replace(/^MHSM/, 'ManagedHsm').replace(/s$/, '');
  return `${singular}${foldCase(verb).startsWith('list') ? 'List' : verb}`;
}

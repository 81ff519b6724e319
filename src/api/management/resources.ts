/** Lists of resources of every type, as `az resource list` and clients that look for a vault's resource group ask. */
import { isoSevenDecimals } from '../../core/clock.ts';
import { foldCase } from '../../core/names.ts';
import type { Resource, Resources } from '../../domain/resources/resources.ts';
import { resourceNotFound } from './not-found.ts';
import { resourceFilter } from './resource-filter.ts';
import { type ManagementCall, type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import { listReply } from './wire.ts';

const readAny = 'Microsoft.Resources/subscriptions/resources/read';
const provider = 'Microsoft.Resources';

export function resourceListRoutes(resources: Resources): readonly ManagementRoute[] {
  return [
    managementRoute({
      operation: 'Resources_List',
      audit: 'ResourceList',
      method: 'GET',
      path: '/subscriptions/:subscriptionId/resources',
      provider,
      action: undefined,
      handle: (call) => list(resources, call, `/subscriptions/${call.params.subscriptionId ?? ''}`),
    }),
    managementRoute({
      operation: 'Resources_ListByResourceGroup',
      audit: 'ResourceList',
      method: 'GET',
      path: '/subscriptions/:subscriptionId/resourceGroups/:resourceGroupName/resources',
      provider,
      action: undefined,
      handle: (call) => list(resources, call, groupOf(call)),
    }),
    managementRoute({
      operation: 'Resources_CheckExistence',
      audit: 'ResourceCheckExistence',
      method: 'HEAD',
      path: '/subscriptions/:subscriptionId/resourceGroups/:resourceGroupName/providers/:namespace/:type/:name',
      provider,
      action: readAny,
      async handle(call) {
        const { namespace = '', type = '', name = '', resourceGroupName = '' } = call.params;
        const id = `${groupOf(call)}/providers/${namespace}/${type}/${name}`;
        if ((await resources.find(id)) === undefined) throw resourceNotFound(id, resourceGroupName);
        return { status: 204, body: undefined };
      },
    }),
  ];
}

function groupOf({ params }: Pick<ManagementCall, 'params'>): string {
  return `/subscriptions/${params.subscriptionId ?? ''}/resourceGroups/${params.resourceGroupName ?? ''}`;
}

/** As in Azure, a caller with a role in no more than a part of the subscription is shown that part. */
async function list(resources: Resources, call: ManagementCall, scope: string): Promise<ManagementReply> {
  if (!call.hasRoleIn(scope)) call.authorize(readAny, scope);
  const matches = resourceFilter(call.query.get('$filter'));
  const below = `${foldCase(scope)}/`;
  const all = await resources.list(foldCase(call.params.subscriptionId ?? ''));
  const items = all.filter(
    (resource) => foldCase(resource.id).startsWith(below) && matches(resource) && maySee(call, resource),
  );
  const expanded = new Set((call.query.get('$expand') ?? '').split(',').map((name) => name.trim()));
  return listReply(call, {
    list: 'resources',
    items,
    keyOf: (resource) => foldCase(resource.id),
    wire: (resource) => resourceWire(resource, expanded),
  });
}

function maySee(call: ManagementCall, { id, type }: Resource): boolean {
  return call.may(readAny, id) || call.may(`${type}/read`, id);
}

function resourceWire(resource: Resource, expanded: ReadonlySet<string>): object {
  const { id, name, type, location, tags, created, changed } = resource;
  return {
    id,
    name,
    type,
    location,
    tags,
    ...(expanded.has('createdTime') ? { createdTime: isoSevenDecimals(created) } : {}),
    ...(expanded.has('changedTime') ? { changedTime: isoSevenDecimals(changed) } : {}),
    ...(expanded.has('provisioningState') ? { provisioningState: 'Succeeded' } : {}),
  };
}

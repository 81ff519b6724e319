/** Resource groups over the wire. */
import * as v from 'valibot';
import type { Clock } from '../../core/clock.ts';
import { foldCase } from '../../core/names.ts';
import type { ResourceGroup, Tags } from '../../domain/resources/directory-store.ts';
import { resourceGroupNotFound } from '../../domain/resources/locks.ts';
import type { ResourceGroups } from '../../domain/resources/resource-groups.ts';
import { objectSchema } from '../vault/wire.ts';
import { acceptedHeaders } from './operation-results.ts';
import { resourceFilter } from './resource-filter.ts';
import { type ManagementCall, type ManagementRoute, managementRoute } from './route.ts';
import { listReply, tagsSchema } from './wire.ts';

const newGroup = objectSchema({ location: v.nullish(v.string()), tags: v.nullish(tagsSchema) });
const patch = objectSchema({ tags: v.nullish(tagsSchema) });

const provider = 'Microsoft.Resources';
const groupPath = '/subscriptions/:subscriptionId/resourceGroups/:resourceGroupName';
const action = (verb: string) => `Microsoft.Resources/subscriptions/resourceGroups/${verb}`;

export function resourceGroupRoutes(groups: ResourceGroups, clock: Clock): readonly ManagementRoute[] {
  return [...readingRows(groups), ...changingRows(groups, clock)];
}

function readingRows(groups: ResourceGroups): readonly ManagementRoute[] {
  const row = { path: groupPath, provider, action: action('read') };
  return [
    managementRoute({
      ...row,
      operation: 'ResourceGroups_List',
      audit: 'ResourceGroupList',
      method: 'GET',
      path: '/subscriptions/:subscriptionId/resourceGroups',
      action: undefined,
      async handle(call) {
        const { subscriptionId } = placeOf(call);
        if (!call.hasRoleIn(`/subscriptions/${subscriptionId}`))
          call.authorize(action('read'), `/subscriptions/${subscriptionId}`);
        const matches = resourceFilter(call.query.get('$filter'));
        const seen = (await groups.list(subscriptionId)).filter(
          (group) => matches(filterable(group)) && call.may(action('read'), idOf(group)),
        );
        const keyOf = (group: ResourceGroup) => foldCase(group.name);
        return listReply(call, { list: 'resourceGroups', items: seen, keyOf, wire: groupWire });
      },
    }),
    managementRoute({
      ...row,
      operation: 'ResourceGroups_Get',
      audit: 'ResourceGroupGet',
      method: 'GET',
      async handle(call) {
        const { subscriptionId, name } = placeOf(call);
        return groupReply(200, await groups.get(subscriptionId, name));
      },
    }),
    managementRoute({
      ...row,
      operation: 'ResourceGroups_CheckExistence',
      audit: 'ResourceGroupCheckExistence',
      method: 'HEAD',
      async handle(call) {
        const { subscriptionId, name } = placeOf(call);
        await groups.get(subscriptionId, name);
        return { status: 204, body: undefined };
      },
    }),
  ];
}

function changingRows(groups: ResourceGroups, clock: Clock): readonly ManagementRoute[] {
  const row = { path: groupPath, provider, action: action('write') };
  return [
    managementRoute({
      ...row,
      operation: 'ResourceGroups_CreateOrUpdate',
      audit: 'ResourceGroupCreateOrUpdate',
      method: 'PUT',
      schema: newGroup,
      async handle(call) {
        const { location, tags } = call.body;
        const made = await groups.put({
          ...placeOf(call),
          location: location ?? undefined,
          tags: tags ?? {},
        });
        return groupReply(made.isNew ? 201 : 200, made.group);
      },
    }),
    managementRoute({
      ...row,
      operation: 'ResourceGroups_Update',
      audit: 'ResourceGroupUpdate',
      method: 'PATCH',
      schema: patch,
      async handle(call) {
        const given = call.body.tags;
        const change = (tags: Tags) => given ?? tags;
        return groupReply(200, await groups.setTags(placeOf(call), change));
      },
    }),
    managementRoute({
      ...row,
      operation: 'ResourceGroups_Delete',
      audit: 'ResourceGroupDelete',
      method: 'DELETE',
      action: action('delete'),
      async handle(call) {
        const at = placeOf(call);
        const started = clock.now();
        if (!(await groups.remove(at))) throw resourceGroupNotFound(at.name);
        const { subscriptionId } = at;
        return { status: 202, body: undefined, headers: acceptedHeaders(call, { started, subscriptionId }) };
      },
    }),
  ];
}

function placeOf({ params }: Pick<ManagementCall, 'params'>): { subscriptionId: string; name: string } {
  return { subscriptionId: foldCase(params.subscriptionId ?? ''), name: params.resourceGroupName ?? '' };
}

function idOf({ subscriptionId, name }: ResourceGroup): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${name}`;
}

/** A group as the filters of lists see it. */
function filterable({ name, location, tags }: ResourceGroup) {
  return { name, location, tags, type: 'Microsoft.Resources/resourceGroups', resourceGroup: name };
}

function groupReply(status: number, group: ResourceGroup) {
  return { status, body: groupWire(group), id: idOf(group) };
}

function groupWire(group: ResourceGroup): object {
  const { name, location, tags } = group;
  return {
    id: idOf(group),
    name,
    type: 'Microsoft.Resources/resourceGroups',
    location,
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    properties: { provisioningState: 'Succeeded' },
  };
}

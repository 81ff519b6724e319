/** Tags as resources of their own, at the scope of a group or resource, and the names in use in a subscription. */
import * as v from 'valibot';
import { parseScope } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { Tags } from '../../domain/resources/directory-store.ts';
import type { ResourceGroups } from '../../domain/resources/resource-groups.ts';
import type { Resources } from '../../domain/resources/resources.ts';
import { changeTags } from '../../domain/resources/tags.ts';
import { objectSchema } from '../vault/wire.ts';
import { resourceNotFound } from './not-found.ts';
import { type ManagementCall, type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import { listReply, tagsSchema, wordSchema } from './wire.ts';

export interface Tagged {
  readonly groups: ResourceGroups;
  readonly resources: Resources;
}

const properties = objectSchema({ tags: v.nullish(tagsSchema) });
const wholeSchema = objectSchema({ properties });
const patchSchema = objectSchema({
  operation: v.nullish(
    wordSchema(['Merge', 'Replace', 'Delete'], "It must be 'Replace', 'Merge' or 'Delete'."),
    'Replace',
  ),
  properties,
});

const provider = 'Microsoft.Resources';
const path = '{scope}/providers/Microsoft.Resources/tags/default';

export function tagRoutes(tagged: Tagged): readonly ManagementRoute[] {
  const row = { path, provider };
  const write = 'Microsoft.Resources/tags/write';
  return [
    tagNamesRow(tagged),
    managementRoute({
      ...row,
      operation: 'Tags_GetAtScope',
      audit: 'TagsGet',
      method: 'GET',
      action: 'Microsoft.Resources/tags/read',
      handle: async (call) => reply(call, await readTags(tagged, call)),
    }),
    managementRoute({
      ...row,
      operation: 'Tags_CreateOrUpdateAtScope',
      audit: 'TagsCreateOrUpdate',
      method: 'PUT',
      action: write,
      schema: wholeSchema,
      handle: async (call) =>
        reply(call, await writeTags(tagged, call, () => call.body.properties.tags ?? {})),
    }),
    managementRoute({
      ...row,
      operation: 'Tags_UpdateAtScope',
      audit: 'TagsUpdate',
      method: 'PATCH',
      action: write,
      schema: patchSchema,
      async handle(call) {
        const { operation, properties: given } = call.body;
        const change = (tags: Tags) => changeTags(tags, operation, given.tags ?? {});
        return reply(call, await writeTags(tagged, call, change));
      },
    }),
    managementRoute({
      ...row,
      operation: 'Tags_DeleteAtScope',
      audit: 'TagsDelete',
      method: 'DELETE',
      action: 'Microsoft.Resources/tags/delete',
      async handle(call) {
        await writeTags(tagged, call, () => ({}));
        return { status: 200, body: undefined };
      },
    }),
  ];
}

type AtScope = Pick<ManagementCall<unknown>, 'params' | 'principal'>;

async function readTags(of: Tagged, call: AtScope): Promise<Tags> {
  const scope = parseScope(call.params.scope ?? '');
  if (scope?.kind === 'resourceGroup')
    return (await of.groups.get(foldCase(scope.subscriptionId), scope.resourceGroup)).tags;
  if (scope?.kind === 'resource') return (await resourceOf(of, call)).tags;
  return {};
}

async function writeTags(of: Tagged, call: AtScope, change: (tags: Tags) => Tags): Promise<Tags> {
  const scope = parseScope(call.params.scope ?? '');
  if (scope?.kind === 'resourceGroup') {
    const at = { subscriptionId: foldCase(scope.subscriptionId), name: scope.resourceGroup };
    return (await of.groups.setTags(at, change)).tags;
  }
  if (scope?.kind !== 'resource')
    throw new Failure('badParameter', 'Tags are kept of resource groups and resources only.');
  return (await of.resources.setTags(await resourceOf(of, call), change, call.principal)).tags;
}

/** What is in a resource has no tags on the management plane. */
async function resourceOf({ resources }: Tagged, { params }: AtScope) {
  const id = params.scope ?? '';
  const resource = await resources.find(id);
  if (resource === undefined || foldCase(resource.id) !== foldCase(id))
    throw resourceNotFound(id, resource?.resourceGroup ?? '');
  return resource;
}

function reply({ params }: AtScope, tags: Tags): ManagementReply {
  const id = `${params.scope ?? ''}/providers/Microsoft.Resources/tags/default`;
  const body = { id, name: 'default', type: 'Microsoft.Resources/tags', properties: { tags } };
  return { status: 200, body, id };
}

function tagNamesRow({ groups, resources }: Tagged): ManagementRoute {
  return managementRoute({
    operation: 'Tags_List',
    audit: 'TagNameList',
    method: 'GET',
    path: '/subscriptions/:subscriptionId/tagNames',
    provider,
    action: 'Microsoft.Resources/subscriptions/tagNames/read',
    async handle(call) {
      const id = foldCase(call.params.subscriptionId ?? '');
      const tagged = [...(await groups.list(id)), ...(await resources.list(id))];
      const items = countTags(tagged.map(({ tags }) => tags));
      const parent = `/subscriptions/${id}/tagNames`;
      return listReply(call, {
        list: 'tagNames',
        items,
        keyOf: (counted) => foldCase(counted.name),
        wire: (counted) => tagNameWire(parent, counted),
      });
    },
  });
}

interface CountedTag {
  readonly name: string;
  count: number;
  readonly values: Map<string, number>;
}

/** Names that differ in case are one, in the case of the first. */
function countTags(all: readonly Tags[]): readonly CountedTag[] {
  const counted = new Map<string, CountedTag>();
  for (const [name, value] of all.flatMap((tags) => Object.entries(tags))) {
    const key = foldCase(name);
    const entry = counted.get(key) ?? { name, count: 0, values: new Map<string, number>() };
    entry.count += 1;
    entry.values.set(value, (entry.values.get(value) ?? 0) + 1);
    counted.set(key, entry);
  }
  return [...counted.values()].sort((a, b) => (foldCase(a.name) < foldCase(b.name) ? -1 : 1));
}

function tagNameWire(parent: string, { name, count, values }: CountedTag): object {
  const total = (value: number) => ({ type: 'Total', value });
  return {
    id: `${parent}/${name}`,
    tagName: name,
    count: total(count),
    values: [...values].map(([tagValue, number]) => ({
      id: `${parent}/${name}/tagValues/${tagValue}`,
      tagValue,
      count: total(number),
    })),
  };
}

/** Tags as resources of their own, at the scope of a subscription, a group or a resource. */
import * as v from 'valibot';
import { parseScope } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { DirectoryStore, Tags } from '../../domain/resources/directory-store.ts';
import type { ResourceGroups } from '../../domain/resources/resource-groups.ts';
import type { Resources } from '../../domain/resources/resources.ts';
import type { Subscriptions } from '../../domain/resources/subscriptions.ts';
import { changeTags } from '../../domain/resources/tags.ts';
import { objectSchema } from '../vault/wire.ts';
import { resourceNotFound } from './not-found.ts';
import { type ManagementCall, type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import { tagsSchema, wordSchema } from './wire.ts';

export interface Tagged {
  readonly directory: Pick<DirectoryStore, 'subscriptions'>;
  readonly subscriptions: Subscriptions;
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
  if (scope?.kind !== 'subscription') throw notTagged();
  const id = foldCase(scope.subscriptionId);
  return (await of.directory.subscriptions()).find((entry) => entry.id === id)?.tags ?? {};
}

async function writeTags(of: Tagged, call: AtScope, change: (tags: Tags) => Tags): Promise<Tags> {
  const scope = parseScope(call.params.scope ?? '');
  if (scope?.kind === 'resourceGroup') {
    const at = { subscriptionId: foldCase(scope.subscriptionId), name: scope.resourceGroup };
    return (await of.groups.setTags(at, change)).tags;
  }
  if (scope?.kind === 'subscription') return of.subscriptions.setTags(foldCase(scope.subscriptionId), change);
  if (scope?.kind !== 'resource') throw notTagged();
  return (await of.resources.setTags(await resourceOf(of, call), change, call.principal)).tags;
}

function notTagged(): Failure {
  return new Failure(
    'badParameter',
    'Subscriptions, resource groups and resources have tags, and nothing else.',
  );
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

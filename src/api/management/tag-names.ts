/** The names that tags have in a subscription, and those that they can have before any has them. */
import { foldCase } from '../../core/names.ts';
import type { TagNames, Tags } from '../../domain/resources/directory-store.ts';
import { type ManagementCall, type ManagementRoute, managementRoute } from './route.ts';
import type { Tagged } from './tags.ts';
import { listReply } from './wire.ts';

const provider = 'Microsoft.Resources';
const path = '/subscriptions/:subscriptionId/tagNames';
const action = (verb: string) => `Microsoft.Resources/subscriptions/tagNames/${verb}`;

export function tagNameRoutes(tagged: Tagged): readonly ManagementRoute[] {
  const { subscriptions } = tagged;
  // A lock on something in the subscription does not stand in the way of a name's end; one that does, the write finds.
  const passesLocks = true as const;
  const name = { path: `${path}/:tagName`, provider };
  const value = { path: `${path}/:tagName/tagValues/:tagValue`, provider };
  return [
    listRow(tagged),
    managementRoute({
      ...name,
      operation: 'Tags_CreateOrUpdate',
      audit: 'TagNameCreateOrUpdate',
      method: 'PUT',
      action: action('write'),
      async handle(call) {
        const { id, tagName } = placeOf(call);
        const made = await subscriptions.addTagName(id, tagName);
        const [counted = { name: made.name, count: 0, values: new Map() }] = (
          await countAll(tagged, id)
        ).filter((each) => foldCase(each.name) === foldCase(made.name));
        return { status: made.isNew ? 201 : 200, body: tagNameWire(parentOf(id), counted) };
      },
    }),
    managementRoute({
      ...name,
      operation: 'Tags_Delete',
      audit: 'TagNameDelete',
      method: 'DELETE',
      action: action('delete'),
      passesLocks,
      async handle(call) {
        const { id, tagName } = placeOf(call);
        return { status: (await subscriptions.removeTagName(id, tagName)) ? 200 : 204, body: undefined };
      },
    }),
    managementRoute({
      ...value,
      operation: 'Tags_CreateOrUpdateValue',
      audit: 'TagValueCreateOrUpdate',
      method: 'PUT',
      action: action('write'),
      async handle(call) {
        const { id, tagName, tagValue } = placeOf(call);
        const made = await subscriptions.addTagValue(id, tagName, tagValue);
        const all = await countAll(tagged, id);
        const count =
          all.find((each) => foldCase(each.name) === foldCase(made.name))?.values.get(tagValue) ?? 0;
        const parent = `${parentOf(id)}/${made.name}`;
        return { status: made.isNew ? 201 : 200, body: tagValueWire(parent, tagValue, count) };
      },
    }),
    managementRoute({
      ...value,
      operation: 'Tags_DeleteValue',
      audit: 'TagValueDelete',
      method: 'DELETE',
      action: action('delete'),
      passesLocks,
      async handle(call) {
        const { id, tagName, tagValue } = placeOf(call);
        const removed = await subscriptions.removeTagValue(id, tagName, tagValue);
        return { status: removed ? 200 : 204, body: undefined };
      },
    }),
  ];
}

function listRow(tagged: Tagged): ManagementRoute {
  return managementRoute({
    operation: 'Tags_List',
    audit: 'TagNameList',
    method: 'GET',
    path,
    provider,
    action: action('read'),
    async handle(call) {
      const { id } = placeOf(call);
      return listReply(call, {
        list: 'tagNames',
        items: await countAll(tagged, id),
        keyOf: (counted) => foldCase(counted.name),
        wire: (counted) => tagNameWire(parentOf(id), counted),
      });
    },
  });
}

function placeOf({ params }: Pick<ManagementCall, 'params'>) {
  const { subscriptionId = '', tagName = '', tagValue = '' } = params;
  return { id: foldCase(subscriptionId), tagName, tagValue };
}

function parentOf(subscriptionId: string): string {
  return `/subscriptions/${subscriptionId}/tagNames`;
}

/** What was made beforehand counts for nothing until a tag has it. */
async function countAll(of: Tagged, id: string): Promise<readonly CountedTag[]> {
  const own = (await of.directory.subscriptions()).filter((entry) => entry.id === id);
  const tagged = [...own, ...(await of.groups.list(id)), ...(await of.resources.list(id))];
  return countTags(
    await of.subscriptions.tagNames(id),
    tagged.map(({ tags }) => tags),
  );
}

interface CountedTag {
  readonly name: string;
  count: number;
  readonly values: Map<string, number>;
}

/** Names that differ in case are one, in the case of the first. */
function countTags(made: TagNames, all: readonly Tags[]): readonly CountedTag[] {
  const counted = new Map<string, CountedTag>(
    Object.entries(made).map(([name, values]) => [
      foldCase(name),
      { name, count: 0, values: new Map(values.map((value) => [value, 0])) },
    ]),
  );
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
  return {
    id: `${parent}/${name}`,
    tagName: name,
    count: { type: 'Total', value: count },
    values: [...values].map(([value, number]) => tagValueWire(`${parent}/${name}`, value, number)),
  };
}

function tagValueWire(parent: string, tagValue: string, count: number): object {
  return { id: `${parent}/tagValues/${tagValue}`, tagValue, count: { type: 'Total', value: count } };
}

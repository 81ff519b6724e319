/** Resource groups: made, changed, and removed with everything in them. */
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { isResourceGroupName } from '../../core/names.ts';
import type { DirectoryStore, ResourceGroup, Tags } from './directory-store.ts';
import { parseLocation } from './locations.ts';
import { resourceGroupNotFound } from './locks.ts';
import { assertTags } from './tags.ts';

export interface ResourceGroups {
  find(subscriptionId: string, name: string): Promise<ResourceGroup | undefined>;
  /** Throws for one that is not there. */
  get(subscriptionId: string, name: string): Promise<ResourceGroup>;
  list(subscriptionId: string): Promise<readonly ResourceGroup[]>;
  /** Makes the group, or gives the one that is there these tags; its place stays. */
  put(group: NewResourceGroup): Promise<{ group: ResourceGroup; isNew: boolean }>;
  setTags(at: GroupPlace, change: (tags: Tags) => Tags): Promise<ResourceGroup>;
  /** Removes the group with its identities; its vaults are soft-deleted. False if there was none. */
  remove(at: GroupPlace): Promise<boolean>;
}

export interface GroupPlace {
  readonly subscriptionId: string;
  readonly name: string;
}

export interface NewResourceGroup extends GroupPlace {
  readonly location: string | undefined;
  readonly tags: Tags;
}

interface Deps {
  readonly store: DirectoryStore;
  readonly clock: Clock;
}

export function createResourceGroups({ store, clock }: Deps): ResourceGroups {
  const get = async (subscriptionId: string, name: string): Promise<ResourceGroup> => {
    const group = await store.resourceGroup(subscriptionId, name);
    if (group === undefined) throw resourceGroupNotFound(name);
    return group;
  };
  const change = async (
    { subscriptionId, name }: GroupPlace,
    edit: (group: ResourceGroup) => ResourceGroup,
  ): Promise<ResourceGroup> => {
    for (;;) {
      const was = await get(subscriptionId, name);
      const group = edit(was);
      // Refused when somebody else has changed the group since it was read.
      if (await store.replaceResourceGroup(group, was)) return group;
    }
  };
  const setTags: ResourceGroups['setTags'] = (at, edit) =>
    change(at, (group) => {
      const tags = edit(group.tags);
      assertTags(tags);
      return { ...group, tags };
    });
  return {
    find: (subscriptionId, name) => store.resourceGroup(subscriptionId, name),
    get,
    list: (subscriptionId) => store.resourceGroups(subscriptionId),
    async put({ subscriptionId, name, location, tags }) {
      const place = parseLocation(location);
      const group = newGroup({ subscriptionId, name, location: place, tags });
      if (await store.addResourceGroup(group)) return { group, isNew: true };
      const kept = await change(group, (was) => {
        if (was.location !== place) throw elsewhere(place, was);
        return { ...was, tags };
      });
      return { group: kept, isNew: false };
    },
    setTags,
    remove: (at) => store.removeResourceGroup({ ...at, now: clock.now() }),
  };
}

function newGroup(group: ResourceGroup): ResourceGroup {
  if (!isResourceGroupName(group.name))
    throw new Failure(
      'invalidResourceGroup',
      `The provided resource group name '${group.name.slice(0, 128)}' is invalid: it has 1 to 90 letters, digits, '-', '.', '(', ')' and '_', and no '.' at its end.`,
    );
  assertTags(group.tags);
  return group;
}

function elsewhere(location: string, was: ResourceGroup): Failure {
  return new Failure(
    'resourceGroupLocation',
    `Invalid resource group location '${location}'. The Resource group already exists in location '${was.location}'.`,
  );
}

/**
 * User-assigned managed identities: made, changed and removed as resources. To make one gives nobody anything: who may
 * use it is for the local endpoints and federated credentials to say, and what it may do for role assignments.
 */
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { Random } from '../../core/random.ts';
import type { Tags } from './directory-store.ts';
import { parseLocation } from './locations.ts';
import { resourceGroupNotFound } from './locks.ts';
import type { Resource, ResourceProvider } from './resources.ts';
import { assertTags } from './tags.ts';
import {
  type IdentityPlace,
  type IsolationScope,
  identityId,
  identityType,
  type UserAssignedIdentity,
  type UserAssignedIdentityStore,
} from './user-assigned-identity-store.ts';

/** What a caller says of an identity. */
export interface IdentityInput {
  readonly location: string | undefined;
  readonly tags: Tags | undefined;
  readonly isolationScope: IsolationScope | undefined;
}

export interface UserAssignedIdentities {
  /** Throws for one that is not there. */
  get(at: IdentityPlace): Promise<UserAssignedIdentity>;
  find(at: IdentityPlace): Promise<UserAssignedIdentity | undefined>;
  /** In the order of their lower-cased ids. */
  list(subscriptionId: string): Promise<readonly UserAssignedIdentity[]>;
  /** Makes the identity with its principal in this tenant, or changes the one that is there; its location stays. */
  put(
    at: IdentityPlace,
    input: IdentityInput & { readonly tenantId: string },
  ): Promise<{ identity: UserAssignedIdentity; isNew: boolean }>;
  /** Changes what is given, and nothing else. Throws for one that is not there. */
  patch(at: IdentityPlace, input: IdentityInput): Promise<UserAssignedIdentity>;
  setTags(at: IdentityPlace, change: (tags: Tags) => Tags): Promise<UserAssignedIdentity>;
  /** False if there was none. */
  remove(at: IdentityPlace): Promise<boolean>;
}

interface Deps {
  readonly store: UserAssignedIdentityStore;
  readonly clock: Clock;
  readonly random: Random;
}

/** Azure's rule of the names of identities. */
const validName = /^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$/;

export function createUserAssignedIdentities(deps: Deps): UserAssignedIdentities {
  const { store, clock } = deps;
  const get = async (at: IdentityPlace) => {
    const found = await store.find(at);
    if (found === undefined) throw identityAbsent(at);
    return found;
  };
  const change = async (
    at: IdentityPlace,
    edit: (was: UserAssignedIdentity) => UserAssignedIdentity,
  ): Promise<UserAssignedIdentity> => {
    for (;;) {
      const was = await get(at);
      const identity = { ...edit(was), updated: clock.now() };
      assertTags(identity.tags);
      // Refused when somebody else has changed it since it was read.
      if (await store.replace(identity, was)) return identity;
    }
  };
  return {
    get,
    find: (at) => store.find(at),
    async list(subscriptionId) {
      const all = await store.list(subscriptionId);
      return all.toSorted((a, b) => (identityKey(a) < identityKey(b) ? -1 : 1));
    },
    put: (at, input) => put(deps, change, { ...input, at }),
    patch: (at, input) => change(at, (was) => changed(was, input)),
    setTags: (at, edit) => change(at, (was) => ({ ...was, tags: edit(was.tags) })),
    async remove(at) {
      const identity = await store.find(at);
      return identity !== undefined && store.remove(identity);
    },
  };
}

/** The form of its id in which identities compare and are ordered. */
export function identityKey(at: IdentityPlace): string {
  return foldCase(identityId(at));
}

async function put(
  deps: Deps,
  change: (
    at: IdentityPlace,
    edit: (was: UserAssignedIdentity) => UserAssignedIdentity,
  ) => Promise<UserAssignedIdentity>,
  input: IdentityInput & { readonly tenantId: string; readonly at: IdentityPlace },
): Promise<{ identity: UserAssignedIdentity; isNew: boolean }> {
  const { at, tags = {} } = input;
  const { store } = deps;
  if (!validName.test(at.name)) throw invalidName(at.name);
  const fresh = newIdentity(deps, { ...input, tags });
  if ((await store.find(at)) === undefined) {
    const outcome = await store.add(fresh);
    if (outcome === 'added') return { identity: fresh, isNew: true };
    if (outcome === 'groupAbsent') throw resourceGroupNotFound(at.resourceGroup);
    // Who may make identities may not take over one that the operator made.
    if ((await store.find(at)) === undefined) throw idTaken(at);
  }
  // A PUT says what all tags are.
  return { identity: await change(at, (was) => changed(was, { ...input, tags })), isNew: false };
}

function newIdentity(
  { clock, random }: Deps,
  {
    at,
    tenantId,
    location,
    tags = {},
    isolationScope,
  }: IdentityInput & { tenantId: string; at: IdentityPlace },
): UserAssignedIdentity {
  assertTags(tags);
  const now = clock.now();
  return {
    ...{ ...at, tenantId, tags, isolationScope },
    location: parseLocation(location),
    objectId: random.guid(),
    clientId: random.guid(),
    created: now,
    updated: now,
  };
}

function changed(was: UserAssignedIdentity, given: IdentityInput): UserAssignedIdentity {
  if (given.location !== undefined && parseLocation(given.location) !== was.location)
    throw new Failure(
      'resourceLocation',
      `The resource '${was.name}' already exists in location '${was.location}' in resource group '${was.resourceGroup}'. A resource with the same name cannot be created in location '${given.location.slice(0, 64)}'. Please select a new resource name.`,
    );
  return {
    ...was,
    tags: given.tags ?? was.tags,
    isolationScope: given.isolationScope ?? was.isolationScope,
  };
}

function invalidName(name: string): Failure {
  return new Failure(
    'badParameter',
    `The resource name '${name.slice(0, 128)}' is invalid: it has 3 to 128 letters, digits, '-' and '_', and begins with a letter or digit.`,
  );
}

function idTaken(at: IdentityPlace): Failure {
  return new Failure(
    'conflict',
    `The directory has a principal for '${identityId(at)}' that is not a resource. Choose another name, or have the operator delete that principal.`,
  );
}

/** In the words of Azure's gateway (ERRORS.md §4). */
export function identityAbsent({ resourceGroup, name }: IdentityPlace): Failure {
  return new Failure(
    'resourceNotFound',
    `The Resource '${identityType}/${name.slice(0, 128)}' under resource group '${resourceGroup.slice(0, 128)}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );
}

/** Identities, as the lists of all resources show them. */
export function identityResources(identities: UserAssignedIdentities): ResourceProvider {
  return {
    type: identityType,
    list: async (subscriptionId) => (await identities.list(subscriptionId)).map(toResource),
    async find(at) {
      const found = await identities.find(at);
      return found === undefined ? undefined : toResource(found);
    },
    async setTags({ id, resourceGroup, name }, change) {
      const [, , subscriptionId = ''] = id.split('/');
      return toResource(await identities.setTags({ subscriptionId, resourceGroup, name }, change));
    },
  };
}

function toResource(identity: UserAssignedIdentity): Resource {
  const { name, resourceGroup, location, tags, created, updated: changed } = identity;
  return {
    ...{ id: identityId(identity), name, type: identityType, resourceGroup, location, tags },
    ...{ created, changed },
  };
}

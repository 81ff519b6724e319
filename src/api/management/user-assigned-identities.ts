/** User-assigned managed identities as resources, as rows. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { identityKey } from '../../domain/resources/user-assigned-identities.ts';
import {
  type IdentityPlace,
  identityId,
  identityType,
  isolationScopes,
  type UserAssignedIdentity,
} from '../../domain/resources/user-assigned-identity-store.ts';
import { objectSchema } from '../vault/wire.ts';
import type { ManagedIdentityDeps } from './managed-identity.ts';
import {
  type ManagementCall,
  type ManagementReply,
  type ManagementRoute,
  managementRoute,
  type PathParameters,
} from './route.ts';
import { listReply, tagsSchema, wordSchema } from './wire.ts';

const provider = 'Microsoft.ManagedIdentity';
const subscription = '/subscriptions/:subscriptionId';
const inGroup = `${subscription}/resourceGroups/:resourceGroupName/providers/${identityType}`;
export const identityPath = `${inGroup}/:identityName`;

/** Read-only members that a client sends back are passed over. */
const identitySchema = objectSchema({
  location: v.nullish(v.string('It must be text.')),
  tags: v.nullish(tagsSchema),
  properties: v.nullish(
    objectSchema({
      isolationScope: v.nullish(wordSchema(isolationScopes, "It must be 'None' or 'Regional'.")),
      assignmentRestrictions: v.nullish(v.unknown()),
    }),
  ),
});
type IdentityBody = v.InferOutput<typeof identitySchema>;

/** The api-version from which identities have the member. */
const isolationSince = '2024-11-30';

export function userAssignedIdentityRoutes(deps: ManagedIdentityDeps): readonly ManagementRoute[] {
  return [...writingRows(deps), ...readingRows(deps)];
}

function writingRows(deps: ManagedIdentityDeps): readonly ManagementRoute[] {
  const row = { path: identityPath, provider, action: `${identityType}/write` };
  return [
    managementRoute({
      ...row,
      operation: 'UserAssignedIdentities_CreateOrUpdate',
      audit: 'UserAssignedIdentityPut',
      method: 'PUT',
      schema: identitySchema,
      async handle(call) {
        const { tenantId } = call;
        const input = { ...inputOf(call.body), tenantId };
        const { identity, isNew } = await deps.identities.put(identityPlace(call.params), input);
        return found(call, identity, isNew ? 201 : 200);
      },
    }),
    managementRoute({
      ...row,
      operation: 'UserAssignedIdentities_Update',
      audit: 'UserAssignedIdentityPatch',
      method: 'PATCH',
      schema: identitySchema,
      async handle(call) {
        const changed = await deps.identities.patch(identityPlace(call.params), inputOf(call.body));
        return found(call, changed);
      },
    }),
    managementRoute({
      ...row,
      operation: 'UserAssignedIdentities_Delete',
      audit: 'UserAssignedIdentityDelete',
      method: 'DELETE',
      action: `${identityType}/delete`,
      async handle({ params }) {
        const removed = await deps.identities.remove(identityPlace(params));
        return { status: removed ? 200 : 204, body: undefined };
      },
    }),
  ];
}

function readingRows(deps: ManagedIdentityDeps): readonly ManagementRoute[] {
  const row = { method: 'GET', provider, action: `${identityType}/read` } as const;
  return [
    managementRoute({
      ...row,
      operation: 'UserAssignedIdentities_Get',
      audit: 'UserAssignedIdentityGet',
      path: identityPath,
      handle: async (call) => found(call, await deps.identities.get(identityPlace(call.params))),
    }),
    managementRoute({
      ...row,
      operation: 'UserAssignedIdentities_ListByResourceGroup',
      audit: 'UserAssignedIdentityList',
      path: inGroup,
      async handle(call) {
        const { subscriptionId, resourceGroup } = identityPlace(call.params);
        const all = await deps.identities.list(subscriptionId);
        const isHere = (identity: IdentityPlace) =>
          foldCase(identity.resourceGroup) === foldCase(resourceGroup);
        return listed(call, all.filter(isHere));
      },
    }),
    managementRoute({
      ...row,
      operation: 'UserAssignedIdentities_ListBySubscription',
      audit: 'UserAssignedIdentityList',
      path: `${subscription}/providers/${identityType}`,
      handle: async (call) =>
        listed(call, await deps.identities.list(identityPlace(call.params).subscriptionId)),
    }),
  ];
}

/** The identity that the path names. */
export function identityPlace(params: PathParameters): IdentityPlace {
  const { subscriptionId = '', resourceGroupName = '', identityName = '' } = params;
  return { subscriptionId: foldCase(subscriptionId), resourceGroup: resourceGroupName, name: identityName };
}

function inputOf({ location, tags, properties }: IdentityBody) {
  const { isolationScope, assignmentRestrictions } = properties ?? {};
  if (assignmentRestrictions !== undefined && assignmentRestrictions !== null)
    throw new Failure('badParameter', "The property 'assignmentRestrictions' is not supported.");
  return {
    location: location ?? undefined,
    tags: tags ?? undefined,
    isolationScope: isolationScope ?? undefined,
  };
}

function listed(call: ManagementCall, items: readonly UserAssignedIdentity[]): ManagementReply {
  return listReply(call, {
    list: foldCase(call.path),
    items,
    keyOf: identityKey,
    wire: (identity) => identityWire(identity, call.apiVersion),
  });
}

function found(
  { apiVersion }: Pick<ManagementCall, 'apiVersion'>,
  identity: UserAssignedIdentity,
  status = 200,
): ManagementReply {
  return { status, body: identityWire(identity, apiVersion), id: identityId(identity) };
}

function identityWire(identity: UserAssignedIdentity, apiVersion: string): object {
  const { name, location, tags, tenantId, objectId: principalId, clientId, isolationScope } = identity;
  const isShown = isolationScope !== undefined && apiVersion >= isolationSince;
  return {
    location,
    tags,
    id: identityId(identity),
    name,
    type: identityType,
    properties: { tenantId, principalId, clientId, ...(isShown ? { isolationScope } : {}) },
  };
}

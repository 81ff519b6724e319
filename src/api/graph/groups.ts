/** Groups in Graph: themselves, their members and their owners. */
import * as v from 'valibot';
import { Failure, isFailure } from '../../core/errors.ts';
import { addMember, createGroup, removeMember, transitiveMembers } from '../../identity/groups.ts';
import { changePrincipal, deletePrincipal } from '../../identity/principals.ts';
import { findGroup, objectsOf, resourceNotFound } from './find.ts';
import { type EntitySet, entityReply, listEntities, listRecords } from './lists.ts';
import { objectWire } from './objects.ts';
import { ownerRoutes } from './owners.ts';
import { type GraphCall, type GraphReply, type GraphRoute, graphRoute } from './route.ts';
import {
  bound,
  declaredMembers,
  groupWire,
  onlyAtFirst,
  reference,
  referencedId,
  shortText,
} from './wire.ts';

const set: EntitySet = {
  name: 'groups',
  kinds: ['group'],
  includes: () => true,
  filterable: {
    id: 'string',
    displayName: 'string',
    mailNickname: 'string',
    mailEnabled: 'boolean',
    securityEnabled: 'boolean',
  },
  summary: groupWire,
  wire: async (record) => groupWire(record),
  find: ({ path, value }, { deps }) => (path === 'id' ? deps.store.byObjectId(value.toLowerCase()) : null),
};

const description = v.pipe(v.string(), v.maxLength(1024));
const newGroup = v.looseObject({
  displayName: shortText,
  mailNickname: shortText,
  mailEnabled: v.literal(false, 'Only security groups can be made: mailEnabled must be false.'),
  securityEnabled: v.literal(true, 'Only security groups can be made: securityEnabled must be true.'),
  description: v.nullish(description),
  'members@odata.bind': v.optional(bound),
  'owners@odata.bind': v.optional(bound),
});
const changedGroup = v.looseObject({
  displayName: v.optional(shortText),
  mailNickname: v.optional(shortText),
  description: v.nullish(description),
  'members@odata.bind': v.optional(bound),
  'owners@odata.bind': onlyAtFirst,
});
const known = [
  ...['displayName', 'mailNickname', 'mailEnabled', 'securityEnabled', 'description'],
  ...['members@odata.bind', 'owners@odata.bind'],
];

export const groupRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphGroupsList',
    method: 'GET',
    path: '/groups',
    changes: false,
    handle: (call) => listEntities(call, set),
  }),
  graphRoute({
    audit: 'GraphGroupCreate',
    method: 'POST',
    path: '/groups',
    changes: true,
    schema: newGroup,
    handle: create,
  }),
  graphRoute({
    audit: 'GraphGroupGet',
    method: 'GET',
    path: '/groups/:id',
    changes: false,
    handle: async (call) => entityReply(call, set, groupWire(await findGroup(call))),
  }),
  graphRoute({
    audit: 'GraphGroupUpdate',
    method: 'PATCH',
    path: '/groups/:id',
    changes: true,
    schema: changedGroup,
    handle: update,
  }),
  graphRoute({
    audit: 'GraphGroupDelete',
    method: 'DELETE',
    path: '/groups/:id',
    changes: true,
    async handle(call) {
      const { objectId } = await findGroup(call);
      await deletePrincipal(call.deps.store, objectId);
      return { status: 204, id: objectId };
    },
  }),
  graphRoute({
    audit: 'GraphMembersList',
    method: 'GET',
    path: '/groups/:id/members',
    changes: false,
    async handle(call) {
      const { objectId } = await findGroup(call);
      return listRecords(call, await call.deps.store.membersOf(objectId), objectWire);
    },
  }),
  graphRoute({
    audit: 'GraphMembersList',
    method: 'GET',
    path: '/groups/:id/transitiveMembers',
    changes: false,
    async handle(call) {
      const { objectId } = await findGroup(call);
      return listRecords(call, await transitiveMembers(call.deps.store, objectId), objectWire);
    },
  }),
  graphRoute({
    audit: 'GraphMemberAdd',
    method: 'POST',
    path: '/groups/:id/members/$ref',
    changes: true,
    schema: reference,
    async handle(call) {
      const { objectId } = await findGroup(call);
      await add(call, objectId, referencedId(call.body['@odata.id']));
      return { status: 204, id: objectId };
    },
  }),
  graphRoute({
    audit: 'GraphMemberRemove',
    method: 'DELETE',
    path: '/groups/:id/members/:member/$ref',
    changes: true,
    async handle(call) {
      const { objectId } = await findGroup(call);
      const member = (call.params.member ?? '').toLowerCase();
      try {
        await removeMember(call.deps.store, objectId, member);
      } catch (error) {
        throw isFailure(error, 'notFound') ? resourceNotFound(member) : error;
      }
      return { status: 204, id: objectId };
    },
  }),
  ...ownerRoutes('groups', findGroup),
];

async function create(call: GraphCall<v.InferOutput<typeof newGroup>>): Promise<GraphReply> {
  const { body, deps, tenant } = call;
  declaredMembers(body, { known, declared: [] });
  const members = await objectsOf(call, body['members@odata.bind']);
  const owners = (await objectsOf(call, body['owners@odata.bind'])).map(({ objectId }) => objectId);
  const made = await createGroup(deps, {
    tenantId: tenant.id,
    displayName: body.displayName,
    detail: {
      mailNickname: body.mailNickname,
      ...(body.description ? { description: body.description } : {}),
      ...(owners.length === 0 ? {} : { owners }),
    },
  });
  for (const { objectId } of members) await addMember(deps.store, made.objectId, objectId);
  return { ...entityReply(call, set, groupWire(made)), status: 201 };
}

async function update(call: GraphCall<v.InferOutput<typeof changedGroup>>): Promise<GraphReply> {
  const { body, deps } = call;
  // A client that sends the whole group back says again what it is.
  const { mailEnabled: _mail, securityEnabled, ...rest } = body;
  if (body.mailEnabled === true || securityEnabled === false)
    throw new Failure('badParameter', 'A security group cannot become another kind of group.');
  declaredMembers(rest, { known, declared: [] });
  const { objectId } = await findGroup(call);
  const members = await objectsOf(call, body['members@odata.bind']);
  await changePrincipal(deps.store, objectId, (was) => {
    const { description: old, ...detail } = was.detail;
    const next = body.description === undefined ? old : (body.description ?? undefined);
    return {
      ...was,
      displayName: body.displayName ?? was.displayName,
      detail: {
        ...detail,
        ...(next === undefined ? {} : { description: next }),
        ...(body.mailNickname === undefined ? {} : { mailNickname: body.mailNickname }),
      },
    };
  });
  for (const member of members) await add(call, objectId, member.objectId);
  return { status: 204, id: objectId };
}

async function add(call: GraphCall<unknown>, groupId: string, memberId: string): Promise<void> {
  try {
    await addMember(call.deps.store, groupId, memberId);
  } catch (error) {
    if (isFailure(error, 'notFound')) throw resourceNotFound(memberId);
    if (!isFailure(error, 'alreadyExists')) throw error;
    throw new Failure(
      'badParameter',
      "One or more added object references already exist for the following modified properties: 'members'.",
    );
  }
}

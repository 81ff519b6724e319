/** What objects of every kind have in Graph: being found by id, and the groups that they are in. */
import * as v from 'valibot';
import type { PrincipalRecord } from '../../identity/principals.ts';
import {
  findGroup,
  findMe,
  findObject,
  findServicePrincipal,
  findUser,
  isApplication,
  isObject,
} from './find.ts';
import { listRecords, type Wire } from './lists.ts';
import { type GraphCall, type GraphReply, type GraphRoute, graphRoute } from './route.ts';
import { applicationWire, groupWire, guidText, odataType, servicePrincipalWire, userWire } from './wire.ts';

/** Graph's limits of one request. */
const mostIds = 1000;
const mostChecked = 20;
const getByIds = v.object({
  ids: v.pipe(v.array(guidText), v.minLength(1), v.maxLength(mostIds)),
  types: v.nullish(v.array(v.string())),
});
const checkGroups = v.object({
  groupIds: v.pipe(v.array(guidText), v.minLength(1), v.maxLength(mostChecked)),
});
const memberGroups = v.object({ securityEnabledOnly: v.nullish(v.boolean()) });

type Find = (call: GraphCall<unknown>) => Promise<PrincipalRecord>;

/** Where an object of a kind is, and how it is found there. */
const places: readonly { at: string; find: Find }[] = [
  { at: '/me', find: findMe },
  { at: '/users/:id', find: findUser },
  { at: '/groups/:id', find: findGroup },
  { at: '/servicePrincipals/:id', find: findServicePrincipal },
  { at: '/directoryObjects/:id', find: findObject },
];

export const objectRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphObjectGet',
    method: 'GET',
    path: '/directoryObjects/:id',
    changes: false,
    async handle(call) {
      const record = await findObject(call);
      const context = `${call.base}/$metadata#directoryObjects/$entity`;
      return {
        status: 200,
        body: { '@odata.context': context, ...objectWire(record) },
        id: record.objectId,
      };
    },
  }),
  graphRoute({
    audit: 'GraphObjectsGetByIds',
    method: 'POST',
    path: '/directoryObjects/getByIds',
    changes: false,
    schema: getByIds,
    async handle(call) {
      const types = call.body.types?.map((type) => type.toLowerCase());
      const wanted = (entity: Wire) => {
        const type = String(entity['@odata.type']).replace('#microsoft.graph.', '').toLowerCase();
        return types === undefined || types.includes(type) || types.includes('directoryobject');
      };
      const value: Wire[] = [];
      for (const id of new Set(call.body.ids.map((text) => text.toLowerCase())))
        value.push(...(await objectsWithId(call, id)).filter(wanted));
      return { status: 200, body: { '@odata.context': `${call.base}/$metadata#directoryObjects`, value } };
    },
  }),
  ...places.flatMap(({ at, find }) => membershipRoutes(at, find)),
];

function membershipRoutes(at: string, find: Find): readonly GraphRoute[] {
  const list = (path: string, groupsOf: (call: GraphCall, objectId: string) => Promise<readonly string[]>) =>
    graphRoute({
      audit: 'GraphMembershipList',
      method: 'GET',
      path: `${at}/${path}`,
      changes: false,
      handle: (call) => listGroups(call, find, groupsOf),
    });
  const direct = (call: GraphCall, id: string) => call.deps.store.directGroupsOf(id);
  const all = (call: GraphCall, id: string) => call.deps.store.groupsOf(id);
  const action = (name: string) =>
    graphRoute({
      audit: 'GraphMemberGroupsGet',
      method: 'POST',
      path: `${at}/${name}`,
      changes: false,
      schema: memberGroups,
      async handle(call) {
        const { objectId } = await find(call);
        return stringsReply(call, await call.deps.store.groupsOf(objectId));
      },
    });
  return [
    list('memberOf', direct),
    list('memberOf/microsoft.graph.group', direct),
    list('transitiveMemberOf', all),
    list('transitiveMemberOf/microsoft.graph.group', all),
    action('getMemberGroups'),
    action('getMemberObjects'),
    graphRoute({
      audit: 'GraphMemberGroupsCheck',
      method: 'POST',
      path: `${at}/checkMemberGroups`,
      changes: false,
      schema: checkGroups,
      async handle(call) {
        const { objectId } = await find(call);
        const asked = call.body.groupIds.map((id) => id.toLowerCase());
        const groups = await call.deps.store.groupsOf(objectId);
        return stringsReply(
          call,
          groups.filter((id) => asked.includes(id)),
        );
      },
    }),
  ];
}

async function listGroups(
  call: GraphCall,
  find: Find,
  groupsOf: (call: GraphCall, objectId: string) => Promise<readonly string[]>,
): Promise<GraphReply> {
  const { objectId } = await find(call);
  const groups: PrincipalRecord[] = [];
  for (const id of await groupsOf(call, objectId)) {
    const group = await call.deps.store.byObjectId(id);
    if (group !== undefined) groups.push(group);
  }
  return listRecords(call, groups, objectWire);
}

function stringsReply(call: GraphCall<unknown>, value: readonly string[]): GraphReply {
  return { status: 200, body: { '@odata.context': `${call.base}/$metadata#Collection(Edm.String)`, value } };
}

/** An object with its type, without credentials. */
export function objectWire(record: PrincipalRecord): Wire {
  const type = { '@odata.type': odataType(record) };
  if (record.kind === 'user') return { ...type, ...userWire(record) };
  if (record.kind === 'group') return { ...type, ...groupWire(record) };
  return { ...type, ...servicePrincipalWire(record, []) };
}

/** An id is a principal's, or an application's. */
async function objectsWithId(call: GraphCall<unknown>, id: string): Promise<readonly Wire[]> {
  const { store } = call.deps;
  const record = await store.byObjectId(id);
  if (record !== undefined)
    return record.tenantId === call.tenant.id && isObject(record) ? [objectWire(record)] : [];
  const application = await store.byApplicationId(id);
  if (application === undefined || application.tenantId !== call.tenant.id || !isApplication(application))
    return [];
  return [{ '@odata.type': '#microsoft.graph.application', ...applicationWire(application, []) }];
}

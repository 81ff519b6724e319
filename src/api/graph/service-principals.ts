/** Service principals in Graph: those of applications, managed identities, and external issuers' subjects. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { isGuid } from '../../core/names.ts';
import { addServicePrincipal, removeServicePrincipal } from '../../identity/applications.ts';
import { changePrincipal, deletePrincipal, type PrincipalRecord } from '../../identity/principals.ts';
import { keyCredentials, passwordRoutes, putCertificates } from './credentials.ts';
import { findServicePrincipal, isApplication, isServicePrincipal, objectsOf } from './find.ts';
import { type EntitySet, entityReply, listEntities } from './lists.ts';
import { ownerRoutes } from './owners.ts';
import { type GraphCall, type GraphReply, type GraphRoute, graphRoute } from './route.ts';
import {
  bound,
  declaredMembers,
  guidText,
  onlyAtFirst,
  servicePrincipalWire,
  shortText,
  texts,
} from './wire.ts';

const set: EntitySet = {
  name: 'servicePrincipals',
  kinds: ['application', 'managedIdentity', 'external'],
  includes: isServicePrincipal,
  filterable: {
    id: 'string',
    appId: 'string',
    displayName: 'string',
    servicePrincipalNames: 'strings',
    servicePrincipalType: 'string',
    alternativeNames: 'strings',
    tags: 'strings',
    accountEnabled: 'boolean',
  },
  summary: (record) => servicePrincipalWire(record, []),
  wire: async (record, { deps }) =>
    servicePrincipalWire(record, await deps.store.credentialsOf(record.objectId)),
  find({ path, value }, { deps }) {
    if (path === 'appId') return deps.store.byAppId(value.toLowerCase());
    // Of the names, the client id alone has an index; the others are URIs.
    if (path === 'servicePrincipalNames' && isGuid(value)) return deps.store.byAppId(value.toLowerCase());
    return path === 'id' ? deps.store.byObjectId(value.toLowerCase()) : null;
  },
};

const members = {
  accountEnabled: v.nullish(v.boolean()),
  tags: v.nullish(texts),
  description: v.nullish(v.pipe(v.string(), v.maxLength(1024))),
  keyCredentials: v.nullish(keyCredentials),
  passwordCredentials: v.nullish(v.array(v.unknown())),
};
const newServicePrincipal = v.looseObject({
  appId: guidText,
  'owners@odata.bind': v.optional(bound),
  ...members,
});
const changedServicePrincipal = v.looseObject({
  displayName: v.nullish(shortText),
  'owners@odata.bind': onlyAtFirst,
  ...members,
});
type Changed = v.InferOutput<typeof changedServicePrincipal>;

/** What follows from the application, and what is read only, is passed over when it is sent back. */
const known = [
  ...Object.keys(members),
  ...['appId', 'displayName', 'appDisplayName', 'servicePrincipalNames', 'servicePrincipalType'],
  ...['owners@odata.bind', 'appOwnerOrganizationId', 'signInAudience', 'replyUrls', 'alternativeNames'],
];

export const servicePrincipalRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphServicePrincipalsList',
    method: 'GET',
    path: '/servicePrincipals',
    changes: false,
    handle: (call) => listEntities(call, set),
  }),
  graphRoute({
    audit: 'GraphServicePrincipalCreate',
    method: 'POST',
    path: '/servicePrincipals',
    changes: true,
    schema: newServicePrincipal,
    handle: create,
  }),
  graphRoute({
    audit: 'GraphServicePrincipalGet',
    method: 'GET',
    path: '/servicePrincipals/:id',
    changes: false,
    handle: async (call) => reply(call, await findServicePrincipal(call)),
  }),
  graphRoute({
    audit: 'GraphServicePrincipalUpdate',
    method: 'PATCH',
    path: '/servicePrincipals/:id',
    changes: true,
    schema: changedServicePrincipal,
    async handle(call) {
      const { objectId } = await findServicePrincipal(call);
      const { body, deps } = call;
      declaredMembers(body, { known, declared: [] });
      if (body.keyCredentials) await putCertificates(call, objectId, body.keyCredentials);
      await changePrincipal(deps.store, objectId, (was) => changed(was, body));
      return { status: 204, id: objectId };
    },
  }),
  graphRoute({
    audit: 'GraphServicePrincipalDelete',
    method: 'DELETE',
    path: '/servicePrincipals/:id',
    changes: true,
    async handle(call) {
      const record = await findServicePrincipal(call);
      if (isApplication(record)) await removeServicePrincipal(call.deps, record.objectId);
      else await deletePrincipal(call.deps.store, record.objectId);
      return { status: 204, id: record.objectId };
    },
  }),
  ...passwordRoutes('servicePrincipals', findServicePrincipal),
  ...ownerRoutes('servicePrincipals', findServicePrincipal),
];

async function reply(call: GraphCall<unknown>, record: PrincipalRecord): Promise<GraphReply> {
  return entityReply(call, set, await set.wire(record, call));
}

async function create(call: GraphCall<v.InferOutput<typeof newServicePrincipal>>): Promise<GraphReply> {
  const { body, deps, tenant } = call;
  declaredMembers(body, { known, declared: [] });
  const appId = body.appId.toLowerCase();
  const application = await deps.store.byAppId(appId);
  if (application === undefined || application.tenantId !== tenant.id || !isApplication(application)) {
    throw new Failure(
      'badParameter',
      `The appId '${appId}' of the service principal does not reference a valid application object.`,
    );
  }
  if (application.detail.awaitsServicePrincipal !== true) {
    throw new Failure(
      'alreadyExists',
      `The service principal cannot be created, updated, or restored because the service principal name ${appId} is already in use.`,
    );
  }
  await objectsOf(call, body['owners@odata.bind']);
  // What can be refused comes first, so that a request is not carried out by half.
  if (body.keyCredentials?.length) await putCertificates(call, application.objectId, body.keyCredentials);
  const made = await addServicePrincipal(deps.store, application.objectId, body.accountEnabled ?? true);
  const described = await changePrincipal(deps.store, made.objectId, (was) => changed(was, body));
  return { ...(await reply(call, described)), status: 201 };
}

/** The display name is the application's. */
function changed(
  was: PrincipalRecord,
  body: Pick<Changed, 'accountEnabled' | 'tags' | 'description'>,
): PrincipalRecord {
  const detail = {
    ...was.detail,
    ...(body.tags ? { tags: body.tags } : {}),
    ...(body.description ? { description: body.description } : {}),
  };
  return { ...was, enabled: body.accountEnabled ?? was.enabled, detail };
}

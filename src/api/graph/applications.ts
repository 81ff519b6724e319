/** Applications in Graph: the registration behind a service principal, which may have none. */
import * as v from 'valibot';
import { Failure, isFailure } from '../../core/errors.ts';
import {
  changePrincipal,
  createApplication,
  deletePrincipal,
  type PrincipalDetail,
  type PrincipalRecord,
} from '../../identity/principals.ts';
import { isUsableRedirect } from '../../identity/redirect-uris.ts';
import { keyCredentials, passwordRoutes, putCertificates } from './credentials.ts';
import { federatedRoutes } from './federated.ts';
import { findApplication, isApplication, objectsOf } from './find.ts';
import { type EntitySet, entityReply, listEntities } from './lists.ts';
import { ownerRoutes } from './owners.ts';
import { type GraphCall, type GraphReply, type GraphRoute, graphRoute } from './route.ts';
import {
  applicationWire,
  bound,
  declaredMembers,
  onlyAtFirst,
  redeclared,
  shortText,
  texts,
} from './wire.ts';

const set: EntitySet = {
  name: 'applications',
  kinds: ['application'],
  includes: isApplication,
  filterable: {
    id: 'string',
    appId: 'string',
    displayName: 'string',
    identifierUris: 'strings',
    tags: 'strings',
  },
  summary: (record) => applicationWire(record, []),
  wire: async (record, { deps }) => applicationWire(record, await deps.store.credentialsOf(record.objectId)),
  find({ path, value }, { deps }) {
    if (path === 'appId') return deps.store.byAppId(value.toLowerCase());
    return path === 'id' ? deps.store.byApplicationId(value.toLowerCase()) : null;
  },
};

const longestUri = 2048;
const uris = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.maxLength(longestUri),
      v.regex(/^[a-z][a-z0-9+.-]*:[!-~]+$/i, 'It must be an absolute URI.'),
    ),
  ),
  v.maxLength(256),
);
const mostRedirects = 256;
const redirects = v.pipe(
  v.array(v.pipe(v.string(), v.check(isUsableRedirect, 'It is no address that a browser may be sent to.'))),
  v.maxLength(mostRedirects),
);
const platform = v.nullish(v.looseObject({ redirectUris: v.nullish(redirects) }));
const noImplicitGrant = v.nullish(
  v.object({
    enableAccessTokenIssuance: v.nullish(v.literal(false, 'The implicit grant is not supported.')),
    enableIdTokenIssuance: v.nullish(v.literal(false, 'The implicit grant is not supported.')),
  }),
);
const web = v.nullish(
  v.looseObject({ redirectUris: v.nullish(redirects), implicitGrantSettings: noImplicitGrant }),
);
const members = {
  description: v.nullish(v.pipe(v.string(), v.maxLength(1024))),
  identifierUris: v.nullish(uris),
  isFallbackPublicClient: v.nullish(v.boolean()),
  signInAudience: v.nullish(v.literal('AzureADMyOrg', 'Only the audience AzureADMyOrg is supported.')),
  tags: v.nullish(texts),
  web,
  publicClient: platform,
  spa: platform,
  keyCredentials: v.nullish(keyCredentials),
  // Secrets are made by addPassword and shown by GET: a list that is sent back unchanged says nothing.
  passwordCredentials: v.nullish(v.array(v.unknown())),
};
const newApplication = v.looseObject({
  displayName: shortText,
  'owners@odata.bind': v.optional(bound),
  ...members,
});
const changedApplication = v.looseObject({
  displayName: v.optional(shortText),
  'owners@odata.bind': onlyAtFirst,
  ...members,
});

type Members = Readonly<Record<string, unknown>>;
/** Of a new application or a change: what both can have, and whatever else was sent. */
type Given = Members & v.InferOutput<v.ObjectSchema<typeof members, undefined>>;

const known = [...Object.keys(members), 'displayName', 'appId', 'owners@odata.bind', 'publisherDomain'];
/** Roles and permissions are given to nobody by being declared, and need no consent. */
const declared = ['api', 'appRoles', 'info', 'notes', 'requiredResourceAccess'];

export const applicationRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphApplicationsList',
    method: 'GET',
    path: '/applications',
    changes: false,
    handle: (call) => listEntities(call, set),
  }),
  graphRoute({
    audit: 'GraphApplicationCreate',
    method: 'POST',
    path: '/applications',
    changes: true,
    schema: newApplication,
    handle: create,
  }),
  graphRoute({
    audit: 'GraphApplicationGet',
    method: 'GET',
    path: '/applications/:id',
    changes: false,
    handle: async (call) => reply(call, await findApplication(call)),
  }),
  graphRoute({
    audit: 'GraphApplicationUpdate',
    method: 'PATCH',
    path: '/applications/:id',
    changes: true,
    schema: changedApplication,
    async handle(call) {
      const { objectId, applicationId = '' } = await findApplication(call);
      const { body, deps } = call;
      changedDetail({}, body);
      // What can be refused comes first, so that a request is not carried out by half.
      await assertUrisFree(call, body.identifierUris ?? [], objectId);
      if (body.keyCredentials) await putCertificates(call, objectId, body.keyCredentials);
      await urisTaken(() =>
        changePrincipal(deps.store, objectId, (was) => ({
          ...was,
          displayName: body.displayName ?? was.displayName,
          detail: changedDetail(was.detail, body),
        })),
      );
      return { status: 204, id: applicationId };
    },
  }),
  graphRoute({
    audit: 'GraphApplicationDelete',
    method: 'DELETE',
    path: '/applications/:id',
    changes: true,
    async handle(call) {
      const { objectId, applicationId = '' } = await findApplication(call);
      await deletePrincipal(call.deps.store, objectId);
      return { status: 204, id: applicationId };
    },
  }),
  ...passwordRoutes('applications', findApplication),
  ...federatedRoutes,
  ...ownerRoutes('applications', findApplication),
];

async function reply(call: GraphCall<unknown>, record: PrincipalRecord): Promise<GraphReply> {
  return entityReply(call, set, await set.wire(record, call));
}

/** Without a service principal: that is another request, and until then the application gets no tokens. */
async function create(call: GraphCall<v.InferOutput<typeof newApplication>>): Promise<GraphReply> {
  const { body, deps, tenant } = call;
  const owners = (await objectsOf(call, body['owners@odata.bind'])).map(({ objectId }) => objectId);
  const detail: PrincipalDetail = {
    ...changedDetail({}, body),
    ...(owners.length === 0 ? {} : { owners }),
    awaitsServicePrincipal: true,
  };
  const { displayName } = body;
  const made = await urisTaken(() => createApplication(deps, { tenantId: tenant.id, displayName, detail }));
  try {
    if (body.keyCredentials) await putCertificates(call, made.objectId, body.keyCredentials);
  } catch (error) {
    // Nobody has heard of it yet.
    await deps.store.remove(made.objectId);
    throw error;
  }
  return { ...(await reply(call, made)), status: 201 };
}

async function assertUrisFree(
  { deps, tenant }: GraphCall<unknown>,
  uris: readonly string[],
  objectId: string,
): Promise<void> {
  for (const uri of uris) {
    const owner = await deps.store.byIdentifierUri(tenant.id, uri);
    if (owner !== undefined && owner.objectId !== objectId) throw uriTaken();
  }
}

/** The store refuses a URI that another application has; nothing else of an application's can be taken. */
async function urisTaken<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw isFailure(error, 'alreadyExists') ? uriTaken() : error;
  }
}

function uriTaken(): Failure {
  return new Failure(
    'badParameter',
    'Another object with the same value for property identifierUris already exists.',
  );
}

function changedDetail(was: PrincipalDetail, body: Given): PrincipalDetail {
  const webPage = declaredMembers(body.web ?? {}, {
    known: ['redirectUris', 'redirectUriSettings', 'implicitGrantSettings'],
    declared: ['homePageUrl', 'logoutUrl'],
  });
  const changes = {
    ...declaredMembers(body, { known, declared }),
    ...(Object.keys(webPage).length === 0
      ? {}
      : { web: redeclared(was.declared?.web as Members | undefined, webPage) }),
  };
  const detail: Record<string, unknown> = { ...was, declared: redeclared(was.declared, changes) };
  const put = (name: keyof PrincipalDetail, value: unknown) => {
    if (value === null) delete detail[name];
    else if (value !== undefined) detail[name] = value;
  };
  put('description', body.description);
  put('identifierUris', body.identifierUris);
  put('isPublicClient', body.isFallbackPublicClient);
  put('tags', body.tags);
  const inWeb = body.web?.redirectUris ?? webRedirects(was);
  const inPublic = body.publicClient?.redirectUris ?? was.publicRedirectUris ?? [];
  const inSpa = body.spa?.redirectUris ?? was.spaRedirectUris ?? [];
  put('redirectUris', [...new Set([...inWeb, ...inPublic, ...inSpa])]);
  put('publicRedirectUris', inPublic);
  put('spaRedirectUris', inSpa);
  return withoutEmpty(detail);
}

function webRedirects({ redirectUris = [], publicRedirectUris = [], spaRedirectUris = [] }: PrincipalDetail) {
  return redirectUris.filter((uri) => !publicRedirectUris.includes(uri) && !spaRedirectUris.includes(uri));
}

/** An empty list or object is the same as none, and is not kept. */
function withoutEmpty(detail: Readonly<Record<string, unknown>>): PrincipalDetail {
  const isKept = (value: unknown) =>
    typeof value !== 'object' || value === null || Object.keys(value).length > 0;
  return Object.fromEntries(Object.entries(detail).filter(([, value]) => isKept(value)));
}

/** Users in Graph. */
import * as v from 'valibot';
import { Failure, isFailure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import {
  changePrincipal,
  deletePrincipal,
  type PrincipalDetail,
  type PrincipalRecord,
} from '../../identity/principals.ts';
import { assertPassword, assertUserName, createUser, setPassword } from '../../identity/users.ts';
import { findMe, findUser } from './find.ts';
import { type EntitySet, entityReply, listEntities } from './lists.ts';
import { type GraphCall, type GraphRoute, graphRoute } from './route.ts';
import { declaredMembers, redeclared, shortText, userWire } from './wire.ts';

const set: EntitySet = {
  name: 'users',
  kinds: ['user'],
  includes: () => true,
  filterable: {
    id: 'string',
    userPrincipalName: 'string',
    displayName: 'string',
    mail: 'string',
    mailNickname: 'string',
    givenName: 'string',
    surname: 'string',
    accountEnabled: 'boolean',
  },
  summary: userWire,
  wire: async (record) => userWire(record),
  usual: [
    'businessPhones',
    'displayName',
    'givenName',
    'jobTitle',
    'mail',
    'mobilePhone',
    'officeLocation',
    'preferredLanguage',
    'surname',
    'userPrincipalName',
    'id',
  ],
  find({ path, value }, { deps, tenant }) {
    if (path === 'userPrincipalName') return deps.store.byUserName(tenant.id, value);
    return path === 'id' ? deps.store.byObjectId(value.toLowerCase()) : null;
  },
};

const passwordProfile = v.object({
  password: v.nullish(v.string()),
  forceChangePasswordNextSignIn: v.nullish(v.boolean()),
  forceChangePasswordNextSignInWithMfa: v.nullish(v.boolean()),
});

const members = {
  displayName: shortText,
  userPrincipalName: shortText,
  accountEnabled: v.boolean(),
  mailNickname: v.nullable(shortText),
  mail: v.nullable(shortText),
  givenName: v.nullable(shortText),
  surname: v.nullable(shortText),
  passwordProfile: v.nullable(passwordProfile),
};
const { displayName, userPrincipalName, accountEnabled, ...others } = members;
const newUser = v.looseObject({
  ...{ displayName, userPrincipalName, accountEnabled },
  ...v.partial(v.object(others)).entries,
});
const changedUser = v.looseObject(v.partial(v.object(members)).entries);

/** Of a person, and of no effect here. */
const declared = [
  ...['businessPhones', 'city', 'companyName', 'country', 'department', 'employeeId', 'employeeType'],
  ...['faxNumber', 'jobTitle', 'mobilePhone', 'officeLocation', 'otherMails', 'postalCode'],
  ...['preferredLanguage', 'state', 'streetAddress', 'usageLocation'],
];
const known = [...Object.keys(members), 'userType'];

type ChangedUser = v.InferOutput<typeof changedUser>;

export const userRoutes: readonly GraphRoute[] = [
  graphRoute({
    audit: 'GraphMeGet',
    method: 'GET',
    path: '/me',
    changes: false,
    handle: async (call) => entityReply(call, set, userWire(await findMe(call))),
  }),
  graphRoute({
    audit: 'GraphUsersList',
    method: 'GET',
    path: '/users',
    changes: false,
    handle: (call) => listEntities(call, set),
  }),
  graphRoute({
    audit: 'GraphUserCreate',
    method: 'POST',
    path: '/users',
    changes: true,
    schema: newUser,
    async handle(call) {
      const { body, deps, tenant } = call;
      const password = passwordOf(body);
      if (password === undefined) throw new Failure('badParameter', 'A password must be specified.');
      const made = await nameTaken(() =>
        createUser(deps, {
          tenantId: tenant.id,
          userName: body.userPrincipalName,
          displayName: body.displayName,
          password,
          enabled: body.accountEnabled,
          detail: changedDetail({}, body),
        }),
      );
      return { ...entityReply(call, set, userWire(made)), status: 201 };
    },
  }),
  graphRoute({
    audit: 'GraphUserGet',
    method: 'GET',
    path: '/users/:id',
    changes: false,
    handle: async (call) => entityReply(call, set, userWire(await findUser(call))),
  }),
  graphRoute({
    audit: 'GraphUserUpdate',
    method: 'PATCH',
    path: '/users/:id',
    changes: true,
    schema: changedUser,
    async handle(call) {
      const { objectId } = await findUser(call);
      await updateUser(call, objectId);
      return { status: 204, id: objectId };
    },
  }),
  graphRoute({
    audit: 'GraphUserDelete',
    method: 'DELETE',
    path: '/users/:id',
    changes: true,
    async handle(call) {
      const { objectId } = await findUser(call);
      await deletePrincipal(call.deps.store, objectId);
      return { status: 204, id: objectId };
    },
  }),
];

async function updateUser(call: GraphCall<ChangedUser>, objectId: string): Promise<void> {
  const { body, deps } = call;
  const password = passwordOf(body);
  const { userPrincipalName: userName } = body;
  if (userName !== undefined) assertUserName(userName);
  const change = (was: PrincipalRecord): PrincipalRecord => ({
    ...was,
    displayName: body.displayName ?? was.displayName,
    userName: userName ?? was.userName,
    enabled: body.accountEnabled ?? was.enabled,
    detail: changedDetail(was.detail, body),
  });
  // What can be refused comes first, so that a request is not carried out by half.
  if (password !== undefined) {
    const user = await deps.store.byObjectId(objectId);
    assertPassword(password, userName ?? user?.userName ?? '');
  }
  await nameTaken(() => changePrincipal(deps.store, objectId, change));
  if (password !== undefined) await setPassword(deps, { objectId, password });
}

function passwordOf({ passwordProfile: profile }: ChangedUser): SecretBytes | undefined {
  if (profile?.forceChangePasswordNextSignIn || profile?.forceChangePasswordNextSignInWithMfa) {
    throw new Failure(
      'badParameter',
      "The property 'forceChangePasswordNextSignIn' is not supported: users cannot change their passwords at sign-in.",
    );
  }
  const password = profile?.password ?? undefined;
  return password === undefined ? undefined : SecretBytes.fromText(password);
}

function changedDetail(was: PrincipalDetail, body: ChangedUser): PrincipalDetail {
  const changes = declaredMembers(body, { known, declared });
  const kept = redeclared(was.declared, changes);
  const detail: Record<string, unknown> = { ...was };
  for (const name of ['mailNickname', 'mail', 'givenName', 'surname'] as const) {
    if (body[name] === null) delete detail[name];
    else if (body[name] !== undefined) detail[name] = body[name];
  }
  const { declared: _was, ...rest } = detail;
  return Object.keys(kept).length === 0 ? rest : { ...rest, declared: kept };
}

/** Graph's refusal of a user name that another user has. */
async function nameTaken<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!isFailure(error, 'alreadyExists')) throw error;
    throw new Failure(
      'badParameter',
      'Another object with the same value for property userPrincipalName already exists.',
    );
  }
}

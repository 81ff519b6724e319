/** Operators' commands on identities: applications and managed identities, their secrets and their roles. */
import * as v from 'valibot';
import { vaultScope } from '../../authorization/authorize.ts';
import { mostAssignments } from '../../authorization/role-assignments.ts';
import { isAssignable } from '../../authorization/role-definitions.ts';
import { keysAbove } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { principalTypeOf } from '../../identity/principal-type.ts';
import {
  createApplication,
  createExternalPrincipal,
  createManagedIdentity,
  type FirstParty,
  firstParties,
  type PrincipalDetail,
} from '../../identity/principals.ts';
import {
  allPrincipals,
  assignmentView,
  assignmentViews,
  credentialView,
  knownPrincipal,
  knownRole,
  knownVault,
  principalsNamed,
  principalView,
} from './known.ts';
import { type ControlDeps, type ControlOperation, operation } from './operation.ts';

const day = 24 * 60 * 60 * 1000;

export const identityOperations: Readonly<Record<string, ControlOperation>> = {
  'identity create': operation({
    audit: 'PrincipalCreate',
    input: v.strictObject({
      name: v.string(),
      managed: v.optional(v.boolean()),
      systemAssigned: v.optional(v.boolean()),
      resourceId: v.optional(v.string()),
      issuer: v.optional(v.string()),
      subject: v.optional(v.string()),
      firstParty: v.optional(v.picklist(firstParties)),
      publicClient: v.optional(v.boolean()),
      redirectUris: v.optional(v.array(v.string())),
    }),
    run: async (deps, input) => createIdentity(deps, input),
  }),
  'identity list': operation({
    input: v.strictObject({}),
    run: async (deps) => ({ identities: (await allPrincipals(deps)).map(principalView) }),
  }),
  'identity secret': operation({
    audit: 'ClientSecretCreate',
    input: v.strictObject({
      identity: v.string(),
      days: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(731))),
    }),
    run: async (deps, input) => {
      const principal = await knownPrincipal(deps, input.identity);
      const expires = deps.clock.now() + (input.days ?? 365) * day;
      const { credential, secret } = await deps.addSecret({ objectId: principal.objectId, expires });
      return { ...principalView(principal), ...credentialView(credential), secret: secret.exposeText() };
    },
  }),
  'identity secrets': operation({
    input: v.strictObject({ identity: v.string() }),
    run: async (deps, input) => {
      const principal = await knownPrincipal(deps, input.identity);
      return { secrets: (await deps.principals.credentialsOf(principal.objectId)).map(credentialView) };
    },
  }),
  'identity remove-secret': operation({
    audit: 'ClientSecretDelete',
    input: v.strictObject({ identity: v.string(), keyId: v.string() }),
    run: async (deps, input) => {
      const { objectId } = await knownPrincipal(deps, input.identity);
      await deps.removeSecret({ objectId, keyId: input.keyId });
      return { removed: input.keyId };
    },
  }),
  'identity grant': operation({
    audit: 'RoleAssignmentWrite',
    input: v.strictObject({
      identity: v.string(),
      role: v.string(),
      vault: v.optional(v.string()),
      scope: v.optional(v.string()),
    }),
    run: (deps, input) => grantRole(deps, input),
  }),
  'identity grants': operation({
    input: v.strictObject({ identity: v.optional(v.string()) }),
    run: async (deps, { identity }) => {
      const rows =
        identity === undefined
          ? await deps.assignments.list()
          : await deps.assignments.ofPrincipals([(await knownPrincipal(deps, identity)).objectId]);
      return { grants: await assignmentViews(deps, rows) };
    },
  }),
  'identity revoke': operation({
    audit: 'RoleAssignmentDelete',
    input: v.strictObject({ id: v.string() }),
    run: async (deps, { id }) => {
      if ((await deps.assignments.remove({ id })) === 'missing')
        throw new Failure('notFound', `There is no role assignment '${id}'.`);
      return { removed: id };
    },
  }),
  'identity rotate-key': operation({
    audit: 'TokenSigningKeyRotate',
    input: v.strictObject({ revoke: v.optional(v.boolean()) }),
    run: async (deps, { revoke }) => {
      await deps.rotateSigningKey(revoke === true);
      return { rotated: true, revoked: revoke === true };
    },
  }),
};

interface NewIdentity {
  readonly name: string;
  readonly managed?: boolean | undefined;
  readonly systemAssigned?: boolean | undefined;
  readonly resourceId?: string | undefined;
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly firstParty?: FirstParty | undefined;
  readonly publicClient?: boolean | undefined;
  readonly redirectUris?: readonly string[] | undefined;
}

async function createIdentity(deps: ControlDeps, input: NewIdentity): Promise<object> {
  if ((await principalsNamed(deps, input.name)).length > 0) {
    throw new Failure('alreadyExists', `There is an identity '${input.name}' already.`);
  }
  const store = { store: deps.principals, clock: deps.clock, random: deps.random };
  const of = { tenantId: deps.tenant.id, displayName: input.name };
  const { issuer, subject } = input;
  if (issuer !== undefined && subject !== undefined) {
    return principalView(await createExternalPrincipal(store, { ...of, issuer, subject }));
  }
  if (issuer !== undefined || subject !== undefined) {
    throw new Failure('badParameter', 'An identity of an external issuer has both an issuer and a subject.');
  }
  if (input.managed !== true)
    return principalView(await createApplication(store, { ...of, detail: applicationDetail(input) }));
  const { resourceId } = input;
  const assigned = input.systemAssigned === true ? 'system' : 'user';
  return principalView(
    await createManagedIdentity(store, {
      ...{ ...of, assigned },
      ...(resourceId === undefined ? {} : { resourceId }),
    }),
  );
}

function applicationDetail({ firstParty, publicClient, redirectUris }: NewIdentity): PrincipalDetail {
  for (const uri of redirectUris ?? []) {
    if (!URL.canParse(uri) || !/^[a-z][a-z0-9+.-]*:[!-~]+$/i.test(uri))
      throw new Failure('badParameter', `'${uri}' is not an absolute URI.`);
  }
  return {
    ...(firstParty === undefined ? {} : { firstParty }),
    ...(publicClient === true ? { isPublicClient: true } : {}),
    ...(redirectUris === undefined ? {} : { redirectUris }),
  };
}

async function grantRole(
  deps: ControlDeps,
  input: { identity: string; role: string; vault?: string | undefined; scope?: string | undefined },
): Promise<object> {
  const principal = await knownPrincipal(deps, input.identity);
  const role = await knownRole(deps, input.role);
  const scope = input.vault === undefined ? input.scope : vaultScope(await knownVault(deps, input.vault));
  if (scope === undefined || (scope !== '/' && !/^\/subscriptions\/[^/]+(?:\/[^/]+)*$/i.test(scope))) {
    throw new Failure(
      'badParameter',
      'A scope is a vault (--vault NAME), or an id that begins with /subscriptions/.',
    );
  }
  if (!isAssignable(role, keysAbove(scope, principal.tenantId)))
    throw new Failure('badParameter', `The role '${role.name}' cannot be given at that scope.`);
  const result = await deps.assignments.put({
    assignment: {
      id: deps.random.guid(),
      tenantId: principal.tenantId,
      principalId: principal.objectId,
      roleId: role.id,
      scope,
      created: deps.clock.now(),
      principalType: principalTypeOf(principal),
    },
    // Operators may give roles on what is yet to be made.
    place: {},
    isCustomRole: role.tenantId !== undefined,
    most: mostAssignments,
  });
  if (!('assignment' in result)) throw new Failure('notFound', `There is no role '${input.role}'.`);
  return assignmentView(result.assignment, role.name);
}

/** Operators' commands on the directory: users, groups, certificates, who is enabled, and who may change it. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { addCertificate, addFederated } from '../../identity/applications.ts';
import { addMember, createGroup, removeMember } from '../../identity/groups.ts';
import { changePrincipal, deletePrincipal, setEnabled } from '../../identity/principals.ts';
import { createUser, generatePassword, setPassword } from '../../identity/users.ts';
import { credentialView, knownPrincipal, principalsNamed, principalView } from './known.ts';
import { type ControlDeps, type ControlOperation, operation } from './operation.ts';

const day = 24 * 60 * 60 * 1000;
const ofIdentity = v.strictObject({ identity: v.string() });
const membership = v.strictObject({ group: v.string(), member: v.string() });
/** What the clients that exchange tokens of other issuers ask these for. */
const usualAudience = 'api://AzureADTokenExchange';

export const directoryOperations: Readonly<Record<string, ControlOperation>> = {
  'identity create-user': operation({
    audit: 'UserCreate',
    input: v.strictObject({
      userName: v.string(),
      name: v.optional(v.string()),
      password: v.optional(v.string()),
    }),
    async run(deps, { userName, name, password }) {
      const given = password === undefined ? generatePassword(deps.random) : SecretBytes.fromText(password);
      const user = await createUser(userDeps(deps), {
        ...{ tenantId: deps.tenant.id, userName, password: given },
        displayName: name ?? userName,
      });
      return { ...principalView(user), ...(password === undefined ? { password: given.exposeText() } : {}) };
    },
  }),
  'identity set-password': operation({
    audit: 'UserPasswordSet',
    input: v.strictObject({ identity: v.string(), password: v.optional(v.string()) }),
    async run(deps, { identity, password }) {
      const user = await knownPrincipal(deps, identity);
      const given = password === undefined ? generatePassword(deps.random) : SecretBytes.fromText(password);
      await setPassword(userDeps(deps), { objectId: user.objectId, password: given });
      return { ...principalView(user), ...(password === undefined ? { password: given.exposeText() } : {}) };
    },
  }),
  'identity create-group': operation({
    audit: 'GroupCreate',
    input: v.strictObject({ name: v.string() }),
    async run(deps, { name }) {
      if ((await principalsNamed(deps, name)).length > 0)
        throw new Failure('alreadyExists', `There is an identity '${name}' already.`);
      return principalView(
        await createGroup(userDeps(deps), { tenantId: deps.tenant.id, displayName: name }),
      );
    },
  }),
  'identity members': operation({
    input: v.strictObject({ group: v.string() }),
    async run(deps, { group }) {
      const { objectId } = await knownPrincipal(deps, group);
      return { members: (await deps.principals.membersOf(objectId)).map(principalView) };
    },
  }),
  'identity add-member': operation({
    audit: 'GroupMemberAdd',
    input: membership,
    async run(deps, input) {
      const [group, member] = await both(deps, input);
      await addMember(deps.principals, group.objectId, member.objectId);
      return { group: group.objectId, member: member.objectId };
    },
  }),
  'identity remove-member': operation({
    audit: 'GroupMemberRemove',
    input: membership,
    async run(deps, input) {
      const [group, member] = await both(deps, input);
      await removeMember(deps.principals, group.objectId, member.objectId);
      return { group: group.objectId, member: member.objectId };
    },
  }),
  'identity add-certificate': operation({
    audit: 'ClientCertificateCreate',
    input: v.strictObject({
      identity: v.string(),
      certificate: v.string(),
      days: v.optional(v.pipe(v.number(), v.minValue(1))),
    }),
    async run(deps, { identity, certificate, days }) {
      const { objectId } = await knownPrincipal(deps, identity);
      const expires = days === undefined ? undefined : deps.clock.now() + days * day;
      return credentialView(await addCertificate(userDeps(deps), { objectId, certificate, expires }));
    },
  }),
  'identity add-federated': operation({
    audit: 'FederatedCredentialCreate',
    input: v.strictObject({
      identity: v.string(),
      name: v.string(),
      issuer: v.string(),
      subject: v.string(),
      audience: v.optional(v.string()),
    }),
    async run(deps, { identity, name, issuer, subject, audience = usualAudience }) {
      const { objectId } = await knownPrincipal(deps, identity);
      const input = { name, issuer, subject, audiences: [audience] };
      return credentialView(await addFederated(userDeps(deps), objectId, input));
    },
  }),
  'identity enable': operation({
    audit: 'PrincipalEnable',
    input: ofIdentity,
    run: (deps, { identity }) => enable(deps, identity, true),
  }),
  'identity disable': operation({
    audit: 'PrincipalDisable',
    input: ofIdentity,
    run: (deps, { identity }) => enable(deps, identity, false),
  }),
  'identity delete': operation({
    audit: 'PrincipalDelete',
    input: ofIdentity,
    async run(deps, { identity }) {
      const { objectId } = await knownPrincipal(deps, identity);
      await deletePrincipal(deps.principals, objectId);
      return { removed: objectId };
    },
  }),
  'identity directory-admin': operation({
    audit: 'DirectoryAdministratorSet',
    input: v.strictObject({ identity: v.string(), revoke: v.optional(v.boolean()) }),
    async run(deps, { identity, revoke }) {
      const { objectId } = await knownPrincipal(deps, identity);
      return principalView(await setDirectoryAdministrator(deps, objectId, revoke !== true));
    },
  }),
};

function userDeps({ principals, clock, random, hasher }: ControlDeps) {
  return { store: principals, clock, random, hasher };
}

async function both(deps: ControlDeps, { group, member }: { group: string; member: string }) {
  return [await knownPrincipal(deps, group), await knownPrincipal(deps, member)] as const;
}

async function enable(deps: ControlDeps, identity: string, enabled: boolean): Promise<object> {
  const { objectId } = await knownPrincipal(deps, identity);
  return principalView(await setEnabled(deps.principals, objectId, enabled));
}

/** A group cannot be one: whoever may change its members would be able to make himself an administrator. */
function setDirectoryAdministrator(deps: ControlDeps, objectId: string, isOne: boolean) {
  return changePrincipal(deps.principals, objectId, (was) => {
    if (was.kind === 'group')
      throw new Failure(
        'badParameter',
        'A group cannot administer the directory, only its members one by one.',
      );
    const { directoryAdministrator: _was, ...detail } = was.detail;
    return { ...was, detail: isOne ? { ...detail, directoryAdministrator: true } : detail };
  });
}

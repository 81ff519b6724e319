/** Proves who is let in by roles and by access policies, and that each refusal says what Azure's says. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Failure } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import type { AccessPolicy } from './access-policies.ts';
import { type Action, secretActions } from './actions.ts';
import { assertNetworkAllows, authorize, type ProtectedVault, type Target, vaultScope } from './authorize.ts';
import { builtInRoles } from './built-in-roles.ts';
import { assertGranted, grantRequest, systemGrant } from './grant.ts';
import { compileNetworkRules, openNetwork } from './network-rules.ts';
import { rolesFrom } from './principal-roles.ts';
import type { RoleAssignment } from './role-assignments.ts';
import { findRole, rolePermits } from './roles.ts';

const tenantId = '10000000-0000-4000-8000-000000000000';
const otherTenant = '20000000-0000-4000-8000-000000000000';
const principal: Principal = {
  objectId: '30000000-0000-4000-8000-000000000000',
  tenantId,
  appId: '40000000-0000-4000-8000-000000000000',
  kind: 'application',
  issuer: `https://sts.windows.net/${tenantId}/`,
  userName: undefined,
  groups: [],
};
const rbacVault: ProtectedVault = {
  id: 'v',
  name: 'MyVault',
  tenantId,
  subscriptionId: '50000000-0000-4000-8000-000000000000',
  resourceGroup: 'MyGroup',
  location: 'local',
  enableRbacAuthorization: true,
  accessPolicies: [],
  publicNetworkAccess: 'Enabled',
  networkCheck: compileNetworkRules(openNetwork),
};
const secret: Target = { kind: 'secrets', name: 'MySecret' };

function assignment(
  role: string,
  scope = vaultScope(rbacVault),
  more: Partial<RoleAssignment> = {},
): RoleAssignment {
  const roleId = findRole(role)?.id ?? 'unknown';
  return {
    id: `${role} at ${scope}`,
    tenantId,
    principalId: principal.objectId,
    roleId,
    scope,
    created: 0,
    ...more,
  };
}

function refusalOf(work: () => unknown): Failure {
  try {
    work();
  } catch (error) {
    if (error instanceof Failure) return error;
  }
  throw new Error('it was not refused');
}

describe('with roles', () => {
  const ask = (assignments: readonly RoleAssignment[], action: Action = secretActions.get, target = secret) =>
    authorize({ vault: rbacVault, principal, action, target }, rolesFrom({ assignments }));
  const group = `/subscriptions/${rbacVault.subscriptionId}/resourceGroups/mygroup`;

  it.each([
    ['Key Vault Secrets User', '/'],
    ['Key Vault Secrets Officer', `/subscriptions/${rbacVault.subscriptionId}`],
    ['Key Vault Administrator', group],
    ['Key Vault Secrets User', vaultScope(rbacVault)],
    ['Key Vault Secrets User', `${vaultScope(rbacVault)}/secrets/mysecret`],
  ])('%s at %s may read a secret', (role, scope) => {
    expect(ask([assignment('Key Vault Reader'), assignment(role, scope)])).toBe(`${role} at ${scope}`);
  });

  it.each([
    ['a role that cannot', assignment('Key Vault Reader')],
    ['a role that only manages', assignment('Key Vault Contributor')],
    ['a role nobody knows', assignment('Owner of Everything')],
    [
      'a role at another secret',
      assignment('Key Vault Secrets User', `${vaultScope(rbacVault)}/secrets/other`),
    ],
    ['a role at another vault', assignment('Key Vault Secrets User', `${vaultScope(rbacVault)}2`)],
    ['a role of another tenant', assignment('Key Vault Administrator', '/', { tenantId: otherTenant })],
  ])('%s does not', (_what, given) => {
    expect(refusalOf(() => ask([given])).kind).toBe('forbiddenByRbac');
  });

  it('a role at one secret allows nothing on the vault as a whole', () => {
    const given = [assignment('Key Vault Secrets Officer', `${vaultScope(rbacVault)}/secrets/mysecret`)];
    const whole = { kind: 'secrets', name: undefined };
    expect(refusalOf(() => ask(given, secretActions.list, whole)).kind).toBe('forbiddenByRbac');
    expect(ask(given, secretActions.set)).toBeDefined();
    expect(refusalOf(() => ask(given, secretActions.list, whole)).kind).toBe('forbiddenByRbac');
  });

  it('the answer for one vault, action or name is not that for another', () => {
    const given = [assignment('Key Vault Secrets User', `${vaultScope(rbacVault)}/secrets/mysecret`)];
    expect(ask(given)).toBeDefined();
    expect(refusalOf(() => ask(given, secretActions.get, { kind: 'secrets', name: 'other' })).kind).toBe(
      'forbiddenByRbac',
    );
    const wide = [assignment('Key Vault Secrets User')];
    expect(ask(wide)).toBeDefined();
    expect(refusalOf(() => ask(wide, secretActions.set)).kind).toBe('forbiddenByRbac');
    const vault = { ...rbacVault, id: 'w', name: 'OtherVault' };
    const elsewhere = { vault, principal, action: secretActions.get, target: secret };
    expect(refusalOf(() => authorize(elsewhere, rolesFrom({ assignments: wide }))).kind).toBe(
      'forbiddenByRbac',
    );
  });

  it('access policies count for nothing', () => {
    const policy = { tenantId, objectId: principal.objectId, permissions: { secrets: ['all'] } };
    const vault = { ...rbacVault, accessPolicies: [policy] };
    const question = { vault, principal, action: secretActions.get, target: secret };
    expect(refusalOf(() => authorize(question, rolesFrom({ assignments: [] }))).kind).toBe('forbiddenByRbac');
  });

  it('the refusal names caller, action and resource, in the folding that Azure gives them', () => {
    expect(refusalOf(() => ask([])).message).toBe(
      [
        'Caller is not authorized to perform action on resource.',
        'If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
        `Caller: appid=${principal.appId};oid=${principal.objectId};iss=${principal.issuer}`,
        "Action: 'Microsoft.KeyVault/vaults/secrets/getSecret/action'",
        `Resource: '/subscriptions/${rbacVault.subscriptionId}/resourcegroups/mygroup/providers/microsoft.keyvault/vaults/myvault/secrets/MySecret'`,
        'Assignment: (not found)',
        'DenyAssignmentId: null',
        'DecisionReason: null ',
        'Vault: MyVault;location=local',
        '',
      ].join('\r\n'),
    );
  });
});

describe('with access policies', () => {
  const ask = (policies: readonly AccessPolicy[], action: Action = secretActions.get, caller = principal) => {
    const vault = { ...rbacVault, enableRbacAuthorization: false, accessPolicies: policies };
    const assignments = [assignment('Key Vault Administrator', '/')];
    const roles = rolesFrom({ assignments, groups: caller.groups });
    return authorize({ vault, principal: caller, action, target: secret }, roles);
  };
  const policy = (secrets: readonly string[], more: Partial<AccessPolicy> = {}): AccessPolicy => ({
    tenantId,
    objectId: principal.objectId,
    permissions: { secrets },
    ...more,
  });

  it('the permission of the kind is what counts', () => {
    expect(ask([policy(['list', 'get'])])).toBeUndefined();
    expect(refusalOf(() => ask([policy(['list'])])).kind).toBe('forbiddenByPolicy');
    expect(refusalOf(() => ask([policy([], { permissions: { keys: ['get', 'all'] } })])).kind).toBe(
      'forbiddenByPolicy',
    );
  });

  it('`all` is all but purge', () => {
    for (const action of Object.values(secretActions)) {
      if (action.permission === 'purge')
        expect(refusalOf(() => ask([policy(['all'])], action)).kind).toBe('forbiddenByPolicy');
      else expect(ask([policy(['all'])], action)).toBeUndefined();
    }
    expect(ask([policy(['purge'])], secretActions.purge)).toBeUndefined();
  });

  it('a policy of nobody, of another tenant or for another application is not ours', () => {
    for (const other of [
      [],
      [policy(['all'], { objectId: otherTenant })],
      [policy(['all'], { tenantId: otherTenant })],
      [policy(['all'], { applicationId: otherTenant })],
    ]) {
      expect(refusalOf(() => ask(other)).kind).toBe('accessDenied');
    }
    expect(ask([policy(['get'], { applicationId: principal.appId })])).toBeUndefined();
  });

  it('groups and several policies of one caller add up', () => {
    const member = { ...principal, groups: ['g1', 'g2'] };
    expect(ask([policy(['get'], { objectId: 'g2' })], secretActions.get, member)).toBeUndefined();
    expect(
      ask([policy(['list']), policy(['get'], { objectId: 'g1' })], secretActions.get, member),
    ).toBeUndefined();
    expect(refusalOf(() => ask([policy(['get'], { objectId: 'g3' })], secretActions.get, member)).kind).toBe(
      'accessDenied',
    );
  });

  it('groups are those that the roles were made with, whatever the token says', () => {
    const vault = {
      ...rbacVault,
      enableRbacAuthorization: false,
      accessPolicies: [policy(['get'], { objectId: 'g1' })],
    };
    const question = (groups: string[]) => ({
      ...{ vault, principal: { ...principal, groups }, action: secretActions.get, target: secret },
    });
    const roles = (groups: string[]) => rolesFrom({ assignments: [], groups });
    expect(authorize(question([]), roles(['g1']))).toBeUndefined();
    expect(refusalOf(() => authorize(question(['g1']), roles([]))).kind).toBe('accessDenied');
  });

  it('the same roles, asked for another application, another action and another tenant, answer for that', () => {
    const applicationId = principal.appId;
    const vault = {
      ...rbacVault,
      ...{ enableRbacAuthorization: false, accessPolicies: [policy(['get'], { applicationId })] },
    };
    const roles = rolesFrom({ assignments: [] });
    const asks = (caller: Principal, action: Action = secretActions.get) =>
      authorize({ vault, principal: caller, action, target: secret }, roles);
    expect(asks(principal)).toBeUndefined();
    expect(refusalOf(() => asks({ ...principal, appId: otherTenant })).kind).toBe('accessDenied');
    expect(refusalOf(() => asks({ ...principal, tenantId: otherTenant })).kind).toBe('accessDenied');
    expect(refusalOf(() => asks(principal, secretActions.set)).kind).toBe('forbiddenByPolicy');
    expect(asks(principal)).toBeUndefined();
  });

  it('the refusal names the permission; that of a user counts the groups', () => {
    const text = (groups: string) =>
      `The user, group or application 'appid=${principal.appId};oid=${principal.objectId};${groups}iss=${principal.issuer}' does not have secrets get permission on key vault 'MyVault;location=local'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`;
    expect(refusalOf(() => ask([policy(['list'])])).message).toBe(text(''));
    const user: Principal = { ...principal, kind: 'user', groups: ['g1', 'g2'] };
    expect(refusalOf(() => ask([], secretActions.get, user)).message).toBe(text('numgroups=2;'));
  });
});

describe('the network', () => {
  it('refuses every address when public access is disabled, with the caller named', () => {
    const vault = { ...rbacVault, publicNetworkAccess: 'Disabled' as const };
    const failure = refusalOf(() => assertNetworkAllows(vault, principal, '192.0.2.1'));
    expect(failure.kind).toBe('forbiddenByConnection');
    expect(failure.message).toBe(
      `Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\nCaller: appid=${principal.appId};oid=${principal.objectId};iss=${principal.issuer}\r\nVault: MyVault;location=local`,
    );
  });

  it('refuses an address outside the rules, and says which', () => {
    const rules = { defaultAction: 'Deny', bypass: 'AzureServices', ipRules: ['192.0.2.0/24'] } as const;
    const vault = { ...rbacVault, networkCheck: compileNetworkRules(rules) };
    expect(() => assertNetworkAllows(vault, principal, '192.0.2.1')).not.toThrow();
    const failure = refusalOf(() => assertNetworkAllows(vault, principal, '198.51.100.7'));
    expect(failure.kind).toBe('forbiddenByFirewall');
    expect(failure.message).toContain('Client address: 198.51.100.7\r\nCaller: appid=');
  });
});

describe('roles', () => {
  it('are found by id and by name in any case, and nothing else is', () => {
    for (const role of builtInRoles) {
      expect(findRole(role.id.toUpperCase())).toBe(role);
      expect(findRole(role.name.toLowerCase())).toBe(role);
    }
    for (const name of ['', 'Own', '__proto__', 'constructor']) expect(findRole(name)).toBeUndefined();
  });

  it('reach as far as their wildcards and no further', () => {
    const allows = (name: string, dataAction: string) => {
      const role = findRole(name);
      return role !== undefined && rolePermits(role, 'dataAction', dataAction);
    };
    const officer = 'Key Vault Secrets Officer';
    expect(allows(officer, 'Microsoft.KeyVault/vaults/secrets/backup/action')).toBe(true);
    expect(allows(officer, 'microsoft.keyvault/VAULTS/Secrets/delete')).toBe(true);
    for (const action of [
      'Microsoft.KeyVault/vaults/secretsX/delete',
      'Microsoft.KeyVault/vaults/keys/secrets/delete',
      'xMicrosoft.KeyVault/vaults/secrets/delete',
      'MicrosoftXKeyVault/vaults/secrets/delete',
      '',
    ]) {
      expect([action, allows(officer, action)]).toEqual([action, false]);
    }
    const reader = 'Key Vault Reader';
    expect(allows(reader, 'Microsoft.KeyVault/vaults/keys/read')).toBe(true);
    expect(allows(reader, 'Microsoft.KeyVault/vaults/secrets/getSecret/action')).toBe(false);
  });
});

describe('patterns of actions', () => {
  const none = { notActions: [], dataActions: [], notDataActions: [], condition: undefined };
  const role = (actions: string[], notActions: string[] = []) => ({
    ...{ ...none, id: 'r', name: 'r', description: '', tenantId, assignableScopes: ['/'] },
    ...{ actions, notActions },
  });
  const permits = (pattern: string, action: string) => rolePermits(role([pattern]), 'action', action);

  it.each([
    ['*', '', true],
    ['*', 'a/b', true],
    ['a/*', 'A/b/c', true],
    ['a/*', 'a/', true],
    ['a/*', 'a', false],
    ['*/read', 'a/b/read', true],
    ['*/read', 'a/b/read/action', false],
    ['a/*/read', 'a/read', true],
    ['A/*/READ', 'a/read', true],
    ['a/*/read', 'a/read/action', false],
    ['a/*/read', 'read', false],
    ['a/*/read', 'ab/read', false],
    ['a*b/*/read', 'aXb/read', true],
    ['a/*/read/action', 'a/read/action', false],
    ['a/*/write', 'a/write', false],
    ['a/*/delete', 'a/delete', false],
    ['a/*/read', 'a//read', true],
    ['a/*/read', 'a/b/c/read', true],
    ['ab*ba', 'aba', false],
    ['ab*ba', 'abba', true],
    ['a*b*c', 'aXbXbXc', true],
    ['a*b*c', 'aXcXb', false],
    ['a.c', 'abc', false],
    ['a+', 'aa', false],
    ['', '', true],
    ['', 'a', false],
  ])('%j and %j: %j', (pattern, action, expected) => {
    expect(permits(pattern, action)).toBe(expected);
  });

  it('many stars over a long action that does not fit end soon', () => {
    expect(permits(`${'a*'.repeat(200)}b`, 'a'.repeat(5000))).toBe(false);
  });

  it('agree with the regular expression that says the same', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', '/', '*'), { maxLength: 8 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, text, (pattern, action) => {
        const same = new RegExp(`^${pattern.split('*').join('[^]*')}$`);
        expect(permits(pattern, action)).toBe(same.test(action));
      }),
      { numRuns: 2000 },
    );
  });

  it('what is taken away is taken from its own role only', () => {
    const contributor = role(['*'], ['Microsoft.Authorization/*/Write']);
    expect(rolePermits(contributor, 'action', 'microsoft.authorization/roleassignments/write')).toBe(false);
    expect(rolePermits(contributor, 'action', 'Microsoft.Authorization/roleAssignments/read')).toBe(true);
    expect(rolePermits(contributor, 'dataAction', 'Microsoft.KeyVault/vaults/secrets/getSecret/action')).toBe(
      false,
    );
  });
});

describe('a grant', () => {
  it('carries what was asked, is made only when that is allowed, and is good for its action only', () => {
    const question = { vault: rbacVault, principal, action: secretActions.get, target: secret };
    const given = assignment('Key Vault Secrets User');
    const grant = grantRequest(question, rolesFrom({ assignments: [given] }));
    expect(grant).toMatchObject({ action: secretActions.get, target: secret, assignmentId: given.id });
    expect(refusalOf(() => grantRequest(question, rolesFrom({ assignments: [] }))).kind).toBe(
      'forbiddenByRbac',
    );
    expect(() => assertGranted(grant, secretActions.list, secretActions.get)).not.toThrow();
    expect(() => assertGranted(grant, secretActions.set)).toThrow(TypeError);
    // The same words are not the same row: two operations share `readMetadata`.
    expect(() =>
      assertGranted(systemGrant(rbacVault, secretActions.list, secret), secretActions.getDeleted),
    ).toThrow();
  });
});

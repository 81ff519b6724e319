/** Proves who may do what on the management plane, by role, scope, tenant and condition, and that nothing else may. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { isFailure } from '../core/errors.ts';
import type { Principal } from '../core/principal.ts';
import { secretActions } from './actions.ts';
import { authorize, type ProtectedVault, vaultScope } from './authorize.ts';
import { allowingAssignment, authorizeManagement } from './authorize-management.ts';
import { builtInRoles } from './built-in-roles.ts';
import { managementActions } from './management-actions.ts';
import { compileNetworkRules, openNetwork } from './network-rules.ts';
import { rolesFrom } from './principal-roles.ts';
import type { RoleAssignment } from './role-assignments.ts';
import { findRole, type Role, rolePermits } from './roles.ts';

const tenantId = '10000000-0000-4000-8000-000000000000';
const otherTenant = '20000000-0000-4000-8000-000000000000';
const subscription = '/subscriptions/50000000-0000-4000-8000-000000000000';
const group = `${subscription}/resourceGroups/rg1`;
const vault = `${group}/providers/Microsoft.KeyVault/vaults/kv1`;
const writeVault = 'Microsoft.KeyVault/vaults/write';
const writeAssignment = 'Microsoft.Authorization/roleAssignments/write';
const principal: Principal = {
  ...{ objectId: '30000000-0000-4000-8000-000000000000', tenantId, appId: undefined, kind: 'user' },
  ...{ issuer: 'i', userName: 'someone@example.com', groups: [] },
};

function assignment(role: string, scope: string, more: Partial<RoleAssignment> = {}): RoleAssignment {
  const roleId = findRole(role)?.id ?? role;
  const id = `${role} at ${scope}`;
  return { id, tenantId, principalId: principal.objectId, roleId, scope, created: 0, ...more };
}

function customRole(more: Partial<Role>): Role {
  return {
    ...{ id: 'custom', name: 'custom', description: '', tenantId, condition: undefined },
    ...{ actions: [], notActions: [], dataActions: [], notDataActions: [] },
    ...{ assignableScopes: [subscription], ...more },
  };
}

function may(assignments: readonly RoleAssignment[], action: string, scope: string): boolean {
  return allowingAssignment({ principal, action, scope }, rolesFrom({ assignments })) !== undefined;
}

describe('scopes', () => {
  it.each([
    ['/', vault],
    [`/providers/Microsoft.Management/managementGroups/${tenantId}`, vault],
    [subscription, vault],
    [group.toUpperCase(), vault],
    [vault, `${vault}/secrets/a`],
    [vault, vault.toUpperCase()],
    ['/', '/'],
    ['/', ''],
  ])('a role at %s reaches %s', (scope, target) => {
    expect(may([assignment('Owner', scope)], writeVault, target)).toBe(true);
  });

  it.each([
    [vault, group],
    [vault, `${vault}0`],
    [`${vault}0`, vault],
    [`${group}0`, vault],
    [`${subscription.slice(0, -1)}1`, vault],
    [`/providers/Microsoft.Management/managementGroups/${otherTenant}`, vault],
    [`/providers/Microsoft.Management/managementGroups/${tenantId}`, '/'],
    [subscription, '/'],
    ['', vault],
    ['//', vault],
  ])('a role at %j does not reach %j', (scope, target) => {
    expect(may([assignment('Owner', scope)], writeVault, target)).toBe(false);
  });
});

test('every built-in role allows by an assignment what the role says, and nothing else', () => {
  for (const role of builtInRoles.filter(({ condition }) => condition === undefined)) {
    for (const action of managementActions) {
      const allowed = may([assignment(role.name, group)], action, vault);
      expect([role.name, action, allowed]).toEqual([role.name, action, rolePermits(role, 'action', action)]);
    }
  }
});

test('the refusal names client, action and scope', () => {
  const named = { principal, action: writeVault, scope: vault };
  const refused = (of: Principal) => {
    try {
      authorizeManagement({ ...named, principal: of }, rolesFrom({ assignments: [] }));
    } catch (error) {
      if (isFailure(error, 'authorizationFailed')) return error.message;
    }
    throw new Error('it was not refused');
  };
  const rest = `with object id '${principal.objectId}' does not have authorization to perform action '${writeVault}' over scope '${vault}' or the scope is invalid. If access was recently granted, please refresh your credentials.`;
  expect(refused(principal)).toBe(`The client 'someone@example.com' ${rest}`);
  expect(refused({ ...principal, userName: undefined })).toBe(`The client '${principal.objectId}' ${rest}`);
});

describe('tenants', () => {
  it('an assignment of another tenant counts for nothing, and nobody acts in another tenant', () => {
    expect(may([assignment('Owner', '/', { tenantId: otherTenant })], writeVault, vault)).toBe(false);
    const roles = rolesFrom({
      assignments: [assignment('Owner', '/'), assignment('Owner', '/', { tenantId: otherTenant })],
    });
    const question = { principal, action: writeVault, scope: vault };
    expect(allowingAssignment({ ...question, tenantId }, roles)).toBeDefined();
    expect(allowingAssignment({ ...question, tenantId: otherTenant }, roles)).toBeUndefined();
  });

  it("a tenant's own role counts in its tenant only, and where it is assignable", () => {
    const roleId = 'custom';
    const mayWith = (role: Role, given: RoleAssignment) => {
      const roles = rolesFrom({ assignments: [given], customRoles: [role] });
      return allowingAssignment({ principal, action: writeVault, scope: vault }, roles) !== undefined;
    };
    const role = customRole({ actions: ['Microsoft.KeyVault/*'], notActions: ['*/delete'] });
    const given = assignment(roleId, group);
    expect(mayWith(role, given)).toBe(true);
    expect(mayWith({ ...role, tenantId: otherTenant }, given)).toBe(false);
    expect(mayWith({ ...role, assignableScopes: [`${group}0`] }, given)).toBe(false);
    expect(mayWith({ ...role, assignableScopes: [group] }, assignment(roleId, subscription))).toBe(false);
    expect(mayWith({ ...role, id: 'other' }, given)).toBe(false);
    expect(mayWith({ ...role, notActions: ['*/WRITE'] }, given)).toBe(false);
    expect(mayWith({ ...role, actions: [], dataActions: ['*'] }, given)).toBe(false);
  });
});

describe('conditions', () => {
  const reader = findRole('Key Vault Reader')?.id ?? '';
  const owner = findRole('Owner')?.id ?? '';
  const ask = (given: RoleAssignment, request: Parameters<typeof allowingAssignment>[0]['request']) => {
    const question = { principal, action: writeAssignment, scope: vault };
    const asked = request === undefined ? question : { ...question, request };
    return allowingAssignment(asked, rolesFrom({ assignments: [given] })) !== undefined;
  };
  const delegate = assignment('Key Vault Data Access Administrator', group);

  it('hold for what is asked, fail for the rest, and fail closed', () => {
    expect(ask(delegate, { Request: { RoleDefinitionId: reader } })).toBe(true);
    expect(ask(delegate, { Request: { RoleDefinitionId: owner } })).toBe(false);
    expect(ask(delegate, { Resource: { RoleDefinitionId: reader } })).toBe(false);
    expect(ask(delegate, {})).toBe(false);
    expect(ask(delegate, undefined)).toBe(false);
    expect(ask(delegate, 'pending')).toBe(true);
  });

  it("an assignment's own condition counts besides its role's", () => {
    const principalId = '@Request[Microsoft.Authorization/roleAssignments:PrincipalId]';
    const condition = `${principalId} ForAnyOfAllValues:GuidNotEquals{${principal.objectId}}`;
    const given = { ...delegate, condition };
    const request = (PrincipalId: string) => ({ Request: { RoleDefinitionId: reader, PrincipalId } });
    expect(ask(given, request(otherTenant))).toBe(true);
    expect(ask(given, request(principal.objectId.toUpperCase()))).toBe(false);
    expect(ask({ ...given, condition: 'no condition' }, request(otherTenant))).toBe(false);
    expect(ask({ ...given, condition: 'no condition' }, 'pending')).toBe(false);
  });

  it('do not bind what they do not speak of, and do not bind other assignments', () => {
    expect(may([delegate], 'Microsoft.KeyVault/vaults/keys/read', vault)).toBe(true);
    const assignments = [delegate, assignment('Owner', group)];
    expect(may(assignments, writeAssignment, vault)).toBe(true);
    expect(may([...assignments].reverse(), writeAssignment, vault)).toBe(true);
  });
});

describe('properties', () => {
  const scopes = [
    '/',
    subscription,
    group,
    `${group}0`,
    vault,
    `${vault}0`,
    `${vault}/secrets/a`,
    `${vault}/secrets`,
  ];
  const anyScope = fc.constantFrom(...scopes, '', 'x', '//', `${vault}/`);
  const anyRole = fc.constantFrom(...builtInRoles.map(({ name }) => name), 'unknown', '__proto__');
  const anyAssignment = fc
    .tuple(
      anyRole,
      anyScope,
      fc.constantFrom(tenantId, otherTenant),
      fc.option(fc.string(), { nil: undefined }),
    )
    .map(([role, scope, of, condition]) => assignment(role, scope, { tenantId: of, condition }));
  const anyAction = fc.constantFrom(...managementActions, 'x', '', '__proto__');
  const someAssignments = fc.array(anyAssignment, { maxLength: 6 });

  it('a decision is never thrown but as a refusal', () => {
    fc.assert(
      fc.property(
        someAssignments,
        anyAction,
        fc.oneof(anyScope, fc.string()),
        (assignments, action, scope) => {
          try {
            authorizeManagement({ principal, action, scope }, rolesFrom({ assignments }));
          } catch (error) {
            expect(isFailure(error, 'authorizationFailed')).toBe(true);
          }
        },
      ),
    );
  });

  it('one more assignment never takes a permission away', () => {
    fc.assert(
      fc.property(someAssignments, anyAssignment, anyAction, anyScope, (assignments, more, action, scope) => {
        if (may(assignments, action, scope)) expect(may([...assignments, more], action, scope)).toBe(true);
      }),
    );
  });

  it('what is remembered of one vault, object or action is never the answer for another', () => {
    const record = (name: string, of: string): ProtectedVault => ({
      ...{ id: name, name, tenantId: of, subscriptionId: subscription.slice('/subscriptions/'.length) },
      ...{ resourceGroup: 'rg1', location: 'local', enableRbacAuthorization: true, accessPolicies: [] },
      ...{ publicNetworkAccess: 'Enabled' as const, networkCheck: compileNetworkRules(openNetwork) },
    });
    const vaults = [record('kv1', tenantId), record('kv10', tenantId), record('kv1', otherTenant)];
    const question = fc.record({
      vault: fc.constantFrom(...vaults),
      action: fc.constantFrom(...Object.values(secretActions)),
      target: fc.record({
        kind: fc.constantFrom('secrets', 'keys'),
        name: fc.constantFrom(undefined, 'a', 'A', 'b'),
      }),
    });
    const outcome = (work: () => unknown) => {
      try {
        return [work()];
      } catch (error) {
        return isFailure(error, 'forbiddenByRbac');
      }
    };
    expect(vaultScope(record('kv1', tenantId))).toBe(vault);
    fc.assert(
      fc.property(someAssignments, fc.array(question, { maxLength: 12 }), (assignments, questions) => {
        const shared = rolesFrom({ assignments });
        for (const asked of questions) {
          const fresh = outcome(() => authorize({ ...asked, principal }, rolesFrom({ assignments })));
          expect(outcome(() => authorize({ ...asked, principal }, shared))).toEqual(fresh);
        }
      }),
    );
  });
});

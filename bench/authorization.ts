/**
 * What a decision on a role costs a principal with many assignments and groups, beside one with a single assignment:
 * `node bench/authorization.ts`. Both are timed in turn, so that what else the machine does falls on both.
 */
import { secretActions } from '../src/authorization/actions.ts';
import { authorize, type ProtectedVault, vaultScope } from '../src/authorization/authorize.ts';
import { allowingAssignment } from '../src/authorization/authorize-management.ts';
import { compileNetworkRules, openNetwork } from '../src/authorization/network-rules.ts';
import { type PrincipalRoles, rolesFrom } from '../src/authorization/principal-roles.ts';
import type { RoleAssignment } from '../src/authorization/role-assignments.ts';
import { findRole } from '../src/authorization/roles.ts';
import type { Principal } from '../src/core/principal.ts';

const tenantId = '10000000-0000-4000-8000-000000000000';
const subscriptionId = '50000000-0000-4000-8000-000000000000';
const rounds = 41;
const perRound = 200_000;
const bound = 1.2;

function guid(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

const principal: Principal = {
  ...{ objectId: guid(1), tenantId, appId: guid(2), kind: 'user', issuer: 'i', userName: 'u', groups: [] },
};

function vaultOf(n: number, enableRbacAuthorization: boolean): ProtectedVault {
  return {
    ...{ id: guid(n), name: `kv${n}`, tenantId, subscriptionId, resourceGroup: 'rg', location: 'local' },
    ...{
      enableRbacAuthorization,
      accessPolicies: [{ tenantId, objectId: guid(1), permissions: { secrets: ['get'] } }],
    },
    ...{ publicNetworkAccess: 'Enabled' as const, networkCheck: compileNetworkRules(openNetwork) },
  };
}

const rbac = vaultOf(0, true);
const policies = vaultOf(0, false);
const roleOf = (name: string) => findRole(name)?.id ?? '';

function assignment(n: number, roleName: string, scope: string): RoleAssignment {
  return { id: guid(n), tenantId, principalId: guid(1), roleId: roleOf(roleName), scope, created: 0 };
}

/** What decides, last: whoever looks through the assignments one by one looks at all of them. */
function rolesWith(count: number, groups: number, decisive: readonly RoleAssignment[]): PrincipalRoles {
  const others = Array.from({ length: count - decisive.length }, (_, n) =>
    assignment(n, n % 2 === 0 ? 'Key Vault Secrets User' : 'Contributor', vaultScope(vaultOf(n + 1, true))),
  );
  return rolesFrom({
    assignments: [...others, ...decisive],
    groups: Array.from({ length: groups }, (_, n) => guid(10_000 + n)),
  });
}

const onSecret = { principal, action: secretActions.get, target: { kind: 'secrets', name: 'one' } } as const;
const write = { principal, action: 'Microsoft.KeyVault/vaults/write', scope: vaultScope(rbac) };

const cases: readonly [string, RoleAssignment, (roles: PrincipalRoles) => unknown][] = [
  [
    'a secret, by a role on its vault',
    assignment(5000, 'Key Vault Secrets User', vaultScope(rbac)),
    (roles) => authorize({ ...onSecret, vault: rbac }, roles),
  ],
  [
    'a secret, by a role on the secret',
    assignment(5000, 'Key Vault Secrets User', `${vaultScope(rbac)}/secrets/one`),
    (roles) => authorize({ ...onSecret, vault: rbac }, roles),
  ],
  [
    'a secret, by an access policy',
    assignment(5000, 'Reader', vaultScope(rbac)),
    (roles) => authorize({ ...onSecret, vault: policies }, roles) ?? 'allowed',
  ],
  [
    'a vault, on the management plane',
    assignment(5000, 'Contributor', vaultScope(rbac)),
    (roles) => allowingAssignment(write, roles),
  ],
];

/** Nanoseconds of one decision. */
function time(decide: (roles: PrincipalRoles) => unknown, roles: PrincipalRoles): number {
  const start = process.hrtime.bigint();
  for (let n = 0; n < perRound; n += 1)
    if (decide(roles) === undefined) throw new Error('it was not allowed');
  return Number(process.hrtime.bigint() - start) / perRound;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

console.log('1,000 assignments and 100 groups, beside 1 assignment and none (medians, ns for each decision)');
let isWithin = true;
for (const [what, decisive, decide] of cases) {
  const [few, many] = [rolesWith(1, 0, [decisive]), rolesWith(1000, 100, [decisive])];
  const samples = Array.from({ length: rounds }, () => [time(decide, few), time(decide, many)] as const);
  // The first rounds are the compiler's.
  const counted = samples.slice(5);
  const ratio = median(counted.map(([one, other]) => other / one));
  isWithin &&= ratio <= bound;
  const [one, other] = [median(counted.map(([a]) => a)), median(counted.map(([, b]) => b))];
  console.log(
    `${what.padEnd(36)} ${one.toFixed(0).padStart(6)} ${other.toFixed(0).padStart(6)}   ratio ${ratio.toFixed(2)}`,
  );
}
const made = process.hrtime.bigint();
const fresh = rolesWith(1000, 100, []);
allowingAssignment(write, fresh);
const first = Number(process.hrtime.bigint() - made) / 1e6;
console.log(`compiling 1,000 assignments and the first decision: ${first.toFixed(2)} ms`);
console.log(`${isWithin ? 'within' : 'NOT within'} ${bound} times`);
if (!isWithin) process.exitCode = 1;

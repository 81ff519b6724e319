/**
 * A principal's roles, compiled for decisions whose cost does not grow with the number of assignments and groups: for
 * each action that was asked, the scopes at which it is allowed. Made anew whenever anything that it is made of changes.
 */
import type { AccessPolicy } from './access-policies.ts';
import { type Condition, type ConditionSubject, compileCondition } from './conditions.ts';
import type { RoleAssignment } from './role-assignments.ts';
import { isAssignable } from './role-definitions.ts';
import { type ActionKind, findRole, type Role, rolePermits } from './roles.ts';
import { keysAbove, scopeKey } from './scopes.ts';

/** An assignment whose role is known. */
export interface EffectiveAssignment {
  readonly assignment: RoleAssignment;
  readonly role: Role;
  /** The assignment's and the role's; all must hold. */
  readonly conditions: readonly Condition[];
}

/** Of one vault: what was found before. The objects of a vault that changes become others, and so nothing is outdated. */
export interface VaultDecisions {
  /** Data action → the assignment's id, or '' for none; on the vault as a whole. */
  readonly wide: Map<string, string>;
  /** The access policies that name the principal or one of its groups. */
  policies: readonly AccessPolicy[] | undefined;
  /** The vault's keys, the widest first; see `keysAbove`. */
  keys: readonly string[] | undefined;
}

export interface PrincipalRoles {
  /** Object ids of all groups of the principal, however they are nested. */
  readonly groups: readonly string[];
  readonly assignments: readonly EffectiveAssignment[];
  /** For `decisionsOn`, by a vault's record. */
  readonly ofVaults: WeakMap<object, VaultDecisions>;
  /** For `allowing`: kind and action → tenant and scope key → assignments. */
  readonly byAction: Map<string, ReadonlyMap<string, readonly EffectiveAssignment[]>>;
}

export interface RolesInput {
  readonly assignments: readonly RoleAssignment[];
  readonly groups?: readonly string[];
  /** Those that the assignments name; built-in roles need not be among them. */
  readonly customRoles?: readonly Role[];
}

export function rolesFrom({ assignments, groups = [], customRoles = [] }: RolesInput): PrincipalRoles {
  const custom = new Map(customRoles.map((role) => [role.id, role]));
  const effective = assignments.flatMap((assignment) => {
    const role = findRole(assignment.roleId) ?? custom.get(assignment.roleId);
    if (role === undefined || !countsAt(role, assignment)) return [];
    const texts = [assignment.condition, role.condition].filter((text) => text !== undefined);
    return [{ assignment, role, conditions: texts.map(compileCondition) }];
  });
  return { groups, assignments: effective, ofVaults: new WeakMap(), byAction: new Map() };
}

/**
 * A tenant's own role counts in its tenant and where it can be assigned, whatever was assigned before: who may write a
 * role where it is assignable must not decide on what it allows elsewhere.
 */
function countsAt(role: Role, { tenantId, scope }: RoleAssignment): boolean {
  return (
    role.tenantId === undefined ||
    (role.tenantId === tenantId && isAssignable(role, keysAbove(scope, tenantId)))
  );
}

export function decisionsOn(roles: PrincipalRoles, vault: object): VaultDecisions {
  const known = roles.ofVaults.get(vault);
  if (known !== undefined) return known;
  const made = { wide: new Map<string, string>(), policies: undefined, keys: undefined };
  roles.ofVaults.set(vault, made);
  return made;
}

/** What is asked: an action at a scope of a tenant. */
export interface Asked {
  readonly kind: ActionKind;
  /** One of a fixed list: what is asked once is remembered. */
  readonly action: string;
  readonly tenantId: string;
  /** Of the scope and all above it, as `keysAbove` gives them. */
  readonly keys: readonly string[];
  /** What conditions may ask about. */
  readonly subject?: ConditionSubject;
}

/**
 * The assignments that allow the action at one of the scopes. Those under a condition that does not hold, or of which it
 * cannot be told, are left out; with `pending`, only those whose conditions surely fail.
 */
export function* allowing(
  roles: PrincipalRoles,
  asked: Asked,
  pending = false,
): Generator<EffectiveAssignment, void> {
  const byScope = indexOf(roles, asked.kind, asked.action);
  for (const key of asked.keys) {
    for (const found of byScope.get(`${asked.tenantId} ${key}`) ?? []) {
      const verdicts = found.conditions.map((condition) => condition(asked.action, asked.subject ?? {}));
      if (verdicts.every((verdict) => verdict === 'holds' || (pending && verdict === 'unknown'))) yield found;
    }
  }
}

/** The first of `allowing`. */
export function allowingFirst(roles: PrincipalRoles, asked: Asked): EffectiveAssignment | undefined {
  for (const found of allowing(roles, asked)) return found;
  return undefined;
}

function indexOf(
  roles: PrincipalRoles,
  kind: ActionKind,
  action: string,
): ReadonlyMap<string, readonly EffectiveAssignment[]> {
  const name = `${kind} ${action}`;
  const known = roles.byAction.get(name);
  if (known !== undefined) return known;
  const made = new Map<string, EffectiveAssignment[]>();
  for (const effective of roles.assignments) {
    if (!rolePermits(effective.role, kind, action)) continue;
    const key = `${effective.assignment.tenantId} ${scopeKey(effective.assignment.scope)}`;
    const there = made.get(key);
    if (there === undefined) made.set(key, [effective]);
    // One that always counts makes the others at its scope needless, and many groups may have the same.
    else if (effective.conditions.length > 0) there.push(effective);
    else if (there[0]?.conditions.length !== 0) made.set(key, [effective]);
  }
  roles.byAction.set(name, made);
  return made;
}

/** What the principal's roles say at a scope, for the caller to see; conditions are not looked at. */
export function rolesAt(
  roles: PrincipalRoles,
  at: { scope: string; tenantId: string },
): readonly EffectiveAssignment[] {
  const keys = keysAbove(at.scope, at.tenantId);
  return roles.assignments.filter(
    ({ assignment }) => assignment.tenantId === at.tenantId && keys.includes(scopeKey(assignment.scope)),
  );
}

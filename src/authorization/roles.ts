/**
 * What a role allows: Azure's built-in roles and a tenant's own have one shape and one rule. An action is allowed if
 * one of the role's patterns covers it and none of those taken away does; other roles may still allow it.
 */
import { rememberByIdentity } from '../core/remember.ts';
import { builtInRoles } from './built-in-roles.ts';

/** `action`: management plane; `dataAction`: what is in a vault. */
export type ActionKind = 'action' | 'dataAction';

export interface Role {
  /** The role definition's GUID, lower case. */
  readonly id: string;
  readonly name: string;
  readonly description: string;
  /** The tenant whose custom role it is; undefined for the built-in ones, which are every tenant's. */
  readonly tenantId: string | undefined;
  readonly actions: readonly string[];
  readonly notActions: readonly string[];
  readonly dataActions: readonly string[];
  readonly notDataActions: readonly string[];
  /** What must hold besides, whatever the assignment says (`conditions.ts`). */
  readonly condition: string | undefined;
  /** Where it can be assigned: at these scopes and below. */
  readonly assignableScopes: readonly string[];
}

const byId = new Map(builtInRoles.map((entry) => [entry.id, entry]));
const byName = new Map(builtInRoles.map((entry) => [entry.name.toLowerCase(), entry]));

/** The built-in role with this GUID or this display name (without regard to case); undefined if there is none. */
export function findRole(idOrName: string): Role | undefined {
  const folded = idOrName.toLowerCase();
  return byId.get(folded) ?? byName.get(folded);
}

/** Whether the role has the action, its condition aside. */
export function rolePermits(role: Role, kind: ActionKind, action: string): boolean {
  const { given, taken } = compiled(role)[kind];
  const asked = action.toLowerCase();
  return given.some((pattern) => pattern(asked)) && !taken.some((pattern) => pattern(asked));
}

type Pattern = (foldedAction: string) => boolean;
interface Patterns {
  readonly given: readonly Pattern[];
  readonly taken: readonly Pattern[];
}

const compiled = rememberByIdentity((role: Role): Readonly<Record<ActionKind, Patterns>> => {
  return {
    action: { given: role.actions.map(patternOf), taken: role.notActions.map(patternOf) },
    dataAction: { given: role.dataActions.map(patternOf), taken: role.notDataActions.map(patternOf) },
  };
});

/**
 * What a pattern covers. One that ends in `/*\/read` covers the reading of what is before it, too: it is how Azure's
 * Key Vault Reader says that it reads vaults (docs/decisions/2026-11-22-reading-wildcards.md). No other verb does so.
 */
function patternOf(pattern: string): Pattern {
  const folded = pattern.toLowerCase();
  const covers = wildcardOf(folded);
  if (!folded.endsWith(readBelow)) return covers;
  const coversItself = wildcardOf(`${folded.slice(0, -readBelow.length)}/read`);
  return (action) => covers(action) || coversItself(action);
}

const readBelow = '/*/read';

/**
 * `*` stands for any characters, none and slashes included (shape of Azure's `*\/read`). Each part is taken where it
 * first fits, which is enough for such patterns and takes time in proportion to pattern and action: custom roles are
 * written by their users, and a regular expression could be made to take for ever.
 */
function wildcardOf(foldedPattern: string): Pattern {
  const [first = '', ...rest] = foldedPattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (action) => action === first;
  return (action) => {
    if (!action.startsWith(first)) return false;
    let from = first.length;
    for (const part of rest) {
      const at = action.indexOf(part, from);
      if (at < 0) return false;
      from = at + part.length;
    }
    return action.length - last.length >= from && action.endsWith(last);
  };
}

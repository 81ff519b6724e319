/** A tenant's own roles: what they may say, and the port to where they are kept. */
import { Failure } from '../core/errors.ts';
import type { Role } from './roles.ts';
import { parseScope, scopeKey } from './scopes.ts';

/** A custom role. */
export interface RoleDefinition extends Role {
  readonly tenantId: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly updated: number;
  /** Object ids of who wrote it first and last. */
  readonly createdBy: string;
  readonly updatedBy: string;
}

/**
 * `taken`: another role of the tenant has the name; `full`: the tenant has too many; `foreign`: the id is a tenant's;
 * `changed`: there is another role than `was`.
 */
export type PutRoleOutcome = 'created' | 'updated' | 'taken' | 'full' | 'foreign' | 'changed';

/** A custom role to be written, and the one that its writer was allowed to replace; undefined for none. */
export interface DefinitionWrite {
  readonly definition: RoleDefinition;
  readonly was: RoleDefinition | undefined;
  /** How many a tenant can have. */
  readonly most: number;
}

/** Azure's limit of custom roles in a tenant. */
export const mostDefinitions = 5000;

/** Port: custom roles. */
export interface RoleDefinitionStore {
  /** Those with these ids, in the order of their ids; unknown ones are left out. */
  byIds(ids: readonly string[]): Promise<readonly RoleDefinition[]>;
  /** In the order of their ids. */
  list(tenantId: string): Promise<readonly RoleDefinition[]>;
  /** Adds the role, or replaces the one with its id, which keeps its beginnings. */
  put(write: DefinitionWrite): Promise<PutRoleOutcome>;
  /** Removes the role if it is as it was, unless it is assigned anywhere. */
  remove(was: RoleDefinition): Promise<'removed' | 'missing' | 'assigned' | 'changed'>;
}

/** Azure: 512 characters of name, 2048 of description (its reference of role definitions). */
const longestName = 512;
const longestDescription = 2048;
/** What our storage and memory hold well; Azure's own limits of these are not documented. */
const mostPatterns = 2048;
const longestPattern = 512;
/** Azure's limit of assignable scopes. */
const mostScopes = 2000;

const pattern = /^[A-Za-z0-9_.*/-]+$/;

/** Throws for a custom role that says what it may not. Whether its scopes exist is not asked. */
export function assertValidRole(role: Role): void {
  if (role.name.trim() === '' || role.name.length > longestName || !isStorable(role.name))
    throw new Failure('badRoleDefinition', `The name of a role has 1 to ${longestName} characters.`);
  if (role.description.length > longestDescription)
    throw new Failure(
      'badRoleDefinition',
      `The description of a role has at most ${longestDescription} characters.`,
    );
  const all = [role.actions, role.notActions, role.dataActions, role.notDataActions];
  if (all.every((list) => list.length === 0))
    throw new Failure('badRoleDefinition', 'A role has at least one action or data action.');
  for (const list of all) assertValidPatterns(list);
  assertValidScopes(role);
}

/** No database holds half a surrogate pair, and PostgreSQL no U+0000; other control characters have no use in a name. */
function isStorable(text: string): boolean {
  return text.isWellFormed() && !/\p{Cc}/u.test(text);
}

function assertValidPatterns(list: readonly string[]): void {
  if (list.length > mostPatterns)
    throw new Failure('badRoleDefinition', `A role has at most ${mostPatterns} actions of each kind.`);
  for (const action of list) {
    if (action.indexOf('*') !== action.lastIndexOf('*'))
      throw new Failure(
        'invalidActionOrNotAction',
        `'${action.slice(0, longestPattern)}' contains multiple wildcards. Only one is allowed.`,
      );
    if (action.length <= longestPattern && pattern.test(action)) continue;
    throw new Failure(
      'invalidActionOrNotAction',
      `'${action.slice(0, longestPattern)}' does not match any of the actions supported by the providers.`,
    );
  }
}

function assertValidScopes({ assignableScopes, dataActions, notDataActions }: Role): void {
  if (assignableScopes.length === 0 || assignableScopes.length > mostScopes)
    throw new Failure('badRoleDefinition', `A role has 1 to ${mostScopes} assignable scopes.`);
  for (const text of assignableScopes) {
    const scope = parseScope(text);
    // Azure: a tenant's own roles cannot be assignable at the root.
    if (scope === undefined || scope.kind === 'root')
      throw new Failure('linkedInvalidPropertyId', `The assignable scope '${text}' is not valid.`);
    if (scope.kind === 'managementGroup' && dataActions.length + notDataActions.length > 0)
      throw new Failure(
        'badRoleDefinition',
        'A role with data actions cannot be assignable at a management group.',
      );
  }
}

/** Whether the role can be given at the scope: it or a scope above it is among its assignable ones. */
export function isAssignable(role: Role, above: readonly string[]): boolean {
  return role.assignableScopes.some((scope) => above.includes(scopeKey(scope)));
}

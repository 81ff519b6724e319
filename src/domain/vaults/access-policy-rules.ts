/** The rules of a vault's access policies, and the three ways of changing some of them. Pure functions. */
import {
  type AccessPolicy,
  certificatePermissions,
  keyPermissions,
  secretPermissions,
  storagePermissions,
} from '../../authorization/access-policies.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isGuid } from '../../core/names.ts';
import type { VaultRecord } from './vault.ts';

export type PolicyChange = 'add' | 'replace' | 'remove';

type Kind = keyof AccessPolicy['permissions'];

const names: Readonly<Record<Kind, readonly string[]>> = {
  keys: keyPermissions,
  secrets: secretPermissions,
  certificates: certificatePermissions,
  storage: storagePermissions,
};
const kinds = Object.keys(names) as Kind[];

const mostPolicies = 1024;

/** Throws for policies that a vault cannot have (LIMITS.md §4). */
export function assertPolicies({ accessPolicies, tenantId }: VaultRecord): void {
  if (accessPolicies.length > mostPolicies)
    throw invalid(`A vault has at most ${mostPolicies} access policies.`);
  const seen = new Set<string>();
  for (const policy of accessPolicies) {
    if (foldCase(policy.tenantId) !== tenantId)
      throw invalid("The tenantId of an access policy must be the vault's.");
    if (!isGuid(policy.objectId) || (policy.applicationId !== undefined && !isGuid(policy.applicationId)))
      throw invalid('The objectId and the applicationId of an access policy must be GUIDs.');
    if (seen.has(holderOf(policy))) throw invalid('Two access policies are for the same principal.');
    seen.add(holderOf(policy));
    for (const kind of kinds) assertPermissions(kind, policy.permissions[kind] ?? []);
  }
}

function assertPermissions(kind: Kind, permissions: readonly string[]): void {
  const unknown = permissions.find((permission) => !names[kind].includes(foldCase(permission)));
  if (unknown !== undefined) throw invalid(`'${unknown.slice(0, 64)}' is not a permission on ${kind}.`);
}

function invalid(why: string): Failure {
  return new Failure('badParameter', `An invalid value was provided for 'accessPolicies'. ${why}`);
}

/** Who a policy is for; an application that acts for somebody is another holder than that somebody. */
function holderOf({ objectId, applicationId }: AccessPolicy): string {
  return foldCase(`${objectId}/${applicationId ?? ''}`);
}

/**
 * The policies after the change, which touches those of the named holders only: `add` gives them more, `replace` puts
 * the given in the place of theirs, `remove` takes away what is named (everything, where nothing is).
 */
export function changePolicies(
  was: readonly AccessPolicy[],
  change: PolicyChange,
  given: readonly AccessPolicy[],
): readonly AccessPolicy[] {
  const after = new Map(was.map((policy) => [holderOf(policy), policy]));
  for (const policy of given) {
    const holder = holderOf(policy);
    const there = after.get(holder);
    const next = there === undefined ? fresh(change, policy) : changed(there, change, policy);
    if (next === undefined) after.delete(holder);
    else after.set(holder, next);
  }
  return [...after.values()];
}

function fresh(change: PolicyChange, policy: AccessPolicy): AccessPolicy | undefined {
  return change === 'remove' ? undefined : policy;
}

function changed(there: AccessPolicy, change: PolicyChange, given: AccessPolicy): AccessPolicy | undefined {
  if (change === 'replace') return given;
  const join = change === 'add' ? union : difference;
  const permissions = Object.fromEntries(
    kinds
      .map((kind) => [kind, join(kind, there.permissions[kind], given.permissions[kind])] as const)
      .filter(([, list]) => list !== undefined),
  );
  if (change === 'add') return { ...there, permissions };
  const isWhole = kinds.every((kind) => (given.permissions[kind] ?? []).length === 0);
  const isEmpty = kinds.every((kind) => (permissions[kind] ?? []).length === 0);
  return isWhole || isEmpty ? undefined : { ...there, permissions };
}

type Permissions = readonly string[] | undefined;

function union(_kind: Kind, there: Permissions, given: Permissions): Permissions {
  if (there === undefined || given === undefined) return there ?? given;
  const known = new Set(there.map(foldCase));
  return [...there, ...given.filter((permission) => !known.has(foldCase(permission)))];
}

/** Of `all`, the rest is left by its names: to take away `get` and leave `all` would take away nothing. */
function difference(kind: Kind, there: Permissions, given: Permissions): Permissions {
  if (there === undefined || given === undefined || given.length === 0) return there;
  const gone = new Set(given.map(foldCase));
  const stays = (permission: string) => !gone.has(foldCase(permission));
  const isAll = (permission: string) => foldCase(permission) === 'all';
  const meant = names[kind].filter((name) => name !== 'all' && name !== 'purge');
  if (gone.has('all')) for (const name of meant) gone.add(name);
  if (!there.some(isAll) || meant.every(stays)) return there.filter(stays);
  const named = there.filter((permission) => !isAll(permission));
  return union(kind, named, meant)?.filter(stays);
}

/** The policies in the form in which they are evaluated: ids and permissions in lower case. */
export function foldPolicies(policies: readonly AccessPolicy[]): readonly AccessPolicy[] {
  return policies.map((policy) => ({
    tenantId: foldCase(policy.tenantId),
    objectId: foldCase(policy.objectId),
    ...(policy.applicationId === undefined ? {} : { applicationId: foldCase(policy.applicationId) }),
    permissions: Object.fromEntries(
      Object.entries(policy.permissions).map(([kind, list]) => [kind, list.map(foldCase)]),
    ),
  }));
}

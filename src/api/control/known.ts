/** What operators name, found; and principals as commands show them. */
import type { RoleAssignment } from '../../authorization/role-assignments.ts';
import { findRole, type Role } from '../../authorization/roles.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isGuid } from '../../core/names.ts';
import type { Page } from '../../core/paging.ts';
import type { Vault } from '../../domain/vaults/vault.ts';
import type { ClientCredential, PrincipalRecord } from '../../identity/principals.ts';
import type { ControlDeps } from './operation.ts';

export async function knownVault(deps: ControlDeps, name: string): Promise<Vault> {
  const vault = await deps.vaults.find(name);
  if (vault === undefined) throw new Failure('vaultNotFound', `The vault '${name}' does not exist.`);
  return vault;
}

/** `resources: false` leaves out the identities that are resources of the management plane. */
export async function allPrincipals(
  deps: ControlDeps,
  of: { readonly resources?: false } = {},
): Promise<PrincipalRecord[]> {
  const all: PrincipalRecord[] = [];
  let after: string | undefined;
  do {
    const page: Page<PrincipalRecord> = await deps.principals.list(
      { tenantId: deps.tenant.id, ...of },
      { limit: 500, after },
    );
    all.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return all;
}

/**
 * Callers of the management plane choose the names of its identities: none of them is taken for the one that the operator
 * means, or in the way of a new one. They are named by their ids.
 */
export async function principalsNamed(deps: ControlDeps, name: string): Promise<PrincipalRecord[]> {
  const all = await allPrincipals(deps, { resources: false });
  return all.filter((principal) => principal.displayName === name);
}

/** By client id, object id, user name, or a display name that no other has and no resource of the management plane. */
export async function knownPrincipal(deps: ControlDeps, identity: string): Promise<PrincipalRecord> {
  const id = identity.toLowerCase();
  const byId = isGuid(id)
    ? ((await deps.principals.byObjectId(id)) ?? (await deps.principals.byAppId(id)))
    : await deps.principals.byUserName(deps.tenant.id, identity);
  if (byId !== undefined) return byId;
  const [found, ...others] = await principalsNamed(deps, identity);
  if (found === undefined) throw new Failure('notFound', `There is no identity '${identity}'.`);
  if (others.length > 0)
    throw new Failure('conflict', `Several identities are named '${identity}': name one by its object id.`);
  return found;
}

export function principalView(principal: PrincipalRecord) {
  const { displayName, kind, appId, objectId, tenantId, userName, enabled } = principal;
  return {
    ...{ name: displayName, kind, clientId: appId, objectId, tenantId },
    ...(userName === undefined ? {} : { userName }),
    ...(enabled ? {} : { enabled }),
    ...(principal.detail.directoryAdministrator === true ? { directoryAdministrator: true } : {}),
  };
}

type ShownCredential = Pick<ClientCredential, 'keyId' | 'hint' | 'expires'> &
  Partial<Pick<ClientCredential, 'kind' | 'detail'>>;

export function credentialView(credential: ShownCredential) {
  const { keyId, kind = 'secret', hint, expires, detail } = credential;
  const thumbprint = detail?.certificate?.sha1;
  const { issuer, subject } = detail?.federated ?? {};
  return {
    ...{ keyId, kind, hint, expires: new Date(expires).toISOString() },
    ...(thumbprint === undefined ? {} : { thumbprint }),
    ...(issuer === undefined ? {} : { issuer, subject }),
  };
}

/** A built-in role or one of the tenant's own, by name or GUID, without regard to case. */
export async function knownRole(
  { definitions, tenant }: Pick<ControlDeps, 'definitions' | 'tenant'>,
  idOrName: string,
): Promise<Role> {
  const asked = foldCase(idOrName);
  const isAsked = (role: Role) => role.id === asked || foldCase(role.name) === asked;
  const role = findRole(idOrName) ?? (await definitions.list(tenant.id)).find(isAsked);
  if (role === undefined) throw new Failure('notFound', `There is no role '${idOrName}'.`);
  return role;
}

/** Role assignments with the names of their roles. */
export async function assignmentViews(
  { definitions }: Pick<ControlDeps, 'definitions'>,
  assignments: readonly RoleAssignment[],
) {
  const ids = new Set(assignments.map(({ roleId }) => roleId));
  const own = await definitions.byIds([...ids].filter((id) => findRole(id) === undefined));
  const names = new Map(own.map(({ id, name }) => [id, name]));
  return assignments.map((assignment) =>
    assignmentView(assignment, findRole(assignment.roleId)?.name ?? names.get(assignment.roleId)),
  );
}

/** A role that is gone is shown by its id. */
export function assignmentView({ id, principalId, roleId, scope }: RoleAssignment, role: string = roleId) {
  return { id, principalId, role, scope };
}

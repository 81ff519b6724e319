/** What the management plane's views of keys and of secrets have in common: permission, paging. */
import type { Action } from '../../authorization/actions.ts';
import { vaultScope } from '../../authorization/authorize.ts';
import { managementGrant } from '../../authorization/grant.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase, isObjectName } from '../../core/names.ts';
import {
  decodeSkipToken,
  encodeSkipToken,
  largestPage,
  type Page,
  type PageRequest,
} from '../../core/paging.ts';
import { isAt, vaultAbsent } from '../../domain/vaults/managed-vaults.ts';
import type { Vault, VaultGrant } from '../../domain/vaults/vault.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import type { ManagementCall, ManagementReply, PathParameters } from './route.ts';
import { vaultIdOf } from './vault-wire.ts';
import { linkTo, topOf } from './wire.ts';

/** The vault that the path names, ready for use. */
export async function vaultInUse(
  { vaults }: Pick<KeyVaultDeps, 'vaults'>,
  params: PathParameters,
): Promise<Vault> {
  const at = vaultIdOf(params);
  const vault = await vaults.find(at.name);
  if (vault === undefined || !isAt(vault, at)) throw vaultAbsent(at);
  return vault;
}

export interface ObjectOfVault {
  readonly kind: 'keys' | 'secrets';
  readonly name: string | undefined;
}

/** Permission for the action on the object, which the row's own action has been authorized for. */
export function grantOn(vault: Vault, { kind, name }: ObjectOfVault, action: Action): VaultGrant {
  if (name !== undefined && !isObjectName(name)) {
    throw new Failure(
      'badParameter',
      `The name of one of the ${kind} has 1 to 127 letters, digits and hyphens.`,
    );
  }
  return managementGrant(vault, action, { kind, name });
}

/** `/subscriptions/…/vaults/v/keys/name`. */
export function objectId(vault: Vault, kind: ObjectOfVault['kind'], name: string): string {
  return `${vaultScope(vault)}/${kind}/${name}`;
}

/** A page of a list that the data plane has too, whose pages are no larger. */
export async function objectListReply<T>(
  call: Pick<ManagementCall, 'query' | 'apiVersion' | 'path' | 'origin'>,
  of: { list: (page: PageRequest) => Promise<Page<T>>; wire: (item: T) => object },
): Promise<ManagementReply> {
  const name = foldCase(call.path);
  const { query } = call;
  const token = query.get('$skiptoken');
  const page = await of.list({
    limit: topOf(query.get('$top'), largestPage),
    after: token === null ? undefined : decodeSkipToken(name, token),
  });
  const nextLink =
    page.next === undefined ? {} : { nextLink: linkTo(call, encodeSkipToken(name, page.next)) };
  return { status: 200, body: { value: page.items.map(of.wire), ...nextLink } };
}

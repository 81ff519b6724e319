/** Scopes as keys: lower-cased ARM ids, of which one is below another by whole segments. */
import { type RawBuilder, type SqlBool, sql } from 'kysely';

/** ARM id of a resource group. */
export function groupScope(of: { subscriptionId: string; name: string }): string {
  return `/subscriptions/${of.subscriptionId}/resourceGroups/${of.name}`;
}

/** ARM id of a vault. */
export function vaultScope(of: { subscriptionId: string; resourceGroup: string; name: string }): string {
  const group = groupScope({ subscriptionId: of.subscriptionId, name: of.resourceGroup });
  return `${group}/providers/Microsoft.KeyVault/vaults/${of.name}`;
}

/**
 * Whether the column `scope_key` is `above` or below it, by whole segments: `…/kv10` is not below `…/kv1`. Its index
 * answers that: `0` comes right after `/`.
 */
export function atOrBelow(above: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`(scope_key = ${above} or (scope_key > ${`${above}/`} and scope_key < ${`${above}0`}))`;
}

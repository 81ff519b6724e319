/**
 * Scopes: what a role can be given on. `/` is a whole tenant, the root management group all its subscriptions; then
 * come subscription, resource group, resource, and one object of a vault. They compare without case and by whole
 * segments: `vaults/kv1` is not above `vaults/kv10`.
 */
import { foldCase, isGuid, isResourceGroupName } from '../core/names.ts';

export type Scope =
  | { readonly kind: 'root' }
  | { readonly kind: 'managementGroup'; readonly id: string }
  | { readonly kind: 'subscription'; readonly subscriptionId: string }
  | { readonly kind: 'resourceGroup'; readonly subscriptionId: string; readonly resourceGroup: string }
  | {
      readonly kind: 'resource';
      readonly subscriptionId: string;
      readonly resourceGroup: string;
      /** Such as `Microsoft.KeyVault`. */
      readonly provider: string;
      /** Types and names in turn: `vaults`, `kv1`, and below it `secrets`, `name`. */
      readonly path: readonly string[];
    };

export const managementGroups = '/providers/Microsoft.Management/managementGroups';

/** `name` of Azure's resources; no `%`, no `?`, nothing that another reader could decode or cut off. */
const segmentPattern = /^[A-Za-z0-9_.()~-]{1,260}$/;
const longestScope = 1024;

/** The scope that an ARM id names; undefined for what is none. The tenant's root is `/`. */
export function parseScope(text: string): Scope | undefined {
  if (text === '/') return { kind: 'root' };
  if (!text.startsWith('/') || text.length > longestScope) return undefined;
  const segments = text.slice(1).split('/');
  if (!segments.every((segment) => segmentPattern.test(segment) && !/^\.+$/.test(segment))) return undefined;
  const [subscriptions = '', subscriptionId = '', groups, group, ...rest] = segments;
  if (foldCase(subscriptions) === 'providers') return parseManagementGroup(text, segments);
  if (foldCase(subscriptions) !== 'subscriptions' || !isGuid(subscriptionId)) return undefined;
  if (groups === undefined) return { kind: 'subscription', subscriptionId };
  if (foldCase(groups) !== 'resourcegroups' || group === undefined || !isResourceGroupName(group))
    return undefined;
  if (rest.length === 0) return { kind: 'resourceGroup', subscriptionId, resourceGroup: group };
  const [providers = '', provider = '', ...path] = rest;
  if (foldCase(providers) !== 'providers' || path.length === 0 || path.length % 2 !== 0) return undefined;
  return { kind: 'resource', subscriptionId, resourceGroup: group, provider, path };
}

function parseManagementGroup(text: string, segments: readonly string[]): Scope | undefined {
  const id = segments[3];
  if (segments.length !== 4 || id === undefined) return undefined;
  return foldCase(text).startsWith(`${foldCase(managementGroups)}/`)
    ? { kind: 'managementGroup', id }
    : undefined;
}

/** The form in which scopes compare: lower case, without a slash at the end. Empty for what is no scope. */
export function scopeKey(scope: string): string {
  if (scope === '/') return scope;
  if (!scope.startsWith('/') || scope === '//') return '';
  return foldCase(scope.endsWith('/') ? scope.slice(0, -1) : scope);
}

/** The keys of a scope and of all scopes above it in the tenant, the widest first. */
export function keysAbove(scope: string, tenantId: string): readonly string[] {
  const key = scopeKey(scope);
  if (key === '') return [];
  const keys = ['/'];
  if (key === '/') return keys;
  // The root management group has the tenant's id, and every subscription of the tenant below it.
  if (key.startsWith('/subscriptions/')) keys.push(foldCase(`${managementGroups}/${tenantId}`));
  for (let end = key.indexOf('/', 1); end >= 0; end = key.indexOf('/', end + 1)) keys.push(key.slice(0, end));
  keys.push(key);
  return keys;
}

/** Whether `scope` is `target` or above it, by whole segments; of the tenant's root group, see `keysAbove`. */
export function scopeCovers(scope: string, target: string): boolean {
  if (scope === '/') return true;
  const above = scopeKey(scope);
  const below = foldCase(target);
  return (
    above !== '' && below.startsWith(above) && (below.length === above.length || below[above.length] === '/')
  );
}

/** Tenants, the root management group, subscriptions and their locations. A caller sees those of its own tenant. */
import { managementGroups } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { DirectoryStore, Subscription, Tenant } from '../../domain/resources/directory-store.ts';
import { locations } from './locations.ts';
import { type ManagementCall, type ManagementRoute, managementRoute } from './route.ts';
import { listReply } from './wire.ts';

const resources = 'Microsoft.Resources';
const groups = 'Microsoft.Management';

export function subscriptionRoutes(directory: DirectoryStore): readonly ManagementRoute[] {
  const ofTenant = async (tenantId: string) =>
    (await directory.subscriptions()).filter((entry) => entry.tenantId === tenantId);
  return [...subscriptionRows(directory, ofTenant), ...managementGroupRows(ofTenant)];
}

type OfTenant = (tenantId: string) => Promise<readonly Subscription[]>;

function subscriptionRows(directory: DirectoryStore, ofTenant: OfTenant): readonly ManagementRoute[] {
  const found = async ({ params, tenantId }: ManagementCall): Promise<Subscription> => {
    const id = foldCase(params.subscriptionId ?? '');
    const subscription = (await ofTenant(tenantId)).find((entry) => entry.id === id);
    if (subscription === undefined)
      throw new Failure('subscriptionNotFound', `The subscription '${id}' could not be found.`);
    return subscription;
  };
  return [
    managementRoute({
      operation: 'Tenants_List',
      audit: 'TenantList',
      method: 'GET',
      path: '/tenants',
      provider: resources,
      action: undefined,
      async handle({ principal }) {
        const tenants = await directory.tenants();
        const own = tenants.filter((tenant) => tenant.id === principal.tenantId);
        return { status: 200, body: { value: own.map(tenantWire) } };
      },
    }),
    managementRoute({
      operation: 'Subscriptions_List',
      audit: 'SubscriptionList',
      method: 'GET',
      path: '/subscriptions',
      provider: resources,
      action: undefined,
      async handle(call) {
        const seen = (await ofTenant(call.principal.tenantId)).filter(({ id }) =>
          call.hasRoleIn(scopeOf(id)),
        );
        const count = { type: 'Total', value: seen.length };
        return { status: 200, body: { value: seen.map(subscriptionWire), count } };
      },
    }),
    managementRoute({
      operation: 'Subscriptions_Get',
      audit: 'SubscriptionGet',
      method: 'GET',
      path: '/subscriptions/:subscriptionId',
      provider: resources,
      action: 'Microsoft.Resources/subscriptions/read',
      async handle(call) {
        const subscription = await found(call);
        return { status: 200, body: subscriptionWire(subscription), id: scopeOf(subscription.id) };
      },
    }),
    managementRoute({
      operation: 'Subscriptions_ListLocations',
      audit: 'LocationList',
      method: 'GET',
      path: '/subscriptions/:subscriptionId/locations',
      provider: resources,
      action: 'Microsoft.Resources/subscriptions/locations/read',
      async handle(call) {
        const { id } = await found(call);
        return { status: 200, body: { value: locations.map((location) => locationWire(id, location)) } };
      },
    }),
  ];
}

/** Of management groups there is one for each tenant, above all its subscriptions. */
function managementGroupRows(ofTenant: OfTenant): readonly ManagementRoute[] {
  const action = 'Microsoft.Management/managementGroups/read';
  return [
    managementRoute({
      operation: 'ManagementGroups_List',
      audit: 'ManagementGroupList',
      method: 'GET',
      path: managementGroups,
      provider: groups,
      action: undefined,
      async handle(call) {
        const { tenantId } = call.principal;
        const seen = call.may(action, `${managementGroups}/${tenantId}`) ? [tenantId] : [];
        return listReply(call, {
          list: 'managementGroups',
          items: seen,
          keyOf: (id) => id,
          wire: (id) => groupWire(id, { tenantId: id, displayName: rootGroupName }),
        });
      },
    }),
    managementRoute({
      operation: 'ManagementGroups_Get',
      audit: 'ManagementGroupGet',
      method: 'GET',
      path: `${managementGroups}/:groupId`,
      provider: groups,
      action,
      async handle({ principal, params, query }) {
        const { tenantId } = principal;
        if (foldCase(params.groupId ?? '') !== tenantId)
          throw new Failure(
            'notFound',
            `Management group '${(params.groupId ?? '').slice(0, 64)}' not found.`,
          );
        const isExpanded = query.get('$expand') === 'children';
        const children = isExpanded ? { children: (await ofTenant(tenantId)).map(childWire) } : {};
        const properties = { tenantId, displayName: rootGroupName, details: { version: 1 }, ...children };
        return { status: 200, body: groupWire(tenantId, properties), id: `${managementGroups}/${tenantId}` };
      },
    }),
  ];
}

const rootGroupName = 'Tenant Root Group';

function scopeOf(subscriptionId: string): string {
  return `/subscriptions/${subscriptionId}`;
}

function tenantWire({ id, name }: Tenant): object {
  return {
    id: `/tenants/${id}`,
    tenantId: id,
    displayName: name,
    domains: [name],
    defaultDomain: name,
    tenantCategory: 'Home',
    tenantType: 'AAD',
  };
}

function subscriptionWire({ id, tenantId, name, tags }: Subscription): object {
  return {
    id: scopeOf(id),
    authorizationSource: 'RoleBased',
    managedByTenants: [],
    subscriptionId: id,
    tenantId,
    displayName: name,
    state: 'Enabled',
    subscriptionPolicies: {
      locationPlacementId: 'Public_2014-09-01',
      quotaId: 'PayAsYouGo_2014-09-01',
      spendingLimit: 'Off',
    },
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
  };
}

function locationWire(subscriptionId: string, [name, displayName]: readonly [string, string]): object {
  return {
    id: `${scopeOf(subscriptionId)}/locations/${name}`,
    name,
    type: 'Region',
    displayName,
    regionalDisplayName: displayName,
    metadata: { regionType: 'Physical' },
  };
}

function groupWire(id: string, properties: object): object {
  return {
    id: `${managementGroups}/${id}`,
    type: 'Microsoft.Management/managementGroups',
    name: id,
    properties,
  };
}

function childWire({ id, name }: Subscription): object {
  return { id: scopeOf(id), type: '/subscriptions', name: id, displayName: name };
}

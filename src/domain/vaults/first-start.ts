/** What an empty server needs before it can serve: a tenant, a subscription and the resource group `default`. */
import type { Random } from '../../core/random.ts';
import type { DirectoryStore, Subscription, Tenant } from './vault-store.ts';

export const defaultResourceGroup = 'default';
export const defaultLocation = 'local';

/** Makes what is missing; answers the tenant and subscription that commands use when none is named. */
export async function ensureDirectory(deps: {
  store: DirectoryStore;
  random: Random;
}): Promise<{ tenant: Tenant; subscription: Subscription }> {
  const { store, random } = deps;
  const [known] = await store.tenants();
  const tenant = known ?? { id: random.guid(), name: 'strongroom.local' };
  if (known === undefined) await store.addTenant(tenant);
  const existing = (await store.subscriptions()).find((entry) => entry.tenantId === tenant.id);
  const subscription = existing ?? { id: random.guid(), tenantId: tenant.id, name: 'default' };
  if (existing === undefined) await store.addSubscription(subscription);
  const group = { subscriptionId: subscription.id, name: defaultResourceGroup, location: defaultLocation };
  await store.addResourceGroup(group);
  return { tenant, subscription };
}

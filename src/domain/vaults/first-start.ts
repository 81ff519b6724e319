/** What an empty server needs before it can serve: a tenant, a subscription and the resource group `default`. */
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { DirectoryStore, Subscription, Tenant } from '../resources/directory-store.ts';
import type { SealedItems } from '../sealing/sealed-items.ts';

export const defaultResourceGroup = 'default';
export const defaultLocation = 'local';

/** Makes what is missing; answers the tenant and subscription that commands use when none is named. */
export async function ensureDirectory(deps: {
  store: DirectoryStore;
  items: SealedItems;
  random: Random;
}): Promise<{ tenant: Tenant; subscription: Subscription }> {
  const { store } = deps;
  const [known] = await store.tenants();
  const tenant = known ?? { id: await firstId(deps, 'first-tenant'), name: 'strongroom.local' };
  if (known === undefined) await store.addTenant(tenant);
  const existing = (await store.subscriptions()).find((entry) => entry.tenantId === tenant.id);
  const id = existing?.id ?? (await firstId(deps, 'first-subscription'));
  const subscription = existing ?? { id, tenantId: tenant.id, name: 'default', tags: {} };
  if (existing === undefined) await store.addSubscription(subscription);
  const group = {
    ...{ subscriptionId: subscription.id, name: defaultResourceGroup },
    ...{ location: defaultLocation, tags: {} },
  };
  await store.addResourceGroup(group);
  return { tenant, subscription };
}

/** An id that nodes which start at the same moment agree on. */
async function firstId(deps: { items: SealedItems; random: Random }, name: string): Promise<string> {
  return (await deps.items.getOrMake(name, () => SecretBytes.fromText(deps.random.guid()))).exposeText();
}

/** Tenants, subscriptions and resource groups, and a group's end with all that is in it. */
import { everyKey } from '../core/changes.ts';
import { foldCase } from '../core/names.ts';
import type {
  DirectoryStore,
  GroupRemoval,
  ResourceGroup,
  Subscription,
  TagNames,
  Tags,
  Tenant,
} from '../domain/resources/directory-store.ts';
import type { Database, Procedure, Writer } from './database.ts';
import { lockRows } from './dialect.ts';
import { prepare } from './prepared.ts';
import { everyPrincipal } from './principals.ts';
import { groupRow } from './resource-groups.ts';
import type { Schema } from './schema.ts';
import { atOrBelow, groupScope } from './scopes.ts';
import { removeIdentitiesIn } from './user-assigned-identities.ts';
import { softDelete } from './vaults.ts';

/** What each sign-in asks. */
const allTenants = prepare((db) => db.selectFrom('tenants').selectAll().orderBy('id'));

export function createDirectoryStore(db: Database): DirectoryStore {
  const groups = (subscriptionId: string) =>
    db.read.selectFrom('resource_groups').selectAll().where('subscription_id', '=', subscriptionId);
  return {
    tenants: () => allTenants(db.read, {}),
    addTenant: (tenant) => db.write(addTenant, tenant),
    async subscriptions() {
      const rows = await db.read.selectFrom('subscriptions').selectAll().orderBy('id').execute();
      return rows.map(({ id, tenant_id, name, tags }) => ({
        ...{ id, tenantId: tenant_id, name },
        tags: JSON.parse(tags) as Tags,
      }));
    },
    addSubscription: (subscription) => db.write(addSubscription, subscription),
    replaceSubscriptionTags: (id, next, was) =>
      db.write(replaceOfSubscription, { id, of: 'tags', next, was }),
    async tagNames(id) {
      const query = db.read.selectFrom('subscriptions').select('tag_names').where('id', '=', id);
      return JSON.parse((await query.executeTakeFirst())?.tag_names ?? '{}') as TagNames;
    },
    replaceTagNames: (id, next, was) => db.write(replaceOfSubscription, { id, of: 'tag_names', next, was }),
    async resourceGroup(subscriptionId, name) {
      const row = await groups(subscriptionId).where('name_key', '=', foldCase(name)).executeTakeFirst();
      return row === undefined ? undefined : toGroup(row);
    },
    async resourceGroups(subscriptionId) {
      return (await groups(subscriptionId).orderBy('name_key').execute()).map(toGroup);
    },
    addResourceGroup: (group) => db.write(addResourceGroup, group),
    replaceResourceGroup: (group, was) => db.write(replaceResourceGroup, { group, was }),
    removeResourceGroup: (removal) => db.write(removeResourceGroup, removal),
  };
}

export const addTenant: Procedure<Tenant, void> = {
  name: 'tenants.add',
  async run(tx, { id, name }) {
    await tx
      .insertInto('tenants')
      .values({ id, name })
      .onConflict((c) => c.column('id').doNothing())
      .execute();
  },
};

export const addSubscription: Procedure<Omit<Subscription, 'tags'>, void> = {
  name: 'subscriptions.add',
  async run(tx, { id, tenantId, name }) {
    await tx
      .insertInto('subscriptions')
      .values({ id, tenant_id: tenantId, name, tags: '{}', tag_names: '{}' })
      .onConflict((c) => c.column('id').doNothing())
      .execute();
  },
};

/** What a subscription has of its own, as JSON. */
interface SubscriptionPart {
  readonly id: string;
  readonly of: 'tags' | 'tag_names';
  readonly next: Tags | TagNames;
  readonly was: Tags | TagNames;
}

export const replaceOfSubscription: Procedure<SubscriptionPart, boolean> = {
  name: 'subscriptions.replacePart',
  async run(tx, { id, of, next, was }) {
    const { numUpdatedRows } = await tx
      .updateTable('subscriptions')
      .set({ [of]: JSON.stringify(next) })
      .where('id', '=', id)
      .where(of, '=', JSON.stringify(was))
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  },
  targets: ({ id }) => [{ operation: 'write', scope: `/subscriptions/${id}` }],
};

export const addResourceGroup: Procedure<ResourceGroup, boolean> = {
  name: 'resourceGroups.add',
  async run(tx, group) {
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('resource_groups')
      .values(toRow(group))
      .onConflict((c) => c.columns(['subscription_id', 'name_key']).doNothing())
      .executeTakeFirst();
    return numInsertedOrUpdatedRows === 1n;
  },
  targets: (group) => [{ operation: 'write', scope: groupScope(group) }],
};

export const replaceResourceGroup: Procedure<{ group: ResourceGroup; was: ResourceGroup }, boolean> = {
  name: 'resourceGroups.replace',
  async run(tx, { group, was }) {
    const row = await lockRows(tx, groupRow(tx, was)).executeTakeFirst();
    if (row === undefined || JSON.stringify(toGroup(row)) !== JSON.stringify(toGroup(toRow(was))))
      return false;
    await tx
      .updateTable('resource_groups')
      .set(toRow(group))
      .where('subscription_id', '=', was.subscriptionId)
      .where('name_key', '=', foldCase(was.name))
      .execute();
    return true;
  },
  targets: ({ was }) => [{ operation: 'write', scope: groupScope(was) }],
};

/**
 * In one transaction, so that a group is never half gone. What adds to a group holds its row (`holdResourceGroup`), so
 * that nothing is added to one that is going.
 */
export const removeResourceGroup: Procedure<GroupRemoval, boolean> = {
  name: 'resourceGroups.remove',
  async run(tx, removal) {
    const row = await lockRows(tx, groupRow(tx, removal)).executeTakeFirst();
    if (row === undefined) return false;
    const scope = foldCase(groupScope(toGroup(row)));
    await softDeleteVaults(tx, row, removal);
    await removeIdentitiesIn(tx, row);
    await tx.deleteFrom('role_assignments').where(atOrBelow(scope)).execute();
    await tx
      .deleteFrom('resource_groups')
      .where('subscription_id', '=', row.subscription_id)
      .where('name_key', '=', row.name_key)
      .execute();
    return true;
  },
  targets: (removal) => [{ operation: 'delete', scope: groupScope(removal) }],
  changes: () => [
    { topic: 'vault', key: everyKey },
    everyPrincipal,
    { topic: 'roleAssignments', key: everyKey },
  ],
};

async function softDeleteVaults(
  tx: Writer,
  group: Schema['resource_groups'],
  { now }: GroupRemoval,
): Promise<void> {
  const query = tx
    .selectFrom('vaults')
    .selectAll()
    .where('subscription_id', '=', group.subscription_id)
    // Names of groups are ASCII; others' vaults are not locked.
    .where(({ fn }) => fn<string>('lower', ['resource_group']), '=', group.name_key)
    .where('deleted_at', 'is', null)
    .orderBy('id');
  for (const vault of await lockRows(tx, query).execute()) await softDelete(tx, vault, now);
}

function toRow(group: ResourceGroup): Schema['resource_groups'] {
  return {
    subscription_id: group.subscriptionId,
    name_key: foldCase(group.name),
    name: group.name,
    location: group.location,
    tags: JSON.stringify(group.tags),
  };
}

function toGroup(row: Schema['resource_groups']): ResourceGroup {
  return {
    subscriptionId: row.subscription_id,
    name: row.name,
    location: row.location,
    tags: JSON.parse(row.tags) as Tags,
  };
}

/** User-assigned managed identities: a row of what each is as a resource, beside its row among the principals. */
import { everyKey } from '../core/changes.ts';
import { isFailure } from '../core/errors.ts';
import { foldCase } from '../core/names.ts';
import type { Tags } from '../domain/resources/directory-store.ts';
import {
  type IdentityPlace,
  type IsolationScope,
  identityId,
  type UserAssignedIdentity,
  type UserAssignedIdentityStore,
} from '../domain/resources/user-assigned-identity-store.ts';
import type { PrincipalRecord } from '../identity/principals.ts';
import type { Database, Procedure, Reader, Writer } from './database.ts';
import { lockRows, lockRowsShared } from './dialect.ts';
import { addPrincipal, everyPrincipal, principalChange } from './principals.ts';
import { groupRow, holdResourceGroup } from './resource-groups.ts';
import type { Schema } from './schema.ts';
import { atOrBelow } from './scopes.ts';

export function createUserAssignedIdentityStore(db: Database): UserAssignedIdentityStore {
  return {
    async find(at) {
      const row = await identities(db.read)
        .where((where) => where.and(placeKey(at)))
        .executeTakeFirst();
      return row === undefined ? undefined : toIdentity(row);
    },
    async list(subscriptionId) {
      const query = identities(db.read).where('subscription_id', '=', subscriptionId);
      return (await query.execute()).map(toIdentity);
    },
    add: (identity) => db.write(addIdentity, identity),
    replace: (identity, was) => db.write(replaceIdentity, { identity, was }),
    remove: (identity) => db.write(removeIdentity, identity),
  };
}

function identities(db: Reader) {
  return db
    .selectFrom('user_assigned_identities')
    .innerJoin('principals', 'principals.object_id', 'user_assigned_identities.object_id')
    .selectAll('user_assigned_identities')
    .select(['principals.app_id', 'principals.tenant_id']);
}

function placeKey({ subscriptionId, resourceGroup, name }: IdentityPlace) {
  return { subscription_id: subscriptionId, group_key: foldCase(resourceGroup), name_key: foldCase(name) };
}

export const addIdentity: Procedure<UserAssignedIdentity, 'added' | 'taken' | 'groupAbsent'> = {
  name: 'userAssignedIdentities.add',
  async run(tx, identity) {
    if (!(await holdResourceGroup(tx, groupOf(identity)))) return 'groupAbsent';
    try {
      await addPrincipal.run(tx, principalOf(identity));
    } catch (error) {
      // The insertion has done nothing; what is taken is the resource id, the other ids being random.
      if (isFailure(error, 'alreadyExists')) return 'taken';
      throw error;
    }
    await tx.insertInto('user_assigned_identities').values(toRow(identity)).execute();
    return 'added';
  },
  changes: ({ objectId }) => [principalChange(objectId)],
  targets: (identity) => [{ operation: 'write', scope: identityId(identity) }],
};

export const replaceIdentity: Procedure<
  { identity: UserAssignedIdentity; was: UserAssignedIdentity },
  boolean
> = {
  name: 'userAssignedIdentities.replace',
  async run(tx, { identity, was }) {
    const row = await lockRows(tx, identityRow(tx, was.objectId)).executeTakeFirst();
    if (row === undefined || JSON.stringify(ofRow(row)) !== JSON.stringify(ofRow(toRow(was)))) return false;
    const { tags, isolation_scope, updated } = toRow(identity);
    await tx
      .updateTable('user_assigned_identities')
      .set({ tags, isolation_scope, updated })
      .where('object_id', '=', was.objectId)
      .execute();
    return true;
  },
  targets: ({ was }) => [{ operation: 'write', scope: identityId(was) }],
};

/** The group's row first, as whatever gives a role on something in the group does. */
export const removeIdentity: Procedure<UserAssignedIdentity, boolean> = {
  name: 'userAssignedIdentities.remove',
  async run(tx, identity) {
    await lockRows(tx, groupRow(tx, groupOf(identity))).execute();
    const { numDeletedRows } = await tx
      .deleteFrom('principals')
      .where('object_id', 'in', identityRow(tx, identity.objectId).clearSelect().select('object_id'))
      .executeTakeFirst();
    if (numDeletedRows !== 1n) return false;
    await tx
      .deleteFrom('role_assignments')
      .where(atOrBelow(foldCase(identityId(identity))))
      .execute();
    return true;
  },
  targets: (identity) => [{ operation: 'delete', scope: identityId(identity) }],
  changes: () => [everyPrincipal, { topic: 'roleAssignments', key: everyKey }],
};

/** Removes those of a group that is going, as principals too; what is given on them is the caller's to remove. */
export async function removeIdentitiesIn(tx: Writer, group: Schema['resource_groups']): Promise<void> {
  await tx
    .deleteFrom('principals')
    .where(
      'object_id',
      'in',
      tx
        .selectFrom('user_assigned_identities')
        .select('object_id')
        .where('subscription_id', '=', group.subscription_id)
        .where('group_key', '=', group.name_key),
    )
    .execute();
}

/** Whether the identity is there, and stays until the transaction ends: for whatever is given on it. */
export async function holdIdentity(tx: Writer, at: IdentityPlace): Promise<boolean> {
  const query = tx
    .selectFrom('user_assigned_identities')
    .select('object_id')
    .where((where) => where.and(placeKey(at)));
  return (await lockRowsShared(tx, query).executeTakeFirst()) !== undefined;
}

type Row = Schema['user_assigned_identities'];

function identityRow(tx: Writer, objectId: string) {
  return tx.selectFrom('user_assigned_identities').selectAll().where('object_id', '=', objectId);
}

function groupOf({ subscriptionId, resourceGroup }: IdentityPlace) {
  return { subscriptionId, name: resourceGroup };
}

function principalOf(identity: UserAssignedIdentity): PrincipalRecord {
  return {
    objectId: identity.objectId,
    tenantId: identity.tenantId,
    appId: identity.clientId,
    kind: 'managedIdentity',
    displayName: identity.name,
    resourceId: identityId(identity),
    created: identity.created,
    userName: undefined,
    applicationId: undefined,
    enabled: true,
    detail: { managedIdentity: 'user' },
  };
}

function toRow(identity: UserAssignedIdentity): Row {
  return {
    object_id: identity.objectId,
    ...placeKey(identity),
    resource_group: identity.resourceGroup,
    name: identity.name,
    location: identity.location,
    tags: JSON.stringify(identity.tags),
    isolation_scope: identity.isolationScope ?? null,
    created: identity.created,
    updated: identity.updated,
  };
}

/** What can change, in one order. */
function ofRow({ tags, isolation_scope, updated }: Row) {
  return [tags, isolation_scope, updated];
}

function toIdentity(row: Row & { app_id: string | null; tenant_id: string }): UserAssignedIdentity {
  return {
    objectId: row.object_id,
    clientId: row.app_id ?? '',
    tenantId: row.tenant_id,
    subscriptionId: row.subscription_id,
    resourceGroup: row.resource_group,
    name: row.name,
    location: row.location,
    tags: JSON.parse(row.tags) as Tags,
    isolationScope: (row.isolation_scope ?? undefined) as IsolationScope | undefined,
    created: row.created,
    updated: row.updated,
  };
}

import type {
  AssignmentRemoval,
  AssignmentWrite,
  PutOutcome,
  RoleAssignment,
  RoleAssignmentStore,
} from '../authorization/role-assignments.ts';
import { everyKey } from '../core/changes.ts';
import { foldCase } from '../core/names.ts';
import type { Database, Procedure, Writer } from './database.ts';
import { lockRows, lockRowsShared } from './dialect.ts';
import { holdResourceGroup } from './resource-groups.ts';
import type { Schema } from './schema.ts';
import { atOrBelow } from './scopes.ts';
import { holdIdentity } from './user-assigned-identities.ts';

/** Names in one query: the databases take some tens of thousands, and a user can be in any number of groups. */
const namesPerQuery = 1000;

/** Role assignments. */
export function createRoleAssignmentStore(db: Database): RoleAssignmentStore {
  const assignments = () => db.read.selectFrom('role_assignments').selectAll().orderBy('id');
  return {
    async ofPrincipals(principalIds) {
      const found: RoleAssignment[] = [];
      for (let from = 0; from < principalIds.length; from += namesPerQuery) {
        const names = principalIds.slice(from, from + namesPerQuery);
        const rows = await assignments().where('principal_id', 'in', names).execute();
        found.push(...rows.map(toAssignment));
      }
      return found;
    },
    async list(tenantId) {
      const all = assignments();
      const rows = await (tenantId === undefined ? all : all.where('tenant_id', '=', tenantId)).execute();
      return rows.map(toAssignment);
    },
    async byId(id) {
      const row = await assignments().where('id', '=', id).executeTakeFirst();
      return row === undefined ? undefined : toAssignment(row);
    },
    add: (assignment) => db.write(addAssignment, assignment),
    put: (write) => db.write(putAssignment, write),
    remove: (removal) => db.write(removeAssignment, removal),
  };
}

export const addAssignment: Procedure<RoleAssignment, RoleAssignment> = {
  name: 'roleAssignments.add',
  async run(tx, assignment) {
    await insert(tx, assignment);
    const there = await sameGrant(tx, assignment);
    if (there === undefined) throw new Error(`the id ${assignment.id} is another role assignment's`);
    return there;
  },
  changes: ({ principalId }) => [{ topic: 'roleAssignments', key: principalId }],
};

export const putAssignment: Procedure<AssignmentWrite, PutOutcome> = {
  name: 'roleAssignments.put',
  async run(tx, write) {
    const { assignment } = write;
    // What the assignment hangs on is held first, so that it takes the assignment along when it goes.
    if (!(await holdPlace(tx, write.place))) return { outcome: 'scopeAbsent' };
    if (write.isCustomRole && !(await holdRole(tx, assignment.roleId))) return { outcome: 'roleAbsent' };
    const query = tx.selectFrom('role_assignments').selectAll().where('id', '=', assignment.id);
    const row = await lockRows(tx, query).executeTakeFirst();
    if (row !== undefined) return update(tx, toAssignment(row), assignment);
    const there = await sameGrant(tx, assignment);
    if (there !== undefined) return { outcome: 'exists', assignment: there };
    if ((await countIn(tx, write.place.subscriptionId)) >= write.most) return { outcome: 'full' };
    if (await insert(tx, assignment)) return { outcome: 'created', assignment };
    const meanwhile = await sameGrant(tx, assignment);
    return meanwhile === undefined
      ? { outcome: 'differs', assignment }
      : { outcome: 'exists', assignment: meanwhile };
  },
  changes: ({ assignment }) => [{ topic: 'roleAssignments', key: assignment.principalId }],
  targets: ({ assignment }) => [{ operation: 'write', scope: idOf(assignment) }],
};

/** The assignment's own ARM id. */
function idOf({ id, scope }: Pick<RoleAssignment, 'id' | 'scope'>): string {
  return `${scope === '/' ? '' : scope}/providers/Microsoft.Authorization/roleAssignments/${id}`;
}

async function holdPlace(tx: Writer, place: AssignmentWrite['place']): Promise<boolean> {
  const { subscriptionId, resourceGroup: name, vault, identity } = place;
  if (subscriptionId === undefined || name === undefined) return true;
  if (!(await holdResourceGroup(tx, { subscriptionId, name }))) return false;
  if (identity !== undefined)
    return holdIdentity(tx, { subscriptionId, resourceGroup: name, name: identity });
  if (vault === undefined) return true;
  const query = tx
    .selectFrom('vaults')
    .select('resource_group')
    .where('name_key', '=', foldCase(vault))
    .where('subscription_id', '=', subscriptionId)
    .where('deleted_at', 'is', null);
  const row = await lockRowsShared(tx, query).executeTakeFirst();
  return row !== undefined && foldCase(row.resource_group) === foldCase(name);
}

async function holdRole(tx: Writer, roleId: string): Promise<boolean> {
  const query = tx.selectFrom('role_definitions').select('id').where('id', '=', roleId);
  return (await lockRowsShared(tx, query).executeTakeFirst()) !== undefined;
}

async function countIn(tx: Writer, subscriptionId: string | undefined): Promise<number> {
  if (subscriptionId === undefined) return 0;
  const { count } = await tx
    .selectFrom('role_assignments')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where(atOrBelow(`/subscriptions/${subscriptionId}`))
    .executeTakeFirstOrThrow();
  return Number(count);
}

async function update(tx: Writer, there: RoleAssignment, asked: RoleAssignment): Promise<PutOutcome> {
  if (!isSameGrant(there, asked)) return { outcome: 'differs', assignment: there };
  const { principalType = there.principalType, condition, description, updatedBy, created } = asked;
  const assignment = { ...there, principalType, condition, description, updatedBy, updated: created };
  await tx
    .updateTable('role_assignments')
    .set({ detail: detailOf(assignment) })
    .where('id', '=', there.id)
    .execute();
  return { outcome: 'updated', assignment };
}

function isSameGrant(one: RoleAssignment, other: RoleAssignment): boolean {
  return (
    one.tenantId === other.tenantId &&
    one.principalId === other.principalId &&
    one.roleId === other.roleId &&
    foldCase(one.scope) === foldCase(other.scope)
  );
}

type Removed = 'removed' | 'missing' | 'last';

export const removeAssignment: Procedure<AssignmentRemoval, Removed> = {
  name: 'roleAssignments.remove',
  async run(tx, { id, was, unlessLastOf }) {
    const query = tx.selectFrom('role_assignments').selectAll().where('id', '=', id);
    const row = await query.executeTakeFirst();
    if (row === undefined || (was !== undefined && !isSameGrant(toAssignment(row), was))) return 'missing';
    if (unlessLastOf !== undefined && (await isLast(tx, { row, roleIds: unlessLastOf }))) return 'last';
    const { numDeletedRows } = await tx
      .deleteFrom('role_assignments')
      .where('id', '=', id)
      .where('principal_id', '=', row.principal_id)
      .where('role_id', '=', row.role_id)
      .where('scope_key', '=', row.scope_key)
      .executeTakeFirst();
    return numDeletedRows === 1n ? 'removed' : 'missing';
  },
  // Whose it was may not be known: then every principal's are read again.
  changes: ({ was }) => [{ topic: 'roleAssignments', key: was?.principalId ?? everyKey }],
  // Who asks under locks has read it, and says what it was.
  targets: ({ was }) => (was === undefined ? [] : [{ operation: 'delete', scope: idOf(was) }]),
};

/** All that could be left over are held, so that of two that are removed at once one stays. */
async function isLast(
  tx: Writer,
  { row, roleIds }: { row: Schema['role_assignments']; roleIds: readonly string[] },
): Promise<boolean> {
  const query = tx
    .selectFrom('role_assignments')
    .selectAll()
    .where('scope_key', '=', row.scope_key)
    .where('role_id', 'in', roleIds)
    .orderBy('id');
  const held = await lockRows(tx, query).execute();
  return !held.some(
    ({ id, detail }) => id !== row.id && (JSON.parse(detail) as Detail).condition === undefined,
  );
}

async function insert(tx: Writer, assignment: RoleAssignment): Promise<boolean> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('role_assignments')
    .values(toRow(assignment))
    .onConflict((c) => c.doNothing())
    .executeTakeFirst();
  return numInsertedOrUpdatedRows === 1n;
}

async function sameGrant(tx: Writer, { principalId, roleId, scope }: RoleAssignment) {
  const row = await tx
    .selectFrom('role_assignments')
    .selectAll()
    .where('principal_id', '=', principalId)
    .where('role_id', '=', roleId)
    .where('scope_key', '=', foldCase(scope))
    .executeTakeFirst();
  return row === undefined ? undefined : toAssignment(row);
}

/** What the detail column holds. */
type Detail = Pick<
  RoleAssignment,
  'condition' | 'createdBy' | 'description' | 'principalType' | 'updated' | 'updatedBy'
>;

function detailOf(assignment: RoleAssignment): string {
  const { condition, createdBy, description, principalType, updated, updatedBy } = assignment;
  const detail: Detail = { condition, createdBy, description, principalType, updated, updatedBy };
  return JSON.stringify(detail);
}

function toRow(assignment: RoleAssignment): Schema['role_assignments'] {
  return {
    id: assignment.id,
    tenant_id: assignment.tenantId,
    principal_id: assignment.principalId,
    role_id: assignment.roleId,
    scope: assignment.scope,
    scope_key: foldCase(assignment.scope),
    created: assignment.created,
    detail: detailOf(assignment),
  };
}

function toAssignment(row: Schema['role_assignments']): RoleAssignment {
  return {
    ...(JSON.parse(row.detail) as Detail),
    id: row.id,
    tenantId: row.tenant_id,
    principalId: row.principal_id,
    roleId: row.role_id,
    scope: row.scope,
    created: row.created,
  };
}

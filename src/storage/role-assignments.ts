import type { RoleAssignment, RoleAssignmentStore } from '../authorization/role-assignments.ts';
import { everyKey } from '../core/changes.ts';
import { foldCase } from '../core/names.ts';
import type { Database, Procedure } from './database.ts';
import type { Schema } from './schema.ts';

/** Role assignments. */
export function createRoleAssignmentStore(db: Database): RoleAssignmentStore {
  return {
    async ofPrincipal(principalId) {
      const rows = await db.read
        .selectFrom('role_assignments')
        .selectAll()
        .where('principal_id', '=', principalId)
        .orderBy('id')
        .execute();
      return rows.map(toAssignment);
    },
    async list() {
      return (await db.read.selectFrom('role_assignments').selectAll().orderBy('id').execute()).map(
        toAssignment,
      );
    },
    add: (assignment) => db.write(addAssignment, assignment),
    remove: (id) => db.write(removeAssignment, id),
  };
}

export const addAssignment: Procedure<RoleAssignment, RoleAssignment> = {
  name: 'roleAssignments.add',
  async run(tx, assignment) {
    const scopeKey = foldCase(assignment.scope);
    await tx
      .insertInto('role_assignments')
      .values({
        id: assignment.id,
        tenant_id: assignment.tenantId,
        principal_id: assignment.principalId,
        role_id: assignment.roleId,
        scope: assignment.scope,
        scope_key: scopeKey,
        created: assignment.created,
      })
      .onConflict((c) => c.columns(['principal_id', 'role_id', 'scope_key']).doNothing())
      .execute();
    const row = await tx
      .selectFrom('role_assignments')
      .selectAll()
      .where('principal_id', '=', assignment.principalId)
      .where('role_id', '=', assignment.roleId)
      .where('scope_key', '=', scopeKey)
      .executeTakeFirstOrThrow();
    return toAssignment(row);
  },
  changes: ({ principalId }) => [{ topic: 'roleAssignments', key: principalId }],
};

/** Whose it was is not known beforehand: every principal's are read again. */
export const removeAssignment: Procedure<string, boolean> = {
  name: 'roleAssignments.remove',
  async run(tx, id) {
    const { numDeletedRows } = await tx
      .deleteFrom('role_assignments')
      .where('id', '=', id)
      .executeTakeFirst();
    return numDeletedRows === 1n;
  },
  changes: () => [{ topic: 'roleAssignments', key: everyKey }],
};

function toAssignment(row: Schema['role_assignments']): RoleAssignment {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    principalId: row.principal_id,
    roleId: row.role_id,
    scope: row.scope,
    created: row.created,
  };
}

import type {
  DefinitionWrite,
  PutRoleOutcome,
  RoleDefinition,
  RoleDefinitionStore,
} from '../authorization/role-definitions.ts';
import type { Change } from '../core/changes.ts';
import { foldCase } from '../core/names.ts';
import type { LockTarget } from '../domain/resources/lock-store.ts';
import type { Database, Procedure, Writer } from './database.ts';
import { lockRows } from './dialect.ts';
import type { Schema } from './schema.ts';

/** A tenant's own roles. */
export function createRoleDefinitionStore(db: Database): RoleDefinitionStore {
  const definitions = () => db.read.selectFrom('role_definitions').selectAll().orderBy('id');
  return {
    async byIds(ids) {
      if (ids.length === 0) return [];
      return (await definitions().where('id', 'in', ids).execute()).map(toDefinition);
    },
    async list(tenantId) {
      return (await definitions().where('tenant_id', '=', tenantId).execute()).map(toDefinition);
    },
    put: (write) => db.write(putDefinition, write),
    remove: (was) => db.write(removeDefinition, was),
  };
}

/** Who writes or removes a role was allowed to by the scopes that it had: one that has changed since is left alone. */
export const putDefinition: Procedure<DefinitionWrite, PutRoleOutcome> = {
  name: 'roleDefinitions.put',
  async run(tx, { definition, was, most }) {
    const { id, tenantId, name } = definition;
    const ofTenant = tx.selectFrom('role_definitions').select('id').where('tenant_id', '=', tenantId);
    const namesake = await ofTenant
      .where('name_key', '=', foldCase(name))
      .where('id', '!=', id)
      .executeTakeFirst();
    if (namesake !== undefined) return 'taken';
    const row = await lockedRow(tx, id);
    if (row !== undefined) {
      if (row.tenant_id !== tenantId) return 'foreign';
      if (!isUnchanged(row, was)) return 'changed';
      const { created, createdBy } = toDefinition(row);
      const kept = toRow({ ...definition, created, createdBy });
      await tx.updateTable('role_definitions').set(kept).where('id', '=', id).execute();
      return 'updated';
    }
    if (was !== undefined) return 'changed';
    const { length } = await ofTenant.limit(most).execute();
    if (length >= most) return 'full';
    await tx.insertInto('role_definitions').values(toRow(definition)).execute();
    return 'created';
  },
  changes: ({ definition }) => [definitionChange(definition.id)],
  targets: ({ definition, was }) => [...targetsOf('write', definition), ...targetsOf('write', was)],
};

type Removed = 'removed' | 'missing' | 'assigned' | 'changed';

/** Its row is locked first: who assigns the role holds it, so that no assignment is left without its role. */
export const removeDefinition: Procedure<RoleDefinition, Removed> = {
  name: 'roleDefinitions.remove',
  async run(tx, was) {
    const { id } = was;
    const row = await lockedRow(tx, id);
    if (row === undefined) return 'missing';
    if (!isUnchanged(row, was)) return 'changed';
    const assigned = await tx
      .selectFrom('role_assignments')
      .select('id')
      .where('role_id', '=', id)
      .limit(1)
      .executeTakeFirst();
    if (assigned !== undefined) return 'assigned';
    await tx.deleteFrom('role_definitions').where('id', '=', id).execute();
    return 'removed';
  },
  changes: ({ id }) => [definitionChange(id)],
  targets: (was) => targetsOf('delete', was),
};

/** A role is at each scope where it can be assigned. */
function targetsOf(
  operation: LockTarget['operation'],
  role: RoleDefinition | undefined,
): readonly LockTarget[] {
  if (role === undefined) return [];
  return role.assignableScopes.map((scope) => ({
    operation,
    scope: `${scope === '/' ? '' : scope}/providers/Microsoft.Authorization/roleDefinitions/${role.id}`,
  }));
}

function lockedRow(tx: Writer, id: string): Promise<Row | undefined> {
  const query = tx.selectFrom('role_definitions').selectAll().where('id', '=', id);
  return lockRows(tx, query).executeTakeFirst();
}

function isUnchanged(row: Row, was: RoleDefinition | undefined): boolean {
  return was !== undefined && JSON.stringify(toRow(toDefinition(row))) === JSON.stringify(toRow(was));
}

function definitionChange(id: string): Change {
  return { topic: 'roleDefinitions', key: id };
}

/** What the detail column holds. */
type Detail = Pick<
  RoleDefinition,
  | 'actions'
  | 'assignableScopes'
  | 'createdBy'
  | 'dataActions'
  | 'description'
  | 'notActions'
  | 'notDataActions'
  | 'updatedBy'
>;

type Row = Schema['role_definitions'];

/** The same text for the same role, in whichever order its members came. */
function toRow(definition: RoleDefinition): Row {
  const { id, tenantId, name, created, updated } = definition;
  const { actions, notActions, dataActions, notDataActions, assignableScopes } = definition;
  const { createdBy, updatedBy, description } = definition;
  const lists = { actions, notActions, dataActions, notDataActions, assignableScopes };
  const detail: Detail = { ...lists, createdBy, updatedBy, description };
  return {
    id,
    tenant_id: tenantId,
    name,
    name_key: foldCase(name),
    detail: JSON.stringify(detail),
    created,
    updated,
  };
}

function toDefinition(row: Row): RoleDefinition {
  return {
    ...(JSON.parse(row.detail) as Detail),
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    condition: undefined,
    created: row.created,
    updated: row.updated,
  };
}

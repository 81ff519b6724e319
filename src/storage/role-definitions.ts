import type {
  PutRoleOutcome,
  RoleDefinition,
  RoleDefinitionStore,
} from '../authorization/role-definitions.ts';
import type { Change } from '../core/changes.ts';
import { foldCase } from '../core/names.ts';
import type { Database, Procedure } from './database.ts';
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
    put: (definition, most) => db.write(putDefinition, { definition, most }),
    remove: (id) => db.write(removeDefinition, id),
  };
}

export const putDefinition: Procedure<{ definition: RoleDefinition; most: number }, PutRoleOutcome> = {
  name: 'roleDefinitions.put',
  async run(tx, { definition, most }) {
    const { id, tenantId, name } = definition;
    const ofTenant = tx.selectFrom('role_definitions').select('id').where('tenant_id', '=', tenantId);
    const namesake = await ofTenant
      .where('name_key', '=', foldCase(name))
      .where('id', '!=', id)
      .executeTakeFirst();
    if (namesake !== undefined) return 'taken';
    const row = await lockRows(
      tx,
      tx.selectFrom('role_definitions').selectAll().where('id', '=', id),
    ).executeTakeFirst();
    if (row !== undefined) {
      if (row.tenant_id !== tenantId) return 'foreign';
      const { created, createdBy } = toDefinition(row);
      const kept = toRow({ ...definition, created, createdBy });
      await tx.updateTable('role_definitions').set(kept).where('id', '=', id).execute();
      return 'updated';
    }
    const { length } = await ofTenant.limit(most).execute();
    if (length >= most) return 'full';
    await tx.insertInto('role_definitions').values(toRow(definition)).execute();
    return 'created';
  },
  changes: ({ definition }) => [definitionChange(definition.id)],
};

/** Its row is locked first: who assigns the role holds it, so that no assignment is left without its role. */
export const removeDefinition: Procedure<string, 'removed' | 'missing' | 'assigned'> = {
  name: 'roleDefinitions.remove',
  async run(tx, id) {
    const query = tx.selectFrom('role_definitions').select('id').where('id', '=', id);
    if ((await lockRows(tx, query).executeTakeFirst()) === undefined) return 'missing';
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
  changes: (id) => [definitionChange(id)],
};

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

function toRow(definition: RoleDefinition): Schema['role_definitions'] {
  const { id, tenantId, name, created, updated, condition: _none, ...detail } = definition;
  const kept: Detail = detail;
  return {
    id,
    tenant_id: tenantId,
    name,
    name_key: foldCase(name),
    detail: JSON.stringify(kept),
    created,
    updated,
  };
}

function toDefinition(row: Schema['role_definitions']): RoleDefinition {
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

import { Failure } from '../core/errors.ts';
import { foldCase } from '../core/names.ts';
import { pageOf } from '../core/paging.ts';
import type {
  ClientCredential,
  PrincipalKind,
  PrincipalRecord,
  PrincipalStore,
} from '../identity/principals.ts';
import type { Database, Procedure } from './database.ts';
import type { Schema } from './schema.ts';

/** Principals and their client secrets' hashes. */
export function createPrincipalStore(db: Database): PrincipalStore {
  return { ...principalQueries(db), ...credentialQueries(db) };
}

function principalQueries(
  db: Database,
): Pick<PrincipalStore, 'byAppId' | 'byObjectId' | 'byResourceId' | 'list' | 'add'> {
  const principals = () => db.read.selectFrom('principals').selectAll();
  return {
    byAppId: async (appId) => toPrincipal(await principals().where('app_id', '=', appId).executeTakeFirst()),
    byObjectId: async (objectId) =>
      toPrincipal(await principals().where('object_id', '=', objectId).executeTakeFirst()),
    byResourceId: async (tenantId, resourceId) =>
      toPrincipal(
        await principals()
          .where('tenant_id', '=', tenantId)
          .where('resource_key', '=', foldCase(resourceId))
          .executeTakeFirst(),
      ),
    async list({ tenantId, kind }, page) {
      let query = principals()
        .where('tenant_id', '=', tenantId)
        .where('object_id', '>', page.after ?? '')
        .orderBy('object_id')
        .limit(page.limit + 1);
      if (kind !== undefined) query = query.where('kind', '=', kind);
      const rows = (await query.execute()).map((row) => fromRow(row));
      return pageOf(rows, page.limit, (row) => row.objectId);
    },
    add: (principal) => db.write(addPrincipal, principal),
  };
}

export const addPrincipal: Procedure<PrincipalRecord, void> = {
  name: 'principals.add',
  async run(tx, principal) {
    const { resourceId } = principal;
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('principals')
      .values({
        object_id: principal.objectId,
        tenant_id: principal.tenantId,
        app_id: principal.appId ?? null,
        kind: principal.kind,
        display_name: principal.displayName,
        resource_id: resourceId ?? null,
        resource_key: resourceId === undefined ? null : foldCase(resourceId),
        created: principal.created,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n) {
      throw new Failure('alreadyExists', `A principal like '${principal.displayName}' exists already.`);
    }
  },
};

function credentialQueries(
  db: Database,
): Pick<PrincipalStore, 'credentialsOf' | 'addCredential' | 'removeCredential'> {
  return {
    async credentialsOf(objectId) {
      const rows = await db.read
        .selectFrom('principal_credentials')
        .selectAll()
        .where('object_id', '=', objectId)
        .orderBy('created')
        .orderBy('key_id')
        .execute();
      return rows.map(toCredential);
    },
    addCredential: (credential) => db.write(addCredential, credential),
    removeCredential: (objectId, keyId) => db.write(removeCredential, { objectId, keyId }),
  };
}

export const addCredential: Procedure<ClientCredential, void> = {
  name: 'credentials.add',
  async run(tx, credential) {
    const owner = await tx
      .selectFrom('principals')
      .select('object_id')
      .where('object_id', '=', credential.objectId)
      .executeTakeFirst();
    if (owner === undefined) throw new Failure('notFound', 'There is no such principal.');
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('principal_credentials')
      .values({
        key_id: credential.keyId,
        object_id: credential.objectId,
        hash: credential.hash,
        hint: credential.hint,
        created: credential.created,
        expires: credential.expires,
      })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n)
      throw new Failure('alreadyExists', 'A credential with this id exists already.');
  },
};

export const removeCredential: Procedure<{ objectId: string; keyId: string }, boolean> = {
  name: 'credentials.remove',
  async run(tx, { objectId, keyId }) {
    const { numDeletedRows } = await tx
      .deleteFrom('principal_credentials')
      .where('object_id', '=', objectId)
      .where('key_id', '=', keyId)
      .executeTakeFirst();
    return numDeletedRows === 1n;
  },
};

function toPrincipal(row: Schema['principals'] | undefined): PrincipalRecord | undefined {
  return row === undefined ? undefined : fromRow(row);
}

function fromRow(row: Schema['principals']): PrincipalRecord {
  return {
    objectId: row.object_id,
    tenantId: row.tenant_id,
    appId: row.app_id ?? undefined,
    kind: row.kind as PrincipalKind,
    displayName: row.display_name,
    resourceId: row.resource_id ?? undefined,
    created: row.created,
  };
}

function toCredential(row: Schema['principal_credentials']): ClientCredential {
  return {
    keyId: row.key_id,
    objectId: row.object_id,
    hash: row.hash,
    hint: row.hint,
    created: row.created,
    expires: row.expires,
  };
}

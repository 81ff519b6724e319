/** What principals prove themselves with, as it is kept. */
import { Failure } from '../core/errors.ts';
import type { LockTarget } from '../domain/resources/lock-store.ts';
import type {
  ClientCredential,
  CredentialDetail,
  CredentialKind,
  PrincipalStore,
} from '../identity/principals.ts';
import type { Database, Procedure, Writer } from './database.ts';
import { lockRowsShared } from './dialect.ts';
import { prepare } from './prepared.ts';
import type { Schema } from './schema.ts';

/** What each token request asks. */
const credentialsOf = prepare((db, of: { objectId: string }) =>
  db
    .selectFrom('principal_credentials')
    .selectAll()
    .where('object_id', '=', of.objectId)
    .orderBy('created')
    .orderBy('key_id'),
);

export function credentialQueries(
  db: Database,
): Pick<PrincipalStore, 'credentialsOf' | 'addCredential' | 'replaceCredential' | 'removeCredential'> {
  return {
    credentialsOf: async (objectId) => (await credentialsOf(db.read, { objectId })).map(toCredential),
    addCredential: (credential) => db.write(addCredential, credential),
    replaceCredential: (credential) => db.write(replaceCredential, credential),
    removeCredential: (objectId, keyId) => db.write(removeCredential, { objectId, keyId }),
  };
}

export const addCredential: Procedure<ClientCredential, void> = {
  name: 'credentials.add',
  async run(tx, credential) {
    const owner = await lockRowsShared(
      tx,
      tx.selectFrom('principals').select('object_id').where('object_id', '=', credential.objectId),
    ).executeTakeFirst();
    if (owner === undefined) throw new Failure('notFound', 'There is no such principal.');
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('principal_credentials')
      .values(credentialRow(credential))
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n)
      throw new Failure('alreadyExists', 'A credential with this id exists already.');
  },
  targets: (credential, tx) => credentialTarget(tx, 'write', credential),
};

/** What is a resource is locked with its credentials; nothing else of the directory is. */
async function credentialTarget(
  tx: Writer,
  operation: LockTarget['operation'],
  { objectId, detail }: Pick<ClientCredential, 'objectId' | 'detail'>,
): Promise<readonly LockTarget[]> {
  const row = await tx
    .selectFrom('user_assigned_identities')
    .innerJoin('principals', 'principals.object_id', 'user_assigned_identities.object_id')
    .select('principals.resource_id')
    .where('user_assigned_identities.object_id', '=', objectId)
    .executeTakeFirst();
  if (row === undefined) return [];
  const { federated } = detail;
  const part = federated === undefined ? '' : `/federatedIdentityCredentials/${federated.name}`;
  return [{ operation, scope: `${row.resource_id}${part}` }];
}

export const replaceCredential: Procedure<ClientCredential, boolean> = {
  name: 'credentials.replace',
  async run(tx, credential) {
    const { numUpdatedRows } = await tx
      .updateTable('principal_credentials')
      .set(credentialRow(credential))
      .where('object_id', '=', credential.objectId)
      .where('key_id', '=', credential.keyId)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  },
  targets: (credential, tx) => credentialTarget(tx, 'write', credential),
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
  async targets({ objectId, keyId }, tx) {
    const query = tx.selectFrom('principal_credentials').selectAll().where('key_id', '=', keyId);
    const row = await query.where('object_id', '=', objectId).executeTakeFirst();
    return row === undefined ? [] : credentialTarget(tx, 'delete', toCredential(row));
  },
};

function credentialRow(credential: ClientCredential): Schema['principal_credentials'] {
  return {
    key_id: credential.keyId,
    object_id: credential.objectId,
    hash: credential.hash,
    hint: credential.hint,
    created: credential.created,
    expires: credential.expires,
    kind: credential.kind,
    detail: JSON.stringify(credential.detail),
  };
}

function toCredential(row: Schema['principal_credentials']): ClientCredential {
  return {
    kind: row.kind as CredentialKind,
    detail: JSON.parse(row.detail) as CredentialDetail,
    keyId: row.key_id,
    objectId: row.object_id,
    hash: row.hash,
    hint: row.hint,
    created: row.created,
    expires: row.expires,
  };
}

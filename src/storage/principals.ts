/** The directory: principals, who is in which group, and credentials as they are kept. */
import { type Change, everyKey } from '../core/changes.ts';
import { Failure } from '../core/errors.ts';
import { foldCase } from '../core/names.ts';
import { pageOf } from '../core/paging.ts';
import type {
  PrincipalDetail,
  PrincipalKind,
  PrincipalRecord,
  PrincipalStore,
} from '../identity/principals.ts';
import type { Database, Procedure, Writer } from './database.ts';
import { lockRows, lockRowsShared } from './dialect.ts';
import { takeUris } from './identifier-uris.ts';
import { prepare } from './prepared.ts';
import { credentialQueries } from './principal-credentials.ts';
import type { Schema } from './schema.ts';

export function createPrincipalStore(db: Database): PrincipalStore {
  return { ...principalQueries(db), ...principalWrites(db), ...memberQueries(db), ...credentialQueries(db) };
}

/** What each token request asks. */
const byAppId = prepare((db, of: { appId: string }) =>
  db.selectFrom('principals').selectAll().where('app_id', '=', of.appId),
);
const byObjectId = prepare((db, of: { objectId: string }) =>
  db.selectFrom('principals').selectAll().where('object_id', '=', of.objectId),
);
const byIdentifierUri = prepare((db, of: { tenantId: string; uri: string }) =>
  db
    .selectFrom('principals')
    .innerJoin('identifier_uris', 'identifier_uris.object_id', 'principals.object_id')
    .selectAll('principals')
    .where('identifier_uris.tenant_id', '=', of.tenantId)
    .where('identifier_uris.uri', '=', of.uri),
);

type Lookups =
  | 'byAppId'
  | 'byObjectId'
  | 'byResourceId'
  | 'byUserName'
  | 'byApplicationId'
  | 'byIdentifierUri'
  | 'list';

function principalQueries(db: Database): Pick<PrincipalStore, Lookups> {
  const principals = () => db.read.selectFrom('principals').selectAll();
  const first = async (query: ReturnType<typeof principals>) => toPrincipal(await query.executeTakeFirst());
  const inTenant = (tenantId: string) => principals().where('tenant_id', '=', tenantId);
  return {
    byAppId: async (appId) => toPrincipal((await byAppId(db.read, { appId }))[0]),
    byObjectId: async (objectId) => toPrincipal((await byObjectId(db.read, { objectId }))[0]),
    byApplicationId: (applicationId) => first(principals().where('application_id', '=', applicationId)),
    byResourceId: (tenantId, resourceId) =>
      first(inTenant(tenantId).where('resource_key', '=', foldCase(resourceId))),
    byIdentifierUri: async (tenantId, uri) =>
      toPrincipal((await byIdentifierUri(db.read, { tenantId, uri }))[0]),
    byUserName: (tenantId, userName) => first(inTenant(tenantId).where('user_key', '=', foldCase(userName))),
    async list({ tenantId, kind, resources }, page) {
      let query = inTenant(tenantId)
        .where('object_id', '>', page.after ?? '')
        .orderBy('object_id')
        .limit(page.limit + 1);
      if (kind !== undefined) query = query.where('kind', 'in', typeof kind === 'string' ? [kind] : kind);
      if (resources === false)
        query = query.where(
          'object_id',
          'not in',
          db.read.selectFrom('user_assigned_identities').select('object_id'),
        );
      const rows = (await query.execute()).map((row) => fromRow(row));
      return pageOf(rows, page.limit, (row) => row.objectId);
    },
  };
}

function principalWrites(db: Database): Pick<PrincipalStore, 'add' | 'replace' | 'remove'> {
  return {
    add: (principal) => db.write(addPrincipal, principal),
    replace: (principal, was) => db.write(replacePrincipal, { principal, was }),
    remove: (objectId) => db.write(removePrincipal, objectId),
  };
}

export const addPrincipal: Procedure<PrincipalRecord, void> = {
  name: 'principals.add',
  async run(tx, principal) {
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('principals')
      .values(toRow(principal))
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n) throw taken(principal);
    if (!(await takeUris(tx, principal))) throw taken(principal);
  },
  changes: ({ objectId }) => [principalChange(objectId)],
};

export const replacePrincipal: Procedure<{ principal: PrincipalRecord; was: PrincipalRecord }, boolean> = {
  name: 'principals.replace',
  async run(tx, { principal, was }) {
    const query = tx.selectFrom('principals').selectAll().where('object_id', '=', was.objectId);
    const row = await lockRows(tx, query).executeTakeFirst();
    if (row === undefined || !isSame(fromRow(row), was)) return false;
    await assertNamesFree(tx, principal, was);
    if (principal.objectId === was.objectId) {
      await tx
        .updateTable('principals')
        .set(toRow(principal))
        .where('object_id', '=', was.objectId)
        .execute();
      if (!(await takeUris(tx, principal, was))) throw taken(principal);
      return true;
    }
    await giveNewObjectId(tx, principal, was);
    return true;
  },
  // Whoever was in a group, or a group itself, under the old object id is so no longer.
  changes: ({ principal, was }) =>
    principal.objectId === was.objectId ? [principalChange(was.objectId)] : [everyPrincipal],
};

/** By rows, whose columns have one order. */
function isSame(a: PrincipalRecord, b: PrincipalRecord): boolean {
  return JSON.stringify(toRow(a)) === JSON.stringify(toRow(b));
}

/** Credentials go along; what was given to the old object id, memberships too, does not. */
async function giveNewObjectId(tx: Writer, principal: PrincipalRecord, was: PrincipalRecord): Promise<void> {
  const credentials = await tx
    .selectFrom('principal_credentials')
    .selectAll()
    .where('object_id', '=', was.objectId)
    .execute();
  await deletePrincipal(tx, was.objectId);
  await tx.insertInto('principals').values(toRow(principal)).execute();
  if (!(await takeUris(tx, principal))) throw taken(principal);
  for (const credential of credentials) {
    await tx
      .insertInto('principal_credentials')
      .values({ ...credential, object_id: principal.objectId })
      .execute();
  }
}

/** A racing write that takes the name meanwhile breaks the constraint, and this runs again and sees it. */
async function assertNamesFree(tx: Writer, principal: PrincipalRecord, was: PrincipalRecord): Promise<void> {
  const row = toRow(principal);
  const others = await tx
    .selectFrom('principals')
    .select('object_id')
    .where('object_id', '!=', was.objectId)
    .where((where) =>
      where.or([
        where('object_id', '=', row.object_id),
        ...(row.app_id === null ? [] : [where('app_id', '=', row.app_id)]),
        ...(row.application_id === null ? [] : [where('application_id', '=', row.application_id)]),
        ...(row.resource_key === null
          ? []
          : [where.and({ tenant_id: row.tenant_id, resource_key: row.resource_key })]),
        ...(row.user_key === null ? [] : [where.and({ tenant_id: row.tenant_id, user_key: row.user_key })]),
      ]),
    )
    .executeTakeFirst();
  if (others !== undefined) throw taken(principal);
}

function taken(principal: PrincipalRecord): Failure {
  return new Failure('alreadyExists', `A principal like '${principal.displayName}' exists already.`);
}

export const removePrincipal: Procedure<string, boolean> = {
  name: 'principals.remove',
  async run(tx, objectId) {
    await assertNoResource(tx, objectId);
    return deletePrincipal(tx, objectId);
  },
  changes: () => [everyPrincipal],
};

/** A resource goes as one, under locks and with what is given on it. */
async function assertNoResource(tx: Writer, objectId: string): Promise<void> {
  const resource = await tx
    .selectFrom('user_assigned_identities')
    .select('name')
    .where('object_id', '=', objectId)
    .executeTakeFirst();
  if (resource !== undefined)
    throw new Failure(
      'conflict',
      `The principal is the managed identity '${resource.name}', a resource of the management plane: delete that.`,
    );
}

/** Credentials and memberships go with it, by their foreign keys. */
async function deletePrincipal(tx: Writer, objectId: string): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('principals')
    .where('object_id', '=', objectId)
    .executeTakeFirst();
  return numDeletedRows === 1n;
}

function memberQueries(
  db: Database,
): Pick<PrincipalStore, 'membersOf' | 'groupsOf' | 'directGroupsOf' | 'addMember' | 'removeMember'> {
  return {
    async membersOf(groupId) {
      const rows = await db.read
        .selectFrom('group_members')
        .innerJoin('principals', 'principals.object_id', 'group_members.member_id')
        .selectAll('principals')
        .where('group_members.group_id', '=', groupId)
        .orderBy('principals.object_id')
        .execute();
      return rows.map((row) => fromRow(row));
    },
    async directGroupsOf(objectId) {
      const rows = await db.read
        .selectFrom('group_members')
        .select('group_id')
        .where('member_id', '=', objectId)
        .orderBy('group_id')
        .execute();
      return rows.map((row) => row.group_id);
    },
    groupsOf: (objectId) => readGroups(db, objectId),
    addMember: (groupId, memberId) => db.write(addMember, { groupId, memberId }),
    removeMember: (groupId, memberId) => db.write(removeMember, { groupId, memberId }),
  };
}

/** A union drops what it has had already, so that groups in a circle end the recursion. */
async function readGroups(db: Database, objectId: string): Promise<readonly string[]> {
  const rows = await db.read
    .withRecursive('above(group_id)', (query) =>
      query
        .selectFrom('group_members')
        .select('group_id')
        .where('member_id', '=', objectId)
        .union(
          query
            .selectFrom('group_members')
            .innerJoin('above', 'above.group_id', 'group_members.member_id')
            .select('group_members.group_id'),
        ),
    )
    .selectFrom('above')
    .select('group_id')
    .where('group_id', '!=', objectId)
    .orderBy('group_id')
    .execute();
  return rows.map((row) => row.group_id);
}

interface Membership {
  readonly groupId: string;
  readonly memberId: string;
}

export const addMember: Procedure<Membership, void> = {
  name: 'members.add',
  async run(tx, { groupId, memberId }) {
    const both = await lockRowsShared(
      tx,
      tx
        .selectFrom('principals')
        .select(['object_id', 'kind'])
        .where('object_id', 'in', [groupId, memberId])
        .orderBy('object_id'),
    ).execute();
    if (both.find((row) => row.object_id === groupId)?.kind !== 'group')
      throw new Failure('notFound', 'There is no such group.');
    if (!both.some((row) => row.object_id === memberId))
      throw new Failure('notFound', 'There is no such principal.');
    const { numInsertedOrUpdatedRows } = await tx
      .insertInto('group_members')
      .values({ group_id: groupId, member_id: memberId })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    if (numInsertedOrUpdatedRows !== 1n)
      throw new Failure('alreadyExists', 'The principal is a member of the group already.');
  },
  changes: () => [everyPrincipal],
};

export const removeMember: Procedure<Membership, boolean> = {
  name: 'members.remove',
  async run(tx, { groupId, memberId }) {
    const { numDeletedRows } = await tx
      .deleteFrom('group_members')
      .where('group_id', '=', groupId)
      .where('member_id', '=', memberId)
      .executeTakeFirst();
    return numDeletedRows === 1n;
  },
  changes: () => [everyPrincipal],
};

export function principalChange(objectId: string): Change {
  return { topic: 'principal', key: objectId };
}

/** Groups nest: whose groups a membership decides is not known beforehand. */
export const everyPrincipal: Change = { topic: 'principal', key: everyKey };

function toPrincipal(row: Schema['principals'] | undefined): PrincipalRecord | undefined {
  return row === undefined ? undefined : fromRow(row);
}

function toRow(principal: PrincipalRecord): Schema['principals'] {
  const { resourceId, userName } = principal;
  return {
    object_id: principal.objectId,
    tenant_id: principal.tenantId,
    app_id: principal.appId ?? null,
    kind: principal.kind,
    display_name: principal.displayName,
    resource_id: resourceId ?? null,
    resource_key: resourceId === undefined ? null : foldCase(resourceId),
    created: principal.created,
    user_name: userName ?? null,
    user_key: userName === undefined ? null : foldCase(userName),
    application_id: principal.applicationId ?? null,
    enabled: principal.enabled ? 1 : 0,
    detail: JSON.stringify(principal.detail),
  };
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
    userName: row.user_name ?? undefined,
    applicationId: row.application_id ?? undefined,
    enabled: row.enabled === 1,
    detail: JSON.parse(row.detail) as PrincipalDetail,
  };
}

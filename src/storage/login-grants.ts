/** What sign-in remembers between requests, and how often somebody guessed. */
import { sql } from 'kysely';
import type { FailureStore, SignInFailures } from '../identity/lock-out.ts';
import type {
  LoginGrant,
  LoginGrantExchange,
  LoginGrantKind,
  LoginGrantStore,
} from '../identity/login-grants.ts';
import type { Database, Procedure, Writer } from './database.ts';
import { lockRows } from './dialect.ts';
import type { Schema } from './schema.ts';

export function createLoginGrantStore(db: Pick<Database, 'read' | 'write'>): LoginGrantStore {
  return {
    async byId(id) {
      const query = db.read.selectFrom('login_grants').selectAll().where('id', '=', id);
      return toGrant(await query.executeTakeFirst());
    },
    async byFamily(kind, family) {
      const row = await db.read
        .selectFrom('login_grants')
        .selectAll()
        .where('family', '=', family)
        .where('kind', '=', kind)
        .orderBy('created', 'desc')
        .orderBy('id')
        .executeTakeFirst();
      return toGrant(row);
    },
    addOnce: (grant) => db.write(addGrantOnce, grant),
    exchange: (exchange) => db.write(exchangeGrants, exchange),
    revokeFamily: (family) => db.write(revokeFamily, family),
    prune: (now) => db.write(pruneGrants, now),
  };
}

export const addGrantOnce: Procedure<LoginGrant, LoginGrant> = {
  name: 'loginGrants.addOnce',
  async run(tx, grant) {
    await tx
      .insertInto('login_grants')
      .values(toRow(grant))
      .onConflict((c) => c.column('id').doNothing())
      .execute();
    const query = tx.selectFrom('login_grants').selectAll().where('id', '=', grant.id);
    return fromRow(await query.executeTakeFirstOrThrow());
  },
};

export const exchangeGrants: Procedure<LoginGrantExchange, boolean> = {
  name: 'loginGrants.exchange',
  async run(tx, { from, adds, session }) {
    if (session !== undefined && (await locked(tx, session.id)) === undefined) return false;
    if (from !== undefined) {
      const row = await locked(tx, from.was.id);
      if (row === undefined || !isSame(row, toRow(from.was))) return false;
      await tx.updateTable('login_grants').set(toRow(from.becomes)).where('id', '=', from.was.id).execute();
    }
    if (session !== undefined) {
      const { id, expires } = session;
      await tx.updateTable('login_grants').set({ expires }).where('id', '=', id).execute();
    }
    for (const grant of adds) await tx.insertInto('login_grants').values(toRow(grant)).execute();
    return true;
  },
};

/** The session goes first: whoever adds to it holds its row, and is either seen here or finds it gone. */
export const revokeFamily: Procedure<string, number> = {
  name: 'loginGrants.revokeFamily',
  async run(tx, family) {
    const session = await tx.deleteFrom('login_grants').where('id', '=', family).executeTakeFirst();
    const others = await tx.deleteFrom('login_grants').where('family', '=', family).executeTakeFirst();
    return Number(session.numDeletedRows + others.numDeletedRows);
  },
};

export const pruneGrants: Procedure<number, number> = {
  name: 'loginGrants.prune',
  async run(tx, now) {
    const pruned = await tx.deleteFrom('login_grants').where('expires', '<=', now).executeTakeFirst();
    return Number(pruned.numDeletedRows);
  },
};

function locked(tx: Writer, id: string): Promise<Row | undefined> {
  return lockRows(tx, tx.selectFrom('login_grants').selectAll().where('id', '=', id)).executeTakeFirst();
}

type Row = Schema['login_grants'];

function toRow(grant: LoginGrant): Row {
  return {
    id: grant.id,
    kind: grant.kind,
    family: grant.family,
    object_id: grant.objectId ?? null,
    detail: JSON.stringify(grant.detail),
    created: grant.created,
    expires: grant.expires,
    used: grant.used ?? null,
  };
}

function isSame(a: Row, b: Row): boolean {
  return (Object.keys(b) as (keyof Row)[]).every((column) => a[column] === b[column]);
}

function toGrant(row: Row | undefined): LoginGrant | undefined {
  return row === undefined ? undefined : fromRow(row);
}

function fromRow(row: Row): LoginGrant {
  return {
    id: row.id,
    kind: row.kind as LoginGrantKind,
    family: row.family,
    objectId: row.object_id ?? undefined,
    detail: JSON.parse(row.detail) as object,
    created: row.created,
    expires: row.expires,
    used: row.used ?? undefined,
  };
}

/** How often somebody guessed a user's password. */
export function createFailureStore(db: Pick<Database, 'read' | 'write'>): FailureStore {
  return {
    async of(objectId) {
      const query = db.read.selectFrom('sign_in_failures').selectAll().where('object_id', '=', objectId);
      const row = await query.executeTakeFirst();
      return row === undefined ? undefined : toFailures(row);
    },
    replace: (next, was) => db.write(replaceFailures, { next, was }),
    clear: (objectId) => db.write(clearFailures, objectId),
    count: (objectId, { now, until }) => db.write(countFailure, { objectId, now, until }),
    prune: (before, most) => db.write(pruneFailures, { before, most }),
  };
}

interface Replacement {
  readonly next: SignInFailures;
  readonly was: SignInFailures | undefined;
}

export const replaceFailures: Procedure<Replacement, boolean> = {
  name: 'signInFailures.replace',
  async run(tx, { next, was }) {
    const row = {
      object_id: next.objectId,
      failures: next.failures,
      last: next.last,
      locked_until: next.lockedUntil,
    };
    if (was === undefined) {
      const { numInsertedOrUpdatedRows } = await tx
        .insertInto('sign_in_failures')
        .values(row)
        .onConflict((c) => c.column('object_id').doNothing())
        .executeTakeFirst();
      return numInsertedOrUpdatedRows === 1n;
    }
    const { numUpdatedRows } = await tx
      .updateTable('sign_in_failures')
      .set(row)
      .where('object_id', '=', was.objectId)
      .where('failures', '=', was.failures)
      .where('last', '=', was.last)
      .where('locked_until', '=', was.lockedUntil)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  },
};

export const clearFailures: Procedure<string, void> = {
  name: 'signInFailures.clear',
  async run(tx, objectId) {
    await tx.deleteFrom('sign_in_failures').where('object_id', '=', objectId).execute();
  },
};

export const countFailure: Procedure<{ objectId: string; now: number; until: number }, void> = {
  name: 'signInFailures.count',
  async run(tx, { objectId, now, until }) {
    const isOver = sql<boolean>`sign_in_failures.locked_until <= ${now}`;
    await tx
      .insertInto('sign_in_failures')
      .values({ object_id: objectId, failures: 1, last: now, locked_until: until })
      .onConflict((conflict) =>
        conflict.column('object_id').doUpdateSet({
          failures: sql`case when ${isOver} then 1 else sign_in_failures.failures + 1 end`,
          last: now,
          locked_until: sql`case when ${isOver} then ${sql.val(until)} else sign_in_failures.locked_until end`,
        }),
      )
      .execute();
  },
};

export const pruneFailures: Procedure<{ before: number; most: number }, void> = {
  name: 'signInFailures.prune',
  async run(tx, { before, most }) {
    await tx.deleteFrom('sign_in_failures').where('last', '<', before).execute();
    const latest = await tx
      .selectFrom('sign_in_failures')
      .select('last')
      .where('object_id', 'like', '%/%')
      .orderBy('last', 'desc')
      .offset(most)
      .limit(1)
      .executeTakeFirst();
    if (latest === undefined) return;
    await tx
      .deleteFrom('sign_in_failures')
      .where('object_id', 'like', '%/%')
      .where('last', '<=', latest.last)
      .execute();
  },
};

function toFailures(row: Schema['sign_in_failures']): SignInFailures {
  return {
    objectId: row.object_id,
    failures: row.failures,
    last: row.last,
    lockedUntil: row.locked_until,
  };
}

/** Objects with versions, of every kind: the reader and the writer of `domain/versioned`. */
import type { StoredKind } from '../core/names.ts';
import {
  type HeadAndVersion,
  type ObjectChange,
  type ObjectHead,
  type ObjectKey,
  type ObjectReader,
  type ObjectState,
  type ObjectVersion,
  type ObjectWriter,
  objectChangeKey,
  StaleVaultKey,
} from '../domain/versioned/object-store.ts';
import type { Database, Procedure, Reader, Writer } from './database.ts';
import { objectQueries as queries } from './object-queries.ts';
import { toHead, toHeadRow, toMetadataColumns, toSealed, toVersion, toVersionRow } from './object-rows.ts';
import { vaultScope } from './scopes.ts';
import { createTurns, type Turns } from './turns.ts';

export function createObjectReader({ read }: Pick<Database, 'read'>): ObjectReader {
  return {
    async head(key) {
      const [row] = await queries.head(read, key);
      return row === undefined ? undefined : toHead(row);
    },
    async sealedVersion(key, version) {
      const [row] =
        version === undefined
          ? await queries.currentSealed(read, key)
          : await queries.versionSealed(read, { ...key, version: version.toLowerCase() });
      return row === undefined ? undefined : { head: toHead(row), version: toSealed(row) };
    },
    async listHeads(of, range) {
      const page = { ...of, deleted: of.deleted ? 1 : 0, after: range.after ?? '', limit: range.limit };
      const rows = await queries.heads(read, page);
      return rows.map((row): HeadAndVersion => ({ head: toHead(row), version: toVersion(row) }));
    },
    async listVersions(key, range) {
      const rows = await queries.versions(read, { ...key, after: range.after ?? '', limit: range.limit });
      return rows.map(toVersion);
    },
    async listSealedVersions(key, range) {
      const page = { ...key, after: range.after ?? '', limit: range.limit };
      return (await queries.sealedVersions(read, page)).map(toSealed);
    },
    async listDue(of, { after, limit }) {
      const { dueAt: afterDue, nameKey: afterName } = after ?? { dueAt: -1, nameKey: '' };
      const rows = await queries.due(read, { ...of, afterDue, afterName, limit });
      return rows.map((row): HeadAndVersion => ({ head: toHead(row), version: toVersion(row) }));
    },
    async vaultsWithDue(kind, now) {
      const rows = await read
        .selectFrom('objects')
        .select('vault_id')
        .distinct()
        .where('due_at', 'is not', null)
        .where('due_at', '<=', now)
        .where('kind', '=', kind)
        .where('deleted', '=', 0)
        .execute();
      return rows.map((row) => row.vault_id);
    },
    async dueForPurge(vaultId, now, limit) {
      const rows = await read
        .selectFrom('objects')
        .select(['kind', 'name_key'])
        .where('vault_id', '=', vaultId)
        .where('purge_at', '<=', now)
        .orderBy('purge_at')
        .limit(limit)
        .execute();
      return rows.map((row) => ({ vaultId, kind: row.kind as StoredKind, nameKey: row.name_key }));
    },
  };
}

/**
 * Decides on the committed state, and writes the decision if that is still the state; if not, decides again. Changes
 * of one object take turns in this process, so that only other processes' can come in between.
 */
export function createObjectWriter(db: Pick<Database, 'read' | 'write'>): ObjectWriter {
  const turns = createTurns();
  return {
    change: (key, ask, decide) =>
      turns.take(objectChangeKey(key), async () => {
        const version = ask.version?.toLowerCase();
        let seen = await readState(db.read, key, version);
        for (;;) {
          const { result, ...decision } = decide(seen);
          if (changesNothing(decision)) return result;
          const now = await db.write(decideObject, { key, version, seen, decision });
          if (now === undefined) return result;
          seen = now;
        }
      }),
    changeTogether: (objects, decide) => {
      const asked = objects.map(({ key, version }) => ({ key, version: version?.toLowerCase() }));
      const names = asked.map(({ key }) => objectChangeKey(key));
      const read = () => Promise.all(asked.map(({ key, version }) => readState(db.read, key, version)));
      return takeAll(turns, names, async () => {
        let seen = await read();
        for (;;) {
          const decided = attempt(() => decide(seen));
          const parts = decided.changes.map((change, index) => partOf(asked, { index, seen, change }));
          if (parts.every(({ decision }) => changesNothing(decision))) {
            // They were read one after the other. What they are twice, they are at once in between.
            const again = await read();
            if (JSON.stringify(again) === JSON.stringify(seen)) return decided.result();
            seen = again;
            continue;
          }
          if (parts.length !== asked.length) throw new TypeError('there is one change for each object');
          const now = await db.write(decideObjects, parts);
          if (now === undefined) return decided.result();
          seen = [...now];
        }
      });
    },
  };
}

function changesNothing({ head, add, update, drop }: Decided['decision']): boolean {
  return head === 'same' && !add && !update && !drop;
}

/** A decision that refuses changes nothing, and throws when it is asked for its result. */
function attempt<T>(
  decide: () => { readonly changes: readonly ObjectChange<unknown>[]; readonly result: T },
): {
  readonly changes: readonly ObjectChange<unknown>[];
  readonly result: () => T;
} {
  try {
    const { changes, result } = decide();
    return { changes, result: () => result };
  } catch (error) {
    const refuse = () => {
      throw error;
    };
    return { changes: [], result: refuse };
  }
}

function partOf(
  asked: readonly Pick<Decided, 'key' | 'version'>[],
  of: { index: number; seen: readonly ObjectState[]; change: ObjectChange<unknown> },
): Decided {
  const { [of.index]: ask } = asked;
  const { [of.index]: seen } = of.seen;
  if (ask === undefined || seen === undefined) throw new TypeError('there is one change for each object');
  const { result: _result, ...decision } = of.change;
  return { ...ask, seen, decision };
}

/** Takes the turns of all keys, one after the other. */
function takeAll<T>(turns: Turns, keys: readonly string[], work: () => Promise<T>): Promise<T> {
  const [first, ...others] = keys;
  return first === undefined ? work() : turns.take(first, () => takeAll(turns, others, work));
}

interface Decided {
  readonly key: ObjectKey;
  /** The version that was asked for; undefined for the current one. */
  readonly version: string | undefined;
  /** What was decided on. */
  readonly seen: ObjectState;
  readonly decision: Omit<ObjectChange<never>, 'result'>;
}

/** Writes a decision; if the object is not what was decided on any more, writes nothing and answers what it is. */
export const decideObject: Procedure<Decided, ObjectState | undefined> = {
  name: 'objects.decide',
  async run(tx, { key, version, seen, decision }) {
    const [row] = await queries.lockedHead(tx, key);
    const head = row === undefined ? undefined : toHead(row);
    // While the head is held nobody else changes the object, and what is read next is as it is. A version's attributes
    // count only where they are written anew: all else is decided on the head.
    const countsVersion = decision.update !== undefined;
    if (!countsVersion && JSON.stringify(head) === JSON.stringify(seen.head)) {
      await apply(tx, { key, seen, decision });
      return undefined;
    }
    const now = {
      head,
      version: head === undefined ? undefined : await versionOf(tx, { key, head, version }),
    };
    if (!countsVersion || JSON.stringify(now) !== JSON.stringify(seen)) return now;
    await apply(tx, { key, seen, decision });
    return undefined;
  },
  changes: ({ key }) => [{ topic: 'object', key: objectChangeKey(key) }],
  async targets({ key: { vaultId, kind, nameKey } }, tx) {
    const vault = await tx.selectFrom('vaults').selectAll().where('id', '=', vaultId).executeTakeFirst();
    if (vault === undefined) return [];
    const of = {
      subscriptionId: vault.subscription_id,
      resourceGroup: vault.resource_group,
      name: vault.name,
    };
    return [{ operation: 'write', scope: `${vaultScope(of)}/${kind}/${nameKey}` }];
  },
};

/** As `decideObject` for several objects: all is written, or what all of them are is answered. */
export const decideObjects: Procedure<readonly Decided[], readonly ObjectState[] | undefined> = {
  name: 'objects.decideTogether',
  async run(tx, parts) {
    const now: ObjectState[] = [];
    for (const { key, version } of parts) {
      const [row] = await queries.lockedHead(tx, key);
      const head = row === undefined ? undefined : toHead(row);
      now.push({
        head,
        version: head === undefined ? undefined : await versionOf(tx, { key, head, version }),
      });
    }
    const isAsSeen = parts.every(({ seen }, index) => JSON.stringify(now[index]) === JSON.stringify(seen));
    if (!isAsSeen) return now;
    for (const part of parts) if (!changesNothing(part.decision)) await apply(tx, part);
    return undefined;
  },
  changes: (parts) => parts.map(({ key }) => ({ topic: 'object', key: objectChangeKey(key) })),
};

const nothing: ObjectState = { head: undefined, version: undefined };

async function readState(db: Reader, key: ObjectKey, version: string | undefined): Promise<ObjectState> {
  const [row] = await queries.state(db, { ...key, version: version ?? null });
  if (row === undefined) return nothing;
  return { head: toHead(row), version: row.version === null ? undefined : toVersion(row) };
}

async function versionOf(
  tx: Writer,
  { key, head, version }: { key: ObjectKey; head: ObjectHead; version: string | undefined },
): Promise<ObjectVersion | undefined> {
  const [row] = await queries.version(tx, { ...key, version: version ?? head.currentVersion });
  return row === undefined ? undefined : toVersion(row);
}

async function apply(tx: Writer, { key, seen, decision }: Omit<Decided, 'version'>): Promise<void> {
  for (const version of decision.drop ?? []) await removeVersion(tx, key, version);
  for (const version of decision.add ?? []) {
    try {
      await queries.addVersion(tx, toVersionRow(key, version));
    } catch (error) {
      throw isForeignKeyFailure(error) ? new StaleVaultKey() : error;
    }
  }
  if (decision.update !== undefined) await updateVersion(tx, key, decision.update);
  if (decision.head === undefined) await removeObject(tx, key);
  else if (decision.head !== 'same') {
    const put = seen.head === undefined ? queries.addHead : queries.replaceHead;
    await put(tx, toHeadRow(key, decision.head));
  }
}

async function removeObject(tx: Writer, key: ObjectKey): Promise<void> {
  for (const table of ['object_versions', 'objects'] as const) {
    await tx
      .deleteFrom(table)
      .where('vault_id', '=', key.vaultId)
      .where('kind', '=', key.kind)
      .where('name_key', '=', key.nameKey)
      .execute();
  }
}

async function removeVersion(tx: Writer, key: ObjectKey, version: string): Promise<void> {
  await tx
    .deleteFrom('object_versions')
    .where('vault_id', '=', key.vaultId)
    .where('kind', '=', key.kind)
    .where('name_key', '=', key.nameKey)
    .where('version', '=', version)
    .execute();
}

async function updateVersion(tx: Writer, key: ObjectKey, version: ObjectVersion): Promise<void> {
  await tx
    .updateTable('object_versions')
    .set(toMetadataColumns(version))
    .where('vault_id', '=', key.vaultId)
    .where('kind', '=', key.kind)
    .where('name_key', '=', key.nameKey)
    .where('version', '=', version.version)
    .execute();
}

/** The only foreign key of a version is its vault key. SQLite: extended code 787; PostgreSQL: SQLSTATE 23503. */
function isForeignKeyFailure(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  return errcode === 787 || code === '23503';
}

/** What jobs do with objects whose time has come: those that are due are listed, those past their retention removed. */
import { type Clock, unixSeconds } from '../../core/clock.ts';
import { objectKey, type StoredKind } from '../../core/names.ts';
import type {
  DuePlace,
  HeadAndVersion,
  ObjectChange,
  ObjectReader,
  ObjectState,
  ObjectWriter,
} from './object-store.ts';

/** How many objects that are due are read at once. */
const duePage = 100;

/**
 * Live objects of a vault that a job is to look at, the longest due first. By pages from where the last one ended, so
 * that what stays due does not keep the rest from its turn.
 */
export async function* listDue(
  deps: { readonly reader: Pick<ObjectReader, 'listDue'>; readonly clock: Clock },
  kind: StoredKind,
  vaultId: string,
): AsyncGenerator<HeadAndVersion> {
  const of = { vaultId, kind, now: unixSeconds(deps.clock.now()) };
  let after: DuePlace | undefined;
  for (;;) {
    const page = await deps.reader.listDue(of, { after, limit: duePage });
    yield* page;
    const last = page.at(-1)?.head;
    if (last?.dueAt === undefined || page.length < duePage) return;
    after = { dueAt: last.dueAt, nameKey: objectKey(last.name) };
  }
}

/** Removes deleted objects of a vault whose retention has ended; answers how many. */
export async function purgeDue(
  deps: { readonly reader: ObjectReader; readonly writer: ObjectWriter; readonly clock: Clock },
  vaultId: string,
): Promise<number> {
  const now = unixSeconds(deps.clock.now());
  let purged = 0;
  for (;;) {
    const due = await deps.reader.dueForPurge(vaultId, now, 100);
    const before = purged;
    for (const nameKey of new Set(due.map((key) => key.nameKey))) {
      const objects = deletable.map((kind) => ({ key: { vaultId, kind, nameKey } }));
      purged += await deps.writer.changeTogether(objects, (states) => purgeOf(states, now));
    }
    // What was listed and is not due by now is listed no more.
    if (due.length === 0 || purged === before) return purged;
  }
}

/**
 * Kinds that are deleted before they are purged, in the order in which several are written. What is due of one name
 * goes in one write, since a certificate that were recovered in between would be one without its key.
 */
const deletable: readonly StoredKind[] = ['certificates', 'keys', 'pendingcertificates', 'secrets'];

/** Decided inside the write: objects may have been recovered since they were listed. */
function purgeOf(states: readonly ObjectState[], now: number) {
  const changes = states.map(({ head }): ObjectChange<undefined> => {
    const isDue = head?.purgeAt !== undefined && head.purgeAt <= now;
    return { head: isDue ? undefined : 'same', result: undefined };
  });
  return { changes, result: changes.filter(({ head }) => head === undefined).length };
}

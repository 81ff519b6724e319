/** Leases: who may do what only one process at a time may do. Time is not kept here, only beats are counted. */
import type { Lease, LeaseStore } from '../jobs/lease-store.ts';
import type { Database, Procedure } from './database.ts';
import { lockRows } from './dialect.ts';

export function createLeaseStore(db: Database): LeaseStore {
  return {
    async read(name) {
      return db.read.selectFrom('leases').selectAll().where('name', '=', name).executeTakeFirst();
    },
    take: (name, holder, seen) => db.write(takeLease, { name, holder, seen }),
    renew: (lease) => db.write(renewLease, lease),
    release: (lease) => db.write(releaseLease, lease),
  };
}

interface Take {
  readonly name: string;
  readonly holder: string;
  readonly seen: Lease | undefined;
}

export const takeLease: Procedure<Take, Lease | undefined> = {
  name: 'leases.take',
  async run(tx, { name, holder, seen }) {
    const query = tx.selectFrom('leases').selectAll().where('name', '=', name);
    const held = await lockRows(tx, query).executeTakeFirst();
    if (held?.term !== seen?.term || held?.beat !== seen?.beat) return undefined;
    const lease = { name, holder, term: (held?.term ?? 0) + 1, beat: 0 };
    if (held === undefined) await tx.insertInto('leases').values(lease).execute();
    else await tx.updateTable('leases').set(lease).where('name', '=', name).execute();
    return lease;
  },
};

export const renewLease: Procedure<Lease, boolean> = {
  name: 'leases.renew',
  async run(tx, { name, term }) {
    const { numUpdatedRows } = await tx
      .updateTable('leases')
      .set((row) => ({ beat: row('beat', '+', 1) }))
      .where('name', '=', name)
      .where('term', '=', term)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  },
};

/** The next to look finds it free; the term stays, so that it is never given twice. */
export const releaseLease: Procedure<Lease, void> = {
  name: 'leases.release',
  async run(tx, { name, term }) {
    await tx
      .updateTable('leases')
      .set({ holder: '' })
      .where('name', '=', name)
      .where('term', '=', term)
      .execute();
  },
};

import type { AnchorStore } from '../audit/log.ts';
import type { Database } from './database.ts';

/** Where the audit log named `log` keeps the mark of its newest record. */
export function createAnchorStore(db: Database, log: string): AnchorStore {
  return {
    async load() {
      const row = await db.read
        .selectFrom('audit_anchors')
        .select(['seq', 'mac'])
        .where('log', '=', log)
        .executeTakeFirst();
      return row;
    },
    save: ({ seq, mac }) =>
      db.write(async (tx) => {
        await tx
          .insertInto('audit_anchors')
          .values({ log, seq, mac })
          .onConflict((conflict) => conflict.column('log').doUpdateSet({ seq, mac }))
          .execute();
      }),
  };
}

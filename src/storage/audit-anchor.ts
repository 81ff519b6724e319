import type { AnchorStore } from '../audit/log.ts';
import type { Database, Procedure } from './database.ts';

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
    save: ({ seq, mac }) => db.write(saveAnchor, { log, seq, mac }),
  };
}

/** The names of all logs that have an anchor. */
export async function anchoredLogs(db: Pick<Database, 'read'>): Promise<readonly string[]> {
  return (await db.read.selectFrom('audit_anchors').select('log').execute()).map(({ log }) => log);
}

export const saveAnchor: Procedure<{ log: string; seq: number; mac: string }, void> = {
  name: 'auditAnchors.save',
  async run(tx, { log, seq, mac }) {
    await tx
      .insertInto('audit_anchors')
      .values({ log, seq, mac })
      .onConflict((conflict) => conflict.column('log').doUpdateSet({ seq, mac }))
      .execute();
  },
};

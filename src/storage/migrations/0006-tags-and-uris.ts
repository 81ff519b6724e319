import { type Kysely, sql } from 'kysely';
import { columnTypes } from '../dialect.ts';

/** Tags of subscriptions, tag names that were made before they are used, and each identifier URI once in a tenant. */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  for (const column of ['tags', 'tag_names'])
    await db.schema
      .alterTable('subscriptions')
      .addColumn(column, text, (c) => c.notNull().defaultTo(sql`'{}'`))
      .execute();
  await db.schema
    .createTable('identifier_uris')
    .addColumn('tenant_id', text, (c) => c.notNull())
    .addColumn('uri', text, (c) => c.notNull())
    .addColumn('object_id', text, (c) => c.notNull().references('principals.object_id').onDelete('cascade'))
    .addPrimaryKeyConstraint('identifier_uris_pk', ['tenant_id', 'uri'])
    .execute();
  await db.schema.createIndex('identifier_uris_by_owner').on('identifier_uris').column('object_id').execute();
  await copyUris(db as Kysely<Tables>);
}

interface Tables {
  principals: { object_id: string; tenant_id: string; kind: string; created: number; detail: string };
  identifier_uris: { tenant_id: string; uri: string; object_id: string };
}

/** Where two applications have one, it is the older one's. */
async function copyUris(db: Kysely<Tables>): Promise<void> {
  const applications = await db
    .selectFrom('principals')
    .select(['object_id', 'tenant_id', 'detail'])
    .where('kind', '=', 'application')
    .where('detail', 'like', '%identifierUris%')
    .orderBy('created')
    .orderBy('object_id')
    .execute();
  for (const { object_id, tenant_id, detail } of applications) {
    const { identifierUris = [] } = JSON.parse(detail) as { identifierUris?: readonly string[] };
    for (const uri of identifierUris) {
      await db
        .insertInto('identifier_uris')
        .values({ tenant_id, uri, object_id })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
  }
}

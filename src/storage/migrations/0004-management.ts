import { type Kysely, sql } from 'kysely';
import { columnTypes } from '../dialect.ts';

/** What the management plane and the whole of identity need. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await resources(db);
  await authorization(db);
  await directory(db);
  await signIn(db);
}

/** Resource groups with tags, vaults that can be deleted and recovered, locks, managed HSM records. */
async function resources(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  const object = sql`'{}'`;
  await db.schema
    .alterTable('resource_groups')
    .addColumn('tags', text, (c) => c.notNull().defaultTo(object))
    .execute();
  await db.schema
    .alterTable('vaults')
    .addColumn('detail', text, (c) => c.notNull().defaultTo(object))
    .execute();
  await db.schema.alterTable('vaults').addColumn('deleted_at', 'bigint').execute();
  await db.schema.alterTable('vaults').addColumn('purge_at', 'bigint').execute();
  await db.schema
    .createTable('locks')
    .addColumn('scope_key', text, (c) => c.notNull())
    .addColumn('name_key', text, (c) => c.notNull())
    .addColumn('scope', text, (c) => c.notNull())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('level', text, (c) => c.notNull())
    .addColumn('detail', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('locks_pk', ['scope_key', 'name_key'])
    .execute();
  await db.schema
    .createTable('managed_hsms')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('name_key', text, (c) => c.notNull().unique())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('tenant_id', text, (c) => c.notNull())
    .addColumn('subscription_id', text, (c) => c.notNull())
    .addColumn('resource_group', text, (c) => c.notNull())
    .addColumn('location', text, (c) => c.notNull())
    .addColumn('detail', text, (c) => c.notNull())
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addColumn('updated', 'bigint', (c) => c.notNull())
    .addColumn('deleted_at', 'bigint')
    .addColumn('purge_at', 'bigint')
    .execute();
}

/** Custom roles, and what assignments have besides principal, role and scope. */
async function authorization(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema
    .createTable('role_definitions')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('tenant_id', text, (c) => c.notNull())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('name_key', text, (c) => c.notNull())
    .addColumn('detail', text, (c) => c.notNull())
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addColumn('updated', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('role_definitions_name', ['tenant_id', 'name_key'])
    .execute();
  await db.schema
    .alterTable('role_assignments')
    .addColumn('detail', text, (c) => c.notNull().defaultTo(sql`'{}'`))
    .execute();
}

/** Users, groups, applications apart from their service principals, and credentials of every kind. */
async function directory(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema.alterTable('principals').addColumn('user_name', text).execute();
  await db.schema.alterTable('principals').addColumn('user_key', text).execute();
  await db.schema.alterTable('principals').addColumn('application_id', text).execute();
  await db.schema
    .alterTable('principals')
    .addColumn('enabled', 'integer', (c) => c.notNull().defaultTo(1))
    .execute();
  await db.schema
    .alterTable('principals')
    .addColumn('detail', text, (c) => c.notNull().defaultTo(sql`'{}'`))
    .execute();
  await db.schema
    .createIndex('principals_by_user')
    .on('principals')
    .columns(['tenant_id', 'user_key'])
    .unique()
    .execute();
  await db.schema
    .createIndex('principals_by_application')
    .on('principals')
    .column('application_id')
    .unique()
    .execute();
  await db.schema
    .alterTable('principal_credentials')
    .addColumn('kind', text, (c) => c.notNull().defaultTo(sql`'secret'`))
    .execute();
  await db.schema
    .alterTable('principal_credentials')
    .addColumn('detail', text, (c) => c.notNull().defaultTo(sql`'{}'`))
    .execute();
  await db.schema
    .createTable('group_members')
    .addColumn('group_id', text, (c) => c.notNull().references('principals.object_id').onDelete('cascade'))
    .addColumn('member_id', text, (c) => c.notNull().references('principals.object_id').onDelete('cascade'))
    .addPrimaryKeyConstraint('group_members_pk', ['group_id', 'member_id'])
    .execute();
  await db.schema.createIndex('group_members_by_member').on('group_members').column('member_id').execute();
}

/** What sign-in remembers between requests: codes, refresh tokens, used assertions, and guesses. */
async function signIn(db: Kysely<unknown>): Promise<void> {
  const { text } = columnTypes(db);
  await db.schema
    .createTable('login_grants')
    // A digest of what the client holds.
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('kind', text, (c) => c.notNull())
    // Refresh tokens that came of one sign-in.
    .addColumn('family', text, (c) => c.notNull())
    .addColumn('object_id', text)
    .addColumn('detail', text, (c) => c.notNull())
    .addColumn('created', 'bigint', (c) => c.notNull())
    .addColumn('expires', 'bigint', (c) => c.notNull())
    .addColumn('used', 'bigint')
    .execute();
  await db.schema.createIndex('login_grants_by_family').on('login_grants').column('family').execute();
  await db.schema.createIndex('login_grants_by_expiry').on('login_grants').column('expires').execute();
  await db.schema
    .createTable('sign_in_failures')
    .addColumn('object_id', text, (c) => c.primaryKey())
    .addColumn('failures', 'integer', (c) => c.notNull())
    .addColumn('last', 'bigint', (c) => c.notNull())
    .addColumn('locked_until', 'bigint', (c) => c.notNull())
    .execute();
}

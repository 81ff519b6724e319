/** One session with PostgreSQL for a command that reads or writes everything: no pool, no news of changes. */
import { Kysely } from 'kysely';
import type { ConnectionDeps } from './postgres-connections.ts';
import { createPostgresDialect } from './postgres-driver.ts';
import { assertFits, reach, warnOfTls } from './postgres-open.ts';
import { type PostgresSettings, parsePostgresSettings } from './postgres-settings.ts';
import type { Schema } from './schema.ts';

/** Milliseconds that one statement may take: a count or a page of a large table, or the wait for a migration. */
const statementTimeout = 600_000;
/** Milliseconds for which a transaction may stand still, as while what it reads is written to a slow disk. */
const idleTimeout = 600_000;

export interface Alone {
  readonly db: Kysely<Schema>;
  close(): Promise<void>;
}

/** Rejects with `InvalidPostgresSettings`, or an `Error` that says what is wrong with the server. */
export async function openPostgresAlone(
  deps: ConnectionDeps,
  settings: Omit<PostgresSettings, 'poolSize'>,
): Promise<Alone> {
  const address = parsePostgresSettings({ ...settings, poolSize: 1 });
  warnOfTls(deps, address);
  const session = await reach(deps, address);
  try {
    await assertFits(deps, session);
    await session.control(
      `set statement_timeout = ${statementTimeout}; set idle_in_transaction_session_timeout = ${idleTimeout}`,
    );
  } catch (error) {
    session.release();
    throw error;
  }
  const one = { ...session, release: () => undefined };
  return {
    db: new Kysely<Schema>({
      dialect: createPostgresDialect({ acquire: async () => one, end: async () => undefined }, 'writes'),
    }),
    close: async () => session.release(),
  };
}

/** What is made sure of before PostgreSQL is used: it can be reached, it fits, and its schema is up to date. */
import { Kysely } from 'kysely';
import type { Reader } from './database.ts';
import { migrate } from './migrate.ts';
import {
  type ConnectionDeps,
  openSession,
  type Session,
  type SessionLimits,
} from './postgres-connections.ts';
import { createPostgresDialect } from './postgres-driver.ts';
import { hasTrouble, messageOf, PostgresError } from './postgres-errors.ts';
import { isLocal, type PostgresAddress } from './postgres-settings.ts';
import type { Schema } from './schema.ts';

/** Milliseconds for which a server that is not up yet is waited for at the start. */
export const openPatience = 10_000;
/** Milliseconds that a migration's statement may take. Its locks wait as briefly as those of any other. */
export const migrationTimeout = 600_000;
/** The first version of PostgreSQL that is supported, as `server_version_num` writes it. */
export const oldestServer = 150_000;

/** How often a migration is begun in all when others hold its locks. */
export const migrationAttempts = 30;

const openRetryInterval = 250;
const migrationRetryInterval = 1000;
/** A process waits its turn for as long as the migrations of the one before it take. */
const limits: SessionLimits = { statement: 0, answer: 0 };

/** Rejects with an `Error` that says where the server is and what is wrong, or with what `inspect` threw. */
export async function prepareDatabase(
  deps: ConnectionDeps,
  address: PostgresAddress,
  inspect: ((read: Reader) => Promise<void>) | undefined,
): Promise<void> {
  warnOfTls(deps, address);
  const session = await reach(deps, address);
  try {
    await assertFits(deps, session);
    // Sessions of its own bounds: a migration may take longer than a request may wait.
    const one = { ...session, release: () => undefined };
    const db = new Kysely<Schema>({
      dialect: createPostgresDialect({ acquire: async () => one, end: async () => undefined }, 'writes'),
    });
    await inspect?.(db);
    await session.control(`set statement_timeout = ${migrationTimeout}`);
    await migrateWithPatience(deps, db);
  } finally {
    session.release();
  }
}

/**
 * A migration takes its locks at once or not at all: while it waited, requests of other nodes would wait behind it.
 * One that fails for that is rolled back as a whole, and tried again.
 */
async function migrateWithPatience({ clock, log }: ConnectionDeps, db: Kysely<Schema>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await migrate(db);
      return;
    } catch (error) {
      const { cause } = error as Error;
      const locked = cause instanceof PostgresError && (cause.code === '55P03' || cause.code === '40P01');
      if (!locked || attempt >= migrationAttempts) throw error;
      log.info('the migration waits for locks of other nodes', { attempt });
      await new Promise<void>((resolve) => clock.after(migrationRetryInterval, resolve));
    }
  }
}

export async function reach({ clock, log }: ConnectionDeps, address: PostgresAddress): Promise<Session> {
  const begun = clock.monotonic();
  const place = address.host.startsWith('/') ? address.host : `${address.host}:${address.port}`;
  for (;;) {
    try {
      return await openSession(address, limits);
    } catch (error) {
      const reason = messageOf(error);
      if (!mayComeUp(error) || clock.monotonic() - begun >= openPatience)
        throw new Error(`The database at ${place} cannot be used: ${reason}${adviceOn(reason)}`, {
          cause: error,
        });
      log.info('waiting for the database', { place, reason });
      await new Promise<void>((resolve) => clock.after(openRetryInterval, resolve));
    }
  }
}

/** Of a server that starts: it refuses connections, or says that it starts. Not: a wrong name, password or key. */
function mayComeUp(error: unknown): boolean {
  if (!(error instanceof PostgresError)) return false;
  if (error.code !== undefined) return hasTrouble(error, 'lost', 'unavailable');
  return /ECONNREFUSED|ECONNRESET|ENOENT|terminated/.test(error.message);
}

function adviceOn(reason: string): string {
  if (reason.includes('does not support SSL'))
    return '. TLS is required for it; only sslmode=disable in the URL sends everything in plain text';
  if (/certificate|altnames/i.test(reason))
    return '. If the authority is your own, name its PEM file in the settings';
  return '';
}

export function warnOfTls({ log }: ConnectionDeps, { host, tls }: PostgresAddress): void {
  if (isLocal(host)) return;
  if (tls === undefined) log.warn('the connection to the database is not encrypted', { host });
  else if (!tls.rejectUnauthorized) log.warn('the certificate of the database is not verified', { host });
}

export async function assertFits({ log }: ConnectionDeps, session: Session): Promise<void> {
  const { rows } = await session.query(
    `select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding,
      current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on' as durable`,
    [],
  );
  const [row] = rows as { version: number; encoding: string; durable: boolean }[];
  if (row === undefined || row.version < oldestServer)
    throw new Error(`PostgreSQL ${oldestServer / 10_000} or newer is needed.`);
  if (row.encoding !== 'UTF8')
    throw new Error(`The database has the encoding ${row.encoding}; it has to be made with UTF8.`);
  if (!row.durable)
    log.warn('the database does not keep what it has committed through a power failure (fsync is off)');
}

/**
 * Sessions with PostgreSQL: how they are opened, what is set in each, the pool of them, and the bounds on every
 * wait. A session hides the driver: its queries are prepared by name, its errors are sorted, and one whose
 * connection is in doubt is never used again.
 */
import { Client, Pool, type PoolClient, type QueryConfig, types } from 'pg';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { storageUnavailable } from './database.ts';
import { hasTrouble, PostgresError, postgresError, UnreadableValue } from './postgres-errors.ts';
import type { PostgresAddress } from './postgres-settings.ts';

/** Milliseconds to open a connection, and to wait for a free one of the pool. */
export const connectTimeout = 2000;
/** Milliseconds that a statement may wait for a lock; the server ends it (55P03). */
export const lockTimeout = 2000;
/** Milliseconds that a statement may run; the server ends it (57014). */
export const statementTimeout = 4000;
/** Milliseconds without an answer after which the connection counts as dead; above the server's own bounds. */
export const answerTimeout = 5000;
/** Milliseconds after which the server ends a transaction whose process has stopped, to set its locks free. */
export const idleTransactionTimeout = 10_000;
/** Milliseconds for which a request waits for a server that refuses connections, as while it restarts. */
export const awayPatience = 2000;
/** The most statements that are prepared in a session; others are sent with their text. */
export const preparedStatementLimit = 500;

const awayRetryInterval = 100;
/** Milliseconds: an idle connection is kept, since opening one costs a process on the server; TLS doubles that. */
const idleTimeout = 300_000;
/** Milliseconds: TCP asks after a silent peer, so that a dead one is found while nobody waits for it. */
const keepAliveDelay = 10_000;

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly log: Log;
}

export interface QueryAnswer {
  readonly command: string;
  readonly rowCount: number | null;
  readonly rows: unknown[];
}

/** One connection, held by one user at a time. */
export interface Session {
  /** Runs one statement, prepared at its first use; rejects with a `PostgresError` or `UnreadableValue`. */
  query(text: string, parameters: readonly unknown[]): Promise<QueryAnswer>;
  /** Runs a statement without parameters that is not worth preparing: BEGIN, COMMIT, SET. */
  control(text: string): Promise<QueryAnswer>;
  /** Gives it back; one that is in doubt is closed instead. */
  release(): void;
  /** Marks it as in doubt. */
  discard(): void;
}

export interface Connections {
  /** A session of the pool. Rejects with the 503 `Failure` when none is to be had within the bounds. */
  acquire(): Promise<Session>;
  /** Closes idle sessions at once and the others when they are given back. */
  end(): Promise<void>;
}

/** Limits of a session that differ by what it is for, in milliseconds; 0 is none. */
export interface SessionLimits {
  readonly statement: number;
  readonly answer: number;
}

const queryLimits: SessionLimits = { statement: statementTimeout, answer: answerTimeout };

/** `bigint` (oid 20) comes as a number: times, counts and sequence numbers, all far below 2^53. */
const typeParsers = {
  getTypeParser: ((oid: number, format?: 'text') =>
    oid === 20 ? parseBigint : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
};

function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new UnreadableValue('a bigint beyond 2^53 was read');
  return value;
}

/** What the driver needs to connect. Nothing is left to the PG* variables of the environment or to ~/.pgpass. */
function clientConfig(address: PostgresAddress, limits: SessionLimits) {
  const { host, port, user, password, database, tls } = address;
  return {
    host,
    port,
    user,
    // As a function it is asked for when needed, and is no property that could be printed.
    password,
    database,
    ssl: tls !== undefined && {
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      rejectUnauthorized: tls.rejectUnauthorized,
      ...(tls.checkName ? {} : { checkServerIdentity: () => undefined }),
    },
    sslnegotiation: 'postgres' as const,
    application_name: 'strongroom',
    options: `-c client_encoding=UTF8 -c statement_timeout=${limits.statement} -c lock_timeout=${lockTimeout} -c idle_in_transaction_session_timeout=${idleTransactionTimeout}`,
    query_timeout: limits.answer,
    connectionTimeoutMillis: connectTimeout,
    keepAlive: true,
    keepAliveInitialDelayMillis: keepAliveDelay,
    types: typeParsers,
  };
}

/**
 * Run once in each session. A standby is refused: its data is old. `synchronous_commit` is never less than `on`,
 * but stays as it is where the server asks for more (`remote_apply`).
 */
const prepareSession = `select pg_is_in_recovery() as standby,
  case when current_setting('synchronous_commit') in ('on', 'remote_apply') then ''
    else set_config('synchronous_commit', 'on', false) end`;

async function setUp(client: Pick<Client, 'query'>): Promise<void> {
  const { rows } = await client.query<{ standby: boolean }>(prepareSession);
  if (rows[0]?.standby !== false)
    throw new PostgresError('the server is a standby, which cannot write', {
      code: '25006',
      trouble: 'unavailable',
    });
}

/** What a session of its own reports apart from its answers. */
export interface SessionEvents {
  /** Another session has sent a notification on a channel that this one listens to. */
  notified(): void;
  /** The connection has ended, whoever ended it. */
  ended(): void;
}

/** Opens one session outside of the pool; `release` closes it. Rejects with a `PostgresError`. */
export async function openSession(
  address: PostgresAddress,
  limits: SessionLimits,
  events?: SessionEvents,
): Promise<Session> {
  const client = new Client(clientConfig(address, limits));
  // An error that no query reports is followed by the end.
  client.on('error', () => undefined);
  client.on('end', () => events?.ended());
  client.on('notification', ({ processId }) => {
    if (processId !== ownProcessId(client)) events?.notified();
  });
  try {
    await client.connect();
    await setUp(client);
  } catch (error) {
    client.end().catch(() => undefined);
    throw postgresError(error);
  }
  return createSession(client, {
    names: createStatementNames(),
    stale: () => undefined,
    close: () => void client.end().catch(() => undefined),
  });
}

/** The server's process for this connection; known to the driver, but not in its types. */
function ownProcessId(client: Client): unknown {
  return 'processID' in client ? client.processID : undefined;
}

/** A pool of at most `poolSize` sessions, opened when they are needed. */
export function createConnections(
  deps: ConnectionDeps,
  address: PostgresAddress,
  poolSize: number,
): Connections {
  const pool = new Pool({
    ...clientConfig(address, queryLimits),
    max: poolSize,
    idleTimeoutMillis: idleTimeout,
    allowExitOnIdle: true,
    onConnect: (client) => setUp(client),
  });
  // Without a listener, the end of a connection that is in use would end the process; its next query reports it.
  pool.on('connect', (client) => client.on('error', () => undefined));
  // The error of an idle connection; the pool has dropped it. Its other properties lead to the whole client.
  pool.on('error', (error) =>
    deps.log.info('an idle database connection was lost', { reason: error.message }),
  );
  const names = createStatementNames();
  // When the statements of one session no longer fit the schema, neither do those of the others.
  let generation = {};
  const stale = () => {
    generation = {};
  };
  const sessions = new WeakMap<PoolClient, { session: Session; generation: object }>();
  const take = async (): Promise<Session> => {
    const client = await pool.connect();
    const known = sessions.get(client);
    if (known?.generation === generation) return known.session;
    if (known !== undefined) {
      client.release(true);
      return take();
    }
    const session = createSession(client, { names, stale, close: (broken) => client.release(broken) });
    sessions.set(client, { session, generation });
    return session;
  };
  const acquire = withPatience(deps, take);
  return {
    acquire: async () => {
      if (pool.ending) throw storageUnavailable(new Error('the database was closed'));
      return acquire();
    },
    end: () => pool.end(),
  };
}

interface SessionUse {
  readonly names: StatementNames;
  /** What the session has prepared no longer fits. */
  stale(): void;
  close(broken: boolean): void;
}

function createSession(client: Client | PoolClient, { names, stale, close }: SessionUse): Session {
  let broken = false;
  const run = async (query: QueryConfig<unknown[]>): Promise<QueryAnswer> => {
    if (broken) throw new PostgresError('the session is in doubt', { trouble: 'lost' });
    try {
      return await client.query(query);
    } catch (error) {
      const sorted = postgresError(error);
      if (isInDoubt(sorted)) broken = true;
      if (hasTrouble(sorted, 'stale')) stale();
      throw sorted;
    }
  };
  return {
    query: (text, parameters) => run(names(text, parameters)),
    control: (text) => run({ text }),
    release: () => close(broken),
    discard() {
      broken = true;
    },
  };
}

/** Whether the session can be used after the error: the server has answered, and has not said farewell. */
function isInDoubt(error: Error): boolean {
  if (!(error instanceof PostgresError)) return false;
  return error.code === undefined || error.trouble === 'lost' || error.trouble === 'stale';
}

type StatementNames = (text: string, parameters: readonly unknown[]) => QueryConfig<unknown[]>;

/** Gives each statement's text a short name, by which the server finds what it has prepared in a session. */
function createStatementNames(): StatementNames {
  const names = new Map<string, string>();
  return (text, parameters) => {
    let name = names.get(text);
    if (name === undefined && names.size < preparedStatementLimit) {
      name = `s${names.size}`;
      names.set(text, name);
    }
    const values = parameters as unknown[];
    return name === undefined ? { text, values } : { name, text, values };
  };
}

/**
 * Tries again while the server cannot be reached, but only for the first moments of an outage: later, each request
 * makes one attempt and is refused, so that they do not pile up.
 */
function withPatience({ clock, log }: ConnectionDeps, take: () => Promise<Session>): () => Promise<Session> {
  let awaySince: number | undefined;
  return async () => {
    for (;;) {
      const begun = clock.monotonic();
      try {
        const session = await take();
        if (awaySince !== undefined) log.info('the database is back');
        awaySince = undefined;
        return session;
      } catch (error) {
        const sorted = postgresError(error);
        if (isPoolExhausted(error)) throw storageUnavailable(sorted);
        if (awaySince === undefined) log.warn('the database cannot be reached', { reason: sorted.message });
        awaySince ??= begun;
        if (clock.monotonic() - awaySince >= awayPatience) throw storageUnavailable(sorted);
        await new Promise<void>((resolve) => clock.after(awayRetryInterval, resolve));
      }
    }
  };
}

/** The pool's own words for "all connections are in use", which says nothing about the server. */
function isPoolExhausted(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect';
}

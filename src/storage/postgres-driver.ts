/** Kysely over our sessions: single statements each take a session of the pool, transactions keep theirs. */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import type { Connections, QueryAnswer, Session } from './postgres-connections.ts';
import { CommitUnknown, forCaller, hasTrouble, PostgresError } from './postgres-errors.ts';

/**
 * - `reads`: each statement takes a session for itself, and a select whose session broke is tried once more. Faults
 *   leave as the 503 `Failure`.
 * - `writes`: a connection keeps its session. Errors leave as they are.
 */
export type DriverUse = 'reads' | 'writes';

export function createPostgresDialect(connections: Connections, use: DriverUse): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => createDriver(connections, use),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  };
}

function createDriver(connections: Connections, use: DriverUse): Driver {
  return {
    init: async () => undefined,
    acquireConnection: async () =>
      use === 'reads' ? new ReadConnection(connections) : new SessionConnection(await connections.acquire()),
    beginTransaction: (connection, settings) => ours(connection).begin(settings),
    commitTransaction: (connection) => ours(connection).commit(),
    rollbackTransaction: (connection) => ours(connection).rollback(),
    releaseConnection: async (connection) => ours(connection).release(),
    // The pool is closed by who made it.
    destroy: async () => undefined,
  };
}

interface OurConnection extends DatabaseConnection {
  begin(settings: TransactionSettings): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  release(): void;
}

function ours(connection: DatabaseConnection): OurConnection {
  return connection as OurConnection;
}

/** A session for as long as the connection is held. */
class SessionConnection implements OurConnection {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return resultOf(await this.#session.query(query.sql, query.parameters));
  }

  async begin({ isolationLevel, accessMode }: TransactionSettings): Promise<void> {
    const level = isolationLevel === undefined ? '' : ` isolation level ${isolationLevel}`;
    await this.#session.control(`begin${level}${accessMode === undefined ? '' : ` ${accessMode}`}`);
  }

  /** Rejects with `CommitUnknown` unless the server has said what became of the transaction. */
  async commit(): Promise<void> {
    const { command } = await this.#session.control('commit').catch((error: unknown) => {
      if (isRolledBack(error)) throw error;
      this.#session.discard();
      throw new CommitUnknown(error);
    });
    // The answer to the COMMIT of a transaction in which a statement had failed.
    if (command === 'ROLLBACK')
      throw new PostgresError('the transaction had failed before its COMMIT', {
        trouble: 'other',
        code: '25P02',
      });
  }

  /** Never rejects: a session that cannot roll back is closed, and the server rolls back. */
  async rollback(): Promise<void> {
    await this.#session.control('rollback').catch(() => this.#session.discard());
  }

  release(): void {
    this.#session.release();
  }

  streamQuery(): AsyncIterableIterator<never> {
    throw new Error('rows are not streamed; read them by pages');
  }
}

/** A session for each statement, or for a transaction. */
class ReadConnection implements OurConnection {
  readonly #connections: Connections;
  #held: SessionConnection | undefined;

  constructor(connections: Connections) {
    this.#connections = connections;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      if (this.#held !== undefined) return await this.#held.executeQuery<R>(query);
      return await this.#once<R>(query).catch((error) => {
        if (query.query.kind !== 'SelectQueryNode' || !hasTrouble(error, 'lost', 'stale')) throw error;
        return this.#once<R>(query);
      });
    } catch (error) {
      throw forCaller(error);
    }
  }

  async #once<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const session = await this.#connections.acquire();
    try {
      return resultOf<R>(await session.query(query.sql, query.parameters));
    } finally {
      session.release();
    }
  }

  async begin(settings: TransactionSettings): Promise<void> {
    this.#held = new SessionConnection(await this.#connections.acquire());
    await this.#held.begin(settings).catch((error: unknown) => {
      throw forCaller(error);
    });
  }

  async commit(): Promise<void> {
    await this.#held?.commit().catch((error: unknown) => {
      throw forCaller(error);
    });
  }

  async rollback(): Promise<void> {
    await this.#held?.rollback();
  }

  release(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  streamQuery(): AsyncIterableIterator<never> {
    throw new Error('rows are not streamed; read them by pages');
  }
}

/** COMMIT was answered with an error that only a transaction which is rolled back gets. */
function isRolledBack(error: unknown): boolean {
  return error instanceof PostgresError && (error.code?.startsWith('23') || error.trouble === 'conflict');
}

const writing: readonly string[] = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'];

function resultOf<R>({ command, rowCount, rows }: QueryAnswer): QueryResult<R> {
  if (!writing.includes(command)) return { rows: rows as R[] };
  return { rows: rows as R[], numAffectedRows: BigInt(rowCount ?? 0) };
}

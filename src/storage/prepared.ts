/**
 * Queries that are built once. Building one costs several times what SQLite takes to run it, so those on the
 * request path are compiled at their first use, once per dialect, and run with the parameters of each call.
 */
import type { Compilable, CompiledQuery, DialectAdapter, Kysely } from 'kysely';
import type { Schema } from './schema.ts';

class Slot {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Runs a prepared query; `db` is the reader, or a writer inside its procedure. */
export type Prepared<P, R> = (db: Kysely<Schema>, parameters: P) => Promise<R[]>;

interface Compiled<P, R> {
  readonly query: CompiledQuery<R>;
  readonly fillers: readonly ((parameters: P) => unknown)[];
}

/** Prepares the query that `build` makes; what it takes from its second argument is filled in at each run. */
export function prepare<P extends object, R>(
  build: (db: Kysely<Schema>, slots: P) => Compilable<R>,
): Prepared<P, R> {
  const compiled = new WeakMap<DialectAdapter, Compiled<P, R>>();
  return async (db, parameters) => {
    const { adapter } = db.getExecutor();
    let found = compiled.get(adapter);
    if (found === undefined) {
      found = compile(db, build);
      compiled.set(adapter, found);
    }
    const { query, fillers } = found;
    const filled = { ...query, parameters: fillers.map((fill) => fill(parameters)) };
    return (await db.executeQuery<R>(filled)).rows;
  };
}

function compile<P extends object, R>(
  db: Kysely<Schema>,
  build: (db: Kysely<Schema>, slots: P) => Compilable<R>,
): Compiled<P, R> {
  const slots = new Proxy({}, { get: (_target, name) => new Slot(String(name)) }) as P;
  const query: CompiledQuery<R> = build(db, slots).compile();
  const fillers = query.parameters.map((value) =>
    value instanceof Slot ? (parameters: P) => parameters[value.name as keyof P] : () => value,
  );
  return { query, fillers };
}

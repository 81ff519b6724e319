/**
 * Queries that are built once. Building one costs several times what SQLite takes to run it, so those on the
 * request path are compiled at the start and run with the parameters of each call.
 */
import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { Schema } from './schema.ts';

class Slot {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** Runs a prepared query; `db` is the reader, or a writer inside its job. */
export type Prepared<P, R> = (db: Kysely<Schema>, parameters: P) => Promise<R[]>;

/** Prepares the query that `build` makes; what it takes from its argument is filled in at each run. */
export function prepare<P extends object, R>(
  db: Kysely<Schema>,
  build: (db: Kysely<Schema>, slots: P) => Compilable<R>,
): Prepared<P, R> {
  const slots = new Proxy({}, { get: (_target, name) => new Slot(String(name)) }) as P;
  const compiled: CompiledQuery<R> = build(db, slots).compile();
  const fillers = compiled.parameters.map((value) =>
    value instanceof Slot ? (parameters: P) => parameters[value.name as keyof P] : () => value,
  );
  return async (runner, parameters) => {
    const result = await runner.executeQuery<R>({
      ...compiled,
      parameters: fillers.map((fill) => fill(parameters)),
    });
    return result.rows;
  };
}

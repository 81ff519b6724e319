/**
 * PostgreSQL for tests: one server for a whole run, started when the first test asks for a database, ended with the
 * run. Tests that stop or kill the server start their own with `startPostgres`.
 */
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { inject } from 'vitest';
import { optional } from './optional.ts';
import { postgresBinaries, type TestDatabase } from './postgres-cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the run's server is asked for: a port of 127.0.0.1. */
    postgresDesk: number;
  }
}

/** Whether tests on PostgreSQL can run here; says so in one line where they cannot. */
export const hasPostgres = optional('PostgreSQL', postgresBinaries() !== undefined);

/** A database of its own on the server of this run: empty, or with the tables that a server's first start makes. */
export async function newPostgresDatabase(content: 'empty' | 'migrated' = 'empty'): Promise<TestDatabase> {
  const names = JSON.parse(await ask(content)) as { url: string; socketUrl: string };
  return { ...names, drop: async () => void (await ask(`drop ${names.url}`)) };
}

/** One question, one line of answer; an answer that begins with `!` is an error. */
async function ask(question: string): Promise<string> {
  const socket = createConnection(inject('postgresDesk'), '127.0.0.1');
  socket.end(`${question}\n`);
  const [line] = (await once(createInterface({ input: socket }), 'line')) as [string];
  if (line.startsWith('!')) throw new Error(line.slice(1));
  return line;
}

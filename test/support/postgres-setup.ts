/** vitest's global setup: a desk at which the workers of a run ask for databases on its one PostgreSQL server. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { TestProject } from 'vitest/node';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { type PostgresCluster, startPostgres, type TestDatabase } from './postgres-cluster.ts';

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  let cluster: Promise<PostgresCluster> | undefined;
  let migrated: Promise<TestDatabase> | undefined;
  const databases = new Map<string, TestDatabase>();
  const answer = async (question: string): Promise<string> => {
    if (question.startsWith('drop ')) {
      await databases.get(question.slice('drop '.length))?.drop();
      return 'dropped';
    }
    cluster ??= startPostgres();
    const server = await cluster;
    if (question === 'migrated') migrated ??= migratedDatabase(server);
    const database = await server.newDatabase(question === 'migrated' ? await migrated : undefined);
    databases.set(database.url, database);
    return JSON.stringify({ url: database.url, socketUrl: database.socketUrl });
  };
  const serve = (socket: Socket) => {
    socket.on('error', () => undefined);
    createInterface({ input: socket }).once('line', (question) => {
      answer(question).then(
        (line) => socket.end(`${line}\n`),
        (error) => socket.end(`!${String(error).replaceAll('\n', ' ')}\n`),
      );
    });
  };
  const desk = createServer({ allowHalfOpen: true }, serve).listen(0, '127.0.0.1');
  await once(desk, 'listening');
  const address = desk.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  project.provide('postgresDesk', address.port);
  return async () => {
    desk.close();
    await (await cluster)?.remove();
  };
}

/** What servers make of an empty database at their first start: copies of it spare most tests the migrations. */
async function migratedDatabase(server: PostgresCluster): Promise<TestDatabase> {
  const { openPostgres } = await import('../../src/storage/postgres.ts');
  const made = await server.newDatabase();
  const deps = { clock: systemClock, log: silentLog };
  const database = await openPostgres(deps, { url: made.socketUrl, poolSize: 1 });
  await database.close();
  return made;
}

/**
 * A program: a process of a server whose monotonic clock runs ten times as fast as the machine's, so that leases end and
 * jobs come soon, and yet no process is taken for dead that a busy machine keeps waiting for a second. Arguments: the
 * data folder, and what it is: the URL of a node's database, or over SQLite `writer` or the slot of a worker. Says when
 * it is ready, and at which port; ends on SIGTERM.
 */
import { loadConfig } from '../../src/config.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { openService } from '../../src/service.ts';
import { serveWriter } from '../../src/storage/writer-server.ts';

const speed = 10;

const fastClock: Clock = {
  now: () => systemClock.now(),
  monotonic: () => systemClock.monotonic() * speed,
  after: (ms, run) => systemClock.after(ms / speed, run),
};

const [data, role = ''] = process.argv.slice(2);
const slot = Number(role);
const isNode = role.includes('://');
const config = loadConfig({
  flags: {
    ...{ data, dev: true, listen: ['127.0.0.1'], port: 0, localPort: 0, logLevel: 'info' },
    ...(isNode ? { databaseUrl: role } : {}),
  },
  environment: {},
});

async function serve(): Promise<{ port: number; close(): Promise<void> }> {
  if (role === 'writer') {
    const { database, writer: socket } = config.paths;
    const writer = await serveWriter({ clock: fastClock, log: silentLog }, { database, socket });
    return { port: 0, close: () => writer.close() };
  }
  const worker = isNode ? {} : { worker: { slot, admitted: () => undefined } };
  const service = await openService(config, { clock: fastClock, ...worker });
  const { port } = await service.start();
  return { port, close: () => service.close() };
}

const serving = await serve();
process.once('SIGTERM', () => void serving.close());
console.log(`ready at ${serving.port}`);

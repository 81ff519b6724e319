/** The writer process: has the SQLite file open for writing, and nothing else; what it writes is sealed already. */
import { existsSync } from 'node:fs';
import type { Config } from '../config.ts';
import { systemClock } from '../core/clock.ts';
import { createLog } from '../logging.ts';
import { freshFor } from '../storage/writer-channel.ts';
import { serveWriter, type WriterServer } from '../storage/writer-server.ts';
import { takeProcessLock } from './data.ts';

/** Resolves when writes can be asked for. One that was stopped must not go on beside the next: each holds a lock. */
export async function startWriter(config: Config): Promise<WriterServer> {
  const clock = systemClock;
  const lock = await takeProcessLock({ config, clock }, 'writer');
  const log = createLog(config.logLevel, { worker: 'writer' });
  const { database, writer: socket } = config.paths;
  // One that died has left its socket, and workers that may not have noticed yet: until their memory has run out, a
  // write that this one answers could go unseen.
  if (existsSync(socket)) await new Promise<void>((resolve) => clock.after(freshFor, resolve));
  const writer = await serveWriter({ clock, log }, { database, socket });
  return {
    async close() {
      await writer.close();
      lock.release();
    },
  };
}

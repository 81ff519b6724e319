/** The writer process: has the SQLite file open for writing, and nothing else; what it writes is sealed already. */
import type { Config } from '../config.ts';
import { systemClock } from '../core/clock.ts';
import { createLog } from '../logging.ts';
import { serveWriter, type WriterServer } from '../storage/writer-server.ts';

/** Resolves when writes can be asked for. */
export function startWriter(config: Config): Promise<WriterServer> {
  const log = createLog(config.logLevel, { worker: 'writer' });
  const { database, writer } = config.paths;
  return serveWriter({ clock: systemClock, log }, { database, socket: writer });
}

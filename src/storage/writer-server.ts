/**
 * The writer's end: the one process of a machine that writes the SQLite file, for all others. A write is answered when
 * it is on the disk and every process has heard of its changes, or has not been told for so long that it knows that
 * its memory is out of date. So a write that was answered is seen by whatever is asked next, in any process.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { Change } from '../core/changes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Database } from './database.ts';
import { procedures } from './procedures.ts';
import { openSqlite } from './sqlite.ts';
import {
  beatInterval,
  createSender,
  type FromWriter,
  freshFor,
  onMessages,
  type Sender,
  type ToWriter,
  toWireError,
} from './writer-channel.ts';

export interface WriterServer {
  /** Ends what is under way, then the connections and the file. */
  close(): Promise<void>;
}

interface Client {
  readonly socket: Socket;
  readonly sender: Sender<FromWriter>;
  /** The number of the last announcement that it has heard. */
  heard: number;
  /** When it got its last sign of life. */
  beatAt: number;
}

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Bytes that may wait for a worker that reads nothing. Long before, its memory counts for nothing; it connects anew and
 * forgets all when it goes on.
 */
const mostUnread = 16 * 1024 * 1024;

/** Opens the database at `database` and serves writes at the Unix socket `socket`, of mode 0600. */
export async function serveWriter(
  deps: Deps,
  paths: { readonly database: string; readonly socket: string },
): Promise<WriterServer> {
  const announcer = createAnnouncer(deps.clock);
  const db = await openSqlite(paths.database, { announce: announcer.announce });
  const server = createServer((socket) => accept({ ...deps, db, announcer }, socket));
  rmSync(paths.socket, { force: true });
  const before = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: paths.socket, exclusive: true }, resolve);
    });
  } catch (error) {
    announcer.close();
    await db.close();
    throw error;
  } finally {
    process.umask(before);
  }
  chmodSync(paths.socket, 0o600);
  return {
    async close() {
      server.close();
      await db.close();
      // The last answers leave with the turn of the event loop in which they were given.
      await new Promise((resolve) => setImmediate(resolve));
      announcer.close();
    },
  };
}

function accept(deps: Deps & { db: Database; announcer: Announcer }, socket: Socket): void {
  const { db, announcer, log } = deps;
  const sender = createSender<FromWriter>(socket);
  const leave = announcer.join({ socket, sender });
  // A worker that dies is told of by the supervisor.
  socket.on('error', (error) => log.debug('The connection of a worker has failed.', { error }));
  socket.on('close', () => leave());
  onMessages<ToWriter>(socket, (message) => {
    if (message.type === 'heard') {
      announcer.heard(socket, message.announcement);
      return;
    }
    const { id, procedure: name, input, condition } = message;
    const procedure = procedures.get(name);
    const written =
      procedure === undefined
        ? Promise.reject(new TypeError(`there is no procedure '${name}'`))
        : db.write(procedure, input as never, condition);
    written.then(
      (result) => sender.send({ type: 'written', id, result }),
      (error: unknown) => sender.send({ type: 'refused', id, error: toWireError(error) }),
    );
  });
}

interface Announcer {
  announce(changes: readonly Change[]): Promise<void>;
  join(client: Pick<Client, 'socket' | 'sender'>): () => void;
  heard(socket: Socket, announcement: number): void;
  close(): void;
}

/**
 * Tells all clients of changes and waits until they have heard. One that is silent for longer than `freshFor` gets no
 * sign of life until it has caught up, and is waited for no more when the last one that it got has run out, so that it
 * cannot take its memory for fresh.
 */
function createAnnouncer(clock: Clock): Announcer {
  const clients = new Map<Socket, Client>();
  const lagging = new Set<Client>();
  const waiting = new Map<number, { resolve: () => void; timer: Timer }>();
  let latest = 0;
  const beat = (client: Client) => {
    client.beatAt = clock.monotonic();
    client.sender.send({ type: 'beat', at: client.beatAt });
  };
  const settle = (givenUp = 0) => {
    const now = clock.monotonic();
    const awaited = [...clients.values()].filter(
      (client) => !lagging.has(client) || now < client.beatAt + freshFor,
    );
    const all = Math.max(givenUp, Math.min(latest, ...awaited.map((client) => client.heard)));
    for (const [announcement, { resolve, timer }] of waiting) {
      if (announcement > all) break;
      timer.cancel();
      waiting.delete(announcement);
      resolve();
    }
  };
  const giveUp = (announcement: number) => {
    for (const client of clients.values()) if (client.heard < announcement) lagging.add(client);
    settle(announcement);
  };
  let timer: Timer;
  const beatAll = () => {
    for (const client of clients.values()) if (!lagging.has(client)) beat(client);
    timer = clock.after(beatInterval, beatAll);
  };
  beatAll();
  return {
    announce(changes) {
      if (changes.length === 0 || clients.size === 0) return Promise.resolve();
      latest += 1;
      const announcement = latest;
      for (const client of clients.values()) {
        if (lagging.has(client) && client.socket.writableLength > mostUnread) client.socket.destroy();
        else client.sender.send({ type: 'changed', announcement, changes });
      }
      return new Promise((resolve) => {
        // Later than the memory of whoever does not answer can be fresh: the message leaves after this moment.
        const timer = clock.after(freshFor + beatInterval, () => giveUp(announcement));
        waiting.set(announcement, { resolve, timer });
        settle();
      });
    },
    join({ socket, sender }) {
      const client = { socket, sender, heard: latest, beatAt: clock.monotonic() };
      clients.set(socket, client);
      beat(client);
      return () => {
        clients.delete(socket);
        lagging.delete(client);
        settle();
      };
    },
    heard(socket, announcement) {
      const client = clients.get(socket);
      if (client === undefined) return;
      client.heard = Math.max(client.heard, announcement);
      if (lagging.has(client) && client.heard >= latest) {
        lagging.delete(client);
        beat(client);
      }
      settle();
    },
    close() {
      timer.cancel();
      for (const socket of clients.keys()) socket.end();
    },
  };
}

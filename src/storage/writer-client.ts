/**
 * A process's end of the channel to the writer: reads come straight from the SQLite file, writes go to the writer.
 * While the writer is away, writes wait a while and are then refused, and memory is bypassed.
 */
import { connect, type Socket } from 'node:net';
import { createChangeHub } from '../core/changes.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { type Condition, type Database, type Procedure, storageUnavailable } from './database.ts';
import { openSqliteReader } from './sqlite.ts';
import {
  createSender,
  type FromWriter,
  freshFor,
  fromWireError,
  onMessages,
  type Sender,
  type ToWriter,
} from './writer-channel.ts';

/** Milliseconds between attempts to reach the writer. */
const reconnectInterval = 50;
/** Milliseconds that a write waits for a writer that is away: longer than starting one takes. */
const patience = 5_000;
/** Milliseconds of silence after which a writer that still has the connection is given up: it beats every 100. */
const longestSilence = 5_000;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
}

interface Asked {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Resolves when the writer is there; rejects if it does not come within `startPatience` milliseconds. */
export async function connectWriter(
  deps: Deps,
  paths: { readonly database: string; readonly socket: string },
  startPatience = 30_000,
): Promise<Database> {
  const client = new WriterClient(deps, paths.socket);
  try {
    await client.connected(startPatience);
    const read = openSqliteReader(paths.database);
    return {
      read,
      feed: client.hub,
      write: (procedure, input, condition) => client.write(procedure, input, condition),
      async close() {
        await client.close();
        await read.destroy();
      },
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

class WriterClient {
  readonly #deps: Deps;
  readonly #path: string;
  readonly hub = createChangeHub(() => this.#deps.clock.monotonic() < this.#freshUntil);
  readonly #asked = new Map<number, Asked>();
  readonly #waiting = new Set<() => void>();
  #socket: Socket | undefined;
  #sender: Sender<ToWriter> | undefined;
  #freshUntil = Number.NEGATIVE_INFINITY;
  #heardAt = Number.NEGATIVE_INFINITY;
  #next = 1;
  #closed = false;
  #timer: Timer | undefined;

  constructor(deps: Deps, path: string) {
    this.#deps = deps;
    this.#path = path;
    this.#connect();
  }

  /** Resolves when there is a connection. */
  connected(patience: number): Promise<void> {
    if (this.#sender !== undefined) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const ready = () => {
        timer.cancel();
        this.#waiting.delete(ready);
        resolve();
      };
      const timer = this.#deps.clock.after(patience, () => {
        this.#waiting.delete(ready);
        reject(storageUnavailable(new Error('the writer process is away')));
      });
      this.#waiting.add(ready);
    });
  }

  async write<I, R>(procedure: Procedure<I, R>, input: I, condition: Condition | undefined): Promise<R> {
    if (this.#sender === undefined) await this.connected(patience);
    const sender = this.#sender;
    if (sender === undefined) throw storageUnavailable(new Error('the writer process is away again'));
    const id = this.#next;
    this.#next += 1;
    return new Promise<R>((resolve, reject) => {
      this.#asked.set(id, { resolve: resolve as (result: unknown) => void, reject });
      sender.send({ type: 'write', id, procedure: procedure.name, input, condition });
    });
  }

  /** To be called when no write is under way. */
  close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      socket.once('close', () => resolve());
      socket.end();
    });
  }

  #connect(): void {
    const socket = connect(this.#path);
    this.#socket = socket;
    this.#heardAt = this.#deps.clock.monotonic();
    this.#timer = this.#deps.clock.after(longestSilence, () => this.#listen(socket));
    socket.on('connect', () => {
      this.#sender = createSender(socket);
      for (const ready of [...this.#waiting]) ready();
    });
    onMessages<FromWriter>(socket, (message) => this.#receive(message));
    socket.on('error', (error) => this.#deps.log.debug('The writer cannot be reached.', { error }));
    socket.on('close', () => this.#lost());
  }

  /** A writer that was stopped answers nothing and closes nothing: its requests must not wait for ever. */
  #listen(socket: Socket): void {
    const { clock } = this.#deps;
    const silence = clock.monotonic() - this.#heardAt;
    if (silence >= longestSilence) socket.destroy();
    else this.#timer = clock.after(longestSilence - silence, () => this.#listen(socket));
  }

  #receive(message: FromWriter): void {
    this.#heardAt = this.#deps.clock.monotonic();
    switch (message.type) {
      case 'beat':
        // The first one of a connection. Only from here on is this process told of changes: none may have been missed
        // between the connecting, or the last connection, and the writer's taking note of it.
        if (this.#freshUntil === Number.NEGATIVE_INFINITY) this.hub.lapse();
        this.#freshUntil = message.at + freshFor;
        return;
      case 'changed':
        this.hub.publish(message.changes);
        this.#sender?.send({ type: 'heard', announcement: message.announcement });
        return;
      default: {
        const asked = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        if (message.type === 'written') asked?.resolve(message.result);
        else asked?.reject(fromWireError(message.error));
      }
    }
  }

  #lost(): void {
    this.#sender = undefined;
    this.#freshUntil = Number.NEGATIVE_INFINITY;
    this.#timer?.cancel();
    const gone = storageUnavailable(new Error('the writer process ended during the write'));
    for (const { reject } of this.#asked.values()) reject(gone);
    this.#asked.clear();
    this.hub.lapse();
    if (!this.#closed) this.#timer = this.#deps.clock.after(reconnectInterval, () => this.#connect());
  }
}

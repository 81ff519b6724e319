/**
 * Runs a server as several processes: workers that serve, and with SQLite one that writes. Starts them in an order
 * that lets the first make what is missing, restarts what dies, and ends the workers before the writer. It opens
 * neither root key nor database, and so holds nothing that is secret.
 */
import cluster, { type Worker } from 'node:cluster';
import { mkdirSync } from 'node:fs';
import { type Config, type ProcessRole, roleEnvironment } from '../config.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { createLog } from '../logging.ts';
import { type FolderLock, lockFolder } from '../storage/lock.ts';
import { StartRefused } from './data.ts';
import { freePort } from './free-port.ts';
import type { Addresses, FromProcess, ToProcess } from './processes.ts';

/** Milliseconds before a process that died is started again: doubled while it does not last. */
const firstPause = 100;
const longestPause = 5_000;
/** A process that lived so long, in milliseconds, was well. */
const wellAfter = 10_000;
/** Milliseconds beyond the drain time after which a process that does not end is killed. */
const killAfter = 10_000;

export interface Supervisor {
  readonly addresses: Addresses;
  /** Ends all processes, the writer last. */
  stop(): Promise<void>;
}

/** Resolves when all workers serve; rejects with the reason if the first cannot. */
export async function startSupervisor(config: Config): Promise<Supervisor> {
  mkdirSync(config.data, { recursive: true, mode: 0o700 });
  const lock = lockFolder(config.paths.lock);
  if (lock === undefined) throw new StartRefused(`Another process is using ${config.data}.`);
  const log = createLog(config.logLevel, { worker: 'supervisor' });
  const processes = new Processes({ config, clock: systemClock, log, lock });
  try {
    cluster.setupPrimary({ args: [...process.argv.slice(2), ...(await portsOf(config))] });
    const addresses = await processes.start();
    return { addresses, stop: () => processes.stop() };
  } catch (error) {
    await processes.stop();
    throw error;
  }
}

/**
 * Flags that settle the ports which the system is to choose. Left to `node:cluster`, a port is chosen anew when all
 * workers have died, and is then not the one that clients know.
 */
async function portsOf({ port, localPort, listen }: Config): Promise<string[]> {
  const [address = '0.0.0.0'] = listen;
  return [
    ...(port === 0 ? ['--port', String(await freePort(address))] : []),
    ...(localPort === 0 ? ['--local-port', String(await freePort('127.0.0.1'))] : []),
  ];
}

type ChildRole = Exclude<ProcessRole, 'whole'>;

interface Child {
  readonly role: ChildRole;
  worker: Worker;
  started: number;
  pause: number;
}

interface Deps {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  readonly lock: FolderLock;
}

class Processes {
  readonly #deps: Deps;
  readonly #children = new Set<Child>();
  /** Undefined once all workers have served. */
  #starting: { failed: (error: Error) => void } | undefined;
  #stopping: Promise<void> | undefined;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  async start(): Promise<Addresses> {
    const { config } = this.#deps;
    const failure = new Promise<never>((_resolve, reject) => {
      this.#starting = { failed: reject };
    });
    failure.catch(() => undefined);
    // The first alone: on an empty folder it makes the keys and identities that all of them use.
    const addresses = await Promise.race([this.#serving({ slot: 1 }), failure]);
    const others = Array.from({ length: config.workers - 1 }, (_, index) => ({ slot: index + 2 }));
    await Promise.race([Promise.all(others.map((role) => this.#serving(role))), failure]);
    this.#starting = undefined;
    return addresses;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#endAll();
    return this.#stopping;
  }

  /** Starts a worker; resolves when it serves. */
  #serving(role: ChildRole): Promise<Addresses> {
    return new Promise((resolve) => {
      const child = this.#spawn(role);
      const listen = (message: FromProcess) => {
        if (message.type !== 'serving') return;
        child.worker.off('message', listen);
        resolve({ port: message.port, localPort: message.localPort });
      };
      child.worker.on('message', listen);
    });
  }

  #spawn(role: ChildRole): Child {
    const child: Child = { role, worker: fork(role), started: this.#now(), pause: firstPause };
    this.#children.add(child);
    this.#watch(child);
    return child;
  }

  #watch(child: Child): void {
    const { worker } = child;
    worker.on('message', (message: FromProcess) => this.#receive(child, message));
    worker.on('error', (error) => this.#deps.log.error('A process cannot be talked to.', { error }));
    endHandOffs(worker);
    worker.once('exit', (code, signal) => this.#ended(child, { code, signal }));
  }

  #receive(child: Child, message: FromProcess): void {
    if (message.type === 'admitted') {
      const isThere = [...this.#children].some(({ role }) => role === 'writer');
      const needsWriter = this.#deps.config.databaseUrl === undefined;
      if (needsWriter && !isThere && this.#stopping === undefined) this.#spawn('writer');
    } else if (message.type === 'failed') {
      const error = Object.assign(new Error(message.message), { name: message.name });
      if (this.#starting === undefined)
        this.#deps.log.error('A process cannot start.', { error, role: child.role });
      else this.#starting.failed(error);
    }
  }

  #ended(child: Child, how: { code: number; signal: string }): void {
    const { log, clock } = this.#deps;
    if (this.#stopping !== undefined) {
      this.#children.delete(child);
      return;
    }
    if (this.#starting !== undefined) {
      this.#children.delete(child);
      this.#starting.failed(
        new Error(`A process of the server ended while it started (${how.signal ?? how.code}).`),
      );
      return;
    }
    child.pause =
      this.#now() - child.started >= wellAfter ? firstPause : Math.min(child.pause * 2, longestPause);
    log.error('A process has ended and is started again.', { role: child.role, ...how, inMs: child.pause });
    clock.after(child.pause, () => {
      if (this.#stopping !== undefined) return;
      child.worker = fork(child.role);
      child.started = this.#now();
      this.#watch(child);
    });
  }

  async #endAll(): Promise<void> {
    const { lock } = this.#deps;
    const all = [...this.#children];
    // What is waiting to be started again has no process; its entry goes with the others.
    await Promise.all(all.filter(({ role }) => role !== 'writer').map((child) => this.#end(child)));
    await Promise.all(all.filter(({ role }) => role === 'writer').map((child) => this.#end(child)));
    this.#children.clear();
    lock.release();
  }

  #end({ worker }: Child): Promise<void> {
    const { clock, config } = this.#deps;
    if (worker.isDead()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.after(config.drain + killAfter, () => worker.process.kill('SIGKILL'));
      worker.once('exit', () => {
        timer.cancel();
        resolve();
      });
      const message: ToProcess = { type: 'stop' };
      worker.send(message, undefined, () => undefined);
    });
  }

  #now(): number {
    return this.#deps.clock.monotonic();
  }
}

/** A connection, as `node:cluster` hands it over. */
interface Handle {
  close(): void;
}

/**
 * Ends the connections that a worker has been sent and has not said that it has, when it goes: `node:cluster` waits
 * for its word, and would keep them open and silent for ever. While such a word is missing Node.js does not tell
 * `node:cluster` either that the worker is gone, and connections that come next would be lost in the same way.
 * `disconnect` is what Node.js calls at the end of a worker's channel, when all that it has said has been read.
 */
function endHandOffs(worker: Worker): void {
  const child = worker.process;
  const underWay = new Map<number, Handle>();
  const send = child.send as (...all: unknown[]) => boolean;
  child.send = (...all: unknown[]) => {
    const [message, handle] = all as [{ act?: string; seq?: number }, Handle | undefined];
    if (message.act === 'newconn' && message.seq !== undefined && handle !== undefined) {
      underWay.set(message.seq, handle);
    }
    return send.apply(child, all);
  };
  child.on('internalMessage', ({ ack }: { ack?: number }) => {
    if (ack !== undefined) underWay.delete(ack);
  });
  const disconnect = child.disconnect;
  child.disconnect = () => {
    disconnect.call(child);
    worker.disconnect();
    for (const handle of underWay.values()) handle.close();
    underWay.clear();
  };
}

function fork(role: ChildRole): Worker {
  return cluster.fork(roleEnvironment(role));
}

/**
 * A PostgreSQL server of its own, in a folder of its own, made with `initdb` and gone when its owner ends: a small
 * guard process holds a pipe to the owner, and when that closes, however it closes, ends the server and removes all.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  chownSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { freePort } from './free-port.ts';

const run = promisify(execFile);

export interface PostgresCluster {
  /** Of the database `postgres`, over TCP on 127.0.0.1; its user is a superuser without a password. */
  readonly url: string;
  /** The same over a Unix socket. */
  readonly socketUrl: string;
  /** Holds the socket, and the data in `data`. */
  readonly folder: string;
  readonly port: number;
  /** Of the running server's first process. */
  pid(): number;
  /** An empty one, or a copy of another, which nobody uses meanwhile. */
  newDatabase(like?: TestDatabase): Promise<TestDatabase>;
  /** Ends it at once, open connections included, and leaves its data. */
  stop(): Promise<void>;
  /** Ends its first process as `kill -9` does. */
  kill9(): Promise<void>;
  /** Starts it again on the same port, after `stop` or `kill9`. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  remove(): Promise<void>;
}

export interface TestDatabase {
  readonly url: string;
  readonly socketUrl: string;
  drop(): Promise<void>;
}

export interface ClusterOptions {
  /** With fsync, as in production; without, the machine must not fail, and tests run faster. */
  readonly durable?: boolean;
  /** Further settings, as `name=value`. */
  readonly settings?: readonly string[];
  /** Lines of `pg_hba.conf` for TCP, where trusting everybody is not what is tested. */
  readonly hba?: readonly string[];
  /** The server's certificate and key in PEM form: it offers TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
}

/** The folder of `initdb` and `postgres`; undefined where PostgreSQL is not installed. */
export function postgresBinaries(): string | undefined {
  const versions = '/usr/lib/postgresql';
  const packaged = existsSync(versions)
    ? readdirSync(versions)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(versions, version, 'bin'))
    : [];
  const folders = [
    process.env.STRONGROOM_POSTGRES_BIN ?? '',
    ...(process.env.PATH ?? '').split(delimiter),
    ...packaged,
    '/usr/local/pgsql/bin',
  ];
  return folders.find(
    (folder) => folder !== '' && existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')),
  );
}

/** Makes and starts a server. Rejects where PostgreSQL is not installed, or with what the server printed. */
export async function startPostgres(options: ClusterOptions = {}): Promise<PostgresCluster> {
  const binaries = postgresBinaries();
  if (binaries === undefined) throw new Error('PostgreSQL is not installed');
  const owner = unprivileged();
  const folder = mkdtempSync(join(whereToKeep(options), 'strongroom-pg-'));
  if (owner.uid !== undefined && owner.gid !== undefined) chownSync(folder, owner.uid, owner.gid);
  const place: Place = { binaries, owner, folder, port: await freePort(), options };
  const guard = startGuard(folder);
  try {
    await initialize(place);
    let server = await startServer(place);
    return clusterOf(place, guard, {
      get: () => server,
      start: async () => {
        server = await startServer(place);
      },
    });
  } catch (error) {
    await endGuard(guard);
    throw error;
  }
}

const memory = '/dev/shm';
/** Bytes: several servers of hundreds of databases, and the log that each keeps. */
const enoughMemory = 4 * 2 ** 30;

/**
 * In memory where there is plenty of it, unless what is written has to be durable: making a database is making some
 * 300 files, and a disk's file system may take ten times as long over that.
 */
function whereToKeep({ durable = false }: ClusterOptions): string {
  if (!durable && isWritable(memory)) {
    const { bavail, bsize } = statfsSync(memory);
    if (bavail * bsize > enoughMemory) return memory;
  }
  // The path of a Unix socket holds 107 characters at most.
  return tmpdir().length > 60 ? '/tmp' : tmpdir();
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

interface Place {
  readonly binaries: string;
  readonly owner: Owner;
  readonly folder: string;
  readonly port: number;
  readonly options: ClusterOptions;
}

function clusterOf(
  { folder, port }: Place,
  guard: ChildProcess,
  server: { get(): ChildProcess; start(): Promise<void> },
): PostgresCluster {
  let copying: string | undefined;
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const socketUrlOf = (database: string) =>
    `postgres://postgres@${encodeURIComponent(folder)}:${port}/${database}`;
  const end = async (signal: NodeJS.Signals) => {
    const process = server.get();
    if (process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, 'exit');
    process.kill(signal);
    await ended;
  };
  return {
    url: urlOf('postgres'),
    socketUrl: socketUrlOf('postgres'),
    folder,
    port,
    pid: () => server.get().pid ?? 0,
    async newDatabase(like) {
      const name = `t${randomBytes(8).toString('hex')}`;
      const template = like === undefined ? 'template0' : nameOf(like);
      copying ??= await howToCopy(folder, port);
      await execute(folder, port, `create database ${name} template ${template} ${copying}`);
      return {
        url: urlOf(name),
        socketUrl: socketUrlOf(name),
        drop: async () => void (await execute(folder, port, `drop database if exists ${name} with (force)`)),
      };
    },
    // SIGINT is PostgreSQL's "fast" stop: it ends the sessions and closes the data properly.
    stop: () => end('SIGINT'),
    kill9: () => end('SIGKILL'),
    restart: () => server.start(),
    async remove() {
      await end('SIGQUIT');
      await endGuard(guard);
    },
  };
}

function nameOf({ url }: TestDatabase): string {
  return new URL(url).pathname.slice(1);
}

/** From PostgreSQL 15 on a new database is written to its log, page by page, unless its files are to be copied. */
async function howToCopy(host: string, port: number): Promise<string> {
  const [{ server_version_num: version } = {}] = await execute(host, port, 'show server_version_num');
  return Number(version) >= 150_000 ? 'strategy file_copy' : '';
}

async function execute(host: string, port: number, text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ host, port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function initialize({ binaries, owner, folder, options }: Place): Promise<void> {
  await run(
    join(binaries, 'initdb'),
    [
      '-D',
      join(folder, 'data'),
      '-U',
      'postgres',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale=C.UTF-8',
      '--no-sync',
    ],
    { ...owner, cwd: folder, env: environment() },
  );
  const write = (name: string, text: string) => {
    const file = join(folder, 'data', name);
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: 0o600 });
    if (owner.uid !== undefined && owner.gid !== undefined) chownSync(file, owner.uid, owner.gid);
  };
  if (options.hba !== undefined) write('pg_hba.conf', ['local all all trust', ...options.hba, ''].join('\n'));
  if (options.tls === undefined) return;
  write('server.pem', options.tls.certificate);
  write('server.key', options.tls.key);
}

/** PostgreSQL's own variables would turn initdb and the server away from what is asked for here. */
function environment(): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  return { ...Object.fromEntries(own), LC_ALL: 'C.UTF-8' };
}

const startAttempts = 20;

/** After `kill -9` its processes take a moment to notice, and the data cannot be opened until then. */
async function startServer(place: Place): Promise<ChildProcess> {
  let failure: unknown;
  for (let attempt = 0; attempt < startAttempts; attempt += 1) {
    try {
      return await startOnce(place);
    } catch (error) {
      failure = error;
      if (!/still in use|is being used|lock file/.test(String(error))) throw error;
    }
  }
  throw failure;
}

async function startOnce({ binaries, owner, folder, port, options }: Place): Promise<ChildProcess> {
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${folder}`,
    'max_connections=300',
    'shared_buffers=64MB',
    'log_destination=stderr',
    'logging_collector=off',
    ...(options.durable ? [] : ['fsync=off', 'full_page_writes=off', 'max_wal_size=256MB']),
    ...(options.tls ? ['ssl=on', 'ssl_cert_file=server.pem', 'ssl_key_file=server.key'] : []),
    ...(options.settings ?? []),
  ];
  const server = spawn(
    join(binaries, 'postgres'),
    ['-D', join(folder, 'data'), ...settings.flatMap((setting) => ['-c', setting])],
    { ...owner, cwd: folder, env: environment(), stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const printed: string[] = [];
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: server.stderr }).on('line', (line) => {
      if (/database system is ready to accept (?:read-only )?connections/.test(line)) resolve();
      if (printed.length < 200) printed.push(line);
    });
    server.once('error', reject);
    server.once('exit', () => reject(new Error(`PostgreSQL did not start:\n${printed.join('\n')}`)));
  });
  return server;
}

/** `initdb` refuses to run as root: it gets the identity of `postgres`, or of `nobody`. */
function unprivileged(): Owner {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) throw new Error('there is no user under whose name PostgreSQL could run');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

// The server's number may be another process's by now: its command line has to name the folder.
const guardScript = `cat > /dev/null
if pid=$(head -n 1 "$0/data/postmaster.pid" 2> /dev/null) &&
  { cat "/proc/$pid/cmdline" 2> /dev/null || ps -o args= -p "$pid"; } | grep -qaF "$0"
then kill -QUIT "$pid" && sleep 0.2
fi
rm -rf "$0"`;

/** Ends what is in the folder when this process does, also when it is killed. */
function startGuard(folder: string): ChildProcess {
  const guard = spawn('/bin/sh', ['-c', guardScript, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.unref();
  return guard;
}

async function endGuard(guard: ChildProcess): Promise<void> {
  const ended = once(guard, 'exit');
  guard.ref();
  guard.stdin?.end();
  await ended;
}

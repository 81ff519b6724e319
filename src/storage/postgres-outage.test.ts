import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { sql } from 'kysely';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { optional } from '../../test/support/optional.ts';
import { hasPostgres } from '../../test/support/postgres.ts';
import { type PostgresCluster, startPostgres } from '../../test/support/postgres-cluster.ts';
import { startPostgresProxy } from '../../test/support/postgres-proxy.ts';
import { systemClock } from '../core/clock.ts';
import { type Log, silentLog } from '../core/log.ts';
import type { Database, Procedure } from './database.ts';
import { openPostgres } from './postgres.ts';
import type { PostgresSettings } from './postgres-settings.ts';

const add: Procedure<number, void> = {
  name: 'add',
  async run(tx, n) {
    await sql`insert into probe (n) values (${n})`.execute(tx);
  },
  changes: () => [{ topic: 'vault', key: 'x' }],
};

const opened: Database[] = [];

async function open(
  settings: Partial<PostgresSettings> & { url: string },
  log: Log = silentLog,
): Promise<Database> {
  const database = await openPostgres({ clock: systemClock, log }, { poolSize: 2, ...settings });
  opened.push(database);
  return database;
}

async function run(url: string, text: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(text);
  await client.end();
}

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const database of opened.splice(0)) await database.close();
});

describe.skipIf(!hasPostgres)('PostgreSQL that goes away', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgres({ durable: true });
    await run(cluster.url, 'create table probe (n int primary key)');
  });

  afterAll(async () => {
    await cluster?.remove();
  });

  const numbers = async (database: Database): Promise<unknown[]> =>
    (await sql<{ n: number }>`select n from probe order by n`.execute(database.read)).rows.map(({ n }) => n);

  test.each(['stop', 'kill9'] as const)('%s: 503 while it is away, then as before', async (end) => {
    await run(cluster.url, 'truncate probe');
    const database = await open(cluster);
    await database.write(add, 1);
    await cluster[end]();
    const unavailable = { kind: 'unavailable', retryAfter: 1 };
    await expect(database.write(add, 2)).rejects.toMatchObject(unavailable);
    await expect(numbers(database)).rejects.toMatchObject(unavailable);
    expect(database.feed.fresh()).toBe(false);
    await cluster.restart();
    expect(await numbers(database)).toEqual([1]);
    await database.write(add, 3);
    expect(await numbers(database)).toEqual([1, 3]);
    await expect.poll(() => database.feed.fresh()).toBe(true);
  });

  test('a read that begins while it restarts is answered', async () => {
    const database = await open(cluster);
    await cluster.stop();
    const read = numbers(database).catch((error: unknown) => error);
    await cluster.restart();
    // It waits for a bounded time: on a slow machine the 503 is right too, anything else is not.
    const answer = await read;
    if (!Array.isArray(answer)) expect(answer).toMatchObject({ kind: 'unavailable' });
    expect(await numbers(database)).toBeInstanceOf(Array);
  });

  test('a server that accepts and says nothing', async () => {
    const proxy = await startPostgresProxy(cluster.port);
    const url = new URL(cluster.url);
    url.port = String(proxy.port);
    const database = await open({ url: url.href });
    await numbers(database);
    proxy.silent = true;
    await expect(numbers(database)).rejects.toMatchObject({ kind: 'unavailable' });
    proxy.silent = false;
    expect(await numbers(database)).toBeInstanceOf(Array);
    await database.close();
    await proxy.close();
  });

  test('more connections than the server has are a 503', async () => {
    const home = await cluster.newDatabase();
    const name = new URL(home.url).pathname.slice(1);
    await run(cluster.url, `create role guest login; alter database ${name} owner to guest`);
    const database = await open({ url: home.url.replace('postgres@', 'guest@') });
    await run(cluster.url, 'alter role guest connection limit 0');
    await expect(database.read.selectFrom('vaults').select('id').execute()).rejects.toMatchObject({
      kind: 'unavailable',
      cause: { code: '53300' },
    });
    await run(cluster.url, 'alter role guest connection limit -1');
    expect(await database.read.selectFrom('vaults').select('id').execute()).toEqual([]);
  });

  test('a standby is not used: what it has is old', async () => {
    const standby = await startPostgres();
    try {
      await run(standby.url, 'create table probe (n int primary key)');
      const database = await open(standby);
      await standby.stop();
      writeFileSync(join(standby.folder, 'data', 'standby.signal'), '');
      await standby.restart();
      await expect(numbers(database)).rejects.toMatchObject({
        kind: 'unavailable',
        cause: { message: expect.stringContaining('standby') },
      });
    } finally {
      await standby.remove();
    }
  });

  test('a server that is not there is named, with what is wrong, and without the password', async () => {
    const url = cluster.url.replace('postgres@', 'postgres:hunter2@').replace(/\/postgres$/, '/missing');
    const lines: unknown[] = [];
    const keep = (...line: unknown[]) => void lines.push(line);
    const error = await open({ url }, { debug: keep, info: keep, warn: keep, error: keep }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({
      message: expect.stringMatching(/127\.0\.0\.1:\d+ .*"missing" does not exist/),
    });
    expect(inspect([error, lines], { depth: 12, showHidden: true })).not.toContain('hunter2');
  });

  test('a database in another encoding is refused', async () => {
    await run(cluster.url, `create database latin encoding 'LATIN1' locale 'C' template template0`);
    await expect(open({ url: cluster.url.replace(/\/postgres$/, '/latin') })).rejects.toThrow(/LATIN1/);
  });

  test('TLS that the server does not offer is not done without', async () => {
    await expect(open({ url: `${cluster.url}?sslmode=verify-full` })).rejects.toThrow(/TLS is required/);
    await expect(open({ url: cluster.url, tlsMode: 'insecureUnverified' })).rejects.toThrow(
      /TLS is required/,
    );
  });
});

const hasOpenssl = (): boolean => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

describe.skipIf(!hasPostgres || !optional('TLS of PostgreSQL', hasOpenssl()))('PostgreSQL over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
  const file = (name: string) => join(folder, name);
  let cluster: PostgresCluster;

  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const keyArgs = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const makeAuthority = (name: string) =>
    openssl(
      'req',
      '-x509',
      ...keyArgs,
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
  const settings = (host: string, more = '', password = 'pass%2Fw:rd') => ({
    url: `postgres://postgres:${password}@${host}:${cluster.port}/postgres${more}`,
    tlsCa: file('authority.pem'),
  });

  beforeAll(async () => {
    makeAuthority('authority');
    makeAuthority('stranger');
    openssl(
      ...['req', '-x509', ...keyArgs, '-subj', '/CN=db', '-addext', 'subjectAltName=IP:127.0.0.1'],
      ...['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', 'authority.pem', '-CAkey', 'authority.key'],
      ...['-keyout', 'server.key', '-out', 'server.pem'],
    );
    cluster = await startPostgres({
      hba: ['hostssl all all 127.0.0.1/32 scram-sha-256'],
      tls: {
        certificate: readFileSync(file('server.pem'), 'utf8'),
        key: readFileSync(file('server.key'), 'utf8'),
      },
    });
    await run(cluster.socketUrl, `alter role postgres password 'pass/w:rd'`);
  });

  afterAll(async () => {
    await cluster?.remove();
    rmSync(folder, { recursive: true });
  });

  const isEncrypted = async ({ read }: Database) => {
    const { rows } = await sql<{ ssl: boolean }>`select bool_and(ssl) as ssl from pg_stat_ssl
      join pg_stat_activity using (pid) where application_name = 'strongroom'`.execute(read);
    return rows[0]?.ssl;
  };

  test('every connection is encrypted, to the server that the authority has named', async () => {
    const database = await open(settings('127.0.0.1', '?sslmode=verify-full'));
    expect(await isEncrypted(database)).toBe(true);
    expect(database.feed.fresh()).toBe(true);
  });

  test.each([
    ['a certificate of another authority', () => ({ tlsCa: file('stranger.pem') })],
    ['a certificate of an authority that is not publicly trusted', () => ({ tlsCa: undefined })],
    ['a certificate for another name', () => settings('localhost', '?sslmode=verify-full')],
  ])('%s is refused', async (_what, differing) => {
    const attempt = open({ ...settings('127.0.0.1', '?sslmode=verify-full'), ...differing() });
    await expect(attempt).rejects.toThrow(/cannot be used: .*(certificate|altnames)/);
  });

  test('less than full verification has to be asked for', async () => {
    expect(await isEncrypted(await open(settings('localhost', '?sslmode=verify-ca')))).toBe(true);
    const unverified = { tlsCa: file('stranger.pem'), tlsMode: 'insecureUnverified' } as const;
    expect(await isEncrypted(await open({ ...settings('127.0.0.1'), ...unverified }))).toBe(true);
    // The server of this test takes no connection that is not encrypted.
    await expect(open(settings('127.0.0.1', '?sslmode=disable'))).rejects.toThrow(/no encryption/);
  });

  test('a wrong password is told as such, and not repeated', async () => {
    const wrong = settings('127.0.0.1', '?sslmode=verify-full', 'hunter2');
    const error = await open(wrong).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ message: expect.stringContaining('password authentication failed') });
    expect(inspect(error, { depth: 12, showHidden: true })).not.toContain('hunter2');
    // What libpq would take from the environment is not taken.
    vi.stubEnv('PGPASSWORD', 'pass/w:rd');
    const none = settings('127.0.0.1', '?sslmode=verify-full', '');
    await expect(open(none)).rejects.toThrow(/password/);
  });
});

/**
 * Proves that a certificate, its key and its secret are written whole or not at all whenever the workers of a server, or
 * its nodes, are killed under clients who race for the same names, that what was acknowledged stays, and that an operation
 * which was cut off goes on. STRONGROOM_CRASH_ROUNDS sets how often (default 4); STRONGROOM_CRASH_SEED repeats a run's
 * choices.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { parsePending } from '../../src/domain/certificates/certificate-state.ts';
import type { Database } from '../../src/storage/database.ts';
import { createObjectReader } from '../../src/storage/objects.ts';
import { openPostgres } from '../../src/storage/postgres.ts';
import { openSqlite } from '../../src/storage/sqlite.ts';
import { type Connection, connectVault, signIn, type Target } from '../support/cluster-client.ts';
import { type Node, startNodes } from '../support/cluster-nodes.ts';
import { hasProc, killAll, until } from '../support/cluster-processes.ts';
import { randomFrom } from '../support/history.ts';
import { hasPostgres, newPostgresDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres-cluster.ts';
import {
  type ServerProcess,
  startProcess,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';
import { expectWhole, storedFamily } from '../support/whole-certificates.ts';

const rounds = Number(process.env.STRONGROOM_CRASH_ROUNDS ?? 4);
const seed = Number(process.env.STRONGROOM_CRASH_SEED ?? Date.now() % 2 ** 31);
const clients = 8;
const names = ['a', 'b', 'c', 'd'];
const version = '?api-version=7.4';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

function policyFor(issuer: string, { ca }: { ca?: string } = {}): object {
  return {
    policy: {
      issuer: { name: issuer },
      key_props: { kty: 'EC' },
      x509_props:
        ca === undefined
          ? { subject: 'CN=raced' }
          : { subject: `CN=${ca}`, basic_constraints: { ca: true }, key_usage: ['keyCertSign'] },
    },
  };
}

const operations: readonly (readonly [string, (name: string) => string, object?])[] = [
  ['POST', (name) => `/certificates/${name}/create`, policyFor('Self')],
  ['POST', (name) => `/certificates/${name}/create`, policyFor('Self')],
  ['POST', (name) => `/certificates/${name}/create`, policyFor('own')],
  ['POST', (name) => `/certificates/${name}/create`, policyFor('Unknown')],
  ['PATCH', (name) => `/certificates/${name}`, { tags: { a: 'b' } }],
  ['PATCH', (name) => `/certificates/${name}/pending`, { cancellation_requested: true }],
  ['DELETE', (name) => `/certificates/${name}/pending`],
  ['DELETE', (name) => `/certificates/${name}`],
  ['POST', (name) => `/deletedcertificates/${name}/recover`],
  ['DELETE', (name) => `/deletedcertificates/${name}`],
];

/** Does one thing after the other until the server is gone; tells what each came to. */
async function race(vault: Connection, random: () => number, done: (status: number) => void): Promise<void> {
  for (;;) {
    const name = names[Math.floor(random() * names.length)];
    const operation = operations[Math.floor(random() * operations.length)];
    if (name === undefined || operation === undefined) throw new Error('there is something to do');
    const [method, path, body] = operation;
    let status: number;
    try {
      ({ status } = await vault.send(method, `${path(name)}${version}`, body));
    } catch {
      return;
    }
    // A worker that has lost the writer says so, and its client goes on.
    expect([200, 202, 204, 400, 404, 409, 503], `${method} ${path(name)}`).toContain(status);
    done(status);
  }
}

/** A server of two processes that serve, which is killed and started again. */
interface Place {
  start(): Promise<readonly Target[]>;
  kill(): Promise<void>;
  /** Its database, while no process of the server is there. */
  open(): Promise<Database>;
}

/** Every certificate in the database is whole, and no operation in progress is forgotten. */
async function inspect(place: Place): Promise<void> {
  const db = await place.open();
  try {
    const reader = createObjectReader(db);
    const rows = await db.read.selectFrom('objects').select(['vault_id', 'name_key']).distinct().execute();
    for (const { vault_id: vaultId, name_key: name } of rows) {
      if (!names.includes(name.toLowerCase())) continue;
      const family = await storedFamily(reader, vaultId, name);
      expectWhole(family);
      const { head } = family.pending ?? {};
      if (head === undefined || head.deletedAt !== undefined) continue;
      const { status, policy } = parsePending(head.detail);
      const isJobs = status === 'inProgress' && policy.issuer.name !== 'Unknown';
      expect(head.dueAt).toEqual(isJobs ? expect.any(Number) : undefined);
    }
  } finally {
    await db.close();
  }
}

/** Kills and starts again the server on which clients race; answers how often each status came. */
async function raceAndKill(place: Place): Promise<ReadonlyMap<number, number>> {
  const random = randomFrom(seed);
  const done = new Map<number, number>();
  const carriedOut = () => (done.get(200) ?? 0) + (done.get(202) ?? 0) + (done.get(204) ?? 0);
  for (let round = 0; round < rounds; round += 1) {
    const targets = await place.start();
    const vaults: Connection[] = [];
    for (let client = 0; client < clients; client += 1) {
      const target = targets[client % targets.length];
      if (target !== undefined) vaults.push(connectVault(target, await signIn(target)));
    }
    if (round === 0) await makeIssuer(vaults);
    const enough = Promise.withResolvers<void>();
    const chances = vaults.map(() => randomFrom(Math.floor(random() * 2 ** 31)));
    const goal = carriedOut() + 60 + Math.floor(random() * 200);
    const note = (status: number) => {
      done.set(status, (done.get(status) ?? 0) + 1);
      if (carriedOut() >= goal) enough.resolve();
    };
    const racing = vaults.map((vault, client) => race(vault, chances[client] ?? random, note));
    // Whatever ends a client ends the wait too, and is told below.
    await Promise.race([enough.promise, Promise.allSettled(racing)]);
    await place.kill();
    await Promise.all(racing);
    for (const vault of vaults) vault.close();
    await inspect(place);
  }
  return done;
}

/** How many others there are. */
async function connectionsTo(url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query(
      'select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    return Number(rows[0].count);
  } finally {
    await client.end();
  }
}

async function makeIssuer([vault]: readonly Connection[]): Promise<void> {
  if (vault === undefined) throw new Error('there is a client');
  await makeAuthority(vault, { name: 'authority', by: 'Self', issuer: 'own' });
}

async function makeAuthority(
  vault: Connection,
  { name, by, issuer }: { name: string; by: string; issuer: string },
): Promise<void> {
  const made = await vault.send(
    'POST',
    `/certificates/${name}/create${version}`,
    policyFor(by, { ca: name }),
  );
  expect(made.status).toBe(202);
  const body = { provider: 'Strongroom', credentials: { account_id: name } };
  expect((await vault.send('PUT', `/certificates/issuers/${issuer}${version}`, body)).status).toBe(200);
}

describe.skipIf(!hasPostgres)('nodes that are killed under clients who race', () => {
  let database: TestDatabase;
  let own: TemporaryFolder;
  beforeAll(async () => {
    own = await temporaryFolder();
    database = await newPostgresDatabase();
  });
  afterAll(async () => {
    await database?.drop();
    await own?.remove();
  });

  test(
    `${rounds} times, certificates stay whole (seed ${seed})`,
    async () => {
      let nodes: Node[] | undefined;
      const done = await raceAndKill({
        async start() {
          for (const node of nodes ?? []) await node.start();
          nodes ??= await startNodes(own.path, database.url, { nodes: 2 });
          return nodes;
        },
        async kill() {
          await Promise.all((nodes ?? []).map((node) => node.kill()));
        },
        async open() {
          // What the killed had under way is committed or rolled back when their connections are gone.
          await until(async () => (await connectionsTo(database.url)) === 0);
          return openPostgres({ clock: systemClock, log: silentLog }, { url: database.url, poolSize: 2 });
        },
      });
      expect(done.get(202) ?? 0).toBeGreaterThan(rounds);
      expect(done.get(409) ?? 0).toBeGreaterThan(0);
    },
    90_000 + rounds * 30_000,
  );
});

describe.skipIf(!hasProc)('workers that are killed under clients who race', () => {
  const workers = ['--workers', '2'];
  let server: ServerProcess | undefined;
  const place: Place = {
    async start() {
      server = await startProcess(folder.path, workers);
      return [server];
    },
    async kill() {
      if (server !== undefined) await killAll(server);
      server = undefined;
    },
    open: () => openSqlite(join(folder.path, 'strongroom.db')),
  };
  afterAll(() => place.kill());

  test(
    `${rounds} times, certificates stay whole (seed ${seed})`,
    async () => {
      const done = await raceAndKill(place);
      expect(done.get(202) ?? 0).toBeGreaterThan(rounds);
      expect(done.get(409) ?? 0).toBeGreaterThan(0);
    },
    60_000 + rounds * 30_000,
  );

  async function connected(): Promise<Connection> {
    const [target] = await place.start();
    if (target === undefined) throw new Error('it was started');
    return connectVault(target, await signIn(target));
  }

  test('what was acknowledged is served, and what was cut off goes on', async () => {
    const vault = await connected();
    await makeAuthority(vault, { name: 'upper', by: 'Self', issuer: 'by-upper' });
    await makeAuthority(vault, { name: 'lower', by: 'by-upper', issuer: 'by-lower' });
    const enable = (enabled: boolean) =>
      vault.send('PATCH', `/certificates/upper${version}`, { attributes: { enabled } });
    expect((await vault.send('POST', `/certificates/kept/create${version}`, policyFor('Self'))).status).toBe(
      202,
    );
    const kept = await vault.send('GET', `/certificates/kept${version}`);
    // Begun, and put off until after the kill: there is nobody to issue for a while.
    expect((await enable(false)).status).toBe(200);
    expect(
      (await vault.send('POST', `/certificates/cut/create${version}`, policyFor('by-lower'))).status,
    ).toBe(202);
    const { status } = (await vault.send('GET', `/certificates/cut/pending${version}`)).json;
    expect(status).toBe('inProgress');
    expect((await enable(true)).status).toBe(200);
    await place.kill();
    vault.close();
    const sql = new DatabaseSync(join(folder.path, 'strongroom.db'), { timeout: 5_000 });
    const isDue = `update objects set due_at = 1 where kind = 'pendingcertificates' and name_key = 'CUT'`;
    expect(sql.prepare(isDue).run().changes).toBe(1);
    sql.close();
    const client = await connected();
    expect((await client.send('GET', `/certificates/kept${version}`)).json.cer).toBe(kept.json.cer);
    expect((await client.send('GET', `/secrets/kept${version}`)).json.kid).toBe(kept.json.kid);
    await until(async () => {
      const { json } = await client.send('GET', `/certificates/cut/pending${version}`);
      return json.status === 'completed';
    });
    const { json } = await client.send('GET', `/certificates/cut${version}`);
    expect(json).toMatchObject({ attributes: { enabled: true }, kid: expect.any(String) });
    expect((await client.send('GET', `/secrets/cut${version}`)).json.value).toEqual(expect.any(String));
    client.close();
    await place.kill();
    await inspect(place);
  }, 180_000);
});

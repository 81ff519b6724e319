/**
 * Proves the stated consistency: three nodes on one PostgreSQL, and several workers over SQLite, are used by clients
 * at random while processes die, connections are cut and the database restarts; what all of them saw is held
 * against the model. STRONGROOM_COHERENCE_ROUNDS repeats the faults (default 1), STRONGROOM_COHERENCE_STEPS says how
 * many requests are answered between two of them (default 300), STRONGROOM_COHERENCE_SEED repeats a run's choices.
 */
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshFor } from '../../src/storage/postgres-changes.ts';
import { beatInterval, freshFor as writerFreshFor } from '../../src/storage/writer-channel.ts';
import { connectVault, signIn, type Target } from '../support/cluster-client.ts';
import { versionsOf } from '../support/cluster-ledger.ts';
import { type Load, type LoadHistory, type Place, startLoad } from '../support/cluster-load.ts';
import { type Node, startNodes } from '../support/cluster-nodes.ts';
import {
  eventually,
  hasProc,
  killAll,
  processOf,
  until,
  whileStopped,
} from '../support/cluster-processes.ts';
import { type Bounds, checkRegister, checkTimeline, checkVersions, randomFrom } from '../support/history.ts';
import { hasPostgres } from '../support/postgres.ts';
import { type PostgresCluster, startPostgres } from '../support/postgres-cluster.ts';
import {
  type ServerProcess,
  startProcess,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

const rounds = Number(process.env.STRONGROOM_COHERENCE_ROUNDS ?? 1);
const steps = Number(process.env.STRONGROOM_COHERENCE_STEPS ?? 300);
const seed = Number(process.env.STRONGROOM_COHERENCE_SEED ?? Date.now() % 2 ** 31);
const timeout = 60_000 + rounds * 60_000;
const version = '?api-version=7.4';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

type Fault = (random: () => number) => Promise<void>;

/** Uses the server while the faults come one after the other, in an order by chance; each is followed by work. */
async function use(places: readonly Place[], faults: readonly Fault[]): Promise<LoadHistory> {
  const random = randomFrom(seed);
  const load = await startLoad(places, seed);
  await answers(load, steps);
  for (let round = 0; round < rounds; round += 1) {
    for (const fault of shuffled(faults, random)) {
      await fault(random);
      for (const place of places) await serves(place);
      await answers(load, steps);
    }
  }
  return load.stop();
}

async function answers(load: Load, count: number): Promise<void> {
  const enough = load.answered() + count;
  await until(() => load.answered() >= enough);
}

/** Waits until the server writes and reads again, without anybody's help. */
async function serves(place: Place): Promise<void> {
  const vault = connectVault(place, await eventually(() => signIn(place)));
  await eventually(async () => {
    const { status } = await vault.send('PUT', `/secrets/again${version}`, { value: 'again' });
    if (status !== 200) throw new Error(`refused with ${status}`);
  });
  vault.close();
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function shuffled<T>(all: readonly T[], random: () => number): T[] {
  return all
    .map((each) => ({ each, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ each }) => each);
}

async function holdToModel(history: LoadHistory, server: Target, bounds: Bounds): Promise<void> {
  expect(history.problems, `seed ${seed}`).toEqual([]);
  const problems = [
    ...history.registers.flatMap((register) => checkRegister(register, bounds)),
    ...history.mixed.flatMap((timeline) => checkTimeline(timeline, bounds)),
    ...checkTimeline(history.role, bounds),
    ...checkVersions(history.versions),
  ];
  expect(problems, `seed ${seed}`).toEqual([]);
  expect(history.mixed.flatMap(({ looks }) => looks).length).toBeGreaterThan(20);
  expect(history.role.looks.length).toBeGreaterThan(5);
  for (const timeline of [...history.mixed, history.role]) {
    expect(timeline.steps.length).toBeGreaterThan(5);
  }
  await holdToAcknowledged(history, server);
}

/** Every acknowledged version is there with its value; whatever else is there is whole too. */
async function holdToAcknowledged({ acknowledged, registers }: LoadHistory, server: Target): Promise<void> {
  const vault = connectVault(server, await signIn(server));
  const written = new Set(registers.flatMap(({ writes }) => writes.map(({ value }) => value)));
  for (const [name, values] of acknowledged) {
    if (!name.startsWith('register')) continue;
    const ids = new Set(await versionsOf(vault, name));
    for (const [value, id] of values) {
      const { status, json } = await vault.send('GET', `/secrets/${name}/${id}${version}`);
      expect([status, json.value]).toEqual([200, value]);
      expect(ids.delete(id)).toBe(true);
    }
    for (const id of ids) {
      const { status, json } = await vault.send('GET', `/secrets/${name}/${id}${version}`);
      expect(status).toBe(200);
      expect(written).toContain(json.value);
    }
  }
  vault.close();
}

describe.skipIf(!hasPostgres)('three nodes on one PostgreSQL', () => {
  let cluster: PostgresCluster;
  let nodes: Node[] = [];
  beforeAll(async () => {
    cluster = await startPostgres();
    nodes = await startNodes(folder.path, (await cluster.newDatabase()).url, { nodes: 3 });
  });
  afterAll(async () => {
    for (const node of nodes) await node.kill();
    await cluster?.remove();
  });

  const killNode: Fault = async (random) => {
    const node = nodes[Math.floor(random() * nodes.length)];
    await node?.kill();
    await node?.start();
  };
  const cutListeners: Fault = async () => {
    const client = new Client({ connectionString: cluster.url });
    await client.connect();
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'strongroom%'
        and (query like 'listen%' or query like '%pg_current_snapshot%' or query like '%pg_notify%')`,
    );
    await client.end();
    expect(rowCount).toBeGreaterThanOrEqual(nodes.length);
  };
  const restartDatabase: Fault = async () => {
    await cluster.stop();
    await cluster.restart();
  };
  const killDatabase: Fault = async () => {
    await cluster.kill9();
    await cluster.restart();
  };

  test(
    `nodes die, their listening ends, the database restarts and is killed (seed ${seed})`,
    async () => {
      const history = await use(nodes, [killNode, cutListeners, restartDatabase, killDatabase]);
      // A read takes what was fresh at some moment of its own: no more than `freshFor` before it began.
      const behind = (from: string, to: string) => (from === to ? 0 : freshFor);
      const bounds = { written: behind, shown: behind, longest: freshFor };
      const [node] = nodes;
      if (node !== undefined) await holdToModel(history, node, bounds);
    },
    timeout,
  );
});

describe.skipIf(!hasProc)('three workers over SQLite', () => {
  let server: ServerProcess | undefined;
  afterAll(async () => {
    if (server !== undefined) await killAll(server);
  });

  test(
    `workers and the writer die and are stopped for a while (seed ${seed})`,
    async () => {
      server = await startProcess(join(folder.path, 'workers'), ['--workers', '3', '--log-level', 'silent']);
      const { pid: supervisor } = server;
      const killWorker: Fault = async (random) => {
        process.kill(await processOf(supervisor, 1 + Math.floor(random() * 3)), 'SIGKILL');
      };
      const killWriter: Fault = async () => {
        process.kill(await processOf(supervisor, 'writer'), 'SIGKILL');
      };
      /** For longer than its memory may be used without news: the others must not wait for it, nor it be wrong. */
      const stopWorker: Fault = async (random) => {
        await whileStopped(await processOf(supervisor, 2 + Math.floor(random() * 2)), () =>
          after(3 * writerFreshFor),
        );
      };
      const place = { folder: server.folder, port: server.port, process: undefined };
      const history = await use([place], [killWorker, killWriter, stopWorker]);
      // What is answered is seen by all. Until then, some may see it already: for as long as the writer waits.
      const longest = writerFreshFor + 2 * beatInterval;
      const shown = (from: string, to: string) => (from === to ? 0 : longest);
      await holdToModel(history, place, { written: () => 0, shown, longest });
      expect(await server.end()).toMatchObject({ code: 0, signal: null });
    },
    timeout,
  );
});

/**
 * The benchmarks, as ratios in one run: Strongroom on SQLite and on PostgreSQL, in one process and in several, beside a
 * bare `node:https` server with the same replies and beside what the machine itself can make durable. Says which
 * bars were kept; a bar that is missed does not fail the run. `--help` names the options.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { postgresBinaries, startPostgres } from '../test/support/postgres-cluster.ts';
import { barsOf } from './bars.ts';
import { type Committer, fileCommitter, postgresCommitter, sqliteCommitter } from './commits.ts';
import { type Entrant, names, severalProcesses, startAll, type Workplace } from './entrants.ts';
import type { Place } from './fill.ts';
import { measureKeys } from './keys.ts';
import { measure } from './measure.ts';
import { type Options, readOptions, usage } from './options.ts';
import { type Part, partsOf, type Supply } from './parts.ts';
import { cores, placeFor } from './processes.ts';
import { type Bar, type Contender, inTurn, printBars, printTable, type Result } from './report.ts';
import { measureScale, type Size } from './scale.ts';

interface Bench extends Workplace {
  readonly options: Options;
}

async function main(options: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const closers: Bench['closers'] = [];
  try {
    const postgres =
      postgresBinaries() === undefined
        ? undefined
        : await startPostgres({ durable: true, settings: ['shared_buffers=512MB', 'max_wal_size=4GB'] });
    if (postgres !== undefined) closers.push(() => postgres.remove());
    const bench: Bench = { options, folder, postgres, closers };
    introduce(bench);
    const bars = await measureTables(bench);
    if (options.only?.has('keys') ?? true) bars.push(...(await measureKeys(bench)));
    bars.push(...(await measureScales(bench)));
    printBars(bars);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

function introduce({ options, postgres }: Bench): void {
  const { rounds, seconds, connections } = options;
  console.log(
    `Node.js ${process.versions.node}, ${cores} cores (${cpus()[0]?.model ?? 'unknown'}); ${connections} connections, ` +
      `${rounds} rounds of ${seconds} s in turn after one to warm up`,
  );
  const [before = 0] = loadavg();
  if (before > 0.5) {
    console.log(
      `The machine is busy already (load average ${before.toFixed(1)}): trust no figure of this run.`,
    );
  }
  for (const count of [1, ...severalProcesses]) {
    const place = placeFor(count);
    const where =
      place === undefined
        ? 'share all cores with the load: their rate is bounded by it, compare the processor time'
        : `on cores ${place.server}, the load on ${place.load}`;
    console.log(`servers of ${count} process${count === 1 ? '' : 'es'}: ${where}`);
  }
  console.log(
    postgres === undefined
      ? 'PostgreSQL is not installed: left out'
      : 'PostgreSQL shares all cores, and is the same for all; its cost is told apart',
  );
}

async function measureTables(bench: Bench): Promise<Bar[]> {
  const { only } = bench.options;
  const supply = supplyOf(bench.options);
  const parts = partsOf(supply).filter(({ name }) => only?.has(name) ?? true);
  if (parts.length === 0) return [];
  const closers: Bench['closers'] = [];
  try {
    const inner = { ...bench, closers };
    const entrants = await startAll(inner, supply);
    const tables = new Map<string, readonly Result[]>();
    for (const part of parts) tables.set(part.name, await measureTable(inner, part, entrants));
    return barsOf(tables);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function measureTable(bench: Bench, part: Part, entrants: readonly Entrant[]): Promise<Result[]> {
  const { rounds, seconds } = bench.options;
  const connections = connectionsFor(part, bench.options);
  // A bare server keeps nothing: what is written is compared with what the machine can make durable.
  const taking = part.name === 'put' ? entrants.filter(({ reference }) => reference !== undefined) : entrants;
  const contenders = taking.map((entrant) => contenderOf(part, entrant, bench.options));
  const committers = part.name === 'put' ? await committersOf(bench) : [];
  const results = await inTurn([...contenders, ...committers], rounds);
  const how = part.once ? 'until its share is used up' : `${seconds} s`;
  const to = part.name === 'put' ? `'${names.commit}'` : 'the bare server of as many processes';
  printTable(`${part.title} (${connections} connections, each round ${how}; ratio to ${to})`, results);
  return results;
}

/** Enough for all rounds of the fastest server that is to be expected. */
function supplyOf({ rounds, seconds }: Options): Supply {
  const all = (rounds + 1) * seconds;
  return { secrets: Math.ceil(all * 8_000), tokens: Math.ceil(all * 1_500) };
}

function contenderOf(part: Part, { target, world, reference }: Entrant, options: Options): Contender {
  const { rounds, seconds } = options;
  const connections = connectionsFor(part, options);
  const compared =
    reference === undefined ? {} : { reference: part.name === 'put' ? names.commit : reference };
  return {
    name: target.name,
    ...compared,
    measure: (round) => {
      const plan = part.plan(world, { round, rounds });
      const most = part.once ? plan[0]?.fills?.length : undefined;
      return measure(target, { servername: part.servername, connections, seconds, most, plan });
    },
  };
}

function connectionsFor({ atOnce }: Part, { connections }: Options): number {
  return Math.min(connections, atOnce ?? connections);
}

async function committersOf({ folder, postgres, options, closers }: Bench): Promise<Contender[]> {
  const { seconds } = options;
  const committers: [string, Committer][] = [
    ['fdatasync of an append', fileCommitter(folder)],
    [names.commit, await sqliteCommitter(folder, 1)],
    ['SQLite commits of 64 rows, rows', await sqliteCommitter(folder, 64)],
  ];
  if (postgres !== undefined) {
    const { url } = await postgres.newDatabase();
    for (const connections of [1, 10]) {
      const name = `PostgreSQL commit, ${connections} conn.`;
      committers.push([name, await postgresCommitter(url, connections)]);
    }
  }
  for (const [, committer] of committers) closers.push(() => committer.close());
  return committers.map(([name, committer]) => ({ name, measure: () => committer.measure(seconds) }));
}

/** A round is short there: a request at a time, and no more of them than the small vault has secrets for. */
const leastScaleRounds = 5;

async function measureScales({ options, folder, postgres }: Bench): Promise<Bar[]> {
  if (!options.scale) return [];
  const large: Size = { name: 'large', secrets: options.secrets, versions: options.versions };
  const rounds = Math.max(options.rounds, leastScaleRounds);
  const bars = await measureScale({
    database: 'SQLite',
    placeOf: async ({ name }) => ({ data: join(folder, `scale-${name}`) }),
    large,
    rounds,
  });
  if (postgres === undefined || !options.scaleOnPostgres) return bars;
  const placeOf = async ({ name }: Size): Promise<Place> => {
    const { url } = await postgres.newDatabase();
    return { data: join(folder, `scale-postgres-${name}`), databaseUrl: url };
  };
  const databasePid = postgres.pid();
  return [...bars, ...(await measureScale({ database: 'PostgreSQL', placeOf, databasePid, large, rounds }))];
}

const options = readOptions();
if (options === undefined) console.log(usage);
else await main(options);

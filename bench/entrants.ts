/** Who takes part: Strongroom on SQLite and on PostgreSQL, in one process and in several, and bare servers beside. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { Client as PostgresClient } from 'pg';
import type { PostgresCluster } from '../test/support/postgres-cluster.ts';
import { createClient, type Identity, loginHost, tokenRequest, tokensFor, vaultHost } from './client.ts';
import { type Content, prepare, secrets } from './fill.ts';
import { getPath, listPath, prefixes, type Supply, type World, writtenSecrets } from './parts.ts';
import { cores, residentMb } from './processes.ts';
import { type BareReplies, startBare, startNodes, startStrongroom, type Target } from './servers.ts';

export interface Entrant {
  readonly target: Target;
  readonly world: World;
  readonly reference?: string;
}

/** Where things are made, and what ends them: `closers` run in reverse. */
export interface Workplace {
  readonly folder: string;
  /** Undefined where PostgreSQL is not installed. */
  readonly postgres: PostgresCluster | undefined;
  readonly closers: (() => Promise<unknown>)[];
}

/** Two, and as many as there are cores. */
export const severalProcesses = [...new Set([2, cores])].sort((a, b) => a - b).filter((count) => count > 1);

/** What the tables call them. */
export const names = {
  bare: (count: number) => `bare node:https × ${count}`,
  sqlite: (count: number) => `SQLite, ${count} worker${count === 1 ? '' : 's'}`,
  postgres: (count: number) => `PostgreSQL, ${count} node${count === 1 ? '' : 's'}`,
  commit: 'SQLite commit of 1 row',
};

/** Starts everything that is compared; what stops it joins the closers. */
export async function startAll(bench: Workplace, supply: Supply): Promise<Entrant[]> {
  const sqlite = await startSqlite(bench, supply);
  const [first] = sqlite;
  if (first === undefined) throw new TypeError('no server was started');
  const replies = await repliesOf(first);
  const bare: Entrant[] = [];
  for (const processes of [1, ...severalProcesses]) {
    const target = await startBare(names.bare(processes), bench.folder, { processes, replies });
    bench.closers.push(() => stop(target));
    bare.push({ target, world: first.world });
  }
  return [...bare, ...sqlite, ...(await startOnPostgres(bench, supply))];
}

function contentsOf(supply: Supply): Content[] {
  return [
    { name: 'bench', versions: 1 },
    ...secrets(prefixes.put, writtenSecrets),
    ...secrets(prefixes.mixed, writtenSecrets),
    ...secrets(prefixes.once, supply.secrets),
  ];
}

/** Servers on copies of one data folder, and so with the same keys: the tokens of one are good for all. */
async function startSqlite(bench: Workplace, supply: Supply): Promise<Entrant[]> {
  const data = join(bench.folder, 'sqlite');
  const identity = await prepare({ data }, contentsOf(supply));
  const targets: Target[] = [];
  for (const workers of [1, ...severalProcesses]) {
    const copy = { data: `${data}-${workers}` };
    cpSync(data, copy.data, { recursive: true });
    const target = await startStrongroom(names.sqlite(workers), copy, { workers });
    bench.closers.push(() => stop(target));
    targets.push(target);
    const [node] = target.nodes;
    const resident = residentMb(target.nodes.map(({ pid }) => pid));
    console.log(
      `${target.name}: serves after ${node?.startMs.toFixed(0)} ms, ${resident.toFixed(0)} MB resident`,
    );
  }
  return withWorld(targets, { identity, tokens: supply.tokens });
}

/** One node, and two, on copies of one database. */
async function startOnPostgres({ postgres, folder, closers }: Workplace, supply: Supply): Promise<Entrant[]> {
  if (postgres === undefined) return [];
  const { url } = await postgres.newDatabase();
  const place = { data: join(folder, 'postgres'), databaseUrl: url };
  const identity = await prepare(place, contentsOf(supply));
  await settle(url);
  const targets: Target[] = [];
  for (const nodes of [1, 2]) {
    const databaseUrl = await copyDatabase(postgres, url, `nodes_${nodes}`);
    const databasePid = postgres.pid();
    const at = { data: place.data, databaseUrl };
    const target = await startNodes(names.postgres(nodes), at, { nodes, databasePid });
    closers.push(() => stop(target));
    targets.push(target);
  }
  return withWorld(targets, { identity, tokens: supply.tokens });
}

async function withWorld(
  targets: readonly Target[],
  { identity, tokens: count }: { identity: Identity; tokens: number },
): Promise<Entrant[]> {
  const [first] = targets;
  if (first === undefined) return [];
  const client = createClient({ port: first.ports[0] ?? 0, ca: first.ca });
  const tokens = await tokensFor(client, identity, { count: count + 1 });
  client.close();
  const world: World = { identity, token: tokens[0] ?? '', tokens: tokens.slice(1) };
  return targets.map((target) => ({ target, world, reference: names.bare(target.processes) }));
}

/** As after a while of use: statistics are there, and what was written is in its place. */
export async function settle(url: string): Promise<void> {
  await query(url, 'vacuum analyze');
  await query(url, 'checkpoint');
}

async function copyDatabase(postgres: PostgresCluster, url: string, name: string): Promise<string> {
  const template = new URL(url).pathname.slice(1);
  await query(postgres.url, `create database ${name} template ${template}`);
  const copy = new URL(url);
  copy.pathname = `/${name}`;
  return copy.href;
}

async function query(url: string, text: string): Promise<void> {
  const client = new PostgresClient({ connectionString: url });
  await client.connect();
  await client.query(text);
  await client.end();
}

/** What Strongroom answers is what the bare server is to answer. */
async function repliesOf({ target, world }: Entrant): Promise<BareReplies> {
  const client = createClient({ port: target.ports[0] ?? 0, ca: target.ca });
  const headers = { Authorization: `Bearer ${world.token}` };
  const get = (path: string) => client.ask({ host: vaultHost, method: 'GET', path, headers });
  const { path, type, body } = tokenRequest(world.identity);
  const login = { host: loginHost, method: 'POST', path, headers: { 'Content-Type': type }, body };
  const lists = [listPath(25), listPath(1)];
  const paths: [string, Awaited<ReturnType<typeof get>>][] = [[path, await client.ask(login)]];
  for (const list of lists) paths.push([list, await get(list)]);
  const other = await get(getPath);
  client.close();
  return { other, paths };
}

async function stop({ nodes }: Target): Promise<void> {
  await Promise.all(nodes.map((node) => node.stop()));
}

/**
 * Proves that a server which is killed at any moment loses no write that it acknowledged, keeps their order, leaves
 * nothing half done, and finds its audit log whole. STRONGROOM_CRASH_ROUNDS sets how often (default 4);
 * STRONGROOM_CRASH_SEED repeats a run's moments.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Connection, connectVault as connect, type Reply, signIn } from '../support/cluster-client.ts';
import { randomFrom } from '../support/history.ts';
import {
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

const rounds = Number(process.env.STRONGROOM_CRASH_ROUNDS ?? 4);
const seed = Number(process.env.STRONGROOM_CRASH_SEED ?? Date.now() % 2 ** 31);
const writers = 8;

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

async function connectVault(server: ServerProcess): Promise<() => Connection> {
  const token = await signIn(server);
  return () => connect(server, token);
}

const version = '?api-version=7.4';

/** What one name is known to be: every acknowledged version in order, and where its life stands. */
interface Known {
  readonly name: string;
  /** Version ids and values, acknowledged, oldest first. */
  readonly versions: { id: string; value: string }[];
  state: 'absent' | 'live' | 'deleted';
  /** The request that was under way when the server died. */
  doubt: { kind: 'set'; value: string } | { kind: 'delete' } | { kind: 'recover' } | undefined;
  written: number;
}

/** One step in a name's life, chosen by chance; its acknowledgement is noted when it comes, and not before. */
async function step(vault: Connection, known: Known, chance: number): Promise<void> {
  if (known.state === 'deleted') {
    known.doubt = { kind: 'recover' };
    const { status } = await vault.send('POST', `/deletedsecrets/${known.name}/recover${version}`);
    expect(status).toBe(200);
    known.state = 'live';
  } else if (known.state === 'live' && chance < 0.2) {
    known.doubt = { kind: 'delete' };
    const { status } = await vault.send('DELETE', `/secrets/${known.name}${version}`);
    expect(status).toBe(200);
    known.state = 'deleted';
  } else {
    known.written += 1;
    // Long enough to span several pages of the database and of the log.
    const value = `${known.name} ${known.written} ${'x'.repeat(Math.floor(chance * 9000))}`;
    known.doubt = { kind: 'set', value };
    const { status, json } = await vault.send('PUT', `/secrets/${known.name}${version}`, { value });
    expect(status).toBe(200);
    known.versions.push({ id: json.id.split('/').at(-1), value });
    known.state = 'live';
  }
  known.doubt = undefined;
}

/** `written` is told of every step that was acknowledged. */
async function writeUntilDead(
  vault: Connection,
  { names, random, written }: { names: readonly Known[]; random: () => number; written: () => void },
): Promise<void> {
  for (;;) {
    const known = names[Math.floor(random() * names.length)];
    if (known === undefined) return;
    try {
      await step(vault, known, random());
      written();
    } catch (error) {
      // A refusal is a finding; a lost connection is what the test is about.
      if ((error as Error).name === 'AssertionError') throw error;
      return;
    }
  }
}

async function stateOf(vault: Connection, name: string): Promise<Known['state']> {
  if ((await vault.send('GET', `/deletedsecrets/${name}${version}`)).status === 200) return 'deleted';
  return (await vault.send('GET', `/secrets/${name}${version}`)).status === 200 ? 'live' : 'absent';
}

/** Holds the name to what was acknowledged; takes over what the unanswered request did, if it did it whole. */
async function check(vault: Connection, known: Known): Promise<void> {
  const { doubt } = known;
  const found = await stateOf(vault, known.name);
  const allowed: Known['state'][] = [known.state];
  if (doubt?.kind === 'set' || doubt?.kind === 'recover') allowed.push('live');
  if (doubt?.kind === 'delete') allowed.push('deleted');
  expect(allowed, known.name).toContain(found);
  known.state = found;
  known.doubt = undefined;
  if (found === 'absent') return;
  if (found === 'deleted') {
    // Values of a deleted secret cannot be read: bring it back, look, and go on from there.
    const recovered = await vault.send('POST', `/deletedsecrets/${known.name}/recover${version}`);
    expect(recovered.status).toBe(200);
    known.state = 'live';
  }
  const current = await vault.send('GET', `/secrets/${known.name}${version}`);
  expect(current.status).toBe(200);
  const last = known.versions.at(-1);
  const id: string = current.json.id.split('/').at(-1);
  if (doubt?.kind === 'set' && id !== last?.id) {
    expect(current.json.value).toBe(doubt.value);
    known.versions.push({ id, value: doubt.value });
  } else {
    expect({ id, value: current.json.value }).toEqual(last);
  }
  const listed = await vault.send('GET', `/secrets/${known.name}/versions${version}&maxresults=25`);
  const ids = new Set<string>(await allIds(vault, listed));
  expect(ids).toEqual(new Set(known.versions.map((each) => each.id)));
  for (const each of known.versions) {
    const { status, json } = await vault.send('GET', `/secrets/${known.name}/${each.id}${version}`);
    expect([status, json.value]).toEqual([200, each.value]);
  }
}

async function allIds(vault: Connection, first: Reply): Promise<string[]> {
  const ids: string[] = [];
  for (let page = first; ; ) {
    expect(page.status).toBe(200);
    ids.push(...page.json.value.map((item: { id: string }) => item.id.split('/').at(-1)));
    if (page.json.nextLink === null) return ids;
    const next = new URL(page.json.nextLink);
    page = await vault.send('GET', `${next.pathname}${next.search}`);
  }
}

/** The versions that the audit log says were written or read. */
function recordedVersions(): Set<string> {
  const audit = join(folder.path, 'audit');
  const text = readdirSync(audit).map((name) => readFileSync(join(audit, name), 'utf8'));
  return new Set(text.join('').match(/(?<=\/secrets\/[\w-]+\/)[0-9a-f]{32}/g));
}

test(
  `${rounds} kills under ${writers} writers lose nothing that was acknowledged (seed ${seed})`,
  async () => {
    const random = randomFrom(seed);
    const names: Known[][] = Array.from({ length: writers }, (_, writer) =>
      Array.from({ length: 3 }, (_unused, index) => ({
        name: `w${writer}-n${index}`,
        versions: [],
        state: 'absent',
        doubt: undefined,
        written: 0,
      })),
    );
    let acknowledged = 0;
    for (let round = 0; round < rounds; round += 1) {
      const server = await startProcess(folder.path);
      const connect = await connectVault(server);
      const connections = names.map(connect);
      const versions = () => names.flat().reduce((sum, known) => sum + known.versions.length, 0);
      const chances = names.map(() => randomFrom(Math.floor(random() * 2 ** 31)));
      // The moment is counted in writes, so that a slow machine is killed as deep in its work as a fast one.
      const target = versions() + 20 + Math.floor(random() * 200);
      const written = () => {
        if (versions() >= target) server.child.kill('SIGKILL');
      };
      const writing = names.map((own, writer) =>
        writeUntilDead(connections[writer] as Connection, {
          ...{ names: own, written },
          random: chances[writer] ?? random,
        }),
      );
      await Promise.all(writing);
      expect((await server.finished).signal).toBe('SIGKILL');
      for (const each of connections) each.close();

      const again = await startProcess(folder.path);
      const vault = (await connectVault(again))();
      for (const known of names.flat()) await check(vault, known);
      vault.close();
      const verified = await strongroom(['audit', 'verify', '--json', '--data', folder.path]);
      expect(JSON.parse(verified.stdout)).toMatchObject({ problems: [], problemCount: 0 });
      expect(verified.code).toBe(0);
      const recorded = recordedVersions();
      for (const { id } of names.flatMap((own) => own.flatMap((known) => known.versions))) {
        expect(recorded).toContain(id);
      }
      expect(await again.end()).toMatchObject({ code: 0 });
      acknowledged = names.flat().reduce((sum, known) => sum + known.versions.length, 0);
    }
    expect(acknowledged).toBeGreaterThan(rounds * 20);
  },
  60_000 + rounds * 30_000,
);

/**
 * Proves that a key which is disabled, deleted or narrowed through one process is refused by every other: by the workers
 * over one SQLite file from the next request on, by the nodes over one PostgreSQL within the stated bound, whatever
 * each has in memory; and that no handle stays open in a worker that is done with the key.
 * STRONGROOM_COHERENCE_STEPS and STRONGROOM_COHERENCE_SEED are as in coherence.test.ts.
 */
import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshFor } from '../../src/storage/postgres-changes.ts';
import { beatInterval, freshFor as writerFreshFor } from '../../src/storage/writer-channel.ts';
import { type Connection, connectVault, type Reply, signIn } from '../support/cluster-client.ts';
import { type Node, startNodes } from '../support/cluster-nodes.ts';
import { hasProc, killAll, processOf, until } from '../support/cluster-processes.ts';
import { connectEach } from '../support/cluster-workers.ts';
import { type Bounds, checkTimeline, type Look, randomFrom, type Step } from '../support/history.ts';
import { hasPostgres, newPostgresDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres-cluster.ts';
import {
  type ServerProcess,
  startProcess,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';
import { memoryHolds } from '../support/process-memory.ts';

const stepCount = Math.ceil(Number(process.env.STRONGROOM_COHERENCE_STEPS ?? 300) / 5);
const seed = Number(process.env.STRONGROOM_COHERENCE_SEED ?? Date.now() % 2 ** 31);
const version = '?api-version=7.4';
const digest = Buffer.alloc(32, 1).toString('base64url');

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

async function create(vault: Connection, name: string): Promise<string> {
  const { status, json } = await vault.send('POST', `/keys/${name}/create${version}`, { kty: 'EC' });
  expect(status).toBe(200);
  return json.key.kid.split('/').at(-1);
}

function sign(
  vault: Connection,
  name: string,
  { id = '', alg = 'ES256' }: { id?: string | undefined; alg?: string } = {},
): Promise<Reply> {
  const path = id === '' ? `/keys/${name}/sign` : `/keys/${name}/${id}/sign`;
  return vault.send('POST', `${path}${version}`, { alg, value: digest });
}

/** The version that signed, or the reason why none did. */
function outcome({ status, json }: Reply): string {
  return status === 200 ? json.kid.split('/').at(-1) : (json.error.innererror?.code ?? json.error.code);
}

type Change =
  | 'disable'
  | 'enable'
  | 'narrow'
  | 'widen'
  | 'expire'
  | 'prolong'
  | 'delete'
  | 'recover'
  | 'rotate';

const changes: Readonly<
  Record<Change, (name: string) => readonly [method: string, path: string, body?: object]>
> = {
  disable: (name) => ['PATCH', `/keys/${name}`, { attributes: { enabled: false } }],
  enable: (name) => ['PATCH', `/keys/${name}`, { attributes: { enabled: true } }],
  narrow: (name) => ['PATCH', `/keys/${name}`, { key_ops: ['verify'] }],
  widen: (name) => ['PATCH', `/keys/${name}`, { key_ops: ['sign', 'verify'] }],
  expire: (name) => ['PATCH', `/keys/${name}`, { attributes: { exp: 1_000_000_000 } }],
  prolong: (name) => ['PATCH', `/keys/${name}`, { attributes: { exp: 10_000_000_000 } }],
  delete: (name) => ['DELETE', `/keys/${name}`],
  recover: (name) => ['POST', `/deletedkeys/${name}/recover`, {}],
  rotate: (name) => ['POST', `/keys/${name}/rotate`, {}],
};

/** Answers the current version. */
async function change(vault: Connection, name: string, what: Change): Promise<string> {
  const [method, path, body] = changes[what](name);
  const { status, json } = await vault.send(method, `${path}${version}`, body);
  expect([what, status, json.error]).toEqual([what, 200, undefined]);
  return json.key.kid.split('/').at(-1);
}

interface KeyState {
  readonly live: boolean;
  readonly current: string;
  readonly enabled: boolean;
  readonly signs: boolean;
}

/** What `sign` answers in this state. */
function expected({ live, current, enabled, signs }: KeyState): string {
  if (!live) return 'KeyNotFound';
  if (!enabled) return 'KeyDisabled';
  return signs ? current : 'KeyOperationForbidden';
}

const opposite = { disable: 'enable', narrow: 'widen', delete: 'recover' } as const;

/** What may come next, by chance. */
function nextChange(state: KeyState, random: () => number): Change {
  if (!state.live) return opposite.delete;
  const all: Change[] = [
    state.enabled ? 'disable' : 'enable',
    state.signs ? 'narrow' : 'widen',
    'delete',
    'rotate',
  ];
  return all[Math.floor(random() * all.length)] ?? 'rotate';
}

function changed(state: KeyState, what: Change, current: string): KeyState {
  switch (what) {
    case 'disable':
    case 'enable':
      return { ...state, enabled: what === 'enable' };
    case 'narrow':
    case 'widen':
      return { ...state, signs: what === 'widen' };
    case 'delete':
    case 'recover':
      return { ...state, live: what === 'recover' };
    default:
      // A new version is enabled and inherits the operations.
      return { ...state, current, enabled: true };
  }
}

interface Place {
  readonly process: string;
  readonly connect: () => Connection;
}

/** One client changes a key, now here, now there, while others sign with it everywhere; what they saw is held to the model. */
async function useWhileChanging(places: readonly Place[], bounds: Bounds): Promise<void> {
  const random = randomFrom(seed);
  const steps: Step<KeyState>[] = [];
  const looks: Look<KeyState>[] = [];
  const changers = places.map((place) => ({ process: place.process, vault: place.connect() }));
  const first = changers[0];
  if (first === undefined) throw new Error('nowhere to go');
  const initial: KeyState = {
    live: true,
    current: await create(first.vault, 'changed'),
    enabled: true,
    signs: true,
  };
  let isOver = false;
  const looking = [...places, ...places].map(async ({ process: by, connect }) => {
    const vault = connect();
    // A node may not have heard of the key yet.
    await until(async () => (await sign(vault, 'changed')).status !== 404 || isOver);
    while (!isOver) {
      const begin = performance.now();
      const saw = outcome(await sign(vault, 'changed'));
      looks.push({
        begin,
        end: performance.now(),
        process: by,
        saw,
        fits: (state) => expected(state) === saw,
      });
    }
    vault.close();
  });
  let state = initial;
  while (steps.length < stepCount) {
    const by = changers[Math.floor(random() * changers.length)] ?? first;
    const what = nextChange(state, random);
    const begin = performance.now();
    state = changed(state, what, await change(by.vault, 'changed', what));
    steps.push({ begin, end: performance.now(), process: by.process, what, state });
    const seen = looks.length;
    await until(() => looks.length >= seen + places.length);
  }
  isOver = true;
  await Promise.all(looking);
  for (const { vault } of changers) vault.close();
  expect(checkTimeline({ initial, steps, looks }, bounds), `seed ${seed}`).toEqual([]);
  expect(new Set(looks.map(({ saw }) => (/^[0-9a-f]{32}$/.test(saw) ? 'signed' : saw)))).toEqual(
    new Set(['signed', 'KeyNotFound', 'KeyDisabled', 'KeyOperationForbidden']),
  );
}

describe.skipIf(!hasProc)('two workers over SQLite', () => {
  let server: ServerProcess;
  let token: string;
  beforeAll(async () => {
    server = await startProcess(join(folder.path, 'workers'), ['--workers', '2', '--log-level', 'error']);
    token = await signIn(server);
  });
  afterAll(async () => {
    if (server !== undefined) await killAll(server);
  });

  test.each([1, 2])(
    'what is changed through worker %i is so in both from the next request on',
    async (slot) => {
      const each = await connectEach(server, token, 2);
      const [by, other] = [each.at(slot), each.at(3 - slot)];
      const name = `by-${slot}`;
      const first = await create(by, name);
      const seenByBoth = async (id?: string) => {
        const seen = [outcome(await sign(other, name, { id })), outcome(await sign(by, name, { id }))];
        expect(seen[0]).toBe(seen[1]);
        return seen[0];
      };
      for (let round = 0; round < 5; round += 1) {
        const current = await change(by, name, 'rotate');
        expect([await seenByBoth(), await seenByBoth(first), await seenByBoth(current)]).toEqual([
          current,
          first,
          current,
        ]);
        for (const [what, undo, refusal] of [
          ['disable', 'enable', 'KeyDisabled'],
          ['narrow', 'widen', 'KeyOperationForbidden'],
          ['expire', 'prolong', 'KeyExpired'],
          ['delete', 'recover', 'KeyNotFound'],
        ] as const) {
          await change(by, name, what);
          expect([await seenByBoth(), await seenByBoth(current)]).toEqual([refusal, refusal]);
          expect(await seenByBoth(first)).toBe(what === 'delete' ? refusal : first);
          await change(what === 'narrow' ? other : by, name, undo);
          expect([await seenByBoth(), await seenByBoth(first)]).toEqual([current, first]);
        }
      }
      each.close();
    },
  );

  test(`the same under load (seed ${seed})`, async () => {
    const each = await connectEach(server, token, 2);
    // Connections of the clients' own stay with the worker that they lead to.
    const connections = new Map<string, Connection[]>([
      ['worker 1', []],
      ['worker 2', []],
    ]);
    for (let n = 0; n < 3; n += 1) {
      const more = await connectEach(server, token, 2);
      for (const slot of [1, 2]) connections.get(`worker ${slot}`)?.push(more.at(slot));
    }
    each.close();
    const places = [...connections].map(([process, own]) => ({
      process,
      connect: () => own.pop() ?? connectVault(server, token),
    }));
    const longest = writerFreshFor + 2 * beatInterval;
    const shown = (from: string, to: string) => (from === to ? 0 : longest);
    await useWhileChanging(places, { written: () => 0, shown, longest });
  });

  test('a worker holds the key’s numbers while it uses them, and none after the key was disabled through another', async () => {
    const each = await connectEach(server, token, 2);
    const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
    // The other worker gets to know the key from the database alone.
    const { status } = await each.at(1).send('PUT', `/keys/held${version}`, { key: jwk });
    expect(status).toBe(200);
    const pid = await processOf(server.pid, 2);
    // The least significant byte first, as OpenSSL has the numbers of a key that it has parsed.
    const numbers = [jwk.d, jwk.p, jwk.q].map((text = '') => Buffer.from(text, 'base64url').reverse());
    expect(outcome(await sign(each.at(2), 'held', { alg: 'RS256' }))).toMatch(/^[0-9a-f]{32}$/);
    for (const number of numbers) expect(memoryHolds(pid, number)).toBe(true);
    await change(each.at(1), 'held', 'disable');
    expect(outcome(await sign(each.at(2), 'held', { alg: 'RS256' }))).toBe('KeyDisabled');
    for (const number of numbers) expect(memoryHolds(pid, number)).toBe(false);
    each.close();
  });
});

describe.skipIf(!hasPostgres)('two nodes on one PostgreSQL', () => {
  let database: TestDatabase;
  let nodes: Node[] = [];
  beforeAll(async () => {
    database = await newPostgresDatabase();
    nodes = await startNodes(folder.path, database.url, { nodes: 2 });
  });
  afterAll(async () => {
    for (const node of nodes) await node.kill();
    await database?.drop();
  });

  test(`what is changed through one is so in the other within the bound (seed ${seed})`, async () => {
    const [first] = nodes;
    if (first === undefined) throw new Error('two nodes were started');
    const token = await signIn(first);
    const places = nodes.map((node) => ({ process: node.process, connect: () => connectVault(node, token) }));
    const behind = (from: string, to: string) => (from === to ? 0 : freshFor);
    await useWhileChanging(places, { written: behind, shown: behind, longest: freshFor });
  });
});

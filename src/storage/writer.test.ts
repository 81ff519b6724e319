/**
 * Proves what processes over one SQLite file rely on: a write that was answered is known to every process whose memory
 * is in use, whoever is slow, silent, away or comes back; and nothing that is said on the channel ends the writer.
 */
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { serialize } from 'node:v8';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { guid } from '../../test/contracts/rows.ts';
import { manualClock } from '../../test/support/identity.ts';
import { Failure } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import { StaleRootKey } from '../domain/sealing/sealing-store.ts';
import { StaleVaultKey } from '../domain/versioned/object-store.ts';
import { type Database, LeaseLost } from './database.ts';
import { addTenant, createDirectoryStore } from './directory.ts';
import { addAssignment } from './role-assignments.ts';
import { addRootKey, createSealedItemStore, putItem } from './sealing.ts';
import {
  beatInterval,
  createSender,
  type FromWriter,
  freshFor,
  fromWireError,
  onMessages,
  type ToWriter,
  toWireError,
} from './writer-channel.ts';
import { connectWriter } from './writer-client.ts';
import { serveWriter, type WriterServer } from './writer-server.ts';

type Clock = ReturnType<typeof manualClock>;

let folder: string;
let clock: Clock;
let paths: { database: string; socket: string };
let server: WriterServer;
const clients: Database[] = [];
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strongroom-writer-'));
  paths = { database: join(folder, 'test.db'), socket: join(folder, 'writer.sock') };
  clock = manualClock();
  server = await serve();
});
afterEach(async () => {
  for (const closer of closers.splice(0).reverse()) await closer();
  for (const client of clients.splice(0)) await client.close();
  await server.close();
  await rm(folder, { recursive: true });
});

const deps = () => ({ clock, log: silentLog });
const serve = () => serveWriter(deps(), paths);

async function client(socket = paths.socket): Promise<Database> {
  const db = await connectWriter(deps(), { ...paths, socket });
  clients.push(db);
  await until(() => db.feed.fresh());
  return db;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Time passes, a beat at a time, and what is sent meanwhile arrives. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 50) {
    clock.advance(Math.min(50, ms - passed));
    for (let turns = 0; turns < 4; turns += 1) await turn();
  }
}

const assignment = (n: number, principalId = guid(n)) => ({
  id: guid(n),
  tenantId: guid(900),
  principalId,
  roleId: guid(200),
  scope: `/${n}`,
  created: 1,
});

/** A write whose outcome can be looked at without waiting. */
function watched<T>(promise: Promise<T>) {
  const state: { outcome: 'open' | 'done' | 'failed'; error?: unknown } = { outcome: 'open' };
  const settled = promise.then(
    () => {
      state.outcome = 'done';
    },
    (error: unknown) => {
      state.outcome = 'failed';
      state.error = error;
    },
  );
  return { state, settled };
}

/** The end of a process on the channel, in the hands of the test: it says only what it is told to. */
async function silentProcess() {
  const socket = connect(paths.socket);
  const sender = createSender<ToWriter>(socket);
  const received: FromWriter[] = [];
  onMessages<FromWriter>(socket, (message) => received.push(message));
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  await until(() => received.length > 0);
  const changes = () => received.filter((message) => message.type === 'changed');
  const beats = () => received.filter((message) => message.type === 'beat');
  const hears = (announcement = changes().at(-1)?.announcement ?? 0) =>
    sender.send({ type: 'heard', announcement });
  return { socket, sender, received, changes, beats, hears };
}

test('a write is answered when every other process has heard of what changed, not before', async () => {
  const [writer, reader] = [await client(), await client()];
  const silent = await silentProcess();
  const heard: unknown[] = [];
  reader.feed.subscribe('roleAssignments', (key) => heard.push(key));
  const { state, settled } = watched(writer.write(addAssignment, assignment(1)));
  await until(() => silent.changes().length === 1 && heard.length === 1);
  expect(silent.changes()[0]?.changes).toEqual([{ topic: 'roleAssignments', key: guid(1) }]);
  expect(heard).toEqual([guid(1)]);
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(state.outcome).toBe('open');
  silent.hears();
  await settled;
  expect(state.outcome).toBe('done');
  const rows = await reader.read.selectFrom('role_assignments').select('id').execute();
  expect(rows).toEqual([{ id: guid(1) }]);
});

test('who asked hears of its own change before its answer', async () => {
  const writer = await client();
  const order: string[] = [];
  writer.feed.subscribe('roleAssignments', (key) => order.push(String(key)));
  await writer.write(addAssignment, assignment(1)).then(() => order.push('answered'));
  expect(order).toEqual([guid(1), 'answered']);
});

test('a write that nobody keeps in memory waits for nobody', async () => {
  const writer = await client();
  await silentProcess();
  await writer.write(addTenant, { id: guid(1), name: 'x' });
  expect(await createDirectoryStore(writer).tenants()).toHaveLength(1);
});

test('a process that says nothing is waited for until what it had can no longer be fresh', async () => {
  const writer = await client();
  const silent = await silentProcess();
  await pass(3 * beatInterval);
  const before = silent.beats().at(-1)?.at ?? 0;
  const { state, settled } = watched(writer.write(addAssignment, assignment(1)));
  await until(() => silent.changes().length === 1);
  await pass(freshFor + beatInterval - 50);
  expect(state.outcome).toBe('open');
  await pass(50);
  await settled;
  expect(state.outcome).toBe('done');
  // What it had before the change has run out; later signs of life follow the change on the line.
  expect(before + freshFor).toBeLessThanOrEqual(clock.monotonic());
  expect(writer.feed.fresh()).toBe(true);
});

test('a process that lags gets no sign of life, and holds nothing up once its last one has run out', async () => {
  const writer = await client();
  const silent = await silentProcess();
  const first = watched(writer.write(addAssignment, assignment(1)));
  await until(() => silent.changes().length === 1);
  await pass(freshFor + beatInterval);
  await first.settled;
  const last = silent.beats().at(-1)?.at ?? 0;

  // Were it to wake up now, it would find the first change and a good sign of life, and not yet this one.
  const second = watched(writer.write(addAssignment, assignment(2)));
  await until(() => silent.changes().length === 2);
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(clock.monotonic()).toBeLessThan(last + freshFor);
  expect(second.state.outcome).toBe('open');
  await pass(freshFor + beatInterval);
  await second.settled;
  expect(clock.monotonic()).toBeGreaterThanOrEqual(last + freshFor);
  expect(silent.beats().at(-1)?.at).toBe(last);

  // No time passes: it is not waited for.
  await writer.write(addAssignment, assignment(3));
  await until(() => silent.changes().length === 3);
  expect(silent.beats().at(-1)?.at).toBe(last);

  // Half caught up is not enough; once it is, it is told and waited for again.
  silent.hears(silent.changes()[1]?.announcement);
  await pass(2 * beatInterval);
  expect(silent.beats().at(-1)?.at).toBe(last);
  silent.hears();
  await until(() => silent.beats().at(-1)?.at !== last);
  const fourth = watched(writer.write(addAssignment, assignment(4)));
  await until(() => silent.changes().length === 4);
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(fourth.state.outcome).toBe('open');
  silent.hears();
  await fourth.settled;
});

test('a process that leaves is waited for no more', async () => {
  const writer = await client();
  const silent = await silentProcess();
  const { settled } = watched(writer.write(addAssignment, assignment(1)));
  await until(() => silent.changes().length === 1);
  silent.socket.destroy();
  await settled;
});

test('memory is fresh for so long after a sign of life, and no longer', async () => {
  const db = await client();
  const begun = clock.monotonic();
  // Moved at once: the beats that this lets go arrive only when the event loop turns.
  clock.advance(freshFor - 1);
  expect(db.feed.fresh()).toBe(true);
  clock.advance(1);
  expect(clock.monotonic() - begun).toBe(freshFor);
  expect(db.feed.fresh()).toBe(false);
  await until(() => db.feed.fresh());
});

test('the wall clock has no say in what is fresh', async () => {
  const db = await client();
  for (const jump of [-86_400_000, 2 * 86_400_000]) {
    clock.jump(jump);
    expect(db.feed.fresh()).toBe(true);
  }
});

/** A line to the writer that the test can cut, as the writer's end would be by its death. */
async function line() {
  const path = join(folder, 'line.sock');
  const sockets = new Set<Socket>();
  let listening: Server | undefined;
  const lay = async () => {
    listening = createServer((near) => {
      const far = connect(paths.socket);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy());
        from.on('close', () => {
          sockets.delete(from);
          to.destroy();
        });
      }
    }).listen(path);
    await once(listening, 'listening');
  };
  const cut = () => {
    listening?.close();
    for (const socket of sockets) socket.destroy();
  };
  closers.push(cut);
  await lay();
  return { path, cut, lay };
}

test('when the writer ends, writes under way are refused and memory is bypassed at once', async () => {
  const { path, cut } = await line();
  const db = await client(path);
  const silent = await silentProcess();
  let lapses = 0;
  db.feed.subscribe('object', (key) => {
    if (key === undefined) lapses += 1;
  });
  const pending = watched(db.write(addAssignment, assignment(1)));
  await until(() => silent.changes().length === 1);
  cut();
  await pending.settled;
  expect(pending.state.error).toMatchObject({ kind: 'unavailable', retryAfter: 1 });
  expect(db.feed.fresh()).toBe(false);
  expect(lapses).toBeGreaterThan(0);
});

test('writes wait for a writer that is away and go through when it is back; nothing from before is trusted', async () => {
  const { path, cut, lay } = await line();
  const db = await client(path);
  cut();
  await until(() => !db.feed.fresh());
  let lapses = 0;
  db.feed.subscribe('vault', () => {
    lapses += 1;
  });
  const waiting = watched(db.write(addTenant, { id: guid(1), name: 'late' }));
  await pass(1000);
  expect(waiting.state.outcome).toBe('open');
  expect(await createDirectoryStore(db).tenants()).toEqual([]);
  await lay();
  await pass(500);
  await until(() => db.feed.fresh());
  expect(lapses).toBeGreaterThan(0);
  await waiting.settled;
  expect(waiting.state.outcome).toBe('done');
  expect(await createDirectoryStore(db).tenants()).toHaveLength(1);
});

test('a writer that stays away refuses writes after a while, with word of when to try again; reads go on', async () => {
  const { path, cut } = await line();
  const db = await client(path);
  await db.write(addTenant, { id: guid(1), name: 'there' });
  cut();
  await until(() => !db.feed.fresh());
  const refused = watched(db.write(addTenant, { id: guid(2), name: 'never' }));
  await pass(4_950);
  expect(refused.state.outcome).toBe('open');
  await pass(50);
  await refused.settled;
  expect(refused.state.error).toMatchObject({ kind: 'unavailable', retryAfter: 1 });
  expect(await createDirectoryStore(db).tenants()).toHaveLength(1);
});

test('a start without a writer is refused after a while', async () => {
  const missing = { ...paths, socket: join(folder, 'nobody.sock') };
  const refused = watched(connectWriter(deps(), missing, 1000));
  await pass(950);
  expect(refused.state.outcome).toBe('open');
  await pass(50);
  await refused.settled;
  expect(refused.state.error).toMatchObject({ kind: 'unavailable' });
});

test('what changed between the connecting and the first sign of life is not trusted', async () => {
  // A writer that has the connection in its queue, and has not taken note of it.
  const queue: Socket[] = [];
  const path = join(folder, 'busy.sock');
  const busy = createServer((socket) => queue.push(socket)).listen(path);
  await once(busy, 'listening');
  closers.push(() => {
    for (const socket of queue) socket.destroy();
    busy.close();
  });
  const db = await connectWriter(deps(), { ...paths, socket: path });
  clients.push(db);
  await until(() => queue.length === 1);
  let lapses = 0;
  db.feed.subscribe('object', (key) => {
    expect(db.feed.fresh()).toBe(false);
    if (key === undefined) lapses += 1;
  });
  for (let turns = 0; turns < 20; turns += 1) await turn();
  expect(db.feed.fresh()).toBe(false);
  const [socket] = queue;
  if (socket === undefined) throw new Error('nobody has connected');
  const sender = createSender<FromWriter>(socket);
  sender.send({ type: 'beat', at: clock.monotonic() });
  await until(() => db.feed.fresh());
  expect(lapses).toBe(1);
  // Late news is not lost news: nothing was missed on a connection that lived.
  await pass(freshFor);
  expect(db.feed.fresh()).toBe(false);
  sender.send({ type: 'beat', at: clock.monotonic() });
  await until(() => db.feed.fresh());
  expect(lapses).toBe(1);
});

test('closing answers the writes that are under way before it ends the connections', async () => {
  const writer = await client();
  const silent = await silentProcess();
  const pending = watched(writer.write(addAssignment, assignment(1)));
  await until(() => silent.changes().length === 1);
  const closed = server.close();
  silent.hears();
  await closed;
  await pending.settled;
  expect(pending.state.outcome).toBe('done');
  server = await serve();
});

test('what it does not know, or cannot use, the writer refuses; and goes on', async () => {
  const silent = await silentProcess();
  const asks: [string, unknown][] = [
    ['no.such.procedure', {}],
    ['constructor', {}],
    ['vaults.add', undefined],
    ['vaults.add', { record: null, key: null }],
    ['sealedItems.put', { name: 1n, rootKeyId: {}, sealed: 'x' }],
    ['tenants.add', 'text'],
  ];
  for (const [id, [procedure, input]] of asks.entries()) {
    silent.sender.send({ type: 'write', id, procedure, input, condition: undefined });
  }
  const answers = () => silent.received.filter((message) => 'id' in message);
  await until(() => answers().length === asks.length || silent.changes().length > 0);
  silent.hears();
  await until(() => answers().length === asks.length);
  expect(answers().map(({ type }) => type)).toEqual(asks.map(() => 'refused'));
  expect(await createDirectoryStore(await client()).tenants()).toEqual([]);
});

test.each([
  ['no message', Buffer.from([0, 0, 0, 3, 1, 2, 3])],
  ['a message that is nothing', frame([null])],
  ['no list of messages', frame(7)],
])('%s ends the connection that it came by, and no other', async (_what, bytes) => {
  const db = await client();
  const silent = await silentProcess();
  silent.socket.write(bytes);
  if (!silent.socket.closed) await once(silent.socket, 'close');
  await db.write(addTenant, { id: guid(1), name: 'x' });
  expect(await createDirectoryStore(db).tenants()).toHaveLength(1);
});

function frame(body: unknown): Buffer {
  const bytes = serialize(body);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return Buffer.concat([head, bytes]);
}

test('the socket is for its owner alone, whatever the umask, and a dead one is taken over', async () => {
  await server.close();
  writeFileSync(paths.socket, 'left by a crash', { mode: 0o666 });
  const umask = process.umask(0);
  try {
    server = await serve();
    expect(process.umask()).toBe(0);
  } finally {
    process.umask(umask);
  }
  expect(statSync(paths.socket).isSocket()).toBe(true);
  expect(statSync(paths.socket).mode & 0o777).toBe(0o600);
});

test('a socket that cannot be had is an error, and leaves the database to who comes next', async () => {
  const other = { database: join(folder, 'other.db'), socket: join(folder, 'no', 'such', 'folder') };
  await expect(serveWriter(deps(), other)).rejects.toThrow(/ENOENT|EACCES/);
  const next = await serveWriter(deps(), { ...other, socket: join(folder, 'other.sock') });
  await next.close();
});

test('large values and thousands of writes of several processes all arrive, once and whole', async () => {
  const dbs = [await client(), await client()];
  const rootKeyId = guid(800);
  await dbs[0]?.write(addRootKey, { id: rootKeyId, handover: undefined });
  const value = (n: number) => Buffer.alloc(25_000, n % 251);
  const large = Array.from({ length: 400 }, (_, n) =>
    dbs[n % 2]?.write(putItem, { name: `large ${n}`, rootKeyId, sealed: value(n) }),
  );
  const small = Array.from({ length: 4_000 }, (_, n) =>
    dbs[n % 2]?.write(addTenant, { id: guid(n), name: `tenant ${n}` }),
  );
  await Promise.all([...large, ...small]);
  for (const db of dbs) {
    expect(await createDirectoryStore(db).tenants()).toHaveLength(4_000);
    const items = createSealedItemStore(db);
    for (let n = 0; n < 400; n += 37) {
      expect(Buffer.from((await items.item(`large ${n}`))?.sealed ?? []).equals(value(n))).toBe(true);
    }
  }
});

test('messages are put together from any pieces in which they come', () => {
  const line = new PassThrough();
  const received: unknown[] = [];
  onMessages<unknown>(line as unknown as Socket, (message) => received.push(message));
  const bytes = Buffer.concat([frame([1, { two: Buffer.of(2) }]), frame([]), frame(['x'.repeat(1000)])]);
  const whole = [1, { two: Buffer.of(2) }, 'x'.repeat(1000)];
  for (const size of [1, 2, 3, 5, 64, 1000, bytes.length]) {
    received.length = 0;
    for (let at = 0; at < bytes.length; at += size) line.emit('data', bytes.subarray(at, at + size));
    expect(received.map((message) => JSON.stringify(message))).toEqual(
      whole.map((each) => JSON.stringify(each)),
    );
  }
});

test('errors arrive as what they were, and bring no more than they may', () => {
  const crossed = (error: unknown) => {
    const bytes = structuredClone(toWireError(error));
    return fromWireError(bytes);
  };
  const cause = new Error('the disk is full');
  const failure = crossed(new Failure('throttled', 'Later.', { retryAfter: 7, cause }));
  expect(failure).toBeInstanceOf(Failure);
  expect(failure).toMatchObject({ kind: 'throttled', message: 'Later.', retryAfter: 7 });
  expect(String(failure.cause)).toContain('the disk is full');
  const plain = crossed(new Failure('notFound', 'No.'));
  expect(plain).toMatchObject({ kind: 'notFound', retryAfter: undefined });
  expect('cause' in plain).toBe(false);
  const lost = crossed(new LeaseLost('jobs'));
  expect(lost).toBeInstanceOf(LeaseLost);
  expect(lost).toMatchObject({ lease: 'jobs', message: new LeaseLost('jobs').message });
  expect(crossed(new StaleRootKey())).toBeInstanceOf(StaleRootKey);
  expect(crossed(new StaleVaultKey())).toBeInstanceOf(StaleVaultKey);
  const other = crossed(new TypeError('what?'));
  expect(other).toBeInstanceOf(Error);
  expect(other).not.toBeInstanceOf(Failure);
  expect(other.message).toBe('what?');
  expect(crossed('thrown text').message).toBe('thrown text');
});

test('a process that reads nothing for long is cut off before its news fills the memory; the writes go on', async () => {
  const db = await client();
  const silent = await silentProcess();
  silent.socket.pause();
  const first = watched(db.write(addAssignment, assignment(1)));
  await pass(2 * (freshFor + beatInterval));
  await first.settled;
  const megabyte = 1024 * 1024;
  for (let n = 2; n < 24; n += 1) {
    await db.write(addAssignment, assignment(n, `${n}`.padEnd(megabyte, 'x')));
  }
  const cut = once(silent.socket, 'close');
  silent.socket.resume();
  await cut;
  // News of the last ones had no room.
  expect(silent.changes().length).toBeLessThan(23);
  expect(db.feed.fresh()).toBe(true);
});

/**
 * Proves that slow storage holds up its own requests and no others, that their number is bounded, and that a stop in
 * the middle of a slow write loses nothing that was acknowledged.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFaults } from '../support/faults.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, makeVault, type VaultCaller } from '../support/vault-rest.ts';

const inFlight = 6;
const faults = createFaults();
let server: TestServer;
let call: VaultCaller;
let other: VaultCaller;
beforeAll(async () => {
  server = await startTestServer({
    testOnlyFaults: faults.testOnlyFaults,
    settings: { maxInFlight: inFlight },
  });
  await makeVault(server, 'other');
  const token = await tokenFor(server);
  call = vaultCaller(server, token);
  other = vaultCaller(server, token, 'other');
  await other('PUT', '/secrets/cached', { value: 'cached' });
  await call('PUT', '/secrets/cached', { value: 'cached' });
  for (const caller of [call, other]) await caller('GET', '/secrets/cached');
});
afterAll(() => server.close());

test.each(['before', 'after'] as const)('writes that wait (%s the commit) hold up no read', async (when) => {
  const hold = faults.holdWrites(when);
  const writes = Array.from({ length: inFlight - 1 }, (_, i) =>
    call('PUT', `/secrets/slow-${i}`, { value: when }),
  );
  await hold.arrived(writes.length);
  for (const caller of [call, other]) {
    expect((await caller('GET', '/secrets/cached')).json.value).toBe('cached');
    expect((await caller('GET', '/secrets/cached/versions')).json.value).toHaveLength(1);
  }
  hold.release();
  for (const reply of await Promise.all(writes)) expect(reply.json.value).toBe(when);
});

test('beyond the most requests under way the server says that it is busy, and gives every place back', async () => {
  for (let round = 0; round < 3; round += 1) {
    const hold = faults.holdWrites('before');
    const writes = Array.from({ length: inFlight }, (_, i) =>
      call('PUT', `/secrets/full-${i}`, { value: `${round}` }),
    );
    await hold.arrived(inFlight);
    const refused = await Promise.all([call('GET', '/secrets/cached'), other('GET', '/secrets/cached')]);
    for (const reply of refused) {
      expect([reply.status, reply.text]).toEqual([
        503,
        errorBody('ServiceUnavailable', 'The server is busy.'),
      ]);
      expect(reply.headers['retry-after']).toBe('1');
    }
    hold.release();
    expect((await Promise.all(writes)).map(({ status }) => status)).toEqual(Array(inFlight).fill(200));
  }
});

test('writes of one secret wait for each other, and each makes its own version', async () => {
  const hold = faults.holdWrites('before');
  const writes = Array.from({ length: 4 }, (_, i) => call('PUT', '/secrets/queue', { value: `${i}` }));
  await hold.arrived(1);
  hold.release();
  const ids = (await Promise.all(writes)).map((reply) => reply.json.id as string);
  const versions = await call('GET', '/secrets/queue/versions');
  expect(versions.json.value.map((item: { id: string }) => item.id).sort()).toEqual(ids.sort());
});

test.each(['before', 'after'] as const)(
  'a stop during a slow write (%s the commit) waits for it',
  async (when) => {
    const hold = faults.holdWrites(when);
    const write = call('PUT', `/secrets/stop-${when}`, { value: 'acknowledged' });
    await hold.arrived(1);
    const restarted = server.restart();
    // It has begun to stop: nobody else is let in.
    await expect(reached(server.port)).resolves.toBe(false);
    hold.release();
    const reply = await write;
    expect([reply.status, reply.headers.connection]).toEqual([200, 'close']);
    await restarted;
    expect((await call('GET', `/secrets/stop-${when}`)).json.value).toBe('acknowledged');
  },
);

test('a stop that loses patience acknowledges nothing more, and leaves the write whole or undone', async () => {
  await server.close();
  server = await startTestServer({ testOnlyFaults: faults.testOnlyFaults, settings: { drain: 1 } });
  call = vaultCaller(server, await tokenFor(server));
  const hold = faults.holdWrites('before');
  const write = call('PUT', '/secrets/late', { value: 'late' });
  const cutOff = expect(write).rejects.toThrow(/socket hang up|ECONNRESET/);
  await hold.arrived(1);
  await server.restart(() => hold.release());
  await cutOff;
  expect((await call('GET', '/secrets/late')).status).toBe(404);
  expect((await call('PUT', '/secrets/late', { value: 'again' })).status).toBe(200);
  expect(await server.control('audit verify')).toMatchObject({ problems: [] });
});

/** Whether the port takes a connection. */
function reached(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/**
 * Proves that a client which closes its socket while its write is under way changes nothing about the write: it
 * happens wholly, or not at all where its body never came whole; it is recorded, and its place is given back.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditedDuring, auditRecords } from '../support/audit-records.ts';
import { createFaults } from '../support/faults.ts';
import { openTls, type RawConnection } from '../support/raw-connection.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

/** The most requests under way. */
const places = 8;
/** How many are left at once: half, so that others find a place beside them. */
const leaving = 4;
const host = 'dev.vault.azure.net';
const faults = createFaults();
let server: TestServer;
let token: string;
let call: VaultCaller;
beforeAll(async () => {
  server = await startTestServer({
    testOnlyFaults: faults.testOnlyFaults,
    settings: { maxInFlight: places },
  });
  token = await tokenFor(server);
  call = vaultCaller(server, token);
});
afterAll(() => server.close());

/** Sends a request with its body; without one when the body is to follow the server's go-ahead. */
async function begin(method: string, path: string, body: string, waits = false): Promise<RawConnection> {
  const connection = await openTls(server, host);
  const head = [
    `${method} ${path}?api-version=2025-07-01 HTTP/1.1`,
    `Host: ${host}`,
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    ...(waits ? ['Expect: 100-continue'] : []),
  ];
  connection.write(`${head.join('\r\n')}\r\n\r\n${waits ? '' : body}`);
  return connection;
}

const abandoned = [
  { way: 'is cut', leave: (connection: RawConnection) => void connection.socket.destroy() },
  { way: 'is ended in order', leave: (connection: RawConnection) => void connection.socket.end() },
];

test.each(abandoned)('a write whose connection $way happens wholly, and is recorded', async ({ leave }) => {
  const names = Array.from({ length: leaving }, (_, i) => `left-${i}`);
  // More in all than there are places: those of the first must have been given back.
  for (let round = 0; round < 3; round += 1) {
    const records = await auditedDuring(server, async () => {
      const hold = faults.holdWrites('before');
      const connections = await Promise.all(
        names.map((name) => begin('PUT', `/secrets/${name}`, JSON.stringify({ value: `of round ${round}` }))),
      );
      await hold.arrived(leaving);
      for (const connection of connections) leave(connection);
      hold.release();
      await Promise.all(connections.map((connection) => connection.ended()));
      // Each takes its turn after the one that was left, and is recorded after it.
      for (const name of names) {
        const next = await call('PATCH', `/secrets/${name}`, { tags: { round: `${round}` } });
        expect(next.status).toBe(200);
      }
    });
    const sets = records.filter(({ operationName }) => operationName === 'SecretSet');
    expect(sets.map(({ properties }) => properties.httpStatusCode)).toEqual(Array(leaving).fill(200));
    for (const name of names) {
      expect((await call('GET', `/secrets/${name}`)).json.value).toBe(`of round ${round}`);
    }
  }
});

test('a deletion whose connection is closed is there as a whole', async () => {
  await call('PUT', '/secrets/deleted', { value: 'v' });
  const hold = faults.holdWrites('after');
  const connection = await begin('DELETE', '/secrets/deleted', '');
  await hold.arrived(1);
  connection.destroy();
  hold.release();
  expect((await call('POST', '/deletedsecrets/deleted/recover')).status).toBe(200);
  expect((await call('GET', '/secrets/deleted')).json.value).toBe('v');
});

test('a body that stops half-way writes nothing, is recorded as refused, and gives its place back', async () => {
  const body = JSON.stringify({ value: 'x'.repeat(10_000) });
  const leave = async (name: string) => {
    const connection = await begin('PUT', `/secrets/${name}`, body, true);
    await connection.until((received) => received.includes('100 Continue'));
    connection.write(body.slice(0, 5_000));
    connection.destroy();
  };
  const refusals = async () =>
    (await auditRecords(server)).filter(
      ({ operationName, properties }) => operationName === 'SecretSet' && properties.httpStatusCode === 400,
    ).length;
  const names = Array.from({ length: places }, (_, i) => `half-${i}`);
  const before = await refusals();
  await Promise.all(names.map(leave));
  // The ends of connections arrive on their own; each request until then is one turn more for them.
  while ((await refusals()) < before + places) await call('GET', '/secrets/half');
  const hold = faults.holdWrites('before');
  const all = names.map((name) => call('PUT', `/secrets/whole-${name}`, { value: 'v' }));
  await hold.arrived(places);
  hold.release();
  for (const reply of await Promise.all(all)) expect(reply.status).toBe(200);
  for (const name of names) expect((await call('GET', `/secrets/${name}`)).status).toBe(404);
});

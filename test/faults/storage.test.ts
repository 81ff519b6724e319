/**
 * Proves that a write which meets a fault of the storage is refused with the 503, has happened wholly or not at all,
 * and leaves nothing in memory that contradicts the database; that reads go on meanwhile, and writes afterwards.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { breakDatabase, createFaults, fromMemory } from '../support/faults.ts';
import {
  onPostgres,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, type VaultCaller } from '../support/vault-rest.ts';
import { bigValue, stateOf, type WriteOperation, writeOperations } from './operations.ts';

const faults = createFaults();
let server: TestServer;
let call: VaultCaller;
beforeAll(async () => {
  server = await startTestServer({ testOnlyFaults: faults.testOnlyFaults });
  call = vaultCaller(server, await tokenFor(server));
  await call('PUT', '/secrets/cached', { value: 'from memory' });
  await call('PUT', '/secrets/uncached', { value: 'from the database' });
  await call('GET', '/secrets/cached');
});
afterAll(() => server.close());
afterEach(() => {
  faults.writes = 'none';
});

const unavailable = errorBody('ServiceUnavailable', 'The storage of this server is not available.');

function expectUnavailable(reply: RawResponse): void {
  expect([reply.status, reply.text]).toEqual([503, unavailable]);
  expect(reply.headers['retry-after']).toBe('1');
}

/** The state that the server tells, which has to be the database's own whether memory is used or not. */
async function soundState(secret: string): Promise<unknown[]> {
  const told = await stateOf(call, secret);
  faults.newsIsStale = true;
  const stored = await stateOf(call, secret);
  faults.newsIsStale = false;
  expect(told).toEqual(stored);
  return told;
}

/** Writes whose outcome was not told, and what was seen of them then. */
const seen = new Map<string, unknown[]>();
let names = 0;
const newName = () => {
  names += 1;
  return `secret-${names}`;
};

/** Sends the operation under a fault that lets nothing be written, and again after it. */
async function isRefused(
  operation: WriteOperation,
  begin: () => Promise<() => Promise<void>>,
): Promise<void> {
  const secret = newName();
  const prepared = await operation.prepare(call, secret);
  const before = await soundState(secret);
  const end = await begin();
  try {
    const records = await auditedDuring(server, async () => {
      expectUnavailable(await operation.send(call, secret, prepared));
    });
    expect(records.map(({ properties }) => properties.httpStatusCode)).toEqual([503]);
    expect(await soundState(secret)).toEqual(before);
    expect((await call('GET', '/secrets/cached')).json.value).toBe('from memory');
    expect((await call('GET', '/secrets/uncached')).json.value).toBe('from the database');
  } finally {
    await end();
  }
  expect((await operation.send(call, secret, prepared)).status).toBe(operation.done);
  expect(await soundState(secret)).not.toEqual(before);
}

describe.each(writeOperations)('$name', (operation) => {
  test.each(['refused', 'commitFails'] as const)(
    'is undone by a fault before it is committed (%s)',
    (fault) =>
      isRefused(operation, async () => {
        faults.writes = fault;
        return async () => {
          faults.writes = 'none';
        };
      }),
  );

  test('is refused by a read-only database', () =>
    isRefused(operation, () => breakDatabase({ server, faults }, 'readOnly')));

  test.skipIf(!operation.grows && !onPostgres)('is refused by a full database', () =>
    isRefused(operation, () => breakDatabase({ server, faults }, 'full')),
  );

  test('may have happened when the answer of the commit is lost, and is then seen at once', async () => {
    const secret = newName();
    const prepared = await operation.prepare(call, secret);
    const before = await soundState(secret);
    faults.writes = 'lost';
    expectUnavailable(await operation.send(call, secret, prepared));
    const after = await soundState(secret);
    expect(after).not.toEqual(before);
    faults.writes = 'none';
    expect(await soundState(secret)).toEqual(after);
    seen.set(secret, after);
  });
});

test('what a full database takes and what it refuses may come together, and each is told the truth', async () => {
  const end = await breakDatabase({ server, faults }, 'full');
  const sizes = Array.from({ length: 24 }, (_, index) => (index % 2 === 0 ? bigValue : 'small'));
  const replies = await Promise.all(
    sizes.map((value, index) => call('PUT', `/secrets/mixed-${index}`, { value })),
  );
  await end();
  for (const [index, reply] of replies.entries()) {
    expect([200, 503]).toContain(reply.status);
    const found = await call('GET', `/secrets/mixed-${index}`);
    expect([index, found.status]).toEqual([index, reply.status === 200 ? 200 : 404]);
  }
  expect(replies.filter(({ status }) => status === 503).length).toBeGreaterThanOrEqual(12);
});

test('what was seen of writes with a lost answer is what a restart finds', async () => {
  expect(seen.size).toBe(writeOperations.length);
  await server.restart();
  for (const [secret, state] of seen) expect(await stateOf(call, secret)).toEqual(state);
});

test('a database that cannot be read: memory goes on, the rest gets the 503, until it can', async () => {
  await call('PUT', '/secrets/unread', { value: 'unread' });
  const cached = await fromMemory(faults, () => call('GET', '/secrets/cached'));
  const asked = await Promise.all([
    call('GET', '/secrets/unread'),
    call('GET', '/secrets/not-there'),
    call('GET', '/secrets'),
    call('GET', '/secrets/cached/versions'),
    call('GET', '/deletedsecrets'),
    call('POST', '/secrets/cached/backup'),
    call('PUT', '/secrets/cached', { value: 'new' }),
    call('DELETE', '/secrets/cached'),
  ]);
  faults.readsFail = false;
  expect([cached.status, cached.json.value]).toEqual([200, 'from memory']);
  for (const reply of asked) expectUnavailable(reply);
  expect((await call('GET', '/secrets/unread')).json.value).toBe('unread');
});

test('memory whose news is out of date is not used, even when the database cannot be read', async () => {
  await call('GET', '/secrets/cached');
  faults.newsIsStale = true;
  expect((await call('GET', '/secrets/cached')).json.value).toBe('from memory');
  faults.readsFail = true;
  const reply = await call('GET', '/secrets/cached');
  faults.readsFail = false;
  faults.newsIsStale = false;
  expectUnavailable(reply);
  expect((await call('GET', '/secrets/cached')).status).toBe(200);
});

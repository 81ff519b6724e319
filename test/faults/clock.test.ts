/**
 * Proves what a wall clock that jumps may do and may not. Times that the API tells (retention, tokens, certificates)
 * are by the wall clock at hand: what is due by it is done, what is not is left. Nothing that counts time inside the
 * server goes by it: leases, jobs and memory. A clock that was wrong and is put right leaves no harm behind.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Log } from '../../src/core/log.ts';
import { createFaults, type Faults } from '../support/faults.ts';
import { type ManualClock, manualClock } from '../support/identity.ts';
import { onPostgres, startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { makeVault } from '../support/vault-rest.ts';

const hour = 60 * 60 * 1000;
const day = 24 * hour;

let clock: ManualClock;
let faults: Faults;
let server: TestServer;
/** Counts the objects that the purge job has removed. */
let purged: number;
beforeEach(async () => {
  // TLS is checked by the test's own clock, so that the server's begins there.
  clock = manualClock(Date.now());
  faults = createFaults();
  purged = 0;
  const log: Log = {
    debug: () => undefined,
    warn: () => undefined,
    error: () => undefined,
    info: (message, fields) => {
      if (message === 'deleted objects purged') purged += Number(fields?.purged);
    },
  };
  server = await startTestServer({ clock, log, testOnlyFaults: faults.testOnlyFaults });
});
afterEach(() => server.close());

/** Lets so many beats of the lease go by; the holder's jobs run meanwhile. */
async function beats(count: number): Promise<void> {
  for (let beat = 0; beat < count; beat += 1) {
    const renewed = faults.written('leases.renew');
    clock.advance(3_000);
    await renewed;
    // The holder takes the answer up, and jobs that have begun get as far as their next wait.
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Longer than the jobs' interval of a minute. */
const jobsRun = 45;

async function lease() {
  return faults.database().read.selectFrom('leases').selectAll().executeTakeFirst();
}

async function deletedSecret(vault: string) {
  await makeVault(server, vault, { retentionDays: 7 });
  const call = async (method: string, path: string, body?: unknown) =>
    vaultCaller(server, await tokenFor(server), vault)(method, path, body);
  await call('PUT', '/secrets/s', { value: 'v' });
  expect((await call('DELETE', '/secrets/s')).status).toBe(200);
  return call;
}

test('retention: a jump forward purges nothing before its day, and a jump back stops no job', async () => {
  const call = await deletedSecret('retained');
  await beats(1);
  clock.jump(6 * day);
  await beats(jobsRun);
  expect((await call('GET', '/deletedsecrets/s')).status).toBe(200);

  // Before the deletion: it is not undone, and nothing is due.
  clock.jump(-30 * day);
  await beats(jobsRun);
  expect((await call('GET', '/secrets/s')).status).toBe(404);
  expect((await call('GET', '/deletedsecrets/s')).status).toBe(200);
  expect(purged).toBe(0);

  clock.jump(32 * day);
  await beats(jobsRun);
  expect((await call('GET', '/deletedsecrets/s')).status).toBe(404);
  expect(purged).toBe(1);
});

test('retention: what was purged ahead of time is only what was due by the clock at hand', async () => {
  const first = await deletedSecret('first');
  clock.jump(5 * day);
  const second = await deletedSecret('second');
  clock.jump(3 * day);
  await beats(jobsRun);
  clock.jump(-8 * day);
  await beats(1);
  expect((await first('GET', '/deletedsecrets/s')).status).toBe(404);
  expect((await second('POST', '/deletedsecrets/s/recover')).status).toBe(200);
  expect((await second('GET', '/secrets/s')).json.value).toBe('v');
});

test('tokens: those of before a jump end with it, new ones are good, and back again too', async () => {
  const token = await tokenFor(server);
  const call = vaultCaller(server, token);
  await call('PUT', '/secrets/s', { value: 'v' });
  clock.jump(2 * hour);
  // Verified and remembered: the memory of it does not outlive it.
  expect((await call('GET', '/secrets/s')).status).toBe(401);
  const ahead = await tokenFor(server);
  expect((await vaultCaller(server, ahead)('GET', '/secrets/s')).status).toBe(200);

  clock.jump(-2 * hour);
  expect((await vaultCaller(server, await tokenFor(server))('GET', '/secrets/s')).status).toBe(200);
  // Nobody has seen this one yet, and it is from the future.
  clock.jump(2 * hour);
  const unseen = await tokenFor(server);
  clock.jump(-2 * hour);
  expect((await vaultCaller(server, unseen)('GET', '/secrets/s')).status).toBe(401);
});

test.each([40, 400])(
  'signing keys: %d days ahead and back, tokens are issued at every time',
  async (days) => {
    const works = async () => {
      const reply = await vaultCaller(server, await tokenFor(server))('GET', '/secrets');
      expect(reply.status).toBe(200);
    };
    await works();
    await server.restart();
    clock.jump(days * day);
    // No connection is made before the clock is back: the test's own would not trust a certificate of that time.
    const call = server.control('identity rotate-key', {});
    await call;
    await beats(110);
    clock.jump(-days * day);
    await works();
    await beats(110);
    await server.restart();
    await works();
  },
);

test('signing keys: thirty days back, tokens are issued, and again when the clock is right', async () => {
  const works = async () =>
    expect((await vaultCaller(server, await tokenFor(server))('GET', '/secrets')).status).toBe(200);
  clock.jump(-30 * day);
  await works();
  await beats(110);
  clock.jump(30 * day);
  await works();
});

test('certificates: one that was made while the clock was ahead is not shown when it is right', async () => {
  clock.jump(100 * day);
  // The connection fails, as it should: by its client's clock the certificate is from the future.
  await expect(tokenFor(server)).rejects.toThrow(/not yet valid/);
  clock.jump(-100 * day);
  await expect(tokenFor(server)).resolves.toMatch(/^ey/);
});

test('leases: jumps in both directions change neither the holder nor the term, and the jobs go on', async () => {
  const call = await deletedSecret('leased');
  await beats(2);
  const before = await lease();
  for (const jump of [10 * day, -20 * day, 400 * day, -390 * day]) {
    clock.jump(jump);
    await beats(2);
  }
  const after = await lease();
  expect([after?.term, after?.holder]).toEqual([before?.term, before?.holder]);
  expect(Number(after?.beat)).toBeGreaterThanOrEqual(Number(before?.beat) + 8);
  clock.jump(8 * day);
  await beats(jobsRun);
  expect(purged).toBe(1);
  expect((await call('GET', '/deletedsecrets/s')).status).toBe(404);
});

test.skipIf(onPostgres)('the limit of a vault’s transactions is counted anew after a jump back', async () => {
  await server.close();
  server = await startTestServer({ clock, settings: { vaultTransactions: 3 } });
  const call = vaultCaller(server, await tokenFor(server));
  for (let count = 0; count < 3; count += 1) await call('GET', '/secrets');
  expect((await call('GET', '/secrets')).status).toBe(429);
  clock.jump(-day);
  expect((await call('GET', '/secrets')).status).not.toBe(429);
});

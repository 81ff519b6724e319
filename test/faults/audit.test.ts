/**
 * Proves that nothing is answered unrecorded while the audit log cannot be written, that the server resumes by itself
 * when it can, and that the log then says what it lacks and verifies.
 */
import { readdir, readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFaults } from '../support/faults.ts';
import {
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, type VaultCaller } from '../support/vault-rest.ts';

const faults = createFaults();
let server: TestServer;
let call: VaultCaller;
beforeAll(async () => {
  server = await startTestServer({ testOnlyFaults: faults.testOnlyFaults });
  call = vaultCaller(server, await tokenFor(server));
  await call('PUT', '/secrets/known', { value: 'a value that must not be told' });
  await call('GET', '/secrets/known');
});
afterAll(() => server.close());

const unrecorded = errorBody('ServiceUnavailable', 'The request cannot be recorded.');

/** One request of each kind: read from memory and from the database, written, refused, signed in. */
function requests(): Promise<RawResponse>[] {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: server.clientId,
    client_secret: server.clientSecret,
    scope: 'https://vault.azure.net/.default',
  });
  return [
    call('GET', '/secrets/known'),
    call('GET', '/secrets/known/versions'),
    call('GET', '/secrets'),
    call('PUT', '/secrets/other', { value: 'written' }),
    call('DELETE', '/secrets/not-there'),
    call('GET', '/secrets/known', undefined, { Authorization: 'Bearer wrong' }),
    send(server, { host: 'no-such-vault.vault.azure.net', path: '/secrets' }),
    send(server, {
      host: 'login.microsoftonline.com',
      method: 'POST',
      path: `/${server.tenantId}/oauth2/v2.0/token`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: form.toString(),
    }),
  ];
}

/** There is room again. One request finds that out: it is refused, and recorded. */
async function resume(): Promise<void> {
  faults.auditDisk = 'room';
  expect((await call('GET', '/secrets/known')).status).toBe(503);
}

/** Lines of the log about itself. */
async function notes(): Promise<{ reason?: string; records?: number }[]> {
  const folder = join(server.folder, 'audit');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts
    .join('')
    .split('\n')
    .filter((line) => line.includes('AuditRecovered'))
    .map((line) => JSON.parse(line).properties ?? JSON.parse(line));
}

test.each(['full', 'torn'] as const)(
  'a disk that is %s: every request is refused, and none answered',
  async (disk) => {
    const before = (await notes()).length;
    faults.auditDisk = disk;
    const replies = await Promise.all(requests());
    for (const reply of replies) {
      expect(reply.status).toBe(503);
      expect(reply.headers['retry-after']).toBe('1');
      expect(reply.text).not.toMatch(/must not be told|access_token/);
    }
    expect(replies.slice(0, 7).map(({ text }) => text)).toEqual(Array(7).fill(unrecorded));
    expect(replies[7]?.json.error).toBe('temporarily_unavailable');
    await expect(server.control('vault create', { name: 'unrecorded' })).rejects.toThrow();

    await resume();
    for (const [index, reply] of (await Promise.all(requests())).entries()) {
      expect([index, reply.status]).toEqual([index, [200, 200, 200, 200, 404, 401, 404, 200][index]]);
    }
    const found = (await notes()).slice(before);
    expect(found.map(({ reason }) => reason)).toEqual(['recordsNotWritten']);
    expect(found[0]?.records).toBeGreaterThanOrEqual(replies.length);
    expect(await server.control('audit verify')).toMatchObject({ problems: [] });
  },
);

test('health is told while the log is full, and the loopback listener refuses too', async () => {
  faults.auditDisk = 'full';
  expect((await send(server, { host: 'localhost', path: '/healthz' })).status).toBe(200);
  const path = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';
  const told = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: server.localPort, path, headers: { Metadata: 'true' } };
    request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });
  expect(told.status).toBe(503);
  expect(JSON.parse(told.text).error).toBe('temporarily_unavailable');
  await resume();
});

test('what was acknowledged before the log was full, and after it, is there when the server starts again', async () => {
  await call('PUT', '/secrets/early', { value: 'early' });
  faults.auditDisk = 'full';
  expect((await call('PUT', '/secrets/refused', { value: 'refused' })).status).toBe(503);
  await resume();
  await call('PUT', '/secrets/late', { value: 'late' });
  await server.restart();
  expect((await call('GET', '/secrets/early')).json.value).toBe('early');
  expect((await call('GET', '/secrets/late')).json.value).toBe('late');
  expect(await server.control('audit verify')).toMatchObject({ problems: [] });
});

test('once the log is known to be full, nothing is changed any more', async () => {
  faults.auditDisk = 'full';
  expect((await call('GET', '/secrets/known')).status).toBe(503);
  const writes = ['one', 'two', 'three'].map((name) => call('PUT', `/secrets/${name}`, { value: 'v' }));
  for (const reply of await Promise.all(writes)) expect(reply.status).toBe(503);
  expect((await call('DELETE', '/secrets/known')).status).toBe(503);
  await resume();
  for (const name of ['one', 'two', 'three'])
    expect((await call('GET', `/secrets/${name}`)).status).toBe(404);
  expect((await call('GET', '/secrets/known')).status).toBe(200);
});

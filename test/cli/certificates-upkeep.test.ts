/**
 * Proves that certificates with all that belongs to them, issuers and contacts come through what operators do with a
 * server: keys are rotated, it is backed up and restored elsewhere, and a vault goes with everything in it.
 */
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { chainFor, quickBody } from '../support/certificate-clients.ts';
import { createIssuer, type Issuer } from '../support/certificate-files.ts';
import { makeManager, subscriptionOf } from '../support/management.ts';
import { strongroom, type TemporaryFolder, temporaryFolder } from '../support/process.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

// What is looked at here is the database file.
const onSqlite = { databaseUrl: undefined };

let folder: TemporaryFolder;
let server: TestServer;
let issuer: Issuer;
let expected: Awaited<ReturnType<typeof everything>>;

function policyFor(name: string, x509: object = {}): { policy: object } {
  return { policy: { ...quickBody.policy, issuer: { name }, x509_props: { subject: 'CN=kept', ...x509 } } };
}
const authority = policyFor('Self', {
  subject: 'CN=authority',
  basic_constraints: { ca: true },
  key_usage: ['keyCertSign'],
});

beforeAll(async () => {
  folder = await temporaryFolder();
  issuer = await createIssuer();
  server = await startTestServer({ settings: onSqlite });
  const call = await callerOf(server);
  const must = async (...request: Parameters<VaultCaller>) => {
    const reply = await call(...request);
    if (reply.status > 202) throw new Error(`${request[1]}: ${reply.text}`);
  };
  await must('PUT', '/certificates/contacts', { contacts: [{ email: 'ops@example.com', name: 'Ops' }] });
  await must('POST', '/certificates/authority/create', authority);
  await must('PUT', '/certificates/issuers/own', {
    provider: 'Strongroom',
    credentials: { account_id: 'authority', pwd: 'never shown' },
    org_details: { id: 'org', admin_details: [{ email: 'admin@example.com' }] },
  });
  for (const name of ['self', 'self', 'gone']) await must('POST', `/certificates/${name}/create`, quickBody);
  await must('POST', '/certificates/ordered/create', policyFor('own'));
  await must('POST', '/certificates/waiting/create', policyFor('Unknown'));
  await must('POST', '/certificates/again/create', policyFor('Unknown'));
  await must('DELETE', '/certificates/gone');
  expected = await everything(server);
});
afterAll(async () => {
  await server?.close();
  await folder?.remove();
});

async function callerOf(of: TestServer): Promise<VaultCaller> {
  return vaultCaller(of, await tokenFor(of));
}

/** What clients see of the certificates of a server, and what a key of theirs does. */
async function everything(of: TestServer) {
  const call = await callerOf(of);
  const seen: Record<string, unknown> = {};
  const look = async (path: string) => {
    const { status, json } = await call('GET', path);
    seen[path] = [status, json];
  };
  for (const path of ['', '/issuers', '/issuers/own', '/contacts', '?includePending=true'])
    await look(`/certificates${path}`);
  await look('/deletedcertificates/gone');
  for (const name of ['authority', 'self', 'ordered', 'waiting', 'again']) {
    for (const path of [
      `certificates/${name}`,
      `certificates/${name}/versions`,
      `certificates/${name}/pending`,
    ])
      await look(`/${path}`);
    for (const noun of ['keys', 'secrets']) await look(`/${noun}/${name}`);
  }
  return seen;
}

/** That private keys of all kinds open: an order is issued, a request completed, a key that is linked signs. */
async function expectUse(of: TestServer, waiting: string): Promise<void> {
  const call = await callerOf(of);
  const value = Buffer.alloc(32, 7).toString('base64url');
  expect((await call('POST', '/keys/self/sign', { alg: 'ES256', value })).status).toBe(200);
  expect((await call('POST', '/certificates/ordered/create', {})).status).toBe(202);
  expect((await call('GET', '/certificates/ordered/pending')).json).toMatchObject({ status: 'completed' });
  const { csr } = (await call('GET', `/certificates/${waiting}/pending`)).json;
  const merged = await call('POST', `/certificates/${waiting}/pending/merge`, {
    x5c: await chainFor(issuer, csr),
  });
  expect([merged.status, merged.json.attributes?.enabled]).toEqual([201, true]);
  expect((await call('POST', '/deletedcertificates/gone/recover')).status).toBe(200);
  expect((await call('GET', '/secrets/gone')).status).toBe(200);
  expect((await call('DELETE', '/certificates/gone')).status).toBe(200);
}

function rows(of: TestServer, statement: string): unknown[] {
  const sql = new DatabaseSync(join(of.folder, 'strongroom.db'), { readOnly: true, timeout: 5_000 });
  try {
    return sql.prepare(statement).all();
  } finally {
    sql.close();
  }
}

const kindsOf = (of: TestServer) =>
  rows(of, 'select distinct kind from objects order by kind').map((row) => (row as { kind: string }).kind);

test('all kinds are there', () => {
  expect(kindsOf(server)).toEqual([
    ...['certificatecontacts', 'certificateissuers', 'certificates'],
    ...['keys', 'pendingcertificates', 'secrets'],
  ]);
});

test('a backup makes them again elsewhere, to the last member, and they can be used', async () => {
  const backup = join(folder.path, 'server.backup');
  const ran = await strongroom(['backup', backup, '--data', server.folder]);
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  const target = join(folder.path, 'restored');
  mkdirSync(target, { mode: 0o700 });
  copyFileSync(join(server.folder, 'root-key.json'), join(target, 'root-key.json'));
  expect(await strongroom(['restore', backup, '--data', target])).toMatchObject({ code: 0 });
  const restored = await startTestServer({ settings: { ...onSqlite, data: target } });
  try {
    expect(await everything(restored)).toEqual(expected);
    await expectUse(restored, 'waiting');
  } finally {
    await restored.close();
  }
});

test('with a new vault key all are under it, and they can be used', async () => {
  const before = rows(server, 'select distinct key_version from object_versions');
  await server.control('vault rotate-key', { name: 'dev' });
  const after = rows(server, 'select distinct key_version from object_versions');
  expect(after).toHaveLength(1);
  expect(after).not.toEqual(before);
  expect(await everything(server)).toEqual(expected);
  await expectUse(server, 'again');
});

test('with a new root key they can be used', async () => {
  const ran = await strongroom(['root-key', 'rotate', '--data', server.folder]);
  expect([ran.code, ran.stderr]).toEqual([0, '']);
  await server.restart();
  await expectUse(server, 'waiting');
});

test('nothing of them is left of a vault that is purged', async () => {
  expect(rows(server, 'select * from object_versions').length).toBeGreaterThan(8);
  const { call } = await makeManager(server, 'manager');
  const root = `/subscriptions/${await subscriptionOf(server)}`;
  const provider = 'providers/Microsoft.KeyVault';
  const az = '?api-version=2022-07-01';
  const deleted = await call('DELETE', `${root}/resourceGroups/default/${provider}/vaults/dev${az}`);
  const at = `${root}/${provider}/locations/local/deletedVaults/dev`;
  const purged = await call('POST', `${at}/purge${az}`);
  expect([deleted.status, purged.status]).toEqual([200, 202]);
  for (const table of ['objects', 'object_versions', 'vault_keys'])
    expect(rows(server, `select * from ${table}`), table).toEqual([]);
});

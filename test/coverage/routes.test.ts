/**
 * Proves for every operation that is served, from the rows themselves: who has no token, a bad one or no permission
 * is refused as Azure refuses, and each such refusal and each success has exactly one audit record. A new row fails
 * here until it has its entry below.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { secretRoutes } from '../../src/api/vault/secrets.ts';
import type { Secrets } from '../../src/domain/secrets/secrets.ts';
import { type AuditRecord, auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import {
  makeIdentity,
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

/** One entry for each row: a request that succeeds once `prepare` has run, and what its audit record must say. */
interface Example {
  readonly path: string;
  readonly prepare?: (call: VaultCaller) => Promise<unknown>;
  readonly body?: (call: VaultCaller) => Promise<object>;
  readonly status?: number;
  readonly audit: string;
}

const put = (name: string) => async (call: VaultCaller) => call('PUT', `/secrets/${name}`, { value: 'v' });
const putAndDelete = (name: string) => async (call: VaultCaller) => {
  await put(name)(call);
  await call('DELETE', `/secrets/${name}`);
};

const examples: Readonly<Record<string, Example>> = {
  SetSecret: { path: '/secrets/set', body: async () => ({ value: 'v' }), audit: 'SecretSet' },
  GetSecret: { path: '/secrets/get', prepare: put('get'), audit: 'SecretGet' },
  UpdateSecret: {
    path: '/secrets/update',
    prepare: put('update'),
    body: async () => ({ tags: {} }),
    audit: 'SecretUpdate',
  },
  DeleteSecret: { path: '/secrets/delete', prepare: put('delete'), audit: 'SecretDelete' },
  BackupSecret: { path: '/secrets/backup/backup', prepare: put('backup'), audit: 'SecretBackup' },
  RestoreSecret: {
    path: '/secrets/restore',
    prepare: put('restored'),
    body: async (call) => {
      const { value } = (await call('POST', '/secrets/restored/backup')).json;
      await call('DELETE', '/secrets/restored');
      await call('DELETE', '/deletedsecrets/restored');
      return { value };
    },
    audit: 'SecretRestore',
  },
  GetSecrets: { path: '/secrets', audit: 'SecretList' },
  GetSecretVersions: { path: '/secrets/list/versions', prepare: put('list'), audit: 'SecretListVersions' },
  GetDeletedSecrets: { path: '/deletedsecrets', audit: 'SecretListDeleted' },
  GetDeletedSecret: {
    path: '/deletedsecrets/gone',
    prepare: putAndDelete('gone'),
    audit: 'SecretGetDeleted',
  },
  PurgeDeletedSecret: {
    path: '/deletedsecrets/purge',
    prepare: putAndDelete('purge'),
    status: 204,
    audit: 'SecretPurge',
  },
  RecoverDeletedSecret: {
    path: '/deletedsecrets/recover/recover',
    prepare: putAndDelete('recover'),
    audit: 'SecretRecover',
  },
};

/** Only the handlers touch it, and no handler runs here. */
const rows = secretRoutes({} as Secrets);
const clock = manualClock(Date.now() - 3 * 86_400_000);
const tokens = { expired: '', management: '', stranger: '', owner: '' };
let strangerId: string;
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ clock });
  tokens.expired = await tokenFor(server);
  clock.advance(2 * 86_400_000);
  tokens.management = await tokenFor(server, { resource: 'https://management.azure.com' });
  const stranger = await makeIdentity(server, 'stranger');
  strangerId = stranger.objectId;
  tokens.stranger = await tokenFor(server, { identity: stranger });
  tokens.owner = await tokenFor(server);
});
afterAll(() => server.close());

test('every operation that is served has its entry here, and no entry is left over', () => {
  expect(rows.map((row) => row.operation).sort()).toEqual(Object.keys(examples).sort());
});

const correlation = '00000000-1111-2222-3333-444444444444';

function request(
  row: { method: string },
  path: string,
  input: { token?: string | undefined; body?: object },
) {
  const { token, body } = input;
  return send(server, {
    host: 'dev.vault.azure.net',
    method: row.method,
    path: `${path}?api-version=7.4`,
    headers: {
      'x-ms-client-request-id': correlation,
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** The answer, and the one record of it. */
async function audited(
  make: () => Promise<RawResponse>,
): Promise<{ reply: RawResponse; record: AuditRecord }> {
  let reply: RawResponse | undefined;
  const records = await auditedDuring(server, async () => {
    reply = await make();
  });
  const [record] = records;
  if (reply === undefined || record === undefined) throw new Error('there is no audit record');
  expect(records).toHaveLength(1);
  return { reply, record };
}

describe.each(rows)('$operation', (row) => {
  const example = examples[row.operation];
  if (example === undefined) return;

  test.each([
    ['no token', undefined, /^AKV10000: /],
    ['a token that is none', 'garbage', /./],
    ['a token for another resource', 'management', /^AKV10022: /],
    ['an expired token', 'expired', /expired/],
  ] as const)('%s: 401 with a challenge, one record', async (_, kind, message) => {
    const token = kind === undefined || kind === 'garbage' ? kind : tokens[kind];
    const { reply, record } = await audited(() => request(row, example.path, { token }));
    expect([reply.status, reply.json.error.code]).toEqual([401, 'Unauthorized']);
    expect(reply.json.error.message).toMatch(message);
    expect(reply.headers['www-authenticate']).toBe(
      `Bearer authorization="https://login.microsoftonline.com/${server.tenantId}", resource="https://vault.azure.net"`,
    );
    expect(record).toMatchObject({
      operationName: 'Authentication',
      resultType: 'Unauthorized',
      resultDescription: reply.json.error.message,
      correlationId: correlation,
      callerIpAddress: '127.0.0.1',
      identity: { claim: {} },
      properties: { httpStatusCode: 401 },
    });
    expect(Object.keys(record.identity.claim)).toEqual([]);
  });

  test('no permission: 403, one record that names the caller', async () => {
    const { reply, record } = await audited(() =>
      request(row, example.path, {
        token: tokens.stranger,
        ...(row.schema === undefined ? {} : { body: {} }),
      }),
    );
    expect([reply.status, reply.json.error.code, reply.json.error.innererror]).toEqual([
      403,
      'Forbidden',
      { code: 'ForbiddenByRbac' },
    ]);
    expect(reply.headers['www-authenticate']).toBeUndefined();
    expect(record).toMatchObject({
      operationName: example.audit,
      resultType: 'ForbiddenByRbac',
      correlationId: correlation,
      properties: { httpStatusCode: 403 },
    });
    expect(Object.values(record.identity.claim)).toContain(strangerId);
  });

  test('a success: one record of what was done where', async () => {
    const call = vaultCaller(server, tokens.owner);
    await example.prepare?.(call);
    const body = await example.body?.(call);
    const { reply, record } = await audited(() =>
      request(row, example.path, { token: tokens.owner, ...(body === undefined ? {} : { body }) }),
    );
    expect(reply.status).toBe(example.status ?? 200);
    expect(record).toMatchObject({
      operationName: example.audit,
      operationVersion: '7.4',
      resultType: 'Success',
      resultDescription: '',
      correlationId: correlation,
      properties: {
        requestUri: `https://dev.vault.azure.net${example.path}?api-version=7.4`,
        httpStatusCode: example.status ?? 200,
      },
    });
    expect(record.resourceId).toMatch(/\/PROVIDERS\/MICROSOFT\.KEYVAULT\/VAULTS\/DEV$/);
    expect(Object.values(record.identity.claim)).toContain(server.clientId);
    const { id } = reply.json ?? {};
    if (id !== undefined) expect(record).toMatchObject({ properties: { id } });
    expect(JSON.stringify(record)).not.toContain(tokens.owner.slice(-40));
  });
});

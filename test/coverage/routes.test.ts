/**
 * Proves for every operation that is served, from the rows themselves: who has no token, a bad one or no permission
 * is refused as Azure refuses, and each such refusal and each success has exactly one audit record. A new row fails
 * here until it has its entry below.
 */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttestationAuthority, startAttestationAuthority } from '../support/attestation-authority.ts';
import { type AuditRecord, auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import { rows } from '../support/role-matrix.ts';
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
import { certificateExamples, type Example } from './certificate-examples.ts';

const put = (name: string) => async (call: VaultCaller) => call('PUT', `/secrets/${name}`, { value: 'v' });
const putAndDelete = (name: string) => async (call: VaultCaller) => {
  await put(name)(call);
  await call('DELETE', `/secrets/${name}`);
};

const makeKey =
  (name: string, more: object = {}) =>
  async (call: VaultCaller) =>
    call('POST', `/keys/${name}/create`, { kty: 'EC', ...more });
const makeAndDeleteKey = (name: string) => async (call: VaultCaller) => {
  await makeKey(name)(call);
  await call('DELETE', `/keys/${name}`);
};
const rsa = makeKey('rsa', { kty: 'RSA' });
const digest = Buffer.alloc(32, 1).toString('base64url');
const oaep = { alg: 'RSA-OAEP-256', value: digest };
/** What `operation` made of the digest with the key `rsa`, to be undone. */
const made = (operation: string) => async (call: VaultCaller) => {
  const { value } = (await call('POST', `/keys/rsa/${operation}`, oaep)).json;
  return { ...oaep, value };
};

let authority: AttestationAuthority;
const clock = manualClock(Date.now() - 3 * 86_400_000);
const released = async (call: VaultCaller) => {
  const release_policy = { data: authority.policy({ claim: 'tee', equals: 'test' }) };
  await makeKey('released', { kty: 'EC-HSM', attributes: { exportable: true }, release_policy })(call);
};

const version = 'api-version=2026-04-01';
const makeSecure = async (call: VaultCaller) => {
  const release_policy = { data: authority.policy({ claim: 'tee', equals: 'test' }) };
  const key_ops = ['secureWrapKey', 'secureUnwrapKey'];
  await makeKey('secure', { kty: 'oct-HSM', key_ops, release_policy })(call);
};

const keyExamples: Readonly<Record<string, Example>> = {
  CreateKey: { path: '/keys/create/create', body: async () => ({ kty: 'EC' }), audit: 'KeyCreate' },
  ImportKey: {
    path: '/keys/import',
    body: async () => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return { key: privateKey.export({ format: 'jwk' }) };
    },
    audit: 'KeyImport',
  },
  GetKey: { path: '/keys/get', prepare: makeKey('get'), audit: 'KeyGet' },
  GetKeyAttestation: { path: '/keys/get/attestation', prepare: makeKey('get'), audit: 'KeyGet' },
  UpdateKey: {
    path: '/keys/update',
    prepare: makeKey('update'),
    body: async () => ({ tags: {} }),
    audit: 'KeyUpdate',
  },
  DeleteKey: { path: '/keys/delete', prepare: makeKey('delete'), audit: 'KeyDelete' },
  BackupKey: { path: '/keys/backup/backup', prepare: makeKey('backup'), audit: 'KeyBackup' },
  RestoreKey: {
    path: '/keys/restore',
    prepare: makeKey('restored'),
    body: async (call) => {
      const { value } = (await call('POST', '/keys/restored/backup')).json;
      await call('DELETE', '/keys/restored');
      await call('DELETE', '/deletedkeys/restored');
      return { value };
    },
    audit: 'KeyRestore',
  },
  GetKeys: { path: '/keys', audit: 'KeyList' },
  GetKeyVersions: { path: '/keys/list/versions', prepare: makeKey('list'), audit: 'KeyListVersions' },
  GetDeletedKeys: { path: '/deletedkeys', audit: 'KeyListDeleted' },
  GetDeletedKey: { path: '/deletedkeys/gone', prepare: makeAndDeleteKey('gone'), audit: 'KeyGetDeleted' },
  PurgeDeletedKey: {
    path: '/deletedkeys/purge',
    prepare: makeAndDeleteKey('purge'),
    status: 204,
    audit: 'KeyPurge',
  },
  RecoverDeletedKey: {
    path: '/deletedkeys/recover/recover',
    prepare: makeAndDeleteKey('recover'),
    audit: 'KeyRecover',
  },
  RotateKey: { path: '/keys/rotate/rotate', prepare: makeKey('rotate'), audit: 'KeyRotate' },
  GetKeyRotationPolicy: {
    path: '/keys/policy/rotationpolicy',
    prepare: makeKey('policy'),
    audit: 'KeyRotationPolicyGet',
  },
  UpdateKeyRotationPolicy: {
    path: '/keys/policy/rotationpolicy',
    prepare: makeKey('policy'),
    body: async () => ({ attributes: { expiryTime: 'P30D' } }),
    audit: 'KeyRotationPolicySet',
  },
  encrypt: { path: '/keys/rsa/encrypt', prepare: rsa, body: async () => oaep, audit: 'KeyEncrypt' },
  decrypt: { path: '/keys/rsa/decrypt', prepare: rsa, body: made('encrypt'), audit: 'KeyDecrypt' },
  wrapKey: { path: '/keys/rsa/wrapkey', prepare: rsa, body: async () => oaep, audit: 'KeyWrap' },
  unwrapKey: { path: '/keys/rsa/unwrapkey', prepare: rsa, body: made('wrapkey'), audit: 'KeyUnwrap' },
  sign: {
    path: '/keys/sign/sign',
    prepare: makeKey('sign'),
    body: async () => ({ alg: 'ES256', value: digest }),
    audit: 'KeySign',
  },
  verify: {
    path: '/keys/sign/verify',
    prepare: makeKey('sign'),
    body: async () => ({ alg: 'ES256', digest, value: digest }),
    audit: 'KeyVerify',
  },
  release: {
    path: '/keys/released/release',
    prepare: released,
    body: async () => ({ target: authority.mint(clock.now(), { tee: 'test' }) }),
    audit: 'KeyRelease',
  },
  securewrapkey: {
    path: '/keys/secure/securewrapkey',
    prepare: makeSecure,
    body: async () => ({ alg: 'A256KW' }),
    audit: 'KeySecureWrap',
  },
  secureunwrapkey: {
    path: '/keys/secure/secureunwrapkey',
    prepare: makeSecure,
    body: async (call) => {
      const { value } = (await call('POST', `/keys/secure/securewrapkey?${version}`, { alg: 'A256KW' })).json;
      return { alg: 'A256KW', value, target: authority.mint(clock.now(), { tee: 'test' }) };
    },
    audit: 'KeySecureUnwrap',
  },
};

const examples: Readonly<Record<string, Example>> = {
  ...keyExamples,
  ...certificateExamples,
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

const tokens = { expired: '', management: '', stranger: '', owner: '' };
let strangerId: string;
let server: TestServer;

beforeAll(async () => {
  authority = await startAttestationAuthority();
  server = await startTestServer({ clock });
  tokens.expired = await tokenFor(server);
  clock.advance(2 * 86_400_000);
  tokens.management = await tokenFor(server, { resource: 'https://management.azure.com' });
  const stranger = await makeIdentity(server, 'stranger');
  strangerId = stranger.objectId;
  tokens.stranger = await tokenFor(server, { identity: stranger });
  tokens.owner = await tokenFor(server);
});
afterAll(async () => {
  await server.close();
  await authority.close();
});

test('every operation that is served has its entry here, and no entry is left over', () => {
  expect(rows.map((row) => row.operation).sort()).toEqual(Object.keys(examples).sort());
});

/** One that has all operations. */
const apiVersion = '2026-04-01';
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
    path: `${path}?api-version=${apiVersion}`,
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
      operationVersion: apiVersion,
      resultType: 'Success',
      resultDescription: '',
      correlationId: correlation,
      properties: {
        requestUri: `https://dev.vault.azure.net${example.path}?api-version=${apiVersion}`,
        httpStatusCode: example.status ?? 200,
      },
    });
    expect(record.resourceId).toMatch(/\/PROVIDERS\/MICROSOFT\.KEYVAULT\/VAULTS\/DEV$/);
    expect(Object.values(record.identity.claim)).toContain(server.clientId);
    const { id, key, kid } = reply.json ?? {};
    const shown = id ?? key?.kid ?? kid;
    if (shown !== undefined) expect(record).toMatchObject({ properties: { id: shown } });
    expect(JSON.stringify(record)).not.toContain(tokens.owner.slice(-40));
  });
});

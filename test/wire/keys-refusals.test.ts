/** Proves who is kept from keys, by which permission of each operation, and in which words. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../support/role-matrix.ts';
import {
  type Identity,
  makeIdentity,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, type VaultCaller } from '../support/vault-rest.ts';

let server: TestServer;
let stranger: Identity & { objectId: string };
let strangers: string;
let subscriptionId: string;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  call = vaultCaller(server, await tokenFor(server));
  stranger = await makeIdentity(server, 'stranger');
  strangers = await tokenFor(server, { identity: stranger });
  ({ subscriptionId } = await server.control<{ subscriptionId: string }>('status'));
  await server.control('vault create', { name: 'policies', accessPolicies: true, sku: 'premium' });
  await call('POST', '/keys/Mine/create', { kty: 'RSA' });
});
afterAll(() => server.close());

/** Operation → permission of an access policy, and data action with the object that it is asked for. */
const permissions: Readonly<Record<string, readonly [string, string, string?]>> = {
  CreateKey: ['create', 'keys/create/action', 'Mine'],
  ImportKey: ['import', 'keys/import/action', 'Mine'],
  GetKey: ['get', 'keys/read', 'Mine'],
  GetKeyAttestation: ['get', 'keys/read', 'Mine'],
  UpdateKey: ['update', 'keys/update/action', 'Mine'],
  DeleteKey: ['delete', 'keys/delete', 'Mine'],
  BackupKey: ['backup', 'keys/backup/action', 'Mine'],
  RestoreKey: ['restore', 'keys/restore/action'],
  GetKeys: ['list', 'keys/read'],
  GetKeyVersions: ['list', 'keys/read', 'Mine'],
  GetDeletedKeys: ['list', 'keys/read'],
  GetDeletedKey: ['get', 'keys/read', 'Mine'],
  PurgeDeletedKey: ['purge', 'keys/purge/action', 'Mine'],
  RecoverDeletedKey: ['recover', 'keys/recover/action', 'Mine'],
  RotateKey: ['rotate', 'keys/rotate/action', 'Mine'],
  GetKeyRotationPolicy: ['getrotationpolicy', 'keyrotationpolicies/read', 'Mine'],
  UpdateKeyRotationPolicy: ['setrotationpolicy', 'keyrotationpolicies/write', 'Mine'],
  encrypt: ['encrypt', 'keys/encrypt/action', 'Mine'],
  decrypt: ['decrypt', 'keys/decrypt/action', 'Mine'],
  wrapKey: ['wrapkey', 'keys/wrap/action', 'Mine'],
  unwrapKey: ['unwrapkey', 'keys/unwrap/action', 'Mine'],
  sign: ['sign', 'keys/sign/action', 'Mine'],
  verify: ['verify', 'keys/verify/action', 'Mine'],
  release: ['release', 'keys/release/action', 'Mine'],
  securewrapkey: ['wrapkey', 'keys/wrap/action', 'Mine'],
  secureunwrapkey: ['unwrapkey', 'keys/unwrap/action', 'Mine'],
};
const all = [...new Set(Object.values(permissions).map(([permission]) => permission))];
const keyRows = rows.filter((row) => row.kind === 'keys');
const apiVersion = '2026-04-01';

function request(of: { method: string; path: string; schema: unknown }, as: VaultCaller) {
  const path = of.path.replace(':name', 'Mine').replace('/:version?', '');
  return as(of.method, `${path}?api-version=${apiVersion}`, of.schema === undefined ? undefined : {});
}

test('every operation on keys is here, and no other', () => {
  expect(Object.keys(permissions).sort()).toEqual(keyRows.map((row) => row.operation).sort());
});

describe.each(keyRows)('$operation', (row) => {
  const [permission = '', dataAction, name] = permissions[row.operation] ?? [];

  test('without a role: ForbiddenByRbac names the action and the key', async () => {
    const reply = await request(row, vaultCaller(server, strangers));
    const caller = `appid=${stranger.clientId};oid=${stranger.objectId};iss=https://sts.windows.net/${server.tenantId}/`;
    const resource = `/subscriptions/${subscriptionId}/resourcegroups/default/providers/microsoft.keyvault/vaults/dev${name === undefined ? '' : `/keys/${name}`}`;
    expect([reply.status, reply.text]).toEqual([
      403,
      errorBody(
        'Forbidden',
        `Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: ${caller}\r\nAction: 'Microsoft.KeyVault/vaults/${dataAction}'\r\nResource: '${resource}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: dev;location=local\r\n`,
        'ForbiddenByRbac',
      ),
    ]);
  });

  test('with every permission but its own: ForbiddenByPolicy names it; with its own alone: let in', async () => {
    const as = vaultCaller(server, strangers, 'policies');
    const allow = (keys: string[]) =>
      server.control('vault set-policy', { name: 'policies', identity: 'stranger', keys });
    await allow(all.filter((other) => other !== permission));
    const refused = await request(row, as);
    expect([refused.status, refused.json.error.innererror]).toEqual([403, { code: 'ForbiddenByPolicy' }]);
    const { message } = refused.json.error as { message: string };
    // As the API document spells the permissions of policies.
    const spelt = permission.replace('wrapkey', 'wrapKey');
    expect(message).toBe(
      `The user, group or application 'appid=${stranger.clientId};oid=${stranger.objectId};iss=https://sts.windows.net/${server.tenantId}/' does not have keys ${spelt} permission on key vault 'policies;location=local'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287`,
    );
    await allow([permission]);
    expect((await request(row, as)).status).not.toBe(403);
  });
});

test('permissions on secrets are none on keys', async () => {
  const secrets = ['all', 'purge'];
  await server.control('vault set-policy', { name: 'policies', identity: 'stranger', secrets, keys: [] });
  const reply = await vaultCaller(server, strangers, 'policies')('GET', '/keys');
  expect(reply.json.error.innererror.code).toBe('ForbiddenByPolicy');
});

test('a role on one key reaches that key, by any case of its name, and none of its neighbours', async () => {
  await call('POST', '/keys/Mine2/create', { kty: 'EC' });
  const scope = `/subscriptions/${subscriptionId}/resourceGroups/default/providers/Microsoft.KeyVault/vaults/dev/keys/mine`;
  const identity = await makeIdentity(server, 'user', [{ role: 'Key Vault Crypto User', scope }]);
  const as = vaultCaller(server, await tokenFor(server, { identity }));
  const body = { alg: 'RSA-OAEP', value: 'AA' };
  for (const name of ['Mine', 'MINE', 'mine']) {
    expect((await as('GET', `/keys/${name}`)).status).toBe(200);
    expect((await as('POST', `/keys/${name}//encrypt`, body)).status).toBe(200);
    expect((await as('DELETE', `/keys/${name}`)).status).toBe(403);
  }
  for (const path of ['/keys/Mine2', '/keys/Min', '/keys', '/deletedkeys'])
    expect([path, (await as('GET', path)).status]).toEqual([path, 403]);
  expect((await as('POST', '/keys/Mine2/encrypt', body)).status).toBe(403);
});

test('a refusal comes before the body and before what is there: no telling whether a key exists', async () => {
  const as = vaultCaller(server, strangers);
  const sign = (name: string, body: unknown) => as('POST', `/keys/${name}/sign`, body);
  const known = await sign('Mine', { alg: 'RS256', value: 'AA' });
  const unknown = await sign('Nosuch', { alg: 'RS256', value: 'AA' });
  expect(known.text.replaceAll('/keys/Mine', '/keys/Nosuch')).toBe(unknown.text);
  expect((await sign('Mine', '{')).text).toBe(known.text);
});

test('who may import takes in what is wrapped for a key that they may not even read; who may not does not', async () => {
  const as = vaultCaller(server, strangers, 'policies');
  const allow = (keys: string[]) =>
    server.control('vault set-policy', { name: 'policies', identity: 'stranger', keys });
  await allow(['create']);
  const made = await as('POST', '/keys/kek/create', { kty: 'RSA-HSM', key_ops: ['import'] });
  const header = { kid: made.json.key.kid, alg: 'dir', enc: 'CKM_RSA_AES_KEY_WRAP' };
  const blob = JSON.stringify({ schema_version: '1.0.0', header, ciphertext: 'AAAA' });
  const key = { kty: 'EC-HSM', key_hsm: Buffer.from(blob).toString('base64url') };
  await allow(['import']);
  expect((await as('GET', '/keys/kek')).status).toBe(403);
  const tried = await as('PUT', '/keys/new', { key });
  expect([tried.status, tried.text]).toEqual([
    400,
    errorBody('BadParameter', 'The parameter is incorrect.\r\n'),
  ]);
  await allow(all.filter((permission) => permission !== 'import'));
  const refused = await as('PUT', '/keys/new', { key });
  expect([refused.status, refused.json.error.innererror.code]).toEqual([403, 'ForbiddenByPolicy']);
});

/**
 * Proves that the built-in roles allow on the wire what the golden file says, that the file is what the code says,
 * and that an assignment reaches exactly the objects under its scope.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { goldenRoles, parseMatrix, roleMatrix } from '../support/role-matrix.ts';
import {
  type Identity,
  makeIdentity,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';

const golden = readFileSync(goldenRoles, 'utf8');

/** A request for each operation; what is not there is answered 404 or 400, once the caller is let in. */
const requests: Readonly<Record<string, [string, string, object?]>> = {
  SetSecret: ['PUT', '/secrets/matrix', { value: 'v' }],
  GetSecret: ['GET', '/secrets/matrix'],
  UpdateSecret: ['PATCH', '/secrets/matrix', {}],
  DeleteSecret: ['DELETE', '/secrets/nosuch'],
  BackupSecret: ['POST', '/secrets/matrix/backup'],
  RestoreSecret: ['POST', '/secrets/restore', { value: 'x' }],
  GetSecrets: ['GET', '/secrets'],
  GetSecretVersions: ['GET', '/secrets/matrix/versions'],
  GetDeletedSecrets: ['GET', '/deletedsecrets'],
  GetDeletedSecret: ['GET', '/deletedsecrets/nosuch'],
  PurgeDeletedSecret: ['DELETE', '/deletedsecrets/nosuch'],
  RecoverDeletedSecret: ['POST', '/deletedsecrets/nosuch/recover'],
  CreateKey: ['POST', '/keys/matrix/create', { kty: 'EC' }],
  ImportKey: ['PUT', '/keys/matrix', { key: {} }],
  GetKey: ['GET', '/keys/matrix'],
  GetKeyAttestation: ['GET', '/keys/matrix/attestation'],
  UpdateKey: ['PATCH', '/keys/matrix', {}],
  DeleteKey: ['DELETE', '/keys/nosuch'],
  BackupKey: ['POST', '/keys/matrix/backup'],
  RestoreKey: ['POST', '/keys/restore', { value: 'x' }],
  GetKeys: ['GET', '/keys'],
  GetKeyVersions: ['GET', '/keys/matrix/versions'],
  GetDeletedKeys: ['GET', '/deletedkeys'],
  GetDeletedKey: ['GET', '/deletedkeys/nosuch'],
  PurgeDeletedKey: ['DELETE', '/deletedkeys/nosuch'],
  RecoverDeletedKey: ['POST', '/deletedkeys/nosuch/recover'],
  RotateKey: ['POST', '/keys/matrix/rotate'],
  GetKeyRotationPolicy: ['GET', '/keys/matrix/rotationpolicy'],
  UpdateKeyRotationPolicy: ['PUT', '/keys/matrix/rotationpolicy', {}],
  encrypt: ['POST', '/keys/nosuch/encrypt', { alg: 'RSA-OAEP', value: '' }],
  decrypt: ['POST', '/keys/nosuch/decrypt', { alg: 'RSA-OAEP', value: '' }],
  wrapKey: ['POST', '/keys/nosuch/wrapkey', { alg: 'RSA-OAEP', value: '' }],
  unwrapKey: ['POST', '/keys/nosuch/unwrapkey', { alg: 'RSA-OAEP', value: '' }],
  sign: ['POST', '/keys/nosuch/sign', { alg: 'ES256', value: '' }],
  verify: ['POST', '/keys/nosuch/verify', { alg: 'ES256', digest: '', value: '' }],
  securewrapkey: ['POST', '/keys/nosuch/securewrapkey?api-version=2026-04-01', { alg: 'A256KW' }],
  secureunwrapkey: [
    'POST',
    '/keys/nosuch/secureunwrapkey?api-version=2026-04-01',
    { alg: 'A256KW', value: '', target: 'x' },
  ],
  release: ['POST', '/keys/nosuch/release', { target: 'x' }],
  CreateCertificate: ['POST', '/certificates/matrix/create', {}],
  ImportCertificate: ['POST', '/certificates/matrix/import', { value: 'x' }],
  GetCertificate: ['GET', '/certificates/nosuch'],
  UpdateCertificate: ['PATCH', '/certificates/nosuch', {}],
  GetCertificatePolicy: ['GET', '/certificates/nosuch/policy'],
  UpdateCertificatePolicy: ['PATCH', '/certificates/nosuch/policy', {}],
  DeleteCertificate: ['DELETE', '/certificates/nosuch'],
  BackupCertificate: ['POST', '/certificates/nosuch/backup'],
  RestoreCertificate: ['POST', '/certificates/restore', { value: 'x' }],
  GetCertificates: ['GET', '/certificates'],
  GetCertificateVersions: ['GET', '/certificates/nosuch/versions'],
  GetDeletedCertificates: ['GET', '/deletedcertificates'],
  GetDeletedCertificate: ['GET', '/deletedcertificates/nosuch'],
  PurgeDeletedCertificate: ['DELETE', '/deletedcertificates/nosuch'],
  RecoverDeletedCertificate: ['POST', '/deletedcertificates/nosuch/recover'],
  GetCertificateOperation: ['GET', '/certificates/nosuch/pending'],
  UpdateCertificateOperation: ['PATCH', '/certificates/nosuch/pending', { cancellation_requested: true }],
  DeleteCertificateOperation: ['DELETE', '/certificates/nosuch/pending'],
  MergeCertificate: ['POST', '/certificates/nosuch/pending/merge', { x5c: ['x'] }],
  GetCertificateIssuers: ['GET', '/certificates/issuers'],
  GetCertificateIssuer: ['GET', '/certificates/issuers/nosuch'],
  SetCertificateIssuer: ['PUT', '/certificates/issuers/matrix', { provider: 'Test' }],
  UpdateCertificateIssuer: ['PATCH', '/certificates/issuers/nosuch', {}],
  DeleteCertificateIssuer: ['DELETE', '/certificates/issuers/nosuch'],
  GetCertificateContacts: ['GET', '/certificates/contacts'],
  SetCertificateContacts: ['PUT', '/certificates/contacts', { contacts: [] }],
  DeleteCertificateContacts: ['DELETE', '/certificates/contacts'],
};

let server: TestServer;
let subscriptionId: string;

beforeAll(async () => {
  server = await startTestServer();
  ({ subscriptionId } = await server.control<{ subscriptionId: string }>('status'));
});
afterAll(() => server.close());

function letIn(reply: RawResponse): boolean {
  if (reply.status !== 403) {
    expect([200, 204, 400, 404]).toContain(reply.status);
    return true;
  }
  expect(reply.json.error.innererror.code).toBe('ForbiddenByRbac');
  return false;
}

test('the golden file says what the code does', () => {
  expect(golden, 'look at the difference; if it is wanted: node scripts/golden.ts').toBe(roleMatrix());
});

test('every operation has its request here', () => {
  for (const verdicts of parseMatrix(golden).values()) {
    expect([...verdicts.keys()].sort()).toEqual(Object.keys(requests).sort());
  }
  expect(parseMatrix(golden).size).toBeGreaterThan(0);
});

test.each([...parseMatrix(golden)])('%s, over the wire', async (role, verdicts) => {
  const identity = await makeIdentity(server, role, [{ role, vault: 'dev' }]);
  const call = vaultCaller(server, await tokenFor(server, { identity }));
  const seen = new Map<string, boolean>();
  for (const operation of verdicts.keys()) {
    const [method, path, body] = requests[operation] ?? ['', ''];
    seen.set(operation, letIn(await call(method, path, body)));
  }
  expect(seen).toEqual(verdicts);
});

describe('scopes', () => {
  let someone: Identity & { objectId: string };
  let token: string;

  beforeAll(async () => {
    for (const name of ['kv1', 'kv10', 'kv2']) await server.control('vault create', { name });
    someone = await makeIdentity(server, 'someone');
    token = await tokenFor(server, { identity: someone });
  });

  /** What the role at the scope lets in, of these requests. */
  async function reach(scope: string, ask: (of: (vault: string) => VaultCaller) => Promise<RawResponse>[]) {
    const role = 'Key Vault Secrets Officer';
    const { id } = await server.control<{ id: string }>('identity grant', {
      identity: someone.objectId,
      role,
      scope,
    });
    const replies = await Promise.all(ask((vault) => vaultCaller(server, token, vault)));
    await server.control('identity revoke', { id });
    return replies.map(letIn);
  }

  const group = () => `/subscriptions/${subscriptionId}/resourceGroups/default`;
  const vault = (name: string) => `${group()}/providers/Microsoft.KeyVault/vaults/${name}`;
  const vaults = (of: (vault: string) => VaultCaller) =>
    ['kv1', 'kv10', 'kv2'].map((name) => of(name)('GET', '/secrets'));

  test('a vault reaches its secrets, not its sibling, nor one whose name begins alike', async () => {
    expect(await reach(vault('kv1'), vaults)).toEqual([true, false, false]);
    expect(await reach(vault('kv10'), vaults)).toEqual([false, true, false]);
    expect(await reach(vault('kv'), vaults)).toEqual([false, false, false]);
  });

  test('a resource group and a subscription reach the vaults in them, others do not', async () => {
    expect(await reach(group(), vaults)).toEqual([true, true, true]);
    expect(await reach(`/subscriptions/${subscriptionId}`, vaults)).toEqual([true, true, true]);
    expect(await reach('/', vaults)).toEqual([true, true, true]);
    expect(await reach(`/subscriptions/${subscriptionId}/resourceGroups/defaul`, vaults)).toEqual([
      false,
      false,
      false,
    ]);
    const other = '33333333-3333-3333-3333-333333333333';
    expect(await reach(`/subscriptions/${other}`, vaults)).toEqual([false, false, false]);
    expect(await reach(vault('kv1').replace(subscriptionId, other), vaults)).toEqual([false, false, false]);
  });

  test('a scope counts in any case', async () => {
    expect(await reach(vault('kv1').toUpperCase(), vaults)).toEqual([true, false, false]);
    expect(await reach(vault('KV1').toLowerCase(), vaults)).toEqual([true, false, false]);
  });

  test('one secret reaches all that is done to it and nothing of the vault or of its neighbours', async () => {
    const asked = (of: (vault: string) => VaultCaller) => {
      const call = of('kv1');
      return [
        call('PUT', '/secrets/app', { value: 'v' }),
        call('GET', '/secrets/APP'),
        call('GET', '/secrets/app/versions'),
        call('GET', `/secrets/app/${'0'.repeat(32)}`),
        call('GET', '/deletedsecrets/app'),
        call('GET', '/secrets/app2'),
        call('GET', '/secrets/ap'),
        call('GET', '/secrets'),
        call('GET', '/deletedsecrets'),
        call('POST', '/secrets/restore', { value: 'x' }),
        of('kv2')('GET', '/secrets/app'),
        of('kv10')('GET', '/secrets/app'),
      ];
    };
    const reached = [true, true, true, true, true, false, false, false, false, false, false, false];
    expect(await reach(`${vault('kv1')}/secrets/app`, asked)).toEqual(reached);
    expect(await reach(`${vault('kv1')}/SECRETS/App`, asked)).toEqual(reached);
    expect(await reach(`${vault('kv1')}/keys/app`, asked)).toEqual(reached.map(() => false));
  });
});

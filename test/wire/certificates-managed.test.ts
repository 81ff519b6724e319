/** Proves what is refused and what is served of the key and the secret behind a certificate, which it alone changes. */
import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { quickBody } from '../support/certificate-clients.ts';
import { manualClock } from '../support/identity.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Date.parse('2026-11-20T12:00:00Z'));
const rsa = {
  policy: { issuer: { name: 'Self' }, key_props: { kty: 'RSA' }, x509_props: { subject: 'CN=rsa' } },
};
const day = 86_400_000;

let server: TestServer;
let call: VaultCaller;
let version: string;
let backups: { key: string; secret: string };

beforeAll(async () => {
  server = await startTestServer({ clock });
  call = vaultCaller(server, await tokenFor(server));
  // Backups under the names that certificates have afterwards.
  await call('POST', '/keys/c/create', { kty: 'EC' });
  await call('PUT', '/secrets/c', { value: 'of somebody' });
  const backup = async (path: string) => (await call('POST', `/${path}/backup`)).json.value as string;
  backups = { key: await backup('keys/c'), secret: await backup('secrets/c') };
  for (const path of ['keys/c', 'secrets/c']) {
    await call('DELETE', `/${path}`);
    await call('DELETE', `/deleted${path}`);
  }
  for (const name of ['c', 'gone']) await call('POST', `/certificates/${name}/create`, rsa);
  await call('DELETE', '/certificates/gone');
  version = (await call('GET', '/certificates/c')).json.kid.split('/').at(-1);
});
afterAll(() => server.close());

function keyManaged(operation: string): string {
  const text = `Operation "${operation}" is not allowed as this object's lifetime is managed by Key Vault.`;
  return errorBody('Forbidden', text, 'KeyManagedByKeyVault');
}

function secretManaged(operation: string): string {
  const text = `Operation "${operation}" is not allowed on this secret, since it is associated with a certificate. Perform the operation on the corresponding certificate. For more information refer to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate`;
  return errorBody('Forbidden', text, 'SecretManagedByKeyVault');
}

const ecKey = {
  ...{ kty: 'EC', crv: 'P-256' },
  // RFC 7517 A.2.
  x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
  y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
  d: '870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE',
};

describe('nobody but the certificate changes', () => {
  test.each<[string, string, unknown, string]>([
    ['POST', '/keys/c/create', { kty: 'EC' }, 'create'],
    ['PUT', '/keys/c', { key: ecKey }, 'create'],
    ['PATCH', '/keys/c/{version}', { tags: { a: 'b' } }, 'update'],
    ['PATCH', '/keys/c', { attributes: { enabled: false } }, 'update'],
    ['PATCH', '/keys/c/{version}', { key_ops: ['sign', 'decrypt'] }, 'update'],
    ['PUT', '/keys/c/rotationpolicy', { lifetimeActions: [], attributes: {} }, 'update'],
    ['DELETE', '/keys/c', undefined, 'delete'],
    ['POST', '/keys/c/rotate', {}, 'rotate'],
    ['POST', '/keys/c/backup', undefined, 'backup'],
    ['POST', '/deletedkeys/gone/recover', undefined, 'recover'],
    ['DELETE', '/deletedkeys/gone', undefined, 'purge'],
    ['POST', '/keys/gone/create', { kty: 'EC' }, 'create'],
  ])('its key: %s %s', async (method, path, body, operation) => {
    const { status, text } = await call(method, path.replace('{version}', version), body);
    expect([status, text]).toEqual([403, keyManaged(operation)]);
  });

  test.each<[string, string, unknown, string]>([
    ['PUT', '/secrets/c', { value: 'x' }, 'set'],
    ['PATCH', '/secrets/c/{version}', { tags: { a: 'b' } }, 'update'],
    ['PATCH', '/secrets/c', { attributes: { enabled: false } }, 'update'],
    ['DELETE', '/secrets/c', undefined, 'delete'],
    ['POST', '/secrets/c/backup', undefined, 'backup'],
    ['POST', '/deletedsecrets/gone/recover', undefined, 'recover'],
    ['DELETE', '/deletedsecrets/gone', undefined, 'purge'],
    ['PUT', '/secrets/gone', { value: 'x' }, 'set'],
  ])('its secret: %s %s', async (method, path, body, operation) => {
    const { status, text } = await call(method, path.replace('{version}', version), body);
    expect([status, text]).toEqual([403, secretManaged(operation)]);
  });

  test.each(['keys', 'secrets'] as const)('nor is a backup of %s restored over it', async (noun) => {
    const value = noun === 'keys' ? backups.key : backups.secret;
    const { status, json } = await call('POST', `/${noun}/restore`, { value });
    expect([status, json.error.code]).toEqual([409, 'Conflict']);
  });

  test('and after all of that they are as they were', async () => {
    const { kid, sid, attributes } = (await call('GET', '/certificates/c')).json;
    expect([kid, sid].map((id: string) => id.split('/').at(-1))).toEqual([version, version]);
    for (const noun of ['keys', 'secrets']) {
      const { json } = await call('GET', `/${noun}/c`);
      expect(json).toMatchObject({ managed: true, attributes });
      expect((await call('GET', `/${noun}/c/versions`)).json.value).toHaveLength(1);
    }
  });
});

describe('the key and the secret of a certificate serve', () => {
  test('as a key that says nothing of leaving the server, which is for the policy to say', async () => {
    const { json } = await call('GET', '/keys/c');
    expect(Object.keys(json.attributes)).not.toContain('exportable');
    const [item] = (await call('GET', '/keys')).json.value;
    expect(Object.keys(item.attributes)).toEqual(Object.keys(json.attributes));
    // Others do.
    await call('POST', '/keys/plain/create', { kty: 'EC' });
    expect((await call('GET', '/keys/plain')).json.attributes.exportable).toBe(false);
    await call('DELETE', '/keys/plain');
    await call('DELETE', '/deletedkeys/plain');
  });

  test('in lists, live and deleted', async () => {
    for (const path of ['/keys', '/secrets', '/deletedkeys', '/deletedsecrets']) {
      const { json } = await call('GET', path);
      const items = json.value as { managed?: boolean; kid?: string; id?: string; recoveryId?: string }[];
      expect(items, path).toHaveLength(1);
      expect(items[0]?.managed, path).toBe(true);
    }
    for (const noun of ['keys', 'secrets'])
      expect((await call('GET', `/deleted${noun}/gone`)).json.managed).toBe(true);
  });

  test('what key_ops allow, by the certificate’s own public key, and nothing else', async () => {
    const { key } = (await call('GET', '/keys/c')).json;
    expect(key.key_ops).toEqual(['sign', 'verify', 'wrapKey', 'unwrapKey']);
    const digest = createHash('sha256').update('signed').digest('base64url');
    const signed = await call('POST', `/keys/c/${version}/sign`, { alg: 'RS256', value: digest });
    const { publicKey } = new X509Certificate(
      Buffer.from((await call('GET', '/certificates/c')).json.cer, 'base64'),
    );
    expect(publicKey.export({ format: 'jwk' })).toMatchObject({ n: key.n, e: key.e });
    const verified = await call('POST', `/keys/c/${version}/verify`, {
      ...{ alg: 'RS256', digest, value: signed.json.value },
    });
    expect(verified.json.value).toBe(true);
    const wrapped = await call('POST', '/keys/c/wrapkey', { alg: 'RSA-OAEP-256', value: 'AAECAw' });
    const unwrapped = await call('POST', `/keys/c/${version}/unwrapkey`, {
      ...{ alg: 'RSA-OAEP-256', value: wrapped.json.value },
    });
    expect(unwrapped.json.value).toBe('AAECAw');
    for (const [operation, body] of [
      ['encrypt', { alg: 'RSA-OAEP', value: 'AAAA' }],
      ['decrypt', { alg: 'RSA-OAEP', value: 'AAAA' }],
      ['release', { target: 'x' }],
    ] as const) {
      const { status, json } = await call('POST', `/keys/c/${version}/${operation}`, body);
      expect([operation, status, json.error.innererror.code]).toEqual([
        operation,
        403,
        'KeyOperationForbidden',
      ]);
    }
  });

  test('not while the certificate is disabled, and again when it is enabled', async () => {
    const enable = (enabled: boolean) => call('PATCH', '/certificates/c', { attributes: { enabled } });
    await enable(false);
    expect((await call('GET', '/secrets/c')).status).toBe(403);
    const sign = { alg: 'RS256', value: createHash('sha256').digest('base64url') };
    expect((await call('POST', '/keys/c/sign', sign)).status).toBe(403);
    await enable(true);
    expect((await call('GET', '/secrets/c')).status).toBe(200);
    expect((await call('POST', '/keys/c/sign', sign)).status).toBe(200);
  });
});

describe('a name that belongs to no certificate', () => {
  test.each(['keys', 'secrets'] as const)('cannot be one’s where one of the %s has it', async (noun) => {
    const name = `plain-${noun}`;
    if (noun === 'keys') await call('POST', `/keys/${name}/create`, { kty: 'EC' });
    else await call('PUT', `/secrets/${name}`, { value: 'x' });
    const source = (await call('GET', '/secrets/c')).json.value;
    const created = await call('POST', `/certificates/${name}/create`, quickBody);
    const imported = await call('POST', `/certificates/${name}/import`, { value: source });
    for (const { status, json } of [created, imported]) {
      expect([status, json.error.code]).toEqual([409, 'Conflict']);
      expect(json.error.message).toContain(name);
    }
    await call('DELETE', `/${noun}/${name}`);
    // Nor while it can still be recovered.
    const again = await call('POST', `/certificates/${name}/create`, quickBody);
    expect([again.status, again.json.error.innererror?.code]).toEqual([409, 'ObjectIsDeletedButRecoverable']);
    await call('DELETE', `/deleted${noun}/${name}`);
    expect((await call('POST', `/certificates/${name}/create`, quickBody)).status).toBe(202);
  });
});

test('a key whose certificate has come to its end signs nothing more, and still verifies', async () => {
  const body = { policy: { ...rsa.policy, x509_props: { subject: 'CN=short', validity_months: 1 } } };
  await call('POST', '/certificates/short/create', body);
  const digest = createHash('sha256').update('old').digest('base64url');
  const sign = () => call('POST', '/keys/short/sign', { alg: 'RS256', value: digest });
  const { kid, value } = (await sign()).json;
  const id = kid.split('/').at(-1);
  clock.jump(32 * day);
  call = vaultCaller(server, await tokenFor(server));
  expect((await sign()).status).toBe(403);
  const verified = await call('POST', `/keys/short/${id}/verify`, { alg: 'RS256', digest, value });
  expect([verified.status, verified.json.value]).toEqual([200, true]);
});

/**
 * Proves secure wrapping (api-version 2026-04-01): the server makes a key that nobody sees and answers it wrapped, and
 * unwraps it for an environment whose attestation satisfies the wrapping key's policy, and for nobody else.
 */
import { constants, createDecipheriv, createPublicKey, publicEncrypt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import {
  badParameter,
  condition,
  forbiddenOperation,
  goodClaims,
  notVerified,
  openRelease,
  type ReleaseServer,
  said,
  startReleaseServer,
} from '../support/key-release.ts';
import { makeIdentity, type RawResponse, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, keyVersionOf } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const day = 86_400;

let it: ReleaseServer;
beforeAll(async () => {
  it = await startReleaseServer({ clock });
  expect((await make('rsa', { ...secure(), kty: 'RSA' })).status).toBe(200);
  expect((await make('oct', secure())).status).toBe(200);
});
afterAll(() => it.close());

const secureOperations = ['secureWrapKey', 'secureUnwrapKey'];
/** The body of a creation: a symmetric key for secure wrapping, under the tests' policy. */
const secure = (more: object = {}) => ({
  kty: 'oct-HSM',
  key_ops: secureOperations,
  release_policy: { data: it.authority.policy(condition), ...more },
});
const mint = (claims: object = goodClaims) => it.authority.mint(clock.now(), { ...claims });
const call = (method: string, path: string, body?: object): Promise<RawResponse> =>
  it.call(method, `${path}?api-version=2026-04-01`, body);
const make = (name: string, body: object) => call('POST', `/keys/${name}/create`, body);
const wrap = (path: string, alg = 'A256KW') => call('POST', `/keys/${path}/securewrapkey`, { alg });
const unwrap = (path: string, value: string, { alg = 'A256KW', target = mint() } = {}) =>
  call('POST', `/keys/${path}/secureunwrapkey`, { alg, value, target });
const bytes = (text: string) => Buffer.from(text, 'base64url');
/** A key that the test knows, wrapped for the vault's RSA key by means of its public half. */
const known = Buffer.alloc(32, 7);
async function wrappedForRsa(plaintext = known): Promise<string> {
  const { n, e } = (await call('GET', '/keys/rsa')).json.key;
  const key = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
  return publicEncrypt({ key, ...padding }, plaintext).toString('base64url');
}
const badCiphertext = badParameter('The parameter is incorrect.\r\n');

describe('wrapping and unwrapping', () => {
  test.each([
    ['rsa', 'RSA-OAEP-256', 256],
    ['rsa', 'RSA-OAEP', 256],
    ['oct', 'A256KW', 40],
    ['oct', 'CKM_AES_KEY_WRAP', 40],
    ['oct', 'CKM_AES_KEY_WRAP_PAD', 40],
  ])('under %s by %s: a new key of 256 bits each time, the same one back', async (name, alg, size) => {
    const wrapped = [await wrap(name, alg), await wrap(name, alg)];
    const unwrapped = new Set<string>();
    for (const reply of wrapped) {
      const { kid, value } = reply.json;
      expect(reply.text).toBe(JSON.stringify({ kid, value, alg }));
      expect(kid).toMatch(new RegExp(`^https://dev\\.vault\\.azure\\.net/keys/${name}/[0-9a-f]{32}$`));
      expect(bytes(value)).toHaveLength(size);
      const back = await unwrap(name, value, { alg });
      expect(back.text).toBe(JSON.stringify({ kid, value: back.json.value, alg }));
      expect(bytes(back.json.value)).toHaveLength(32);
      // Whether it was wrapped at all.
      expect(bytes(value).includes(bytes(back.json.value))).toBe(false);
      unwrapped.add(back.json.value);
    }
    expect(unwrapped.size).toBe(2);
  });

  test('gives back what was wrapped elsewhere for the public key', async () => {
    const { status, json } = await unwrap('rsa', await wrappedForRsa(), { alg: 'RSA-OAEP-256' });
    expect([status, bytes(json.value).equals(known)]).toEqual([200, true]);
  });

  test('by the version that made it, and by no other', async () => {
    const first = keyVersionOf(await make('versions', secure()));
    const { value } = (await wrap('versions')).json;
    await make('versions', secure());
    expect((await unwrap(`versions/${first}`, value)).status).toBe(200);
    expect(said(await unwrap('versions', value))).toEqual(badCiphertext);
  });

  test('with a key that wraps in the usual way too, as the usual way does', async () => {
    const usual = { kty: 'oct-HSM', key_ops: ['wrapKey', 'unwrapKey'] };
    const policy = { attributes: { exportable: true }, release_policy: secure().release_policy };
    await make('usual', { ...usual, ...policy });
    const { value } = (await wrap('usual')).json;
    expect(said(await unwrap('usual', value, { target: mint({}) }))).toEqual([403, notVerified]);
    const back = await unwrap('usual', value);
    expect(back.status).toBe(200);
    const plainly = await call('POST', '/keys/usual/unwrapkey', { alg: 'A256KW', value });
    expect(plainly.json.value).toBe(back.json.value);
    // What the environment would do with the released key itself.
    const { key } = openRelease(
      it,
      (await call('POST', '/keys/usual/release', { target: mint() })).json.value,
    );
    const decipher = createDecipheriv('id-aes256-wrap', key, Buffer.alloc(8, 0xa6));
    expect(Buffer.concat([decipher.update(bytes(value)), decipher.final()]).toString('base64url')).toBe(
      back.json.value,
    );
  });
});

describe('nobody gets the key', () => {
  test('without an attestation, or by one that is not good enough', async () => {
    const { value } = (await wrap('oct')).json;
    for (const target of [undefined, '', 7, null]) {
      const { status, json } = await call('POST', '/keys/oct/secureunwrapkey', {
        alg: 'A256KW',
        value,
        target,
      });
      expect([target, status, json.error.code]).toEqual([target, 400, 'BadParameter']);
    }
    const second = Math.floor(clock.now() / 1000);
    const tokens = [
      mint({}),
      mint({ 'sdk-test': false }),
      mint({ ...goodClaims, exp: second - 3600 }),
      mint({ ...goodClaims, iss: 'https://localhost' }),
      mint().slice(0, -8),
      'a.b.c',
    ];
    for (const target of tokens)
      expect(said(await unwrap('oct', value, { target }))).toEqual([403, notVerified]);
    expect((await unwrap('oct', value)).status).toBe(200);
  });

  test('by the other operations of the key: there are none', async () => {
    const { value } = (await wrap('oct')).json;
    for (const operation of ['unwrapKey', 'decrypt', 'wrapKey', 'encrypt']) {
      const body = { alg: 'A256KW', value };
      expect(said(await call('POST', `/keys/oct/${operation.toLowerCase()}`, body))).toEqual(
        forbiddenOperation(operation),
      );
    }
    expect(said(await call('POST', '/keys/oct/release', { target: mint() }))).toEqual(
      forbiddenOperation('release'),
    );
    const rsa = { alg: 'RSA-OAEP-256', value: await wrappedForRsa() };
    for (const operation of ['unwrapKey', 'decrypt']) {
      expect(said(await call('POST', `/keys/rsa/${operation.toLowerCase()}`, rsa))).toEqual(
        forbiddenOperation(operation),
      );
    }
  });

  test('by a change of the operations or the policy', async () => {
    await make('fixed', secure({ immutable: true }));
    const { value } = (await wrap('fixed')).json;
    const patches = [
      ['unwrapKey'],
      ['decrypt'],
      [...secureOperations, 'unwrapKey'],
      [...secureOperations, 'decrypt'],
      ['secureWrapKey', 'unwrapKey'],
      ['wrapKey', 'decrypt', 'secureUnwrapKey'],
    ].map((key_ops) => ({ key_ops }));
    const other = { release_policy: { data: it.authority.policy({ claim: 'iss', exists: true }) } };
    for (const patch of [...patches, other]) {
      expect([patch, (await call('PATCH', '/keys/fixed', patch)).status]).toEqual([patch, 400]);
    }
    expect(said(await unwrap('fixed', value, { target: mint({}) }))).toEqual([403, notVerified]);
    expect((await unwrap('fixed', value)).status).toBe(200);
    // What only takes away is allowed.
    expect((await call('PATCH', '/keys/fixed', { key_ops: ['secureWrapKey'] })).status).toBe(200);
    expect(said(await unwrap('fixed', value))).toEqual(forbiddenOperation('secureUnwrapKey'));
  });

  test('and without a good attestation nothing is learned of a wrapped key', async () => {
    const altered = bytes(await wrappedForRsa());
    altered[100] = (altered[100] ?? 0) ^ 1;
    const alg = 'RSA-OAEP-256';
    for (const value of [altered.toString('base64url'), await wrappedForRsa(Buffer.alloc(0)), 'AA', '']) {
      expect(said(await unwrap('rsa', value, { alg, target: mint({}) }))).toEqual([403, notVerified]);
    }
    for (const value of [altered.toString('base64url'), 'AA']) {
      expect(said(await unwrap('rsa', value, { alg }))).toEqual(badCiphertext);
    }
    expect(said(await unwrap('oct', 'A'.repeat(54)))).toEqual(badCiphertext);
  });
});

describe('the rules of the key', () => {
  test('it has a policy, is not exportable, and is for nothing that unwraps without one', async () => {
    const { release_policy: _, ...bare } = secure();
    const refused: [body: object, message: string][] = [
      [bare, 'Keys for secure wrap and unwrap must have release policy.'],
      [
        { ...secure(), attributes: { exportable: true } },
        'Keys for secure wrap and unwrap must not be exportable.',
      ],
    ];
    for (const [body, message] of refused)
      expect(said(await make('none', body))).toEqual(badParameter(message));
    for (const operation of ['unwrapKey', 'decrypt']) {
      const mixed = { ...secure(), key_ops: [...secureOperations, operation] };
      expect([operation, (await make('none', mixed)).status]).toEqual([operation, 400]);
    }
    expect((await call('GET', '/keys/none')).status).toBe(404);
    expect((await make('wraps-too', { ...secure(), key_ops: [...secureOperations, 'wrapKey'] })).status).toBe(
      200,
    );
    await make('plain', { kty: 'oct-HSM' });
    expect(said(await call('PATCH', '/keys/plain', { key_ops: secureOperations }))).toEqual(
      badParameter('Keys for secure wrap and unwrap must have release policy.'),
    );
  });

  test('a key without a policy wraps so, and unwraps for nobody so', async () => {
    await make('no-policy', { kty: 'oct-HSM', key_ops: ['wrapKey', 'unwrapKey'] });
    const { value } = (await wrap('no-policy')).json;
    expect(said(await unwrap('no-policy', value))).toEqual(forbiddenOperation('secureUnwrapKey'));
  });

  test('a key that lacks the operation, or is of a kind that does not wrap', async () => {
    await make('encrypts', { kty: 'oct-HSM', key_ops: ['encrypt', 'decrypt'] });
    expect(said(await wrap('encrypts'))).toEqual(forbiddenOperation('secureWrapKey'));
    expect(said(await unwrap('encrypts', 'AA'))).toEqual(forbiddenOperation('secureUnwrapKey'));
    for (const kty of ['EC', 'EC-HSM']) expect((await make('curve', { ...secure(), kty })).status).toBe(400);
    for (const [name, alg] of [
      ['oct', 'RSA-OAEP-256'],
      ['rsa', 'A256KW'],
      ['oct', 'A128KW'],
      ['oct', 'A256GCM'],
      ['oct', 'nosuch'],
      ['rsa', 'RS256'],
    ] as const) {
      const { status, json } = await wrap(name, alg);
      expect([alg, status, json.error.code]).toEqual([alg, 400, 'BadParameter']);
      expect([alg, (await unwrap(name, 'AA', { alg })).status]).toEqual([alg, 400]);
    }
  });

  test('a disabled key does neither; an expired key unwraps', async () => {
    await make('aging', secure());
    const { value } = (await wrap('aging')).json;
    const disabled = (operation: string) => [
      403,
      errorBody('Forbidden', `Operation ${operation} is not allowed on a disabled key.`, 'KeyDisabled'),
    ];
    await call('PATCH', '/keys/aging', { attributes: { enabled: false } });
    expect(said(await wrap('aging'))).toEqual(disabled('secureWrapKey'));
    expect(said(await unwrap('aging', value))).toEqual(disabled('secureUnwrapKey'));
    const exp = Math.floor(clock.now() / 1000) - day;
    await call('PATCH', '/keys/aging', { attributes: { enabled: true, exp } });
    const message = 'Operation secureWrapKey is not allowed on an expired key.';
    expect(said(await wrap('aging'))).toEqual([403, errorBody('Forbidden', message, 'KeyExpired')]);
    expect((await unwrap('aging', value)).status).toBe(200);
  });
});

test('the operations came with 2026-04-01, and take the permissions to wrap and to unwrap', async () => {
  for (const operation of ['securewrapkey', 'secureunwrapkey']) {
    const early = await it.call('POST', `/keys/oct/${operation}?api-version=2025-07-01`, { alg: 'A256KW' });
    expect(said(early)).toEqual(badParameter(`Method POST does not allow operation '${operation}'`));
  }
  const { value } = (await wrap('oct')).json;
  const statuses: number[][] = [];
  for (const role of ['Key Vault Crypto User', 'Key Vault Crypto Service Release User', 'Key Vault Reader']) {
    const identity = await makeIdentity(it.server, role, [{ role, vault: 'dev' }]);
    const asked = vaultCaller(it.server, await tokenFor(it.server, { identity }));
    const at = (operation: string) => `/keys/oct/${operation}?api-version=2026-04-01`;
    const body = { alg: 'A256KW', value, target: mint() };
    statuses.push([
      (await asked('POST', at('securewrapkey'), { alg: 'A256KW' })).status,
      (await asked('POST', at('secureunwrapkey'), body)).status,
    ]);
  }
  expect(statuses).toEqual([
    [200, 200],
    [403, 403],
    [403, 403],
  ]);
});

test('each has its record, with neither the key nor the attestation in it', async () => {
  const { value } = (await wrap('oct')).json;
  const target = mint();
  let unwrapped = '';
  const records = await auditedDuring(it.server, async () => {
    await wrap('oct');
    unwrapped = (await unwrap('oct', value, { target })).json.value;
    await unwrap('oct', value, { target: mint({}) });
  });
  expect(records).toMatchObject([
    { operationName: 'KeySecureWrap', resultType: 'Success' },
    { operationName: 'KeySecureUnwrap', resultType: 'Success' },
    { operationName: 'KeySecureUnwrap', properties: { httpStatusCode: 403 } },
  ]);
  const text = JSON.stringify(records);
  for (const secret of [unwrapped, value, target]) expect(text).not.toContain(secret);
});

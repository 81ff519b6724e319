/** Proves AKP keys (FIPS 204, ML-DSA): that OpenSSL agrees with what they sign, and where they are not to be had. */
import {
  createPublicKey,
  generateKeyPairSync,
  sign as opensslSign,
  verify as opensslVerify,
} from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, keyVersionOf, type VaultCaller } from '../support/vault-rest.ts';

let server: TestServer;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  const plain = vaultCaller(server, await tokenFor(server));
  call = (method, path, body) => {
    const asked = path.includes('api-version') ? path : `${path}?api-version=2026-05-01-preview`;
    return plain(method, asked, body);
  };
});
afterAll(() => server.close());

const message = Buffer.from('a message of any length');
const value = message.toString('base64url');
const sets = [
  ['ML-DSA-44', 'ml-dsa-44', 1312, 2420],
  ['ML-DSA-65', 'ml-dsa-65', 1952, 3309],
  ['ML-DSA-87', 'ml-dsa-87', 2592, 4627],
] as const;

/** A key made by OpenSSL; the types of Node do not know the members of such a JWK yet. */
function outsideKey(type: (typeof sets)[number][1]) {
  const { privateKey } = generateKeyPairSync(type);
  const jwk: unknown = privateKey.export({ format: 'jwk' });
  return { privateKey, jwk: jwk as { readonly alg: string; readonly pub: string; readonly priv: string } };
}

function openedPublic(alg: string, pub: string) {
  const jwk: Readonly<Record<string, string>> = { kty: 'AKP', alg, pub };
  return createPublicKey({ key: jwk, format: 'jwk' });
}

describe.each(sets)('%s', (alg, type, publicBytes, signatureBytes) => {
  test.each([
    ['AKP', 'made'],
    ['AKP-HSM', 'made-hard'],
  ])('an %s key signs as OpenSSL verifies by its pub', async (kty, name) => {
    const made = await call('POST', `/keys/${name}/create`, { kty, alg });
    expect(made.status).toBe(200);
    const { key } = made.json;
    expect(Object.keys(key)).toEqual(['kid', 'kty', 'key_ops', 'alg', 'pub']);
    expect(key).toMatchObject({ kty, alg, key_ops: ['sign', 'verify'] });
    expect(Buffer.from(key.pub, 'base64url')).toHaveLength(publicBytes);
    const signed = await call('POST', `/keys/${name}/sign`, { alg, value });
    expect(signed.json.kid).toBe(key.kid);
    const signature = Buffer.from(signed.json.value, 'base64url');
    expect(signature).toHaveLength(signatureBytes);
    const publicKey = openedPublic(alg, key.pub);
    expect(opensslVerify(null, message, publicKey, signature)).toBe(true);
    expect(opensslVerify(null, Buffer.from('another'), publicKey, signature)).toBe(false);
  });

  test('a key from elsewhere: what OpenSSL signed is verified, what was changed is not', async () => {
    const { privateKey, jwk } = outsideKey(type);
    const imported = await call('PUT', `/keys/in-${alg}`, { key: jwk });
    expect([imported.status, imported.json.key.pub]).toEqual([200, jwk.pub]);
    expect(imported.text).not.toContain(jwk.priv);
    const verify = async (signature: Uint8Array, digest = value) => {
      const body = { alg, digest, value: Buffer.from(signature).toString('base64url') };
      return (await call('POST', `/keys/in-${alg}/verify`, body)).json;
    };
    const signature = opensslSign(null, message, privateKey);
    expect(await verify(signature)).toEqual({ value: true });
    const changed = Buffer.from(signature);
    changed[100] = (changed[100] ?? 0) ^ 1;
    for (const wrong of [
      changed,
      signature.subarray(1),
      Buffer.concat([signature, Buffer.alloc(1)]),
      Buffer.alloc(0),
    ])
      expect(await verify(wrong)).toEqual({ value: false });
    expect(await verify(signature, 'AA')).toEqual({ value: false });
    const signed = await call('POST', `/keys/in-${alg}/sign`, { alg, value });
    const ours = Buffer.from(signed.json.value, 'base64url');
    expect(opensslVerify(null, message, createPublicKey(privateKey), ours)).toBe(true);
  });

  test('a message of no bytes, and one of many', async () => {
    for (const length of [0, 1, 200_000]) {
      const long = Buffer.alloc(length, 7).toString('base64url');
      const signed = await call('POST', '/keys/made/sign', { alg, value: long });
      const verified = { alg, digest: long, value: signed.json.value };
      expect((await call('POST', '/keys/made/verify', verified)).json).toEqual({ value: true });
    }
  });

  test('an algorithm of another parameter set or type is refused', async () => {
    for (const other of ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87', 'ES256', 'RS256'].filter(
      (name) => name !== alg,
    )) {
      const reply = await call('POST', '/keys/made/sign', { alg: other, value });
      expect([other, reply.status, reply.json.error.code]).toEqual([other, 400, 'BadParameter']);
    }
  });

  test('a member of the JWK that is missing, of another key or malformed', async () => {
    const [own, other] = [outsideKey(type).jwk, outsideKey(type).jwk];
    const attempts = [
      { ...own, pub: undefined },
      { ...own, priv: undefined },
      { ...own, alg: undefined },
      { ...own, pub: other.pub },
      { ...own, priv: other.priv },
      { ...own, alg: alg === 'ML-DSA-44' ? 'ML-DSA-65' : 'ML-DSA-44' },
      { ...own, priv: 'AA' },
      { ...own, priv: '!' },
    ];
    for (const key of attempts) {
      const reply = await call('PUT', '/keys/refused', { key });
      expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    }
    expect((await call('GET', '/keys/refused')).status).toBe(404);
  });
});

test('creation needs one of the three algorithms, and takes nothing of other types', async () => {
  const usual = { kty: 'AKP', alg: 'ML-DSA-65' };
  for (const [body, property] of [
    [{ kty: 'AKP' }, 'alg'],
    [{ kty: 'AKP', alg: 'ML-DSA-66' }, 'alg'],
    [{ kty: 'AKP', alg: 'ml-dsa-65' }, 'alg'],
    [{ kty: 'AKP', alg: 'ML-KEM-768' }, 'alg'],
    [{ ...usual, crv: 'P-256' }, 'crv'],
    [{ ...usual, key_size: 2048 }, 'key_size'],
    [{ ...usual, public_exponent: 65_537 }, 'public_exponent'],
    [{ ...usual, key_ops: ['encrypt'] }, 'key_ops'],
    [{ kty: 'EC', alg: 'ES256' }, 'alg'],
    [{ kty: 'RSA', alg: 'ML-DSA-65' }, 'alg'],
  ] as const) {
    const reply = await call('POST', '/keys/refused/create', body);
    expect([body, reply.status, reply.json.error.code]).toEqual([body, 400, 'BadParameter']);
    expect(reply.json.error.message.startsWith(`Property ${property} has invalid value\r\n`)).toBe(true);
  }
});

test('rotation makes a key of the same set; backup and restore keep it', async () => {
  const made = await call('POST', '/keys/turned/create', { kty: 'AKP', alg: 'ML-DSA-44' });
  const signed = await call('POST', '/keys/turned/sign', { alg: 'ML-DSA-44', value });
  const rotated = await call('POST', '/keys/turned/rotate');
  expect(rotated.json.key).toMatchObject({ kty: 'AKP', alg: 'ML-DSA-44' });
  expect(rotated.json.key.pub).not.toBe(made.json.key.pub);
  const backup = (await call('POST', '/keys/turned/backup')).json;
  await call('DELETE', '/keys/turned');
  await call('DELETE', '/deletedkeys/turned');
  expect((await call('POST', '/keys/restore', backup)).text).toBe(rotated.text);
  const body = { alg: 'ML-DSA-44', digest: value, value: signed.json.value };
  const old = await call('POST', `/keys/turned/${keyVersionOf(made)}/verify`, body);
  expect(old.json).toEqual({ value: true });
  expect((await call('POST', '/keys/turned/verify', body)).json).toEqual({ value: false });
});

test.each(['7.6', '2025-07-01', '2026-04-01'])('%s has no such keys', async (version) => {
  const at = (path: string) => `${path}?api-version=${version}`;
  for (const kty of ['AKP', 'AKP-HSM']) {
    const made = await call('POST', at('/keys/early/create'), { kty, alg: 'ML-DSA-65' });
    expect([made.status, made.json.error.code]).toEqual([400, 'BadParameter']);
    expect(made.json.error.message).toMatch(/^Property kty has invalid value\r\n/);
  }
  const key = outsideKey('ml-dsa-44').jwk;
  const imported = await call('PUT', at('/keys/early'), { key });
  expect([imported.status, imported.text]).toEqual([
    400,
    errorBody('BadParameter', 'The property "key" must be a valid JsonWebKey object.'),
  ]);
  expect((await call('GET', '/keys/early')).status).toBe(404);
});

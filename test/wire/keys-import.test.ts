/** Proves which keys come in as JWK, that they do what they did outside, and that malformed and weak ones do not. */
import {
  constants,
  createPublicKey,
  generateKeyPairSync,
  verify as opensslVerify,
  privateEncrypt,
  publicDecrypt,
} from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Jwk, outsideKey } from '../support/key-clients.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, type VaultCaller } from '../support/vault-rest.ts';

let server: TestServer;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  call = vaultCaller(server, await tokenFor(server));
});
afterAll(() => server.close());

const rsa = outsideKey({ bits: 2048 });
const ec = outsideKey({ curve: 'P-256' });
const digest = Buffer.alloc(32, 1).toString('base64url');

/** Refused, nothing kept, and no private member comes back. */
async function refused(key: unknown, message?: RegExp | string): Promise<void> {
  const reply = await call('PUT', '/keys/refused', { key });
  expect([key, reply.status, reply.json.error?.code]).toEqual([key, 400, 'BadParameter']);
  if (typeof message === 'string') expect(reply.text).toBe(errorBody('BadParameter', message));
  else if (message !== undefined) expect(reply.json.error.message).toMatch(message);
  const members = typeof key === 'object' && key !== null ? Object.entries(key) : [];
  for (const [name, value] of members)
    if (
      ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name) &&
      typeof value === 'string' &&
      value.length > 8
    )
      expect(reply.text).not.toContain(value.slice(0, 8));
  expect((await call('GET', '/keys/refused')).status).toBe(404);
}

const noJwk = 'The property "key" must be a valid JsonWebKey object.';

describe('what is no JWK', () => {
  test.each([[{}], [{ kty: 'hunter2' }], [{ kty: 5 }], [{ kty: null }], [{ n: 'AQAB', e: 'AQAB' }]])(
    '%j, in the words of Azure',
    async (key) => refused(key, noJwk),
  );

  test('no object, or none at all, in the words of Azure', async () => {
    for (const body of [{}, { key: null }, { key: 'x' }, { key: [] }, { key: 5 }]) {
      const reply = await call('PUT', '/keys/refused', body);
      expect([body, reply.status, reply.text]).toEqual([body, 400, errorBody('BadParameter', noJwk)]);
    }
  });

  test('operations that are none', async () => {
    for (const key_ops of ['sign', ['fly'], [5], {}]) await refused({ ...ec.jwk, key_ops });
  });

  test('attributes, tags and the like are checked as in creation', async () => {
    for (const more of [
      { tags: { t: 5 } },
      { attributes: { enabled: 'yes' } },
      { Hsm: 'true' },
      { release_policy: 'x' },
      { attributes: { exportable: true } },
    ]) {
      const reply = await call('PUT', '/keys/refused', { key: ec.jwk, ...more });
      expect([more, reply.status, reply.json.error.code]).toEqual([more, 400, 'BadParameter']);
    }
    expect((await call('GET', '/keys/refused')).status).toBe(404);
  });
});

const flipped = (text: string | undefined, at = 20) => {
  const bytes = Buffer.from(text ?? '', 'base64url');
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString('base64url');
};
const zeroFirst = (text: string | undefined, count = 1) =>
  Buffer.concat([Buffer.alloc(count), Buffer.from(text ?? '', 'base64url')]).toString('base64url');
const without = (jwk: Jwk, ...names: string[]) =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name)));

describe('RSA', () => {
  test('signs as OpenSSL verifies, by every member that was given', async () => {
    const imported = await call('PUT', '/keys/rsa', { key: rsa.jwk });
    expect(imported.status).toBe(200);
    const { value } = (await call('POST', '/keys/rsa/sign', { alg: 'RS256', value: digest })).json;
    const inside = publicDecrypt(
      { key: createPublicKey(rsa.key), padding: constants.RSA_PKCS1_PADDING },
      Buffer.from(value, 'base64url'),
    );
    expect(inside.subarray(-32).toString('base64url')).toBe(digest);
    // RSASSA-PKCS1-v1_5 has one signature for a message.
    expect(privateEncrypt(rsa.key, inside).toString('base64url')).toBe(value);
  });

  test('leading zeros and padding, as other libraries write them, are taken and not shown', async () => {
    const { n, d, p, q, dp, dq, qi } = rsa.jwk;
    const key = { ...rsa.jwk, n: zeroFirst(n), d: zeroFirst(d, 2), p: zeroFirst(p), q: zeroFirst(q) };
    const padded = { ...key, dp: zeroFirst(dp), dq: zeroFirst(dq), qi: zeroFirst(qi), e: 'AAEAAQ==' };
    const imported = await call('PUT', '/keys/zeros', { key: padded });
    expect([imported.status, imported.json.key.n, imported.json.key.e]).toEqual([200, n, 'AQAB']);
  });

  test.each(['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'])(
    '%s missing, changed, null or no base64url',
    async (name) => {
      await refused(without(rsa.jwk, name));
      await refused({ ...rsa.jwk, [name]: null });
      await refused({ ...rsa.jwk, [name]: '' });
      await refused({ ...rsa.jwk, [name]: 5 });
      await refused({ ...rsa.jwk, [name]: `${rsa.jwk[name]}!` });
      await refused({ ...rsa.jwk, [name]: flipped(rsa.jwk[name], name === 'e' ? 1 : 20) });
      await refused({ ...rsa.jwk, [name]: 'AA' });
      await refused({ ...rsa.jwk, [name]: 'A'.repeat(20_000) });
    },
  );

  test('a public key alone says so', async () => {
    const jwk = createPublicKey(rsa.key).export({ format: 'jwk' });
    await refused(jwk, /private/);
  });

  test.each([512, 1024, 2056, 2560])('%d bits', async (modulusLength) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength });
    await refused(privateKey.export({ format: 'jwk' }));
  });

  test.each([3, 17, 257])('the exponent %d', async (publicExponent) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent });
    await refused(privateKey.export({ format: 'jwk' }));
  });

  test('members of another key', async () => {
    const other = outsideKey({ bits: 2048 }).jwk;
    for (const name of ['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'])
      await refused({ ...rsa.jwk, [name]: other[name] });
    await refused({ ...rsa.jwk, p: rsa.jwk.q, q: rsa.jwk.p });
  });
});

describe('EC', () => {
  test.each([
    ['P-256', 'prime256v1', 'ES256', 'sha256'],
    ['P-384', 'secp384r1', 'ES384', 'sha384'],
    ['P-521', 'secp521r1', 'ES512', 'sha512'],
    ['P-256K', 'secp256k1', 'ES256K', 'sha256'],
  ])('on %s signs as OpenSSL verifies', async (crv, curve, alg, hash) => {
    const { key, jwk } = outsideKey({ curve });
    const imported = await call('PUT', '/keys/ec', { key: { ...jwk, crv } });
    expect([imported.status, imported.json.key]).toMatchObject([200, { kty: 'EC', crv, x: jwk.x, y: jwk.y }]);
    // The digest of nothing, which OpenSSL makes by itself.
    const value = { sha256: '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU' }[hash] ?? emptyDigest(hash);
    const signed = await call('POST', '/keys/ec/sign', { alg, value });
    const signature = Buffer.from(signed.json.value, 'base64url');
    const by = { key: createPublicKey(key), dsaEncoding: 'ieee-p1363' as const };
    expect(opensslVerify(hash, Buffer.alloc(0), by, signature)).toBe(true);
  });

  test.each(['x', 'y', 'd', 'crv'])('%s missing, changed or malformed', async (name) => {
    await refused(without(ec.jwk, name));
    await refused({ ...ec.jwk, [name]: '' });
    await refused({ ...ec.jwk, [name]: 5 });
    await refused({ ...ec.jwk, [name]: `${ec.jwk[name]}!` });
    await refused({ ...ec.jwk, [name]: flipped(ec.jwk[name]) });
    await refused({ ...ec.jwk, [name]: zeroFirst(ec.jwk[name], 8) });
  });

  test('private values outside the group', async () => {
    const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
    for (const hex of ['00'.repeat(32), order, 'ff'.repeat(32)])
      await refused({ ...ec.jwk, d: Buffer.from(hex, 'hex').toString('base64url') });
  });

  test('points that are not the private value’s: of another key, its negative, off the curve, at infinity', async () => {
    const other = outsideKey({ curve: 'P-256' }).jwk;
    await refused({ ...ec.jwk, x: other.x, y: other.y });
    const prime = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
    const y = BigInt(`0x${Buffer.from(ec.jwk.y ?? '', 'base64url').toString('hex')}`);
    const negative = Buffer.from((prime - y).toString(16).padStart(64, '0'), 'hex').toString('base64url');
    await refused({ ...ec.jwk, y: negative });
    await refused({
      ...ec.jwk,
      x: Buffer.alloc(32).toString('base64url'),
      y: Buffer.alloc(32).toString('base64url'),
    });
    await refused({ ...ec.jwk, x: ec.jwk.y, y: ec.jwk.x });
  });

  test('a curve that the members are not of, or that is not served', async () => {
    for (const crv of ['P-384', 'P-521', 'P-256K', 'secp256k1', 'P-192', 'Ed25519', 'p-256', 'constructor'])
      await refused({ ...ec.jwk, crv });
    const k1 = outsideKey({ curve: 'secp256k1' }).jwk;
    await refused({ ...k1, crv: 'P-256' });
    const brainpool = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    await refused(brainpool, noJwk);
  });

  test('a public key alone says so', async () => {
    await refused(without(ec.jwk, 'd'), /private/);
  });
});

function emptyDigest(hash: string): string {
  const digests: Readonly<Record<string, string>> = {
    sha384:
      '38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b',
    sha512:
      'cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e',
  };
  return Buffer.from(digests[hash] ?? '', 'hex').toString('base64url');
}

describe('oct-HSM', () => {
  test.each([16, 24, 32])('%d bytes', async (length) => {
    const k = Buffer.alloc(length, 3).toString('base64url');
    const imported = await call('PUT', '/keys/oct?api-version=2026-04-01', { key: { kty: 'oct-HSM', k } });
    expect([imported.status, imported.json.attributes.key_size]).toEqual([200, length * 8]);
    expect(imported.text).not.toContain(k);
  });

  test('other lengths, none, and what is no base64url', async () => {
    for (const length of [0, 1, 15, 17, 20, 31, 33, 64])
      await refused({ kty: 'oct-HSM', k: Buffer.alloc(length, 3).toString('base64url') });
    for (const k of [undefined, null, 5, '!', '++++++++++++++++++++++']) await refused({ kty: 'oct-HSM', k });
  });
});

describe('with Hsm and the type', () => {
  test.each([
    ['EC', undefined, 'EC'],
    ['EC', false, 'EC'],
    ['EC', true, 'EC-HSM'],
    ['EC-HSM', undefined, 'EC-HSM'],
    ['EC-HSM', true, 'EC-HSM'],
  ])('kty %s and Hsm %s make %s', async (kty, Hsm, shown) => {
    const imported = await call('PUT', '/keys/typed', { Hsm, key: { ...ec.jwk, kty } });
    expect([imported.status, imported.json.key.kty]).toEqual([200, shown]);
  });

  test('a key that is imported twice becomes two versions of one key', async () => {
    const first = await call('PUT', '/keys/twice', { key: ec.jwk, tags: { n: '1' } });
    const second = await call('PUT', '/keys/TWICE', { key: ec.jwk });
    expect(second.json.key.kid).not.toBe(first.json.key.kid);
    expect(second.json.tags).toBeUndefined();
    expect((await call('GET', '/keys/twice/versions')).json.value).toHaveLength(2);
    expect((await call('GET', '/keys/twice')).text).toBe(second.text);
  });
});

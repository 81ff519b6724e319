/**
 * Proves the official `CryptographyClient` with every algorithm that it knows, once with its local cryptography and once
 * without (it has none for a key that it may not read), and that both agree, with each other and with OpenSSL.
 */
import {
  constants,
  createHash,
  createPublicKey,
  type KeyObject,
  verify as opensslVerify,
  publicEncrypt,
} from 'node:crypto';
import { CryptographyClient, type KeyClient, type KeyVaultKey } from '@azure/keyvault-keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  cryptographyClient,
  type Jwk,
  keyClient,
  type ListeningClient,
  outsideKey,
  sdkJwk,
} from '../support/key-clients.ts';
import { makeIdentity, startTestServer, type TestServer } from '../support/server.ts';

const uses = ['encrypt', 'decrypt', 'wrapkey', 'unwrapkey', 'sign', 'verify'];

let server: TestServer;
let keys: KeyClient;
let user: Awaited<ReturnType<typeof makeIdentity>>;

beforeAll(async () => {
  server = await startTestServer();
  await server.control('vault create', { name: 'policies', accessPolicies: true, sku: 'premium' });
  const allow = (identity: string, permissions: string[]) =>
    server.control('vault set-policy', { name: 'policies', identity, keys: permissions });
  await allow(server.clientId, ['all']);
  user = await makeIdentity(server, 'user');
  await allow(user.objectId, uses);
  keys = keyClient(server, { vault: 'policies' });
});
afterAll(() => server.close());

/** What signs in to use keys alone cannot read them: all is left to the server. */
function remote(key: KeyVaultKey): ListeningClient {
  return cryptographyClient(server, `${key.id}`, { identity: user });
}

/** Does locally what the library can do with the public key. */
function hybrid(key: KeyVaultKey): ListeningClient {
  return cryptographyClient(server, key);
}

const secret = Buffer.from('a secret of 32 bytes, as of keys');
const equal = (value: Uint8Array | undefined, expected: Buffer) =>
  expect(Buffer.from(value ?? []).toString('hex')).toBe(expected.toString('hex'));

describe.each([
  ['RSA', false],
  ['RSA-HSM', true],
])('%s', (name, hsm) => {
  let key: KeyVaultKey;
  let publicKey: KeyObject;
  beforeAll(async () => {
    const { key: outside, jwk } = outsideKey({ bits: 2048 });
    key = await keys.importKey(name, sdkJwk(jwk), { hardwareProtected: hsm });
    publicKey = createPublicKey(outside);
    expect(key.keyType).toBe(name);
  });

  test.each([
    ['RSA1_5', { padding: constants.RSA_PKCS1_PADDING }],
    ['RSA-OAEP', { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' }],
    ['RSA-OAEP-256', { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }],
  ] as const)('%s encrypts and wraps', async (algorithm, options) => {
    const isLocal = algorithm !== 'RSA-OAEP-256';
    const [far, near] = [remote(key), hybrid(key)];
    const ciphertexts = [
      (await far.client.encrypt(algorithm, secret)).result,
      (await near.client.encrypt(algorithm, secret)).result,
      (await far.client.wrapKey(algorithm, secret)).result,
      (await near.client.wrapKey(algorithm, secret)).result,
      publicEncrypt({ key: publicKey, ...options }, secret),
    ];
    expect(far.asked()).toEqual(['get', 'encrypt', 'wrapkey']);
    expect(near.asked()).toEqual(isLocal ? [] : ['encrypt', 'wrapkey']);
    expect(new Set(ciphertexts.map((text) => Buffer.from(text).toString('hex'))).size).toBe(5);
    for (const ciphertext of ciphertexts) {
      equal((await far.client.decrypt(algorithm, ciphertext)).result, secret);
      equal((await near.client.decrypt(algorithm, ciphertext)).result, secret);
      equal((await far.client.unwrapKey(algorithm, ciphertext)).result, secret);
      equal((await near.client.unwrapKey(algorithm, ciphertext)).result, secret);
    }
    expect(near.asked()).toHaveLength(10);
  });

  test('what a client that has the JWK alone encrypts is decrypted by the server', async () => {
    if (key.key === undefined) throw new Error('the key has no members');
    const local = new CryptographyClient(key.key);
    const { result } = await local.encrypt('RSA-OAEP', secret);
    equal((await remote(key).client.decrypt('RSA-OAEP', result)).result, secret);
    await expect(local.decrypt('RSA-OAEP', result)).rejects.toThrow(/Unable to support operation/);
  });

  test.each([
    ['RS256', 'sha256'],
    ['RS384', 'sha384'],
    ['RS512', 'sha512'],
    ['PS256', 'sha256'],
    ['PS384', 'sha384'],
    ['PS512', 'sha512'],
  ])('%s signs and verifies', async (algorithm, hash) => {
    const isPss = algorithm.startsWith('PS');
    const padding = isPss
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: createHash(hash).digest().length }
      : { padding: constants.RSA_PKCS1_PADDING };
    await signsAndVerifies({ key, algorithm, hash }, (signature) =>
      opensslVerify(hash, secret, { key: publicKey, ...padding }, signature),
    );
    // The library's local verification takes PS256 to PS512 for PKCS#1 v1.5, and finds every true signature wrong.
    if (isPss) return;
    const near = hybrid(key);
    const { result } = await near.client.signData(algorithm, secret);
    expect((await near.client.verifyData(algorithm, secret, result)).result).toBe(true);
    expect((await near.client.verifyData(algorithm, Buffer.from('other'), result)).result).toBe(false);
    expect(near.asked()).toEqual(['sign']);
  });
});

/** Signs and verifies by the server alone, the digest and the data; `check` is OpenSSL's word on a signature. */
async function signsAndVerifies(
  { key, algorithm, hash }: { key: KeyVaultKey; algorithm: string; hash: string },
  check: (signature: Uint8Array) => boolean,
): Promise<void> {
  const digest = createHash(hash).update(secret).digest();
  const { client, asked } = remote(key);
  const signatures = [await client.sign(algorithm, digest), await client.signData(algorithm, secret)];
  for (const { result, keyID } of signatures) {
    expect(keyID).toBe(key.id);
    expect(check(result)).toBe(true);
    expect((await client.verify(algorithm, digest, result)).result).toBe(true);
    expect((await client.verifyData(algorithm, secret, result)).result).toBe(true);
    const other = Buffer.from(result);
    other[5] = (other[5] ?? 0) ^ 1;
    expect((await client.verify(algorithm, digest, other)).result).toBe(false);
    expect((await client.verifyData(algorithm, Buffer.from('other'), result)).result).toBe(false);
  }
  expect(asked()).toEqual(['get', 'sign', 'sign', ...Array(8).fill('verify')]);
}

test.each([
  ['ES256', 'P-256', 'prime256v1', 'sha256'],
  ['ES384', 'P-384', 'secp384r1', 'sha384'],
  ['ES512', 'P-521', 'secp521r1', 'sha512'],
  ['ES256K', 'P-256K', 'secp256k1', 'sha256'],
])('%s signs and verifies, r and s in their full length', async (algorithm, crv, curve, hash) => {
  const { key: outside, jwk } = outsideKey({ curve });
  for (const hardwareProtected of [false, true]) {
    const key = await keys.importKey(algorithm, { ...sdkJwk(jwk), crv }, { hardwareProtected });
    const publicKey = createPublicKey(outside);
    await signsAndVerifies({ key, algorithm, hash }, (signature) =>
      opensslVerify(hash, secret, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature),
    );
  }
});

describe('symmetric keys', () => {
  const octets = (bits: number) => Buffer.alloc(bits / 8, bits);
  const made = async (bits: number, keyOps?: string[]) =>
    keys.importKey(`oct-${bits}`, { kty: 'oct-HSM', k: octets(bits), ...(keyOps && { keyOps }) });

  test.each([128, 192, 256])('A%dGCM: the server makes IV and tag', async (bits) => {
    const { client } = remote(await made(bits));
    const algorithm = `A${bits}GCM` as 'A128GCM';
    const aad = Buffer.from('not encrypted');
    const sealed = await client.encrypt({ algorithm, plaintext: secret, additionalAuthenticatedData: aad });
    const { result: ciphertext, iv, authenticationTag } = sealed;
    expect([ciphertext.length, iv?.length, authenticationTag?.length]).toEqual([32, 12, 16]);
    equal(sealed.additionalAuthenticatedData, aad);
    if (iv === undefined || authenticationTag === undefined) return;
    const whole = { algorithm, ciphertext, iv, authenticationTag, additionalAuthenticatedData: aad };
    equal((await client.decrypt(whole)).result, secret);
    const again = await client.encrypt({ algorithm, plaintext: secret, additionalAuthenticatedData: aad });
    expect(again.iv).not.toEqual(iv);
    for (const wrong of [
      { authenticationTag: Buffer.alloc(16) },
      { iv: Buffer.alloc(12) },
      { additionalAuthenticatedData: Buffer.from('other') },
      { ciphertext: Buffer.alloc(32) },
    ])
      await expect(client.decrypt({ ...whole, ...wrong })).rejects.toMatchObject({ statusCode: 400 });
  });

  test.each([128, 192, 256])('A%dCBC and A%dCBCPAD, with an IV of ours or of the server', async (bits) => {
    const { client } = remote(await made(bits));
    for (const algorithm of [`A${bits}CBC`, `A${bits}CBCPAD`] as ('A128CBC' | 'A128CBCPAD')[]) {
      const plaintext = algorithm.endsWith('PAD') ? secret.subarray(1) : secret;
      for (const given of [undefined, Buffer.alloc(16, 9)]) {
        const sealed = await client.encrypt({ algorithm, plaintext, ...(given && { iv: given }) });
        expect(sealed.iv?.length).toBe(16);
        if (given !== undefined) equal(sealed.iv, given);
        const iv = sealed.iv ?? Buffer.alloc(0);
        equal((await client.decrypt({ algorithm, ciphertext: sealed.result, iv })).result, plaintext);
      }
    }
  });

  test.each([128, 192, 256])('A%dCBCPAD of the library itself, by the same octets', async (bits) => {
    const key = await made(bits);
    const local = new CryptographyClient({
      kty: 'oct',
      k: octets(bits),
      keyOps: ['encrypt', 'decrypt'],
    });
    const { client } = remote(key);
    const algorithm = `A${bits}CBCPAD` as 'A128CBCPAD';
    const near = await local.encrypt({ algorithm, plaintext: secret });
    const iv = near.iv ?? Buffer.alloc(0);
    equal((await client.decrypt({ algorithm, ciphertext: near.result, iv })).result, secret);
    const far = await client.encrypt({ algorithm, plaintext: secret, iv });
    equal(far.result, Buffer.from(near.result));
    equal((await local.decrypt({ algorithm, ciphertext: far.result, iv })).result, secret);
  });

  test.each([128, 192, 256])('A%dKW and the wraps of PKCS#11', async (bits) => {
    const { client } = remote(await made(bits));
    for (const algorithm of [`A${bits}KW`, 'CKM_AES_KEY_WRAP', 'CKM_AES_KEY_WRAP_PAD', `A${bits}KWPAD`]) {
      const wrapped = await client.wrapKey(algorithm as 'A128KW', secret);
      expect(wrapped.result.length).toBe(40);
      equal((await client.unwrapKey(algorithm as 'A128KW', wrapped.result)).result, secret);
      const changed = Buffer.from(wrapped.result);
      changed[39] = (changed[39] ?? 0) ^ 1;
      const unwrapped = client.unwrapKey(algorithm as 'A128KW', changed);
      await expect(unwrapped).rejects.toMatchObject({ statusCode: 400 });
    }
  });

  test.each(['HS256', 'HS384', 'HS512'])(
    '%s signs and verifies where the key has those operations',
    async (algorithm) => {
      const { client } = remote(await made(256, ['sign', 'verify']));
      const { result } = await client.sign(algorithm, secret);
      expect(result.length).toBe(Number(algorithm.slice(2)) / 8);
      expect((await client.verify(algorithm, secret, result)).result).toBe(true);
      expect((await client.verify(algorithm, secret, result.subarray(1))).result).toBe(false);
      const { client: other } = remote(await made(256));
      await expect(other.sign(algorithm, secret)).rejects.toMatchObject({
        statusCode: 403,
        message: 'Operation sign is not permitted on this key.',
      });
    },
  );
});

test('one client of KeyClient, for the current version and for another', async () => {
  const { jwk }: { jwk: Jwk } = outsideKey({ curve: 'P-256' });
  const first = await keys.importKey('current', sdkJwk(jwk));
  const second = await keys.createEcKey('current');
  const digest = Buffer.alloc(32, 5);
  const current = keys.getCryptographyClient('current');
  expect(current.vaultUrl).toBe('https://policies.vault.azure.net');
  const { result } = await current.sign('ES256', digest);
  const by = (version: string | undefined) =>
    keys.getCryptographyClient('current', { keyVersion: `${version}` }).verify('ES256', digest, result);
  expect((await by(second.properties.version)).result).toBe(true);
  expect((await by(first.properties.version)).result).toBe(false);
});

/**
 * Proves that a key made elsewhere comes in wrapped under a key of the vault ("bring your own key"): the transfer blobs
 * are made here by OpenSSL as PKCS#11 describes CKM_RSA_AES_KEY_WRAP, and whatever is wrong with one is told alike.
 */
import {
  constants,
  createCipheriv,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as opensslSign,
  verify as opensslVerify,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import type { KeyClient, KeyVaultKey } from '@azure/keyvault-keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import { keyClient, refusal } from '../support/key-clients.ts';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, makeVault, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const now = clock.now() / 1000;

let server: TestServer;
let call: VaultCaller;
let client: KeyClient;
let kek: KeyVaultKey;
let kekPublic: KeyObject;

beforeAll(async () => {
  server = await startTestServer({ clock });
  call = vaultCaller(server, await tokenFor(server));
  client = keyClient(server);
  kek = await client.createRsaKey('kek', { hsm: true, keySize: 2048, keyOps: ['import'] });
  kekPublic = publicKeyOf(kek);
});
afterAll(() => server.close());

function publicKeyOf({ key }: KeyVaultKey): KeyObject {
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64url');
  return createPublicKey({ key: { kty: 'RSA', n: text(key?.n), e: text(key?.e) }, format: 'jwk' });
}

/** AES-256 key under RSA-OAEP, and what is transferred under that key with RFC 5649. */
function wrapped(octets: Uint8Array, { to = kekPublic, oaepHash = 'sha1', aesBytes = 32 } = {}): Buffer {
  const aes = randomBytes(aesBytes);
  const outer = publicEncrypt({ key: to, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, aes);
  const cipher = createCipheriv(`id-aes${aesBytes * 8}-wrap-pad`, aes, Buffer.from('a65959a6', 'hex'));
  return Buffer.concat([outer, cipher.update(octets), cipher.final()]);
}

function blob(ciphertext: Buffer, header: object = {}): Buffer {
  const usual = { kid: kek.id, alg: 'dir', enc: 'CKM_RSA_AES_KEY_WRAP' };
  const members = { schema_version: '1.0.0', header: { ...usual, ...header } };
  const generator = 'a test';
  return Buffer.from(JSON.stringify({ ...members, ciphertext: ciphertext.toString('base64url'), generator }));
}

function pkcs8(key: KeyObject): Buffer {
  return key.export({ type: 'pkcs8', format: 'der' });
}

const data = Buffer.from('what is signed');

test('a key that others are wrapped for lives two days, where nothing is said of it', async () => {
  expect(kek.properties.expiresOn?.getTime()).toBe((now + 172_800) * 1000);
  const said = new Date((now + 86_400) * 1000);
  const own = await client.createRsaKey('kek-own', { hsm: true, keyOps: ['import'], expiresOn: said });
  expect(own.properties.expiresOn).toEqual(said);
});

test('an RSA key: it signs and decrypts as the one that was wrapped', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const imported = await client.importKey(
    'rsa',
    { kty: 'RSA-HSM', keyOps: ['sign', 'verify', 'decrypt'], t: blob(wrapped(pkcs8(privateKey))) },
    { tags: { from: 'elsewhere' } },
  );
  expect(imported).toMatchObject({ keyType: 'RSA-HSM', keyOperations: ['sign', 'verify', 'decrypt'] });
  expect(imported.properties.tags).toEqual({ from: 'elsewhere' });
  expect(publicKeyOf(imported).equals(publicKey)).toBe(true);
  expect(imported.key?.t).toBeUndefined();
  const here = client.getCryptographyClient('rsa');
  const { result } = await here.signData('RS256', data);
  expect(opensslVerify('sha256', data, publicKey, result)).toBe(true);
  const theirs = opensslSign('sha256', data, privateKey);
  expect((await here.verifyData('RS256', data, theirs)).result).toBe(true);
  const sealed = publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, data);
  expect(Buffer.from((await here.decrypt('RSA-OAEP-256', sealed)).result)).toEqual(data);
});

test.each([
  ['P-256', 'prime256v1', 'ES256', 'sha256'],
  ['P-384', 'secp384r1', 'ES384', 'sha384'],
  ['P-521', 'secp521r1', 'ES512', 'sha512'],
  ['P-256K', 'secp256k1', 'ES256K', 'sha256'],
])('an EC key on %s', async (crv, namedCurve, algorithm, hash) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  const imported = await client.importKey('ec', { kty: 'EC-HSM', t: blob(wrapped(pkcs8(privateKey))) });
  expect([imported.keyType, imported.key?.crv]).toEqual(['EC-HSM', crv]);
  const { result } = await client.getCryptographyClient('ec').signData(algorithm, data);
  expect(opensslVerify(hash, data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, result)).toBe(true);
});

test('a symmetric key, whose octets are wrapped as they are', async () => {
  const octets = randomBytes(32);
  const imported = await client.importKey('oct', { kty: 'oct-HSM', t: blob(wrapped(octets)) });
  expect([imported.keyType, imported.key?.k]).toEqual(['oct-HSM', undefined]);
  const here = client.getCryptographyClient('oct');
  const iv = randomBytes(16);
  const { result } = await here.encrypt({ algorithm: 'A256CBCPAD', plaintext: data, iv });
  const cipher = createCipheriv('aes-256-cbc', octets, iv);
  expect(Buffer.from(result)).toEqual(Buffer.concat([cipher.update(data), cipher.final()]));
});

test.each([
  ['RSA_AES_KEY_WRAP_256', 'sha256'],
  ['RSA_AES_KEY_WRAP_384', 'sha384'],
])('%s wraps with another hash', async (enc, oaepHash) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const t = blob(wrapped(pkcs8(privateKey), { oaepHash }), { enc });
  expect((await client.importKey('hashed', { kty: 'EC-HSM', t })).keyType).toBe('EC-HSM');
});

test('the blob may name the key without its version, and a version that is not the current one', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const unversioned = blob(wrapped(pkcs8(privateKey)), { kid: 'https://dev.vault.azure.net/keys/KEK' });
  expect((await client.importKey('named', { kty: 'EC-HSM', t: unversioned })).keyType).toBe('EC-HSM');
  const first = await client.createRsaKey('older', { hsm: true, keyOps: ['import'] });
  await client.createRsaKey('older', { hsm: true, keyOps: ['import'] });
  const old = wrapped(pkcs8(privateKey), { to: publicKeyOf(first) });
  const t = blob(old, { kid: first.id });
  expect((await client.importKey('named', { kty: 'EC-HSM', t })).keyType).toBe('EC-HSM');
  const current = blob(old, { kid: 'https://dev.vault.azure.net/keys/older' });
  const refused = client.importKey('named', { kty: 'EC-HSM', t: current });
  await expect(refused).rejects.toEqual(refusal(400, 'BadParameter', 'The parameter is incorrect.\r\n'));
});

describe('refusals', () => {
  const incorrect = errorBody('BadParameter', 'The parameter is incorrect.\r\n');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  /** Imports by REST, and sees that nothing was. */
  async function refused(t: Buffer, more: object = {}) {
    const key = { kty: 'EC-HSM', key_hsm: t.toString('base64url'), ...more };
    const reply = await call('PUT', '/keys/refused', { key });
    const { status } = await call('GET', '/keys/refused');
    expect([reply.text, status]).toEqual([reply.text, 404]);
    return reply;
  }

  test('every blob that does not open gives one and the same answer', async () => {
    const good = wrapped(pkcs8(privateKey));
    const flipped = (at: number) => {
      const copy = Buffer.from(good);
      copy[at] = (copy[at] ?? 0) ^ 1;
      return copy;
    };
    const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    const attempts: readonly (readonly [string, Buffer])[] = [
      ['a changed first byte', flipped(0)],
      ['a changed byte of the RSA part', flipped(200)],
      ['a changed last byte of the RSA part', flipped(255)],
      ['a changed first byte of the AES part', flipped(256)],
      ['a changed last byte', flipped(good.length - 1)],
      ['the last byte missing', good.subarray(0, -1)],
      ['the last block missing', good.subarray(0, -8)],
      ['a byte too many', Buffer.concat([good, Buffer.alloc(1)])],
      ['a block too many', Buffer.concat([good, Buffer.alloc(8)])],
      ['the RSA part alone', good.subarray(0, 256)],
      ['less than the RSA part', good.subarray(0, 255)],
      ['nothing', Buffer.alloc(0)],
      ['zeros', Buffer.alloc(good.length)],
      ['what is larger than the modulus', Buffer.alloc(good.length, 0xff)],
      ['under another key', wrapped(pkcs8(privateKey), { to: stranger })],
      ['with another hash than it says', wrapped(pkcs8(privateKey), { oaepHash: 'sha256' })],
      ['under a shorter AES key', wrapped(pkcs8(privateKey), { aesBytes: 16 })],
    ];
    for (const [what, ciphertext] of attempts) {
      const reply = await refused(blob(ciphertext));
      expect([what, reply.status, reply.text]).toEqual([what, 400, incorrect]);
    }
  });

  test('a key that would not come in by itself does not come in wrapped', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const other = generateKeyPairSync('ed25519').privateKey;
    for (const octets of [pkcs8(weak), pkcs8(other), Buffer.from('hunter2'), randomBytes(32)]) {
      const reply = await refused(blob(wrapped(octets)));
      expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
      expect(reply.text).not.toContain('hunter2');
    }
    for (const length of [1, 15, 17, 33, 64]) {
      const reply = await refused(blob(wrapped(randomBytes(length))), { kty: 'oct-HSM' });
      expect([length, reply.status, reply.json.error.code]).toEqual([length, 400, 'BadParameter']);
    }
  });

  test('operations that are not of the type of key that came out', async () => {
    const reply = await refused(blob(wrapped(pkcs8(privateKey))), { kty: 'RSA-HSM', key_ops: ['encrypt'] });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
  });

  test('a type of key other than the one that came out', async () => {
    for (const more of [{ kty: 'RSA-HSM' }, { kty: 'RSA-HSM', key_ops: ['sign'] }, { kty: 'AKP-HSM' }]) {
      const reply = await refused(blob(wrapped(pkcs8(privateKey))), more);
      expect([more, reply.status, reply.json.error.code]).toEqual([more, 400, 'BadParameter']);
    }
  });

  test('a blob that is none', async () => {
    const good = wrapped(pkcs8(privateKey));
    const text = good.toString('base64url');
    const whole = JSON.parse(blob(good).toString());
    for (const content of [
      'x',
      '[]',
      '{}',
      { ...whole, schema_version: '2.0.0' },
      { ...whole, header: undefined },
      { ...whole, ciphertext: 5 },
      { ...whole, ciphertext: '!' },
      { ...whole, header: { ...whole.header, alg: 'RSA-OAEP' } },
      { ...whole, header: { ...whole.header, enc: 'A256GCM' } },
      { ...whole, header: { ...whole.header, kid: undefined } },
    ]) {
      const t = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
      const reply = await refused(t);
      expect([content, reply.status, reply.json.error.code]).toEqual([content, 400, 'BadParameter']);
      expect(reply.text).not.toContain(text);
    }
    for (const key_hsm of [5, {}, '', '+/']) {
      const reply = await call('PUT', '/keys/refused', { key: { kty: 'EC-HSM', key_hsm } });
      expect([key_hsm, reply.status, reply.json.error.code]).toEqual([key_hsm, 400, 'BadParameter']);
    }
  });

  test.each([
    ['another vault', 'https://other.vault.azure.net/keys/kek'],
    ['a vault whose name begins alike', 'https://dev2.vault.azure.net/keys/kek'],
    ['a host that is no vault', 'https://dev/keys/kek'],
    ['a secret', 'https://dev.vault.azure.net/secrets/kek'],
    ['no TLS', 'http://dev.vault.azure.net/keys/kek'],
    ['no address', 'kek'],
    ['a name that is none', 'https://dev.vault.azure.net/keys/a_b'],
  ])('a wrapping key of %s', async (_, kid) => {
    const reply = await refused(blob(wrapped(pkcs8(privateKey)), { kid }));
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    expect(reply.json.error.message).toMatch(/^The property "key" must be a valid JsonWebKey object\./);
  });

  test('a wrapping key that is not there, or is not one', async () => {
    const missing = await refused(
      blob(wrapped(pkcs8(privateKey)), { kid: 'https://dev.vault.azure.net/keys/nosuch' }),
    );
    expect([missing.status, missing.json.error.code]).toEqual([404, 'KeyNotFound']);
    const usual = await client.createRsaKey('usual', { hsm: true });
    const t = blob(wrapped(pkcs8(privateKey), { to: publicKeyOf(usual) }), { kid: usual.id });
    const reply = await refused(t);
    expect([reply.status, reply.text]).toEqual([
      403,
      errorBody('Forbidden', 'Operation import is not permitted on this key.', 'KeyOperationForbidden'),
    ]);
  });

  test.each([
    ['disabled', { enabled: false }, 'KeyDisabled'],
    ['expired', { enabled: true, exp: now - 1 }, 'KeyExpired'],
    ['not yet valid', { nbf: now + 100, exp: now + 200 }, 'KeyNotYetValid'],
  ])('a wrapping key that is %s', async (_, attributes, inner) => {
    const other = await client.createRsaKey('other-kek', { hsm: true, keyOps: ['import'] });
    expect((await call('PATCH', '/keys/other-kek', { attributes })).status).toBe(200);
    const t = blob(wrapped(pkcs8(privateKey), { to: publicKeyOf(other) }), { kid: other.id });
    const reply = await refused(t);
    expect([reply.status, reply.json.error.innererror.code]).toEqual([403, inner]);
  });

  test('a key that is not to be of an HSM', async () => {
    for (const kty of ['EC', 'RSA']) {
      const reply = await refused(blob(wrapped(pkcs8(privateKey))), { kty });
      expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    }
  });

  test('a standard vault', async () => {
    await makeVault(server, 'standard', { sku: 'standard' });
    const standard = vaultCaller(server, await tokenFor(server), 'standard');
    const key_hsm = blob(wrapped(pkcs8(privateKey))).toString('base64url');
    const reply = await standard('PUT', '/keys/k', { key: { kty: 'EC-HSM', key_hsm } });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    const kid = 'https://standard.vault.azure.net/keys/kek';
    const own = blob(wrapped(pkcs8(privateKey)), { kid }).toString('base64url');
    const still = await standard('PUT', '/keys/k', { key: { kty: 'EC-HSM', key_hsm: own } });
    expect([still.status, still.text]).toEqual([
      400,
      errorBody('BadParameter', 'Hardware key operation not allowed on standard vault'),
    ]);
    expect((await standard('GET', '/keys/k')).status).toBe(404);
  });
});

test('with Hsm in place of the type', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key_hsm = blob(wrapped(pkcs8(privateKey))).toString('base64url');
  const reply = await call('PUT', '/keys/hsm', { Hsm: true, key: { kty: 'EC', key_hsm } });
  expect([reply.status, reply.json.key.kty]).toEqual([200, 'EC-HSM']);
});

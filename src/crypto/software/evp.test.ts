import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  sign,
  verify,
} from 'node:crypto';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { openEvp, type Settings } from './evp.ts';

const evp = openEvp(null);
const pkcs8 = (key: KeyObject) => key.export({ format: 'der', type: 'pkcs8' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const message = Buffer.from('a message');
const digest = createHash('sha256').update(message).digest();
const pkcs1: Settings = [
  ['rsa_padding_mode', 'pkcs1'],
  ['digest', 'sha256'],
];
const oaep: Settings = [['rsa_padding_mode', 'oaep']];

describe('a key that is read', () => {
  test('is described as OpenSSL has it', () => {
    const rsaKey = evp.load(pkcs8(rsa.privateKey));
    const ecKey = evp.load(pkcs8(ec.privateKey));
    expect(rsaKey).toMatchObject({ size: 256 });
    expect(ecKey).toMatchObject({ size: 72 });
    for (const [{ spki }, { publicKey }] of [
      [rsaKey, rsa],
      [ecKey, ec],
    ] as const) {
      const read = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
      expect(read.equals(publicKey)).toBe(true);
    }
    rsaKey.free();
    ecKey.free();
  });

  test('may be a view into other bytes, which can be wiped at once', () => {
    const der = pkcs8(ec.privateKey);
    const around = Buffer.concat([Buffer.alloc(13, 0x30), der, Buffer.alloc(5)]);
    const key = evp.load(around.subarray(13, 13 + der.length));
    around.fill(0);
    const signature = key.sign([], digest).here();
    expect(verify('sha256', message, ec.publicKey, signature)).toBe(true);
    key.free();
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['noise', Buffer.from('not a key at all')],
    ['a key that is cut', pkcs8(ec.privateKey).subarray(0, -1)],
    ['a key that says to be longer', Buffer.concat([Buffer.of(0x30, 0x84, 0x7f, 0xff, 0xff, 0xff)])],
    ['octets after a key', Buffer.concat([pkcs8(ec.privateKey), Buffer.of(0)])],
    ['two keys', Buffer.concat([pkcs8(ec.privateKey), pkcs8(ec.privateKey)])],
    ['a public key', rsa.publicKey.export({ format: 'der', type: 'spki' })],
  ])('is not %s', (_, bytes) => {
    expect(() => evp.load(bytes)).toThrow();
  });
});

describe('a call', () => {
  test('does the same here and in the pool', async () => {
    const key = evp.load(pkcs8(rsa.privateKey));
    const here = key.sign(pkcs1, digest).here();
    expect(verify('sha256', message, rsa.publicKey, here)).toBe(true);
    expect(await key.sign(pkcs1, digest).inPool()).toEqual(here);
    expect(key.verify(pkcs1, digest, here).here()).toBe(true);
    expect(await key.verify(pkcs1, digest, here).inPool()).toBe(true);
    expect(await key.verify(pkcs1, createHash('sha256').digest(), here).inPool()).toBe(false);
    const ciphertext = publicEncrypt(rsa.publicKey, message);
    expect(key.decrypt(oaep, ciphertext).here()).toEqual(Uint8Array.from(message));
    expect(await key.decrypt(oaep, ciphertext).inPool()).toEqual(Uint8Array.from(message));
    expect(await key.decrypt(oaep, here).inPool()).toBeUndefined();
    key.free();
  });

  test('works on what it was given, whatever becomes of that', async () => {
    const key = evp.load(pkcs8(rsa.privateKey));
    const given = Buffer.from(digest);
    const call = key.sign(pkcs1, given);
    given.fill(0);
    expect(verify('sha256', message, rsa.publicKey, await call.inPool())).toBe(true);
    key.free();
  });

  test('runs only once', async () => {
    const key = evp.load(pkcs8(ec.privateKey));
    const call = key.sign([], digest);
    call.here();
    expect(() => call.here()).toThrow('only once');
    expect(() => call.inPool()).toThrow('only once');
    key.free();
  });

  test('that was set up before the key was freed still runs, and none after', async () => {
    const key = evp.load(pkcs8(rsa.privateKey));
    const calls = Array.from({ length: 8 }, () => key.sign(pkcs1, digest));
    key.free();
    key.free();
    expect(() => key.sign(pkcs1, digest)).toThrow('freed');
    for (const signature of await Promise.all(calls.map((call) => call.inPool())))
      expect(verify('sha256', message, rsa.publicKey, signature)).toBe(true);
  });

  test('is not set up with what OpenSSL does not know', () => {
    const key = evp.load(pkcs8(rsa.privateKey));
    const ecKey = evp.load(pkcs8(ec.privateKey));
    expect(() => key.sign([['no_such_setting', '1']], digest)).toThrow('no_such_setting');
    expect(() => key.sign([['digest', 'no-such-hash']], digest)).toThrow('digest');
    expect(() => ecKey.decrypt([], digest)).toThrow('EVP_PKEY_decrypt_init');
    key.free();
    ecKey.free();
  });

  test('fails where the digest is not what the settings say', async () => {
    const key = evp.load(pkcs8(rsa.privateKey));
    expect(() => key.sign(pkcs1, digest.subarray(1)).here()).toThrow('EVP_PKEY_sign');
    await expect(key.sign(pkcs1, digest.subarray(1)).inPool()).rejects.toThrow('EVP_PKEY_sign');
    key.free();
  });
});

describe('what is refused', () => {
  const key = evp.load(pkcs8(rsa.privateKey));
  const wrong = Buffer.alloc(256, 1);
  const tooLong = Buffer.alloc(300);

  test.each([
    ['a ciphertext', () => key.decrypt(oaep, wrong).here()],
    ['a digest', () => key.sign(pkcs1, tooLong).here()],
    ['a setting', () => key.sign([['digest', 'no-such-hash']], digest)],
    ['a key', () => evp.load(Buffer.alloc(8, 0x30))],
  ])('leaves no error for node:crypto to find: %s', (_, refuse) => {
    try {
      refuse();
    } catch {
      // Whether it throws is tested above.
    }
    // It would say whatever it finds first.
    expect(() => createPrivateKey({ key: Buffer.of(1), format: 'der', type: 'pkcs8' })).toThrow(
      'asn1 encoding routines::not enough data',
    );
  });

  test('in the pool leaves node:crypto in working order', async () => {
    const refused = Array.from({ length: 40 }, () => key.decrypt(oaep, wrong).inPool());
    expect((await Promise.all(refused)).every((plaintext) => plaintext === undefined)).toBe(true);
    const signInPool = promisify(sign);
    const signed = Array.from({ length: 16 }, () => signInPool('sha256', message, ec.privateKey));
    for (const signature of await Promise.all(signed))
      expect(verify('sha256', message, ec.publicKey, signature)).toBe(true);
  });
});

describe('a library that cannot be used', () => {
  test('because it is not there', () => {
    expect(() => openEvp('/nowhere/libcrypto.so')).toThrow();
  });

  test('because functions are missing in it', () => {
    expect(() => openEvp(someOtherLibrary())).toThrow(/ERR_clear_error/);
  });
});

/** koffi's own binary is a library without OpenSSL's functions, wherever the tests run. */
function someOtherLibrary(): string {
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  const found = sharedObjects.find((name) => name.endsWith('.node'));
  if (found === undefined) throw new Error('no addon is loaded');
  return found;
}

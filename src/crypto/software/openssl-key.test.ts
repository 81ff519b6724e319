import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { digestFor, ecPair, generate, pairOf, row, rsaPair } from '../../../test/support/asymmetric-keys.ts';
import { badCiphertexts, encrypt } from '../../../test/support/rsa-ciphertexts.ts';
import { silentLog } from '../../core/log.ts';
import { chooseEngine } from './asymmetric.ts';
import { type Evp, type EvpKey, openEvp } from './evp.ts';
import { loadOpenSslKey } from './openssl-key.ts';

const evp = openEvp(null);
const rsa = await rsaPair(2048);
const ec = await ecPair(row('ES512'));
const message = Buffer.from('what is signed');

/** The real library; what its keys are given goes into `calls`. */
function watched() {
  const calls = { verified: [] as number[], decrypted: [] as Uint8Array[], freed: 0 };
  const watch = (key: EvpKey): EvpKey => ({
    ...key,
    verify(settings, digest, signature) {
      calls.verified.push(signature.length);
      return key.verify(settings, digest, signature);
    },
    decrypt(settings, ciphertext) {
      calls.decrypted.push(ciphertext);
      return key.decrypt(settings, ciphertext);
    },
    free() {
      calls.freed += 1;
      key.free();
    },
  });
  const library: Evp = { load: (pkcs8) => watch(evp.load(pkcs8)) };
  return { library, calls };
}

const oaep = { scheme: 'rsa-oaep', hash: 'sha256' } as const;
const { n = '' } = rsa.publicKey.export({ format: 'jwk' });
const modulus = Buffer.from(n, 'base64url');

describe('a ciphertext that cannot be one costs OpenSSL the same work as one that can', () => {
  test.each([
    ...badCiphertexts(rsa.publicKey, oaep),
    { kind: 'good', ciphertext: encrypt(rsa.publicKey, oaep, message) },
    { kind: 'nothing', ciphertext: Buffer.alloc(0) },
    { kind: 'the modulus', ciphertext: modulus },
  ])('$kind', ({ kind, ciphertext }) => {
    const { library, calls } = watched();
    const key = loadOpenSslKey(library, rsa.pkcs8);
    const plaintext = key.decrypt(oaep, ciphertext).here();
    expect(plaintext !== undefined).toBe(kind === 'good');
    expect(calls.decrypted).toHaveLength(1);
    for (const given of calls.decrypted) {
      expect(given).toHaveLength(256);
      expect(Buffer.compare(given, modulus)).toBe(-1);
    }
    key.free();
  });
});

test('OpenSSL does not see a signature of the wrong length', () => {
  for (const [pair, algorithm, length] of [
    [rsa, row('PS256'), 256],
    [ec, row('ES512'), 132],
  ] as const) {
    const { library, calls } = watched();
    const key = loadOpenSslKey(library, pair.pkcs8);
    const digest = digestFor(algorithm, message);
    for (const wrong of [0, 1, length - 1, length + 1, 2 * length, 1_000_000])
      expect(key.verify(algorithm, digest, Buffer.alloc(wrong, 1))).toBeUndefined();
    expect(key.verify(algorithm, digest, randomBytes(length))?.here()).toBe(false);
    expect(calls.verified).toHaveLength(1);
    key.free();
  }
});

test('a key is freed once, and also one that turns out to be of no use', async () => {
  const { library, calls } = watched();
  const engine = chooseEngine({ log: silentLog }, () => library);
  expect(engine.kind).toBe('openssl');
  const before = calls.freed;
  const key = engine.load(rsa.pkcs8);
  const signature = key.sign(row('RS256'), digestFor(row('RS256'), message));
  key.close();
  key.close();
  expect(await signature).toHaveLength(256);
  expect(calls.freed).toBe(before + 1);

  const ed25519 = pairOf(await generate('ed25519'));
  expect(() => loadOpenSslKey(library, ed25519.pkcs8)).toThrow('neither RSA nor');
  expect(calls.freed).toBe(before + 2);
});

import { execFileSync } from 'node:child_process';
import { getCiphers } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { optional } from '../../../test/support/optional.ts';
import { decryptRc2, Rc2Missing } from './rc2.ts';

const hex = (text: string) => Buffer.from(text, 'hex');
const iv = hex('0123456789abcdef');

/** Made with `openssl enc -provider legacy -rc2-40-cbc` and `-rc2-cbc` of OpenSSL 3.0, over the text below. */
const text = 'RC2 in CBC mode, of some blocks';
const vectors = [
  { key: '1122334455', ciphertext: '828df5ad0dd0ecd4ffc236ea7c2ea20f847dbb2128ca67ba7ece72d3ad5c1066' },
  {
    key: '000102030405060708090a0b0c0d0e0f',
    ciphertext: 'd68ecb2db1c41b4706f12515f5b371568365fc097a337903c12f2a76c64f5679',
  },
];

function encrypt(cipher: string, key: string, plaintext: Uint8Array): Buffer {
  const flags = ['-provider', 'legacy', '-provider', 'default', `-${cipher}`, '-K', key];
  return execFileSync('openssl', ['enc', ...flags, '-iv', iv.toString('hex')], { input: plaintext });
}

function hasLegacyCommand(): boolean {
  try {
    return encrypt('rc2-40-cbc', '1122334455', Buffer.alloc(0)).length === 8;
  } catch {
    return false;
  }
}

test.each(vectors)('decrypts what OpenSSL encrypted, key $key', ({ key, ciphertext }) => {
  const plaintext = decryptRc2({ key: hex(key), iv, ciphertext: hex(ciphertext) });
  expect(Buffer.from(plaintext).toString()).toBe(text);
});

describe.skipIf(!optional('RC2 against the openssl command', hasLegacyCommand()))('every length', () => {
  test.each([0, 1, 7, 8, 9, 1000, 65_536])('%d octets', (length) => {
    const plaintext = Buffer.alloc(length, 'octets');
    const ciphertext = encrypt('rc2-cbc', '000102030405060708090a0b0c0d0e0f', plaintext);
    const key = hex('000102030405060708090a0b0c0d0e0f');
    expect(Buffer.from(decryptRc2({ key, iv, ciphertext })).equals(plaintext)).toBe(true);
  });
});

describe('refused', () => {
  const ciphertext = hex('828df5ad0dd0ecd4ffc236ea7c2ea20f847dbb2128ca67ba7ece72d3ad5c1066');

  test('another key, a ciphertext cut short, none at all', () => {
    const key = hex('1122334455');
    expect(() => decryptRc2({ key: hex('1122334456'), iv, ciphertext })).toThrow('not RC2 of this key');
    expect(() => decryptRc2({ key, iv, ciphertext: ciphertext.subarray(0, 31) })).toThrow('not RC2');
    expect(() => decryptRc2({ key, iv, ciphertext: Buffer.alloc(0) })).toThrow('not RC2 of this key');
  });

  test.each([0, 4, 6, 8, 15, 17, 32])('a key of %d octets', (length) => {
    expect(() => decryptRc2({ key: Buffer.alloc(length), iv, ciphertext })).toThrow(TypeError);
  });

  test.each([0, 7, 16])('an IV of %d octets', (length) => {
    const input = { key: hex('1122334455'), iv: Buffer.alloc(length), ciphertext };
    expect(() => decryptRc2(input)).toThrow(TypeError);
  });
});

test('a library that is not there is said as such', () => {
  const input = { key: hex('1122334455'), iv, ciphertext: Buffer.alloc(8) };
  expect(() => decryptRc2(input, '/nowhere/libcrypto.so')).toThrow(Rc2Missing);
});

test('the process itself still has no RC2 afterwards', () => {
  decryptRc2({
    key: hex('1122334455'),
    iv,
    ciphertext: hex('828df5ad0dd0ecd4ffc236ea7c2ea20f847dbb2128ca67ba7ece72d3ad5c1066'),
  });
  expect(getCiphers().filter((name) => name.startsWith('rc2'))).toEqual([]);
});

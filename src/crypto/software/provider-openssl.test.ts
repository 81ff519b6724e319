/** OpenSSL's command as the other party: what it makes we take, and what we make it takes. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, hash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  encryptionRow,
  hasOpenSsl,
  materialOf,
  noParameters,
  openOctets,
  signatureRow,
  testProvider,
  transportRow,
} from '../../../test/support/software-keys.ts';
import type { KeyProvider, PrivateJwk } from '../provider.ts';
import { systemRandom as random } from '../random.ts';
import { exportJwk } from './key-pair.ts';

const present = hasOpenSsl('it does not check keys, ciphertexts and MACs of the software provider');

let provider: KeyProvider;
let folder: string;

beforeAll(async () => {
  provider = testProvider();
  folder = await mkdtemp(join(tmpdir(), 'strongroom-keys-'));
});

afterAll(async () => {
  provider.close();
  await rm(folder, { recursive: true, force: true });
});

function openssl(command: readonly string[], input: Uint8Array = new Uint8Array()): Buffer {
  return execFileSync('openssl', command, { input, stdio: ['pipe', 'pipe', 'ignore'] });
}

async function saved(name: string, content: Uint8Array | string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** A key that OpenSSL's command made: its PEM in a file, and as a JWK. */
async function foreignKey(name: string, options: readonly string[]) {
  const pem = openssl(['genpkey', ...options]);
  const { kty, ...members } = exportJwk(createPrivateKey(pem));
  if (kty !== 'RSA' && kty !== 'EC') throw new Error('neither RSA nor EC');
  const texts = Object.entries(members).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  const jwk: PrivateJwk = { kty, members: Object.fromEntries(texts) };
  return { file: await saved(`${name}.pem`, pem), jwk };
}

const rsaKey = (bits: number) => ['-algorithm', 'RSA', '-pkeyopt', `rsa_keygen_bits:${bits}`];
const ecKey = (curve: string) => ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`];

const paddings: Readonly<Record<string, readonly string[]>> = {
  RSA1_5: ['-pkeyopt', 'rsa_padding_mode:pkcs1'],
  'RSA-OAEP': ['-pkeyopt', 'rsa_padding_mode:oaep'],
  'RSA-OAEP-256': oaep('sha256'),
};

function oaep(hashName: string): readonly string[] {
  const md = [`rsa_oaep_md:${hashName}`, `rsa_mgf1_md:${hashName}`];
  return ['-pkeyopt', 'rsa_padding_mode:oaep', ...md.flatMap((option) => ['-pkeyopt', option])];
}

describe.runIf(present)('RSA encryption', () => {
  test.each([2048, 3072, 4096])('of %s bits, in both directions', async (bits) => {
    const foreign = await foreignKey(`rsa-${bits}`, rsaKey(bits));
    const handle = await provider.open(await provider.import(foreign.jwk));
    for (const [name, options] of Object.entries(paddings)) {
      const row = encryptionRow(name);
      const plaintext = random.bytes(32);
      const ours = await handle.encrypt(row, { plaintext, iv: undefined, aad: undefined });
      const opened = openssl(['pkeyutl', '-decrypt', '-inkey', foreign.file, ...options], ours.ciphertext);
      expect(opened.equals(plaintext)).toBe(true);
      const theirs = openssl(['pkeyutl', '-encrypt', '-inkey', foreign.file, ...options], plaintext);
      const back = await handle.decrypt(row, { ...noParameters, ciphertext: theirs });
      expect(Buffer.from(back.exposeBytes()).equals(plaintext)).toBe(true);
    }
    handle.close();
  });
});

describe.runIf(present)('keys that the command made', () => {
  test.each([
    ['ES256', 'prime256v1', 'P-256'],
    ['ES384', 'secp384r1', 'P-384'],
    ['ES512', 'secp521r1', 'P-521'],
    ['ES256K', 'secp256k1', 'P-256K'],
  ])('%s: come in and sign what it verifies', async (name, curve, crv) => {
    const foreign = await foreignKey(`ec-${curve}`, ecKey(curve));
    const made = await provider.import({ ...foreign.jwk, members: { ...foreign.jwk.members, crv } });
    const handle = await provider.open(made);
    const row = signatureRow(name);
    const message = Buffer.from('message');
    const digest = hash(row.hash ?? '', message, 'buffer');
    const der = toDer(await handle.sign(row, digest));
    const signature = await saved(`${curve}.sig`, der);
    const said = openssl(
      ['dgst', `-${row.hash}`, '-prverify', foreign.file, '-signature', signature],
      message,
    );
    expect(said.toString()).toMatch(/Verified OK/);
    handle.close();
  });

  test('a key of the provider is one for the command', async () => {
    for (const spec of [
      { type: 'RSA', bits: 3072, exponent: 65_537 },
      { type: 'EC', curve: 'P-256K' },
      { type: 'EC', curve: 'P-521' },
    ] as const) {
      const { material } = await provider.generate(spec);
      expect(
        openssl(['pkey', '-inform', 'DER', '-check', '-noout'], material.exposeBytes()).toString(),
      ).toMatch(/is valid/);
    }
  });

  test('explicit parameters of a curve are not a way in for another generator', async () => {
    const explicit = openssl([
      'genpkey',
      ...ecKey('prime256v1'),
      '-pkeyopt',
      'ec_param_enc:explicit',
      '-outform',
      'DER',
    ]);
    const exchange = await provider.generate({ type: 'RSA', bits: 2048, exponent: 65_537 });
    const generator = Buffer.from(
      '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296',
      'hex',
    );
    const at = explicit.indexOf(generator);
    expect(at).toBeGreaterThan(0);
    const other = Buffer.from(explicit);
    // The negative of the generator is as good a generator, of the same order; it makes other points of private values.
    const [head, end] = [at + 33, at + 65];
    const prime = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
    const y = prime - BigInt(`0x${explicit.subarray(head, end).toString('hex')}`);
    other.set(Buffer.from(y.toString(16).padStart(64, '0'), 'hex'), head);
    const handle = await provider.open(exchange);
    const wrapped = wrapByCommand(other, await saved('exchange.pem', pemOf(materialOf(exchange))));
    await expect(
      handle.importWrapped(transportRow('RSA_AES_KEY_WRAP_256'), { wrapped, isOctets: false }),
    ).rejects.toMatchObject({ kind: 'badParameter' });
    handle.close();
  });
});

describe.runIf(present)('AES and HMAC', () => {
  test.each([128, 192, 256])('CBC and key wrap with %s bits, in both directions', async (bits) => {
    const octets = random.bytes(bits / 8);
    const handle = await openOctets(provider, octets);
    const key = Buffer.from(octets).toString('hex');
    const plaintext = random.bytes(48);
    const modes: readonly [string, string, readonly string[]][] = [
      [`A${bits}CBC`, `aes-${bits}-cbc`, ['-nopad']],
      [`A${bits}CBCPAD`, `aes-${bits}-cbc`, []],
      [`A${bits}KW`, `id-aes${bits}-wrap`, ['-iv', 'a6a6a6a6a6a6a6a6']],
      [`A${bits}KWPAD`, `id-aes${bits}-wrap-pad`, ['-iv', 'a65959a6']],
    ];
    for (const [name, cipher, more] of modes) {
      const { ciphertext, iv } = await handle.encrypt(encryptionRow(name), {
        plaintext,
        iv: undefined,
        aad: undefined,
      });
      const options = [
        `-${cipher}`,
        '-K',
        key,
        ...more,
        ...(iv ? ['-iv', Buffer.from(iv).toString('hex')] : []),
      ];
      expect(openssl(['enc', '-d', ...options], ciphertext).equals(plaintext)).toBe(true);
      const theirs = openssl(['enc', ...options], plaintext);
      expect(theirs.equals(ciphertext)).toBe(true);
    }
    handle.close();
  });

  test.each([128, 192, 256])('HMAC with %s bits', async (bits) => {
    const octets = random.bytes(bits / 8);
    const handle = await openOctets(provider, octets);
    const key = `hexkey:${Buffer.from(octets).toString('hex')}`;
    const value = random.bytes(100);
    for (const name of ['HS256', 'HS384', 'HS512']) {
      const row = signatureRow(name);
      const theirs = openssl(['dgst', `-${row.hash}`, '-mac', 'HMAC', '-macopt', key, '-binary'], value);
      await expect(handle.verify(row, value, theirs)).resolves.toBe(true);
    }
    handle.close();
  });
});

describe.runIf(present)('key transport', () => {
  test.each([
    ['CKM_RSA_AES_KEY_WRAP', 'sha1'],
    ['RSA_AES_KEY_WRAP_256', 'sha256'],
    ['RSA_AES_KEY_WRAP_384', 'sha384'],
  ])('%s, in both directions', async (name, hashName) => {
    const foreign = await foreignKey(`target-${hashName}`, rsaKey(2048));
    const exchange = await provider.import(foreign.jwk);
    const key = await provider.generate({ type: 'EC', curve: 'P-384' });
    const handle = await provider.open(key);
    const blob = Buffer.from(await handle.exportWrapped(transportRow(name), exchange.publicJwk));
    handle.close();
    const decrypt = ['pkeyutl', '-decrypt', '-inkey', foreign.file, ...oaep(hashName)];
    const ephemeral = openssl(decrypt, blob.subarray(0, 256)).toString('hex');
    const unwrap = ['enc', '-d', '-id-aes256-wrap-pad', '-K', ephemeral, '-iv', 'a65959a6'];
    expect(openssl(unwrap, blob.subarray(256)).equals(materialOf(key))).toBe(true);

    const wrapped = wrapByCommand(materialOf(key), foreign.file, hashName);
    const exchangeHandle = await provider.open(exchange);
    const arrived = await exchangeHandle.importWrapped(transportRow(name), { wrapped, isOctets: false });
    expect(arrived.publicJwk).toEqual(key.publicJwk);
    exchangeHandle.close();
  });
});

function wrapByCommand(inner: Uint8Array, keyFile: string, hashName = 'sha256'): Buffer {
  const ephemeral = random.bytes(32);
  const hex = Buffer.from(ephemeral).toString('hex');
  const first = openssl(['pkeyutl', '-encrypt', '-inkey', keyFile, ...oaep(hashName)], ephemeral);
  return Buffer.concat([first, openssl(['enc', '-id-aes256-wrap-pad', '-K', hex, '-iv', 'a65959a6'], inner)]);
}

function pemOf(pkcs8: Buffer): string {
  return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}

/** r‖s as the DER that the command reads: SEQUENCE of two INTEGERs (RFC 3279 §2.2.3). */
function toDer(signature: Uint8Array): Buffer {
  const half = signature.length / 2;
  const body = Buffer.concat([integer(signature.subarray(0, half)), integer(signature.subarray(half))]);
  return Buffer.concat([Buffer.of(0x30, ...lengthOf(body.length)), body]);
}

function integer(octets: Uint8Array): Buffer {
  const start = octets.findIndex((octet) => octet !== 0);
  const value = octets.subarray(start);
  const sign = (value[0] ?? 0) >= 128 ? [0] : [];
  return Buffer.concat([Buffer.of(0x02, value.length + sign.length, ...sign), value]);
}

function lengthOf(length: number): readonly number[] {
  return length < 128 ? [length] : [0x81, length];
}

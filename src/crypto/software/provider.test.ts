/**
 * Proves the provider as its callers see it: every algorithm with every kind of key, against published vectors and
 * WebCrypto; and that keys are gone from memory when they are closed.
 */
import { createPrivateKey, createPublicKey, hash, webcrypto } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  encryptionRow,
  hex,
  materialOf,
  noParameters,
  openOctets,
  readVectors,
  signatureRow,
  testProvider,
} from '../../../test/support/software-keys.ts';
import { encryptionAlgorithms, type HashName, signatureAlgorithms } from '../algorithms.ts';
import {
  type KeyHandle,
  type KeyProvider,
  type KeySpec,
  type NewKey,
  NotDecrypted,
  type PrivateJwk,
} from '../provider.ts';
import { systemRandom as random } from '../random.ts';
import { exportJwk } from './key-pair.ts';

const { subtle } = webcrypto;

const specs: Readonly<Record<string, KeySpec>> = {
  'RSA-2048': { type: 'RSA', bits: 2048, exponent: 65_537 },
  'RSA-3072': { type: 'RSA', bits: 3072, exponent: 65_537 },
  'RSA-4096': { type: 'RSA', bits: 4096, exponent: 65_537 },
  'P-256': { type: 'EC', curve: 'P-256' },
  'P-384': { type: 'EC', curve: 'P-384' },
  'P-521': { type: 'EC', curve: 'P-521' },
  'P-256K': { type: 'EC', curve: 'P-256K' },
  'oct-128': { type: 'oct', bits: 128 },
  'oct-192': { type: 'oct', bits: 192 },
  'oct-256': { type: 'oct', bits: 256 },
  'ML-DSA-44': { type: 'AKP', parameterSet: 'ML-DSA-44' },
  'ML-DSA-65': { type: 'AKP', parameterSet: 'ML-DSA-65' },
  'ML-DSA-87': { type: 'AKP', parameterSet: 'ML-DSA-87' },
};
const names = Object.keys(specs);

/** Which keys an algorithm is for, told from the algorithm's name and nothing else. */
const keysOf: Readonly<Record<string, RegExp>> = {
  '^[RP]S': /^RSA/,
  '^ES256$': /^P-256$/,
  '^ES384$': /^P-384$/,
  '^ES512$': /^P-521$/,
  '^ES256K$': /^P-256K$/,
  '^HS': /^oct/,
  '^RSA': /^RSA/,
  '^A128': /^oct-128$/,
  '^A192': /^oct-192$/,
  '^A256': /^oct-256$/,
  '^CKM_': /^oct/,
};

function isFor(algorithm: string, key: string): boolean {
  if (algorithm.startsWith('ML-DSA')) return algorithm === key;
  const [, keys] = Object.entries(keysOf).find(([pattern]) => new RegExp(pattern).test(algorithm)) ?? [];
  if (keys === undefined) throw new Error(`nothing is known of ${algorithm}`);
  return keys.test(key);
}

const pairs = (algorithms: readonly { readonly name: string }[]) =>
  algorithms.flatMap(({ name }) => names.map((key) => ({ algorithm: name, key, fits: isFor(name, key) })));

interface Made {
  readonly key: NewKey;
  readonly handle: KeyHandle;
}

let provider: KeyProvider;
const keys = new Map<string, Made>();

beforeAll(async () => {
  provider = testProvider();
  await Promise.all(
    names.map(async (name) => {
      const spec = specs[name];
      if (spec === undefined) return;
      const key = await provider.generate(spec);
      keys.set(name, { key, handle: await provider.open(key) });
    }),
  );
});

afterAll(() => {
  for (const { handle } of keys.values()) handle.close();
  provider.close();
});

function made(name: string): Made {
  const found = keys.get(name);
  if (found === undefined) throw new Error(`no key ${name}`);
  return found;
}

function digestOf(algorithm: string, message: string): Uint8Array {
  const row = signatureRow(algorithm);
  if (row.digestBytes === undefined) return Buffer.from(message);
  return hash(row.hash ?? 'sha256', message, 'buffer');
}

function encryption(plaintext: Uint8Array) {
  return { plaintext, iv: undefined, aad: undefined };
}

describe('export of a private key', () => {
  const asymmetric = names.filter((name) => specs[name]?.type !== 'oct');

  test.each(asymmetric)('%s gives its PKCS#8, as a copy', async (name) => {
    const { key } = made(name);
    const exported = await provider.exportPrivate(key);
    const privateKey = createPrivateKey({
      key: Buffer.from(exported.exposeBytes()),
      format: 'der',
      type: 'pkcs8',
    });
    const { n, e, x, y, pub } = exportJwk(createPublicKey(privateKey));
    expect({ n, e, x, y, pub }).toEqual({ ...{ n, e, x, y, pub }, ...withoutNames(key.publicJwk) });
    exported.wipe();
    expect(key.material.exposeBytes()[0]).toBe(0x30);
  });

  test('a key of octets has none', async () => {
    await expect(provider.exportPrivate(made('oct-256').key)).rejects.toThrow(TypeError);
  });

  function withoutNames({ crv: _crv, alg: _alg, ...numbers }: NewKey['publicJwk']) {
    return numbers;
  }
});

describe('generated keys', () => {
  test.each(names)('%s shows its public members and nothing else', (name) => {
    const { key } = made(name);
    expect(key.spec).toEqual(specs[name]);
    if (key.spec.type === 'oct') {
      expect(key.publicJwk).toEqual({});
      expect(key.material).toHaveLength(key.spec.bits / 8);
      return;
    }
    const privateKey = createPrivateKey({ key: materialOf(key), format: 'der', type: 'pkcs8' });
    const { kty, crv, ...shown } = exportJwk(createPublicKey(privateKey));
    expect(kty).toBe(key.spec.type);
    const expected = crv === undefined ? shown : { ...shown, crv: crv === 'secp256k1' ? 'P-256K' : crv };
    expect(key.publicJwk).toEqual(expected);
    for (const member of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'priv'])
      expect(key.publicJwk).not.toHaveProperty(member);
  });

  test.each(['RSA-2048', 'RSA-3072', 'RSA-4096'])('%s has numbers of the fewest octets', (name) => {
    const { spec, publicJwk } = made(name).key;
    const n = Buffer.from(publicJwk.n ?? '', 'base64url');
    expect(8 * n.length).toBe(spec.type === 'RSA' && spec.bits);
    expect(n[0]).toBeGreaterThanOrEqual(128);
    expect(publicJwk.e).toBe('AQAB');
  });

  test.each([
    ['P-256', 32],
    ['P-384', 48],
    ['P-521', 66],
    ['P-256K', 32],
  ])('%s has coordinates of %s octets', (name, bytes) => {
    const { x = '', y = '' } = made(name).key.publicJwk;
    expect([x, y].map((text) => Buffer.from(text, 'base64url').length)).toEqual([bytes, bytes]);
  });

  test('the exponent is the one that was asked for', async () => {
    const key = await provider.generate({ type: 'RSA', bits: 2048, exponent: 0x1_0000_0001 - 6 });
    expect(Buffer.from(key.publicJwk.e ?? '', 'base64url').toString('hex')).toBe('fffffffb');
  });

  test('no two are the same', async () => {
    const made = await Promise.all(
      Array.from({ length: 20 }, () => provider.generate({ type: 'oct', bits: 128 })),
    );
    expect(new Set(made.map((key) => materialOf(key).toString('hex'))).size).toBe(20);
  });

  test.each<[string, KeySpec]>([
    ['RSA of 1024 bits', { type: 'RSA', bits: 1024, exponent: 65_537 }],
    ['RSA of 2047 bits', { type: 'RSA', bits: 2047, exponent: 65_537 }],
    ['RSA of 8192 bits', { type: 'RSA', bits: 8192, exponent: 65_537 }],
    ['an exponent of 3', { type: 'RSA', bits: 2048, exponent: 3 }],
    ['an even exponent', { type: 'RSA', bits: 2048, exponent: 65_538 }],
    ['an exponent of 33 bits', { type: 'RSA', bits: 2048, exponent: 2 ** 32 + 1 }],
    ['a fraction', { type: 'RSA', bits: 2048, exponent: 65_537.5 }],
    ['no number', { type: 'RSA', bits: 2048, exponent: Number.NaN }],
    ['64 bits', { type: 'oct', bits: 64 }],
    ['129 bits', { type: 'oct', bits: 129 }],
    ['512 bits', { type: 'oct', bits: 512 }],
  ])('%s is not served', async (_, spec) => {
    await expect(provider.generate(spec)).rejects.toMatchObject({ name: 'Failure', kind: 'badParameter' });
  });

  test('they say that they are software', () => {
    expect([provider.name, provider.platform]).toEqual(['software', '0']);
  });
});

describe('signatures', () => {
  test.each(pairs(signatureAlgorithms))('$algorithm with $key: $fits', async ({ algorithm, key, fits }) => {
    const { handle } = made(key);
    const row = signatureRow(algorithm);
    const digest = digestOf(algorithm, 'message');
    if (!fits) {
      await expect(handle.sign(row, digest)).rejects.toThrow(TypeError);
      await expect(handle.verify(row, digest, new Uint8Array(64))).rejects.toThrow(TypeError);
      return;
    }
    const signature = await handle.sign(row, digest);
    await expect(handle.verify(row, digest, signature)).resolves.toBe(true);
    await expect(handle.verify(row, digestOf(algorithm, 'massage'), signature)).resolves.toBe(false);
    for (const forged of forgeriesOf(signature))
      await expect(handle.verify(row, digest, forged)).resolves.toBe(false);
  });

  test('of the one key are not those of another', async () => {
    for (const [algorithm, one, two] of [
      ['RS256', 'RSA-2048', 'RSA-3072'],
      ['HS256', 'oct-128', 'oct-192'],
    ] as const) {
      const digest = digestOf(algorithm, 'm');
      const signature = await made(one).handle.sign(signatureRow(algorithm), digest);
      await expect(made(two).handle.verify(signatureRow(algorithm), digest, signature)).resolves.toBe(false);
    }
    const twin = await provider.open(await provider.generate({ type: 'AKP', parameterSet: 'ML-DSA-44' }));
    const signature = await made('ML-DSA-44').handle.sign(signatureRow('ML-DSA-44'), Buffer.from('m'));
    await expect(twin.verify(signatureRow('ML-DSA-44'), Buffer.from('m'), signature)).resolves.toBe(false);
    twin.close();
  });

  test('a digest of another length is a mistake of the caller', async () => {
    const { handle } = made('P-256');
    for (const length of [0, 20, 31, 33, 48])
      await expect(handle.sign(signatureRow('ES256'), new Uint8Array(length))).rejects.toThrow(TypeError);
  });

  test('ML-DSA and HMAC take a value of any length', async () => {
    for (const [algorithm, key] of [
      ['ML-DSA-65', 'ML-DSA-65'],
      ['HS512', 'oct-256'],
    ] as const)
      for (const length of [0, 1, 65_536]) {
        const value = random.bytes(length);
        const signature = await made(key).handle.sign(signatureRow(algorithm), value);
        await expect(made(key).handle.verify(signatureRow(algorithm), value, signature)).resolves.toBe(true);
      }
  });

  test('any bit of any signature counts', async () => {
    const schemes = [
      ['RS256', 'RSA-2048'],
      ['PS256', 'RSA-2048'],
      ['ES256', 'P-256'],
      ['HS256', 'oct-256'],
      ['ML-DSA-44', 'ML-DSA-44'],
    ] as const;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...schemes),
        fc.nat(),
        fc.string(),
        async ([algorithm, key], at, message) => {
          const { handle } = made(key);
          const digest = digestOf(algorithm, message);
          const signature = Uint8Array.from(await handle.sign(signatureRow(algorithm), digest));
          const index = at % signature.length;
          signature[index] = (signature[index] ?? 0) ^ (1 << (at % 8));
          await expect(handle.verify(signatureRow(algorithm), digest, signature)).resolves.toBe(false);
        },
      ),
      { numRuns: 60 },
    );
  });
});

function forgeriesOf(signature: Uint8Array): readonly Uint8Array[] {
  return [
    new Uint8Array(),
    signature.subarray(1),
    signature.subarray(0, -1),
    Buffer.concat([signature, Buffer.of(0)]),
    Buffer.concat([Buffer.of(0), signature]),
    new Uint8Array(signature.length),
    new Uint8Array(signature.length).fill(255),
    new Uint8Array(100_000),
  ];
}

describe('encryption', () => {
  test.each(pairs(encryptionAlgorithms))('$algorithm with $key: $fits', async ({ algorithm, key, fits }) => {
    const { handle } = made(key);
    const row = encryptionRow(algorithm);
    const plaintext = random.bytes(32);
    if (!fits) {
      await expect(handle.encrypt(row, encryption(plaintext))).rejects.toThrow(TypeError);
      const value = { ...noParameters, ciphertext: new Uint8Array(256) };
      await expect(handle.decrypt(row, value)).rejects.toThrow(TypeError);
      return;
    }
    const { ciphertext, iv, tag } = await handle.encrypt(row, encryption(plaintext));
    const opened = await handle.decrypt(row, { ciphertext, iv, tag, aad: undefined });
    expect(Buffer.from(opened.exposeBytes()).equals(plaintext)).toBe(true);
  });

  /** Octets that padding takes: RFC 8017 §7.1.1 and §7.2.1. */
  const overheads = { RSA1_5: 11, 'RSA-OAEP': 42, 'RSA-OAEP-256': 66 };
  const rsaCases = Object.entries(overheads).flatMap(([algorithm, overhead]) =>
    ['RSA-2048', 'RSA-3072', 'RSA-4096'].map((key) => ({ algorithm, key, overhead })),
  );

  test.each(rsaCases)(
    '$algorithm with $key takes up to its longest value',
    async ({ algorithm, key, overhead }) => {
      const { handle } = made(key);
      const row = encryptionRow(algorithm);
      const size = Number(key.slice(4)) / 8;
      const longest = size - overhead;
      for (const length of [0, 1, longest]) {
        const plaintext = random.bytes(length);
        const { ciphertext, iv, tag } = await handle.encrypt(row, encryption(plaintext));
        expect([ciphertext.length, iv, tag]).toEqual([size, undefined, undefined]);
        const opened = await handle.decrypt(row, { ...noParameters, ciphertext });
        expect(Buffer.from(opened.exposeBytes()).equals(plaintext)).toBe(true);
      }
      for (const length of [longest + 1, size, 10_000])
        await expect(handle.encrypt(row, encryption(new Uint8Array(length)))).rejects.toMatchObject({
          kind: 'badParameter',
          message: `The value is too long for ${algorithm} with this key: at most ${longest} bytes.`,
        });
    },
  );

  test.each(rsaCases)('$algorithm with $key: one error for whatever is wrong', async ({ algorithm, key }) => {
    const { handle } = made(key);
    const row = encryptionRow(algorithm);
    const { ciphertext } = await handle.encrypt(row, encryption(Buffer.from('value')));
    const bent = Uint8Array.from(ciphertext);
    bent[100] = (bent[100] ?? 0) ^ 1;
    const other = await made(key === 'RSA-2048' ? 'RSA-3072' : 'RSA-2048').handle.encrypt(
      row,
      encryption(Buffer.from('v')),
    );
    const attempts = [...forgeriesOf(ciphertext), bent, other.ciphertext];
    for (const attempt of attempts) {
      const error: unknown = await handle
        .decrypt(row, { ...noParameters, ciphertext: attempt })
        .catch((caught) => caught);
      expect(error).toBeInstanceOf(NotDecrypted);
      expect(error).toMatchObject({ message: 'the value cannot be decrypted' });
      expect(error).not.toHaveProperty('cause');
    }
  });

  test('OAEP with another hash, and RSA1_5 for OAEP, do not decrypt', async () => {
    const { handle } = made('RSA-2048');
    const rows = ['RSA-OAEP', 'RSA-OAEP-256', 'RSA1_5'].map(encryptionRow);
    for (const made of rows) {
      const { ciphertext } = await handle.encrypt(made, encryption(Buffer.from('value')));
      for (const row of rows.filter((known) => known !== made))
        await expect(handle.decrypt(row, { ...noParameters, ciphertext })).rejects.toThrow(NotDecrypted);
    }
  });

  test.each(['RSA1_5', 'RSA-OAEP', 'RSA-OAEP-256'])('%s takes no IV, AAD or tag', async (algorithm) => {
    const { handle } = made('RSA-2048');
    const row = encryptionRow(algorithm);
    const some = new Uint8Array(12);
    const { ciphertext } = await handle.encrypt(row, encryption(some));
    for (const extra of [{ iv: some }, { aad: some }])
      await expect(handle.encrypt(row, { ...encryption(some), ...extra })).rejects.toMatchObject({
        kind: 'badParameter',
      });
    for (const extra of [{ iv: some }, { aad: some }, { tag: some }])
      await expect(handle.decrypt(row, { ...noParameters, ciphertext, ...extra })).rejects.toMatchObject({
        kind: 'badParameter',
      });
  });
});

describe('vectors', () => {
  interface Rfc7520 {
    readonly keys: Readonly<Record<string, PrivateJwk>>;
    readonly payload: string;
    readonly signatures: readonly {
      readonly id: string;
      readonly algorithm: string;
      readonly key: string;
      readonly deterministic: boolean;
      readonly protected: string;
      readonly signature: string;
    }[];
    readonly wrapped: readonly {
      readonly id: string;
      readonly algorithm: string;
      readonly key: string;
      readonly contentKey: string;
      readonly encryptedKey: string;
    }[];
  }
  const rfc7520 = readVectors<Rfc7520>('rfc7520.json');
  const opened = async (name: string) => {
    const jwk = rfc7520.keys[name];
    if (jwk === undefined) throw new Error(`no key ${name}`);
    return provider.open(await provider.import(jwk));
  };

  test.each(rfc7520.signatures)('RFC 7520 section $id: $algorithm', async (vector) => {
    const handle = await opened(vector.key);
    const row = signatureRow(vector.algorithm);
    const value = digestOf(vector.algorithm, `${vector.protected}.${rfc7520.payload}`);
    await expect(handle.verify(row, value, Buffer.from(vector.signature, 'base64url'))).resolves.toBe(true);
    const signature = await handle.sign(row, value);
    expect(Buffer.from(signature).toString('base64url') === vector.signature).toBe(vector.deterministic);
    handle.close();
  });

  test.each(rfc7520.wrapped)('RFC 7520 section $id: $algorithm', async (vector) => {
    const handle = await opened(vector.key);
    const ciphertext = Buffer.from(vector.encryptedKey, 'base64url');
    const key = await handle.decrypt(encryptionRow(vector.algorithm), { ...noParameters, ciphertext });
    expect(Buffer.from(key.exposeBytes()).toString('base64url')).toBe(vector.contentKey);
    handle.close();
  });

  interface HmacVector extends Readonly<Record<'HS256' | 'HS384' | 'HS512', string>> {
    readonly id: string;
    readonly key: string;
    readonly data: string;
  }
  const hmac = readVectors<{ vectors: readonly HmacVector[] }>('hmac-sha2.json').vectors;

  test.each(hmac)('RFC 4231 $id', async (vector) => {
    const handle = await openOctets(provider, hex(vector.key));
    for (const name of ['HS256', 'HS384', 'HS512'] as const) {
      const mac = await handle.sign(signatureRow(name), hex(vector.data));
      expect(Buffer.from(mac).toString('hex')).toBe(vector[name]);
      // A truncated MAC is a valid MAC in RFC 4231's fifth case, not here.
      await expect(handle.verify(signatureRow(name), hex(vector.data), mac.subarray(0, 16))).resolves.toBe(
        false,
      );
    }
    handle.close();
  });
});

describe('WebCrypto agrees', () => {
  const hashes: Readonly<Record<HashName, string>> = {
    sha1: 'SHA-1',
    sha256: 'SHA-256',
    sha384: 'SHA-384',
    sha512: 'SHA-512',
  };
  const copy = (bytes: Uint8Array) => new Uint8Array(bytes);
  const message = copy(Buffer.from('message'));

  const parametersOf: Readonly<
    Record<string, (row: { name: string; hash: string; salt: number }) => object>
  > = {
    pkcs1: ({ hash }) => ({ name: 'RSASSA-PKCS1-v1_5', hash }),
    pss: ({ hash, salt }) => ({ name: 'RSA-PSS', hash, saltLength: salt }),
    ecdsa: ({ hash }) => ({ name: 'ECDSA', hash }),
    hmac: ({ hash }) => ({ name: 'HMAC', hash }),
  };
  const webPairs = pairs(signatureAlgorithms).filter(
    ({ algorithm, fits }) => fits && !algorithm.startsWith('ML-DSA') && algorithm !== 'ES256K',
  );

  test.each(webPairs)('$algorithm with $key, in both directions', async ({ algorithm, key }) => {
    const row = signatureRow(algorithm);
    if (row.hash === undefined) throw new Error('no hash');
    const about = { name: row.name, hash: hashes[row.hash], salt: row.digestBytes ?? 0 };
    const parameters = { name: '', ...parametersOf[row.scheme]?.(about) };
    const { handle, key: ours } = made(key);
    const value = digestOf(algorithm, 'message');
    const signature = copy(await handle.sign(row, value));
    const material = copy(materialOf(ours));
    if (ours.spec.type === 'oct') {
      const web = await subtle.importKey('raw', material, parameters, false, ['sign', 'verify']);
      expect(await subtle.verify(parameters, web, signature, message)).toBe(true);
      return;
    }
    const kind = { ...parameters, namedCurve: ours.publicJwk.crv ?? '' };
    const jwk = { kty: ours.spec.type, ...(ours.publicJwk as webcrypto.JsonWebKey) };
    const publicKey = await subtle.importKey('jwk', jwk, kind, false, ['verify']);
    expect(await subtle.verify(parameters, publicKey, signature, message)).toBe(true);
    const privateKey = await subtle.importKey('pkcs8', material, kind, false, ['sign']);
    const theirs = new Uint8Array(await subtle.sign(parameters, privateKey, message));
    await expect(handle.verify(row, value, theirs)).resolves.toBe(true);
  });

  test.each(
    ['RSA-2048', 'RSA-3072', 'RSA-4096'].flatMap((key) =>
      ['RSA-OAEP', 'RSA-OAEP-256'].map((algorithm) => ({ algorithm, key })),
    ),
  )('$algorithm with $key, in both directions', async ({ algorithm, key }) => {
    const row = encryptionRow(algorithm);
    const { handle, key: ours } = made(key);
    const parameters = { name: 'RSA-OAEP', hash: hashes[row.hash ?? 'sha1'] };
    const material = copy(materialOf(ours));
    const privateKey = await subtle.importKey('pkcs8', material, parameters, false, ['decrypt']);
    const { n = '', e = '' } = ours.publicJwk;
    const publicKey = await subtle.importKey('jwk', { kty: 'RSA', n, e }, parameters, false, ['encrypt']);
    const { ciphertext } = await handle.encrypt(row, encryption(message));
    expect(new Uint8Array(await subtle.decrypt(parameters, privateKey, copy(ciphertext)))).toEqual(message);
    const theirs = new Uint8Array(await subtle.encrypt(parameters, publicKey, message));
    const opened = await handle.decrypt(row, { ...noParameters, ciphertext: theirs });
    expect(copy(opened.exposeBytes())).toEqual(message);
  });
});

describe('import and use', () => {
  test.each(names)('%s goes out as JWK, comes in again and is the same key', async (name) => {
    const { key, handle } = made(name);
    const again = await provider.import(privateJwkOf(key));
    expect(again.spec).toEqual(key.spec);
    expect(again.publicJwk).toEqual(key.publicJwk);
    expect(materialOf(again).equals(materialOf(key))).toBe(true);
    const twin = await provider.open(again);
    const { name: algorithm } = signatureAlgorithms.find((row) => isFor(row.name, name)) ?? { name: '' };
    const value = digestOf(algorithm, 'm');
    const signature = await twin.sign(signatureRow(algorithm), value);
    await expect(handle.verify(signatureRow(algorithm), value, signature)).resolves.toBe(true);
    twin.close();
  });
});

function privateJwkOf(key: NewKey): PrivateJwk {
  if (key.spec.type === 'oct') return { kty: 'oct', members: { k: materialOf(key).toString('base64url') } };
  const { kty, ...members } = exportJwk(
    createPrivateKey({ key: materialOf(key), format: 'der', type: 'pkcs8' }),
  );
  const texts = Object.entries(members).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return { kty: key.spec.type, members: Object.fromEntries(texts) };
}

/** Proves that keys travel whole, only to sound RSA keys, and that nothing weak comes in by this way either. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { materialOf, signatureRow, testProvider, transportRow } from '../../../test/support/software-keys.ts';
import { keyTransportAlgorithms } from '../algorithms.ts';
import { type KeyHandle, type KeyProvider, type KeySpec, type NewKey, NotDecrypted } from '../provider.ts';
import { systemRandom as random } from '../random.ts';
import { wrapPadded } from './aes.ts';
import { exportJwk } from './key-pair.ts';
import { oaepEncrypt } from './rsa-encryption.ts';

const algorithms = keyTransportAlgorithms.map(({ name }) => name);
const der = { format: 'der', type: 'pkcs8' } as const;

let provider: KeyProvider;
let exchange: NewKey;
let exchangeHandle: KeyHandle;
let exchangePublic: KeyObject;

beforeAll(async () => {
  provider = testProvider();
  exchange = await provider.generate({ type: 'RSA', bits: 2048, exponent: 65_537 });
  exchangeHandle = await provider.open(exchange);
  exchangePublic = createPrivateKey({ key: materialOf(exchange), ...der });
});

afterAll(() => {
  exchangeHandle.close();
  provider.close();
});

/** As a foreign system wraps, with parts of one's own choice. */
function wrapped(inner: Uint8Array, ephemeral: Uint8Array = random.bytes(32)): Buffer {
  return Buffer.concat([oaepEncrypt(exchangePublic, 'sha256', ephemeral), wrapPadded(ephemeral, inner)]);
}

const row = transportRow('RSA_AES_KEY_WRAP_256');

function take(blob: Uint8Array, isOctets = false): Promise<NewKey> {
  return exchangeHandle.importWrapped(row, { wrapped: blob, isOctets });
}

describe.each(algorithms)('%s', (name) => {
  const specs: readonly KeySpec[] = [
    { type: 'RSA', bits: 2048, exponent: 65_537 },
    { type: 'EC', curve: 'P-521' },
    { type: 'EC', curve: 'P-256K' },
    { type: 'oct', bits: 192 },
    { type: 'AKP', parameterSet: 'ML-DSA-87' },
  ];

  test.each(specs)('carries $type', async (spec) => {
    const key = await provider.generate(spec);
    const handle = await provider.open(key);
    const blob = await handle.exportWrapped(transportRow(name), exchange.publicJwk);
    handle.close();
    const input = { wrapped: blob, isOctets: spec.type === 'oct' };
    const arrived = await exchangeHandle.importWrapped(transportRow(name), input);
    expect(arrived.spec).toEqual(spec);
    expect(arrived.publicJwk).toEqual(key.publicJwk);
    expect(materialOf(arrived).equals(materialOf(key))).toBe(true);
  });

  test('is not opened as another', async () => {
    const handle = await provider.open(await provider.generate({ type: 'oct', bits: 256 }));
    const blob = await handle.exportWrapped(transportRow(name), exchange.publicJwk);
    handle.close();
    for (const other of algorithms.filter((known) => known !== name)) {
      const opened = exchangeHandle.importWrapped(transportRow(other), { wrapped: blob, isOctets: true });
      await expect(opened).rejects.toThrow(NotDecrypted);
    }
  });
});

test('no two are alike', async () => {
  const handle = await provider.open(exchange);
  const [one, two] = [
    await handle.exportWrapped(row, exchange.publicJwk),
    await handle.exportWrapped(row, exchange.publicJwk),
  ];
  expect(Buffer.from(one).subarray(256).equals(Buffer.from(two).subarray(256))).toBe(false);
  expect(Buffer.from(one).subarray(0, 256).equals(Buffer.from(two).subarray(0, 256))).toBe(false);
  handle.close();
});

describe('targets', () => {
  const rsa = (modulusLength: number, publicExponent = 65_537) => {
    const { n, e } = exportJwk(generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey);
    return { n, e };
  };

  test.each([
    [2048, 3],
    [2048, 65_537],
    [3072, 17],
    [4096, 65_537],
  ])('RSA of %s bits with the exponent %s is one', async (bits, exponent) => {
    const blob = await exchangeHandle.exportWrapped(row, rsa(bits, exponent));
    expect(blob.length).toBe(bits / 8 + 8 * Math.ceil(exchange.material.length / 8) + 8);
  });

  const good = rsa(2048);
  const octets = Buffer.from(good.n ?? '', 'base64url');
  const even = Buffer.from(octets);
  even[even.length - 1] = (even.at(-1) ?? 0) & 0xfe;

  test.each([
    ['nothing', {}, /only with an RSA key/],
    ['no exponent', { n: good.n }, /only with an RSA key/],
    ['an EC key', { crv: 'P-256', x: 'AAAA', y: 'AAAA' } as const, /only with an RSA key/],
    ['RSA of 1024 bits', rsa(1024), /2048 to 4096 bits/],
    ['RSA of 2047 bits', { ...good, n: halved(octets) }, /2048 to 4096 bits/],
    ['an even modulus', { ...good, n: even.toString('base64url') }, /n is even/],
    ['an exponent of 1', { ...good, e: 'AQ' }, /e is less than 3/],
    ['an even exponent', { ...good, e: 'AQAC' }, /e is even/],
    ['no exponent but zero', { ...good, e: 'AA' }, /e is even/],
    ['an exponent as long as the modulus', { n: good.n, e: good.n }, /more than 32 bits/],
    [
      'a modulus of 8192 bits',
      { ...good, n: Buffer.alloc(1024, 255).toString('base64url') },
      /n is too long/,
    ],
    ['no base64url', { ...good, n: `${good.n}!` }, /n is not base64url/],
  ])('%s is none', async (_, to, text) => {
    await expect(exchangeHandle.exportWrapped(row, to)).rejects.toMatchObject({
      kind: 'badParameter',
      message: expect.stringMatching(text),
    });
  });

  /** The modulus without its highest bit, odd as it was. */
  function halved(modulus: Buffer): string {
    const copy = Buffer.from(modulus);
    copy[0] = ((copy[0] ?? 0) & 0x7f) | 0x40;
    return copy.toString('base64url');
  }
});

describe('what does not open is one error', () => {
  const octets = Buffer.alloc(32, 5);

  test('such a blob opens', async () => {
    expect(materialOf(await take(wrapped(octets), true)).equals(octets)).toBe(true);
  });

  test('whatever is cut off or added', async () => {
    const blob = wrapped(octets);
    const lengths = [0, 1, 8, 255, 256, 257, 264, 272, blob.length - 8, blob.length - 1];
    const attempts = [
      ...lengths.map((length) => blob.subarray(0, length)),
      blob.subarray(1),
      Buffer.concat([blob, Buffer.alloc(1)]),
      Buffer.concat([blob, Buffer.alloc(8)]),
      Buffer.concat([blob, blob]),
    ];
    for (const attempt of attempts) await expect(take(attempt, true)).rejects.toThrow(NotDecrypted);
  });

  test('whichever byte is another', async () => {
    const blob = wrapped(octets);
    for (let at = 0; at < blob.length; at += 13) {
      const bent = Buffer.from(blob);
      bent[at] = (bent[at] ?? 0) ^ 1;
      await expect(take(bent, true)).rejects.toThrow(NotDecrypted);
    }
  });

  test('the parts of two blobs', async () => {
    const [one, two] = [wrapped(octets), wrapped(octets)];
    await expect(take(Buffer.concat([one.subarray(0, 256), two.subarray(256)]), true)).rejects.toThrow(
      NotDecrypted,
    );
  });

  test.each([0, 16, 24, 31, 33])('an ephemeral key of %s octets', async (length) => {
    const ephemeral = random.bytes(length);
    const second = wrapPadded(length === 16 || length === 24 ? ephemeral : random.bytes(32), octets);
    const blob = Buffer.concat([oaepEncrypt(exchangePublic, 'sha256', ephemeral), second]);
    await expect(take(blob, true)).rejects.toThrow(NotDecrypted);
  });

  test('under another key', async () => {
    const other = await provider.open(await provider.generate({ type: 'RSA', bits: 2048, exponent: 65_537 }));
    await expect(other.importWrapped(row, { wrapped: wrapped(octets), isOctets: true })).rejects.toThrow(
      NotDecrypted,
    );
    other.close();
  });
});

describe('what opens is checked as any key that comes in', () => {
  const refused = (blob: Uint8Array, isOctets: boolean, text: RegExp) =>
    expect(take(blob, isOctets)).rejects.toMatchObject({
      kind: 'badParameter',
      message: expect.stringMatching(text),
    });

  test.each([1, 8, 15, 20, 33, 64])('octets of %s bytes are no key', async (length) => {
    await refused(wrapped(Buffer.alloc(length, 1)), true, /128, 192 or 256 bits/);
  });

  test('octets are no PKCS#8, nor the other way', async () => {
    await refused(wrapped(Buffer.alloc(32, 1)), false, /not a PKCS#8/);
    const pkcs8 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(der);
    await refused(wrapped(pkcs8), true, /128, 192 or 256 bits/);
  });

  test.each([
    ['RSA-1024', () => generateKeyPairSync('rsa', { modulusLength: 1024 }), /bits/],
    [
      'an exponent of 3',
      () => generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }),
      /e is less/,
    ],
    ['Ed25519', () => generateKeyPairSync('ed25519'), /type/],
  ])('%s is refused', async (_, generate, text) => {
    await refused(wrapped(generate().privateKey.export(der)), false, text);
  });

  test('a prime factor changed on the way is refused', async () => {
    const pkcs8 = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export(der);
    pkcs8[pkcs8.length - 1] = (pkcs8.at(-1) ?? 0) ^ 2;
    await refused(wrapped(pkcs8), false, /qi is not|not a PKCS#8/);
  });

  test('a sound key signs', async () => {
    const pkcs8 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export(der);
    const handle = await provider.open(await take(wrapped(pkcs8)));
    const signature = await handle.sign(signatureRow('ES384'), Buffer.alloc(48));
    await expect(handle.verify(signatureRow('ES384'), Buffer.alloc(48), signature)).resolves.toBe(true);
    handle.close();
  });
});

test.each<KeySpec>([
  { type: 'EC', curve: 'P-256' },
  { type: 'oct', bits: 256 },
  { type: 'AKP', parameterSet: 'ML-DSA-44' },
])('a key of type $type opens no wrapped key', async (spec) => {
  const handle = await provider.open(await provider.generate(spec));
  await expect(
    handle.importWrapped(row, { wrapped: wrapped(Buffer.alloc(16)), isOctets: true }),
  ).rejects.toThrow(TypeError);
  handle.close();
});

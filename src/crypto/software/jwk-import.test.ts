/** Proves that EC, symmetric and ML-DSA keys come in only whole and consistent, as JWK and as PKCS#8. */
import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hex, materialOf, readVectors } from '../../../test/support/software-keys.ts';
import type { CurveName, MlDsaName } from '../algorithms.ts';
import type { NewKey, PrivateJwk } from '../provider.ts';
import { importJwk, importPkcs8 } from './jwk-import.ts';
import { exportJwk } from './key-pair.ts';
import { curves, mlDsaSets } from './parameters.ts';
import { createPoolLanes } from './pool.ts';

type Members = Readonly<Record<string, string>>;

const curveNames: readonly CurveName[] = ['P-256', 'P-384', 'P-521', 'P-256K'];
const mlDsaNames: readonly MlDsaName[] = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'];

/** The order of each group, SEC 2 §2. */
const orders: Readonly<Record<CurveName, string>> = {
  'P-256': 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  'P-384': 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  'P-521':
    '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
  'P-256K': 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141',
};

function ecMembers(curve: CurveName): Members {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: curves[curve].openssl });
  const { x = '', y = '', d = '' } = privateKey.export({ format: 'jwk' });
  return { crv: curve, x, y, d };
}

/** The key of a private value; `d` in hexadecimal, of the curve's length. */
function ecMembersOf(curve: CurveName, d: string): Members {
  const ecdh = createECDH(curves[curve].openssl);
  ecdh.setPrivateKey(hex(d));
  const point = ecdh.getPublicKey().subarray(1);
  const { bytes } = curves[curve];
  return {
    crv: curve,
    x: encoded(point.subarray(0, bytes)),
    y: encoded(point.subarray(bytes)),
    d: encoded(hex(d)),
  };
}

function encoded(octets: Uint8Array): string {
  return Buffer.from(octets).toString('base64url');
}

function octets(text: string | undefined): Buffer {
  return Buffer.from(text ?? '', 'base64url');
}

async function refusal(run: Promise<NewKey>): Promise<string> {
  const error: unknown = await run.then(
    () => undefined,
    (caught) => caught,
  );
  if (error === undefined) throw new Error('the key was taken in');
  expect(error).toMatchObject({ name: 'Failure', kind: 'badParameter' });
  return error instanceof Error ? error.message : '';
}

const pool = createPoolLanes();
const ec = (members: Members) => importJwk(pool, { kty: 'EC', members });
const akp = (members: Members) => importJwk(pool, { kty: 'AKP', members });
const oct = (members: Members) => importJwk(pool, { kty: 'oct', members });

function privateKeyOf(key: NewKey): KeyObject {
  return createPrivateKey({ key: materialOf(key), format: 'der', type: 'pkcs8' });
}

describe.each(curveNames)('EC on %s', (curve) => {
  const { bytes } = curves[curve];
  const good = ecMembers(curve);
  const other = ecMembers(curve);

  test('comes in, and is shown by its public members only', async () => {
    const made = await ec(good);
    expect(made.spec).toEqual({ type: 'EC', curve });
    expect(made.publicJwk).toEqual({ crv: curve, x: good.x, y: good.y });
    expect(octets(made.publicJwk.x)).toHaveLength(bytes);
    expect(privateKeyOf(made).export({ format: 'jwk' }).d).toBe(good.d);
  });

  test('any private value comes back as it was', async () => {
    const order = BigInt(`0x${orders[curve]}`);
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: 1n, max: order - 1n }), async (d) => {
        const members = ecMembersOf(curve, d.toString(16).padStart(2 * bytes, '0'));
        const made = await ec(members);
        const { x, y, d: was } = privateKeyOf(made).export({ format: 'jwk' });
        expect({ crv: curve, x, y, d: was }).toEqual(members);
        expect(made.publicJwk).toEqual({ crv: curve, x, y });
      }),
      { numRuns: 15 },
    );
  });

  test('the first and the last private value come in', async () => {
    const last = (BigInt(`0x${orders[curve]}`) - 1n).toString(16).padStart(2 * bytes, '0');
    for (const d of ['01'.padStart(2 * bytes, '0'), last]) await ec(ecMembersOf(curve, d));
  });

  test.each([
    ['zero', '00'],
    ['the order', orders[curve]],
    ['one more than the order', (BigInt(`0x${orders[curve]}`) + 1n).toString(16)],
    ['all ones', 'f'.repeat(2 * bytes)],
  ])('d that is %s is refused', async (_, d) => {
    const value = encoded(hex(d.padStart(2 * bytes, '0')));
    expect(await refusal(ec({ ...good, d: value }))).toMatch(/d is not a private value of the curve/);
  });

  test('a point that is not that of d is refused', async () => {
    expect(await refusal(ec({ ...good, d: other.d ?? '' }))).toMatch(/not the public point of d/);
    expect(await refusal(ec({ ...good, x: other.x ?? '', y: other.y ?? '' }))).toMatch(
      /not the public point/,
    );
  });

  test('the negative of the point is refused', async () => {
    const negative = negated(curve, octets(good.y));
    expect(await refusal(ec({ ...good, y: encoded(negative) }))).toMatch(/not the public point of d/);
  });

  test('a point off the curve is refused', async () => {
    const y = octets(good.y);
    y[bytes - 1] = (y[bytes - 1] ?? 0) ^ 1;
    expect(await refusal(ec({ ...good, y: encoded(y) }))).toMatch(/not the public point of d/);
    const zero = encoded(new Uint8Array(bytes));
    expect(await refusal(ec({ ...good, x: zero, y: zero }))).toMatch(/not the public point of d/);
    const ones = encoded(new Uint8Array(bytes).fill(255));
    expect(await refusal(ec({ ...good, x: ones }))).toMatch(/not the public point of d/);
  });

  test.each(['x', 'y', 'd'])('%s one octet longer or shorter is refused', async (name) => {
    const longer = encoded(Buffer.concat([Buffer.of(0), octets(good[name])]));
    const shorter = encoded(octets(good[name]).subarray(1));
    expect(await refusal(ec({ ...good, [name]: longer }))).toMatch(
      new RegExp(`${name} is too long|${name} does not have`),
    );
    expect(await refusal(ec({ ...good, [name]: shorter }))).toMatch(
      new RegExp(`${name} does not have ${bytes} bytes`),
    );
  });

  test('the point at infinity cannot be said', async () => {
    expect(await refusal(ec({ ...good, x: '', y: '' }))).toMatch(/x is missing/);
    expect(await refusal(ec({ ...good, x: 'AA', y: 'AA' }))).toMatch(/x does not have/);
  });

  test('the public half alone is refused', async () => {
    const { crv = '', x = '', y = '' } = good;
    expect(await refusal(ec({ crv, x, y }))).toBe('The key is not valid: it has no private part (d).');
  });

  test('the numbers under the name of another curve are refused', async () => {
    for (const crv of curveNames.filter((name) => name !== curve)) await refusal(ec({ ...good, crv }));
  });
});

/** p - y, with the primes of SEC 2 §2. */
function negated(curve: CurveName, y: Buffer): Buffer {
  const primes: Readonly<Record<CurveName, bigint>> = {
    'P-256': 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    'P-384': 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    'P-521': 2n ** 521n - 1n,
    'P-256K': 2n ** 256n - 2n ** 32n - 977n,
  };
  const negative = primes[curve] - BigInt(`0x${y.toString('hex')}`);
  return hex(negative.toString(16).padStart(2 * curves[curve].bytes, '0'));
}

describe('names of curves', () => {
  test.each(['P-256K', 'SECP256K1', 'secp256k1'])('%s is secp256k1, shown as P-256K', async (crv) => {
    const made = await ec({ ...ecMembers('P-256K'), crv });
    expect(made.spec).toEqual({ type: 'EC', curve: 'P-256K' });
    expect(made.publicJwk.crv).toBe('P-256K');
    expect(privateKeyOf(made).asymmetricKeyDetails?.namedCurve).toBe('secp256k1');
  });

  test.each(['P-224', 'p-256', 'prime256v1', 'brainpoolP256r1', 'Ed25519', '', '__proto__', 'constructor'])(
    '%j is refused',
    async (crv) => {
      expect(await refusal(ec({ ...ecMembers('P-256'), crv }))).toMatch(/crv is missing or not a curve/);
    },
  );

  test('none is refused', async () => {
    const { x = '', y = '', d = '' } = ecMembers('P-256');
    expect(await refusal(ec({ x, y, d }))).toMatch(/crv is missing/);
  });
});

describe('symmetric keys', () => {
  test.each([16, 24, 32])('of %s octets come in, and show nothing', async (length) => {
    const k = encoded(new Uint8Array(length).fill(0));
    const made = await oct({ k, alg: 'A128KW', x: 'AAAA' });
    expect(made.spec).toEqual({ type: 'oct', bits: 8 * length });
    expect(made.publicJwk).toEqual({});
    expect(encoded(materialOf(made))).toBe(k);
  });

  test.each([1, 8, 15, 17, 20, 31, 33, 64])('of %s octets are refused', async (length) => {
    expect(await refusal(oct({ k: encoded(new Uint8Array(length).fill(7)) }))).toMatch(
      /128, 192 or 256 bits|too long/,
    );
  });

  test('without k are refused', async () => {
    expect(await refusal(oct({}))).toMatch(/k is missing/);
  });
});

interface MlDsaVectors {
  readonly seed: string;
  readonly vectors: readonly { readonly algorithm: MlDsaName; readonly publicKeyStart: string }[];
}

function akpMembers(name: MlDsaName, seed: string): Members {
  // PKCS#8 with the seed alone (RFC 9881 §6); the last octet of the identifier counts the parameter sets.
  const arc = (0x11 + mlDsaNames.indexOf(name)).toString(16);
  const key = hex(`3034020100300b06096086480165030403${arc}04228020${seed}`);
  const { pub = '' } = exportJwk(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
  return { alg: name, pub, priv: encoded(hex(seed)) };
}

describe.each(mlDsaNames)('%s', (name) => {
  const { seed, vectors } = readVectors<MlDsaVectors>('ml-dsa-keys.json');
  const good = akpMembers(name, seed);
  const other = akpMembers(name, '5a'.repeat(32));

  test('comes in with the public key that RFC 9881 has for its seed', async () => {
    const made = await akp(good);
    expect(made.spec).toEqual({ type: 'AKP', parameterSet: name });
    expect(made.publicJwk).toEqual({ alg: name, pub: good.pub });
    const pub = octets(made.publicJwk.pub);
    expect(pub).toHaveLength(mlDsaSets[name].publicBytes);
    const { publicKeyStart = 'none' } = vectors.find(({ algorithm }) => algorithm === name) ?? {};
    expect(pub.toString('hex').startsWith(publicKeyStart)).toBe(true);
    const key = privateKeyOf(made);
    expect(verify(null, Buffer.from('m'), createPublicKey(key), sign(null, Buffer.from('m'), key))).toBe(
      true,
    );
  });

  test('a public key that is not that of the seed is refused', async () => {
    expect(await refusal(akp({ ...good, pub: other.pub ?? '' }))).toMatch(/fit together|not the public key/);
    expect(await refusal(akp({ ...good, priv: other.priv ?? '' }))).toMatch(
      /fit together|not the public key/,
    );
    const bent = octets(good.pub);
    bent[bent.length - 1] = (bent.at(-1) ?? 0) ^ 1;
    expect(await refusal(akp({ ...good, pub: encoded(bent) }))).toMatch(/fit together|not the public key/);
  });

  test.each(['pub', 'priv'])('%s of another length is refused', async (member) => {
    const longer = encoded(Buffer.concat([octets(good[member]), Buffer.of(0)]));
    const shorter = encoded(octets(good[member]).subarray(1));
    for (const text of [longer, shorter])
      expect(await refusal(akp({ ...good, [member]: text }))).toMatch(/too long|does not have/);
  });

  test('the public half alone, and the seed alone, are refused', async () => {
    const { alg = '', pub = '', priv = '' } = good;
    expect(await refusal(akp({ alg, pub }))).toMatch(/it has no private part \(priv\)/);
    expect(await refusal(akp({ alg, priv }))).toMatch(/pub is missing/);
  });

  test('under the name of another parameter set it is refused', async () => {
    for (const alg of [...mlDsaNames.filter((known) => known !== name), 'ML-DSA', 'Ed25519', ''])
      await refusal(akp({ ...good, alg }));
  });
});

describe('PKCS#8', () => {
  const der = { format: 'der', type: 'pkcs8' } as const;

  test.each([
    ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['EC', () => generateKeyPairSync('ec', { namedCurve: 'secp384r1' })],
    ['EC on secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
    ['ML-DSA', () => generateKeyPairSync('ml-dsa-65')],
  ])('%s comes in and says the same', async (_, generate) => {
    const { privateKey, publicKey } = generate();
    const made = await importPkcs8(pool, privateKey.export(der));
    expect(createPublicKey(privateKeyOf(made)).equals(publicKey)).toBe(true);
  });

  test('what follows the key is not kept', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const plain = privateKey.export(der);
    const made = await importPkcs8(pool, Buffer.concat([plain, Buffer.alloc(100, 7)]));
    expect(materialOf(made).equals(plain)).toBe(true);
  });

  test('a public point that is not that of the private value is refused', async () => {
    const [a, b] = [1, 2].map(() =>
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(der),
    );
    const mixed = Buffer.from(a ?? []);
    // The point is the last 65 octets of the structure.
    mixed.set(b?.subarray(-65) ?? [], mixed.length - 65);
    expect(await refusal(importPkcs8(pool, mixed))).toMatch(
      /x and y are not the public point of d|not a PKCS#8/,
    );
  });

  test('a prime that is not that of the modulus is refused', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const bent = privateKey.export(der);
    // The last octets are those of qInv.
    bent[bent.length - 1] = (bent.at(-1) ?? 0) ^ 2;
    expect(await refusal(importPkcs8(pool, bent))).toMatch(/qi is not the inverse|not a PKCS#8/);
  });

  test.each([
    ['RSA-1024', () => generateKeyPairSync('rsa', { modulusLength: 1024 })],
    [
      'RSA with an exponent of 3',
      () => generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 }),
    ],
    ['RSA for PSS only', () => generateKeyPairSync('rsa-pss', { modulusLength: 2048 })],
    ['P-224', () => generateKeyPairSync('ec', { namedCurve: 'secp224r1' })],
    ['Ed25519', () => generateKeyPairSync('ed25519')],
    ['X25519', () => generateKeyPairSync('x25519')],
    ['ML-KEM', () => generateKeyPairSync('ml-kem-768')],
  ])('%s is refused', async (_, generate) => {
    expect(await refusal(importPkcs8(pool, generate().privateKey.export(der)))).toMatch(
      /^The key is not valid: /,
    );
  });

  test('what is no key is refused', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const encrypted = privateKey.export({ ...der, cipher: 'aes-256-cbc', passphrase: 'x' });
    const sec1 = privateKey.export({ format: 'der', type: 'sec1' });
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    const truncated = privateKey.export(der).subarray(0, 60);
    for (const octetsOf of [encrypted, sec1, spki, truncated, Buffer.alloc(0), Buffer.alloc(64, 0x30)])
      expect(await refusal(importPkcs8(pool, octetsOf))).toMatch(/is not a PKCS#8 private key/);
  });

  test('any octets are refused in the same way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (garbage) => {
        await refusal(importPkcs8(pool, garbage));
      }),
    );
  });
});

test('any text in any member is refused without another error', async () => {
  const text = fc.oneof(
    fc.base64String({ maxLength: 60 }),
    fc.string({ maxLength: 40 }),
    fc.constant('AQAB'),
  );
  const names = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'x', 'y', 'alg', 'pub', 'priv', 'kid'];
  const members = fc.dictionary(fc.constantFrom(...names), text);
  const kty = fc.constantFrom<PrivateJwk['kty']>('RSA', 'EC', 'oct', 'AKP');
  await fc.assert(
    fc.asyncProperty(kty, members, fc.constantFrom<string>(...curveNames), async (type, given, crv) => {
      await refusal(importJwk(pool, { kty: type, members: { ...given, crv } }));
    }),
  );
});

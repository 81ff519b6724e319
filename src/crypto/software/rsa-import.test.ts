/** Proves that an RSA key comes in only if every number fits every other and none is of a kind known to be weak. */
import { checkPrimeSync, createPrivateKey, generatePrimeSync, randomInt, sign, verify } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { materialOf, readVectors } from '../../../test/support/software-keys.ts';
import type { PrivateJwk } from '../provider.ts';
import { importJwk } from './jwk-import.ts';
import { formatUnsigned, parseUnsigned } from './jwk-members.ts';
import { createPoolLanes } from './pool.ts';
import { parseRsaPublic } from './rsa-modulus.ts';

type Members = Readonly<Record<string, string>>;

const { keys } = readVectors<{ keys: Readonly<Record<string, PrivateJwk>> }>('rfc7520.json');
const good = membersOf('rsaSignature');
const other = membersOf('rsaEncryption2048');

function membersOf(name: string): Members {
  const key = keys[name];
  if (key === undefined) throw new Error(`no key ${name}`);
  return key.members;
}

function value(members: Members, name: string): bigint {
  return parseUnsigned(members, name, 512);
}

/** The extended Euclidean algorithm. */
function inverse(of: bigint, modulus: bigint): bigint {
  let [r, nextR, t, nextT] = [modulus, of % modulus, 0n, 1n];
  while (nextR !== 0n) {
    const quotient = r / nextR;
    [r, nextR] = [nextR, r - quotient * nextR];
    [t, nextT] = [nextT, t - quotient * nextT];
  }
  return ((t % modulus) + modulus) % modulus;
}

/** All members of the key with these primes, consistent whatever the primes are. */
function rsaOf(p: bigint, q: bigint, e = 65_537n): Members {
  const d = inverse(e, (p - 1n) * (q - 1n));
  return formatted({ n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) });
}

function formatted(numbers: Readonly<Record<string, bigint>>): Members {
  return Object.fromEntries(Object.entries(numbers).map(([name, number]) => [name, formatUnsigned(number)]));
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** A prime of `bits` bits with the two highest set, so that the product of two has twice the bits; fits `e`. */
function prime(bits: number, e = 65_537n): bigint {
  for (;;) {
    const found = generatePrimeSync(bits, { bigint: true });
    if (found >> BigInt(bits - 2) === 3n && (found - 1n) % e !== 0n) return found;
  }
}

function load(members: Members) {
  return importJwk(createPoolLanes(), { kty: 'RSA', members });
}

async function refusal(members: Members): Promise<string> {
  const error: unknown = await load(members).then(
    () => undefined,
    (caught) => caught,
  );
  if (error === undefined) throw new Error('the key was taken in');
  expect(error).toMatchObject({ name: 'Failure', kind: 'badParameter' });
  return error instanceof Error ? error.message : '';
}

const changed = (name: string, by: (was: bigint) => bigint): Members => ({
  ...good,
  [name]: formatUnsigned(by(value(good, name))),
});

/** Of the size of a prime factor of RSA-2048, and with its two highest bits set, but the product of two primes. */
function composite(): bigint {
  for (;;) {
    const product = prime(512) * prime(512);
    if (product >> 1022n === 3n && (product - 1n) % 65_537n !== 0n) return product;
  }
}

test.each(['rsaSignature', 'rsaEncryption2048', 'rsaEncryption4096'])(
  'the key %s of RFC 7520 comes in',
  async (name) => {
    const members = membersOf(name);
    const made = await load(members);
    expect(made.publicJwk).toEqual({ n: members.n, e: 'AQAB' });
    expect(made.spec).toEqual({ type: 'RSA', bits: name.endsWith('4096') ? 4096 : 2048, exponent: 65_537 });
    const exported = createPrivateKey({ key: materialOf(made), format: 'der', type: 'pkcs8' }).export({
      format: 'jwk',
    });
    expect(exported).toEqual({ kty: 'RSA', ...members });
  },
);

test('sign octets and padding are tolerated and do not come back', async () => {
  const sloppy = Object.entries(good).map(([name, text]) => {
    const octets = Buffer.concat([Buffer.of(0), Buffer.from(text, 'base64url')]);
    return [name, octets.toString('base64').replaceAll('+', '-').replaceAll('/', '_')];
  });
  const made = await load(Object.fromEntries(sloppy));
  expect(made.publicJwk).toEqual({ n: good.n, e: good.e });
  expect(materialOf(made).equals(materialOf(await load(good)))).toBe(true);
});

test('members that are not the key’s own are not kept', async () => {
  const made = await load({ ...good, kid: 'k', alg: 'RS256', use: 'sig', k: 'AAAA', x: 'AAAA' });
  expect(Object.keys(made.publicJwk)).toEqual(['n', 'e']);
  expect(materialOf(made).equals(materialOf(await load(good)))).toBe(true);
});

test('the primes may come in either order', async () => {
  const [p, q] = [value(good, 'p'), value(good, 'q')];
  for (const members of [rsaOf(p, q), rsaOf(q, p)]) {
    const key = createPrivateKey({ key: materialOf(await load(members)), format: 'der', type: 'pkcs8' });
    expect(verify('sha256', Buffer.from('m'), key, sign('sha256', Buffer.from('m'), key))).toBe(true);
  }
});

test('d may be the inverse modulo φ(n) or modulo λ(n)', async () => {
  const [p, q, e] = [value(good, 'p'), value(good, 'q'), value(good, 'e')];
  const totient = (p - 1n) * (q - 1n);
  for (const modulus of [totient, totient / gcd(p - 1n, q - 1n)])
    await expect(load({ ...good, d: formatUnsigned(inverse(e, modulus)) })).resolves.toBeDefined();
});

describe('what is incomplete is refused and said', () => {
  test.each([
    [['d', 'p', 'q', 'dp', 'dq', 'qi'], /has no private part/],
    [['p', 'q', 'dp', 'dq', 'qi'], /p, q, dp, dq, qi must be given with d/],
    [['d'], /d is missing/],
    [['qi'], /qi must be given with d/],
    [['n'], /n is missing/],
    [['e'], /e is missing/],
  ])('without %s', async (names, text) => {
    expect(
      await refusal(Object.fromEntries(Object.entries(good).filter(([name]) => !names.includes(name)))),
    ).toMatch(text);
  });
});

describe('what is inconsistent is refused', () => {
  test.each(['n', 'd', 'p', 'q', 'dp', 'dq', 'qi'])('%s changed by two', async (name) => {
    await refusal(changed(name, (was) => was + 2n));
    await refusal(changed(name, (was) => was - 2n));
  });

  test.each(['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'])('%s of another key, zero or one', async (name) => {
    if (name !== 'e') await refusal({ ...good, [name]: other[name] ?? '' });
    for (const text of ['AA', 'AQ']) await refusal({ ...good, [name]: text });
  });

  test.each([
    ['dp not reduced', changed('dp', (was) => was + value(good, 'p') - 1n), /dp is not/],
    ['dq not reduced', changed('dq', (was) => was + value(good, 'q') - 1n), /dq is not/],
    ['qi not reduced', changed('qi', (was) => was + value(good, 'p')), /qi is not/],
    [
      'qi of the other order',
      { ...good, qi: formatUnsigned(inverse(value(good, 'p'), value(good, 'q'))) },
      /qi is not/,
    ],
    ['d plus n', changed('d', (was) => was + value(good, 'n')), /d is not less than n/],
    ['p and q exchanged without the rest', { ...good, p: good.q ?? '', q: good.p ?? '' }, /is not/],
    ['1 and n as primes', { ...good, p: good.n ?? '', q: 'AQ' }, /half the bits/],
    ['another exponent for the same d', { ...good, e: 'AQAD' }, /d is not the inverse/],
    ['n even', changed('n', (was) => was - 1n), /n is even/],
  ])('%s', async (_, members, text) => {
    expect(await refusal(members)).toMatch(text);
  });
});

test.each([
  ['p', 'q', 'dp'],
  ['q', 'p', 'dq'],
])('d that is right only modulo the other prime than %s is refused', async (name, other, half) => {
  const d = (value(good, 'd') % (value(good, other) - 1n)) + 2n ** 1000n * (value(good, other) - 1n);
  const dHalf = d % (value(good, name) - 1n);
  const members = { ...good, d: formatUnsigned(d), [half]: formatUnsigned(dHalf) };
  expect(await refusal(members)).toMatch(/d is not the inverse/);
});

describe('exponents', () => {
  test.each([
    [3n, /e is less than 65537/],
    [17n, /e is less than 65537/],
    [65_535n, /e is less than 65537/],
    [65_538n, /e is even/],
    [2n ** 32n + 1n, /more than 32 bits/],
    [2n ** 64n + 13n, /more than 32 bits/],
  ])('%s is refused', async (e, text) => {
    expect(await refusal({ ...good, e: formatUnsigned(e) })).toMatch(text);
  });

  test('the largest of 32 bits comes in', async () => {
    const e = 2n ** 32n - 5n;
    const made = await load(rsaOf(prime(1024, e), prime(1024, e), e));
    expect(made.spec).toMatchObject({ exponent: 4_294_967_291 });
  });
});

describe('sizes', () => {
  test.each([
    [512, 512],
    [768, 768],
    [1023, 1024],
    [1024, 1025],
    [1280, 1280],
  ])('primes of %s and %s bits are refused', async (p, q) => {
    expect(await refusal(rsaOf(prime(p), prime(q)))).toMatch(/n does not have 2048, 3072 or 4096 bits/);
  });

  test('primes of different sizes are refused, though n has the right one', async () => {
    expect(await refusal(rsaOf(prime(960), prime(1088)))).toMatch(/half the bits/);
  });

  test('3072 bits come in', async () => {
    expect((await load(rsaOf(prime(1536), prime(1536)))).spec).toMatchObject({ bits: 3072 });
  });
});

describe('weak keys are refused', () => {
  let first: bigint;

  beforeAll(() => {
    first = prime(1024);
  });

  test('equal primes', async () => {
    const members = {
      ...rsaOf(first, prime(1024)),
      n: formatUnsigned(first * first),
      q: formatUnsigned(first),
    };
    expect(await refusal(members)).toMatch(/p and q are equal/);
  });

  test('primes that are close to each other', async () => {
    let second = first + 2n;
    while (!checkPrimeSync(second) || (second - 1n) % 65_537n === 0n) second += 2n;
    expect(await refusal(rsaOf(first, second))).toMatch(/too close/);
    expect(await refusal(rsaOf(second, first))).toMatch(/too close/);
  });

  test('a composite p or q, though every other relation holds', async () => {
    expect(await refusal(rsaOf(composite(), first))).toMatch(/not prime/);
    expect(await refusal(rsaOf(first, composite()))).toMatch(/not prime/);
  });

  test.each([0n, 1n])('a small d, also as its multiple %s above', async (more) => {
    // p - 1 and q - 1 share all but a few bits, and n - 1 has the same factor, so that whoever looks finds them.
    const common = (15n << 1020n) / 13n + 199_838n;
    const [p, q, multiple, e] = [common * 12n + 1n, common * 13n + 1n, common * 12n * 13n, 65_587n];
    const d = inverse(e, multiple) + more * multiple;
    const numbers = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
    expect(await refusal(formatted(numbers))).toMatch(/d is too small/);
  });

  test('the fingerprint of CVE-2017-15361', async () => {
    expect(await refusal(rsaOf(rocaPrime(), rocaPrime()))).toMatch(/CVE-2017-15361/);
  });
});

test('the fingerprint of CVE-2017-15361 is not that of one broken prime or of sound keys', () => {
  const leastExponent = 65_537;
  expect(() => parseRsaPublic(rsaOf(rocaPrime(), rocaPrime()), { leastExponent })).toThrow(/CVE-2017-15361/);
  for (const name of ['rsaSignature', 'rsaEncryption2048', 'rsaEncryption4096'])
    expect(parseRsaPublic(membersOf(name), { leastExponent }).e).toBe(65_537n);
});

/** As the broken generator makes them for RSA-2048: k·M + (65537^a mod M), M the product of the first 126 primes. */
function rocaPrime(): bigint {
  const primes: bigint[] = [];
  for (let n = 2n; primes.length < 126; n += 1n)
    if (primes.every((known) => n % known !== 0n)) primes.push(n);
  const m = primes.reduce((product, factor) => product * factor, 1n);
  let residue = 1n;
  for (let a = randomInt(1, 100_000); a > 0; a -= 1) residue = (residue * 65_537n) % m;
  for (let k = (3n << 1022n) / m + BigInt(randomInt(1, 1_000_000)); ; k += 1n) {
    const candidate = k * m + residue;
    if (checkPrimeSync(candidate, { checks: 8 }) && (candidate - 1n) % 65_537n !== 0n) return candidate;
  }
}

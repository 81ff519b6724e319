/** Proves each limit of the keys API at its edge: the last that is accepted, and the first that is not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, type VaultCaller } from '../support/vault-rest.ts';

let server: TestServer;
let call: VaultCaller;

beforeAll(async () => {
  server = await startTestServer();
  call = vaultCaller(server, await tokenFor(server));
});
afterAll(() => server.close());

async function create(body: object, name = 'limit'): Promise<[number, string | undefined]> {
  const made = await call('POST', `/keys/${name}/create`, body);
  if (made.status !== 200) expect(made.json.error.code).toBe('BadParameter');
  return [made.status, made.json.error?.message.split('\r\n')[0]];
}

const made = [200, undefined];
const refused = (property: string) => [400, `Property ${property} has invalid value`];

describe('name', () => {
  test.each([
    ['a', 200],
    ['-', 200],
    ['0', 200],
    ['n'.repeat(127), 200],
    ['n'.repeat(128), 400],
  ])('%s: %d', async (name, status) => {
    const k = Buffer.alloc(16, 1).toString('base64url');
    const replies = [
      await call('POST', `/keys/${name}/create`, { kty: 'EC' }),
      await call('PUT', `/keys/${name}`, { key: { kty: 'oct-HSM', k } }),
    ];
    for (const reply of replies) {
      expect(reply.status).toBe(status);
      if (status === 200) expect(reply.json.key.kid).toContain(`/keys/${name}/`);
      else expect(reply.json.error.message).toBe(`The request URI contains an invalid name: ${name}`);
    }
  });
});

describe('tags', () => {
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`t${i}`, `${i}`]));
  test.each([
    ['fifteen', many(15), true],
    ['sixteen', many(16), false],
    ['the longest name', { ['n'.repeat(256)]: '' }, true],
    ['a longer name', { ['n'.repeat(257)]: '' }, false],
    ['the longest value', { t: 'v'.repeat(256) }, true],
    ['a longer value', { t: 'v'.repeat(257) }, false],
    ['an empty name', { '': 'v' }, false],
    ['names that differ in case alone', { a: '1', A: '2' }, true],
    ['names that JavaScript objects have', { constructor: '1', prototype: '2', toString: '3' }, true],
    ['characters of every plane', { '🔑é\u0000': '\u2028 🗝' }, true],
  ])('%s', async (_, tags, isKept) => {
    expect(await create({ kty: 'EC', tags })).toEqual(isKept ? made : refused('tags'));
    if (isKept) expect((await call('GET', '/keys/limit')).json.tags).toEqual(tags);
    const k = Buffer.alloc(16, 1).toString('base64url');
    const imported = await call('PUT', '/keys/limit', { key: { kty: 'oct-HSM', k }, tags });
    expect(imported.status).toBe(isKept ? 200 : 400);
    expect((await call('PATCH', '/keys/limit', { tags })).status).toBe(isKept ? 200 : 400);
  });
});

describe('nbf and exp', () => {
  const last = 253_402_300_799;
  test.each([
    [{ nbf: 0, exp: 0 }, 200],
    [{ nbf: last, exp: last }, 200],
    [{ exp: last + 1 }, 400],
    [{ nbf: -1 }, 400],
    [{ exp: 1.5 }, 400],
    [{ exp: 1e300 }, 400],
    [{ nbf: 20, exp: 10 }, 200],
  ])('%j: %d', async (attributes, status) => {
    const reply = await call('POST', '/keys/times/create', { kty: 'EC', attributes });
    expect(reply.status).toBe(status);
    if (status === 200) expect(reply.json.attributes).toMatchObject(attributes);
  });
});

describe('sizes, exponents and curves', () => {
  const modulus = (json: { key: { n: string } }) => Buffer.from(json.key.n, 'base64url');

  test.each([2048, 3072, 4096])('RSA of %d bits', async (size) => {
    const reply = await call('POST', '/keys/rsa/create', { kty: 'RSA', key_size: size });
    expect(reply.status).toBe(200);
    const n = modulus(reply.json);
    expect([n.length, (n[0] ?? 0) >= 128]).toEqual([size / 8, true]);
  });

  test.each([0, -2048, 1, 512, 1024, 2047, 2049, 2056, 2560, 4095, 4097, 8192, 16_384, 1e15])(
    'no RSA of %d bits',
    async (size) => {
      for (const kty of ['RSA', 'RSA-HSM']) {
        const [status, message] = await create({ kty, key_size: size });
        expect([status, message?.startsWith('Unsupported key size')]).toEqual([400, true]);
      }
    },
  );

  test.each([65_537, 65_539, 4_294_967, 2_147_483_647])('the exponent %d', async (exponent) => {
    const reply = await call('POST', '/keys/e/create', { kty: 'RSA', public_exponent: exponent });
    expect(reply.status).toBe(200);
    expect(Buffer.from(reply.json.key.e, 'base64url').toString('hex')).toMatch(
      new RegExp(`^0?${exponent.toString(16)}$`),
    );
  });

  test('the usual exponent for 0, which Azure’s client for Java sends when there is none', async () => {
    const reply = await call('POST', '/keys/e/create', { kty: 'RSA', public_exponent: 0 });
    expect([reply.status, reply.json.key.e]).toEqual([200, 'AQAB']);
  });

  test.each([1, 2, 3, 17, 257, 65_535, 65_536, 65_538, -65_537, 2_147_483_649, 2 ** 32 + 1, 65_537.5])(
    'no exponent %d',
    async (exponent) => {
      expect(await create({ kty: 'RSA', public_exponent: exponent })).toEqual(refused('public_exponent'));
    },
  );

  test.each(['P-256', 'P-384', 'P-521', 'P-256K'])('the curve %s', async (crv) => {
    const reply = await call('POST', '/keys/ec/create', { kty: 'EC', crv });
    expect([reply.status, reply.json.key.crv]).toEqual([200, crv]);
  });

  test('SECP256K1, as the first clients called it, is P-256K', async () => {
    const body = { kty: 'EC', crv: 'SECP256K1' };
    const reply = await call('POST', '/keys/ec/create?api-version=2016-10-01', body);
    expect([reply.status, reply.json.key.crv]).toEqual([200, 'P-256K']);
  });

  test('the usual curve for "", which Terraform’s azurerm provider sends when there is none', async () => {
    const reply = await call('POST', '/keys/ec/create', { kty: 'EC', crv: '' });
    expect([reply.status, reply.json.key.crv]).toEqual([200, 'P-256']);
    expect((await call('POST', '/keys/rsa/create', { kty: 'RSA', crv: '' })).status).toBe(200);
  });

  test.each([
    ' ',
    'p-256',
    'P256',
    'P-192',
    'P-224',
    'secp256r1',
    'Ed25519',
    'X25519',
    'brainpoolP256r1',
    'P-256\0',
  ])('no curve %j', async (crv) => {
    expect(await create({ kty: 'EC', crv })).toEqual(refused('crv'));
  });

  test.each([0, 1, 64, 127, 129, 160, 255, 257, 512])('no symmetric key of %d bits', async (size) => {
    const [status, message] = await create({ kty: 'oct-HSM', key_size: size });
    expect([status, message?.startsWith('Unsupported key size')]).toEqual([400, true]);
  });

  test('what is not of the type is refused, not ignored', async () => {
    expect(await create({ kty: 'EC', key_size: 256 })).toEqual(refused('key_size'));
    expect(await create({ kty: 'EC', public_exponent: 65_537 })).toEqual(refused('public_exponent'));
    expect(await create({ kty: 'RSA', crv: 'P-256' })).toEqual(refused('crv'));
    expect(await create({ kty: 'oct-HSM', crv: 'P-256' })).toEqual(refused('crv'));
    expect(await create({ kty: 'oct-HSM', public_exponent: 65_537 })).toEqual(refused('public_exponent'));
  });
});

describe('key_ops', () => {
  const every = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'];
  test.each([
    ['RSA', every],
    ['EC', ['sign', 'verify']],
    ['EC-HSM', ['sign', 'verify']],
    ['oct-HSM', every],
  ])('%s has %j, all, one or none of them', async (kty, possible) => {
    const more = kty === 'oct-HSM' ? { key_size: 256 } : {};
    const reply = await call('POST', '/keys/ops/create', { kty, ...more });
    expect(reply.status).toBe(200);
    for (const key_ops of [possible, [], ...possible.map((operation) => [operation])]) {
      const patched = await call('PATCH', '/keys/ops', { key_ops });
      expect([patched.status, patched.json.key.key_ops]).toEqual([200, key_ops]);
    }
    const before = (await call('GET', '/keys/ops')).text;
    const impossible = [
      'encrypt',
      'decrypt',
      'sign',
      'verify',
      'wrapKey',
      'unwrapKey',
      'import',
      'export',
    ].filter((operation) => !possible.includes(operation));
    for (const operation of [...impossible, 'deriveKey', 'Sign', 'SIGN', '', 'wrapkey']) {
      for (const key_ops of [[operation], [possible[0], operation]]) {
        const patched = await call('PATCH', '/keys/ops', { key_ops });
        expect([key_ops, patched.status, patched.json.error.code]).toEqual([key_ops, 400, 'BadParameter']);
        expect(patched.json.error.message).toMatch(/^Property key_ops has invalid value\r\n/);
        expect(await create({ kty, ...more, key_ops })).toEqual(refused('key_ops'));
      }
    }
    expect((await call('GET', '/keys/ops')).text).toBe(before);
  });

  test('import is alone, and for RSA-HSM; an operation named twice is refused', async () => {
    expect(await create({ kty: 'RSA-HSM', key_ops: ['import'] }, 'kek')).toEqual(made);
    expect(await create({ kty: 'RSA-HSM', key_ops: ['import', 'decrypt'] })).toEqual(refused('key_ops'));
    expect(await create({ kty: 'RSA', key_ops: ['import'] })).toEqual(refused('key_ops'));
    expect(await create({ kty: 'EC-HSM', key_ops: ['import'] })).toEqual(refused('key_ops'));
    expect(await create({ kty: 'EC', key_ops: ['sign', 'sign'] })).toEqual(refused('key_ops'));
  });
});

describe('values', () => {
  const text = (length: number) => Buffer.alloc(length, 1).toString('base64url');

  test.each([
    ['RS256', 'RSA', 32],
    ['RS384', 'RSA', 48],
    ['RS512', 'RSA', 64],
    ['PS256', 'RSA', 32],
    ['PS384', 'RSA', 48],
    ['PS512', 'RSA', 64],
    ['ES256', 'P-256', 32],
    ['ES384', 'P-384', 48],
    ['ES512', 'P-521', 64],
    ['ES256K', 'P-256K', 32],
  ])(
    '%s with %s signs and verifies digests of %2$d bytes, no more and no less',
    async (alg, kind, length) => {
      const name = `digest-${kind}`;
      if ((await call('GET', `/keys/${name}`)).status === 404)
        await create(kind === 'RSA' ? { kty: 'RSA' } : { kty: 'EC', crv: kind }, name);
      for (const wrong of [0, 1, length - 1, length + 1, 20, 2 * length, 4096]) {
        const value = text(wrong);
        const bodies = { sign: { alg, value }, verify: { alg, digest: value, value: text(length * 2) } };
        for (const [operation, body] of Object.entries(bodies)) {
          const reply = await call('POST', `/keys/${name}/${operation}`, body);
          expect([wrong, reply.status, reply.json.error.code]).toEqual([wrong, 400, 'BadParameter']);
          expect(reply.json.error.message).toMatch(/length/);
        }
      }
      const signed = await call('POST', `/keys/${name}/sign`, { alg, value: text(length) });
      expect(signed.status).toBe(200);
      const { value } = signed.json;
      const verified = await call('POST', `/keys/${name}/verify`, { alg, digest: text(length), value });
      expect(verified.json).toEqual({ value: true });
      // A signature of another length is wrong, not an error.
      for (const other of ['', value.slice(4), `${value}AAAA`]) {
        const reply = await call('POST', `/keys/${name}/verify`, { alg, digest: text(length), value: other });
        expect([reply.status, reply.json]).toEqual([200, { value: false }]);
      }
    },
  );

  test.each([
    ['RSA1_5', 245],
    ['RSA-OAEP', 214],
    ['RSA-OAEP-256', 190],
  ])('%s takes %d bytes with a key of 2048 bits', async (alg, most) => {
    if ((await call('GET', '/keys/wide')).status === 404) await create({ kty: 'RSA' }, 'wide');
    for (const length of [0, 1, most]) {
      const sealed = await call('POST', '/keys/wide/encrypt', { alg, value: text(length) });
      expect([length, sealed.status]).toEqual([length, 200]);
      const opened = await call('POST', '/keys/wide/decrypt', { alg, value: sealed.json.value });
      expect(opened.json.value).toBe(text(length));
    }
    const over = await call('POST', '/keys/wide/encrypt', { alg, value: text(most + 1) });
    expect([over.status, over.json.error.code]).toEqual([400, 'BadParameter']);
  });

  test('lengths of AES: IVs, tags, blocks, wrapped keys', async () => {
    await create({ kty: 'oct-HSM', key_size: 256 }, 'aes');
    const status = async (operation: string, body: object) =>
      (await call('POST', `/keys/aes/${operation}`, body)).status;
    const encrypt = (body: object) => status('encrypt', body);
    for (const [length, expected] of [
      [15, 400],
      [16, 200],
      [17, 400],
    ] as const) {
      expect(await encrypt({ alg: 'A256CBC', value: text(32), iv: text(length) })).toBe(expected);
      expect(await encrypt({ alg: 'A256CBC', value: text(length) })).toBe(expected);
      expect(await encrypt({ alg: 'A256CBCPAD', value: text(length) })).toBe(200);
    }
    // The server makes the IV of GCM, so that none is used twice.
    expect(await encrypt({ alg: 'A256GCM', value: text(32), iv: text(12) })).toBe(400);
    const { value, iv, tag } = (await call('POST', '/keys/aes/encrypt', { alg: 'A256GCM', value: text(5) }))
      .json;
    const decrypt = (more: object) => status('decrypt', { alg: 'A256GCM', value, iv, tag, ...more });
    expect(await decrypt({})).toBe(200);
    for (const length of [0, 4, 8, 11, 12, 13, 15]) {
      const short = Buffer.from(tag, 'base64url').subarray(0, length).toString('base64url');
      expect([length, await decrypt({ tag: short })]).toEqual([length, 400]);
    }
    expect(await decrypt({ tag: null })).toBe(400);
    expect(await decrypt({ iv: null })).toBe(400);
    expect(await decrypt({ iv: `${iv}AAAA` })).toBe(400);
    for (const [length, kw, kwp] of [
      [0, 400, 400],
      [1, 400, 200],
      [8, 400, 200],
      [15, 400, 200],
      [16, 200, 200],
      [24, 200, 200],
      [25, 400, 200],
    ] as const) {
      expect([length, await status('wrapkey', { alg: 'A256KW', value: text(length) })]).toEqual([length, kw]);
      const padded = { alg: 'CKM_AES_KEY_WRAP_PAD', value: text(length) };
      expect([length, await status('wrapkey', padded)]).toEqual([length, kwp]);
    }
  });
});

describe('maxresults', () => {
  test.each(['0', '26', '-1', 'x', '', '1.5'])('%j is refused on every list', async (value) => {
    for (const path of ['/keys', '/keys/limit/versions', '/deletedkeys']) {
      const reply = await call('GET', `${path}?maxresults=${value}`);
      expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
    }
  });

  test('25 is the most that a page has, and what it has by default', async () => {
    await Promise.all(Array.from({ length: 26 }, (_, i) => create({ kty: 'EC' }, `m${i}`)));
    for (const query of ['', '?maxresults=25'])
      expect((await call('GET', `/keys${query}`)).json.value).toHaveLength(25);
    expect((await call('GET', '/keys?maxresults=1')).json.value).toHaveLength(1);
  });
});

test('a key of 500 versions can be backed up and restored, one of 501 cannot be backed up', async () => {
  const add = (count: number) =>
    Promise.all(Array.from({ length: count }, () => create({ kty: 'EC' }, 'old')));
  for (let batch = 0; batch < 10; batch += 1)
    expect(new Set((await add(50)).map(String))).toEqual(new Set(['200,']));
  const backup = await call('POST', '/keys/old/backup');
  expect(backup.status).toBe(200);
  await add(1);
  const refusal = await call('POST', '/keys/old/backup');
  expect([refusal.status, refusal.text]).toEqual([
    400,
    errorBody('BadParameter', 'A key with more than 500 versions cannot be backed up.'),
  ]);
  await call('DELETE', '/keys/old');
  await call('DELETE', '/deletedkeys/old');
  expect((await call('POST', '/keys/restore', { value: backup.json.value })).status).toBe(200);
  const first = await call('GET', '/keys/old/versions');
  expect(first.json.value).toHaveLength(25);
});

/** Proves what a key does in each state that it can be in, with each set of operations, and in each kind of vault. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttestationAuthority, startAttestationAuthority } from '../support/attestation-authority.ts';
import { manualClock } from '../support/identity.ts';
import { outsideKey } from '../support/key-clients.ts';
import {
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { errorBody, keyVersionOf, makeVault, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const now = clock.now() / 1000;

let authority: AttestationAuthority;
let server: TestServer;
let token: string;
let call: VaultCaller;

beforeAll(async () => {
  authority = await startAttestationAuthority();
  server = await startTestServer({ clock });
  await makeVault(server, 'standard', { sku: 'standard' });
  token = await tokenFor(server);
  call = vaultCaller(server, token);
});
afterAll(async () => {
  await server.close();
  await authority.close();
});

const digest = Buffer.alloc(32, 1).toString('base64url');
const operations = ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey', 'sign', 'verify'] as const;
type Operation = (typeof operations)[number] | 'release';

/** What each operation is asked to do; all of it succeeds with a usable key. */
let inputs: Readonly<Record<Operation, object>>;

beforeAll(async () => {
  const { jwk } = outsideKey({ bits: 2048 });
  const release_policy = { data: authority.policy({ claim: 'tee', equals: 'test' }) };
  const attributes = { exportable: true };
  const made = await call('PUT', '/keys/k', { Hsm: true, key: jwk, attributes, release_policy });
  expect(made.status).toBe(200);
  const oaep = { alg: 'RSA-OAEP-256', value: digest };
  const rs256 = { alg: 'RS256', value: digest };
  const sealed = (await call('POST', '/keys/k/encrypt', oaep)).json.value;
  const signed = (await call('POST', '/keys/k/sign', rs256)).json.value;
  inputs = {
    encrypt: oaep,
    wrapKey: oaep,
    decrypt: { ...oaep, value: sealed },
    unwrapKey: { ...oaep, value: sealed },
    sign: rs256,
    verify: { alg: 'RS256', digest, value: signed },
    release: { target: authority.mint(clock.now(), { tee: 'test' }) },
  };
});

function use(operation: Operation, name = 'k'): Promise<RawResponse> {
  return call('POST', `/keys/${name}/${operation.toLowerCase()}`, inputs[operation]);
}

function allowed(operation: Operation, reply: RawResponse): void {
  expect([operation, reply.status]).toEqual([operation, 200]);
  if (operation === 'verify') expect(reply.json.value).toBe(true);
  if (operation === 'decrypt' || operation === 'unwrapKey') expect(reply.json.value).toBe(digest);
}

function forbidden(reply: RawResponse, message: string, inner: string): void {
  expect([reply.status, reply.text]).toEqual([403, errorBody('Forbidden', message, inner)]);
}

const every: readonly Operation[] = [...operations, 'release'];
/** What undoes or checks what was done in time goes on for ever; what makes something new does not. */
const timeless: readonly Operation[] = ['decrypt', 'unwrapKey', 'verify', 'release'];

describe('enabled, nbf and exp', () => {
  const set = async (attributes: object) => {
    const always = { enabled: true, nbf: now - 100, exp: now + 100 };
    const reply = await call('PATCH', '/keys/k', { attributes: { ...always, ...attributes } });
    expect(reply.status).toBe(200);
  };

  test('an enabled key within its times does everything', async () => {
    for (const attributes of [{}, { nbf: now }, { exp: now + 1 }, { nbf: now, exp: now + 1 }]) {
      await set(attributes);
      for (const operation of every) allowed(operation, await use(operation));
    }
  });

  test.each([
    ['within its times', {}],
    ['expired', { exp: now - 1 }],
    ['not yet valid', { nbf: now + 1 }],
  ])('a disabled key, %s, does nothing', async (_, times) => {
    await set({ enabled: false, ...times });
    for (const operation of every)
      forbidden(
        await use(operation),
        `Operation ${operation} is not allowed on a disabled key.`,
        'KeyDisabled',
      );
  });

  test.each([
    ['since this second', { exp: now }],
    ['since long', { nbf: 1, exp: 2 }],
  ])('a key that is expired %s undoes and checks, and does nothing new', async (_, times) => {
    await set(times);
    for (const operation of every) {
      const reply = await use(operation);
      if (timeless.includes(operation)) allowed(operation, reply);
      else forbidden(reply, `Operation ${operation} is not allowed on an expired key.`, 'KeyExpired');
    }
  });

  test.each([
    ['from the next second on', { nbf: now + 1 }],
    ['much later', { nbf: now + 10_000, exp: now + 20_000 }],
  ])('a key that is valid %s undoes and checks, and does nothing new', async (_, times) => {
    await set(times);
    for (const operation of every) {
      const reply = await use(operation);
      if (timeless.includes(operation)) {
        allowed(operation, reply);
        continue;
      }
      expect([reply.status, reply.json.error.code, reply.json.error.innererror]).toEqual([
        403,
        'Forbidden',
        { code: 'KeyNotYetValid' },
      ]);
      expect(reply.json.error.message).toContain(`Operation ${operation} is not allowed`);
    }
  });

  test('time passes for a key that is in use', async () => {
    await set({ nbf: now + 10, exp: now + 20 });
    expect((await use('sign')).status).toBe(403);
    clock.advance(10_000);
    expect((await use('sign')).status).toBe(200);
    clock.advance(9999);
    expect((await use('sign')).status).toBe(200);
    clock.advance(1);
    expect((await use('sign')).json.error.innererror.code).toBe('KeyExpired');
    allowed('decrypt', await use('decrypt'));
    clock.jump(-20_000);
  });

  test('each version has attributes of its own', async () => {
    await set({});
    const first = await call('POST', '/keys/two/create', { kty: 'EC', attributes: { enabled: false } });
    await call('POST', '/keys/two/create', { kty: 'EC' });
    const sign = { alg: 'ES256', value: digest };
    expect((await call('POST', '/keys/two/sign', sign)).status).toBe(200);
    const old = await call('POST', `/keys/two/${keyVersionOf(first)}/sign`, sign);
    expect(old.json.error.innererror.code).toBe('KeyDisabled');
  });
});

describe('key_ops', () => {
  beforeAll(async () => {
    const attributes = { enabled: true, nbf: 1, exp: now + 1000 };
    expect((await call('PATCH', '/keys/k', { attributes })).status).toBe(200);
  });

  test.each(operations)('a key with %s alone does nothing else, but is released', async (only) => {
    expect((await call('PATCH', '/keys/k', { key_ops: [only] })).status).toBe(200);
    for (const operation of operations) {
      const reply = await use(operation);
      if (operation === only) allowed(operation, reply);
      else forbidden(reply, `Operation ${operation} is not permitted on this key.`, 'KeyOperationForbidden');
    }
    allowed('release', await use('release'));
  });

  test('a key with none does nothing', async () => {
    expect((await call('PATCH', '/keys/k', { key_ops: [] })).status).toBe(200);
    for (const operation of operations)
      forbidden(
        await use(operation),
        `Operation ${operation} is not permitted on this key.`,
        'KeyOperationForbidden',
      );
  });

  test('a key that others are brought in under does nothing itself', async () => {
    const made = await call('POST', '/keys/kek/create', { kty: 'RSA-HSM', key_ops: ['import'] });
    expect(made.status).toBe(200);
    for (const operation of operations)
      forbidden(
        await use(operation, 'kek'),
        `Operation ${operation} is not permitted on this key.`,
        'KeyOperationForbidden',
      );
  });
});

describe('kinds of vaults', () => {
  const onlyPremium = errorBody('BadParameter', 'Hardware key operation not allowed on standard vault');
  const octets = { k: Buffer.alloc(16, 1).toString('base64url') };

  test('a standard vault makes and takes in no HSM keys', async () => {
    const standard = vaultCaller(server, token, 'standard');
    const { jwk } = outsideKey({ curve: 'P-256' });
    const attempts = [
      await standard('POST', '/keys/h/create', { kty: 'RSA-HSM' }),
      await standard('POST', '/keys/h/create', { kty: 'EC-HSM' }),
      await standard('POST', '/keys/h/create', { kty: 'oct-HSM', key_size: 256 }),
      await standard('POST', '/keys/h/create?api-version=2026-05-01-preview', {
        kty: 'AKP-HSM',
        alg: 'ML-DSA-65',
      }),
      await standard('PUT', '/keys/h', { key: { kty: 'oct-HSM', ...octets } }),
      await standard('PUT', '/keys/h', { key: { ...jwk, kty: 'EC-HSM' } }),
      await standard('PUT', '/keys/h', { key: jwk, Hsm: true }),
    ];
    for (const reply of attempts) expect([reply.status, reply.text]).toEqual([400, onlyPremium]);
    expect((await standard('GET', '/keys/h')).status).toBe(404);
    expect((await standard('POST', '/keys/s/create', { kty: 'EC' })).status).toBe(200);
    expect((await standard('PUT', '/keys/s', { key: jwk, Hsm: false })).status).toBe(200);
  });

  test('no vault has symmetric keys outside an HSM', async () => {
    for (const vault of ['dev', 'standard']) {
      const there = vaultCaller(server, token, vault);
      const made = await there('POST', '/keys/o/create', { kty: 'oct', key_size: 256 });
      expect([made.status, made.json.error.code]).toEqual([400, 'BadParameter']);
      expect(made.json.error.message).toMatch(/^Property \w* has invalid value\r\n/);
      for (const Hsm of [undefined, false, true]) {
        const imported = await there('PUT', '/keys/o', { key: { kty: 'oct', ...octets }, Hsm });
        expect([imported.status, imported.json.error.code]).toEqual([400, 'BadParameter']);
      }
      expect((await there('GET', '/keys/o')).status).toBe(404);
    }
  });

  test('where software is not to stand in for hardware, a premium vault has no HSM keys either', async () => {
    const strict = await startTestServer({ settings: { hsmKeys: 'refuse' } });
    try {
      const there = vaultCaller(strict, await tokenFor(strict));
      for (const body of [{ kty: 'RSA-HSM' }, { kty: 'EC-HSM' }, { kty: 'oct-HSM', key_size: 128 }]) {
        const reply = await there('POST', '/keys/h/create', body);
        expect([reply.status, reply.json.error.code]).toEqual([400, 'BadParameter']);
        expect(reply.json.error.message).toMatch(/hardware security module/);
      }
      expect((await there('POST', '/keys/s/create', { kty: 'EC' })).json.attributes.hsmPlatform).toBe('0');
    } finally {
      await strict.close();
    }
  });

  test('an HSM key made by software says so', async () => {
    const made = await call('POST', '/keys/honest/create', { kty: 'EC-HSM' });
    expect(made.json.attributes.hsmPlatform).toBe('0');
  });
});

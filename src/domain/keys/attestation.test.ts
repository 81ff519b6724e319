/** Which key an environment is said to hold, and when its attestation satisfies a policy. */
import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isFailure } from '../../core/errors.ts';
import { assertAttested, environmentKey } from './attestation.ts';
import { parseReleasePolicy } from './release-policy.ts';

const unverified = {
  kind: 'accessDenied',
  message: 'Target environment attestation statement cannot be verified.',
};
const rsa = (modulusLength: number) => {
  const { n, e } = generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' });
  return { kty: 'RSA', n, e };
};
const strong = rsa(2048);
const second = rsa(3072);
const key = { ...strong, kid: 'one', key_ops: ['encrypt'] };
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const runtime = (...keys: unknown[]) => ({ 'x-ms-runtime': { keys } });
const found = { id: 'one', jwk: { n: strong.n, e: strong.e } };

function refusal(claims: Record<string, unknown>): unknown {
  try {
    return environmentKey(claims);
  } catch (error) {
    return error;
  }
}

describe("the environment's key", () => {
  test.each([
    ['a confidential machine', runtime(key)],
    ["Azure's test authority", runtime({ ...strong, kid: 'one', use: 'enc' })],
    ['the words of the policy grammar', runtime({ ...strong, kid: 'one', key_use: 'enc' })],
    ['a key with other operations besides', runtime({ ...key, key_ops: ['decrypt', 'encrypt'], use: 'enc' })],
    [
      'a key for encryption with operations of its own',
      runtime({ ...key, use: 'enc', key_ops: ['wrapKey'] }),
    ],
    ['a key set at the top', { keys: [key] }],
    ['enclave-held data', { 'aas-ehd': encode({ keys: [key] }) }],
    ['enclave-held data under its newer name', { 'maa-ehd': encode({ keys: [key] }), 'aas-ehd': 'c2Rr' }],
    [
      'enclave-held data that is no JSON, and another',
      { 'x-ms-sgx-ehd': 'c2Rr', 'aas-ehd': encode({ keys: [key] }) },
    ],
    [
      'runtime claims without keys, and enclave-held data',
      { 'x-ms-runtime': {}, 'maa-ehd': encode({ keys: [key] }) },
    ],
    ['a key of another kind before it', runtime({ kty: 'EC', crv: 'P-256', kid: 'ec', use: 'enc' }, key)],
    ['a key for signatures before it', runtime({ ...second, kid: 'signs', use: 'sig' }, key)],
    ['a key for nothing before it', runtime({ ...second, kid: 'idle' }, null, 'x', key)],
  ])('is found in %s', (_, claims) => {
    expect(environmentKey(claims)).toEqual(found);
  });

  test('is the first of two that will do', () => {
    expect(environmentKey(runtime(key, { ...second, kid: 'two', use: 'enc' })).id).toBe('one');
    expect(environmentKey(runtime({ ...second, kid: 'two', use: 'enc' }, key)).id).toBe('two');
    // As the authority reports it, before what stands beside it.
    expect(environmentKey({ ...runtime(key), keys: [{ ...second, kid: 'two', use: 'enc' }] }).id).toBe('one');
  });

  const weak = { ...rsa(1024), kid: 'weak', use: 'enc' };
  const withModulus = (n: string) => runtime({ ...key, n });
  const bytes = Buffer.from(strong.n ?? '', 'base64url');
  const even = Buffer.concat([bytes.subarray(0, -1), Buffer.from([0x10])]).toString('base64url');
  test.each([
    ['there are no claims', {}],
    ['there is no set', { 'x-ms-runtime': { 'test-claim-name': 'value' } }],
    ['the set is empty', runtime()],
    ['the set is an object', { 'x-ms-runtime': { keys: { 0: key } } }],
    ['the runtime claims are a list', { 'x-ms-runtime': [{ keys: [key] }] }],
    ['the enclave-held data is no text', { 'aas-ehd': { keys: [key] } }],
    [
      'the first set has none, though another has',
      { ...runtime({ ...key, key_ops: ['sign'] }), keys: [key] },
    ],
    [
      'it is an elliptic curve key',
      runtime({ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'ec', use: 'enc' }),
    ],
    ['it is for signatures', runtime({ ...key, use: 'sig' })],
    ['its two uses differ', runtime({ ...key, use: 'enc', key_use: 'sig' })],
    ['its operations are a text', runtime({ ...key, key_ops: 'encrypt' })],
    ['it has no id', runtime({ ...key, kid: undefined })],
    ['its id is no text', runtime({ ...key, kid: 7 })],
    ['it is RSA-1024, even with a strong one beside it', runtime(weak, key)],
    [
      'it is RSA-1024 with zeros before it',
      withModulus(
        Buffer.concat([Buffer.alloc(128), Buffer.from(weak.n ?? '', 'base64url')]).toString('base64url'),
      ),
    ],
    ['it is longer than RSA-4096', withModulus(Buffer.alloc(520, 0xff).toString('base64url'))],
    ['its modulus is even', withModulus(even)],
    ['its modulus is zero', withModulus(Buffer.alloc(256).toString('base64url'))],
    ['its modulus is no base64url', withModulus(`${strong.n?.slice(0, -2)}==`)],
    ['its modulus is missing', runtime({ ...key, n: undefined })],
    ['its exponent is 1', runtime({ ...key, e: 'AQ' })],
    ['its exponent is 3', runtime({ ...key, e: 'Aw' })],
    ['its exponent is even', runtime({ ...key, e: 'AQAC' })],
    ['its exponent is huge', runtime({ ...key, e: strong.n })],
    ['its exponent is missing', runtime({ ...key, e: undefined })],
  ])('is refused if %s', (_, claims) => {
    expect(refusal(claims)).toMatchObject(unverified);
  });

  test('may have zeros before its numbers, as hardware writes them', () => {
    const padded = Buffer.concat([Buffer.alloc(1), bytes]).toString('base64url');
    expect(environmentKey(runtime({ ...key, n: padded, e: 'AAEAAQ' })).id).toBe('one');
  });

  test('is found or refused, whatever the claims', () => {
    const value = fc.oneof(fc.jsonValue(), fc.constant({ keys: [key] }), fc.constant(key));
    const names = fc.constantFrom('x-ms-runtime', 'keys', 'aas-ehd', 'maa-ehd', '__proto__');
    fc.assert(
      fc.property(fc.dictionary(names, fc.oneof(value, value.map(encode), fc.array(value))), (claims) => {
        const result = refusal(claims);
        return isFailure(result, 'accessDenied') || (result as { id: string }).id === 'one';
      }),
    );
  });
});

describe('an attestation', () => {
  const authority = 'https://attest.example.com';
  const document = {
    version: '1.0.0',
    anyOf: [{ authority: `${authority}/`, allOf: [{ claim: 'a', equals: 'x' }] }],
  };
  const policy = parseReleasePolicy({ data: encode(document) });
  const verifier = (claims: Record<string, unknown>, by = authority) => ({
    async verify(token: string, authorities: readonly string[]) {
      expect([token, authorities]).toEqual(['token', [authority]]);
      return { authority: by, claims };
    },
  });

  test('that satisfies the policy is returned', async () => {
    const attestation = await assertAttested(verifier({ a: 'x' }), { policy, token: 'token' });
    expect(attestation).toEqual({ authority, claims: { a: 'x' } });
  });

  test.each([
    ['does not satisfy the policy', { a: 'y' }, authority],
    ['is of another authority', { a: 'x' }, 'https://other.example.com'],
  ])('that %s is refused', async (_, claims, by) => {
    const asked = assertAttested(verifier(claims, by), { policy, token: 'token' });
    await expect(asked).rejects.toMatchObject(unverified);
  });
});

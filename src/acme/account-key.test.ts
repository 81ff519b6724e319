/** Proves the form of what is signed (RFC 8555 §6.2, §7.3.4, §8.1), and that only what was kept well is used again. */
import { compactVerify, flattenedVerify, importJWK } from 'jose';
import { expect, it } from 'vitest';
import { SecretBytes } from '../core/secret-bytes.ts';
import { keepAccount, makeAccount, openAccountKey, readAccount } from './account-key.ts';

const of = { directory: 'https://acme.example/dir' };

const decode = (part: string | undefined) =>
  JSON.parse(Buffer.from(part ?? '', 'base64url').toString()) as object;

it('requests are signed by the account, or to register by the key', async () => {
  const { jwk } = await makeAccount(of);
  const signer = await openAccountKey(jwk);
  const { d: _private, ...publicJwk } = jwk;
  const key = await importJWK(publicJwk, 'ES256');
  const as = { url: 'https://acme.example/x', nonce: 'n' };

  const registering = JSON.parse(await signer.sign({ a: 1 }, as)) as Parameters<typeof flattenedVerify>[0];
  const verified = await flattenedVerify(registering, key);
  expect(verified.protectedHeader).toEqual({ alg: 'ES256', nonce: 'n', url: as.url, jwk: publicJwk });
  expect(Buffer.from(verified.payload).toString()).toBe('{"a":1}');

  const known = JSON.parse(await signer.sign(undefined, { ...as, kid: 'https://acme.example/acct/1' })) as {
    protected: string;
    payload: string;
    signature: string;
  };
  expect(known.payload).toBe('');
  expect(decode(known.protected)).toEqual({
    ...{ alg: 'ES256', nonce: 'n', url: as.url },
    kid: 'https://acme.example/acct/1',
  });
  await compactVerify(`${known.protected}..${known.signature}`, key);
});

it('the binding is the public key under the customer’s HMAC key, and has no nonce', async () => {
  const { jwk } = await makeAccount(of);
  const signer = await openAccountKey(jwk);
  const mac = Buffer.alloc(32, 3);
  const url = 'https://acme.example/new-account';
  const binding = (await signer.bindExternally({ id: 'kid-1', mac }, url)) as Parameters<
    typeof flattenedVerify
  >[0];
  const { protectedHeader, payload } = await flattenedVerify(binding, mac);
  expect(protectedHeader).toEqual({ alg: 'HS256', kid: 'kid-1', url });
  const { d: _private, ...publicJwk } = jwk;
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(publicJwk);
});

it('the key authorization is the token and the thumbprint of the key', async () => {
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    // RFC 7517 appendix A.2; the thumbprint is by OpenSSL over RFC 7638's form.
    x: 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
    y: '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
    d: '870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE',
  } as const;
  const signer = await openAccountKey(jwk);
  expect(signer.keyAuthorization('token')).toBe('token.cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s');
});

it('what was kept is read back, and nothing else is', async () => {
  const account = {
    ...(await makeAccount({ ...of, externalKeyId: 'kid-1' })),
    url: 'https://acme.example/acct/1',
  };
  expect(readAccount(keepAccount(account))).toEqual(account);
  expect(readAccount(undefined)).toBeUndefined();
  const { d: _private, ...publicJwk } = account.jwk;
  for (const text of [
    '',
    'null',
    '{}',
    JSON.stringify({ ...account, jwk: publicJwk }),
    JSON.stringify({ ...account, jwk: { ...account.jwk, crv: 'P-384' } }),
    JSON.stringify({ ...account, jwk: { ...account.jwk, d: 'x' } }),
    JSON.stringify({ ...account, directory: undefined }),
  ]) {
    expect(readAccount(SecretBytes.fromText(text)), text).toBeUndefined();
  }
});

/** Attestation tokens against an authority on loopback over HTTPS, with everything that a forger might try. */
import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type AttestationAuthority,
  certificateJwk,
  signingKeyId,
  signToken,
  startAttestationAuthority,
} from '../../test/support/attestation-authority.ts';
import { type ManualClock, manualClock } from '../../test/support/identity.ts';
import { silentLog } from '../core/log.ts';
import { type AttestationOptions, createAttestationVerifier } from './attestation.ts';
import type { Fetch } from './remote-keys.ts';

const unverified = {
  kind: 'accessDenied',
  message: 'Target environment attestation statement cannot be verified.',
};
const unreachable = {
  kind: 'badParameter',
  message: 'AKV.SKR.1012: The specified attestation service  cannot be reached.',
};
const minute = 60_000;

let authority: AttestationAuthority;
let clock: ManualClock;
const published: unknown[] = [];
beforeAll(async () => {
  authority = await startAttestationAuthority();
  published.push(...authority.keys);
});
afterAll(() => authority.close());
beforeEach(() => {
  clock = manualClock();
  authority.answer = undefined;
  authority.asked.length = 0;
  authority.keys.splice(0, authority.keys.length, ...(published as typeof authority.keys));
});

function verifier(options: Partial<AttestationOptions> & { fetch?: Fetch } = {}) {
  const { fetch: given = fetch, allowed = [authority.url] } = options;
  return createAttestationVerifier({ fetch: given, clock, log: silentLog }, { allowed });
}

const mint = (claims = {}, header = {}) => authority.mint(clock.now(), claims, header);
const verify = (token: string, by = verifier()) => by.verify(token, [authority.url]);

/** Answers with JSON by path; anything else is 404. */
function serve(bodies: Readonly<Record<string, unknown>>): void {
  authority.answer = (request, response) => {
    const body = bodies[request.url ?? ''];
    response.writeHead(body === undefined ? 404 : 200).end(JSON.stringify(body ?? {}));
  };
}

describe('a good token', () => {
  test('gives its claims and its authority in the form that compares', async () => {
    const { authority: by, claims } = await verify(mint({ 'sdk-test': true }));
    expect(by).toBe(authority.url);
    expect(claims).toMatchObject({ 'sdk-test': true, iss: `${authority.url}/` });
  });

  test('is of an authority whatever the slash, the case of its host, and the default port', async () => {
    const asked: string[] = [];
    const elsewhere: Fetch = (url) => {
      asked.push(url);
      const document = { jwks_uri: 'https://ATTEST.example.com/keys/' };
      return Promise.resolve(Response.json(url.endsWith('/keys/') ? { keys: published } : document));
    };
    const by = verifier({ fetch: elsewhere, allowed: ['https://attest.example.com:443/'] });
    const token = mint({ iss: 'https://Attest.example.COM/' });
    expect((await by.verify(token, ['https://attest.example.com'])).authority).toBe(
      'https://attest.example.com',
    );
    expect(asked).toEqual([
      'https://attest.example.com/.well-known/openid-configuration',
      'https://ATTEST.example.com/keys/',
    ]);
  });

  test('is verified with the certificate where the set has no other form of the key', async () => {
    const { jwk, privateKey } = await certificateJwk('in-a-certificate');
    authority.keys.splice(0, authority.keys.length, jwk);
    const claims = { iss: authority.url, exp: clock.now() / 1000 + 60 };
    const token = signToken(privateKey, { header: { alg: 'RS256', kid: 'in-a-certificate' }, claims });
    expect((await verify(token)).claims.iss).toBe(authority.url);
    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    const forged = signToken(other, { header: { alg: 'RS256', kid: 'in-a-certificate' }, claims });
    await expect(verify(forged)).rejects.toMatchObject(unverified);
  });

  test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'])(
    'may be signed with %s',
    async (alg) => {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
      const { jwk } = { jwk: await crypto.subtle.exportKey('jwk', publicKey) };
      const { alg: _, key_ops: __, ext: ___, ...members } = jwk;
      authority.keys.push({ ...members, kid: alg });
      const token = await new SignJWT({ iss: authority.url })
        .setProtectedHeader({ alg, kid: alg })
        .setExpirationTime(clock.now() / 1000 + 60)
        .sign(privateKey);
      await expect(verify(token)).resolves.toMatchObject({ authority: authority.url });
    },
  );

  test('asks an authority once for its keys, and again for a key id that is new', async () => {
    const by = verifier();
    await verify(mint(), by);
    await verify(mint(), by);
    expect(authority.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
    const added = generateKeyPairSync('rsa', { modulusLength: 2048 });
    authority.keys.push({ ...added.publicKey.export({ format: 'jwk' }), kid: 'added' });
    const claims = { iss: authority.url, exp: clock.now() / 1000 + 600 };
    const token = signToken(added.privateKey, { header: { alg: 'RS256', kid: 'added' }, claims });
    await expect(verify(token, by)).rejects.toMatchObject(unverified);
    clock.advance(minute);
    await expect(verify(token, by)).resolves.toMatchObject({ claims });
  });
});

describe('a token that is refused', () => {
  const other = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const cases: Readonly<Record<string, () => string>> = {
    'signed with another key': () =>
      signToken(other.privateKey, {
        header: { alg: 'RS256', kid: signingKeyId },
        claims: { iss: authority.url, exp: clock.now() / 1000 + 60 },
      }),
    'signed with the key in its own header': () =>
      signToken(other.privateKey, {
        header: { alg: 'RS256', kid: signingKeyId, jwk: other.publicKey.export({ format: 'jwk' }) },
        claims: { iss: authority.url, exp: clock.now() / 1000 + 60 },
      }),
    'of a key id that is not published': () => mint({}, { kid: 'unknown' }),
    'of no key id': () => mint({}, { kid: undefined }),
    'of another authority': () => mint({ iss: 'https://localhost.example.com/' }),
    'of a path of the authority': () => mint({ iss: `${authority.url}/tenant` }),
    'of the authority over HTTP': () => mint({ iss: authority.url.replace('https', 'http') }),
    'of no authority': () => mint({ iss: undefined }),
    'of an authority that is no text': () => mint({ iss: { toString: 'https://a' } }),
    'that has expired': () => mint({ exp: clock.now() / 1000 - 301 }),
    'that never expires': () => mint({ exp: undefined }),
    'whose end is a text': () => mint({ exp: '9999999999' }),
    'that is not valid yet': () => mint({ nbf: clock.now() / 1000 + 301 }),
    'issued in the future': () => mint({ iat: clock.now() / 1000 + 301 }),
    'whose claims were changed': () => {
      const [header, , signature] = mint().split('.');
      const claims = { iss: authority.url, exp: clock.now() / 1000 + 60, 'sdk-test': true };
      return `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
    },
    'without a signature': () => {
      const [, claims] = mint().split('.');
      const header = Buffer.from(JSON.stringify({ alg: 'none', kid: signingKeyId })).toString('base64url');
      return `${header}.${claims}.`;
    },
    'signed HS256 with the public key': () => {
      const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: signingKeyId })).toString('base64url');
      const [, claims] = mint().split('.');
      const key = createPublicKey({ key: authority.keys[0] as never, format: 'jwk' });
      const secret = key.export({ format: 'pem', type: 'spki' });
      return `${header}.${claims}.${createHmac('sha256', secret).update(`${header}.${claims}`).digest('base64url')}`;
    },
    'that says another algorithm than its signature has': () => mint({}, { alg: 'PS256' }),
    'of an algorithm for another kind of key': () => mint({}, { alg: 'ES256' }),
    'with a critical header': () => mint({}, { crit: ['exp'], exp: 1 }),
    'that is longer than 64 KiB': () => mint({ filling: 'x'.repeat(50_000) }),
    'that is no token': () => 'target',
    'that is empty': () => '',
    'that is encrypted': () => 'e30.e30.e30.e30.e30',
  };
  test.each(Object.entries(cases))('%s', async (_, make) => {
    await expect(verify(make())).rejects.toMatchObject(unverified);
  });

  test('a key confused with another of the same set', async () => {
    authority.keys.push({ ...other.publicKey.export({ format: 'jwk' }), kid: 'second' });
    await expect(verify(mint({}, { kid: 'second' }))).rejects.toMatchObject(unverified);
  });

  test('the second of two keys of one id', async () => {
    authority.keys.push({ ...other.publicKey.export({ format: 'jwk' }), kid: signingKeyId });
    const claims = { iss: authority.url, exp: clock.now() / 1000 + 60 };
    const token = signToken(other.privateKey, { header: { alg: 'RS256', kid: signingKeyId }, claims });
    await expect(verify(token)).rejects.toMatchObject(unverified);
    await expect(verify(mint())).resolves.toBeDefined();
  });

  test.each([
    ['for encryption', { use: 'enc' }],
    ['of another algorithm', { alg: 'RS512' }],
    ['symmetric', { kty: 'oct', k: 'c2VjcmV0', n: undefined, e: undefined }],
    ['without its modulus', { n: undefined }],
  ])('signed with a published key that is %s', async (_, change) => {
    const usable = { ...authority.keys[0], kid: 'usable' };
    authority.keys.splice(0, 1, usable, { ...authority.keys[0], ...change });
    await expect(verify(mint())).rejects.toMatchObject(unverified);
  });

  test('signed with a published key of 1024 bits', async () => {
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    authority.keys.push({ ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak' });
    const claims = { iss: authority.url, exp: clock.now() / 1000 + 60 };
    const token = signToken(weak.privateKey, { header: { alg: 'RS256', kid: 'weak' }, claims });
    await expect(verify(token)).rejects.toMatchObject(unverified);
  });

  test('whose jku names a host of the forger: it is never asked', async () => {
    const forger = await startAttestationAuthority();
    try {
      const claims = { iss: `${authority.url}/` };
      const token = forger.mint(clock.now(), claims, { jku: `${forger.url}/keys` });
      await expect(verify(token, verifier({ allowed: 'any' }))).rejects.toMatchObject(unverified);
      expect(forger.asked).toEqual([]);
    } finally {
      await forger.close();
    }
  });
});

describe('an authority', () => {
  test('that is not allowed is not asked, though the policy names it', async () => {
    const by = verifier({ allowed: ['https://attest.example.com'] });
    const refusal = { kind: 'badParameter', message: expect.stringContaining('not trusted') };
    await expect(verify(mint(), by)).rejects.toMatchObject(refusal);
    expect(() => by.assertTrusted([authority.url])).toThrow('not trusted');
    expect(() => by.assertTrusted(['https://attest.example.com/'])).not.toThrow();
    expect(authority.asked).toEqual([]);
    await expect(verify(mint(), verifier({ allowed: 'any' }))).resolves.toBeDefined();
  });

  test.each([
    'http://attest.example.com',
    'attest.example.com',
    'https://user@attest.example.com',
    'https://a?b',
  ])('cannot be configured as %s', (text) => {
    expect(() => verifier({ allowed: [text] })).toThrow(TypeError);
  });

  test('without a discovery document is asked for its certs', async () => {
    serve({ '/certs': { keys: published } });
    await expect(verify(mint())).resolves.toBeDefined();
    expect(authority.asked).toEqual(['/.well-known/openid-configuration', '/certs']);
  });

  test('whose discovery document names no key set is asked for its certs', async () => {
    serve({ '/.well-known/openid-configuration': { issuer: authority.url }, '/certs': { keys: published } });
    await expect(verify(mint())).resolves.toBeDefined();
  });

  const documents: Readonly<Record<string, () => unknown>> = {
    'has its keys on another host': () => ({ jwks_uri: 'https://169.254.169.254/latest' }),
    'has its keys on another port': () => ({ jwks_uri: authority.url.replace(/\d+$/, '1') }),
    'has its keys over HTTP': () => ({ jwks_uri: `${authority.url.replace('https', 'http')}/keys` }),
    'has its keys behind credentials': () => ({ jwks_uri: authority.url.replace('//', '//user:pass@') }),
    'has its keys at no text': () => ({ jwks_uri: 7 }),
    'is another issuer': () => ({ issuer: 'https://attest.example.com', jwks_uri: `${authority.url}/keys` }),
    'is a list': () => [],
  };
  test.each(Object.entries(documents))('whose discovery document says that it %s', async (_, document) => {
    const asked: string[] = [];
    // Every address has the keys, so that nothing but the refusal to ask can keep the token from being verified.
    const everywhere: Fetch = (url) => {
      asked.push(url);
      return Promise.resolve(Response.json(asked.length === 1 ? document() : { keys: published }));
    };
    await expect(verify(mint(), verifier({ fetch: everywhere }))).rejects.toMatchObject(unreachable);
    expect(asked).toEqual([`${authority.url}/.well-known/openid-configuration`]);
  });

  const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
    'that redirects': (response) => response.writeHead(302, { location: '/elsewhere' }).end(),
    'that fails': (response) => response.writeHead(500).end(),
    'that hangs up': (response) => response.destroy(),
    'that answers no JSON': (response) => response.end('<html>'),
    'that answers too much': (response) => response.end(`{"keys":[${'{},'.repeat(100_000)}{}]}`),
  };
  test.each(Object.entries(answers))('%s cannot be reached', async (_, answer) => {
    authority.answer = (request, response) =>
      request.url === '/certs' || request.url === '/elsewhere'
        ? void response.end(JSON.stringify({ keys: published }))
        : answer(response);
    await expect(verify(mint())).rejects.toMatchObject(unreachable);
    expect(authority.asked).not.toContain('/elsewhere');
  });

  test.each([
    {},
    { keys: [] },
    { keys: {} },
    { keys: [null, 7, { kid: '' }, { kid: 'a', kty: 'RSA', x5c: ['<>'] }] },
  ])('whose key set is %j cannot be reached', async (keySet) => {
    serve({ '/certs': keySet });
    await expect(verify(mint())).rejects.toMatchObject(unreachable);
  });

  test('that does not answer is given up after five seconds', async () => {
    const asked = new Promise<void>((resolve) => {
      authority.answer = () => resolve();
    });
    const refusal = expect(verify(mint())).rejects.toMatchObject(unreachable);
    await asked;
    clock.advance(5000);
    await refusal;
  });

  test('that is down keeps its keys for a day, and is not asked at every token', async () => {
    const by = verifier();
    await verify(mint(), by);
    authority.answer = (_, response) => void response.writeHead(503).end();
    clock.advance(60 * minute);
    await expect(verify(mint(), by)).resolves.toBeDefined();
    clock.advance(24 * 60 * minute);
    // The first waits for what was begun before the day went by, the second asks anew.
    await expect(verify(mint(), by)).rejects.toMatchObject(unreachable);
    await expect(verify(mint(), by)).rejects.toMatchObject(unreachable);
    const { length } = authority.asked;
    await expect(verify(mint(), by)).rejects.toMatchObject(unreachable);
    expect(authority.asked).toHaveLength(length);
  });

  test('whose certificate nobody vouches for cannot be reached', async () => {
    const untrusted: Fetch = () =>
      Promise.reject(new TypeError('self-signed certificate in certificate chain'));
    await expect(verify(mint(), verifier({ fetch: untrusted }))).rejects.toMatchObject(unreachable);
  });

  test('is asked again when it has made room for others in memory', async () => {
    let asked = 0;
    const counting: Fetch = (url) => {
      asked += 1;
      const document = { jwks_uri: new URL('/keys', url).href };
      return Promise.resolve(Response.json(url.endsWith('/keys') ? { keys: published } : document));
    };
    const by = verifier({ fetch: counting, allowed: 'any' });
    const ask = (iss: string) => by.verify(mint({ iss }), [iss]);
    await ask('https://first.example.com');
    for (let i = 0; i < 64; i += 1) await ask(`https://a${i}.example.com`);
    await ask('https://a63.example.com');
    expect(asked).toBe(2 * 65);
    await ask('https://first.example.com');
    expect(asked).toBe(2 * 66);
  });
});

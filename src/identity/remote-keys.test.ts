import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterEach, describe, expect, it } from 'vitest';
import { manualClock, memorySigningKeyStore } from '../../test/support/identity.ts';
import { directoryOf } from '../../test/support/principals.ts';
import { createChangeHub } from '../core/changes.ts';
import { silentLog } from '../core/log.ts';
import { isGuid } from '../core/names.ts';
import { azureIssuerNames } from './issuer-names.ts';
import { createKeyRing } from './key-ring.ts';
import { createRemoteKeys } from './remote-keys.ts';
import { type ExternalIssuer, subjectGuid } from './token-claims.ts';
import { createTrustedIssuers } from './trusted-issuers.ts';
import { createTokenValidator } from './validator.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const expected = { audiences: ['https://vault.azure.net'], tenantId };
const minute = 60 * 1000;
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function makeKey(kid: string, alg = 'RS256') {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid } as JWK };
}

/** A real issuer on loopback, whose answers a test may replace. */
async function startIssuer() {
  const asked: string[] = [];
  const state = {
    keys: [] as JWK[],
    answer: undefined as undefined | ((q: IncomingMessage, r: ServerResponse) => void),
  };
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    if (state.answer !== undefined) return state.answer(request, response);
    const body =
      request.url === '/.well-known/openid-configuration'
        ? { issuer: origin, jwks_uri: `${origin}/keys` }
        : { keys: state.keys };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, asked, state };
}

async function setup(row: Partial<ExternalIssuer> = {}) {
  const remote = await startIssuer();
  const first = await makeKey('first');
  remote.state.keys = [first.jwk];
  const clock = manualClock();
  const ring = createKeyRing({ store: memorySigningKeyStore(), clock, feed: createChangeHub() });
  const issuer = remote.origin;
  const ownIssuers = [azureIssuerNames];
  const trusted = createTrustedIssuers(
    { ownKeys: ring, clock, log: silentLog, fetch },
    { ownIssuers, externalIssuers: [{ issuer, audiences: ['strongroom'], tenantId, ...row }] },
  );
  const validator = createTokenValidator({ trusted, clock, directory: directoryOf([]) }, { ownIssuers });
  const sign = (claims: object, key = first, header: object = {}) => {
    const now = Math.floor(clock.now() / 1000);
    const all = {
      iss: issuer,
      aud: 'strongroom',
      sub: 'system:serviceaccount:shop:web',
      exp: now + 600,
      ...claims,
    };
    return new SignJWT(all)
      .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
      .sign(key.privateKey);
  };
  const source = createRemoteKeys({ fetch, clock, log: silentLog }, { issuer, algorithms: ['RS256'] });
  return { ...remote, clock, validator, sign, first, ring, source };
}

const isRefused = async (promise: Promise<unknown>, text = '') =>
  expect(promise).rejects.toMatchObject({ kind: 'unauthorized', message: expect.stringContaining(text) });

describe('tokens of external issuers', () => {
  it('finds the keys by discovery and maps a foreign subject to the same GUID each time', async () => {
    const { validator, sign, origin, asked } = await setup();
    const principal = await validator.validate(await sign({}), expected);
    expect(principal).toEqual({
      objectId: subjectGuid(origin, 'system:serviceaccount:shop:web'),
      tenantId,
      appId: undefined,
      kind: 'application',
      issuer: origin,
      userName: undefined,
      groups: [],
    });
    expect(isGuid(principal.objectId)).toBe(true);
    expect(subjectGuid('a', 'bc')).not.toBe(subjectGuid('ab', 'c'));
    expect(asked).toEqual(['/.well-known/openid-configuration', '/keys']);
    await validator.validate(await sign({ jti: 'another' }), expected);
    expect(asked).toHaveLength(2);
  });

  it('reads the claims that the row names, GUIDs as they are', async () => {
    const { validator, sign } = await setup({ claims: { objectId: 'oid', appId: 'client' } });
    const oid = '33333333-3333-4333-8333-33333333333A';
    const token = await sign({ oid, client: 'shop', preferred_username: 'ada' }, undefined, {
      typ: 'at+jwt',
    });
    expect(await validator.validate(token, expected)).toMatchObject({
      objectId: oid.toLowerCase(),
      appId: 'shop',
      kind: 'user',
      userName: 'ada',
    });
    await isRefused(validator.validate(await sign({}), expected), "'oid' is missing");
  });

  it("accepts the row's audiences and those of the API, among several", async () => {
    const { validator, sign } = await setup();
    for (const aud of ['https://vault.azure.net/', ['account', 'strongroom']]) {
      await validator.validate(await sign({ aud }), expected);
    }
    await isRefused(validator.validate(await sign({ aud: ['account', 'other'] }), expected), 'AKV10022');
  });

  it('is trusted for its own tenant only', async () => {
    const { validator, sign } = await setup();
    const tid = '22222222-2222-4222-8222-222222222222';
    await isRefused(validator.validate(await sign({ tid }), expected), 'another tenant');
    await isRefused(
      validator.validate(await sign({ tid }), { ...expected, tenantId: tid }),
      'another tenant',
    );
    await isRefused(validator.validate(await sign({}), { ...expected, tenantId: tid }), 'AKV10032');
  });

  it("cannot speak for the embedded service, nor the service for it: keys are the issuer's own", async () => {
    const { validator, sign, origin, ring } = await setup();
    const iss = `https://sts.windows.net/${tenantId}/`;
    const oid = '33333333-3333-4333-8333-333333333333';
    const claims = {
      iss,
      tid: tenantId,
      oid,
      appid: oid,
      ver: '1.0',
      idtyp: 'app',
      aud: 'https://vault.azure.net',
    };
    await isRefused(validator.validate(await sign(claims, undefined, { typ: 'JWT' }), expected), 'AKV10046');
    const { kid, key } = await ring.signer();
    const forged = await sign({ iss: origin }, { kid, alg: 'RS256', privateKey: key, jwk: {} });
    await isRefused(validator.validate(forged, expected), 'AKV10046');
  });

  it('refuses subjects that are missing, empty or no text', async () => {
    const { validator, sign } = await setup();
    for (const sub of [undefined, '', 5, ['a'], null])
      await isRefused(validator.validate(await sign({ sub }), expected));
    await isRefused(validator.validate(await sign({ exp: undefined }), expected));
  });
});

describe('keys of external issuers', () => {
  it('takes up a rotated key, at most one fetch in thirty seconds whatever ids are asked for', async () => {
    const { validator, sign, state, asked, clock } = await setup();
    await validator.validate(await sign({}), expected);
    const second = await makeKey('second');
    state.keys = [second.jwk];
    for (const kid of ['x', 'y', 'second']) {
      await isRefused(validator.validate(await sign({}, { ...second, kid }), expected), 'AKV10046');
    }
    expect(asked).toHaveLength(2);
    clock.advance(30_000);
    await validator.validate(await sign({}, second), expected);
    expect(asked).toHaveLength(4);
    // The first key has left the set, and the tokens that it signed with it.
    await isRefused(validator.validate(await sign({}), expected), 'AKV10046');
  });

  it('asks once for many tokens at the same moment', async () => {
    const { source, asked } = await setup();
    const found = await Promise.all([1, 2, 3, 4].map(() => source.find('first')));
    expect(found.every((key) => key?.algorithm === 'RS256')).toBe(true);
    expect(asked).toHaveLength(2);
  });

  it('looks again after ten minutes, so that a withdrawn key is dropped', async () => {
    const { validator, sign, state, clock, source } = await setup();
    const token = await sign({ exp: Math.floor(clock.now() / 1000) + 3600 });
    await validator.validate(token, expected);
    expect(await source.find('first')).toBeDefined();
    state.keys = [(await makeKey('second')).jwk];
    clock.advance(10 * minute);
    expect(validator.cached(token, expected)).toBeUndefined();
    expect(source.has('first')).toBe(false);
    // The one that notices starts the fetch and goes on with the key at hand; an unknown id waits for it.
    expect(await source.find('first')).toBeDefined();
    expect(await source.find('second')).toBeDefined();
    expect(await source.find('first')).toBeUndefined();
  });

  it('goes on with the keys last seen while the issuer is down, for a day', async () => {
    const { source, state, clock, asked } = await setup();
    expect(await source.find('first')).toBeDefined();
    state.answer = (_request, response) => response.writeHead(503).end();
    clock.advance(23 * 60 * minute);
    expect(await source.find('first')).toBeDefined();
    expect(await source.find('unknown')).toBeUndefined();
    expect(source.has('first')).toBe(true);
    expect(asked).toHaveLength(3);
    clock.advance(60 * minute);
    expect(source.has('first')).toBe(false);
    expect(await source.find('first')).toBeUndefined();
    state.answer = undefined;
    clock.advance(30_000);
    expect(await source.find('first')).toBeDefined();
  });

  // Each answer would lead to the keys if its one fault were overlooked.
  it.each<[string, (good: string, request: IncomingMessage, response: ServerResponse) => void]>([
    ['a redirect', (_, __, response) => response.writeHead(302, { location: '/elsewhere' }).end()],
    ['an error status', (good, _, response) => response.writeHead(500).end(good)],
    ['no JSON', (good, _, response) => response.end(`${good}}`)],
    ['a list', (good, _, response) => response.end(`[${good}]`)],
    ['more than 256 KiB', (good, _, response) => response.end(`${' '.repeat(256 * 1024)}${good}`)],
    ['a connection that breaks', (_, request) => request.socket.destroy()],
    ['another issuer', (good, _, response) => response.end(good.replace('"issuer":"', '"issuer":"x'))],
  ])('takes no key by way of %s', async (_what, answer) => {
    const { source, state, origin, asked } = await setup();
    const good = JSON.stringify({ issuer: origin, jwks_uri: `${origin}/keys` });
    state.answer = (request, response) => {
      if (request.url?.endsWith('/openid-configuration')) return answer(good, request, response);
      response.end(request.url === '/keys' ? JSON.stringify({ keys: state.keys }) : good);
    };
    expect(await source.find('first')).toBeUndefined();
    expect(asked).toEqual(['/.well-known/openid-configuration']);
  });

  it.each(['http://10.0.0.1/keys', 'file:///etc/passwd', 'http://127.0.0.1.evil.example/keys', '//x', 5])(
    'does not follow a discovery document to %s',
    async (jwks_uri) => {
      const { origin, state, clock } = await setup();
      state.answer = (_request, response) => response.end(JSON.stringify({ issuer: origin, jwks_uri }));
      const urls: string[] = [];
      const spy = (url: string, init: RequestInit) => {
        urls.push(url);
        return fetch(url, init);
      };
      const source = createRemoteKeys(
        { fetch: spy, clock, log: silentLog },
        { issuer: origin, algorithms: ['RS256'] },
      );
      expect(await source.find('first')).toBeUndefined();
      expect(urls).toEqual([`${origin}/.well-known/openid-configuration`]);
    },
  );

  it('gives up on an issuer that does not answer within five seconds', async () => {
    const { source, state, clock } = await setup();
    let arrived = () => {};
    const asked = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    state.answer = () => arrived();
    const found = source.find('first');
    await asked;
    clock.advance(5_000);
    expect(await found).toBeUndefined();
  });

  it('takes only keys for signatures, of accepted algorithms, of 2048 bits and more', async () => {
    const { source, state, first } = await setup();
    const weak = await crypto.subtle.generateKey(
      {
        name: 'RSASSA-PKCS1-v1_5',
        modulusLength: 1024,
        publicExponent: new Uint8Array([1, 0, 1]),
        hash: 'SHA-256',
      },
      true,
      ['sign', 'verify'],
    );
    state.keys = [
      { ...(await exportJWK(weak.publicKey)), kid: 'weak' },
      { ...first.jwk, kid: 'encryption', use: 'enc' },
      { ...first.jwk, kid: 'mac', alg: 'HS256' },
      { ...first.jwk, kid: 'pss', alg: 'PS256' },
      { kty: 'oct', k: 'AAAA', kid: 'symmetric', alg: 'RS256' },
      { kty: 'RSA', n: 'AQAB', kid: 'broken' },
      (await makeKey('elliptic', 'ES256')).jwk,
      { ...first.jwk, kid: 'good' },
      { ...(await makeKey('good')).jwk },
    ];
    const kids = state.keys.map((key) => key.kid ?? '');
    const found = await Promise.all(kids.map((kid) => source.find(kid)));
    expect(kids.filter((_, i) => found[i] !== undefined)).toEqual(['good', 'good']);
    expect(found.at(-1)?.key.type).toBe('public');
    const members = await exportJWK(found.at(-1)?.key ?? first.privateKey);
    expect(members.n).toBe(first.jwk.n);
  });

  it.each([
    [{ issuer: 'http://issuer.example', algorithms: ['RS256'] }],
    [{ issuer: 'https://user:password@issuer.example', algorithms: ['RS256'] }],
    [{ issuer: 'https://issuer.example', jwksUri: 'http://issuer.example/keys', algorithms: ['RS256'] }],
    [{ issuer: 'https://issuer.example', algorithms: ['HS256'] }],
    [{ issuer: 'https://issuer.example', algorithms: ['none'] }],
    [{ issuer: 'not an address', algorithms: ['RS256'] }],
  ])('refuses to be set up with %j', (options) => {
    expect(() => createRemoteKeys({ fetch, clock: manualClock(), log: silentLog }, options)).toThrow(
      TypeError,
    );
  });
});

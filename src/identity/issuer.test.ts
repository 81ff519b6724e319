import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { manualClock, memorySigningKeyStore } from '../../test/support/identity.ts';
import { createChangeHub } from '../core/changes.ts';
import { systemRandom } from '../crypto/random.ts';
import { createTokenIssuer, type TokenRequest } from './issuer.ts';
import { azureIssuerNames, issuerOf, ownIssuerNames } from './issuer-names.ts';
import { createKeyRing } from './key-ring.ts';
import type { PrincipalRecord } from './principals.ts';

const hour = 60 * 60 * 1000;
const day = 24 * hour;
const tenantId = '11111111-1111-4111-8111-111111111111';
const principal: PrincipalRecord = {
  objectId: '33333333-3333-4333-8333-333333333333',
  tenantId,
  appId: '44444444-4444-4444-8444-444444444444',
  kind: 'application',
  displayName: 'web',
  resourceId: undefined,
  created: 0,
  userName: undefined,
  applicationId: undefined,
  enabled: true,
  detail: {},
};
const request: TokenRequest = {
  principal,
  audience: 'https://vault.azure.net',
  version: '1.0',
  issuer: issuerOf(azureIssuerNames, '1.0', tenantId),
  lifetimeSeconds: 3600,
  clientAuthentication: '1',
};

function setup(store = memorySigningKeyStore(), clock = manualClock()) {
  const keys = createKeyRing({ store, clock, feed: createChangeHub() });
  const issuer = createTokenIssuer({ keys, clock, random: systemRandom });
  const kids = async () => (await issuer.jwks()).keys.map((key) => key.kid);
  const signedBy = async () => decodeProtectedHeader((await issuer.issueToken(request)).token).kid;
  return { store, clock, keys, issuer, kids, signedBy };
}

describe('token issuer', () => {
  it("issues a v1.0 token with Entra ID's header and claims, verifiable by the published keys", async () => {
    const { issuer, clock } = setup();
    const { token, notBefore, expiresAt } = await issuer.issueToken(request);
    const jwks = await issuer.jwks();
    const currentDate = new Date(clock.now());
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet({ keys: [...jwks.keys] }), {
      currentDate,
    });
    const kid = jwks.keys[0]?.kid;
    expect(protectedHeader).toEqual({ typ: 'JWT', alg: 'RS256', x5t: kid, kid });
    expect(notBefore).toBe(clock.now() / 1000);
    expect(expiresAt).toBe(notBefore + 3600);
    expect(payload).toEqual({
      aud: 'https://vault.azure.net',
      iss: `https://sts.windows.net/${tenantId}/`,
      iat: notBefore,
      nbf: notBefore,
      exp: expiresAt,
      appid: principal.appId,
      appidacr: '1',
      idp: `https://sts.windows.net/${tenantId}/`,
      idtyp: 'app',
      oid: principal.objectId,
      sub: principal.objectId,
      tid: tenantId,
      uti: expect.stringMatching(/^[\w-]{22}$/),
      ver: '1.0',
    });
  });

  it('issues a v2.0 token of own names, and a user token', async () => {
    const { issuer } = setup();
    const iss = issuerOf(ownIssuerNames('https://login.strongroom.localhost:8443'), '2.0', tenantId);
    const groups = ['99999999-9999-4999-8999-999999999999'];
    const clientId = '04b07795-8ddb-461a-bbee-02f9e1bf7b46';
    const user = { userName: 'ada@example.com', clientId, scope: 'user_impersonation', groups };
    const { token } = await issuer.issueToken({
      ...request,
      version: '2.0',
      issuer: iss,
      clientAuthentication: '0',
      user,
    });
    const { iat, nbf, exp, uti, ...claims } = decodeJwt(token);
    expect(claims).toEqual({
      aud: request.audience,
      iss: `https://login.strongroom.localhost:8443/${tenantId}/v2.0`,
      azp: clientId,
      azpacr: '0',
      ver: '2.0',
      scp: 'user_impersonation',
      name: principal.displayName,
      preferred_username: 'ada@example.com',
      groups,
      oid: principal.objectId,
      sub: principal.objectId,
      tid: tenantId,
    });
    const v1 = await issuer.issueToken({ ...request, clientAuthentication: '0', user });
    expect(decodeJwt(v1.token)).toMatchObject({
      appid: clientId,
      appidacr: '0',
      upn: 'ada@example.com',
      unique_name: 'ada@example.com',
      amr: ['pwd'],
      scp: 'user_impersonation',
      ver: '1.0',
    });
    expect(decodeJwt(v1.token)).not.toHaveProperty('idtyp');
  });

  it('says that there are groups where they are too many for a token', async () => {
    const { issuer } = setup();
    const user = { userName: 'ada@example.com', clientId: 'c', scope: 'x' };
    const groups = Array.from({ length: 201 }, (_, index) => `group ${index}`);
    const many = decodeJwt((await issuer.issueToken({ ...request, user: { ...user, groups } })).token);
    expect(many).toMatchObject({ hasgroups: true });
    expect(many).not.toHaveProperty('groups');
    const fewer = { ...user, groups: groups.slice(1) };
    const few = decodeJwt((await issuer.issueToken({ ...request, user: fewer })).token);
    expect(few.groups).toHaveLength(200);
    expect(few).not.toHaveProperty('hasgroups');
  });

  it('issues ID tokens for the client, with its nonce, in the form of the endpoint', async () => {
    const { issuer } = setup();
    const of = { principal, userName: 'ada@example.com', clientId: 'client', lifetimeSeconds: 3600 };
    const v2 = decodeJwt(
      await issuer.issueIdToken({ ...of, version: '2.0', issuer: 'https://issuer/v2.0', nonce: 'n' }),
    );
    expect(v2).toMatchObject({
      aud: 'client',
      iss: 'https://issuer/v2.0',
      nonce: 'n',
      preferred_username: 'ada@example.com',
      name: principal.displayName,
      oid: principal.objectId,
      sub: principal.objectId,
      tid: tenantId,
      ver: '2.0',
    });
    for (const name of ['scp', 'idtyp', 'azp', 'appid']) expect(v2).not.toHaveProperty(name);
    const v1 = decodeJwt(
      await issuer.issueIdToken({ ...of, version: '1.0', issuer: 'https://issuer/', nonce: undefined }),
    );
    expect(v1).toMatchObject({ upn: 'ada@example.com', ver: '1.0' });
    expect(v1).not.toHaveProperty('nonce');
  });

  it.each([0, -1, 1.5, 86_401, Number.NaN])('refuses a lifetime of %s seconds', async (lifetimeSeconds) => {
    await expect(setup().issuer.issueToken({ ...request, lifetimeSeconds })).rejects.toThrow(RangeError);
  });

  it('publishes no private key', async () => {
    const { issuer } = setup();
    await issuer.issueToken(request);
    for (const key of (await issuer.jwks()).keys) {
      expect(Object.keys(key).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use', 'x5t']);
    }
  });
});

describe('rotation of signing keys', () => {
  it('is idempotent, and survives a restart', async () => {
    const { keys, clock, kids, store } = setup();
    await keys.rotate(clock.now());
    await keys.rotate(clock.now());
    expect(store.saves).toBe(1);
    const restarted = setup(store, clock);
    expect(await restarted.kids()).toEqual(await kids());
    expect(await restarted.signedBy()).toBe((await kids())[0]);
    expect(store.saves).toBe(1);
  });

  it('publishes the next key a day before it signs, and the old one until its tokens have expired', async () => {
    const { keys, clock, kids, signedBy } = setup();
    const first = await signedBy();
    clock.advance(29 * day - 1);
    await keys.rotate(clock.now());
    expect(await kids()).toEqual([first]);
    clock.advance(1);
    await keys.rotate(clock.now());
    const [, second] = await kids();
    expect(await kids()).toEqual([first, second]);
    expect(await signedBy()).toBe(first);
    clock.advance(day - 1);
    expect(await signedBy()).toBe(first);
    clock.advance(1);
    expect(await signedBy()).toBe(second);
    clock.advance(day);
    await keys.rotate(clock.now());
    expect(await keys.find(first ?? '')).toBeDefined();
    clock.advance(5 * 60 * 1000);
    expect(keys.has(first ?? '')).toBe(false);
    expect(await keys.find(first ?? '')).toBeUndefined();
    await keys.rotate(clock.now());
    expect(await kids()).toEqual([second]);
  });

  it('makes a key that signs at once when the server was off for longer than a key lives', async () => {
    const { clock, signedBy } = setup();
    const first = await signedBy();
    clock.advance(100 * day);
    const second = await signedBy();
    expect(second).toBeDefined();
    expect(second).not.toBe(first);
  });

  it('forced: signs with a new key at once and goes on publishing the old one', async () => {
    const { keys, clock, kids, signedBy } = setup();
    const first = await signedBy();
    clock.advance(29 * day);
    await keys.rotate(clock.now());
    const [, waiting] = await kids();
    await keys.rotateNow({ revoke: false });
    const third = await signedBy();
    expect(await kids()).toEqual([first, third]);
    expect(third).not.toBe(waiting);
    clock.advance(day + 5 * 60 * 1000);
    expect(await kids()).toEqual([third]);
  });

  it('forced with revocation: the old key is gone at once', async () => {
    const { keys, kids, signedBy } = setup();
    const first = await signedBy();
    await keys.rotateNow({ revoke: true });
    expect(await kids()).toEqual([await signedBy()]);
    expect(keys.has(first ?? '')).toBe(false);
  });

  it('lets a read that a revocation overtook not bring the revoked key back', async () => {
    const clock = manualClock();
    const inner = memorySigningKeyStore();
    let held: Promise<void> | undefined;
    const store = {
      save: inner.save,
      async load() {
        const gate = held;
        const answer = await inner.load();
        await gate;
        return answer;
      },
    };
    const keys = createKeyRing({ store, clock, feed: createChangeHub() });
    const { kid } = await keys.signer();
    clock.advance(hour);
    let release = () => {};
    held = new Promise((resolve) => {
      release = resolve;
    });
    const slowRead = keys.find('unknown');
    held = undefined;
    await keys.rotateNow({ revoke: true });
    release();
    await slowRead;
    expect(keys.has(kid)).toBe(false);
  });

  it('leaves two nodes that start at the same moment with one key', async () => {
    const store = memorySigningKeyStore();
    const clock = manualClock();
    const nodes = [setup(store, clock), setup(store, clock)];
    const kids = await Promise.all(nodes.map((node) => node.signedBy()));
    expect(new Set(kids).size).toBe(1);
    expect(store.saves).toBe(1);
  });

  it("finds another node's new key, but asks the store at most every five seconds", async () => {
    const { store, clock, keys, signedBy } = setup();
    await signedBy();
    const other = setup(store, clock);
    await other.keys.rotateNow({ revoke: false });
    const kid = (await other.signedBy()) ?? '';
    expect(await keys.find(kid)).toBeUndefined();
    clock.advance(5_000);
    expect(await keys.find(kid)).toMatchObject({ algorithm: 'RS256' });
  });
});

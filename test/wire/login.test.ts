/**
 * The identity service over the wire: what the token endpoints answer and refuse, what tokens say and for how long
 * they are good, what discovery tells, and that Azure's own sign-in library works with it under both families of names.
 */
import { ClientSecretCredential, type ClientSecretCredentialOptions } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import { openTls, statusesIn } from '../support/raw-connection.ts';
import {
  type Identity,
  makeIdentity,
  type RawResponse,
  secretClient,
  send,
  startTestServer,
  type TestServer,
  vaultCaller,
} from '../support/server.ts';

const azureLogin = 'login.microsoftonline.com';
const vaultResource = 'https://vault.azure.net';
const assertionType = encodeURIComponent('urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
const minute = 60_000;
const day = 24 * 60 * minute;
const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Begins in the past, so that the server's certificates are good on this machine's clock as time goes on here. */
const clock = manualClock(Date.now() - 45 * day);
let server: TestServer;
let ownLogin: string;
/** Each test that is about secrets has an identity of its own. */
let identities = 0;
const freshIdentity = () => {
  identities += 1;
  return makeIdentity(server, `login-${identities}`, [{ role: 'Key Vault Secrets Officer', vault: 'dev' }]);
};

beforeAll(async () => {
  server = await startTestServer({ clock });
  ownLogin = `login.strongroom.localhost:${server.port}`;
});
afterAll(() => server.close());

interface TokenCall {
  host?: string;
  path?: string;
  form?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string;
}

/** A v2.0 request with the test's own credentials, but for what is given. */
function askToken(call: TokenCall = {}): Promise<RawResponse> {
  const form = {
    grant_type: 'client_credentials',
    client_id: server.clientId,
    client_secret: server.clientSecret,
    scope: `${vaultResource}/.default`,
    ...call.form,
  };
  return send(server, {
    host: call.host ?? azureLogin,
    method: 'POST',
    path: call.path ?? `/${server.tenantId}/oauth2/v2.0/token`,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...call.headers },
    body: call.body ?? new URLSearchParams(form).toString(),
  });
}

const asIdentity = ({ clientId, clientSecret }: Identity) => ({
  client_id: clientId,
  client_secret: clientSecret,
});

const without = (name: string) => {
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: server.clientId,
    client_secret: server.clientSecret,
    scope: `${vaultResource}/.default`,
  });
  form.delete(name);
  return form.toString();
};

const readVault = (token: string) => vaultCaller(server, token)('GET', '/secrets');

const readOwnVault = (token: string) =>
  send(server, {
    host: `dev.vault.strongroom.localhost:${server.port}`,
    path: '/secrets?api-version=7.4',
    headers: { Authorization: `Bearer ${token}` },
  });

describe('the token endpoint', () => {
  test('answers v2.0 with numbers and nothing that v1.0 adds', async () => {
    const reply = await askToken();
    expect(reply.status).toBe(200);
    expect(reply.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(reply.headers['cache-control']).toContain('no-store');
    expect(reply.headers.pragma).toBe('no-cache');
    expect(reply.headers['x-ms-request-id']).toMatch(guid);
    expect(reply.json).toEqual({
      token_type: 'Bearer',
      expires_in: 3599,
      ext_expires_in: 3599,
      access_token: expect.any(String),
    });
  });

  test('answers v1.0 with strings, the times and the resource', async () => {
    const now = Math.floor(clock.now() / 1000);
    const reply = await askToken({
      path: `/${server.tenantId}/oauth2/token`,
      body: `${without('scope')}&resource=${encodeURIComponent(vaultResource)}`,
    });
    expect(reply.status).toBe(200);
    expect(reply.json).toEqual({
      token_type: 'Bearer',
      expires_in: '3599',
      ext_expires_in: '3599',
      expires_on: String(now + 3600),
      not_before: String(now),
      resource: vaultResource,
      access_token: expect.any(String),
    });
  });

  test('answers adfs with numbers, since clients that use it read them as such', async () => {
    for (const path of ['/adfs/oauth2/token', '/adfs/oauth2/v2.0/token']) {
      const reply = await askToken({ path });
      expect(reply.status, path).toBe(200);
      expect(reply.json.expires_in).toBe(3599);
    }
  });

  test('finds the tenant by id and by name, in any case', async () => {
    const id = server.tenantId;
    for (const tenant of [id, id.toUpperCase(), 'strongroom.local', 'StrongRoom.Local']) {
      const reply = await askToken({ path: `/${tenant}/oauth2/v2.0/token` });
      expect(reply.status, tenant).toBe(200);
      expect(decodeJwt(reply.json.access_token).tid).toBe(id);
    }
    const elsewhere = await askToken({ path: '/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token' });
    expect(elsewhere.status).toBe(400);
    expect(elsewhere.json).toMatchObject({ error: 'invalid_request', error_codes: [90002] });
  });

  test('refuses common and organizations to applications', async () => {
    for (const authority of ['common', 'organizations', 'COMMON']) {
      const reply = await askToken({ path: `/${authority}/oauth2/v2.0/token` });
      expect(reply.status, authority).toBe(400);
      expect(reply.json.error).toBe('invalid_request');
    }
  });

  test('takes the credentials by HTTP Basic, each part form-encoded', async () => {
    const basic = (id: string, secret: string) => ({
      Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
    });
    const body = `grant_type=client_credentials&scope=${encodeURIComponent(`${vaultResource}/.default`)}`;
    const good = await askToken({ headers: basic(server.clientId, server.clientSecret), body });
    expect(good.status).toBe(200);
    const encoded = await askToken({
      headers: basic(server.clientId.replaceAll('-', '%2D'), server.clientSecret),
      body,
    });
    expect(encoded.status).toBe(200);
    const wrong = await askToken({ headers: basic(server.clientId, 'wrong'), body });
    expect(wrong.status).toBe(401);
    // RFC 6749 §5.2: the answer names the scheme that the client used.
    expect(wrong.headers['www-authenticate']).toMatch(/^Basic realm="/);
    const empty = await askToken({ headers: { Authorization: 'Basic Og==' }, body });
    expect(empty.status).toBe(400);
    const right = basic(server.clientId, server.clientSecret);
    const twice = await askToken({ headers: right, body: `${body}&client_secret=${server.clientSecret}` });
    expect(twice.json.error).toBe('invalid_request');
    const another = await askToken({ headers: right, body: `${body}&client_id=${server.tenantId}` });
    expect(another.json.error).toBe('invalid_request');
    const same = await askToken({
      headers: right,
      body: `${body}&client_id=${server.clientId.toUpperCase()}`,
    });
    expect(same.status).toBe(200);
  });

  test('names the parameter that is missing', async () => {
    for (const name of ['grant_type', 'client_id', 'scope']) {
      const reply = await askToken({ body: without(name) });
      expect(reply.status, name).toBe(400);
      expect(reply.json.error).toBe('invalid_request');
      expect(reply.json.error_description).toContain(`'${name}'`);
    }
    const reply = await askToken({ body: without('client_secret') });
    expect(reply.status).toBe(401);
    expect(reply.json).toMatchObject({ error: 'invalid_client', error_codes: [7000218] });
  });

  test('refuses a parameter that is given twice, even with the same value', async () => {
    for (const name of ['grant_type', 'client_id', 'client_secret', 'scope', 'unknown']) {
      const reply = await askToken({ body: `${without('nothing')}&${name}=x&${name}=x` });
      expect(reply.status, name).toBe(400);
      expect(reply.json.error).toBe('invalid_request');
    }
  });

  test('refuses a form of very many parameters, whose names it would have to compare', async () => {
    const some = (count: number) => Array.from({ length: count }, (_, index) => `&p${index}=`).join('');
    const body = without('nothing');
    expect((await askToken({ body: `${body}${some(90)}` })).status).toBe(200);
    const reply = await askToken({ body: `${body}${some(200)}` });
    expect(reply.status).toBe(400);
    expect(reply.json).toMatchObject({ error: 'invalid_request' });
  });

  test('reads forms only, of at most 64 KiB', async () => {
    const json = await askToken({ headers: { 'Content-Type': 'application/json' } });
    expect(json.status).toBe(400);
    expect(json.json.error).toBe('invalid_request');
    const large = await askToken({ form: { padding: 'x'.repeat(64 * 1024) } });
    expect(large.status).toBe(413);
    expect(large.json.error).toBe('invalid_request');
    const notText = await send(server, {
      host: azureLogin,
      method: 'POST',
      path: `/${server.tenantId}/oauth2/v2.0/token`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: Buffer.from([0x67, 0xff, 0xfe]),
    });
    expect(notText.status).toBe(400);
  });

  test('refuses grants and credentials that it does not have', async () => {
    for (const grant_type of ['urn:ietf:params:oauth:grant-type:jwt-bearer', 'implicit', '__proto__']) {
      const unknown = await askToken({ form: { grant_type } });
      expect(unknown.status).toBe(400);
      expect(unknown.json).toMatchObject({ error: 'unsupported_grant_type', error_codes: [70003] });
    }
    const twoProofs = await askToken({ form: { client_assertion: 'a.b.c' } });
    expect(twoProofs.status).toBe(400);
    expect(twoProofs.json.error).toBe('invalid_request');
    const noToken = await askToken({
      body: `${without('client_secret')}&client_assertion=a.b.c&client_assertion_type=${assertionType}`,
    });
    expect(noToken.status).toBe(401);
    expect(noToken.json).toMatchObject({ error: 'invalid_client', error_codes: [50027] });
    const get = await send(server, { host: azureLogin, path: `/${server.tenantId}/oauth2/v2.0/token` });
    expect([404, 405]).toContain(get.status);
  });

  test('answers an unknown application as it answers a wrong secret', async () => {
    const wrong = await askToken({ form: { client_secret: 'not the secret' } });
    const unknown = await askToken({ form: { client_id: '22222222-2222-2222-2222-222222222222' } });
    const shapeless = await askToken({ form: { client_id: "' or 1=1 --" } });
    for (const reply of [wrong, unknown, shapeless]) {
      expect(reply.status).toBe(401);
      expect(reply.json).toMatchObject({ error: 'invalid_client', error_codes: [7000215] });
      expect(reply.json.error_description).toMatch(/^AADSTS7000215: Invalid client secret provided\./);
      expect(reply.headers['www-authenticate']).toBeUndefined();
    }
    const plain = (reply: RawResponse) => reply.json.error_description.replace(/ Trace ID:.*/, '');
    expect(plain(unknown)).toBe(plain(wrong));
    expect(plain(shapeless)).toBe(plain(wrong));
  });

  test('says in every refusal where to look it up', async () => {
    const clientRequestId = '33333333-3333-3333-3333-333333333333';
    const reply = await askToken({
      form: { client_secret: 'wrong' },
      headers: { 'client-request-id': clientRequestId, 'return-client-request-id': 'true' },
    });
    const { trace_id, correlation_id, timestamp, error_description } = reply.json;
    expect(Object.keys(reply.json).sort()).toEqual([
      'correlation_id',
      'error',
      'error_codes',
      'error_description',
      'timestamp',
      'trace_id',
    ]);
    expect(trace_id).toMatch(guid);
    expect(reply.headers['x-ms-request-id']).toBe(trace_id);
    expect(correlation_id).toBe(clientRequestId);
    expect(reply.headers['client-request-id']).toBe(clientRequestId);
    expect(timestamp).toBe(
      new Date(clock.now())
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, 'Z'),
    );
    expect(error_description).toContain(
      `Trace ID: ${trace_id} Correlation ID: ${correlation_id} Timestamp: ${timestamp}`,
    );
    expect(reply.headers['cache-control']).toContain('no-store');
    const without = await askToken({ headers: { 'client-request-id': 'not one!' } });
    expect(without.headers['client-request-id']).toBeUndefined();
  });

  test('audits who got a token and who did not, without the secret', async () => {
    const records = await auditedDuring(server, async () => {
      await askToken();
      await askToken({ form: { client_secret: 'guess-guess-guess' } });
    });
    expect(records).toMatchObject([
      { operationName: 'TokenIssue', resultType: 'Success', identity: { claim: { appid: server.clientId } } },
      { operationName: 'TokenIssue', resultType: 'invalid_client', identity: { claim: {} } },
    ]);
    expect(records[0]?.resourceId).toBe(`/TENANTS/${server.tenantId.toUpperCase()}`);
    const text = JSON.stringify(records);
    expect(text).not.toContain('guess-guess-guess');
    expect(text).not.toContain(server.clientSecret);
  });
});

describe('scopes and resources', () => {
  test('a scope keeps all that stands before /.default, a slash included', async () => {
    const reply = await askToken({ form: { scope: `${vaultResource}//.default` } });
    expect(decodeJwt(reply.json.access_token).aud).toBe(`${vaultResource}/`);
    expect((await readVault(reply.json.access_token)).status).toBe(200);
  });

  test('the scopes of OpenID Connect, which MSAL for Go adds to each request, change nothing', async () => {
    for (const scope of [
      `${vaultResource}/.default openid offline_access profile`,
      ` openid  ${vaultResource}/.default email`,
    ]) {
      const reply = await askToken({ form: { scope } });
      expect(decodeJwt(reply.json.access_token).aud).toBe(vaultResource);
      expect(reply.json).not.toHaveProperty('id_token');
    }
  });

  test('a scope that is not one resource is refused', async () => {
    for (const scope of [
      vaultResource,
      '/.default',
      'openid',
      'openid profile offline_access',
      `${vaultResource}/.default https://graph.microsoft.com/.default`,
      `${vaultResource}/user_impersonation`,
    ]) {
      const reply = await askToken({ form: { scope } });
      expect(reply.status, scope).toBe(400);
      expect(reply.json).toMatchObject({ error: 'invalid_scope', error_codes: [70011] });
    }
  });

  test('a resource that nobody here stands for is refused', async () => {
    for (const resource of [
      'https://storage.azure.com',
      'https://vault.azure.net.evil.example',
      'https://evil.example#https://vault.azure.net',
      'https://vault.azure.net/path',
      'https://user@vault.azure.net',
      'http://vault.azure.net',
      'not-a-resource',
      '44444444-4444-4444-4444-444444444444',
    ]) {
      const reply = await askToken({ form: { scope: `${resource}/.default` } });
      expect(reply.status, resource).toBe(400);
      expect(reply.json).toMatchObject({ error: 'invalid_resource', error_codes: [500011] });
    }
  });

  test('a registered application is a resource, of v1.0 unless it asks for more, whichever the endpoint', async () => {
    const { clientId } = await freshIdentity();
    const token = decodeJwt(
      (await askToken({ form: { scope: `api://${clientId}/.default` } })).json.access_token,
    );
    expect(token).toMatchObject({
      aud: `api://${clientId}`,
      ver: '1.0',
      iss: `https://sts.windows.net/${server.tenantId}/`,
      appid: server.clientId,
    });
    const v1 = await askToken({
      path: `/${server.tenantId}/oauth2/token`,
      body: `${without('scope')}&resource=${clientId}`,
    });
    expect(decodeJwt(v1.json.access_token)).toMatchObject({ aud: clientId, ver: '1.0' });
    expect((await readVault(v1.json.access_token)).status).toBe(401);
  });

  test('a token for another service opens no vault', async () => {
    const reply = await askToken({ form: { scope: 'https://management.azure.com/.default' } });
    expect(reply.status).toBe(200);
    expect((await readVault(reply.json.access_token)).status).toBe(401);
  });
});

describe('client secrets', () => {
  test('one that has expired is refused in other words than a wrong one', async () => {
    const { objectId, clientId } = await freshIdentity();
    const { secret } = await server.control<{ secret: string }>('identity secret', {
      identity: objectId,
      days: 1,
    });
    const form = { client_id: clientId, client_secret: secret };
    expect((await askToken({ form })).status).toBe(200);
    clock.advance(day);
    const reply = await askToken({ form });
    expect(reply.status).toBe(401);
    expect(reply.json).toMatchObject({ error: 'invalid_client', error_codes: [7000222] });
    expect(reply.json.error_description).toMatch(/^AADSTS7000222: /);
  });

  test('one that is removed is refused at once, also where it was remembered', async () => {
    const identity = await freshIdentity();
    const form = asIdentity(identity);
    expect((await askToken({ form })).status).toBe(200);
    const { secrets } = await server.control<{ secrets: { keyId: string }[] }>('identity secrets', {
      identity: identity.objectId,
    });
    await server.control('identity remove-secret', {
      identity: identity.objectId,
      keyId: secrets[0]?.keyId,
    });
    expect((await askToken({ form })).json.error_codes).toEqual([7000215]);
  });

  test('guessing is slowed down, and does not keep out who is known', async () => {
    const identity = await freshIdentity();
    expect((await askToken({ form: asIdentity(identity) })).status).toBe(200);
    const guesses = 60;
    const form = (guess: number) =>
      `grant_type=client_credentials&client_id=${identity.clientId}&client_secret=guess${guess}&scope=x`;
    // Pipelined on one connection, so that all of them are under way at the same time.
    const flood = await openTls(server, azureLogin);
    for (let guess = 0; guess < guesses; guess += 1) {
      const body = form(guess);
      flood.write(
        `POST /${server.tenantId}/oauth2/v2.0/token HTTP/1.1\r\nHost: ${azureLogin}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
    const known = await askToken({ form: asIdentity(identity) });
    expect(known.status).toBe(200);
    const received = await flood.until((text) => statusesIn(text).length === guesses);
    flood.destroy();
    const statuses = new Set(statusesIn(received));
    expect(statuses).toEqual(new Set([401, 429]));
    expect(received).toContain('"error":"temporarily_unavailable"');
    expect(received).toMatch(/\r\nRetry-After: 1\r\n/);
  });
});

describe('tokens', () => {
  test('have the claims of v1.0 for the vault, whichever endpoint issued them, under Azure’s names', async () => {
    const now = Math.floor(clock.now() / 1000);
    const { access_token: token } = (await askToken()).json;
    const { sub, oid, uti, ...claims } = decodeJwt(token);
    expect(claims).toEqual({
      aud: vaultResource,
      iss: `https://sts.windows.net/${server.tenantId}/`,
      idp: `https://sts.windows.net/${server.tenantId}/`,
      iat: now,
      nbf: now,
      exp: now + 3600,
      appid: server.clientId,
      appidacr: '1',
      idtyp: 'app',
      tid: server.tenantId,
      ver: '1.0',
    });
    expect(oid).toMatch(guid);
    expect(sub).toBe(oid);
    expect(uti).toMatch(/^[\w-]{22}$/);
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'RS256', typ: 'JWT' });
  });

  test('name the server itself under its own names, and vaults there take those of Azure’s names too', async () => {
    const resource = `https://vault.strongroom.localhost:${server.port}`;
    const reply = await askToken({ host: ownLogin, form: { scope: `${resource}/.default` } });
    const token = reply.json.access_token as string;
    expect(decodeJwt(token)).toMatchObject({ aud: resource, iss: `https://${ownLogin}/${server.tenantId}/` });
    expect((await readOwnVault(token)).status).toBe(200);
    const { access_token: azure } = (await askToken()).json;
    expect((await readOwnVault(azure)).status).toBe(200);
  });

  test('verify with the published keys, which hold nothing private', async () => {
    const { access_token: token } = (await askToken()).json;
    for (const path of [
      `/${server.tenantId}/discovery/v2.0/keys`,
      '/common/discovery/v2.0/keys',
      '/common/discovery/keys',
      '/adfs/discovery/keys',
    ]) {
      const set = (await send(server, { host: azureLogin, path })).json as JSONWebKeySet;
      for (const key of set.keys) {
        expect(Object.keys(key).sort()).toEqual(['alg', 'e', 'kid', 'kty', 'n', 'use', 'x5t']);
        expect(key.x5t).toBe(key.kid);
      }
      const currentDate = new Date(clock.now());
      const { payload } = await jwtVerify(token, createLocalJWKSet(set), { currentDate });
      expect(payload.tid).toBe(server.tenantId);
    }
  });

  test('end when they say, and five minutes later at the latest', async () => {
    const { access_token: token } = (await askToken()).json;
    clock.advance(60 * minute + 4 * minute);
    expect((await readVault(token)).status).toBe(200);
    clock.advance(2 * minute);
    const reply = await readVault(token);
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toContain(server.tenantId);
  });

  test('survive a restart of the server', async () => {
    const { access_token: token } = (await askToken()).json;
    await server.restart();
    ownLogin = `login.strongroom.localhost:${server.port}`;
    expect((await readVault(token)).status).toBe(200);
    expect((await askToken()).status).toBe(200);
  });
});

/** Lets time pass in steps in which the process that runs the jobs can show life, until they have had their effect. */
async function jobsDone(isDone: () => Promise<boolean>): Promise<void> {
  for (let step = 0; step < 600; step += 1) {
    if (await isDone()) return;
    clock.advance(3_000);
  }
}

describe('signing keys', () => {
  const kids = async () => {
    const reply = await send(server, { host: azureLogin, path: '/common/discovery/keys' });
    return (reply.json as JSONWebKeySet).keys.map((key) => key.kid ?? '');
  };
  const signedBy = (token: string) => decodeProtectedHeader(token).kid;

  test('rotated by the operator: tokens of the old key stay good until they end', async () => {
    const { access_token: old } = (await askToken()).json;
    await server.control('identity rotate-key', {});
    const { access_token: fresh } = (await askToken()).json;
    expect(signedBy(fresh)).not.toBe(signedBy(old));
    expect(await kids()).toEqual(expect.arrayContaining([signedBy(old), signedBy(fresh)]));
    expect((await readVault(old)).status).toBe(200);
    expect((await readVault(fresh)).status).toBe(200);
    clock.advance(66 * minute);
    expect((await readVault(old)).status).toBe(401);
  });

  test('revoked: every token issued before is refused at once, seen before or not', async () => {
    const { access_token: seen } = (await askToken()).json;
    const { access_token: unseen } = (await askToken()).json;
    expect((await readVault(seen)).status).toBe(200);
    await server.control('identity rotate-key', { revoke: true });
    expect((await readVault(seen)).status).toBe(401);
    expect((await readVault(unseen)).status).toBe(401);
    const { access_token: fresh } = (await askToken()).json;
    expect((await readVault(fresh)).status).toBe(200);
    expect(await kids()).toEqual([signedBy(fresh)]);
  });

  test('rotated by the calendar: published a day before they sign, kept a day after', async () => {
    const [first] = await kids();
    expect(signedBy((await askToken()).json.access_token)).toBe(first);
    clock.jump(29 * day);
    await jobsDone(async () => (await kids()).length === 2);
    const second = (await kids()).find((kid) => kid !== first);
    const { access_token: old } = (await askToken()).json;
    expect(signedBy(old)).toBe(first);
    clock.jump(day);
    const { access_token: fresh } = (await askToken()).json;
    expect(signedBy(fresh)).toBe(second);
    expect((await readVault(fresh)).status).toBe(200);
    clock.jump(day + 6 * minute);
    await jobsDone(async () => (await kids()).length === 1);
    expect(await kids()).toEqual([second]);
    expect((await readVault(old)).status).toBe(401);
  });
});

describe('discovery', () => {
  const get = (host: string, path: string) => send(server, { host, path });

  test('describes v2.0, with addresses of the host that was asked', async () => {
    for (const host of [azureLogin, ownLogin, 'login.windows.net']) {
      const base = `https://${host}/${server.tenantId}`;
      const { json, status } = await get(host, `/${server.tenantId}/v2.0/.well-known/openid-configuration`);
      expect(status).toBe(200);
      expect(json).toMatchObject({
        token_endpoint: `${base}/oauth2/v2.0/token`,
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
        issuer: `https://${host === ownLogin ? ownLogin : azureLogin}/${server.tenantId}/v2.0`,
        id_token_signing_alg_values_supported: ['RS256'],
      });
      expect((await get(host, new URL(json.jwks_uri).pathname)).status).toBe(200);
    }
  });

  test('describes v1.0 and adfs', async () => {
    const v1 = await get(azureLogin, `/${server.tenantId}/.well-known/openid-configuration`);
    expect(v1.json).toMatchObject({
      token_endpoint: `https://${azureLogin}/${server.tenantId}/oauth2/token`,
      issuer: `https://sts.windows.net/${server.tenantId}/`,
    });
    const adfs = await get(ownLogin, '/adfs/.well-known/openid-configuration');
    expect(adfs.json).toMatchObject({
      token_endpoint: `https://${ownLogin}/adfs/oauth2/token`,
      authorization_endpoint: `https://${ownLogin}/adfs/oauth2/authorize`,
    });
  });

  test('leaves the tenant open where the path names none', async () => {
    for (const authority of ['common', 'organizations']) {
      const { json } = await get(azureLogin, `/${authority}/v2.0/.well-known/openid-configuration`);
      expect(json.issuer).toBe(`https://${azureLogin}/{tenantid}/v2.0`);
      expect(json.token_endpoint).toBe(`https://${azureLogin}/${authority}/oauth2/v2.0/token`);
    }
    expect((await get(azureLogin, '/nobody/v2.0/.well-known/openid-configuration')).status).toBe(400);
  });

  const instance = (host: string, endpoint: string) =>
    get(
      host,
      `/common/discovery/instance?api-version=1.1&authorization_endpoint=${encodeURIComponent(endpoint)}`,
    );

  test('confirms authorities of both families, a port left out included', async () => {
    const azure = await instance(
      azureLogin,
      `https://${azureLogin}/${server.tenantId}/oauth2/v2.0/authorize`,
    );
    expect(azure.status).toBe(200);
    expect(azure.json.tenant_discovery_endpoint).toBe(
      `https://${azureLogin}/${server.tenantId}/v2.0/.well-known/openid-configuration`,
    );
    expect(azure.json.metadata[0]).toMatchObject({
      preferred_network: azureLogin,
      preferred_cache: 'login.windows.net',
      aliases: expect.arrayContaining([azureLogin, 'login.windows.net', 'sts.windows.net']),
    });
    for (const authority of [ownLogin, 'login.strongroom.localhost']) {
      const own = await instance(azureLogin, `https://${authority}/${server.tenantId}/oauth2/v2.0/authorize`);
      expect(own.status, authority).toBe(200);
      expect(own.json.metadata[0].preferred_network).toBe(authority);
    }
  });

  test('refuses authorities of others', async () => {
    for (const endpoint of [
      'https://login.evil.example/common/oauth2/authorize',
      'https://login.microsoftonline.com.evil.example/common/oauth2/authorize',
      'https://login.microsoftonline.com@evil.example/common/oauth2/authorize',
      `https://dev.vault.azure.net/common/oauth2/authorize`,
      'http://login.microsoftonline.com/common/oauth2/authorize',
      'not a url',
      '',
    ]) {
      const reply = await instance(azureLogin, endpoint);
      expect(reply.status, endpoint).toBe(400);
      expect(reply.json, endpoint).toMatchObject({ error: 'invalid_instance', error_codes: [50049] });
    }
  });
});

describe('@azure/identity', () => {
  const way = () => ({ proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } });
  const credential = (tenantId: string, options: ClientSecretCredentialOptions) =>
    new ClientSecretCredential(tenantId, server.clientId, server.clientSecret, { ...way(), ...options });

  test('signs in under Azure’s names with instance discovery left on', async () => {
    await secretClient(server).setSecret('by-azure-names', 'one');
    expect((await secretClient(server).getSecret('by-azure-names')).value).toBe('one');
  });

  test('signs in under the server’s own names, with instance discovery answered by the server', async () => {
    const own = credential(server.tenantId, { authorityHost: `https://${ownLogin}` });
    const records = await auditedDuring(server, async () => {
      const { token } = await own.getToken(`https://vault.strongroom.localhost:${server.port}/.default`);
      expect((await readOwnVault(token)).status).toBe(200);
    });
    expect(records.map((record) => record.operationName)).toContain('InstanceDiscoveryGet');
  });

  test('signs in under the server’s own names without instance discovery, and as adfs', async () => {
    const options = { authorityHost: `https://${ownLogin}`, disableInstanceDiscovery: true };
    for (const [index, own] of [
      credential(server.tenantId, options),
      credential('adfs', options),
    ].entries()) {
      const client = new SecretClient(`https://dev.vault.strongroom.localhost:${server.port}`, own, way());
      const set = await client.setSecret(`by-own-names-${index}`, 'two');
      expect(set.properties.id).toBe(
        `https://dev.vault.strongroom.localhost:${server.port}/secrets/by-own-names-${index}/${set.properties.version}`,
      );
      expect((await client.getSecret(`by-own-names-${index}`)).value).toBe('two');
    }
  });

  test('reports a wrong secret in the server’s words', async () => {
    const wrong = new ClientSecretCredential(server.tenantId, server.clientId, 'wrong', way());
    await expect(wrong.getToken(`${vaultResource}/.default`)).rejects.toThrow(/7000215/);
  });
});

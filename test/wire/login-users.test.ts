/**
 * Users over the wire: passwords with their lock-out, device codes, refresh tokens, what tokens say and open, and the
 * libraries of Azure. Each way of guessing, reusing or taking over is tried.
 */
import { DeviceCodeCredential, UsernamePasswordCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { PublicClientApplication } from '@azure/msal-node';
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { DevicePage } from '../support/browser.ts';
import { manualClock } from '../support/identity.ts';
import {
  makeIdentity,
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  vaultCaller,
} from '../support/server.ts';
import {
  azureCli,
  azureLogin,
  azurePowerShell,
  makeUser,
  postForm,
  serverNetwork,
  type TestUser,
  vaultResource,
} from '../support/sign-in.ts';

const minute = 60_000;
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code';
const vaultScope = `${vaultResource}/.default openid profile offline_access`;

/** Begins at the machine's own time: the libraries look at expiries by that. */
const clock = manualClock(Date.now());
let server: TestServer;
let users = 0;
const freshUser = (...roles: string[]) => {
  users += 1;
  return makeUser(server, `user-${users}`, roles);
};

beforeAll(async () => {
  server = await startTestServer({ clock });
});
afterAll(() => server.close());

type Form = Record<string, string | undefined>;

const askToken = (form: Form, path = '/organizations/oauth2/v2.0/token') =>
  postForm(server, path, { client_id: azureCli, ...form });

const byPassword = ({ userName, password }: TestUser, form: Form = {}) =>
  askToken({
    grant_type: 'password',
    username: userName,
    password,
    scope: vaultScope,
    client_info: '1',
    ...form,
  });

const refresh = (refresh_token: string, form: Form = {}) =>
  askToken({ grant_type: 'refresh_token', refresh_token, scope: vaultScope, ...form });

function expectRefused(reply: RawResponse, error: string, number: number): void {
  expect(reply.status, reply.text).toBe(error === 'invalid_client' ? 401 : 400);
  expect(reply.json).toMatchObject({ error, error_codes: [number] });
}

const readVault = (token: string) => vaultCaller(server, token)('GET', '/secrets');

describe('tokens of users', () => {
  test('v2.0 gives an access token, an ID token, a refresh token and what MSAL calls client info', async () => {
    const user = await freshUser();
    const now = Math.floor(clock.now() / 1000);
    const { json, status } = await byPassword(user);
    expect(status).toBe(200);
    expect(json).toEqual({
      token_type: 'Bearer',
      expires_in: 3599,
      ext_expires_in: 3599,
      scope: `${vaultResource}/user_impersonation ${vaultResource}/.default openid profile`,
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^[\w-]{43}$/),
      id_token: expect.any(String),
      client_info: Buffer.from(JSON.stringify({ uid: user.objectId, utid: server.tenantId })).toString(
        'base64url',
      ),
    });
    const { uti, ...access } = decodeJwt(json.access_token);
    expect(access).toEqual({
      aud: vaultResource,
      iss: `https://sts.windows.net/${server.tenantId}/`,
      iat: now,
      nbf: now,
      exp: now + 3600,
      acr: '1',
      amr: ['pwd'],
      appid: azureCli,
      appidacr: '0',
      groups: [],
      name: user.userName,
      oid: user.objectId,
      scp: 'user_impersonation',
      sub: user.objectId,
      tid: server.tenantId,
      unique_name: user.userName,
      upn: user.userName,
      ver: '1.0',
    });
    const keys = (await send(server, { host: azureLogin, path: '/common/discovery/v2.0/keys' })).json;
    const { payload } = await jwtVerify(json.id_token, createLocalJWKSet(keys), {
      audience: azureCli,
      issuer: `https://login.microsoftonline.com/${server.tenantId}/v2.0`,
      currentDate: new Date(clock.now()),
    });
    expect(payload).toMatchObject({ preferred_username: user.userName, oid: user.objectId, ver: '2.0' });
  });

  test('v1.0 gives texts and the resource, adfs gives numbers', async () => {
    const user = await freshUser();
    const form = { scope: undefined, resource: vaultResource };
    const ask = (path: string) =>
      askToken({ grant_type: 'password', username: user.userName, password: user.password, ...form }, path);
    const now = Math.floor(clock.now() / 1000);
    expect((await ask('/common/oauth2/token')).json).toEqual({
      token_type: 'Bearer',
      expires_in: '3599',
      ext_expires_in: '3599',
      expires_on: String(now + 3600),
      not_before: String(now),
      resource: vaultResource,
      scope: 'user_impersonation',
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      id_token: expect.any(String),
    });
    expect((await ask('/adfs/oauth2/token')).json).toMatchObject({
      expires_in: 3599,
      resource: vaultResource,
    });
  });

  test('open what the user, or a group of the user’s, may do; and nothing once the user is out', async () => {
    const user = await freshUser();
    const { access_token: token } = (await byPassword(user)).json;
    expect((await readVault(token)).status).toBe(403);
    const { objectId: outer } = await server.control<{ objectId: string }>('identity create-group', {
      name: 'outer',
    });
    const { objectId: inner } = await server.control<{ objectId: string }>('identity create-group', {
      name: 'inner',
    });
    await server.control('identity add-member', { group: outer, member: inner });
    await server.control('identity add-member', { group: inner, member: user.objectId });
    await server.control('identity grant', {
      identity: outer,
      role: 'Key Vault Secrets Officer',
      vault: 'dev',
    });
    expect((await readVault(token)).status).toBe(200);
    const again = decodeJwt((await byPassword(user)).json.access_token);
    expect(again.groups).toEqual([inner, outer].sort());
    await server.control('identity remove-member', { group: inner, member: user.objectId });
    expect((await readVault(token)).status).toBe(403);
  });

  test('of a user who is disabled or deleted open nothing from that moment on', async () => {
    const user = await freshUser();
    const { access_token: token, refresh_token: next } = (await byPassword(user)).json;
    expect((await readVault(token)).status).toBe(403);
    await server.control('identity grant', {
      identity: user.objectId,
      role: 'Key Vault Secrets Officer',
      vault: 'dev',
    });
    expect((await readVault(token)).status).toBe(200);
    await server.control('identity disable', { identity: user.objectId });
    expect((await readVault(token)).status).toBe(401);
    expectRefused(await byPassword(user), 'invalid_grant', 50057);
    expectRefused(await byPassword({ ...user, password: 'wrong' }), 'invalid_grant', 50126);
    expectRefused(await refresh(next), 'invalid_grant', 50057);
    await server.control('identity enable', { identity: user.objectId });
    expect((await readVault(token)).status).toBe(200);
    const { refresh_token: later } = (await byPassword(user)).json;
    await server.control('identity delete', { identity: user.objectId });
    expect((await readVault(token)).status).toBe(401);
    expectRefused(await byPassword(user), 'invalid_grant', 50126);
    expectRefused(await refresh(later), 'invalid_grant', 50034);
  });

  test('the ID token opens nothing', async () => {
    const user = await freshUser('Key Vault Secrets Officer');
    const { access_token, id_token } = (await byPassword(user)).json;
    expect((await readVault(access_token)).status).toBe(200);
    expect((await readVault(id_token)).status).toBe(401);
  });

  test('without openid and offline_access there is an access token and no more', async () => {
    const { json } = await byPassword(await freshUser(), { scope: `${vaultResource}/user_impersonation` });
    expect(json.scope).toBe(`${vaultResource}/user_impersonation`);
    expect(json).not.toHaveProperty('id_token');
    expect(json).not.toHaveProperty('refresh_token');
  });

  test('scopes without a resource mean Microsoft Graph; of several resources one at a time', async () => {
    const user = await freshUser();
    const graph = await byPassword(user, { scope: 'User.Read openid' });
    expect(decodeJwt(graph.json.access_token)).toMatchObject({
      aud: 'https://graph.microsoft.com',
      scp: 'User.Read',
    });
    const two = `${vaultResource}/.default https://management.azure.com/.default`;
    expectRefused(await byPassword(user, { scope: two }), 'invalid_scope', 28000);
    for (const scope of ['/.default', `${vaultResource}/bad scope!`, `${vaultResource}/`])
      expectRefused(await byPassword(user, { scope }), 'invalid_scope', 70011);
    expectRefused(
      await byPassword(user, { scope: 'https://evil.example/.default' }),
      'invalid_resource',
      500011,
    );
    expectRefused(await byPassword(user, { scope: undefined }), 'invalid_request', 900144);
  });
});

describe('clients of users', () => {
  test('are known ones: Microsoft’s own, or registered and either public or proven', async () => {
    const user = await freshUser();
    const confidential = await makeIdentity(server, 'web-application');
    const client_id = confidential.clientId;
    expectRefused(await byPassword(user, { client_id }), 'invalid_client', 7000218);
    expectRefused(await byPassword(user, { client_id, client_secret: 'x' }), 'invalid_client', 7000215);
    const { client_id: unknown } = { client_id: '55555555-5555-4555-8555-555555555555' };
    expectRefused(await byPassword(user, { client_id: unknown }), 'invalid_client', 7000218);
    const proven = await byPassword(user, { client_id, client_secret: confidential.clientSecret });
    expect(decodeJwt(proven.json.access_token)).toMatchObject({ appid: client_id, appidacr: '1' });
    // A session that began with proof goes on with proof.
    const { refresh_token } = proven.json;
    expectRefused(await refresh(refresh_token, { client_id }), 'invalid_client', 7000218);
    const renewed = await refresh(refresh_token, { client_id, client_secret: confidential.clientSecret });
    expect(renewed.status).toBe(200);
  });

  test('that are public have no tokens of their own', async () => {
    const form = { grant_type: 'client_credentials', scope: `${vaultResource}/.default` };
    expectRefused(await askToken(form, `/${server.tenantId}/oauth2/v2.0/token`), 'invalid_client', 7000218);
  });
});

describe('passwords', () => {
  test('a wrong one and an unknown name look the same', async () => {
    const user = await freshUser();
    const replies = [
      await byPassword({ ...user, password: 'wrong' }),
      await byPassword({ ...user, userName: 'nobody@strongroom.local' }),
      await byPassword({ ...user, userName: 'x\0y' }),
      await byPassword({ ...user, password: 'x'.repeat(2000) }),
      await byPassword({ ...user, userName: `${'x'.repeat(300)}@strongroom.local` }),
    ];
    const texts = new Set(replies.map((reply) => reply.json.error_description.replace(/ Trace ID:.*/, '')));
    for (const reply of replies) expectRefused(reply, 'invalid_grant', 50126);
    expect(texts.size).toBe(1);
  });

  test('names compare without case', async () => {
    const user = await freshUser();
    expect((await byPassword({ ...user, userName: user.userName.toUpperCase() })).status).toBe(200);
  });

  test('guessing locks the name, known or not, for longer each time; the right one does not help then', async () => {
    const user = await freshUser();
    for (const userName of [user.userName, 'ghost@strongroom.local']) {
      const guess = () => byPassword({ ...user, userName, password: 'guess' });
      for (let attempt = 0; attempt < 10; attempt += 1) expectRefused(await guess(), 'invalid_grant', 50126);
      expectRefused(await guess(), 'invalid_grant', 50053);
      expectRefused(await byPassword({ ...user, userName }), 'invalid_grant', 50053);
      clock.advance(minute);
      expectRefused(await guess(), 'invalid_grant', 50126);
      clock.advance(minute);
      expectRefused(await guess(), 'invalid_grant', 50053);
      clock.advance(minute);
    }
    await server.restart();
    expect((await byPassword(user)).status).toBe(200);
    // The right one forgives what was before it.
    for (let attempt = 0; attempt < 10; attempt += 1)
      expectRefused(await byPassword({ ...user, password: 'guess' }), 'invalid_grant', 50126);
    expectRefused(await byPassword(user), 'invalid_grant', 50053);
  });

  test('guesses at the same moment are no more than the same number one after another', async () => {
    const user = await freshUser();
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, index) => byPassword({ ...user, password: `guess ${index}` })),
    );
    const looked = replies.filter((reply) => reply.json.error_codes?.[0] === 50126);
    expect(looked.length).toBeLessThanOrEqual(10);
    for (const reply of replies) expect([400, 429]).toContain(reply.status);
  });

  test('a new password ends the sessions of the old one', async () => {
    const user = await freshUser();
    const { refresh_token } = (await byPassword(user)).json;
    // At the very moment of the sign-in: no time tells what came first.
    await server.control('identity set-password', { identity: user.objectId, password: 'another long one' });
    expectRefused(await byPassword(user), 'invalid_grant', 50126);
    expectRefused(await refresh(refresh_token), 'invalid_grant', 50173);
    const { refresh_token: fresh } = (await byPassword({ ...user, password: 'another long one' })).json;
    expect((await refresh(fresh)).status).toBe(200);
  });

  test('wrong ones are counted by address too, over all names', async () => {
    // Longer than any password can be: refused like a wrong one, without the slow check.
    const spray = (name: number, localAddress: string) =>
      postForm(
        server,
        '/organizations/oauth2/v2.0/token',
        {
          ...{ client_id: azureCli, grant_type: 'password', scope: vaultScope },
          ...{ username: `sprayed-${name}@strongroom.local`, password: 'x'.repeat(2000) },
        },
        { localAddress },
      );
    const replies: RawResponse[] = [];
    for (let name = 0; name < 300; name += 20)
      replies.push(
        ...(await Promise.all(Array.from({ length: 20 }, (_, more) => spray(name + more, '127.0.0.7')))),
      );
    expect(new Set(replies.map((reply) => reply.status))).toEqual(new Set([400]));
    const beyond = await spray(300, '127.0.0.7');
    expect(beyond.status).toBe(429);
    expect(Number(beyond.headers['retry-after'])).toBeGreaterThan(0);
    expect((await spray(300, '127.0.0.8')).status).toBe(400);
    clock.advance(5 * minute);
    expect((await spray(300, '127.0.0.7')).status).toBe(400);
  });

  test('are nowhere in the audit log, which says who tried', async () => {
    const user = await freshUser();
    const records = await auditedDuring(server, async () => {
      await byPassword(user);
      await byPassword({ ...user, password: 'hunter2hunter2' });
    });
    expect(records).toMatchObject([
      { operationName: 'TokenIssue', resultType: 'Success', identity: { claim: { appid: azureCli } } },
      { operationName: 'TokenIssue', resultType: 'invalid_grant', identity: { claim: {} } },
    ]);
    for (const record of records)
      expect(record.resourceId).toBe(`/TENANTS/${server.tenantId}/USERS/${user.objectId}`.toUpperCase());
    expect(JSON.stringify(records)).not.toMatch(/hunter2|correct horse/);
  });
});

describe('refresh tokens', () => {
  test('are each followed by another, for the same resource or for another one', async () => {
    const user = await freshUser();
    const first = (await byPassword(user)).json;
    const second = (await refresh(first.refresh_token)).json;
    expect(decodeJwt(second.access_token).aud).toBe(vaultResource);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    const scope = 'https://management.core.windows.net//.default offline_access openid profile';
    const third = (await refresh(second.refresh_token, { scope })).json;
    expect(decodeJwt(third.access_token).aud).toBe('https://management.core.windows.net/');
    expect(third.scope).toContain('https://management.core.windows.net//user_impersonation');
    const fourth = await refresh(third.refresh_token, { scope: undefined });
    expect(decodeJwt(fourth.json.access_token)).toMatchObject({ aud: vaultResource, upn: user.userName });
  });

  test('used again a while later end the session, for the thief and for the user', async () => {
    const first = (await byPassword(await freshUser())).json;
    const second = (await refresh(first.refresh_token)).json;
    // Several processes of one client use it at the same time, and answers get lost.
    clock.advance(29_000);
    const third = (await refresh(first.refresh_token)).json;
    expect(third.access_token).toBeDefined();
    clock.advance(2_000);
    expectRefused(await refresh(first.refresh_token), 'invalid_grant', 50173);
    for (const token of [second.refresh_token, third.refresh_token, first.refresh_token])
      expectRefused(await refresh(token), 'invalid_grant', 70000);
  });

  test('at the same moment all get a successor', async () => {
    const { refresh_token } = (await byPassword(await freshUser())).json;
    const replies = await Promise.all([1, 2, 3].map(() => refresh(refresh_token)));
    expect(replies.map((reply) => reply.status)).toEqual([200, 200, 200]);
    expect(new Set(replies.map((reply) => reply.json.refresh_token)).size).toBe(3);
  });

  test('are for the client that got them, and for nothing that looks like them', async () => {
    const { refresh_token, access_token } = (await byPassword(await freshUser())).json;
    expectRefused(await refresh(refresh_token, { client_id: azurePowerShell }), 'invalid_grant', 70000);
    for (const text of ['', 'x', `${refresh_token}x`, access_token.slice(0, 43)])
      expectRefused(
        await refresh(text),
        text === '' ? 'invalid_request' : 'invalid_grant',
        text === '' ? 900144 : 70000,
      );
    expect((await refresh(refresh_token)).status).toBe(200);
  });

  test('are not kept in clear', async () => {
    const { refresh_token } = (await byPassword(await freshUser())).json;
    let found = 0;
    await server.restart(async () => {
      found = await server.alter(
        'update login_grants set used = used where id = ? or detail like ?',
        refresh_token,
        `%${refresh_token}%`,
      );
    });
    expect(found).toBe(0);
    expect((await refresh(refresh_token)).status).toBe(200);
  });
});

describe('device codes', () => {
  const begin = (form: Form = {}, path = '/organizations/oauth2/v2.0/devicecode') =>
    postForm(server, path, { client_id: azureCli, scope: vaultScope, ...form });
  const poll = (device_code: string, form: Form = {}) =>
    askToken({ grant_type: deviceGrant, device_code, ...form });
  const page = () => DevicePage.open(server);

  test('let a client in once its user has signed in on the page', async () => {
    const user = await freshUser();
    const { json } = await begin();
    expect(json).toEqual({
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{9}$/),
      device_code: expect.stringMatching(/^[\w-]{43}$/),
      verification_uri: `https://login.strongroom.localhost:${server.port}/devicelogin`,
      expires_in: 900,
      interval: 5,
      message: expect.stringContaining(json.user_code),
    });
    expectRefused(await poll(json.device_code), 'authorization_pending', 70016);
    const records = await auditedDuring(server, async () => {
      const asked = await (await page()).submit({
        user_code: json.user_code.toLowerCase().replace(/^.../, '$&-'),
      });
      expect(asked.status).toBe(200);
      expect(asked.text).toContain('Microsoft Azure CLI');
      const done = await asked.submit({
        username: user.userName,
        password: user.password,
        action: 'approve',
      });
      expect(done.status).toBe(200);
      expect(done.text).toContain('You have signed in to Microsoft Azure CLI');
    });
    expect(records.at(-1)).toMatchObject({
      operationName: 'DeviceLogin',
      identity: { claim: { appid: azureCli } },
    });
    clock.advance(5_000);
    const reply = await poll(json.device_code);
    expect(decodeJwt(reply.json.access_token)).toMatchObject({ upn: user.userName, appid: azureCli });
    expect(reply.json.refresh_token).toBeDefined();
    expectRefused(await poll(json.device_code), 'invalid_grant', 70000);
  });

  test('in the forms of v1.0 and of adfs, by `code` and by both names', async () => {
    const user = await freshUser();
    for (const [base, asNumber] of [
      ['/common', false],
      ['/adfs', true],
    ] as const) {
      const { json } = await begin(
        { scope: undefined, resource: vaultResource },
        `${base}/oauth2/devicecode`,
      );
      expect(json.expires_in).toBe(asNumber ? 900 : '900');
      expect(json.interval).toBe(asNumber ? 5 : '5');
      expect(json.verification_url).toBe(json.verification_uri);
      await (await page()).approve(json.user_code, user);
      const codes = asNumber
        ? { code: json.device_code, device_code: json.device_code }
        : { code: json.device_code };
      const grant_type = asNumber ? deviceGrant : 'device_code';
      const reply = await askToken({ grant_type, resource: vaultResource, ...codes }, `${base}/oauth2/token`);
      expect(decodeJwt(reply.json.access_token)).toMatchObject({ aud: vaultResource, upn: user.userName });
    }
  });

  test('polled too often are told to slow down, and go on', async () => {
    const { json } = await begin();
    expectRefused(await poll(json.device_code), 'authorization_pending', 70016);
    clock.advance(1_000);
    const hasty = await poll(json.device_code);
    expect(hasty.json.error).toBe('slow_down');
    clock.advance(5_000);
    expectRefused(await poll(json.device_code), 'authorization_pending', 70016);
  });

  test('declined, or too old, let nobody in', async () => {
    const user = await freshUser();
    const declined = (await begin()).json;
    const asked = await (await page()).submit({ user_code: declined.user_code });
    expect((await asked.submit({ action: 'decline' })).text).toContain('have not let');
    expectRefused(await poll(declined.device_code), 'authorization_declined', 70018);
    const old = (await begin()).json;
    const late = await (await page()).submit({ user_code: old.user_code });
    clock.advance(15 * minute);
    const refused = await late.submit({
      username: user.userName,
      password: user.password,
      action: 'approve',
    });
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('AADSTS70018');
    expectRefused(await poll(old.device_code), 'expired_token', 70019);
  });

  test('are for the client that asked, and approved once', async () => {
    const [user, other] = [await freshUser(), await freshUser()];
    const { json } = await begin();
    await (await page()).approve(json.user_code, user);
    const again = await (await page()).submit({ user_code: json.user_code });
    expect(again.text).toContain('AADSTS70018');
    expect(again.text).not.toContain(other.userName);
    expectRefused(await poll(json.device_code, { client_id: azurePowerShell }), 'invalid_grant', 70000);
    expectRefused(await poll('x'), 'invalid_grant', 70000);
    expectRefused(await poll(json.user_code), 'invalid_grant', 70000);
    expect(decodeJwt((await poll(json.device_code)).json.access_token).oid).toBe(user.objectId);
  });

  test('are given to clients that are known, and to no confidential one', async () => {
    const { clientId } = await makeIdentity(server, 'no-device');
    for (const client_id of [clientId, '55555555-5555-4555-8555-555555555555', 'x\0'])
      expectRefused(await begin({ client_id }), 'invalid_client', 7000218);
    expectRefused(await begin({ scope: 'https://a/.default https://b/.default' }), 'invalid_scope', 28000);
  });

  test('with a wrong password stay as they are', async () => {
    const user = await freshUser();
    const { json } = await begin();
    const asked = await (await page()).submit({ user_code: json.user_code });
    const wrong = await asked.submit({ username: user.userName, password: 'wrong', action: 'approve' });
    expect(wrong.status).toBe(400);
    expect(wrong.text).toContain('AADSTS50126');
    expectRefused(await poll(json.device_code), 'authorization_pending', 70016);
    const right = await wrong.submit({ username: user.userName, password: user.password, action: 'approve' });
    expect(right.text).toContain('You have signed in');
  });

  test('that were approved give nothing once the user has a new password', async () => {
    const user = await freshUser();
    const { json } = await begin();
    await (await page()).approve(json.user_code, user);
    await server.control('identity set-password', { identity: user.objectId, password: 'a new password' });
    expectRefused(await poll(json.device_code), 'invalid_grant', 50173);
  });

  test('cannot be guessed: an address has so many tries', async () => {
    // A server of its own, whose limit others do not meet.
    const alone = await startTestServer({ clock });
    try {
      const form = await DevicePage.open(alone);
      const statuses: number[] = [];
      for (let attempt = 0; attempt < 101; attempt += 1)
        statuses.push((await form.submit({ user_code: `BCDFGHJK${'BCDFG'[attempt % 5]}` })).status);
      expect(statuses.slice(0, 100).every((status) => status === 400)).toBe(true);
      expect(statuses[100]).toBe(429);
      clock.advance(5 * minute);
      expect((await form.submit({ user_code: 'BCDFGHJKL' })).status).toBe(400);
    } finally {
      await alone.close();
    }
  });
});

describe('what clients ask before', () => {
  test('every user’s realm is this server', async () => {
    for (const path of ['/common/userrealm/ada@example.com', '/common/UserRealm/ada%40example.com']) {
      const reply = await send(server, { host: azureLogin, path: `${path}?api-version=1.0` });
      expect(reply.json).toMatchObject({ account_type: 'Managed', domain_name: 'example.com', ver: '1.0' });
    }
  });

  test('discovery lists what there is, and all of it is there', async () => {
    for (const path of [`/${server.tenantId}/v2.0`, '/adfs']) {
      const { json } = await send(server, {
        host: azureLogin,
        path: `${path}/.well-known/openid-configuration`,
      });
      expect(json.grant_types_supported).toEqual([
        'client_credentials',
        'password',
        'authorization_code',
        'refresh_token',
        deviceGrant,
      ]);
      const device = new URL(json.device_authorization_endpoint);
      expect((await begin2(device.pathname)).status).toBe(200);
      const out = await send(server, { host: azureLogin, path: new URL(json.end_session_endpoint).pathname });
      expect(out.status).toBe(200);
    }
  });

  const begin2 = (path: string) => postForm(server, path, { client_id: azureCli, scope: vaultScope });
});

describe('the libraries of Azure', () => {
  const way = () => ({ proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } });
  beforeAll(() => clock.jump(Date.now() - clock.now()));

  test('UsernamePasswordCredential reads a secret', async () => {
    const user = await freshUser('Key Vault Secrets Officer');
    const credential = new UsernamePasswordCredential(
      server.tenantId,
      azureCli,
      user.userName,
      user.password,
      way(),
    );
    const vault = new SecretClient('https://dev.vault.azure.net', credential, way());
    await vault.setSecret('by-password', 'one');
    expect((await vault.getSecret('by-password')).value).toBe('one');
    const wrong = new UsernamePasswordCredential(server.tenantId, azureCli, user.userName, 'wrong', way());
    await expect(wrong.getToken(`${vaultResource}/.default`)).rejects.toThrow(/50126/);
  });

  test('DeviceCodeCredential reads a secret, and gets a second resource without asking again', async () => {
    const user = await freshUser('Key Vault Secrets Officer');
    let asked = 0;
    const credential = new DeviceCodeCredential({
      tenantId: server.tenantId,
      ...way(),
      // The library polls only after it has told the user, and waits for that.
      userPromptCallback: ({ userCode, verificationUri }) => {
        asked += 1;
        expect(verificationUri).toContain('/devicelogin');
        approving = DevicePage.open(server).then((form) => form.approve(userCode, user));
      },
    });
    let approving: Promise<unknown> = Promise.resolve();
    const vault = new SecretClient('https://dev.vault.azure.net', credential, way());
    await vault.setSecret('by-device', 'two');
    await approving;
    expect((await vault.getSecret('by-device')).value).toBe('two');
    // With the continuous access evaluation that vault clients ask for: others have a cache of their own.
    const options = { enableCae: true };
    const { token } = await credential.getToken('https://management.azure.com/.default', options);
    expect(decodeJwt(token)).toMatchObject({ aud: 'https://management.azure.com', upn: user.userName });
    expect(asked).toBe(1);
  });

  test('MSAL signs a user in under the server’s own names, and again silently', async () => {
    const user = await freshUser();
    const host = `login.strongroom.localhost:${server.port}`;
    const app = new PublicClientApplication({
      auth: {
        clientId: azureCli,
        authority: `https://${host}/${server.tenantId}`,
        knownAuthorities: [host],
      },
      system: { networkClient: serverNetwork(server) },
    });
    const scopes = [`https://vault.strongroom.localhost:${server.port}/.default`];
    const result = await app.acquireTokenByUsernamePassword({
      scopes,
      username: user.userName,
      password: user.password,
    });
    expect(result?.account?.username).toBe(user.userName);
    expect(result?.account?.homeAccountId).toBe(`${user.objectId}.${server.tenantId}`);
    const account = result?.account ?? undefined;
    if (account === undefined) throw new Error('no account');
    const silent = await app.acquireTokenSilent({ scopes, account });
    expect(silent.fromCache).toBe(true);
    const forced = await app.acquireTokenSilent({ scopes, account, forceRefresh: true });
    expect(forced.fromCache).toBe(false);
    expect(decodeJwt(forced.accessToken).oid).toBe(user.objectId);
  });
});

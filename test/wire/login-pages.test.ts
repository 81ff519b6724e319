/**
 * The authorization code flow over the wire, with a browser as far as pages need one: what the page lets in and where it
 * sends the browser, and all that must not happen: sending a code elsewhere, forms from elsewhere, codes used twice, by
 * another client, without their proof, or shown inside another page.
 */
import { createHash, randomBytes } from 'node:crypto';
import { AuthorizationCodeCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { openPage, type Page } from '../support/browser.ts';
import { manualClock } from '../support/identity.ts';
import { makeIdentity, type RawResponse, send, startTestServer, type TestServer } from '../support/server.ts';
import {
  azureCli,
  azureLogin,
  azurePowerShell,
  makeUser,
  postForm,
  type TestUser,
  vaultResource,
} from '../support/sign-in.ts';

const clock = manualClock(Date.now());
let server: TestServer;
let user: TestUser;

beforeAll(async () => {
  server = await startTestServer({ clock });
  user = await makeUser(server, 'ada', ['Key Vault Secrets Officer']);
});
afterAll(() => server.close());

const scope = `${vaultResource}/.default openid profile offline_access`;
const localhost = 'http://localhost:53682';

type Parameters = Record<string, string | undefined>;

function address(parameters: Parameters = {}, path = '/organizations/oauth2/v2.0/authorize'): string {
  const all: Parameters = {
    client_id: azureCli,
    response_type: 'code',
    redirect_uri: localhost,
    scope,
    state: 's t&a=te',
    ...parameters,
  };
  const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return `${path}?${new URLSearchParams(given)}`;
}

const open = (parameters: Parameters = {}, path?: string): Promise<Page> =>
  openPage(server, { host: azureLogin, path: address(parameters, path) });

const signIn = (page: Page, as: TestUser = user) =>
  page.submit({ username: as.userName, password: as.password, action: 'sign-in' });

const location = (page: Page): URL => new URL(page.reply.headers.location ?? '');

/** The code that a browser brings back after its user has signed in. */
async function codeFor(parameters: Parameters = {}, path?: string): Promise<string> {
  const answered = await signIn(await open(parameters, path));
  expect(answered.status, answered.text).toBe(303);
  return location(answered).searchParams.get('code') ?? '';
}

const redeem = (code: string, form: Parameters = {}, path = '/organizations/oauth2/v2.0/token') =>
  postForm(server, path, {
    client_id: azureCli,
    grant_type: 'authorization_code',
    redirect_uri: localhost,
    code,
    scope,
    ...form,
  });

function expectRefused(reply: RawResponse, number: number): void {
  expect(reply.status, reply.text).toBe(400);
  expect(reply.json).toMatchObject({ error: 'invalid_grant', error_codes: [number] });
}

function pkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
}

describe('the sign-in page', () => {
  test('names the client, asks for a name and a password, and takes nothing from anywhere else', async () => {
    const page = await open({ login_hint: 'ada"><script>alert(1)</script>@example.com' });
    expect(page.status).toBe(200);
    expect(page.reply.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.text).toContain('Microsoft Azure CLI');
    expect(page.fields.username).toBe('ada"><script>alert(1)</script>@example.com');
    expect(page.text).not.toMatch(/<script|https?:\/\/(?!localhost)/);
    const policy = String(page.reply.headers['content-security-policy']);
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'nonce-[\w+/=]+'; form-action 'self' http:\/\/localhost:53682; base-uri 'none'; frame-ancestors 'none'$/,
    );
    expect(page.reply.headers).toMatchObject({
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store, no-cache',
    });
    expect(String(page.reply.headers['set-cookie'])).toMatch(
      /^__Host-strongroom-sign-in=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    );
    const [first, second] = [await open(), await open()].map(
      (one) => one.reply.headers['content-security-policy'],
    );
    expect(first).not.toBe(second);
  });

  test('stays where it is when the password is wrong, and says so in the audit log', async () => {
    const page = await open();
    const records = await auditedDuring(server, async () => {
      const wrong = await signIn(page, { ...user, password: 'hunter2hunter2' });
      expect(wrong.status).toBe(400);
      expect(wrong.text).toContain('AADSTS50126');
      expect(wrong.reply.headers.location).toBeUndefined();
      expect(wrong.text).not.toContain('hunter2');
      const right = await signIn(wrong);
      expect(right.status).toBe(303);
    });
    expect(records).toMatchObject([
      { operationName: 'SignIn', resultType: 'invalid_grant' },
      { operationName: 'SignIn', resultType: 'Success', identity: { claim: { appid: azureCli } } },
    ]);
    expect(JSON.stringify(records)).not.toMatch(/hunter2|s\+t%26a/);
  });

  test('sends the browser back in each way that a client may ask for', async () => {
    for (const response_mode of [undefined, 'query']) {
      const answered = await signIn(await open({ response_mode }));
      const { origin, searchParams, hash } = location(answered);
      expect([origin, hash]).toEqual([localhost, '']);
      expect([...searchParams.keys()]).toEqual(['code', 'state']);
      expect(searchParams.get('state')).toBe('s t&a=te');
    }
    const fragment = location(await signIn(await open({ response_mode: 'fragment' })));
    expect(fragment.search).toBe('');
    const inFragment = new URLSearchParams(fragment.hash.slice(1));
    expect((await redeem(inFragment.get('code') ?? '')).status).toBe(200);
    const posted = await signIn(await open({ response_mode: 'form_post', state: '"><b>' }));
    expect(posted.status).toBe(200);
    expect(posted.text).toContain(`<form method="post" action="${localhost}">`);
    expect(posted.fields.state).toBe('"><b>');
    expect((await redeem(posted.fields.code ?? '')).status).toBe(200);
    const policy = String(posted.reply.headers['content-security-policy']);
    const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1];
    expect(posted.text).toContain(`<script nonce="${nonce?.replace(/[&<>"'`]/g, '')}">`);
  });

  test('tells the client when its user declines, or when it asks for what there is not', async () => {
    const declined = location(await (await open()).submit({ action: 'cancel' }));
    expect(declined.searchParams.get('error')).toBe('access_denied');
    expect(declined.searchParams.get('state')).toBe('s t&a=te');
    for (const [parameters, error] of [
      [{ response_type: 'token' }, 'unsupported_response_type'],
      [{ response_type: undefined }, 'unsupported_response_type'],
      [{ prompt: 'none' }, 'login_required'],
      [{ scope: `${vaultResource}/.default https://management.azure.com/.default` }, 'invalid_scope'],
      [{ code_challenge: 'too short', code_challenge_method: 'S256' }, 'invalid_request'],
      [{ code_challenge: pkce().challenge, code_challenge_method: 'S512' }, 'invalid_request'],
      [{ code_challenge_method: 'S256' }, 'invalid_request'],
    ] as const) {
      const page = await open(parameters);
      expect(page.status).toBe(303);
      expect(location(page).origin).toBe(localhost);
      expect(location(page).searchParams.get('error'), JSON.stringify(parameters)).toBe(error);
    }
    const elsewhere = await signIn(await open({ scope: 'https://evil.example/.default' }));
    expect(location(elsewhere).searchParams.get('error')).toBe('invalid_resource');
  });
});

describe('the browser is sent to registered addresses only', () => {
  test('of Microsoft’s own clients: loopback and the native client’s page', async () => {
    for (const redirect_uri of [
      'http://localhost',
      'http://localhost:8400/',
      'http://127.0.0.1:1234',
      'https://login.microsoftonline.com/common/oauth2/nativeclient',
    ])
      expect((await open({ redirect_uri })).status, redirect_uri).toBe(200);
    for (const redirect_uri of [
      'https://evil.example',
      'http://localhost.evil.example',
      'http://localhost@evil.example',
      'http://evil.example/localhost',
      'http://localhost:1/other/path',
      'http://localhost:1/?next=https://evil.example',
      'http://localhost:1#fragment',
      'https://localhost:1',
      'http://2130706433',
      'http://[::1]:1',
      '//evil.example',
      '/relative',
      'javascript:alert(1)',
      'data:text/html,x',
      'https://login.microsoftonline.com/common/oauth2/nativeclient/../../evil',
      'https://login.microsoftonline.com.evil.example/common/oauth2/nativeclient',
      'http://localhost\\@evil.example',
      'http://localhost:1\r\nSet-Cookie: x=y',
      undefined,
    ]) {
      const page = await open({ redirect_uri });
      expect(page.status, redirect_uri).toBe(400);
      expect(page.reply.headers.location).toBeUndefined();
      expect(page.text).toContain('AADSTS50011');
      expect(page.text).not.toContain('evil');
      expect(page.text).not.toContain('<form');
    }
  });

  test('of clients that are known only, each parameter once', async () => {
    const web = await makeIdentity(server, 'no-redirects');
    for (const client_id of ['55555555-5555-4555-8555-555555555555', 'x', undefined]) {
      const page = await open({ client_id });
      expect(page.status).toBe(400);
      expect(page.text).toContain('AADSTS700016');
    }
    expect((await open({ client_id: web.clientId })).text).toContain('AADSTS50011');
    for (const parameter of ['redirect_uri=https://evil.example', `client_id=${azurePowerShell}`]) {
      const page = await openPage(server, { host: azureLogin, path: `${address()}&${parameter}` });
      expect(page.status).toBe(400);
      expect(page.reply.headers.location).toBeUndefined();
    }
  });

  test('and the form leads to the page’s own host, whatever path it was shown under', async () => {
    const page = await open({}, '//organizations//oauth2/v2.0/authorize');
    expect(page.text).toContain('action="?client_id&#61;'.replace('&#61;', '='));
    expect((await signIn(page)).status).toBe(303);
  });
});

describe('forms from elsewhere', () => {
  const credentials = () => ({ username: user.userName, password: user.password, action: 'sign-in' });

  test('are shown the page again, and nobody is signed in', async () => {
    const page = await open();
    const other = await open();
    for (const [what, fields, from] of [
      ['no cookie', {}, { cookie: null }],
      ['another browser’s cookie', {}, { cookie: other.cookie ?? null }],
      ['no token', { token: '' }, {}],
      ['another page’s token', { token: other.fields.token ?? '' }, {}],
      ['two cookies', {}, { cookie: `${page.cookie}; ${other.cookie}` }],
      ['a cookie of the attacker’s making', {}, { cookie: '__Host-strongroom-sign-in=x' }],
    ] as const) {
      const answered = await page.submit({ ...credentials(), ...fields }, from);
      expect(answered.status, what).toBe(400);
      expect(answered.text).toContain('AADSTS165000');
      expect(answered.reply.headers.location).toBeUndefined();
    }
    expect((await page.submit(credentials())).status).toBe(303);
  });

  test('are for the request that they were shown for', async () => {
    const page = await open();
    const target = address({ client_id: azurePowerShell });
    const reply = await send(server, {
      host: azureLogin,
      method: 'POST',
      path: target,
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        Cookie: page.cookie ?? '',
      },
      body: new URLSearchParams({ ...page.fields, ...credentials() }).toString(),
    });
    expect(reply.status).toBe(400);
    expect(reply.text).toContain('AADSTS165000');
  });

  test('cannot be fetched by a page elsewhere: nothing allows another origin', async () => {
    const path = address();
    const reply = await send(server, { host: azureLogin, path, headers: { Origin: 'https://evil.example' } });
    for (const name of Object.keys(reply.headers)) expect(name).not.toMatch(/^access-control-/);
  });
});

describe('codes', () => {
  test('are redeemed once, for tokens with the nonce that the client gave', async () => {
    const { verifier, challenge } = pkce();
    const parameters = { code_challenge: challenge, code_challenge_method: 'S256', nonce: 'n-0' };
    const code = await codeFor(parameters);
    const { json, status } = await redeem(code, { code_verifier: verifier, client_info: '1' });
    expect(status).toBe(200);
    expect(decodeJwt(json.access_token)).toMatchObject({
      aud: vaultResource,
      upn: user.userName,
      scp: 'user_impersonation',
    });
    expect(decodeJwt(json.id_token)).toMatchObject({ aud: azureCli, nonce: 'n-0', oid: user.objectId });
    expect(json.client_info).toBeDefined();
  });

  test('used twice end what came of the first use', async () => {
    const code = await codeFor();
    const { refresh_token } = (await redeem(code)).json;
    expectRefused(await redeem(code), 54005);
    const renewed = await postForm(server, '/organizations/oauth2/v2.0/token', {
      client_id: azureCli,
      grant_type: 'refresh_token',
      refresh_token,
      scope,
    });
    expectRefused(renewed, 70000);
  });

  test('brought twice at the same moment are good once at the most, and leave no session', async () => {
    const code = await codeFor();
    const replies = await Promise.all([redeem(code), redeem(code), redeem(code)]);
    const good = replies.filter((reply) => reply.status === 200);
    expect(good.length).toBeLessThanOrEqual(1);
    for (const { json } of good) {
      const renewed = await postForm(server, '/organizations/oauth2/v2.0/token', {
        client_id: azureCli,
        grant_type: 'refresh_token',
        refresh_token: json.refresh_token,
        scope,
      });
      expectRefused(renewed, 70000);
    }
  });

  test('of another client, for another address, or without their proof are used up by it', async () => {
    const { verifier, challenge } = pkce();
    const s256 = { code_challenge: challenge, code_challenge_method: 'S256' };
    const plain = { code_challenge: verifier };
    for (const [parameters, form, number] of [
      [{}, { client_id: azurePowerShell }, 70000],
      [{}, { redirect_uri: 'http://localhost:1' }, 500112],
      [{}, { redirect_uri: undefined }, 500112],
      [s256, {}, 50148],
      [s256, { code_verifier: pkce().verifier }, 50148],
      [s256, { code_verifier: challenge }, 50148],
      [s256, { code_verifier: '' }, 50148],
      [plain, { code_verifier: challenge }, 50148],
      // A challenge that somebody took out of the request on its way.
      [{}, { code_verifier: verifier }, 50148],
    ] as const) {
      const code = await codeFor(parameters);
      expectRefused(await redeem(code, form), number);
      const right = parameters === s256 || parameters === plain ? { code_verifier: verifier } : {};
      expectRefused(await redeem(code, right), 54005);
    }
    const byPlain = await codeFor(plain);
    expect((await redeem(byPlain, { code_verifier: verifier })).status).toBe(200);
  });

  test('end after ten minutes', async () => {
    const code = await codeFor();
    clock.advance(10 * 60_000);
    expectRefused(await redeem(code), 70008);
  });

  test('are cleared away when they have ended', async () => {
    const code = await codeFor();
    clock.advance(10 * 60_000);
    let number: number | undefined;
    // In steps in which the process that runs the jobs can show life.
    for (let step = 0; step < 600 && number !== 70000; step += 1) {
      clock.advance(3_000);
      number = (await redeem(code)).json.error_codes[0];
    }
    expect(number).toBe(70000);
  });

  test('of v1.0 name a resource, and give all three tokens', async () => {
    const parameters = { scope: undefined, resource: vaultResource };
    const code = await codeFor(parameters, '/common/oauth2/authorize');
    const { json } = await redeem(code, { scope: undefined }, '/common/oauth2/token');
    expect(json).toMatchObject({ expires_in: '3599', resource: vaultResource, scope: 'user_impersonation' });
    expect(decodeJwt(json.id_token)).toMatchObject({ aud: azureCli, upn: user.userName, ver: '1.0' });
  });

  test('need a code', async () => {
    for (const code of ['x', `${await codeFor()}x`]) expectRefused(await redeem(code), 70000);
    expect((await redeem('')).json.error).toBe('invalid_request');
  });

  test('of a user who is disabled meanwhile give nothing', async () => {
    const other = await makeUser(server, 'leaving');
    const page = await open();
    const code = location(await signIn(page, other)).searchParams.get('code') ?? '';
    await server.control('identity disable', { identity: other.objectId });
    expectRefused(await redeem(code), 50057);
  });

  test('of a user who has a new password meanwhile give nothing', async () => {
    const other = await makeUser(server, 'robbed');
    const code = location(await signIn(await open(), other)).searchParams.get('code') ?? '';
    await server.control('identity set-password', {
      identity: other.objectId,
      password: 'not what the thief knows',
    });
    expectRefused(await redeem(code), 50173);
  });
});

test('the pages besides let nobody be sent on', async () => {
  for (const path of [
    '/common/oauth2/v2.0/logout?post_logout_redirect_uri=https://evil.example',
    '/common/oauth2/nativeclient?code=x',
  ]) {
    const page = await openPage(server, { host: azureLogin, path });
    expect(page.status).toBe(200);
    expect(page.reply.headers.location).toBeUndefined();
    expect(page.text).not.toContain('evil');
  }
});

test('AuthorizationCodeCredential of @azure/identity redeems a code and reads a secret', async () => {
  clock.jump(Date.now() - clock.now());
  const code = await codeFor({}, `/${server.tenantId}/oauth2/v2.0/authorize`);
  const way = { proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } };
  const credential = new AuthorizationCodeCredential(server.tenantId, azureCli, code, localhost, way);
  const vault = new SecretClient('https://dev.vault.azure.net', credential, way);
  expect((await vault.setSecret('by-code', 'value')).value).toBe('value');
});

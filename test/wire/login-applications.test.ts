/**
 * Applications that an organization registers by itself, through which its users sign in: web applications with a secret,
 * programs and single-page applications without one, each at the addresses that it registered and in its own way.
 */
import { createHash, randomBytes } from 'node:crypto';
import { ConfidentialClientApplication } from '@azure/msal-node';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPage } from '../support/browser.ts';
import { manualClock } from '../support/identity.ts';
import { send, startTestServer, type TestServer, tokenFor } from '../support/server.ts';
import {
  azureLogin,
  makeUser,
  postForm,
  serverNetwork,
  type TestUser,
  vaultResource,
} from '../support/sign-in.ts';

const clock = manualClock(Date.now());
const scope = `${vaultResource}/.default openid profile offline_access`;
const web = 'https://app.example/signed-in';
const native = 'http://localhost/back';
const spa = 'https://spa.example';
let server: TestServer;
let user: TestUser;
let graphToken: string;
let application: { id: string; appId: string };
let secret: string;

async function graph(method: string, path: string, body: object) {
  const reply = await send(server, {
    host: 'graph.microsoft.com',
    method,
    path: `/v1.0${path}`,
    headers: { Authorization: `Bearer ${graphToken}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(reply.status, reply.text).toBeLessThan(300);
  return reply.json;
}

beforeAll(async () => {
  server = await startTestServer({ clock });
  user = await makeUser(server, 'ada');
  graphToken = await tokenFor(server, { resource: 'https://graph.microsoft.com' });
  application = await graph('POST', '/applications', {
    displayName: 'House <b>book</b>',
    web: { redirectUris: [web] },
    publicClient: { redirectUris: [native] },
    spa: { redirectUris: [spa] },
  });
  await graph('POST', '/servicePrincipals', { appId: application.appId });
  const added = await graph('POST', `/applications/${application.id}/addPassword`, {
    passwordCredential: { displayName: 'test' },
  });
  secret = added.secretText;
});
afterAll(() => server.close());

const open = (parameters: Record<string, string>) =>
  openPage(server, {
    host: azureLogin,
    path: `/${server.tenantId}/oauth2/v2.0/authorize?${new URLSearchParams({
      client_id: application.appId,
      response_type: 'code',
      scope,
      ...parameters,
    })}`,
  });

async function codeFor(parameters: Record<string, string>): Promise<string> {
  const page = await open(parameters);
  const answered = await page.submit({ username: user.userName, password: user.password, action: 'sign-in' });
  expect(answered.status, answered.text).toBe(303);
  const location = new URL(answered.reply.headers.location ?? '');
  expect(location.href.startsWith(parameters.redirect_uri ?? '')).toBe(true);
  return location.searchParams.get('code') ?? '';
}

const ask = (form: Record<string, string | undefined>) =>
  postForm(server, `/${server.tenantId}/oauth2/v2.0/token`, { client_id: application.appId, scope, ...form });

const redeem = (code: string, form: Record<string, string | undefined>) =>
  ask({ grant_type: 'authorization_code', code, ...form });

const refresh = (refresh_token: string, form: Record<string, string | undefined> = {}) =>
  ask({ grant_type: 'refresh_token', refresh_token, ...form });

const pkce = () => {
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  return { verifier, asked: { code_challenge: challenge, code_challenge_method: 'S256' } };
};

describe('a registered application', () => {
  test('is shown by its name, which is text and no markup', async () => {
    const page = await open({ redirect_uri: web });
    expect(page.status).toBe(200);
    expect(page.text).toContain('House &#60;b&#62;book');
    expect(page.reply.headers['content-security-policy']).toContain(
      "form-action 'self' https://app.example;",
    );
  });

  test('has its answers at its own addresses only', async () => {
    for (const redirect_uri of [
      `${web}/`,
      `${web}?next=https://evil.example`,
      'https://app.example',
      'https://app.example.evil.example/signed-in',
      'http://localhost/other',
      'https://login.microsoftonline.com/common/oauth2/nativeclient',
    ])
      expect((await open({ redirect_uri })).text, redirect_uri).toContain('AADSTS50011');
    expect((await open({})).text).toContain('AADSTS50011');
  });

  test('as a web application redeems with its secret, and its session goes on with it', async () => {
    const answered = { redirect_uri: web };
    const stolen = await redeem(await codeFor(answered), answered);
    expect(stolen.json).toMatchObject({ error: 'invalid_client', error_codes: [7000218] });
    const wrong = await redeem(await codeFor(answered), { ...answered, client_secret: 'wrong' });
    expect(wrong.json).toMatchObject({ error: 'invalid_client', error_codes: [7000215] });
    const { json } = await redeem(await codeFor(answered), { ...answered, client_secret: secret });
    expect(decodeJwt(json.access_token)).toMatchObject({ appid: application.appId, appidacr: '1' });
    expect(decodeJwt(json.id_token).aud).toBe(application.appId);
    expect((await refresh(json.refresh_token)).json).toMatchObject({ error_codes: [7000218] });
    expect((await refresh(json.refresh_token, { client_secret: secret })).status).toBe(200);
  });

  test('as a program redeems without one, on any port', async () => {
    const answered = { redirect_uri: 'http://localhost:4711/back' };
    const { verifier, asked } = pkce();
    const code = await codeFor({ ...answered, ...asked });
    const { json, status } = await redeem(code, { ...answered, code_verifier: verifier });
    expect(status).toBe(200);
    expect(decodeJwt(json.access_token)).toMatchObject({ appid: application.appId, appidacr: '0' });
    expect((await refresh(json.refresh_token)).status).toBe(200);
  });

  test('as a single-page application needs PKCE', async () => {
    const answered = { redirect_uri: spa };
    const without = await open(answered);
    expect(new URL(without.reply.headers.location ?? '').searchParams.get('error_description')).toContain(
      'AADSTS9002325',
    );
    const { verifier, asked } = pkce();
    const code = await codeFor({ ...answered, ...asked });
    expect((await redeem(code, { ...answered, code_verifier: verifier })).status).toBe(200);
  });

  test('cannot pass a web application’s code off as a program’s', async () => {
    const code = await codeFor({ redirect_uri: web });
    expect((await redeem(code, { redirect_uri: native })).json).toMatchObject({ error_codes: [500112] });
    const used = await redeem(code, { redirect_uri: web, client_secret: secret });
    expect(used.json).toMatchObject({ error_codes: [54005] });
  });

  test('that is disabled signs nobody in', async () => {
    const { id } = (
      await send(server, {
        host: 'graph.microsoft.com',
        path: `/v1.0/servicePrincipals(appId='${application.appId}')`,
        headers: { Authorization: `Bearer ${graphToken}` },
      })
    ).json;
    await graph('PATCH', `/servicePrincipals/${id}`, { accountEnabled: false });
    const page = await open({ redirect_uri: web });
    expect(page.status).toBe(400);
    expect(page.text).toContain('AADSTS7000112');
    await graph('PATCH', `/servicePrincipals/${id}`, { accountEnabled: true });
    expect((await open({ redirect_uri: web })).status).toBe(200);
  });
});

test('MSAL’s confidential client redeems a code, and gets the next token silently', async () => {
  const host = `login.strongroom.localhost:${server.port}`;
  const client = new ConfidentialClientApplication({
    auth: {
      clientId: application.appId,
      clientSecret: secret,
      authority: `https://${host}/${server.tenantId}`,
      knownAuthorities: [host],
    },
    system: { networkClient: serverNetwork(server) },
  });
  const scopes = [`https://vault.strongroom.localhost:${server.port}/.default`];
  const code = await codeFor({ redirect_uri: web });
  const result = await client.acquireTokenByCode({ code, scopes, redirectUri: web });
  expect(result.account?.username).toBe(user.userName);
  if (result.account === null) throw new Error('no account');
  const again = await client.acquireTokenSilent({ scopes, account: result.account, forceRefresh: true });
  expect(again.fromCache).toBe(false);
  expect(decodeJwt(again.accessToken)).toMatchObject({ oid: user.objectId, appidacr: '1' });
});

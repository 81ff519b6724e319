/**
 * Proves that Microsoft Graph answers as Azure's clients need it, in the requests that az and the azuread provider send:
 * users, groups, applications, service principals and credentials; that lists page and filter; and that nobody reads
 * without a token for Graph, or writes without administering the directory.
 */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  makeIdentity,
  type RawResponse,
  send,
  startTestServer,
  type TestServer,
  tokenFor,
} from '../support/server.ts';
import {
  azureCli,
  azureLogin,
  makeCertificate,
  makeUser,
  postForm,
  signJwt,
  type TestCertificate,
} from '../support/sign-in.ts';

const graphResource = 'https://graph.microsoft.com';
let server: TestServer;
let admin: string;
let reader: string;
beforeAll(async () => {
  server = await startTestServer();
  admin = await tokenFor(server, { resource: graphResource });
  const identity = await makeIdentity(server, 'graph reader');
  reader = await tokenFor(server, { identity, resource: graphResource });
});
afterAll(() => server.close());

interface Options {
  readonly token?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function graph(method: string, path: string, body?: unknown, options: Options = {}): Promise<RawResponse> {
  const { token = admin, host = 'graph.microsoft.com', headers = {} } = options;
  return send(server, {
    host,
    method,
    path: `/v1.0${path}`,
    headers: {
      ...(token === '' ? {} : { Authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function made(method: string, path: string, body?: unknown, status = 201) {
  const reply = await graph(method, path, body);
  expect({ status: reply.status, text: reply.text }).toMatchObject({ status });
  return reply.json;
}

const filtered = (collection: string, filter: string) =>
  graph('GET', `/${collection}?$filter=${encodeURIComponent(filter)}`);

const user = (name: string) => ({
  accountEnabled: true,
  displayName: `User ${name}`,
  mailNickname: name,
  userPrincipalName: `${name}@example.com`,
  passwordProfile: { password: 'correct horse battery', forceChangePasswordNextSignIn: false },
});
const group = (name: string) => ({
  displayName: name,
  mailNickname: name,
  mailEnabled: false,
  securityEnabled: true,
});
const toObject = (id: string) => ({ '@odata.id': `https://graph.microsoft.com/v1.0/directoryObjects/${id}` });

const deep = (levels: number): unknown => (levels === 0 ? 1 : { in: deep(levels - 1) });

describe('callers', () => {
  test('without a token, or with one for another resource, get 401 and a challenge', async () => {
    const none = await graph('GET', '/users', undefined, { token: '' });
    expect(none.status).toBe(401);
    expect(none.json.error).toMatchObject({ code: 'InvalidAuthenticationToken' });
    expect(none.json.error.innerError['request-id']).toBe(none.headers['request-id']);
    expect(none.headers['www-authenticate']).toMatch(
      /^Bearer realm="", authorization_uri="https:\/\/login\.microsoftonline\.com\/common\/oauth2\/authorize"/,
    );
    for (const resource of ['https://vault.azure.net', 'https://management.azure.com']) {
      const token = await tokenFor(server, { resource });
      const reply = await graph('GET', '/users', undefined, { token });
      expect([reply.status, reply.json.error.code]).toEqual([401, 'InvalidAuthenticationToken']);
      expect(reply.json.error.message).not.toContain('AKV');
    }
    const token = await tokenFor(server, { resource: graphResource });
    const vault = await send(server, {
      host: 'dev.vault.azure.net',
      path: '/secrets?api-version=2025-07-01',
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(vault.status).toBe(401);
  });

  test('who does not administer the directory reads it and changes nothing', async () => {
    expect((await graph('GET', '/users', undefined, { token: reader })).status).toBe(200);
    const subject = await made('POST', '/applications', { displayName: 'untouchable' });
    const others: [string, string, unknown][] = [
      ['POST', '/users', user('intruder')],
      ['POST', '/groups', group('intruders')],
      ['POST', '/applications', { displayName: 'intruder' }],
      ['PATCH', `/applications/${subject.id}`, { displayName: 'taken over' }],
      ['POST', `/applications/${subject.id}/addPassword`, {}],
      ['DELETE', `/applications/${subject.id}`, undefined],
    ];
    for (const [method, path, body] of others) {
      const reply = await graph(method, path, body, { token: reader });
      expect([method, path, reply.status, reply.json.error.code]).toEqual([
        method,
        path,
        403,
        'Authorization_RequestDenied',
      ]);
      expect(reply.json.error.message).toBe('Insufficient privileges to complete the operation.');
    }
    expect(await made('GET', `/applications/${subject.id}`, undefined, 200)).toMatchObject({
      displayName: 'untouchable',
      passwordCredentials: [],
    });
  });

  test('an operator makes administrators and takes it back, at once', async () => {
    const { objectId, ...identity } = await makeIdentity(server, 'second administrator');
    const token = await tokenFor(server, { identity, resource: graphResource });
    const attempt = async (name: string) => (await graph('POST', '/groups', group(name), { token })).status;
    expect(await attempt('one')).toBe(403);
    await server.control('identity directory-admin', { identity: objectId });
    expect(await attempt('two')).toBe(201);
    await server.control('identity directory-admin', { identity: objectId, revoke: true });
    expect(await attempt('three')).toBe(403);
  });

  test('a disabled caller is refused at once, and served again when enabled', async () => {
    const { objectId, ...identity } = await makeIdentity(server, 'on and off');
    const token = await tokenFor(server, { identity, resource: graphResource });
    const status = async () => (await graph('GET', '/users', undefined, { token })).status;
    expect(await status()).toBe(200);
    await made('PATCH', `/servicePrincipals/${objectId}`, { accountEnabled: false }, 204);
    expect([401, 403]).toContain(await status());
    await expect(tokenFor(server, { identity })).rejects.toThrow('AADSTS7000112');
    await made('PATCH', `/servicePrincipals/${objectId}`, { accountEnabled: true }, 204);
    expect(await status()).toBe(200);
  });

  test('nobody becomes an administrator or a first-party service through Graph', async () => {
    const app = await made('POST', '/applications', { displayName: 'climber' });
    for (const extra of [
      { directoryAdministrator: true },
      { firstParty: 'other' },
      { detail: { directoryAdministrator: true } },
      { declared: { directoryAdministrator: true } },
    ]) {
      expect((await graph('PATCH', `/applications/${app.id}`, extra)).status).toBe(400);
    }
  });
});

describe('users', () => {
  test('are made, found by id, name and filter, changed and deleted', async () => {
    const ada = await made('POST', '/users', { ...user('ada'), jobTitle: 'Countess', department: '' });
    expect(ada).toMatchObject({
      '@odata.context': 'https://graph.microsoft.com/v1.0/$metadata#users/$entity',
      userPrincipalName: 'ada@example.com',
      displayName: 'User ada',
      jobTitle: 'Countess',
    });
    expect(JSON.stringify(ada)).not.toContain('correct horse');
    for (const path of [
      `/users/${ada.id}`,
      '/users/ADA@example.com',
      `/users('ada@example.com')`,
      '//Users/ada%40example.com/',
    ]) {
      expect((await made('GET', path, undefined, 200)).id).toBe(ada.id);
    }
    for (const filter of [
      "userPrincipalName eq 'ada@example.com'",
      "startswith(displayName,'user AD')",
      `id eq '${ada.id}'`,
      "mailNickname eq 'ada' and accountEnabled eq true",
      "userPrincipalName in ('nobody@example.com', 'ada@example.com')",
    ]) {
      const found = await filtered('users', filter);
      expect(found.json.value?.map((one: { id: string }) => one.id)).toEqual([ada.id]);
    }
    await made(
      'PATCH',
      `/users/${ada.id}`,
      { mail: 'ada@mail.example', givenName: 'Ada', jobTitle: null },
      204,
    );
    expect(await made('GET', `/users/${ada.id}`, undefined, 200)).toMatchObject({
      mail: 'ada@mail.example',
      givenName: 'Ada',
      jobTitle: null,
    });
    expect((await filtered('users', "mail eq 'ada@mail.example'")).json.value).toHaveLength(1);
    await made('DELETE', '/users/ada@example.com', undefined, 204);
    const gone = await graph('GET', `/users/${ada.id}`);
    expect([gone.status, gone.json.error.code]).toEqual([404, 'Request_ResourceNotFound']);
  });

  test('show accountEnabled only to who selects it', async () => {
    const { id } = await made('POST', '/users', user('selected'));
    expect(await made('GET', `/users/${id}`, undefined, 200)).not.toHaveProperty('accountEnabled');
    const chosen = await made('GET', `/users/${id}?$select=accountEnabled,nothing`, undefined, 200);
    expect(Object.keys(chosen).toSorted()).toEqual(['@odata.context', 'accountEnabled', 'id']);
  });

  test.each([
    ['a name that is taken', { userPrincipalName: 'TAKEN@example.com' }, /userPrincipalName already exists/],
    ['a name that is none', { userPrincipalName: 'no address' }, /form of an e-mail address/],
    ['a weak password', { passwordProfile: { password: 'aaaaaaaaaa' } }, /password complexity/],
    ['no password', { passwordProfile: null }, /password must be specified/],
    [
      'a password to be changed at sign-in',
      { passwordProfile: { password: 'correct horse battery', forceChangePasswordNextSignIn: true } },
      /not supported/,
    ],
    ['text that no database takes', { displayName: 'a\u0000b' }, /displayName/],
    ['what is not supported', { onPremisesImmutableId: 'x' }, /'onPremisesImmutableId' is not supported/],
    ['a wrong type', { accountEnabled: 'True' }, /accountEnabled/],
  ])('are refused with %s', async (_what, change, message) => {
    if ((await graph('GET', '/users/taken@example.com')).status === 404)
      await made('POST', '/users', user('taken'));
    const reply = await graph('POST', '/users', { ...user('other'), ...change });
    expect([reply.status, reply.json.error.code]).toEqual([400, 'Request_BadRequest']);
    expect(reply.json.error.message).toMatch(message);
    expect((await graph('GET', '/users/other@example.com')).status).toBe(404);
  });

  test('/me is for users', async () => {
    const { userName, password, objectId } = await makeUser(server, 'myself');
    const signedIn = await postForm(server, `/${server.tenantId}/oauth2/v2.0/token`, {
      ...{ grant_type: 'password', client_id: azureCli, username: userName, password },
      scope: `${graphResource}/.default`,
    });
    const token = signedIn.json.access_token as string;
    const me = await graph('GET', '/me', undefined, { token });
    expect(me.json).toMatchObject({ id: objectId, userPrincipalName: userName });
    const groups = await graph('GET', '/me/memberOf', undefined, { token });
    expect(groups.json.value).toEqual([]);
    expect((await graph('DELETE', `/users/${objectId}`, undefined, { token })).status).toBe(403);

    const reply = await graph('GET', '/me');
    expect([reply.status, reply.json.error.message]).toEqual([
      400,
      '/me request is only valid with delegated authentication flow.',
    ]);
  });
});

describe('groups', () => {
  test('have members, nested ones too, and know who is in them', async () => {
    const [outer, inner] = [
      await made('POST', '/groups', { ...group('outer'), description: 'around' }),
      await made('POST', '/groups', group('inner')),
    ];
    const bob = await made('POST', '/users', user('bob'));
    await made('POST', `/groups/${outer.id}/members/$ref`, toObject(inner.id), 204);
    await made('POST', `/groups/${inner.id}/members/%24ref`, toObject(bob.id), 204);
    // A circle is allowed, and harms nothing.
    await made('POST', `/groups/${inner.id}/members/$ref`, toObject(outer.id), 204);

    const ids = async (path: string) =>
      (await made('GET', path, undefined, 200)).value.map((one: { id: string }) => one.id).toSorted();
    expect(await ids(`/groups/${outer.id}/members`)).toEqual([inner.id]);
    expect(await ids(`/groups/${outer.id}/transitiveMembers`)).toEqual([inner.id, bob.id].toSorted());
    expect(await ids(`/users/${bob.id}/memberOf`)).toEqual([inner.id]);
    expect(await ids(`/users/${bob.id}/transitiveMemberOf`)).toEqual([inner.id, outer.id].toSorted());
    expect(await ids(`/users/${bob.id}/transitiveMemberOf/microsoft.graph.group`)).toHaveLength(2);
    const all = await made('POST', `/users/${bob.id}/getMemberGroups`, { securityEnabledOnly: true }, 200);
    expect(all.value.toSorted()).toEqual([inner.id, outer.id].toSorted());
    const checked = { groupIds: [outer.id.toUpperCase(), bob.id] };
    const some = await made('POST', `/directoryObjects/${bob.id}/checkMemberGroups`, checked, 200);
    expect(some.value).toEqual([outer.id]);

    const again = await graph('POST', `/groups/${inner.id}/members/$ref`, toObject(bob.id));
    expect([again.status, again.json.error.message]).toEqual([
      400,
      "One or more added object references already exist for the following modified properties: 'members'.",
    ]);
    const itself = await graph('POST', `/groups/${inner.id}/members/$ref`, toObject(inner.id));
    expect(itself.status).toBe(400);
    await made('DELETE', `/groups/${inner.id}/members/${bob.id}/$ref`, undefined, 204);
    expect((await graph('DELETE', `/groups/${inner.id}/members/${bob.id}/$ref`)).status).toBe(404);
    expect(await ids(`/users/${bob.id}/transitiveMemberOf`)).toEqual([]);
    await made('DELETE', `/groups/${outer.id}`, undefined, 204);
    expect(await ids(`/groups/${inner.id}/memberOf`)).toEqual([]);
  });

  test('are made with members and owners, or not at all', async () => {
    const eve = await made('POST', '/users', user('eve'));
    const bind = (id: string) => [`https://graph.microsoft.com/v1.0/users/${id}`];
    const team = await made('POST', '/groups', {
      ...group('team'),
      'members@odata.bind': bind(eve.id),
      'owners@odata.bind': bind(eve.id),
    });
    for (const list of ['members', 'owners']) {
      const { value } = await made('GET', `/groups/${team.id}/${list}?$select=id`, undefined, 200);
      expect(value).toEqual([{ '@odata.type': '#microsoft.graph.user', id: eve.id }]);
    }
    const nobody = '00000000-0000-4000-8000-000000000000';
    const lost = await graph('POST', '/groups', { ...group('lost'), 'members@odata.bind': bind(nobody) });
    expect(lost.status).toBe(404);
    expect((await filtered('groups', "displayName eq 'lost'")).json.value).toEqual([]);
    for (const wrong of [
      { mailEnabled: true },
      { securityEnabled: false },
      { groupTypes: ['Unified'] },
      { 'members@odata.bind': ['https://elsewhere.example/x'] },
    ]) {
      expect((await graph('POST', '/groups', { ...group('wrong'), ...wrong })).status).toBe(400);
    }
  });
});

describe('applications and service principals', () => {
  test('as az ad sp create-for-rbac makes them: the application, its secret, then the service principal', async () => {
    const before = await filtered('applications', "startswith(displayName,'rbac')");
    expect(before.json.value).toEqual([]);
    const app = await made('POST', '/applications', { displayName: 'rbac', keyCredentials: [] });
    expect(app).toMatchObject({ displayName: 'rbac', passwordCredentials: [], keyCredentials: [] });
    const secret = await made(
      'POST',
      `/applications/${app.id}/addPassword`,
      {
        passwordCredential: {
          displayName: 'rbac',
          startDateTime: new Date().toISOString().replace(/\.\d+Z/, 'Z'),
          endDateTime: new Date(Date.now() + 300 * 24 * 3600_000).toISOString().replace(/\.\d+Z/, 'Z'),
        },
      },
      200,
    );
    const identity = { clientId: app.appId, clientSecret: secret.secretText };
    // Until there is a service principal the application is nobody.
    await expect(tokenFor(server, { identity })).rejects.toThrow('unauthorized_client');
    expect((await filtered('servicePrincipals', `appId eq '${app.appId}'`)).json.value).toEqual([]);

    const sp = await made('POST', '/servicePrincipals', { appId: app.appId, accountEnabled: true });
    expect(sp).toMatchObject({ appId: app.appId, servicePrincipalType: 'Application', displayName: 'rbac' });
    expect(sp.id).not.toBe(app.id);
    await tokenFor(server, { identity });
    for (const filter of [
      `servicePrincipalNames/any(c:c eq '${app.appId}')`,
      `appId eq '${app.appId}'`,
      "displayName eq 'rbac'",
      // az's own example.
      "displayname eq 'rbac' and serviceprincipaltype eq 'Application'",
    ]) {
      expect((await filtered('servicePrincipals', filter)).json.value).toMatchObject([{ id: sp.id }]);
    }
    const again = await graph('POST', '/servicePrincipals', { appId: app.appId });
    expect([again.status, again.json.error.code]).toEqual([409, 'Request_MultipleObjectsWithSameKeyValue']);

    const shown = await made('GET', `/applications(appId='${app.appId}')`, undefined, 200);
    expect(shown.passwordCredentials).toMatchObject([
      { hint: secret.secretText.slice(0, 3), secretText: null },
    ]);
    expect(JSON.stringify(shown)).not.toContain(secret.secretText);
    await made('POST', `/servicePrincipals/${sp.id}/removePassword`, { keyId: secret.keyId }, 204);
    await expect(tokenFor(server, { identity })).rejects.toThrow('AADSTS7000215');
  });

  test('a service principal that is deleted and made again is another one', async () => {
    const app = await made('POST', '/applications', { displayName: 'phoenix' });
    const first = await made('POST', '/servicePrincipals', { appId: app.appId });
    const { secretText } = await made('POST', `/applications/${app.id}/addPassword`, {}, 200);
    const identity = { clientId: app.appId, clientSecret: secretText };
    await tokenFor(server, { identity });
    const team = await made('POST', '/groups', group('phoenixes'));
    await made('POST', `/groups/${team.id}/members/$ref`, toObject(first.id), 204);

    await made('DELETE', `/servicePrincipals/${first.id}`, undefined, 204);
    await expect(tokenFor(server, { identity })).rejects.toThrow('unauthorized_client');
    expect((await graph('GET', `/directoryObjects/${first.id}`)).status).toBe(404);
    expect((await made('GET', `/applications/${app.id}`, undefined, 200)).appId).toBe(app.appId);

    const second = await made('POST', '/servicePrincipals', { appId: app.appId });
    expect(second.id).not.toBe(first.id);
    await tokenFor(server, { identity });
    expect((await made('GET', `/groups/${team.id}/members`, undefined, 200)).value).toEqual([]);
    await made('DELETE', `/applications/${app.id}`, undefined, 204);
    expect((await graph('GET', `/servicePrincipals/${second.id}`)).status).toBe(404);
  });

  test('what an application declares comes back; what would change a token is refused', async () => {
    const app = await made('POST', '/applications', {
      displayName: 'declared',
      signInAudience: 'AzureADMyOrg',
      identifierUris: ['api://declared'],
      web: { redirectUris: ['https://web.example/cb'], homePageUrl: 'https://web.example' },
      publicClient: { redirectUris: ['http://localhost'] },
      isFallbackPublicClient: true,
      tags: ['one'],
      requiredResourceAccess: [{ resourceAppId: '00000003-0000-0000-c000-000000000000', resourceAccess: [] }],
    });
    expect(app).toMatchObject({
      identifierUris: ['api://declared'],
      isFallbackPublicClient: true,
      publicClient: { redirectUris: ['http://localhost'] },
      web: { redirectUris: ['https://web.example/cb'], homePageUrl: 'https://web.example' },
      tags: ['one'],
    });
    await made('PATCH', `/applications/${app.id}`, { web: { redirectUris: [] }, tags: [] }, 204);
    const changed = await made('GET', `/applications/${app.id}`, undefined, 200);
    expect(changed.web).toMatchObject({ redirectUris: [], homePageUrl: 'https://web.example' });
    expect(changed.publicClient.redirectUris).toEqual(['http://localhost']);
    expect(changed.tags).toEqual([]);
    expect(
      (await filtered('applications', "identifierUris/any(s:s eq 'api://declared')")).json.value,
    ).toHaveLength(1);
    for (const refused of [
      { optionalClaims: { accessToken: [{ name: 'groups' }] } },
      { groupMembershipClaims: 'All' },
      { signInAudience: 'AzureADMultipleOrgs' },
      { web: { implicitGrantSettings: { enableIdTokenIssuance: true } } },
      { identifierUris: ['not a uri'] },
      { publicClient: { redirectUris: ['javascript'] } },
      { web: { redirectUris: ['javascript:alert(1)'] } },
      { info: deep(33) },
      { unknown: deep(33) },
      { web: { redirectUris: ['http://web.example/cb'] } },
      { spa: { redirectUris: ["https://x;script-src'unsafe-inline'/cb"] } },
    ]) {
      expect([refused, (await graph('PATCH', `/applications/${app.id}`, refused)).status]).toEqual([
        refused,
        400,
      ]);
    }
    const whole = await made('GET', `/applications/${app.id}`, undefined, 200);
    expect(
      (await graph('PATCH', `/applications/${app.id}`, { ...whole, displayName: 'renamed' })).status,
    ).toBe(204);
  });

  test('an identifier URI is an audience: of one application, in the form of token that it asks for', async () => {
    const uri = 'https://api.example/orders';
    const app = await made('POST', '/applications', { displayName: 'orders', identifierUris: [uri] });
    const claims = async () => decodeJwt(await tokenFor(server, { resource: uri }));
    // Without a service principal there is nobody whom a token could be for.
    await expect(claims()).rejects.toThrow(/500011/);
    const bad = { appId: app.appId, keyCredentials: [{ key: 'bm90IGEgY2VydGlmaWNhdGU=' }] };
    expect((await graph('POST', '/servicePrincipals', bad)).status).toBe(400);
    expect((await graph('GET', `/servicePrincipals/appId=${app.appId}`)).status).toBe(404);
    const principal = await made('POST', '/servicePrincipals', { appId: app.appId });
    expect(await claims()).toMatchObject({ aud: uri, ver: '1.0', appid: server.clientId });
    await made('PATCH', `/applications/${app.id}`, { api: { requestedAccessTokenVersion: 2 } }, 204);
    expect(await claims()).toMatchObject({
      aud: app.appId,
      ver: '2.0',
      azp: server.clientId,
      iss: `https://login.microsoftonline.com/${server.tenantId}/v2.0`,
    });
    const second = { displayName: 'orders too', identifierUris: ['api://orders-too', uri] };
    const refused = await graph('POST', '/applications', second);
    expect(refused.status).toBe(400);
    expect(refused.json.error.message).toContain('identifierUris already exists');
    await made('PATCH', `/applications/${app.id}`, { identifierUris: [uri, 'api://orders'] }, 204);
    expect(decodeJwt(await tokenFor(server, { resource: 'api://orders' })).aud).toBe(app.appId);
    await made('PATCH', `/servicePrincipals/${principal.id}`, { accountEnabled: false }, 204);
    await expect(claims()).rejects.toThrow(/500011/);
    await made('PATCH', `/servicePrincipals/${principal.id}`, { accountEnabled: true }, 204);
    await made('PATCH', `/applications/${app.id}`, { identifierUris: [] }, 204);
    await expect(claims()).rejects.toThrow(/500011/);
    expect((await graph('POST', '/applications', second)).status).toBe(201);
  });

  test('certificates are those of the list that is sent, and sign in', async () => {
    const app = await made('POST', '/applications', { displayName: 'certified' });
    await made('POST', '/servicePrincipals', { appId: app.appId });
    const [one, two] = [await makeCertificate(Date.now(), 'ec'), await makeCertificate(Date.now(), 'ec')];
    const key = (certificate: TestCertificate) => ({
      key: certificate.der.toString('base64'),
      type: 'AsymmetricX509Cert',
      usage: 'Verify',
    });
    const put = (keyCredentials: unknown) => graph('PATCH', `/applications/${app.id}`, { keyCredentials });
    const shown = async () => (await made('GET', `/applications/${app.id}`, undefined, 200)).keyCredentials;
    expect((await put([key(one)])).status).toBe(204);
    const [first] = await shown();
    expect(first).toMatchObject({
      customKeyIdentifier: one.sha1.toString('hex').toUpperCase(),
      key: null,
      type: 'AsymmetricX509Cert',
    });
    // As az appends: what is there goes back without its key.
    expect((await put([first, key(two)])).status).toBe(204);
    expect((await shown()).map((entry: { keyId: string }) => entry.keyId)).toContain(first.keyId);
    expect(await shown()).toHaveLength(2);
    for (const wrong of [
      [first, { type: 'AsymmetricX509Cert', usage: 'Verify' }],
      [{ ...key(one), type: 'Symmetric' }],
      [{ ...key(one), usage: 'Sign' }],
      [{ ...key(one), key: 'bm90aGluZw==' }],
      [{ ...key(one), startDateTime: '2999-01-01T00:00:00Z' }],
    ]) {
      expect([400, 409]).toContain((await put(wrong)).status);
      expect(await shown()).toHaveLength(2);
    }
    const endpoint = `https://${azureLogin}/${server.tenantId}/oauth2/v2.0/token`;
    const signIn = async (certificate: TestCertificate) => {
      const now = Math.floor(Date.now() / 1000);
      const header = { alg: 'ES256', typ: 'JWT', x5t: certificate.sha1.toString('base64url') };
      const claims = { aud: endpoint, iss: app.appId, sub: app.appId, jti: `${now} ${Math.random()}` };
      const reply = await postForm(server, `/${server.tenantId}/oauth2/v2.0/token`, {
        grant_type: 'client_credentials',
        client_id: app.appId,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await signJwt(header, { ...claims, exp: now + 300 }, certificate.keys.privateKey),
        scope: `${graphResource}/.default`,
      });
      return reply.status;
    };
    expect([await signIn(one), await signIn(two)]).toEqual([200, 200]);
    const kept = (await shown()).filter((entry: { keyId: string }) => entry.keyId !== first.keyId);
    expect((await put(kept)).status).toBe(204);
    expect([await signIn(one), await signIn(two)]).toEqual([401, 200]);
    expect((await put([])).status).toBe(204);
    expect(await signIn(two)).toBe(401);
  });

  test('of two with one name, operators name neither by it', async () => {
    for (let n = 0; n < 2; n += 1) await made('POST', '/applications', { displayName: 'twin' });
    for (const operation of ['identity disable', 'identity delete'])
      await expect(server.control(operation, { identity: 'twin' })).rejects.toMatchObject({
        kind: 'conflict',
      });
    expect((await filtered('applications', "displayName eq 'twin'")).json.value).toHaveLength(2);
  });

  test('what a user was made an owner of is what the user asks for as its own', async () => {
    const ada = await makeUser(server, 'owning');
    const signedIn = await postForm(server, `/${server.tenantId}/oauth2/v2.0/token`, {
      ...{ client_id: azureCli, grant_type: 'password', scope: `${graphResource}/.default` },
      ...{ username: ada.userName, password: ada.password },
    });
    const token = signedIn.json.access_token;
    const owned = async () => {
      const { json } = await graph('GET', '/me/ownedObjects', undefined, { token });
      return json.value.map((each: Record<string, string>) => [each['@odata.type'], each.id]).sort();
    };
    expect(await owned()).toEqual([]);
    const app = await made('POST', '/applications', { displayName: 'owned' });
    const bare = await made('POST', '/applications', { displayName: 'owned, bare' });
    const sp = await made('POST', '/servicePrincipals', { appId: app.appId });
    const circle = await made('POST', '/groups', group('owned-group'));
    for (const path of [`applications/${app.id}`, `applications/${bare.id}`, `groups/${circle.id}`])
      await made('POST', `/${path}/owners/$ref`, toObject(ada.objectId), 204);
    expect(await owned()).toEqual(
      [
        ['#microsoft.graph.application', app.id],
        ['#microsoft.graph.application', bare.id],
        ['#microsoft.graph.group', circle.id],
        ['#microsoft.graph.servicePrincipal', sp.id],
      ].sort(),
    );
    const counted = await graph('GET', '/me/ownedObjects?$count=true&$top=1', undefined, { token });
    expect([counted.json['@odata.count'], '@odata.nextLink' in counted.json]).toEqual([4, true]);
    expect((await graph('GET', '/me/ownedObjects')).status).toBe(400);
  });

  test('owners are kept', async () => {
    const app = await made('POST', '/applications', { displayName: 'owned' });
    const owner = await made('POST', '/users', user('owner'));
    await made('POST', `/applications/${app.id}/owners/$ref`, toObject(owner.id), 204);
    expect((await graph('POST', `/applications/${app.id}/owners/$ref`, toObject(owner.id))).status).toBe(400);
    const list = async () => (await made('GET', `/applications/${app.id}/owners`, undefined, 200)).value;
    expect(await list()).toMatchObject([{ id: owner.id }]);
    await made('DELETE', `/applications/${app.id}/owners/${owner.id}/$ref`, undefined, 204);
    expect(await list()).toEqual([]);
  });

  test('federated credentials are made, changed, found by name, and unique', async () => {
    const app = await made('POST', '/applications', { displayName: 'federated' });
    const at = `/applications/${app.id}/federatedIdentityCredentials`;
    const body = {
      name: 'github',
      issuer: 'https://token.actions.githubusercontent.com',
      subject: 'repo:one/two:ref:refs/heads/main',
      audiences: ['api://AzureADTokenExchange'],
    };
    const first = await made('POST', at, body);
    expect(await made('GET', `${at}/github`, undefined, 200)).toMatchObject({ id: first.id, ...body });
    expect((await graph('POST', at, { ...body, name: 'again' })).status).toBe(409);
    expect((await graph('POST', at, { ...body, subject: 'other' })).status).toBe(409);
    for (const wrong of [
      { audiences: [] },
      { audiences: ['a', 'b'] },
      { issuer: 'no url' },
      { name: 'a b' },
      { claimsMatchingExpression: { value: "claims['sub'] matches '*'", languageVersion: 1 } },
    ]) {
      const reply = await graph('POST', at, { ...body, name: 'next', subject: 'next', ...wrong });
      expect([wrong, reply.status]).toEqual([wrong, 400]);
    }
    await made('PATCH', `${at}/${first.id}`, { subject: 'repo:one/two:environment:x' }, 204);
    const { value } = await made('GET', at, undefined, 200);
    expect(value).toMatchObject([{ id: first.id, subject: 'repo:one/two:environment:x' }]);
    for (let n = 1; n < 20; n += 1) await made('POST', at, { ...body, name: `n${n}`, subject: `s${n}` });
    expect((await graph('POST', at, { ...body, name: 'n20', subject: 's20' })).status).toBe(400);
    await made('DELETE', `${at}/github`, undefined, 204);
    expect((await graph('GET', `${at}/github`)).status).toBe(404);
  });
});

describe('objects', () => {
  test('are found by their ids, with their types, and only those asked for', async () => {
    const someone = await made('POST', '/users', user('someone'));
    const team = await made('POST', '/groups', group('some team'));
    const app = await made('POST', '/applications', { displayName: 'some app' });
    const ids = [someone.id, team.id, app.id, '00000000-0000-4000-8000-000000000000'];
    const types = async (wanted?: string[]) =>
      (
        await made('POST', '/directoryObjects/getByIds', { ids, ...(wanted ? { types: wanted } : {}) }, 200)
      ).value.map((one: Record<string, string>) => one['@odata.type']);
    expect(await types(['user', 'group', 'servicePrincipal', 'directoryObjectPartnerReference'])).toEqual([
      '#microsoft.graph.user',
      '#microsoft.graph.group',
    ]);
    expect(await types()).toContain('#microsoft.graph.application');
    expect(await made('GET', `/directoryObjects/${team.id}`, undefined, 200)).toMatchObject({
      '@odata.type': '#microsoft.graph.group',
      displayName: 'some team',
    });
    // A kind of path shows its own kind only.
    expect((await graph('GET', `/users/${team.id}`)).status).toBe(404);
    expect((await graph('DELETE', `/groups/${someone.id}`)).status).toBe(404);
    expect((await graph('GET', `/directoryObjects/${app.id}`)).status).toBe(404);
  });

  test('the tenant describes itself', async () => {
    const { value } = await made('GET', '/organization', undefined, 200);
    expect(value).toMatchObject([{ id: server.tenantId }]);
    const domains = await made('GET', '/domains', undefined, 200);
    expect(domains.value).toMatchObject([{ isDefault: true, isVerified: true }]);
  });
});

describe('lists', () => {
  test('page without gaps, in the names that the request came in by', async () => {
    for (let n = 0; n < 7; n += 1) await made('POST', '/groups', group(`paged ${n}`));
    const filter = encodeURIComponent("startswith(displayName,'paged')");
    const names: string[] = [];
    let path: string | undefined = `/groups?$filter=${filter}&$top=3&$select=displayName&$count=true`;
    let pages = 0;
    const own = `graph.strongroom.localhost:${server.port}`;
    while (path !== undefined) {
      const reply = await graph('GET', path, undefined, {
        host: own,
        headers: { ConsistencyLevel: 'eventual' },
      });
      expect(reply.status).toBe(200);
      if (pages === 0) expect(reply.json['@odata.count']).toBe(7);
      names.push(...reply.json.value.map((one: { displayName: string }) => one.displayName));
      const next: string | undefined = reply.json['@odata.nextLink'];
      if (next !== undefined) expect(next.startsWith(`https://${own}/v1.0/groups?`)).toBe(true);
      path = next?.slice(`https://${own}/v1.0`.length);
      pages += 1;
    }
    expect([pages, names.toSorted()]).toEqual([3, Array.from({ length: 7 }, (_, n) => `paged ${n}`)]);
  });

  test.each([
    ["foo eq 'x'", 'Request_UnsupportedQuery'],
    ["endswith(displayName,'x')", 'Request_UnsupportedQuery'],
    ["displayName gt 'x'", 'Request_UnsupportedQuery'],
    ["displayName eq 'x", 'Request_BadRequest'],
    ["displayName eq 'x' or", 'Request_BadRequest'],
    ['accountEnabled eq 1', 'Request_BadRequest'],
    ['', 'Request_BadRequest'],
    [`${'not ('.repeat(40)}accountEnabled eq true${')'.repeat(40)}`, 'Request_UnsupportedQuery'],
  ])('refuse the filter %j', async (filter, code) => {
    const reply = await filtered('users', filter);
    expect([reply.status, reply.json.error.code]).toEqual([400, code]);
  });

  test.each(['$search="x"', '$orderby=displayName', '$expand=manager', '$skip=1'])(
    'refuse %s instead of passing it over',
    async (option) => {
      const reply = await graph('GET', `/users?${option}`);
      expect([reply.status, reply.json.error.code]).toEqual([400, 'Request_UnsupportedQuery']);
    },
  );

  test.each(['$top=0', '$top=1000', '$top=x', '$skiptoken=forged'])('refuse %s', async (option) => {
    expect((await graph('GET', `/users?${option}`)).status).toBe(400);
  });
});

test('JSON that is nested as deep as a body can be is refused, and nothing breaks', async () => {
  const levels = 50_000;
  const nested = `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  for (const member of ['info', 'unknown', 'web']) {
    const reply = await send(server, {
      host: 'graph.microsoft.com',
      method: 'POST',
      path: '/v1.0/applications',
      headers: { Authorization: `Bearer ${admin}`, 'Content-Type': 'application/json' },
      body: `{"displayName":"deep","${member}":${nested}}`,
    });
    expect(reply.status, member).toBe(400);
  }
});

test('names with a U+0000 in them are nobody’s', async () => {
  const group = '00000000-0000-4000-8000-000000000000';
  for (const path of [
    'users/a%00b',
    'users/%00',
    'groups/%00',
    'applications/appId=%00',
    'servicePrincipals/x%00',
  ])
    expect((await graph('GET', `/${path}`)).status, path).toBe(404);
  expect((await graph('DELETE', `/groups/${group}/members/%00/$ref`)).status).toBe(404);
  for (const filter of ["id eq 'x\0'", "userPrincipalName eq '\0'", "startswith(displayName,'\0')"])
    expect((await filtered('users', filter)).status, filter).toBe(400);
});

test('other paths and verbs are 400 and 404 in the words of Graph, with the ids of the request', async () => {
  const reply = await graph('GET', '/nothing/here', undefined, {
    headers: { 'client-request-id': 'mine-1' },
  });
  expect([reply.status, reply.json.error.code]).toEqual([400, 'BadRequest']);
  expect(reply.json.error.message).toBe("Resource not found for the segment 'nothing'.");
  expect(reply.headers['client-request-id']).toBe('mine-1');
  expect(reply.json.error.innerError['client-request-id']).toBe('mine-1');
  expect((await graph('PUT', '/users')).status).toBe(400);
  const beta = await send(server, {
    host: 'graph.microsoft.com',
    path: '/beta/organization',
    headers: { Authorization: `Bearer ${admin}` },
  });
  expect(beta.json['@odata.context']).toBe('https://graph.microsoft.com/beta/$metadata#organization');
});

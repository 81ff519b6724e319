/**
 * Applications that prove themselves without a secret: the certificate assertions of each client's making, tokens of
 * issuers outside, and every way of bringing one that is not one's own, not for here, not of now, or not for the first
 * time.
 */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ClientAssertionCredential, ClientCertificateCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import {
  makeIdentity,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
} from '../support/server.ts';
import {
  azureLogin,
  makeCertificate,
  postForm,
  signJwt,
  type TestCertificate,
  vaultResource,
} from '../support/sign-in.ts';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const minute = 60_000;
const day = 24 * 60 * minute;

/** Begins at the machine's own time: the libraries sign by that. */
const clock = manualClock(Date.now());
let server: TestServer;
let certificate: TestCertificate;
let stranger: TestCertificate;
let client: { clientId: string; objectId: string };

beforeAll(async () => {
  server = await startTestServer({ clock });
  certificate = await makeCertificate(clock.now());
  stranger = await makeCertificate(clock.now());
  client = await makeIdentity(server, 'with-certificate', [
    { role: 'Key Vault Secrets Officer', vault: 'dev' },
  ]);
  await server.control('identity add-certificate', {
    identity: client.objectId,
    certificate: certificate.pem,
  });
});
afterAll(() => server.close());

const seconds = () => clock.now() / 1000;
const tokenPath = () => `/${server.tenantId}/oauth2/v2.0/token`;

const goodClaims = () => ({
  aud: `https://${azureLogin}${tokenPath()}`,
  iss: client.clientId,
  sub: client.clientId,
  nbf: Math.floor(seconds()),
  exp: Math.floor(seconds()) + 600,
  jti: randomUUID(),
});

const goodHeader = () => ({ typ: 'JWT', alg: 'RS256', x5t: certificate.sha1.toString('base64url') });

async function assertion(
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  key = certificate.keys.privateKey,
): Promise<string> {
  return signJwt({ ...goodHeader(), ...header }, { ...goodClaims(), ...claims }, key);
}

interface Ask {
  readonly form?: Record<string, string | undefined>;
  readonly path?: string;
  readonly localAddress?: string;
}

function ask(client_assertion: string, { form, path, localAddress }: Ask = {}): Promise<RawResponse> {
  const all = {
    grant_type: 'client_credentials',
    client_id: client.clientId,
    client_assertion_type: assertionType,
    client_assertion,
    scope: `${vaultResource}/.default`,
    ...form,
  };
  return postForm(server, path ?? tokenPath(), all, localAddress === undefined ? {} : { localAddress });
}

async function expectRefused(reply: RawResponse, number: number): Promise<void> {
  expect(reply.status, reply.text).toBe(401);
  expect(reply.json).toMatchObject({ error: 'invalid_client', error_codes: [number] });
}

describe('certificate assertions', () => {
  test('are taken in the form of each client', async () => {
    const sha1 = certificate.sha1.toString('base64url');
    const sha256 = certificate.sha256.toString('base64url');
    const none = undefined;
    const forms: [string, Record<string, unknown>, Record<string, unknown>][] = [
      ['Python', { x5t: `${sha1}=` }, { exp: seconds() + 600.25, iat: seconds() + 0.25, nbf: none }],
      ['Python, new', { alg: 'PS256', x5t: none, 'x5t#S256': `${sha256}=` }, {}],
      ['JavaScript', { alg: 'PS256', x5t: none, 'x5t#S256': sha256 }, {}],
      [
        'JavaScript with its chain',
        { x5t: none, 'x5t#S256': sha256, x5c: [stranger.der.toString('base64')] },
        {},
      ],
      ['Go', { x5t: none, kid: certificate.sha1.toString('base64') }, { iat: none }],
      ['Go, unpadded', { x5t: none, kid: sha1 }, {}],
      ['by a hexadecimal thumbprint', { x5t: none, kid: certificate.sha1.toString('hex').toUpperCase() }, {}],
      ['without a jti', {}, { jti: none }],
    ];
    for (const [what, header, claims] of forms) {
      const reply = await ask(await assertion(claims, header));
      expect(reply.status, `${what}: ${reply.text}`).toBe(200);
      expect(decodeJwt(reply.json.access_token)).toMatchObject({
        appid: client.clientId,
        appidacr: '2',
        idtyp: 'app',
      });
    }
  });

  test('may be made out to the token endpoint or the issuer, under each name of this server', async () => {
    for (const aud of [
      `https://${azureLogin}/${server.tenantId}/oauth2/token`,
      `https://${azureLogin}/${server.tenantId.toUpperCase()}/oauth2/v2.0/token`,
      `https://${azureLogin}/adfs/oauth2/token`,
      `https://${azureLogin}/strongroom.local/oauth2/v2.0/token`,
      `https://${azureLogin}/${server.tenantId}/v2.0`,
      `https://sts.windows.net/${server.tenantId}/`,
      `https://login.strongroom.localhost:${server.port}/${server.tenantId}/oauth2/v2.0/token`,
      `https://login.strongroom.localhost/${server.tenantId}/oauth2/v2.0/token`,
    ]) {
      const reply = await ask(await assertion({ aud }));
      expect(reply.status, aud).toBe(200);
    }
    for (const aud of [
      'https://login.evil.example/oauth2/v2.0/token',
      `https://login.microsoftonline.com.evil.example/${server.tenantId}/oauth2/v2.0/token`,
      `https://evil.example@login.microsoftonline.com/${server.tenantId}/oauth2/v2.0/token`,
      `https://login.microsoftonline.com/${randomUUID()}/oauth2/v2.0/token`,
      `http://login.microsoftonline.com/${server.tenantId}/oauth2/v2.0/token`,
      `https://dev.vault.azure.net/${server.tenantId}/oauth2/v2.0/token`,
      `https://login.microsoftonline.com/${server.tenantId}/oauth2/v2.0/authorize`,
      [goodClaims().aud, 'https://evil.example'],
    ])
      await expectRefused(await ask(await assertion({ aud })), 700023);
  });

  test('signed with an elliptic curve', async () => {
    const ec = await makeCertificate(clock.now(), 'ec');
    await server.control('identity add-certificate', { identity: client.objectId, certificate: ec.pem });
    const header = { alg: 'ES256', x5t: ec.sha1.toString('base64url') };
    expect((await ask(await assertion({}, header, ec.keys.privateKey))).status).toBe(200);
    // The RSA certificate's key is no key for ES256.
    await expectRefused(await ask(await assertion({}, { alg: 'ES256' }, ec.keys.privateKey)), 700027);
  });

  test('by a key that is not the certificate’s, whatever the header says, are refused', async () => {
    const wrong = stranger.keys.privateKey;
    await expectRefused(await ask(await assertion({}, {}, wrong)), 700027);
    const own = { x5t: stranger.sha1.toString('base64url') };
    await expectRefused(await ask(await assertion({}, own, wrong)), 700027);
    const carried = { ...own, x5c: [stranger.der.toString('base64')] };
    await expectRefused(await ask(await assertion({}, carried, wrong)), 700027);
    const jwk = await exportJWK(stranger.keys.publicKey);
    for (const header of [
      { jwk },
      { jku: 'https://evil.example' },
      { x5u: 'https://evil.example' },
      { crit: ['x'] },
    ])
      await expectRefused(await ask(await assertion({}, header, wrong)), 50027);
    const [head, , signature] = (await assertion()).split('.');
    const other = Buffer.from(JSON.stringify({ ...goodClaims(), exp: seconds() + 60 })).toString('base64url');
    await expectRefused(await ask(`${head}.${other}.${signature}`), 700027);
  });

  test('without a signature, or with one by the public key as a secret, are refused', async () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const unsigned = `${encode({ ...goodHeader(), alg: 'none' })}.${encode(goodClaims())}.`;
    await expectRefused(await ask(unsigned), 50027);
    const symmetric = await new SignJWT(goodClaims())
      .setProtectedHeader({ ...goodHeader(), alg: 'HS256' })
      .sign(Buffer.from(certificate.pem));
    await expectRefused(await ask(symmetric), 700027);
    const bare = `${encode({ ...goodHeader(), alg: 'none' })}.${encode(goodClaims())}.AAAA`;
    await expectRefused(await ask(bare), 700027);
  });

  test('that end too far in the future, have ended, or have not begun are refused', async () => {
    const now = seconds();
    for (const claims of [
      { exp: now + 24 * 3600 + 301 },
      { exp: now + 365 * 24 * 3600 },
      { exp: now - 301, nbf: now - 900 },
      { nbf: now + 301 },
      { iat: now + 301 },
    ])
      await expectRefused(await ask(await assertion(claims)), 700024);
    for (const claims of [{ exp: undefined }, { exp: '9999999999' }])
      await expectRefused(await ask(await assertion(claims)), 50027);
    expect((await ask(await assertion({ exp: now + 24 * 3600 }))).status).toBe(200);
  });

  test('of another application are refused', async () => {
    const other = await makeIdentity(server, 'another');
    await expectRefused(await ask(await assertion({ sub: other.clientId })), 700021);
    await expectRefused(await ask(await assertion(), { form: { client_id: other.clientId } }), 70021);
    const asOther = await assertion({ iss: other.clientId, sub: other.clientId });
    await expectRefused(await ask(asOther, { form: { client_id: other.clientId } }), 700027);
    const nobody = randomUUID();
    const asNobody = await assertion({ iss: nobody, sub: nobody });
    await expectRefused(await ask(asNobody, { form: { client_id: nobody } }), 700027);
    await expectRefused(await ask(await assertion({ iss: 5 })), 50027);
  });

  test('replayed: refused from elsewhere at once, for anything; for the same, a moment later', async () => {
    const used = await assertion();
    expect((await ask(used)).status).toBe(200);
    await expectRefused(await ask(used, { localAddress: '127.0.0.2' }), 700027);
    const management = { scope: 'https://management.azure.com/.default' };
    await expectRefused(await ask(used, { form: management, localAddress: '127.0.0.2' }), 700027);
    // MSAL keeps its assertion and asks for several resources with it, for one of them twice at the same moment.
    expect((await ask(used)).status).toBe(200);
    expect((await ask(used, { form: management })).status).toBe(200);
    clock.advance(10_001);
    await expectRefused(await ask(used), 700027);
    await expectRefused(await ask(used, { form: management }), 700027);
    await server.restart();
    await expectRefused(await ask(used), 700027);
    expect((await ask(await assertion())).status).toBe(200);
  });

  test('replayed without a jti are known by themselves', async () => {
    const used = await assertion({ jti: undefined, exp: Math.floor(seconds()) + 500 });
    expect((await ask(used)).status).toBe(200);
    clock.advance(10_001);
    await expectRefused(await ask(used), 700027);
  });

  test('replayed without a jti under another signature of the same are known too', async () => {
    const ec = await makeCertificate(clock.now(), 'ec');
    await server.control('identity add-certificate', { identity: client.objectId, certificate: ec.pem });
    const header = { alg: 'ES256', x5t: ec.sha1.toString('base64url') };
    const used = await assertion({ jti: undefined }, header, ec.keys.privateKey);
    expect((await ask(used)).status).toBe(200);
    // With (r, s), (r, n - s) is a signature as well.
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const [head, claims, signature = ''] = used.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    const other = order - BigInt(`0x${bytes.subarray(32).toString('hex')}`);
    const twin = Buffer.concat([
      bytes.subarray(0, 32),
      Buffer.from(other.toString(16).padStart(64, '0'), 'hex'),
    ]);
    const replayed = `${head}.${claims}.${twin.toString('base64url')}`;
    expect(replayed).not.toBe(used);
    await expectRefused(await ask(replayed, { localAddress: '127.0.0.2' }), 700027);
    clock.advance(10_001);
    await expectRefused(await ask(replayed), 700027);
  });

  test('need their type named, and nothing else that proves the client', async () => {
    const form = { client_assertion_type: undefined };
    expect((await ask(await assertion(), { form })).json).toMatchObject({ error: 'invalid_request' });
    const both = await ask(await assertion(), { form: { client_secret: 'x' } });
    expect(both.json).toMatchObject({ error: 'invalid_request' });
  });

  test('of an application that is disabled are refused, and so is the token that it has', async () => {
    const { access_token: token } = (await ask(await assertion())).json;
    const vault = new SecretClient(
      'https://dev.vault.azure.net',
      {
        getToken: async () => ({ token, expiresOnTimestamp: Date.now() + minute }),
      },
      { proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } },
    );
    await vault.setSecret('while-enabled', 'x');
    await server.control('identity disable', { identity: client.objectId });
    const reply = await ask(await assertion());
    expect(reply.json).toMatchObject({ error: 'unauthorized_client', error_codes: [7000112] });
    await expect(vault.getSecret('while-enabled')).rejects.toMatchObject({ statusCode: 401 });
    await server.control('identity enable', { identity: client.objectId });
    expect((await vault.getSecret('while-enabled')).value).toBe('x');
  });

  test('of a certificate that has expired are refused', async () => {
    const short = await makeCertificate(clock.now(), 'rsa', 1);
    await server.control('identity add-certificate', { identity: client.objectId, certificate: short.pem });
    const header = { x5t: short.sha1.toString('base64url') };
    expect((await ask(await assertion({}, header, short.keys.privateKey))).status).toBe(200);
    clock.jump(day);
    await expectRefused(await ask(await assertion({}, header, short.keys.privateKey)), 7000222);
    clock.jump(-day);
  });

  test('of @azure/identity sign in, and one credential serves several clients and resources', async () => {
    clock.jump(Date.now() - clock.now());
    const path = join(server.folder, 'client.pem');
    await writeFile(path, `${certificate.keyPem}${certificate.pem}`);
    const way = { proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } };
    for (const sendCertificateChain of [false, true]) {
      const options = { ...way, sendCertificateChain };
      const credential = new ClientCertificateCredential(
        server.tenantId,
        client.clientId,
        { certificatePath: path },
        options,
      );
      const vaults = [1, 2].map(() => new SecretClient('https://dev.vault.azure.net', credential, way));
      await Promise.all(vaults.map((vault, index) => vault.setSecret(`by-certificate-${index}`, 'value')));
      const { token } = await credential.getToken('https://management.azure.com/.default');
      expect(decodeJwt(token).aud).toBe('https://management.azure.com');
    }
  });
});

describe('federated assertions', () => {
  const subject = 'system:serviceaccount:shop:web';
  let issuer: { url: string; sign(claims?: object, alg?: string): Promise<string>; close(): void };

  beforeAll(async () => {
    issuer = await startIssuer();
    await server.control('identity add-federated', {
      identity: client.objectId,
      name: 'shop',
      issuer: issuer.url,
      subject,
    });
  });
  afterAll(() => issuer.close());

  async function startIssuer() {
    const { publicKey, privateKey } = await generateKeyPair('RS256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg: 'RS256' };
    const http = createServer((request, response) => {
      const body = request.url === '/keys' ? { keys: [jwk] } : { issuer: url, jwks_uri: `${url}/keys` };
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    return {
      url,
      close: () => void http.close(),
      sign: (claims: object = {}, kid = 'one') => {
        const now = Math.floor(seconds());
        const all = { iss: url, sub: subject, aud: 'api://AzureADTokenExchange', iat: now, exp: now + 3600 };
        return new SignJWT({ ...all, ...claims }).setProtectedHeader({ alg: 'RS256', kid }).sign(privateKey);
      },
    };
  }

  test('are taken from the registered issuer and subject, again and again, with a newline at the end', async () => {
    const token = await issuer.sign();
    for (const text of [token, `${token}\n`, token]) {
      const reply = await ask(text);
      expect(reply.status, reply.text).toBe(200);
      expect(decodeJwt(reply.json.access_token)).toMatchObject({ appid: client.clientId, appidacr: '2' });
    }
  });

  test('of another subject, audience, issuer, time or key are refused', async () => {
    const now = Math.floor(seconds());
    for (const [claims, number] of [
      [{ sub: `${subject}2` }, 70021],
      [{ sub: subject.toUpperCase() }, 70021],
      [{ aud: 'https://kubernetes.default.svc' }, 70021],
      [{ iss: `${issuer.url}/` }, 70021],
      [{ exp: now - 301 }, 700024],
      [{ exp: now + 25 * 3600 }, 700024],
      [{ nbf: now + 301 }, 700024],
    ] as const)
      await expectRefused(await ask(await issuer.sign(claims)), number);
    await expectRefused(await ask(await issuer.sign({}, 'two')), 700027);
    const other = await startIssuer();
    const forged = await other.sign({ iss: issuer.url });
    other.close();
    await expectRefused(await ask(forged), 700027);
  });

  test('of this server’s own issuer are taken while their principal may act', async () => {
    const workload = await makeIdentity(server, 'own-workload');
    await server.control('identity add-federated', {
      identity: client.objectId,
      name: 'own',
      issuer: `https://sts.windows.net/${server.tenantId}/`,
      subject: workload.objectId,
      audience: vaultResource,
    });
    const token = await tokenFor(server, { identity: workload });
    expect((await ask(token)).status).toBe(200);
    await server.control('identity disable', { identity: workload.objectId });
    await expectRefused(await ask(token), 700027);
    await server.control('identity enable', { identity: workload.objectId });
    expect((await ask(token)).status).toBe(200);
    await server.control('identity delete', { identity: workload.objectId });
    await expectRefused(await ask(token), 700027);
  });

  test('are for the application that registered them, not for another', async () => {
    const another = await makeIdentity(server, 'not-federated');
    await expectRefused(await ask(await issuer.sign(), { form: { client_id: another.clientId } }), 70021);
  });

  test('of @azure/identity sign in', async () => {
    clock.jump(Date.now() - clock.now());
    const way = { proxyOptions: { host: 'http://127.0.0.1', port: server.localPort } };
    const credential = new ClientAssertionCredential(
      server.tenantId,
      client.clientId,
      () => issuer.sign(),
      way,
    );
    const vault = new SecretClient('https://dev.vault.azure.net', credential, way);
    expect((await vault.setSecret('by-federation', 'value')).value).toBe('value');
  });
});

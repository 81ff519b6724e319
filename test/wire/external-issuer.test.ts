/**
 * Tokens of an issuer outside the server: found by discovery on loopback, mapped to a principal that roles are given
 * to, and refused and audited whenever anything about them is not exactly what was agreed.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, type GenerateKeyPairResult, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { subjectGuid } from '../../src/identity/token-claims.ts';
import { auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import { startTestServer, type TestServer, vaultCaller } from '../support/server.ts';

const minute = 60_000;
const hour = 60 * minute;
const audience = 'api://vaults-of-this-house';
const stranger = 'system:serviceaccount:default:app';

interface Key extends GenerateKeyPairResult {
  readonly kid: string;
  readonly jwk: JWK;
}

async function makeKey(kid: string, alg = 'ES256'): Promise<Key> {
  const pair = await generateKeyPair(alg, { extractable: true });
  return { ...pair, kid, jwk: { ...(await exportJWK(pair.publicKey)), kid, alg, use: 'sig' } };
}

/** An issuer on loopback that publishes what the tests say, or is down. */
const issuer = { keys: [] as JWK[], isDown: false, requests: [] as string[], url: '' };
let issuerServer: Server;
const clock = manualClock(Date.now());
let server: TestServer;
let key: Key;
/** The subject that has a role: a principal of the directory, named by its object id. */
let subject: string;

beforeAll(async () => {
  issuerServer = createServer((request, response) => {
    issuer.requests.push(request.url ?? '');
    if (issuer.isDown) {
      response.writeHead(503).end();
      return;
    }
    const body =
      request.url === '/.well-known/openid-configuration'
        ? { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }
        : { keys: issuer.keys };
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => issuerServer.listen(0, '127.0.0.1', resolve));
  issuer.url = `http://127.0.0.1:${(issuerServer.address() as AddressInfo).port}`;
  key = await makeKey('first');
  issuer.keys = [key.jwk];

  // The server's tenant is made at its first start, and the setting needs its id.
  server = await startTestServer({ clock });
  const folder = server.folder;
  await server.service.close();
  server = await startTestServer({
    clock,
    settings: {
      data: folder,
      trustedIssuers: [{ issuer: issuer.url, tenantId: server.tenantId, audiences: [audience] }],
    },
  });
  subject = (await server.control<{ objectId: string }>('identity create', { name: 'from outside' }))
    .objectId;
  await server.control('identity grant', {
    identity: subject,
    role: 'Key Vault Administrator',
    vault: 'dev',
  });
});
afterAll(async () => {
  await server.close();
  issuerServer.closeAllConnections();
  await new Promise((resolve) => issuerServer.close(resolve));
});
beforeEach(() => {
  issuer.isDown = false;
});

interface Changes {
  readonly [claim: string]: unknown;
}

interface Signer {
  readonly by?: { readonly privateKey: Parameters<SignJWT['sign']>[0]; readonly kid: string };
  readonly header?: Readonly<Record<string, unknown>>;
}

/** A good token of the issuer, but for the changes; a claim that is undefined is left out. */
function token(changes: Changes = {}, { by = key, header = {} }: Signer = {}): Promise<string> {
  const now = Math.floor(clock.now() / 1000);
  const claims = {
    iss: issuer.url,
    aud: audience,
    sub: subject,
    iat: now,
    nbf: now,
    exp: now + 3600,
    ...changes,
  };
  const given = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
  return new SignJWT(given)
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: by.kid, ...header })
    .sign(by.privateKey);
}

const read = (bearer: string) => vaultCaller(server, bearer)('GET', '/secrets');

test('a token opens the vault for the subject that has a role, and for no other', async () => {
  const records = await auditedDuring(server, async () => {
    const opened = await vaultCaller(server, await token())('PUT', '/secrets/from-outside', { value: 'x' });
    expect(opened.status).toBe(200);
    expect((await read(await token({ sub: stranger }))).status).toBe(403);
  });
  expect(records.map((record) => Object.values(record.identity.claim))).toEqual([
    expect.arrayContaining([subject, server.tenantId]),
    expect.arrayContaining([subjectGuid(issuer.url, stranger)]),
  ]);
});

test('a list of audiences, the API’s own audience and the tenant’s id are accepted', async () => {
  for (const changes of [
    { aud: ['https://elsewhere.example', audience] },
    { aud: 'https://vault.azure.net' },
    { tid: server.tenantId },
    { nbf: undefined, iat: undefined },
  ]) {
    expect((await read(await token(changes))).status, JSON.stringify(changes)).toBe(200);
  }
});

const elsewhere = '11111111-1111-1111-1111-111111111111';
const seconds = (ms: number) => Math.floor((clock.now() + ms) / 1000);
const refusedClaims: [string, () => Changes][] = [
  ['another audience', () => ({ aud: 'api://another' })],
  ['an audience that begins like the API’s', () => ({ aud: 'https://vault.azure.net.evil.example' })],
  ['no audience', () => ({ aud: undefined })],
  ['another tenant', () => ({ tid: elsewhere })],
  ['another issuer', () => ({ iss: 'https://issuer.example' })],
  ['an issuer that differs by a slash', () => ({ iss: `${issuer.url}/` })],
  ['the name of the server itself', () => ({ iss: `https://sts.windows.net/${server.tenantId}/` })],
  ['no issuer', () => ({ iss: undefined })],
  ['no subject', () => ({ sub: undefined })],
  ['a subject that is no text', () => ({ sub: { $ne: '' } })],
  ['no end', () => ({ exp: undefined })],
  ['an end that has passed', () => ({ exp: seconds(-6 * minute) })],
  ['a beginning to come', () => ({ nbf: seconds(6 * minute) })],
  ['an issue to come', () => ({ iat: seconds(6 * minute) })],
  ['an end too far away', () => ({ exp: seconds(48 * hour) })],
  ['more text than anyone reads', () => ({ padding: 'x'.repeat(16 * 1024) })],
];

test.each(refusedClaims)('a token with %s is refused and audited', async (_what, changes) => {
  const bearer = await token(changes());
  const records = await auditedDuring(server, async () => {
    const reply = await read(bearer);
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toContain(server.tenantId);
    // Which issuers are trusted is not for strangers to learn.
    expect(reply.text).not.toContain(audience);
  });
  expect(records).toMatchObject([
    { operationName: 'Authentication', resultType: 'Unauthorized', identity: { claim: {} } },
  ]);
  expect(JSON.stringify(records)).not.toContain(bearer);
});

test('a signature by another key, in another way or by none is refused', async () => {
  const forger = await makeKey('first');
  const rsa = await makeKey('first', 'RS256');
  const secret = new TextEncoder().encode(await exportSPKI(key.publicKey));
  const good = await token();
  const [, payload = '', signature = ''] = good.split('.');
  const header = (members: object) => Buffer.from(JSON.stringify(members)).toString('base64url');
  const forged = [
    await token({}, { by: forger }),
    await token({}, { by: rsa, header: { alg: 'RS256' } }),
    // The public key as an HMAC secret.
    await token({}, { by: { privateKey: secret, kid: 'first' }, header: { alg: 'HS256' } }),
    `${header({ alg: 'none', typ: 'JWT', kid: 'first' })}.${payload}.`,
    `${header({ alg: 'none', typ: 'JWT', kid: 'first' })}.${payload}.${signature}`,
    // Keys that the token itself brings or points to.
    await token({}, { by: { ...forger, kid: 'other' }, header: { jwk: forger.jwk } }),
    await token({}, { by: forger, header: { jku: `${issuer.url}/other-keys` } }),
    await token({}, { header: { kid: undefined } }),
    await token({}, { header: { typ: 'dpop+jwt' } }),
    `${good.split('.')[0]}.${header({ iss: issuer.url, aud: audience, sub: subject, exp: seconds(hour) })}.${signature}`,
    good.slice(0, -4),
  ];
  for (const [index, bearer] of forged.entries()) {
    expect((await read(bearer)).status, String(index)).toBe(401);
  }
  expect(issuer.requests).not.toContain('/other-keys');
});

test('a new key of the issuer is picked up, and unknown ones cause no flood of requests', async () => {
  clock.advance(minute);
  const next = await makeKey('second');
  issuer.keys = [key.jwk, next.jwk];
  expect((await read(await token({}, { by: next }))).status).toBe(200);
  const before = issuer.requests.length;
  const unknown = await makeKey('unknown');
  for (let count = 0; count < 5; count += 1) {
    const by = { privateKey: unknown.privateKey, kid: `unknown-${count}` };
    expect((await read(await token({}, { by }))).status).toBe(401);
  }
  expect(issuer.requests.length).toBe(before);
});

test('a key that the issuer has withdrawn is refused after the next look', async () => {
  const withdrawn = await makeKey('withdrawn');
  issuer.keys = [key.jwk, withdrawn.jwk];
  clock.advance(minute);
  const bearer = await token({ exp: seconds(3 * hour) }, { by: withdrawn });
  expect((await read(bearer)).status).toBe(200);
  issuer.keys = [key.jwk];
  clock.advance(11 * minute);
  // The first look goes on with what is known while it asks anew.
  await expect.poll(async () => (await read(bearer)).status).toBe(401);
});

test('while the issuer is down, known keys go on and unknown ones are refused', async () => {
  expect((await read(await token())).status).toBe(200);
  issuer.isDown = true;
  clock.advance(2 * hour);
  expect((await read(await token())).status).toBe(200);
  const next = await makeKey('made-while-down');
  issuer.keys = [key.jwk, next.jwk];
  expect((await read(await token({}, { by: next }))).status).toBe(401);
  issuer.isDown = false;
  clock.advance(minute);
  expect((await read(await token({}, { by: next }))).status).toBe(200);
});

test('an issuer that is not safe to ask stops the start', async () => {
  const settings = (row: object) => ({
    trustedIssuers: [{ issuer: 'https://issuer.example', tenantId: elsewhere, ...row }],
  });
  for (const row of [
    { issuer: 'http://issuer.example' },
    { jwksUri: 'http://127.0.0.1.evil.example/keys' },
    { issuer: 'https://user:password@issuer.example' },
    { algorithms: ['HS256'] },
    { algorithms: ['none'] },
    { tenantId: 'not-a-guid' },
    { unknown: true },
  ]) {
    await expect(startTestServer({ settings: settings(row) }), JSON.stringify(row)).rejects.toThrow();
  }
});

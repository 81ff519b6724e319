/**
 * Proves that nothing of a key is lost or changed on its way through the server: what comes in as a JWK of any shape is
 * shown and used bit for bit, and a backup brings back every version, id, attribute, tag and the rotation policy, what
 * was signed before is verified after and what was encrypted before is decrypted after, in this vault and in another.
 */
import { constants, createHash, type KeyObject, publicEncrypt, randomBytes, verify } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Connection, connectTo } from '../support/cluster-client.ts';
import { type OddKey, oddEcKeys, oddMlDsaKeys, oddRsaKeys, oddSymmetricKeys } from '../support/odd-keys.ts';
import { startTestServer, type TestServer, tokenFor } from '../support/server.ts';
import { makeVault } from '../support/vault-rest.ts';

let server: TestServer;
let vaults: readonly [here: Connection, there: Connection];
beforeAll(async () => {
  server = await startTestServer();
  await makeVault(server, 'there', { sku: 'premium' });
  const headers = { Authorization: `Bearer ${await tokenFor(server)}` };
  const vault = (name: string) => connectTo(server, `${name}.vault.azure.net`, headers);
  vaults = [vault('dev'), vault('there')];
});
afterAll(async () => {
  for (const vault of vaults) vault.close();
  await server.close();
});

const apiVersion = '?api-version=2026-05-01-preview';

/** The reply's JSON, if it is a success. */
async function ask(vault: Connection, method: string, path: string, body?: object) {
  const reply = await vault.send(method, `${path}${apiVersion}`, body);
  expect([reply.status, path, reply.json.error]).toEqual([
    method === 'DELETE' && reply.status === 204 ? 204 : 200,
    path,
    undefined,
  ]);
  return reply.json;
}

const odd = [...oddEcKeys(), ...oddRsaKeys(), ...oddSymmetricKeys(), ...oddMlDsaKeys()];

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const tagName = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  fc.constantFrom('__proto__', 'constructor', '1'),
);
const attributes = fc.record(
  {
    nbf: fc.integer({ min: 0, max: 1_000_000_000 }),
    exp: fc.integer({ min: 4_000_000_000, max: 253_402_300_799 }),
  },
  { requiredKeys: [] },
);
const tags = fc.uniqueArray(fc.tuple(tagName, text), { maxLength: 5, selector: ([name]) => name });
/** By chance, the same each time. */
const chosen = fc.sample(fc.record({ attributes, tags, rotations: fc.nat(2) }), {
  numRuns: odd.length,
  seed: 76,
});

const algorithms: Readonly<Record<string, { alg: string; hash: string }>> = {
  'P-256': { alg: 'ES256', hash: 'sha256' },
  'P-384': { alg: 'ES384', hash: 'sha384' },
  'P-521': { alg: 'ES512', hash: 'sha512' },
  'P-256K': { alg: 'ES256K', hash: 'sha256' },
  RSA: { alg: 'PS256', hash: 'sha256' },
};

/** What was done with a version, to be checked again. */
interface Done {
  readonly path: string;
  readonly verified: object | undefined;
  readonly decrypted: readonly (readonly [body: object, plaintext: string])[];
}

/** Signs and encrypts with a version; what can be checked outside of the server is. */
async function use(vault: Connection, path: string, key: OddKey): Promise<Done> {
  const message = randomBytes(33);
  const { kty = '', crv, alg: own } = key.shown;
  const { alg, hash } = algorithms[crv ?? kty] ?? { alg: own ?? 'HS256', hash: undefined };
  const digest = (hash === undefined ? message : createHash(hash).update(message).digest()).toString(
    'base64url',
  );
  const isSymmetric = kty === 'oct-HSM';
  const { value } = await ask(vault, 'POST', `${path}/sign`, { alg, value: digest });
  if (key.publicKey !== undefined) expect(verifies(key.publicKey, hash, [message, value])).toBe(true);
  const plaintext = randomBytes(32);
  const decrypted: [object, string][] = [];
  if (isSymmetric) {
    const bits = 8 * Buffer.from(key.jwk.k ?? '', 'base64url').length;
    for (const wrapping of [`A${bits}GCM`, `A${bits}CBCPAD`]) {
      const body = { alg: wrapping, value: plaintext.toString('base64url') };
      const { kid: _kid, ...encrypted } = await ask(vault, 'POST', `${path}/encrypt`, body);
      decrypted.push([{ alg: wrapping, ...encrypted }, body.value]);
    }
  }
  if (kty === 'RSA' && key.publicKey !== undefined) {
    const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    const ciphertext = publicEncrypt({ key: key.publicKey, ...padding }, plaintext).toString('base64url');
    decrypted.push([{ alg: 'RSA-OAEP-256', value: ciphertext }, plaintext.toString('base64url')]);
  }
  return { path, verified: { alg, digest, value }, decrypted };
}

function verifies(key: KeyObject, hash: string | undefined, [message, signature]: [Buffer, string]): boolean {
  const options =
    key.asymmetricKeyType === 'rsa'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { dsaEncoding: 'ieee-p1363' as const };
  return verify(hash, message, { key, ...options }, Buffer.from(signature, 'base64url'));
}

async function check(vault: Connection, { path, verified, decrypted }: Done): Promise<void> {
  expect(await ask(vault, 'POST', `${path}/verify`, verified)).toEqual({ value: true });
  for (const [body, plaintext] of decrypted)
    expect((await ask(vault, 'POST', `${path}/decrypt`, body)).value).toBe(plaintext);
}

/** All that a vault says of a key, with the vault's name taken out. */
async function told(vault: Connection, name: string): Promise<string[]> {
  const listed = await ask(vault, 'GET', `/keys/${name}/versions`);
  const paths: string[] = listed.value.map((item: { kid: string }) => new URL(item.kid).pathname);
  const all = [`/keys/${name}`, `/keys/${name}/versions`, `/keys/${name}/rotationpolicy`, ...paths];
  const replies = [];
  for (const path of all) replies.push(JSON.stringify(await ask(vault, 'GET', path)));
  return replies.map((reply) => reply.replaceAll(/https:\/\/[^/]+\//g, ''));
}

test.each(odd.map((key, index) => ({ ...key, index })))('$label', async ({ index, ...key }) => {
  const name = `odd-${index}`;
  const [here, there] = vaults;
  const choice = chosen[index];
  const body = { attributes: choice?.attributes, tags: Object.fromEntries(choice?.tags ?? []) };
  const operations = [
    'sign',
    'verify',
    ...(key.shown.kty === 'RSA' || key.jwk.k ? ['encrypt', 'decrypt'] : []),
  ];
  const made = await ask(here, 'PUT', `/keys/${name}`, { key: { ...key.jwk, key_ops: operations }, ...body });
  const { kid, key_ops, ...shown } = made.key;
  expect([shown, key_ops]).toEqual([key.shown, operations]);
  expect(JSON.stringify(made.tags)).toBe(JSON.stringify(body.tags));

  const notify = { trigger: { timeBeforeExpiry: 'P1M' }, action: { type: 'Notify' } };
  const policy = { lifetimeActions: [notify], attributes: { expiryTime: 'P1Y10D' } };
  await ask(here, 'PUT', `/keys/${name}/rotationpolicy`, policy);
  // A version of RSA takes its time.
  const rotations = key.shown.kty === 'RSA' ? 0 : (choice?.rotations ?? 0);
  for (let n = 0; n < rotations; n += 1) await ask(here, 'POST', `/keys/${name}/rotate`, {});
  const first = new URL(kid).pathname;
  if (rotations > 0)
    await ask(here, 'PATCH', `/keys/${name}`, { attributes: { enabled: false }, tags: { current: '' } });
  const done = [await use(here, first, key), await use(here, first, key)];

  const before = await told(here, name);
  const { value } = await ask(here, 'POST', `/keys/${name}/backup`, {});
  await ask(here, 'DELETE', `/keys/${name}`);
  await ask(here, 'DELETE', `/deletedkeys/${name}`);
  for (const vault of [here, there]) {
    await ask(vault, 'POST', '/keys/restore', { value });
    expect(await told(vault, name)).toEqual(before);
    for (const each of done) await check(vault, each);
    await check(vault, await use(vault, first, key));
  }
  // What the copy makes, the original knows for its own.
  await check(here, await use(there, first, key));
});

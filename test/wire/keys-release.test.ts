/**
 * Proves that an attested environment gets the key that it asked for and can use it, whatever its kind and however it
 * is wrapped; that the reply says what was asked, verifiably; and what a key's state, version and way into the vault
 * have to do with it.
 */
import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  sign,
  X509Certificate,
} from 'node:crypto';
import type { KeyClient } from '@azure/keyvault-keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { manualClock } from '../support/identity.ts';
import { cryptographyClient, keyClient, outsideKey, sdkJwk } from '../support/key-clients.ts';
import {
  badParameter,
  condition,
  exportable,
  goodClaims,
  notVerified,
  openRelease,
  type ReleaseServer,
  said,
  startReleaseServer,
} from '../support/key-release.ts';
import { makeIdentity, tokenFor, vaultCaller } from '../support/server.ts';
import { errorBody, keyNotFound, keyVersionOf, type VaultCaller } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const day = 86_400_000;
const vaultUrl = 'https://dev.vault.azure.net';
const transports = ['CKM_RSA_AES_KEY_WRAP', 'RSA_AES_KEY_WRAP_256', 'RSA_AES_KEY_WRAP_384'] as const;

let it: ReleaseServer;
let client: KeyClient;
let call: VaultCaller;
beforeAll(async () => {
  it = await startReleaseServer({ clock });
  client = keyClient(it.server);
  call = it.call;
});
afterAll(() => it.close());

const mint = (claims: object = goodClaims) => it.authority.mint(clock.now(), { ...claims });
const data = () => it.authority.policy(condition);
const sdkPolicy = (immutable = false) => ({ encodedPolicy: Buffer.from(data(), 'base64url'), immutable });
const digest = createHash('sha256').update('what is signed').digest();
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

/** A private key as PKCS#8 that is the other half of what the vault shows. */
function privateHalf(pkcs8: Buffer, jwk: Record<string, string>): KeyObject {
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const { kty = '', kid: _, key_hsm: __, ...members } = jwk;
  const crv = members.crv === 'P-256K' ? { crv: 'secp256k1' } : {};
  const shown = { ...members, ...crv, kty: kty.replace('-HSM', '') };
  expect(createPublicKey(key).equals(createPublicKey({ key: shown, format: 'jwk' }))).toBe(true);
  return key;
}

const curves: [crv: string, alg: string][] = [
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
  ['P-256K', 'ES256K'],
];
const digestOf = (alg: string) =>
  createHash(`sha${alg.replace(/\D+$/, '').slice(2)}`)
    .update('what is signed')
    .digest();

describe('through the official client', () => {
  test.each(curves)(
    'an EC key on %s, wrapped in every way, signs what the vault verifies',
    async (curve, alg) => {
      const name = `ec-${curve}`;
      await client.createEcKey(name, { curve, hsm: true, exportable: true, releasePolicy: sdkPolicy() });
      const { client: vault } = cryptographyClient(it.server, `${vaultUrl}/keys/${name}`);
      for (const algorithm of transports) {
        const { value } = await client.releaseKey(name, mint(), { algorithm });
        const { key, keyHsm, payload } = openRelease(it, value);
        expect(keyHsm.header).toEqual({ kid: it.authority.environment.jwk.kid, alg: 'dir', enc: algorithm });
        const privateKey = privateHalf(key, payload.response.key.key as Record<string, string>);
        const input = Buffer.from('what is signed');
        const hash = `sha${alg.slice(2, 5)}`;
        const signature = sign(hash, input, { key: privateKey, dsaEncoding: 'ieee-p1363' });
        expect((await vault.verify(alg, digestOf(alg), signature)).result).toBe(true);
      }
    },
  );

  test('an RSA key decrypts what the vault encrypts, and signs what it verifies', async () => {
    await client.createRsaKey('rsa', { hsm: true, exportable: true, releasePolicy: sdkPolicy() });
    const { client: vault } = cryptographyClient(it.server, `${vaultUrl}/keys/rsa`);
    const { result: encrypted } = await vault.encrypt({ algorithm: 'RSA-OAEP-256', plaintext: digest });
    for (const algorithm of transports) {
      const { value } = await client.releaseKey('rsa', mint(), { algorithm });
      const { key, payload } = openRelease(it, value);
      const privateKey = privateHalf(key, payload.response.key.key as Record<string, string>);
      expect(privateDecrypt({ key: privateKey, oaepHash: 'sha256' }, encrypted).equals(digest)).toBe(true);
      const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
      const signature = sign('sha256', Buffer.from('what is signed'), { key: privateKey, ...padding });
      expect((await vault.verify('PS256', digest, signature)).result).toBe(true);
    }
  });

  test.each([
    [128, 'A128KW'],
    [192, 'A192KW'],
    [256, 'A256KW'],
  ] as const)('a symmetric key of %d bits unwraps what the vault wraps', async (keySize, alg) => {
    const name = `oct-${keySize}`;
    await client.createOctKey(name, { keySize, hsm: true, exportable: true, releasePolicy: sdkPolicy() });
    const { client: vault } = cryptographyClient(it.server, `${vaultUrl}/keys/${name}`);
    const { result: wrapped } = await vault.wrapKey(alg, digest);
    for (const algorithm of transports) {
      const { value } = await client.releaseKey(name, mint(), { algorithm });
      const { key, payload } = openRelease(it, value);
      expect(key).toHaveLength(keySize / 8);
      expect(Object.keys(payload.response.key.key)).toEqual(['kid', 'kty', 'key_ops', 'key_hsm']);
      // RFC 3394 §2.2.3.1: the initial value.
      const unwrap = createDecipheriv(`id-aes${keySize}-wrap`, key, Buffer.alloc(8, 0xa6));
      expect(Buffer.concat([unwrap.update(wrapped), unwrap.final()]).equals(digest)).toBe(true);
    }
  });

  test('an ML-DSA key signs what the vault verifies', async () => {
    const preview = 'api-version=2026-05-01-preview';
    const body = { ...exportable(data()), kty: 'AKP-HSM', alg: 'ML-DSA-44' };
    const made = (await call('POST', `/keys/akp/create?${preview}`, body)).json;
    expect(made.key).toMatchObject({ kty: 'AKP-HSM', alg: 'ML-DSA-44' });
    const { key, payload } = openRelease(it, (await client.releaseKey('akp', mint())).value);
    expect(payload.response.key.key.pub).toBe(made.key.pub);
    const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' });
    const signature = base64url(sign(null, digest, privateKey));
    const asked = { alg: 'ML-DSA-44', digest: base64url(digest), value: signature };
    expect((await call('POST', `/keys/akp/verify?${preview}`, asked)).json).toEqual({ value: true });
  });

  test('a key that was taken in comes out as it went in', async () => {
    const { key, jwk } = outsideKey({ curve: 'P-384' });
    const options = { hardwareProtected: true, exportable: true, releasePolicy: sdkPolicy(true) };
    const imported = await client.importKey('taken-in', sdkJwk(jwk), options);
    expect(imported.properties).toMatchObject({ exportable: true, releasePolicy: { immutable: true } });
    const opened = openRelease(it, (await client.releaseKey('taken-in', mint())).value);
    expect(createPrivateKey({ key: opened.key, format: 'der', type: 'pkcs8' }).equals(key)).toBe(true);
  });

  test('a version that is named, and the newest where none is; each is another key', async () => {
    const make = () =>
      client.createEcKey('versions', { hsm: true, exportable: true, releasePolicy: sdkPolicy() });
    const versions = [await make(), await make()].map(({ properties }) => `${properties.version}`);
    const kids: unknown[] = [];
    const released = new Set<string>();
    for (const version of [versions[0], versions[1], undefined]) {
      const { value } = await client.releaseKey('versions', mint(), version === undefined ? {} : { version });
      const { payload, key } = openRelease(it, value);
      kids.push([payload.request.kid, payload.response.key.key.kid]);
      released.add(key.toString('hex'));
    }
    const kid = `${vaultUrl}/keys/versions`;
    expect(kids).toEqual([
      [`${kid}/${versions[0]}`, `${kid}/${versions[0]}`],
      [`${kid}/${versions[1]}`, `${kid}/${versions[1]}`],
      [kid, `${kid}/${versions[1]}`],
    ]);
    expect(released.size).toBe(2);
  });

  test('backup and restore keep that it may leave, under which policy, and the key itself', async () => {
    const options = { hsm: true, exportable: true, releasePolicy: sdkPolicy(true) };
    const made = await client.createEcKey('kept', options);
    const before = openRelease(it, (await client.releaseKey('kept', mint())).value);
    const backup = await client.backupKey('kept');
    await (await client.beginDeleteKey('kept')).pollUntilDone();
    await client.purgeDeletedKey('kept');
    expect(await client.restoreKeyBackup(backup ?? new Uint8Array())).toEqual(made);
    const after = openRelease(it, (await client.releaseKey('kept', mint())).value);
    expect(after.key.equals(before.key)).toBe(true);
    expect(said(await call('POST', '/keys/kept/release', { target: mint({}) }))).toEqual([403, notVerified]);
    const changed = { release_policy: { data: it.authority.policy({ claim: 'other', equals: 1 }) } };
    expect(said(await call('PATCH', '/keys/kept', changed))).toEqual(
      badParameter('AKV.SKR.1020: Immutable Key Release Policy cannot be modified.'),
    );
  });
});

describe('the reply', () => {
  let made: Record<string, Record<string, unknown>>;
  beforeAll(async () => {
    const body = { ...exportable(data(), { immutable: true }), crv: 'P-256K' };
    made = (await call('POST', '/keys/shape/create', body)).json;
  });

  test('is one member, a compact JWS with the header and chain of a certificate for the vault', async () => {
    const reply = await call('POST', '/keys/shape/release', { target: mint() });
    expect([reply.status, Object.keys(reply.json)]).toEqual([200, ['value']]);
    const { header } = openRelease(it, reply.json.value);
    const [leaf = '', root = ''] = header.x5c as string[];
    const certificate = new X509Certificate(Buffer.from(leaf, 'base64'));
    const thumbprint = createHash('sha1').update(certificate.raw).digest();
    expect(Object.entries(header)).toEqual([
      ['alg', 'RS256'],
      ['kid', thumbprint.toString('hex').toUpperCase()],
      ['x5t', base64url(thumbprint)],
      ['typ', 'JWT'],
      ['x5t#S256', base64url(createHash('sha256').update(certificate.raw).digest())],
      ['x5c', [leaf, root]],
    ]);
    expect(certificate.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(new X509Certificate(Buffer.from(root, 'base64')).toString()).toBe(
      new X509Certificate(it.server.ca).toString(),
    );
  });

  test.each([
    ['7.3', ['exportable']],
    ['7.4', ['exportable']],
    ['7.5', ['exportable', 'hsmPlatform']],
    ['7.6', ['exportable', 'hsmPlatform']],
    ['2025-07-01', ['exportable', 'hsmPlatform']],
    ['2026-04-01', ['exportable', 'hsmPlatform']],
  ])('of api-version %s says to the letter what was asked and what the key is', async (version, since) => {
    const path = `/keys/shape/release?api-version=${version}`;
    const { payload } = openRelease(it, (await call('POST', path, { target: mint() })).json.value);
    const { kid, kty, key_ops, crv, x, y } = made.key ?? {};
    const { enabled, created, updated, recoveryLevel, recoverableDays, ...newer } = made.attributes ?? {};
    const expected = {
      request: { 'api-version': version, enc: 'CKM_RSA_AES_KEY_WRAP', kid: `${vaultUrl}/keys/shape` },
      response: {
        key: {
          key: { kid, kty, key_ops, crv, x, y, key_hsm: payload.response.key.key.key_hsm },
          attributes: {
            ...{ enabled, created, updated, recoveryLevel, recoverableDays },
            ...Object.fromEntries(since.map((name) => [name, newer[name]])),
          },
          release_policy: { data: made.release_policy?.data, immutable: true },
        },
      },
    };
    expect(JSON.stringify(payload)).toBe(JSON.stringify(expected));
    expect(payload.response.key.attributes.exportable).toBe(true);
  });

  test('wraps the key for the environment, in the envelope that clients know', async () => {
    const { payload, keyHsm } = openRelease(it, (await client.releaseKey('shape', mint())).value);
    const header = { kid: it.authority.environment.jwk.kid, alg: 'dir', enc: 'CKM_RSA_AES_KEY_WRAP' };
    const { ciphertext } = keyHsm;
    const envelope = JSON.stringify({ schema_version: '1.0', header, ciphertext });
    expect(payload.response.key.key.key_hsm).toBe(base64url(Buffer.from(envelope)));
    // Another ephemeral key each time: nothing tells two releases of one key.
    const again = openRelease(it, (await client.releaseKey('shape', mint())).value);
    expect(again.keyHsm.ciphertext.slice(0, 300)).not.toBe(ciphertext.slice(0, 300));
  });

  test.each([
    ['that is short', '7f1c'],
    ['that JSON has to escape', 'ü 🗝 "\\ \n'],
    ['as long as may be', 'x'.repeat(1024)],
  ])('gives back a nonce %s', async (_, nonce) => {
    const { payload } = openRelease(it, (await client.releaseKey('shape', mint(), { nonce })).value);
    expect(Object.entries(payload.request)).toEqual([
      ['api-version', expect.any(String)],
      ['enc', 'CKM_RSA_AES_KEY_WRAP'],
      ['kid', `${vaultUrl}/keys/shape`],
      ['nonce', nonce],
    ]);
  });

  test('is not made for a request that is malformed', async () => {
    const property = (name: string) => expect.stringContaining(`Property ${name} has invalid value`);
    const bodies: [body: object, property: string][] = [
      [{}, 'target'],
      [{ target: '' }, 'target'],
      [{ target: 7 }, 'target'],
      [{ target: mint(), nonce: 'x'.repeat(1025) }, 'nonce'],
      [{ target: mint(), nonce: 7 }, 'nonce'],
      [{ target: mint(), enc: 'RSA-OAEP' }, 'enc'],
      [{ target: mint(), enc: '' }, 'enc'],
    ];
    for (const [body, name] of bodies) {
      const { status, json } = await call('POST', '/keys/shape/release', body);
      expect([status, json.error]).toEqual([400, { code: 'BadParameter', message: property(name) }]);
    }
    const early = await call('POST', '/keys/shape/release?api-version=7.2', { target: mint() });
    expect(said(early)).toEqual(badParameter("Method POST does not allow operation 'release'"));
  });
});

describe('the state of the key', () => {
  const create = async (name: string, attributes: object) => {
    const { attributes: usual, ...body } = exportable(data());
    const made = await call('POST', `/keys/${name}/create`, {
      ...body,
      attributes: { ...usual, ...attributes },
    });
    expect(made.status).toBe(200);
    return keyVersionOf(made);
  };
  const release = (name: string) => call('POST', `/keys/${name}/release`, { target: mint() });

  test('a disabled key is not released until it is enabled', async () => {
    await create('disabled', { enabled: false });
    const message = 'Operation release is not allowed on a disabled key.';
    const refused = [403, errorBody('Forbidden', message, 'KeyDisabled')];
    expect(said(await release('disabled'))).toEqual(refused);
    await call('PATCH', '/keys/disabled', { attributes: { enabled: true } });
    expect((await release('disabled')).status).toBe(200);
    await call('PATCH', '/keys/disabled', { attributes: { enabled: false } });
    expect(said(await release('disabled'))).toEqual(refused);
  });

  test('an expired key is released, and one that is not yet valid', async () => {
    const second = Math.floor(clock.now() / 1000);
    await create('expired', { exp: second - 60 });
    await create('early', { nbf: second + day / 1000 });
    for (const name of ['expired', 'early']) {
      const { key } = openRelease(it, (await release(name)).json.value);
      expect(createPrivateKey({ key, format: 'der', type: 'pkcs8' }).asymmetricKeyType).toBe('ec');
    }
  });

  test('a deleted key is not there, and back when it is recovered', async () => {
    const version = await create('deleted', {});
    await call('DELETE', '/keys/deleted');
    expect(said(await release('deleted'))).toEqual([404, keyNotFound('deleted')]);
    const named = await call('POST', `/keys/deleted/${version}/release`, { target: mint() });
    expect(named.status).toBe(404);
    await call('POST', '/deletedkeys/deleted/recover');
    expect((await release('deleted')).status).toBe(200);
  });

  test('what the key may be used for does not matter: the policy decides', async () => {
    await call('POST', '/keys/idle/create', { ...exportable(data()), key_ops: [] });
    expect((await release('idle')).status).toBe(200);
  });
});

test('the role for it releases and does nothing else; a user of keys does not release', async () => {
  await call('POST', '/keys/by-role/create', exportable(data()));
  const callers: VaultCaller[] = [];
  for (const role of ['Key Vault Crypto Service Release User', 'Key Vault Crypto User']) {
    const identity = await makeIdentity(it.server, role, [{ role, vault: 'dev' }]);
    callers.push(vaultCaller(it.server, await tokenFor(it.server, { identity })));
  }
  const statuses = await Promise.all(
    callers.map(async (each) => [
      (await each('POST', '/keys/by-role/release', { target: mint() })).status,
      (await each('GET', '/keys/by-role')).status,
    ]),
  );
  expect(statuses).toEqual([
    [200, 403],
    [403, 200],
  ]);
});

test('each release and each refusal has its record, without the attestation', async () => {
  const made = keyVersionOf(await call('POST', '/keys/audited/create', exportable(data())));
  const good = mint();
  const bad = mint({});
  const records = await auditedDuring(it.server, async () => {
    await call('POST', '/keys/audited/release', { target: good, nonce: 'nonce-7f1c' });
    await call('POST', '/keys/audited/release', { target: bad });
  });
  expect(records).toMatchObject([
    {
      operationName: 'KeyRelease',
      resultType: 'Success',
      properties: { httpStatusCode: 200, id: `${vaultUrl}/keys/audited/${made}` },
    },
    { operationName: 'KeyRelease', properties: { httpStatusCode: 403 } },
  ]);
  expect(records[1]?.resultType).not.toBe('Success');
  expect(records[1]?.resultDescription).toContain('attestation');
  const text = JSON.stringify(records);
  for (const secret of [good, bad, good.slice(0, 40), 'nonce-7f1c']) expect(text).not.toContain(secret);
});

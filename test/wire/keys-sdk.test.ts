/** Proves that keys are made, taken in, shown and changed through the official `KeyClient` as they were asked for. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyClient, KeyVaultKey } from '@azure/keyvault-keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import { keyClient, outsideKey, refusal, sdkJwk } from '../support/key-clients.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const now = new Date(clock.now());
const later = (days: number) => new Date(now.getTime() + days * 86_400_000);
const vaultUrl = 'https://dev.vault.azure.net';

let server: TestServer;
let client: KeyClient;
beforeAll(async () => {
  server = await startTestServer({ clock });
  client = keyClient(server);
});
afterAll(() => server.close());

/** Everything but what is different for each key. */
const usualProperties = {
  enabled: true,
  createdOn: now,
  updatedOn: now,
  recoverableDays: 90,
  recoveryLevel: 'Recoverable+Purgeable',
  exportable: false,
  hsmPlatform: '0',
  vaultUrl,
};
const allRsa = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'];

function bytes(value: Uint8Array | undefined): Buffer {
  if (value === undefined) throw new Error('a member of the key is missing');
  return Buffer.from(value);
}

/** The key as OpenSSL reads it; throws for a point off the curve. */
function opened({ key }: KeyVaultKey) {
  const text = (value: Uint8Array | undefined) => bytes(value).toString('base64url');
  const jwk =
    key?.n === undefined
      ? {
          kty: 'EC',
          crv: key?.crv === 'P-256K' ? 'secp256k1' : `${key?.crv}`,
          x: text(key?.x),
          y: text(key?.y),
        }
      : { kty: 'RSA', n: text(key.n), e: text(key.e) };
  return createPublicKey({ key: jwk, format: 'jwk' });
}

describe('creation', () => {
  test('of an RSA key with everything that can be said of it', async () => {
    const made = await client.createRsaKey('rsa', {
      keySize: 2048,
      keyOps: ['sign', 'verify'],
      enabled: false,
      notBefore: later(1),
      expiresOn: later(2),
      tags: { purpose: 'test', empty: '' },
    });
    expect(made).toMatchObject({ name: 'rsa', keyType: 'RSA', keyOperations: ['sign', 'verify'] });
    expect(made.id).toBe(`${vaultUrl}/keys/rsa/${made.properties.version}`);
    expect(made.properties).toMatchObject({
      ...usualProperties,
      id: made.id,
      name: 'rsa',
      version: expect.stringMatching(/^[0-9a-f]{32}$/),
      enabled: false,
      notBefore: later(1),
      expiresOn: later(2),
      tags: { purpose: 'test', empty: '' },
    });
    expect(made.properties.managed).toBeUndefined();
    expect(made.properties.releasePolicy).toBeUndefined();
    expect(bytes(made.key?.n)).toHaveLength(256);
    expect(bytes(made.key?.e).toString('hex')).toBe('010001');
    expect([made.key?.d, made.key?.p, made.key?.q, made.key?.k]).toEqual(Array(4).fill(undefined));
    expect(opened(made).asymmetricKeyDetails).toEqual({ modulusLength: 2048, publicExponent: 65_537n });
  });

  test('of an RSA key with nothing said: 2048 bits, all operations', async () => {
    const made = await client.createKey('plain', 'RSA');
    expect(made.keyOperations).toEqual(allRsa);
    expect(made.properties).toMatchObject({ ...usualProperties, tags: undefined, expiresOn: undefined });
    expect(opened(made).asymmetricKeyDetails?.modulusLength).toBe(2048);
  });

  test.each([
    ['P-256', 32],
    ['P-384', 48],
    ['P-521', 66],
    ['P-256K', 32],
  ])('of EC keys on %s, with and without -HSM', async (curve, size) => {
    for (const hsm of [false, true]) {
      const made = await client.createEcKey(`ec-${curve}`, { curve, hsm });
      expect(made.keyType).toBe(hsm ? 'EC-HSM' : 'EC');
      expect(made.keyOperations).toEqual(['sign', 'verify']);
      expect(made.key?.crv).toBe(curve);
      expect([bytes(made.key?.x), bytes(made.key?.y)].map((part) => part.length)).toEqual([size, size]);
      expect(opened(made).asymmetricKeyType).toBe('ec');
    }
  });

  test('of an EC key with nothing said: P-256', async () => {
    expect((await client.createKey('ec-usual', 'EC')).key?.crv).toBe('P-256');
  });

  test.each([128, 192, 256])('of symmetric keys of %d bits, whose octets are not shown', async (keySize) => {
    const made = await client.createOctKey(`oct-${keySize}`, { keySize, hsm: true });
    expect(made.keyType).toBe('oct-HSM');
    expect(made.keyOperations).toEqual(['encrypt', 'decrypt', 'wrapKey', 'unwrapKey']);
    const shown = { ...made.key, ...(await client.getKey(`oct-${keySize}`)).key };
    const members = Object.entries(shown).filter(([, value]) => value !== undefined);
    expect(members.map(([name]) => name).sort()).toEqual(['keyOps', 'kid', 'kty']);
  });

  test('RSA-HSM, and a symmetric key that is not of an HSM, which vaults do not have', async () => {
    const made = await client.createRsaKey('rsa-hsm', { hsm: true });
    expect([made.keyType, made.keyOperations]).toEqual(['RSA-HSM', allRsa]);
    await expect(client.createOctKey('oct', { keySize: 256 })).rejects.toEqual(
      refusal(400, 'BadParameter', /^Property \w* has invalid value\r\n/),
    );
  });
});

describe('import', () => {
  test('of an RSA key, as a software or HSM key', async () => {
    const { key, jwk } = outsideKey({ bits: 2048 });
    for (const hardwareProtected of [false, true]) {
      const imported = await client.importKey('taken-in', sdkJwk(jwk), {
        hardwareProtected,
        tags: { from: 'elsewhere' },
        enabled: true,
        notBefore: later(-1),
        expiresOn: later(30),
      });
      expect(imported.keyType).toBe(hardwareProtected ? 'RSA-HSM' : 'RSA');
      expect(imported.keyOperations).toEqual(allRsa);
      expect(imported.properties).toMatchObject({
        tags: { from: 'elsewhere' },
        notBefore: later(-1),
        expiresOn: later(30),
      });
      expect(imported.key?.d).toBeUndefined();
      expect(opened(imported).equals(createPublicKey(key))).toBe(true);
    }
  });

  test.each([
    ['P-256', 'P-256'],
    ['P-384', 'P-384'],
    ['P-521', 'P-521'],
    ['P-256K', 'secp256k1'],
  ])('of an EC key on %s, with the operations that its JWK names', async (crv, curve) => {
    const { key, jwk } = outsideKey({ curve });
    const imported = await client.importKey(`in-${crv}`, { ...sdkJwk(jwk), crv, keyOps: ['verify'] });
    expect(imported.keyOperations).toEqual(['verify']);
    expect(imported.key?.crv).toBe(crv);
    expect(opened(imported).equals(createPublicKey(key))).toBe(true);
  });

  test('of a symmetric key', async () => {
    const k = Buffer.alloc(32, 7);
    const imported = await client.importKey('oct-in', { kty: 'oct-HSM', k });
    expect([imported.keyType, imported.key?.k]).toEqual(['oct-HSM', undefined]);
  });

  test('of a public key alone is refused', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = sdkJwk(publicKey.export({ format: 'jwk' }) as Record<string, string>);
    await expect(client.importKey('public', jwk)).rejects.toEqual(refusal(400, 'BadParameter', /private/));
  });
});

describe('reading and changing', () => {
  test('by version, without one, and what is not there', async () => {
    const first = await client.createEcKey('versions', { tags: { n: '1' } });
    const second = await client.createEcKey('versions', { tags: { n: '2' } });
    expect(await client.getKey('versions')).toEqual(second);
    expect(await client.getKey('versions', { version: `${first.properties.version}` })).toEqual(first);
    await expect(client.getKey('versions', { version: '0'.repeat(32) })).rejects.toEqual(
      refusal(404, 'KeyNotFound', /^A key with \(name\/id\) versions\/0{32} was not found/),
    );
    await expect(client.getKey('nosuch')).rejects.toEqual(
      refusal(404, 'KeyNotFound', /^A key with \(name\/id\) nosuch was not found/),
    );
  });

  test('an update changes what it names, of the version that it names', async () => {
    const first = await client.createEcKey('changed', { tags: { n: '1' }, expiresOn: later(5) });
    const second = await client.createEcKey('changed');
    clock.advance(1000);
    const updated = await client.updateKeyProperties('changed', `${first.properties.version}`, {
      enabled: false,
      tags: { n: 'one' },
      keyOps: ['verify'],
    });
    expect(updated.key).toEqual({ ...first.key, keyOps: ['verify'] });
    expect(updated.properties).toEqual({
      ...first.properties,
      enabled: false,
      tags: { n: 'one' },
      updatedOn: new Date(clock.now()),
    });
    // A disabled key is read all the same.
    expect(await client.getKey('changed', { version: `${first.properties.version}` })).toEqual(updated);
    expect(await client.getKey('changed')).toEqual(second);
    const current = await client.updateKeyProperties('changed', { expiresOn: later(9) });
    expect(current.properties).toMatchObject({ version: second.properties.version, expiresOn: later(9) });
  });

  test('an attestation: software attests nothing, and the key is shown without one', async () => {
    const made = await client.createEcKey('attested', { hsm: true });
    expect(await client.getKeyAttestation('attested')).toEqual(made);
    const { version } = made.properties;
    const shown = await client.getKeyAttestation('attested', { version: `${version}` });
    expect(shown.properties.attestation).toBeUndefined();
    expect(shown).toEqual(made);
  });

  test('random bytes are for managed HSMs', async () => {
    await expect(client.getRandomBytes(8)).rejects.toEqual(refusal(404, 'NotFound', /./));
  });
});

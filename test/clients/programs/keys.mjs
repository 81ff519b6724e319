// Ordinary Azure code that uses all of KeyClient and CryptographyClient: nothing in it knows that the server is not
// Azure's. KEYVAULT_KEYS and IDENTITY name the packages to use; what the older ones lack is left out. The answers are
// checked here, the last line says `done`.
import assert from 'node:assert/strict';
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  verify as opensslVerify,
  randomUUID,
} from 'node:crypto';

const { KeyClient, CryptographyClient } = await import(process.env.KEYVAULT_KEYS ?? '@azure/keyvault-keys');
const { DefaultAzureCredential } = await import(process.env.IDENTITY ?? '@azure/identity');

const vaultUrl = 'https://dev.vault.azure.net';
const credential = new DefaultAzureCredential();
const client = new KeyClient(vaultUrl, credential);
const name = (what) => `${what}-${mark}`;
const mark = randomUUID().slice(0, 8);
const day = 86_400_000;
const soon = new Date(Math.floor(Date.now() / 1000) * 1000 + day);
const whole = (date) => date?.getTime();
const secret = Buffer.from('a secret of 32 bytes, as of keys');
const isNewest = typeof client.rotateKey === 'function';

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function refused(work, status, code) {
  const error = await work.then(
    () => assert.fail(`expected ${status} ${code}`),
    (reason) => reason,
  );
  assert.deepEqual([error.statusCode, error.code], [status, code], error.message);
}

const equal = (bytes, expected) => assert.equal(Buffer.from(bytes).toString('hex'), expected.toString('hex'));
const text = (bytes) => Buffer.from(bytes).toString('base64url');
const members = (jwk) =>
  Object.fromEntries(
    Object.entries(jwk).map(([key, value]) => [
      key,
      key === 'kty' || key === 'crv' ? value : Buffer.from(value, 'base64url'),
    ]),
  );

// Made with options, read back by name and by version.
const rsa = await client.createRsaKey(name('rsa'), {
  keySize: 2048,
  tags: { purpose: 'test' },
  expiresOn: soon,
});
assert.equal(rsa.id, `${vaultUrl}/keys/${name('rsa')}/${rsa.properties.version}`);
assert.deepEqual([rsa.keyType, rsa.key.n.length, text(rsa.key.e)], ['RSA', 256, 'AQAB']);
assert.deepEqual(rsa.keyOperations, ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey']);
assert.deepEqual(
  [rsa.properties.tags, whole(rsa.properties.expiresOn), rsa.properties.enabled],
  [{ purpose: 'test' }, whole(soon), true],
);
const ec = await client.createEcKey(name('ec'), { curve: 'P-256', keyOps: ['sign', 'verify'] });
assert.deepEqual([ec.keyType, ec.key.crv, ec.key.x.length, ec.key.y.length], ['EC', 'P-256', 32, 32]);
assert.equal((await client.createEcKey(name('hard'), { curve: 'P-521', hsm: true })).keyType, 'EC-HSM');
assert.deepEqual(text((await client.getKey(name('rsa'))).key.n), text(rsa.key.n));
const again = await client.createKey(name('ec'), 'EC');
assert.notEqual(again.properties.version, ec.properties.version);
const first = await client.getKey(name('ec'), { version: ec.properties.version });
assert.equal(text(first.key.x), text(ec.key.x));
await refused(client.getKey(name('missing')), 404, 'KeyNotFound');
await refused(client.createKey(name('small'), 'RSA', { keySize: 1024 }), 400, 'BadParameter');

// Taken in from elsewhere.
const outside = generateKeyPairSync('rsa', { modulusLength: 2048 });
const imported = await client.importKey(name('in'), members(outside.privateKey.export({ format: 'jwk' })));
const publicKey = createPublicKey(outside.privateKey);
assert.equal(text(imported.key.n), publicKey.export({ format: 'jwk' }).n);
assert.equal(imported.key.d, undefined);

// Encryption and wrapping: the library does by itself what it can with the public key, and the server agrees with it.
const crypt = new CryptographyClient(imported, credential);
const far = new CryptographyClient(imported.id, credential);
for (const algorithm of ['RSA1_5', 'RSA-OAEP', 'RSA-OAEP-256']) {
  for (const by of [crypt, far]) {
    const sealed = await by.encrypt(algorithm, secret);
    equal((await by.decrypt(algorithm, sealed.result)).result, secret);
    const wrapped = await by.wrapKey(algorithm, secret);
    equal((await by.unwrapKey(algorithm, wrapped.result)).result, secret);
  }
}
const damaged = Buffer.from((await crypt.encrypt('RSA-OAEP', secret)).result);
damaged[7] ^= 1;
await assert.rejects(crypt.decrypt('RSA-OAEP', damaged));

// Signatures, which OpenSSL verifies too.
for (const algorithm of ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']) {
  const hash = `sha${algorithm.slice(2)}`;
  const digest = createHash(hash).update(secret).digest();
  const signed = await crypt.sign(algorithm, digest);
  assert.equal((await crypt.verify(algorithm, digest, signed.result)).result, true);
  assert.equal((await crypt.verify(algorithm, digest, damaged)).result, false);
  // The libraries verify PS256 to PS512 as PKCS#1 v1.5 when they do it themselves.
  if (algorithm.startsWith('PS')) continue;
  const ofData = await crypt.signData(algorithm, secret);
  equal(ofData.result, Buffer.from(signed.result));
  assert.ok(opensslVerify(hash, secret, publicKey, ofData.result));
  assert.equal((await crypt.verifyData(algorithm, secret, ofData.result)).result, true);
}
for (const [curve, algorithm, hash] of [
  ['P-256', 'ES256', 'sha256'],
  ['P-384', 'ES384', 'sha384'],
  ['P-521', 'ES512', 'sha512'],
  ['P-256K', 'ES256K', 'sha256'],
]) {
  const key = await client.createEcKey(name('curve'), { curve });
  const by = new CryptographyClient(key, credential);
  const digest = createHash(hash).update(secret).digest();
  const { result } = await by.sign(algorithm, digest);
  assert.equal((await by.verify(algorithm, digest, result)).result, true);
  const crv = curve === 'P-256K' ? 'secp256k1' : curve;
  const jwk = { kty: 'EC', crv, x: text(key.key.x), y: text(key.key.y) };
  const ecPublic = createPublicKey({ key: jwk, format: 'jwk' });
  assert.ok(opensslVerify(hash, secret, { key: ecPublic, dsaEncoding: 'ieee-p1363' }, result));
}

// Changed by version; what a disabled key and a key without the operation refuse.
const updated = await client.updateKeyProperties(name('ec'), ec.properties.version, {
  enabled: false,
  tags: { changed: 'yes' },
});
assert.deepEqual([updated.properties.enabled, updated.properties.tags], [false, { changed: 'yes' }]);
const off = new CryptographyClient(ec, credential);
const digest = createHash('sha256').update(secret).digest();
await refused(off.sign('ES256', digest), 403, 'Forbidden');
await client.updateKeyProperties(name('ec'), ec.properties.version, { enabled: true, keyOps: ['verify'] });
await refused(off.sign('ES256', digest), 403, 'Forbidden');

// Lists, in pages as large as asked for.
const own = (keys) => keys.map((key) => key.name).filter((each) => each.endsWith(mark));
const listed = own(await all(client.listPropertiesOfKeys()));
assert.deepEqual(listed, ['curve', 'ec', 'hard', 'in', 'rsa'].map(name));
const pages = await all(client.listPropertiesOfKeys().byPage({ maxPageSize: 2 }));
assert.ok(pages.every((page) => page.length <= 2));
assert.deepEqual(own(pages.flat()), listed);
const versions = (await all(client.listPropertiesOfKeyVersions(name('ec')))).map((key) => key.version);
assert.deepEqual(versions, [ec, again].map((key) => key.properties.version).sort());

// Backup, deletion, recovery, purge, restore.
const backup = await client.backupKey(name('in'));
const signed = await crypt.sign('RS256', digest);
const deleted = await (await client.beginDeleteKey(name('in'))).pollUntilDone();
assert.equal(deleted.name, name('in'));
assert.equal(deleted.properties.recoveryId, `${vaultUrl}/deletedkeys/${name('in')}`);
assert.equal((await client.getDeletedKey(name('in'))).name, name('in'));
await refused(client.getKey(name('in')), 404, 'KeyNotFound');
await refused(client.createKey(name('in'), 'EC'), 409, 'Conflict');
await refused(crypt.sign('RS256', digest), 404, 'KeyNotFound');
assert.ok(own(await all(client.listDeletedKeys())).includes(name('in')));
await (await client.beginRecoverDeletedKey(name('in'))).pollUntilDone();
assert.equal((await crypt.verify('RS256', digest, signed.result)).result, true);
await (await client.beginDeleteKey(name('in'))).pollUntilDone();
await client.purgeDeletedKey(name('in'));
await refused(client.getDeletedKey(name('in')), 404, 'KeyNotFound');
const restored = await client.restoreKeyBackup(backup);
assert.equal(restored.id, imported.id);
assert.equal((await crypt.verify('RS256', digest, signed.result)).result, true);

// What came with later libraries: symmetric keys, rotation, release policies, one client for another.
if (isNewest) {
  await client.createOctKey(name('oct'), { keySize: 256, hsm: true });
  const aes = client.getCryptographyClient(name('oct'));
  const plaintext = secret;
  const sealed = await aes.encrypt({ algorithm: 'A256GCM', plaintext, additionalAuthenticatedData: damaged });
  const { iv, authenticationTag, result: ciphertext } = sealed;
  const whole = {
    algorithm: 'A256GCM',
    ciphertext,
    iv,
    authenticationTag,
    additionalAuthenticatedData: damaged,
  };
  equal((await aes.decrypt(whole)).result, secret);
  const padded = await aes.encrypt({ algorithm: 'A256CBCPAD', plaintext });
  const { result } = await aes.decrypt({ algorithm: 'A256CBCPAD', ciphertext: padded.result, iv: padded.iv });
  equal(result, secret);
  const wrapped = await aes.wrapKey('A256KW', secret);
  equal((await aes.unwrapKey('A256KW', wrapped.result)).result, secret);

  assert.equal((await client.getKeyRotationPolicy(name('ec'))).id, undefined);
  await client.updateKeyRotationPolicy(name('ec'), {
    expiresIn: 'P90D',
    lifetimeActions: [{ action: 'Rotate', timeAfterCreate: 'P30D' }],
  });
  const rotated = await client.rotateKey(name('ec'));
  assert.ok(rotated.properties.expiresOn > soon);
  assert.equal((await client.getKey(name('ec'))).id, rotated.id);
  await refused(client.createEcKey(name('export'), { hsm: true, exportable: true }), 400, 'BadParameter');
  assert.equal((await client.getKeyAttestation(name('ec'))).id, rotated.id);
  await assert.rejects(client.getRandomBytes(8));
}

for (const each of await all(client.listPropertiesOfKeys())) {
  if (!each.name.endsWith(mark)) continue;
  await (await client.beginDeleteKey(each.name)).pollUntilDone();
  await client.purgeDeletedKey(each.name);
}
console.log(`done ${isNewest ? 'with' : 'without'} rotation`);

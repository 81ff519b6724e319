// Ordinary Azure code that uses all of CertificateClient: nothing in it knows that the server is not Azure's.
// KEYVAULT_CERTIFICATES and IDENTITY name the packages to use; what the older ones lack is left out. The answers are
// checked here, the last line says `done`.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { randomUUID, sign, verify, webcrypto, X509Certificate } from 'node:crypto';
import { SecretClient } from '@azure/keyvault-secrets';
import * as x509 from '@peculiar/x509';

const { CertificateClient } = await import(
  process.env.KEYVAULT_CERTIFICATES ?? '@azure/keyvault-certificates'
);
const { DefaultAzureCredential } = await import(process.env.IDENTITY ?? '@azure/identity');

const vaultUrl = 'https://dev.vault.azure.net';
const credential = new DefaultAzureCredential();
const client = new CertificateClient(vaultUrl, credential);
const secrets = new SecretClient(vaultUrl, credential);
const mark = randomUUID().slice(0, 8);
const name = (what) => `${what}-${mark}`;

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

async function made(which, policy, options) {
  return (await client.beginCreateCertificate(name(which), policy, options)).pollUntilDone();
}

const own = (items) => items.map((item) => item.name).filter((each) => each.endsWith(mark));
const read = ({ cer }) => new X509Certificate(Buffer.from(cer));

/** The linked secret holds the certificate, its chain and the key that it is of. */
async function isLinked(certificate, chain = []) {
  const { value } = await secrets.getSecret(certificate.name);
  const [leaf, ...rest] = value.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g);
  assert.equal(new X509Certificate(leaf).fingerprint256, read(certificate).fingerprint256);
  assert.deepEqual(
    rest.map((pem) => new X509Certificate(pem).fingerprint256),
    chain.map((der) => new X509Certificate(Buffer.from(der)).fingerprint256),
  );
  const text = Buffer.from('signed with it');
  const signature = sign('sha256', text, value);
  assert.ok(verify('sha256', text, read(certificate).publicKey, signature));
  return value;
}

// Made by itself: what the policy says is in the certificate, and is shown.
const policy = {
  issuerName: 'Self',
  subject: 'CN=example.com, O=Example\\, Ltd.',
  subjectAlternativeNames: { dnsNames: ['example.com', '*.example.com'], emails: ['someone@example.com'] },
  keyType: 'EC',
  keyCurveName: 'P-384',
  exportable: true,
  keyUsage: ['digitalSignature', 'keyAgreement'],
  enhancedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  validityInMonths: 6,
  contentType: 'application/x-pem-file',
  lifetimeActions: [{ action: 'AutoRenew', daysBeforeExpiry: 30 }],
};
const first = await made('own', policy, { tags: { a: 'b' } });
assert.equal(first.properties.id, `${vaultUrl}/certificates/${name('own')}/${first.properties.version}`);
assert.deepEqual([first.properties.enabled, first.properties.tags], [true, { a: 'b' }]);
const leaf = read(first);
assert.ok(leaf.verify(leaf.publicKey));
// The text has the last name first (RFC 4514 §2.1).
assert.equal(leaf.subject, 'O=Example\\, Ltd.\nCN=example.com');
assert.ok(leaf.checkHost('www.example.com') && leaf.checkEmail('someone@example.com'));
assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']);
assert.equal(leaf.publicKey.asymmetricKeyDetails.namedCurve, 'secp384r1');
assert.equal(first.properties.expiresOn.getTime(), leaf.validToDate.getTime());
assert.equal(
  Buffer.from(first.properties.x509Thumbprint).toString('hex'),
  leaf.fingerprint.replaceAll(':', '').toLowerCase(),
);
assert.deepEqual(first.policy.subjectAlternativeNames.dnsNames, policy.subjectAlternativeNames.dnsNames);
await isLinked(first);

// The next version, and what is changed of each.
const second = await made('own', policy);
assert.notEqual(second.properties.version, first.properties.version);
assert.deepEqual((await client.getCertificateVersion(name('own'), first.properties.version)).cer, first.cer);
const versions = await all(client.listPropertiesOfCertificateVersions(name('own')));
assert.deepEqual(
  versions.map(({ version }) => version).sort(),
  [first, second].map((each) => each.properties.version).sort(),
);
await client.updateCertificateProperties(name('own'), second.properties.version, {
  enabled: false,
  tags: { c: 'd' },
});
const off = await client.getCertificate(name('own'));
assert.deepEqual([off.properties.enabled, off.properties.tags], [false, { c: 'd' }]);
await refused(secrets.getSecret(name('own')), 403, 'Forbidden');
await client.updateCertificateProperties(name('own'), second.properties.version, { enabled: true });
await client.updateCertificatePolicy(name('own'), { ...policy, validityInMonths: 9 });
assert.equal((await client.getCertificatePolicy(name('own'))).validityInMonths, 9);

// Signed elsewhere: the request goes out, the chain comes back.
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const notAfter = new Date(Date.now() + 86_400_000);
const authority = await x509.X509CertificateGenerator.createSelfSigned({
  name: 'CN=Outside CA',
  keys,
  notAfter,
  signingAlgorithm: algorithm,
  extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
});
const signed = (request, publicKey) =>
  x509.X509CertificateGenerator.create({
    subject: request.subject,
    issuer: authority.subject,
    publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: algorithm,
    notAfter,
  });
const bytes = (certificate) => new Uint8Array(certificate.rawData);
await client.beginCreateCertificate(name('merged'), { ...policy, issuerName: 'Unknown' });
const operation = await client.getCertificateOperation(name('merged'));
const { csr } = operation.getOperationState().certificateOperation;
const request = new x509.Pkcs10CertificateRequest(csr);
assert.ok(await request.verify());
const foreign = await signed(request, keys.publicKey);
await refused(client.mergeCertificate(name('merged'), [bytes(foreign)]), 400, 'BadParameter');
const chain = [bytes(await signed(request, request.publicKey)), bytes(authority)];
const merged = await client.mergeCertificate(name('merged'), chain);
assert.deepEqual(Buffer.from(merged.cer), Buffer.from(chain[0]));
const pem = await isLinked(merged, [chain[1]]);
const gone = await client.getCertificateOperation(name('merged'));
assert.equal(gone.getOperationState().certificateOperation.status, 'completed');
await client.deleteCertificateOperation(name('merged'));
await refused(client.getCertificateOperation(name('merged')), 404, 'PendingCertificateNotFound');

// Brought along: PEM, and the PFX that came of it.
const contentType = 'application/x-pem-file';
const importing = client.importCertificate(name('pem'), Buffer.from(pem), { policy: { contentType } });
assert.deepEqual((await importing).cer, merged.cer);
const pkcs12 = await made('pfx', { ...policy, contentType: 'application/x-pkcs12' });
const pfx = Buffer.from((await secrets.getSecret(pkcs12.name)).value, 'base64');
const brought = await client.importCertificate(name('pfx'), pfx, { tags: { from: 'pfx' } });
assert.deepEqual([brought.cer, brought.properties.tags], [pkcs12.cer, { from: 'pfx' }]);
await refused(client.importCertificate(name('pfx'), pfx, { password: 'wrong' }), 400, 'BadParameter');

// Lists, whole and in pages, whose size the newer libraries leave to the server.
const listed = own(await all(client.listPropertiesOfCertificates()));
assert.deepEqual(listed, ['merged', 'own', 'pem', 'pfx'].map(name));
const pages = await all(client.listPropertiesOfCertificates().byPage({ maxPageSize: 2 }));
assert.deepEqual(own(pages.flat()), listed);

// Backup, deletion, recovery, purge, restore.
const backup = await client.backupCertificate(name('own'));
const deleted = await (await client.beginDeleteCertificate(name('own'))).pollUntilDone();
assert.equal(deleted.recoveryId, `${vaultUrl}/deletedcertificates/${name('own')}`);
assert.equal((await client.getDeletedCertificate(name('own'))).name, name('own'));
await refused(client.getCertificate(name('own')), 404, 'CertificateNotFound');
await refused(secrets.getSecret(name('own')), 404, 'SecretNotFound');
await refused(client.beginCreateCertificate(name('own'), policy), 409, 'Conflict');
assert.ok(own(await all(client.listDeletedCertificates())).includes(name('own')));
await (await client.beginRecoverDeletedCertificate(name('own'))).pollUntilDone();
await isLinked(await client.getCertificate(name('own')));
await (await client.beginDeleteCertificate(name('own'))).pollUntilDone();
await client.purgeDeletedCertificate(name('own'));
await refused(client.getDeletedCertificate(name('own')), 404, 'CertificateNotFound');
assert.equal((await client.restoreCertificateBackup(backup)).properties.id, second.properties.id);
await isLinked(await client.getCertificate(name('own')));

// Issuers and contacts.
const administratorContacts = [{ firstName: 'The', lastName: 'Boss', email: 'boss@example.com', phone: '1' }];
await client.createIssuer(name('issuer'), 'DigiCert', {
  ...{ accountId: '1234', password: 'not shown', organizationId: '5678', administratorContacts },
});
await client.updateIssuer(name('issuer'), { provider: 'Nobody' });
const issuer = await client.getIssuer(name('issuer'));
assert.deepEqual(
  [issuer.provider, issuer.accountId, issuer.password, issuer.organizationId, issuer.administratorContacts],
  ['Nobody', '1234', undefined, '5678', administratorContacts],
);
const issuers = (await all(client.listPropertiesOfIssuers())).map(({ id }) => id);
assert.ok(issuers.includes(`${vaultUrl}/certificates/issuers/${name('issuer')}`));
await refused(made('other', { ...policy, issuerName: name('issuer') }), 400, 'BadParameter');
await client.deleteIssuer(name('issuer'));
await refused(client.getIssuer(name('issuer')), 404, 'CertificateIssuerNotFound');
await client.setContacts([{ email: `${mark}@example.com`, name: 'One', phone: '123' }]);
assert.ok((await client.getContacts()).every(({ email }) => email.endsWith('@example.com')));

for (const each of listed) {
  await (await client.beginDeleteCertificate(each)).pollUntilDone();
  await client.purgeDeletedCertificate(each);
}
console.log('done');

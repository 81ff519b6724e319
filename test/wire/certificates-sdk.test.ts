/** Proves the whole life of certificates through the official `CertificateClient`, and TLS with what it downloads. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { connect, createServer, type TLSSocket } from 'node:tls';
import type { CertificateClient, CertificatePolicy } from '@azure/keyvault-certificates';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateClient, chainFor, pemFile, quick } from '../support/certificate-clients.ts';
import { createIssuer, type Issuer } from '../support/certificate-files.ts';
import { manualClock } from '../support/identity.ts';
import { refusal } from '../support/key-clients.ts';
import { secretClient, startTestServer, type TestServer } from '../support/server.ts';
import { makeVault } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const vaultUrl = 'https://dev.vault.azure.net';

let server: TestServer;
let client: CertificateClient;
let issuer: Issuer;
beforeAll(async () => {
  server = await startTestServer({ clock });
  client = certificateClient(server);
  issuer = await createIssuer();
});
afterAll(() => server.close());

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

async function made(name: string, policy: CertificatePolicy = quick) {
  return (await client.beginCreateCertificate(name, policy)).pollUntilDone();
}

/** What a server with this material shows a client that trusts the root. */
async function handshake(material: object, ca: string, servername: string): Promise<string> {
  const listening = createServer(material, (socket) => socket.end());
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as { port: number };
  try {
    return await new Promise<string>((resolve, reject) => {
      const socket: TLSSocket = connect({ host: '127.0.0.1', port, ca, servername }, () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
        socket.destroy();
      });
      socket.on('error', reject);
    });
  } finally {
    listening.close();
  }
}

describe('a certificate that signs itself', () => {
  const policy: CertificatePolicy = {
    issuerName: 'Self',
    subject: 'CN=localhost, O=Test\\, Inc.',
    subjectAlternativeNames: { dnsNames: ['localhost', '*.example.com'], emails: ['a@example.com'] },
    keyType: 'RSA',
    keySize: 3072,
    keyUsage: ['dataEncipherment', 'digitalSignature', 'keyEncipherment'],
    enhancedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    validityInMonths: 6,
    lifetimeActions: [{ action: 'AutoRenew', daysBeforeExpiry: 30 }],
    contentType: 'application/x-pem-file',
    exportable: true,
    reuseKey: true,
    certificateTransparency: false,
  };

  test('is what its policy says, and serves TLS', async () => {
    const certificate = await made('self', policy);
    expect(certificate.policy).toMatchObject(policy);
    const { properties, keyId, secretId } = certificate;
    expect(properties).toMatchObject({ name: 'self', enabled: true, vaultUrl });
    expect([keyId, secretId]).toEqual(
      ['keys', 'secrets'].map((kind) => `${vaultUrl}/${kind}/self/${properties.version}`),
    );
    const x509 = new X509Certificate(Buffer.from(certificate.cer ?? []));
    expect(x509.subject.split('\n').sort()).toEqual(['CN=localhost', 'O=Test\\, Inc.']);
    expect(x509.subjectAltName?.split(', ').sort()).toEqual([
      'DNS:*.example.com',
      'DNS:localhost',
      'email:a@example.com',
    ]);
    expect(x509.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(x509.publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
    expect(properties.x509ThumbprintString).toBe(x509.fingerprint.replaceAll(':', '').toLowerCase());
    expect(properties.notBefore).toEqual(x509.validFromDate);
    expect(properties.expiresOn).toEqual(x509.validToDate);
    expect(properties.notBefore).toEqual(new Date(clock.now() - 600_000));

    const { value = '' } = await secretClient(server).getSecret('self');
    expect(x509.checkPrivateKey(createPrivateKey(value))).toBe(true);
    const shown = await handshake({ key: value, cert: value }, x509.toString(), 'localhost');
    expect(shown).toBe(x509.fingerprint256);
  });

  test('is renewed by the same policy, with its key if that is to be used again', async () => {
    const first = await client.getCertificate('self');
    const second = await made('self', { ...policy, validityInMonths: 12 });
    expect(second.properties.version).not.toBe(first.properties.version);
    const keyOf = ({ cer }: { cer?: Uint8Array }) =>
      new X509Certificate(Buffer.from(cer ?? [])).publicKey.export({ format: 'jwk' }).n;
    expect(keyOf(second)).toBe(keyOf(first));
    const { version = '' } = first.properties;
    const old = await client.getCertificateVersion('self', version);
    expect(old.cer).toEqual(first.cer);
    expect((await secretClient(server).getSecret('self', { version })).value).toContain('PRIVATE KEY');
    expect(keyOf(await made('self', { ...policy, reuseKey: false }))).not.toBe(keyOf(first));
  });

  test('comes as a PFX by default, which serves TLS', async () => {
    const { cer } = await made('pfx', { ...quick, subjectAlternativeNames: { dnsNames: ['localhost'] } });
    const { value = '', properties } = await secretClient(server).getSecret('pfx');
    expect(properties.contentType).toBe('application/x-pkcs12');
    const x509 = new X509Certificate(Buffer.from(cer ?? []));
    const material = { pfx: Buffer.from(value, 'base64'), passphrase: '' };
    expect(await handshake(material, x509.toString(), 'localhost')).toBe(x509.fingerprint256);
  });

  test('keeps its key to itself if it is not exportable', async () => {
    await made('kept', { ...quick, exportable: false, contentType: 'application/x-pem-file' });
    const { value = '' } = await secretClient(server).getSecret('kept');
    expect(value).toContain('BEGIN CERTIFICATE');
    expect(value).not.toContain('PRIVATE KEY');
  });
});

describe('changes', () => {
  test('of properties, of the policy', async () => {
    const { properties } = await made('changed');
    const { version = '' } = properties;
    const updated = await client.updateCertificateProperties('changed', version, {
      enabled: false,
      tags: { t: '1' },
    });
    expect(updated.properties).toMatchObject({ enabled: false, tags: { t: '1' } });
    const policy = await client.getCertificatePolicy('changed');
    expect(policy).toMatchObject({
      issuerName: 'Self',
      subject: 'CN=quick',
      keyType: 'EC',
      validityInMonths: 12,
    });
    const next = { ...policy, validityInMonths: 24, keyCurveName: 'P-384', keySize: 384 };
    // What the client answers is empty: it drops the reply.
    await client.updateCertificatePolicy('changed', next);
    expect(await client.getCertificatePolicy('changed')).toMatchObject(next);
    expect((await client.getCertificate('changed')).policy).toMatchObject({ validityInMonths: 24 });
  });
});

describe('a certificate from elsewhere', () => {
  test('requested, looked at, merged', async () => {
    const poller = await client.beginCreateCertificate('merged', {
      issuerName: 'Unknown',
      subject: 'CN=merged',
    });
    const { certificateOperation } = (await client.getCertificateOperation('merged')).getOperationState();
    expect(certificateOperation).toMatchObject({ status: 'inProgress', issuerName: 'Unknown' });
    const csr = Buffer.from(certificateOperation?.csr ?? []).toString('base64');
    const chain = await chainFor(issuer, csr);
    const ders = chain.map((der) => Buffer.from(der, 'base64'));
    const merged = await client.mergeCertificate('merged', ders);
    expect(Buffer.from(merged.cer ?? []).toString('base64')).toBe(chain[0]);
    expect(merged.properties).toMatchObject({ name: 'merged', enabled: true });
    expect((await poller.pollUntilDone()).properties.version).toBe(merged.properties.version);
  });

  test('requested, cancelled, deleted', async () => {
    const policy = { issuerName: 'Unknown', subject: 'CN=cancelled' };
    const poller = await client.beginCreateCertificate('cancelled', policy);
    await poller.cancelOperation();
    const operation = await client.deleteCertificateOperation('cancelled');
    expect(operation).toMatchObject({ cancellationRequested: true, status: 'cancelled' });
    await expect(client.deleteCertificateOperation('cancelled')).rejects.toEqual(
      refusal(404, 'PendingCertificateNotFound', 'Pending certificate not found: cancelled'),
    );
  });

  test('imported as PEM, and as a PFX that was exported here', async () => {
    const pem = Buffer.from(await pemFile(issuer));
    const imported = await client.importCertificate('imported', pem, {
      policy: { ...quick, contentType: 'application/x-pem-file' },
      tags: { i: '1' },
    });
    expect(imported.policy).toMatchObject({ subject: 'CN=p-256', keyType: 'EC', validityInMonths: 120 });
    await made('source');
    const { value = '' } = await secretClient(server).getSecret('source');
    const again = await client.importCertificate('again', Buffer.from(value, 'base64'), { password: '' });
    expect(again.cer).toEqual((await client.getCertificate('source')).cer);
    await expect(client.importCertificate('wrong', Buffer.from('nonsense'))).rejects.toEqual(
      refusal(400, 'BadParameter', /./),
    );
  });
});

describe('lists, deletion and backup', () => {
  test('lists of certificates, versions and deleted ones, in pages, with what is pending if asked', async () => {
    await makeVault(server, 'lists');
    const there = certificateClient(server, { vault: 'lists' });
    for (const name of ['a', 'b', 'c', 'a'])
      await (await there.beginCreateCertificate(name, quick)).pollUntilDone();
    await there.beginCreateCertificate('p', { issuerName: 'Unknown', subject: 'CN=p' });
    const names = async (options = {}) =>
      (await all(there.listPropertiesOfCertificates(options))).map(({ name }) => name);
    expect(await names()).toEqual(['a', 'b', 'c']);
    expect(await names({ includePending: true })).toEqual(['a', 'b', 'c', 'p']);
    // The client does not send `maxPageSize` on: its own option is named as the parameter.
    const pages = await all(there.listPropertiesOfCertificates({ maxresults: 2 } as never).byPage());
    expect(pages.map((page) => page.map(({ name }) => name))).toEqual([['a', 'b'], ['c']]);
    const versions = await all(there.listPropertiesOfCertificateVersions('a'));
    expect(versions.map(({ version }) => version?.length)).toEqual([32, 32]);
    for (const name of ['a', 'b']) await (await there.beginDeleteCertificate(name)).pollUntilDone();
    expect((await all(there.listDeletedCertificates())).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  test('deleted with its key and secret, recovered, purged', async () => {
    const before = await made('gone');
    const deleted = await (await client.beginDeleteCertificate('gone')).pollUntilDone();
    expect(deleted).toMatchObject({
      name: 'gone',
      recoveryId: `${vaultUrl}/deletedcertificates/gone`,
      deletedOn: new Date(clock.now()),
    });
    const secrets = secretClient(server);
    await expect(secrets.getSecret('gone')).rejects.toEqual(refusal(404, 'SecretNotFound', /gone/));
    expect((await client.getDeletedCertificate('gone')).cer).toEqual(before.cer);
    const recovered = await (await client.beginRecoverDeletedCertificate('gone')).pollUntilDone();
    expect(recovered.properties.version).toBe(before.properties.version);
    expect((await secrets.getSecret('gone')).value).toBeTruthy();
    await (await client.beginDeleteCertificate('gone')).pollUntilDone();
    await client.purgeDeletedCertificate('gone');
    await expect(client.getDeletedCertificate('gone')).rejects.toEqual(
      refusal(404, 'CertificateNotFound', 'Deleted Certificate not found: gone'),
    );
    await expect(secrets.getDeletedSecret('gone')).rejects.toEqual(refusal(404, 'SecretNotFound', /gone/));
  });

  test('backed up and restored with every version, key and secret', async () => {
    const first = await made('backup');
    const second = await made('backup');
    const { value } = await secretClient(server).getSecret('backup');
    const backup = await client.backupCertificate('backup');
    expect(backup?.length).toBeGreaterThan(100);
    if (backup === undefined) return;
    await expect(client.restoreCertificateBackup(backup)).rejects.toEqual(
      refusal(409, 'Conflict', /conflict restoring/),
    );
    await (await client.beginDeleteCertificate('backup')).pollUntilDone();
    await client.purgeDeletedCertificate('backup');
    const restored = await client.restoreCertificateBackup(backup);
    expect(restored.cer).toEqual(second.cer);
    const { version = '' } = first.properties;
    expect((await client.getCertificateVersion('backup', version)).cer).toEqual(first.cer);
    expect((await secretClient(server).getSecret('backup')).value).toBe(value);
  });
});

describe('issuers and contacts', () => {
  test('an issuer is made, changed, listed and deleted', async () => {
    const made = await client.createIssuer('one', 'Test', {
      accountId: 'kid',
      password: 'hmac',
      organizationId: 'o',
      administratorContacts: [{ firstName: 'A', lastName: 'B', email: 'a@b', phone: '1' }],
    });
    const facts = { provider: 'Test', accountId: 'kid', organizationId: 'o', enabled: true };
    expect(made).toMatchObject(facts);
    expect(JSON.stringify(made)).not.toContain('hmac');
    const updated = await client.updateIssuer('one', { accountId: 'other' });
    expect(updated).toMatchObject({ ...facts, accountId: 'other' });
    expect(await client.getIssuer('one')).toMatchObject({ ...facts, accountId: 'other' });
    expect((await all(client.listPropertiesOfIssuers())).map(({ provider }) => provider)).toEqual(['Test']);
    expect(await client.deleteIssuer('one')).toMatchObject({ provider: 'Test' });
    await expect(client.getIssuer('one')).rejects.toEqual(
      refusal(404, 'CertificateIssuerNotFound', 'Issuer not found'),
    );
  });

  test('contacts are set, read and deleted', async () => {
    const contacts = [{ email: 'a@example.com', name: 'A', phone: '1' }, { email: 'b@example.com' }];
    expect(await client.setContacts(contacts as never)).toMatchObject(contacts);
    expect(await client.getContacts()).toMatchObject(contacts);
    // What the client answers is empty: it drops the reply.
    await client.deleteContacts();
    await expect(client.getContacts()).rejects.toEqual(
      refusal(404, 'ContactsNotFound', 'Contacts not found'),
    );
  });
});

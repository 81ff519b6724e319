// Ordinary Azure code: certificates that sign themselves, that an authority in the same vault signs, and that one outside
// signs; TLS with what is downloaded; renewal; export and import.
import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:tls';
import { DefaultAzureCredential } from '@azure/identity';
import { CertificateClient } from '@azure/keyvault-certificates';
import { SecretClient } from '@azure/keyvault-secrets';
import * as x509 from '@peculiar/x509';

const vault = 'https://dev.vault.azure.net';
const credential = new DefaultAzureCredential();
const client = new CertificateClient(vault, credential);
const secrets = new SecretClient(vault, credential);
const named = (what) => `example-${what}-${started}`;
const started = Date.now();
const create = async (by, what, policy) =>
  (await by.beginCreateCertificate(named(what), policy)).pollUntilDone();
const pem = ({ cer }) => new X509Certificate(Buffer.from(cer)).toString();

// Signed by its own key. The vault's key of the same name can sign, its secret is the certificate with the private key.
const own = await create(client, 'own', { issuerName: 'Self', subject: 'CN=own.example.com', keyType: 'EC' });
console.log(`self      ${own.properties.id}, until ${own.properties.expiresOn.toISOString()}`);

// An authority is a certificate as well. Azure's library has no word for that, so it is put into what is sent.
const asAuthority = {
  name: 'asAuthority',
  sendRequest(request, next) {
    if (request.body) {
      const body = JSON.parse(request.body);
      body.policy.x509_props.basic_constraints = { ca: true, path_len_constraint: 0 };
      request.body = JSON.stringify(body);
    }
    return next(request);
  },
};
const additionalPolicies = [{ policy: asAuthority, position: 'perCall' }];
const authorities = new CertificateClient(vault, credential, { additionalPolicies });
const authority = await create(authorities, 'authority', {
  issuerName: 'Self',
  subject: 'CN=Example CA',
  keyType: 'EC',
  exportable: false,
  keyUsage: ['keyCertSign', 'cRLSign'],
  enhancedKeyUsage: [],
  validityInMonths: 120,
});
await client.createIssuer(named('issuer'), 'Strongroom', { accountId: authority.name });

// It issues for days, not years, and each certificate is renewed in time with nobody present.
const served = await create(client, 'served', {
  issuerName: named('issuer'),
  subject: 'CN=localhost',
  subjectAlternativeNames: { dnsNames: ['localhost'] },
  contentType: 'application/x-pkcs12',
  validityInMonths: 1,
  lifetimeActions: [{ action: 'AutoRenew', lifetimePercentage: 66 }],
});
console.log(`issue     ${served.properties.id}, until ${served.properties.expiresOn.toISOString()}`);

// A TLS server with the downloaded PFX, and a client that trusts the authority and nobody else.
const pfx = Buffer.from((await secrets.getSecret(served.name)).value, 'base64');
const server = createServer({ pfx }, (socket) => socket.end('hello')).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address();
const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: pem(authority) });
const [answer] = await once(socket, 'data');
server.close();
console.log(`serve     TLS for localhost, verified by the authority alone: ${answer}`);

// Signed outside: the request leaves the vault, its key does not, and the certificate comes back.
await client.beginCreateCertificate(named('outside'), {
  issuerName: 'Unknown',
  subject: 'CN=outside.example.com',
  keyType: 'RSA',
  exportable: false,
});
const poller = await client.getCertificateOperation(named('outside'));
const { csr } = poller.getOperationState().certificateOperation;
const request = new x509.Pkcs10CertificateRequest(csr);
const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const { privateKey: signingKey } = await webcrypto.subtle.generateKey(signingAlgorithm, false, ['sign']);
const issued = await x509.X509CertificateGenerator.create({
  subject: request.subject,
  issuer: 'CN=Outside CA',
  publicKey: request.publicKey,
  signingKey,
  signingAlgorithm,
  notAfter: new Date(started + 86_400_000),
});
const merged = await client.mergeCertificate(named('outside'), [new Uint8Array(issued.rawData)]);
console.log(`merge     ${merged.properties.id}, signed by ${issued.issuer}`);

// Out as PFX, in again under another name.
const imported = await client.importCertificate(named('imported'), pfx);
console.log(`import    ${imported.properties.id}: ${pem(imported) === pem(served) ? 'the same' : 'another'}`);

await client.deleteIssuer(named('issuer'));
for (const { name } of [own, authority, served, merged, imported]) {
  await (await client.beginDeleteCertificate(name)).pollUntilDone();
  await client.purgeDeletedCertificate(name);
}
console.log('purge     done');

// Ordinary Azure code on a machine with a managed identity: it has no secret, and the token says whose it is.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { SecretClient } from '@azure/keyvault-secrets';

const { ManagedIdentityCredential, DefaultAzureCredential } = await import(
  process.env.IDENTITY ?? '@azure/identity'
);

assert.equal(process.env.AZURE_CLIENT_SECRET, undefined);
for (const credential of [new ManagedIdentityCredential(), new DefaultAzureCredential()]) {
  const { token } = await credential.getToken('https://vault.azure.net/.default');
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString('utf8'));
  assert.equal(claims.idtyp, 'app');
  assert.equal(claims.aud, 'https://vault.azure.net');
  assert.equal(claims.oid, process.env.EXPECTED_OBJECT_ID);
  const client = new SecretClient('https://dev.vault.azure.net', credential);
  const name = `identity-${randomUUID().slice(0, 8)}`;
  await client.setSecret(name, 'from a managed identity');
  assert.equal((await client.getSecret(name)).value, 'from a managed identity');
}
console.log('done');

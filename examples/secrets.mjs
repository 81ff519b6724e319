// Ordinary Azure code: a secret is set, read, listed, backed up, deleted, recovered, purged and restored.
import { DefaultAzureCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';

const client = new SecretClient('https://dev.vault.azure.net', new DefaultAzureCredential());
const name = `example-${Date.now()}`;

const set = await client.setSecret(name, 'a value', {
  contentType: 'text/plain',
  tags: { purpose: 'example' },
  expiresOn: new Date(Date.now() + 86_400_000),
});
console.log(`set       ${set.properties.id}`);

await client.setSecret(name, 'a newer value');
const latest = await client.getSecret(name);
const first = await client.getSecret(name, { version: set.properties.version });
console.log(`get       newest: ${latest.value}, first: ${first.value}`);

await client.updateSecretProperties(name, set.properties.version, { enabled: false });
for await (const version of client.listPropertiesOfSecretVersions(name)) {
  console.log(`version   ${version.version} enabled: ${version.enabled}`);
}
for await (const properties of client.listPropertiesOfSecrets()) console.log(`list      ${properties.name}`);

const backup = await client.backupSecret(name);
console.log(`backup    ${backup?.length} bytes`);

const deleting = await client.beginDeleteSecret(name);
const deleted = await deleting.pollUntilDone();
console.log(`delete    can be recovered until ${deleted.scheduledPurgeDate?.toISOString()}`);

const recovering = await client.beginRecoverDeletedSecret(name);
await recovering.pollUntilDone();
console.log(`recover   ${(await client.getSecret(name)).value}`);

await (await client.beginDeleteSecret(name)).pollUntilDone();
for await (const properties of client.listDeletedSecrets()) console.log(`deleted   ${properties.name}`);
await client.purgeDeletedSecret(name);
console.log('purge     done');

const restored = backup === undefined ? undefined : await client.restoreSecretBackup(backup);
console.log(`restore   ${restored?.id}`);

await (await client.beginDeleteSecret(name)).pollUntilDone();
await client.purgeDeletedSecret(name);

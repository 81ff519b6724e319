// Ordinary Azure code that uses all of SecretClient: nothing in it knows that the server is not Azure's.
// KEYVAULT_SECRETS and IDENTITY name the packages to use; the answers are checked here, the last line says `done`.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

const { SecretClient, ...library } = await import(process.env.KEYVAULT_SECRETS ?? '@azure/keyvault-secrets');
const { DefaultAzureCredential } = await import(process.env.IDENTITY ?? '@azure/identity');

const vaultUrl = 'https://dev.vault.azure.net';
const client = new SecretClient(vaultUrl, new DefaultAzureCredential());
const name = `all-${randomUUID().slice(0, 8)}`;
const whole = (date) => date?.getTime();
const day = 86_400_000;
const soon = new Date(Math.floor(Date.now() / 1000) * 1000 + day);
const later = new Date(soon.getTime() + day);

async function all(pages) {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
}

/** `inner` is compared where the library keeps the whole answer; the newest ones drop what their model lacks. */
async function refused(work, status, code, inner) {
  const error = await work.then(
    () => assert.fail(`expected ${status} ${code}`),
    (reason) => reason,
  );
  assert.equal(error.name, 'RestError', String(error));
  assert.deepEqual([error.statusCode, error.code], [status, code], error.message);
  const text = error.response?.bodyAsText;
  if (inner !== undefined && text !== undefined) assert.equal(JSON.parse(text).error.innererror.code, inner);
}

// Set with every option, read back whole and by version.
const first = await client.setSecret(name, 'first value', {
  enabled: true,
  contentType: 'text/plain',
  tags: { purpose: 'test', empty: '' },
  notBefore: soon,
  expiresOn: later,
});
assert.equal(first.value, 'first value');
assert.match(first.properties.version, /^[0-9a-f]{32}$/);
assert.equal(first.properties.id, `${vaultUrl}/secrets/${name}/${first.properties.version}`);
const second = await client.setSecret(name, 'second value: ü 🗝 "quoted" \n and the rest');
assert.notEqual(second.properties.version, first.properties.version);
assert.equal((await client.getSecret(name)).value, 'second value: ü 🗝 "quoted" \n and the rest');
assert.equal((await client.getSecret(name)).properties.contentType, undefined);

const read = await client.getSecret(name, { version: first.properties.version });
assert.equal(read.value, 'first value');
assert.deepEqual(read.properties.tags, { purpose: 'test', empty: '' });
assert.equal(read.properties.contentType, 'text/plain');
assert.equal(whole(read.properties.notBefore), whole(soon));
assert.equal(whole(read.properties.expiresOn), whole(later));
assert.equal(read.properties.enabled, true);
assert.equal(read.properties.vaultUrl, vaultUrl);
assert.equal(read.properties.name, name);
assert.ok(Math.abs(Date.now() - whole(read.properties.createdOn)) < day);
assert.ok(read.properties.updatedOn instanceof Date);
assert.ok(typeof read.properties.recoveryLevel === 'string');
const emptied = await client.setSecret(`${name}-empty`, '');
assert.equal(emptied.value, '');

// Update changes what it names and never the value.
const updated = await client.updateSecretProperties(name, first.properties.version, {
  contentType: 'application/json',
  tags: { changed: 'yes' },
});
assert.equal(updated.contentType, 'application/json');
const reread = await client.getSecret(name, { version: first.properties.version });
assert.equal(reread.value, 'first value');
assert.deepEqual(reread.properties.tags, { changed: 'yes' });
assert.equal(whole(reread.properties.expiresOn), whole(later));

// A disabled version is refused, the current one is not.
await client.updateSecretProperties(name, first.properties.version, { enabled: false });
await refused(
  client.getSecret(name, { version: first.properties.version }),
  403,
  'Forbidden',
  'SecretDisabled',
);
await client.updateSecretProperties(name, first.properties.version, { enabled: true });
await refused(client.getSecret(`${name}-missing`), 404, 'SecretNotFound');
await refused(client.getSecret(name, { version: '0'.repeat(32) }), 404, 'SecretNotFound');
await refused(client.setSecret(name, 'x'.repeat(25 * 1024 + 1)), 400, 'BadParameter');

// Lists hold no value; pages are as large as asked for.
const versions = await all(client.listPropertiesOfSecretVersions(name));
assert.deepEqual(
  versions.map((entry) => entry.version).sort(),
  [first.properties.version, second.properties.version].sort(),
);
assert.ok(versions.every((entry) => !('value' in entry)));
const many = Array.from({ length: 7 }, (_, index) => `${name}-page-${index}`);
for (const each of many) await client.setSecret(each, each);
const listed = [];
const sizes = [];
for await (const page of client.listPropertiesOfSecrets().byPage({ maxPageSize: 2 })) {
  sizes.push(page.length);
  listed.push(...page.map((entry) => entry.name));
}
assert.ok(sizes.every((size) => size <= 2) && sizes.length >= 4, String(sizes));
assert.deepEqual(listed, [...new Set(listed)]);
for (const each of [name, ...many]) assert.ok(listed.includes(each), each);
// Others may use the vault at the same time.
const own = (names) => names.filter((each) => each.startsWith(name)).sort();
assert.deepEqual(own((await all(client.listPropertiesOfSecrets())).map((entry) => entry.name)), own(listed));

// Backup, delete by poller, what a deleted name refuses, recover by poller.
const backup = await client.backupSecret(name);
assert.ok(backup instanceof Uint8Array && backup.length > 0);
const deleting = await client.beginDeleteSecret(name);
const deleted = await deleting.pollUntilDone();
assert.equal(deleted.name, name);
const { recoveryId, deletedOn, scheduledPurgeDate } = { ...deleted, ...deleted.properties };
assert.equal(recoveryId, `${vaultUrl}/deletedsecrets/${name}`);
assert.ok(whole(scheduledPurgeDate) > whole(deletedOn));
assert.equal((await client.getDeletedSecret(name)).name, name);
await refused(client.getSecret(name), 404, 'SecretNotFound');
await refused(client.setSecret(name, 'again'), 409, 'Conflict', 'ObjectIsDeletedButRecoverable');
await refused(client.restoreSecretBackup(backup), 409, 'Conflict');
const deletedNames = [];
for await (const page of client.listDeletedSecrets().byPage({ maxPageSize: 1 })) {
  deletedNames.push(...page.map((entry) => entry.name));
}
assert.ok(deletedNames.includes(name));

const recovering = await client.beginRecoverDeletedSecret(name);
const recovered = await recovering.pollUntilDone();
assert.equal(recovered.name, name);
assert.equal((await client.getSecret(name, { version: first.properties.version })).value, 'first value');

// A poller that is written down, forgotten and taken up again.
const written = (await client.beginDeleteSecret(name)).toString();
const resumed = await client.beginDeleteSecret(name, { resumeFrom: written });
// The oldest library waits for ever on a poller that is done already.
const end = resumed.isDone() ? resumed.getResult() : await resumed.pollUntilDone();
assert.equal((end ?? (await client.getDeletedSecret(name))).name, name);

// Purge, restore with every version under its own id, and the name is free again in between.
await client.purgeDeletedSecret(name);
await refused(client.getDeletedSecret(name), 404, 'SecretNotFound');
const restored = await client.restoreSecretBackup(backup);
assert.equal(restored.name, name);
assert.deepEqual(
  (await all(client.listPropertiesOfSecretVersions(name))).map((entry) => entry.version).sort(),
  versions.map((entry) => entry.version).sort(),
);
assert.equal((await client.getSecret(name, { version: first.properties.version })).value, 'first value');
await refused(client.purgeDeletedSecret(name), 400, 'MethodNotAllowed');

// Identifiers parse with the library's own parser, where it has one.
const parse = library.parseKeyVaultSecretIdentifier ?? library.parseKeyVaultSecretId;
if (parse !== undefined) {
  assert.deepEqual(parse(second.properties.id), {
    sourceId: second.properties.id,
    vaultUrl,
    name,
    version: second.properties.version,
  });
}

for (const each of [name, `${name}-empty`, ...many]) {
  await (await client.beginDeleteSecret(each)).pollUntilDone();
  await client.purgeDeletedSecret(each);
}
console.log(`done ${parse === undefined ? 'without' : 'with'} an identifier parser`);

/**
 * Proves that no value that was to be kept secret stands in any file of the data folder, in what the server prints,
 * or in what its commands print, in any common encoding, after every operation has been used on it.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formsOfBytes, formsOfText, privateKeyHeads } from '../support/clear-forms.ts';
import {
  launch,
  program,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';
import { type SecretsOfKeys, secretsOfKeys, useKeys } from './keys.ts';

let folder: TemporaryFolder;
let server: ServerProcess;
const data = () => join(folder.path, 'data');

/** 24 characters that no other part of the program could come up with. */
function recognisable(): string {
  return randomBytes(18).toString('base64url');
}

const secrets = {
  value: recognisable(),
  updatedValue: recognisable(),
  deletedValue: recognisable(),
  purgedValue: recognisable(),
  refusedValue: recognisable(),
  malformedValue: recognisable(),
  passphrase: recognisable(),
};

function filesOf(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    statSync(join(path, name)).isFile(),
  );
}

/** The files under the data folder that hold the text in any form. */
function holding(text: string): string[] {
  return filesHolding(formsOfText(text));
}

function filesHolding(forms: readonly Buffer[]): string[] {
  return filesOf(data()).filter((name) => {
    const content = readFileSync(join(data(), name));
    return forms.some((form) => content.includes(form));
  });
}

/** Uses every operation, allowed and refused, so that the values pass through all code that could write them down. */
const everyOperation = `
  import { SecretClient } from '@azure/keyvault-secrets';
  import { ClientSecretCredential, DefaultAzureCredential } from '@azure/identity';
  const s = JSON.parse(process.env.VALUES);
  const url = 'https://dev.vault.azure.net';
  const credential = new DefaultAzureCredential();
  const client = new SecretClient(url, credential, { retryOptions: { maxRetries: 0 } });
  await client.setSecret('kept', s.value, { tags: { a: 'b' } });
  await client.getSecret('kept');
  const { properties } = await client.setSecret('kept', s.updatedValue);
  await client.updateSecretProperties('kept', properties.version, { contentType: 'text/plain' });
  for await (const each of client.listPropertiesOfSecrets());
  for await (const each of client.listPropertiesOfSecretVersions('kept'));
  for (const [name, value] of [['deleted', s.deletedValue], ['purged', s.purgedValue]]) {
    await client.setSecret(name, value);
    const backup = await client.backupSecret(name);
    await (await client.beginDeleteSecret(name)).pollUntilDone();
    await (await client.beginRecoverDeletedSecret(name)).pollUntilDone();
    await (await client.beginDeleteSecret(name)).pollUntilDone();
    if (name === 'purged') await client.purgeDeletedSecret(name);
    if (name === 'purged') await client.restoreSecretBackup(backup);
    if (name === 'purged') await (await client.beginDeleteSecret(name)).pollUntilDone();
    if (name === 'purged') await client.purgeDeletedSecret(name);
  }
  const refusals = [];
  const refused = (work) => work.then(() => { throw new Error('not refused'); }, (e) => refusals.push(e.statusCode));
  await refused(client.setSecret('deleted', s.refusedValue));
  await refused(client.setSecret('kept', s.refusedValue.repeat(2000)));
  const tags = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [String(index), s.refusedValue]));
  await refused(client.setSecret('kept', s.refusedValue, { tags }));
  const wrong = new ClientSecretCredential(process.env.AZURE_TENANT_ID, process.env.AZURE_CLIENT_ID, s.refusedValue);
  await wrong.getToken('https://vault.azure.net/.default').catch(() => undefined);
  console.log(JSON.stringify({ refusals, secret: process.env.AZURE_CLIENT_SECRET }));`;

const ofKeys: SecretsOfKeys = secretsOfKeys();
let keysSaid: { statuses: Record<string, string[]>; blobs: string[]; bodies: Record<string, string> };
let clientSecret: string;
let commandOutput = '';
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startProcess(data(), ['--log-level', 'debug']);
  const words = ['node', '--input-type=module', '-e', everyOperation];
  const ran = await strongroom(['exec', '--data', data(), '--', ...words], {
    env: { VALUES: JSON.stringify(secrets) },
  });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  const said = JSON.parse(ran.stdout) as { refusals: number[]; secret: string };
  expect(said.refusals).toEqual([409, 400, 400]);
  clientSecret = said.secret;
  await sendMalformed();
  const keys = await strongroom(
    ['exec', '--data', data(), '--', 'node', '--input-type=module', '-e', useKeys],
    { env: { VALUES: JSON.stringify(ofKeys.values), PORT: String(server.port) } },
  );
  expect(keys).toMatchObject({ code: 0, stderr: '' });
  keysSaid = JSON.parse(keys.stdout);
  const passphraseFile = join(folder.path, 'passphrase');
  await writeFile(passphraseFile, secrets.passphrase);
  const on = ['--data', data()];
  for (const command of [
    ['root-key', 'protect', '--new-passphrase-file', passphraseFile, ...on],
    ['root-key', 'rotate', ...on],
    ['vault', 'rotate-key', 'dev', ...on],
    ['status', '--json', ...on],
    ['audit', 'verify', '--json', ...on],
    ['audit', 'tail', '-n', '1000', ...on],
    ['identity', 'secrets', 'developer', '--json', ...on],
  ]) {
    const { code, stdout, stderr } = await strongroom(command);
    expect(code, command.join(' ')).toBe(0);
    commandOutput += stdout + stderr;
  }
});
afterAll(async () => {
  await server.end('SIGKILL');
  await folder.remove();
});

/** A body that does not parse, with the secret in it, under a token that is good. */
async function sendMalformed(): Promise<void> {
  const script = `
    import { DefaultAzureCredential } from '@azure/identity';
    import { readFileSync } from 'node:fs';
    import { request } from 'node:https';
    const { token } = await new DefaultAzureCredential().getToken('https://vault.azure.net/.default');
    for (const body of ['{"value": "' + process.env.VALUE + '"', '"' + process.env.VALUE]) {
      await new Promise((resolve, reject) => {
        const sent = request({
          host: '127.0.0.1', port: ${server.port}, servername: 'dev.vault.azure.net', method: 'PUT',
          path: '/secrets/kept?api-version=7.4',
          headers: { Host: 'dev.vault.azure.net', Authorization: 'Bearer ' + token, 'Content-Type': 'application/json' },
        }, (response) => response.resume().on('end', resolve));
        sent.on('error', reject);
        sent.end(body);
      });
    }`;
  const ran = await strongroom(
    ['exec', '--data', data(), '--', 'node', '--input-type=module', '-e', script],
    {
      env: { VALUE: secrets.malformedValue },
    },
  );
  expect(ran).toMatchObject({ code: 0, stderr: '' });
}

test('the search finds what is there: names are not secret and stand in the database and the log', () => {
  expect(holding('kept').some((name) => name.startsWith('strongroom.db'))).toBe(true);
  expect(holding('/secrets/kept').some((name) => name.startsWith('audit'))).toBe(true);
  expect(filesOf(data())).toEqual(
    expect.arrayContaining(['strongroom.db', 'strongroom.db-wal', 'root-key.json']),
  );
});

test.each(Object.keys(secrets))('%s stands in no file while the server runs', (name) => {
  expect(holding(secrets[name as keyof typeof secrets])).toEqual([]);
});

test('the client secret stands in no file', () => {
  expect(clientSecret).toMatch(/^\S{30,}$/);
  expect(holding(clientSecret)).toEqual([]);
});

test('neither the server nor its commands print any of them', () => {
  const printed = Buffer.from(server.stdout() + server.stderr() + commandOutput);
  for (const text of [...Object.values(secrets), clientSecret]) {
    for (const form of formsOfText(text)) expect(printed.includes(form)).toBe(false);
  }
});

test('all that was to be done with keys was done, and what was to be refused was refused', () => {
  const {
    200: done = [],
    204: purged = [],
    400: refused = [],
    403: forbidden = [],
    ...rest
  } = keysSaid.statuses;
  expect(rest).toEqual({});
  for (const name of [...done, ...purged]) expect(name).not.toMatch(/^refuse/);
  for (const name of [...refused, ...forbidden]) expect(name).toMatch(/^refuse/);
  expect([done.length, purged.length, refused.length, forbidden.length]).toEqual([57, 6, 37, 5]);
});

test.each(Object.entries(ofKeys.bytes))(
  '%s stands in no file, output, reply or backup while the server runs',
  (_name, bytes) => {
    const forms = formsOfBytes(bytes);
    expect(filesHolding(forms)).toEqual([]);
    const printed = Buffer.from(server.stdout() + server.stderr() + commandOutput);
    const blobs = keysSaid.blobs.map((blob) => Buffer.from(blob, 'base64url'));
    const replies = Object.values(keysSaid.bodies).map((body) => Buffer.from(body));
    for (const form of forms) {
      for (const content of [printed, ...blobs, ...replies]) expect(content.includes(form)).toBe(false);
    }
  },
);

test('no private key, whosever it is, stands anywhere in clear', () => {
  expect(filesHolding(privateKeyHeads)).toEqual([]);
  for (const blob of keysSaid.blobs) {
    const bytes = Buffer.from(blob, 'base64url');
    for (const head of privateKeyHeads) expect(bytes.includes(head)).toBe(false);
  }
});

test('the process’s arguments and environment, which others may read, hold none of them', () => {
  const files = [`/proc/${server.pid}/cmdline`, `/proc/${server.pid}/environ`];
  for (const file of files.filter((each) => statSync(each, { throwIfNoEntry: false }) !== undefined)) {
    const content = readFileSync(file);
    for (const text of [...Object.values(secrets), clientSecret]) expect(content.includes(text)).toBe(false);
  }
});

test('none stands in a file after the server has ended and folded its log into the database', async () => {
  await server.end();
  expect(filesOf(data())).not.toContain('strongroom.db-wal');
  for (const text of [...Object.values(secrets), clientSecret]) expect(holding(text)).toEqual([]);
  expect(filesHolding(Object.values(ofKeys.bytes).flatMap(formsOfBytes))).toEqual([]);
  expect(filesHolding(privateKeyHeads)).toEqual([]);
  const again = launch(program, ['vault', 'list', '--data', data()], {
    env: { STRONGROOM_PASSPHRASE: secrets.passphrase },
  });
  const { code, stdout, stderr } = await again.finished;
  expect(code).toBe(0);
  expect(stdout + stderr).not.toContain(secrets.passphrase);
});

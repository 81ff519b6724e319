/**
 * Proves that unchanged programs for Azure Key Vault, with Azure's URLs, DefaultAzureCredential and challenge
 * verification, run through `exec`: with the newest JavaScript libraries, the oldest, and every major between.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  checkout,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

const programs = join(import.meta.dirname, 'programs');

let folder: TemporaryFolder;
let server: ServerProcess;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startProcess(folder.path);
});
afterAll(async () => {
  await server.end();
  await folder.remove();
});

const newest = '@azure/keyvault-secrets';
const oldest = 'keyvault-secrets-oldest';

test.concurrent.each([
  ['@azure/identity', newest],
  ['identity-4', newest],
  ['identity-3', newest],
  ['identity-2', newest],
  ['identity-1', newest],
  ['@azure/identity', oldest],
  ['identity-1', oldest],
])('all of SecretClient works with %s and %s', async (identity, secrets) => {
  const args = ['exec', '--data', folder.path, '--', 'node', join(programs, 'secrets.mjs')];
  const env = { IDENTITY: identity, KEYVAULT_SECRETS: secrets };
  const { code, stdout, stderr } = await strongroom(args, { env });
  const parser = secrets === newest ? 'with' : 'without';
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: `done ${parser} an identifier parser\n`,
    stderr: '',
  });
});

const newestKeys = '@azure/keyvault-keys';
const oldestKeys = 'keyvault-keys-oldest';

test.concurrent.each([
  ['@azure/identity', newestKeys],
  ['identity-2', newestKeys],
  ['@azure/identity', oldestKeys],
  ['identity-1', oldestKeys],
])('all of KeyClient and CryptographyClient works with %s and %s', async (identity, keys) => {
  const args = ['exec', '--data', folder.path, '--', 'node', join(programs, 'keys.mjs')];
  const env = { IDENTITY: identity, KEYVAULT_KEYS: keys };
  const { code, stdout, stderr } = await strongroom(args, { env });
  const rotation = keys === newestKeys ? 'with' : 'without';
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `done ${rotation} rotation\n`, stderr: '' });
});

const newestCertificates = '@azure/keyvault-certificates';
const oldestCertificates = 'keyvault-certificates-oldest';

test.concurrent.each([
  ['@azure/identity', newestCertificates],
  ['@azure/identity', oldestCertificates],
  ['identity-1', oldestCertificates],
])('all of CertificateClient works with %s and %s', async (identity, certificates) => {
  const args = ['exec', '--data', folder.path, '--', 'node', join(programs, 'certificates.mjs')];
  const env = { IDENTITY: identity, KEYVAULT_CERTIFICATES: certificates };
  const ran = await strongroom(args, { env });
  expect(ran).toMatchObject({ code: 0, stdout: 'done\n', stderr: '' });
});

test.concurrent.each(['@azure/identity', 'identity-4', 'identity-3', 'identity-2', 'identity-1'])(
  'the managed identity signs in through %s, without a client secret in the environment',
  async (identity) => {
    const listed = await strongroom(['identity', 'list', '--json', '--data', folder.path]);
    const { identities } = JSON.parse(listed.stdout) as { identities: { name: string; objectId: string }[] };
    const workload = identities.find(({ name }) => name === 'workload');
    const args = ['exec', '--data', folder.path, '--managed-identity', '--'];
    const ran = await strongroom([...args, 'node', join(programs, 'managed-identity.mjs')], {
      env: { IDENTITY: identity, EXPECTED_OBJECT_ID: workload?.objectId },
    });
    expect(ran).toMatchObject({ code: 0, stdout: 'done\n', stderr: '' });
  },
);

test.each([
  ['secrets.mjs', 'get       newest: a newer value, first: a value'],
  ['keys.mjs', 'verify    the document: true, another: false'],
  ['certificates.mjs', 'serve     TLS for localhost, verified by the authority alone'],
])('the example %s in the checkout runs on a server of its own', async (name, line) => {
  const ran = await strongroom(['exec', '--ephemeral', '--', 'node', join(checkout, 'examples', name)]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(ran.stdout).toContain(line);
});

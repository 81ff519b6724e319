/**
 * Proves that the settings for keys do what the configuration file says, in the real program: which attestation
 * authorities count, for a server of two workers as for one, and that HSM keys can be refused.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type AttestationAuthority,
  readReleaseReply,
  startAttestationAuthority,
} from '../support/attestation-authority.ts';
import {
  type Application,
  type Connection,
  connectVault,
  signIn,
  type Target,
} from '../support/cluster-client.ts';
import { connectEach } from '../support/cluster-workers.ts';
import { condition, exportable, goodClaims } from '../support/key-release.ts';
import {
  launch,
  program,
  type Running,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

const recent = '?api-version=2025-07-01';
const notTrusted = 'The specified attestation service is not trusted by this server.';

let folder: TemporaryFolder;
let data: string;
let authority: AttestationAuthority;
let running: Running | undefined;
let application: Application;
beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder.path, 'data');
  authority = await startAttestationAuthority();
  writeFileSync(join(folder.path, 'authorities.pem'), authority.caPem);
});
afterAll(async () => {
  await stop();
  await authority.close();
  await folder.remove();
});

async function stop(): Promise<void> {
  running?.child.kill('SIGTERM');
  await running?.finished;
}

/** Starts the server anew by a file with these settings, as one that is not for development. */
async function start(settings: object): Promise<Target> {
  await stop();
  const file = join(folder.path, 'strongroom.yaml');
  const usual = { data, listen: ['127.0.0.1'], port: 0, localPort: 0 };
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ ...usual, ...settings }));
  const env = { NODE_EXTRA_CA_CERTS: join(folder.path, 'authorities.pem') };
  running = launch(program, ['start', '--config', file], { env });
  const [, port] = await running.seen(/serves at port (\d+)[\s\S]*Stop with Ctrl-C\.\n/);
  return { folder: data, port: Number(port) };
}

async function operate<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await strongroom([...args, '--json', '--data', data]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as T;
}

const mint = () => authority.mint(Date.now(), goodClaims);
const post = (vault: Connection, path: string, body: object) =>
  vault.send('POST', `/keys/${path}${recent}`, body);
const messageOf = (reply: Awaited<ReturnType<typeof post>>) => [reply.status, reply.json.error?.message];

/** The released private key, from a reply that verifies by the published authority. */
function opened(value: string) {
  const caPem = readFileSync(join(data, 'ca.pem'), 'utf8');
  const { header, ciphertext } = readReleaseReply(value, { caPem, host: 'dev.vault.azure.net' }).keyHsm;
  const key = authority.environment.open(Buffer.from(ciphertext, 'base64url'), header.enc);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

test('each of two workers releases what the other made, by the word of the authority in the file', async () => {
  const server = await start({ workers: 2, attestationAuthorities: [authority.url] });
  await operate('vault', 'create', 'dev', '--sku', 'premium');
  const { clientId } = await operate<Application>('identity', 'create', 'app');
  const { secret } = await operate<{ secret: string }>('identity', 'secret', 'app');
  await operate('identity', 'grant', 'app', '--role', 'Key Vault Administrator', '--vault', 'dev');
  application = { clientId, clientSecret: secret };
  const each = await connectEach(server, await signIn(server, application), 2);
  for (const [name, maker, releaser] of [
    ['by-one', 1, 2],
    ['by-two', 2, 1],
  ] as const) {
    expect(
      (await post(each.at(maker), `${name}/create`, exportable(authority.policy(condition)))).status,
    ).toBe(200);
    const keys = new Set<string>();
    for (const slot of [releaser, maker]) {
      const { json } = await post(each.at(slot), `${name}/release`, { target: mint() });
      keys.add(opened(json.value).export({ format: 'pem', type: 'pkcs8' }).toString());
    }
    expect(keys.size).toBe(1);
  }
  const elsewhere = {
    anyOf: [{ authority: 'https://attest.example.com', allOf: [condition] }],
    version: '1.0.0',
  };
  const policy = Buffer.from(JSON.stringify(elsewhere)).toString('base64url');
  expect(messageOf(await post(each.at(1), 'other/create', exportable(policy)))).toEqual([400, notTrusted]);
  each.close();
});

test('without authorities in the file there are none', async () => {
  const server = await start({ workers: 1 });
  const vault = connectVault(server, await signIn(server, application));
  const asked = authority.asked.length;
  expect(messageOf(await post(vault, 'by-one/release', { target: mint() }))).toEqual([400, notTrusted]);
  const created = await post(vault, 'new/create', exportable(authority.policy(condition)));
  expect(messageOf(created)).toEqual([400, notTrusted]);
  expect(authority.asked).toHaveLength(asked);
  vault.close();
});

test('hsmKeys: refuse makes no HSM keys, and says why; those that are there still work', async () => {
  const server = await start({ workers: 1, attestationAuthorities: [authority.url], hsmKeys: 'refuse' });
  const vault = connectVault(server, await signIn(server, application));
  const refused = [
    400,
    'This server has no hardware security module, and is configured not to let software stand in for one.',
  ];
  for (const kty of ['EC-HSM', 'RSA-HSM', 'oct-HSM']) {
    expect(messageOf(await post(vault, 'hsm/create', { kty }))).toEqual(refused);
  }
  const k = Buffer.alloc(32, 7).toString('base64url');
  const imported = await vault.send('PUT', `/keys/hsm${recent}`, { key: { kty: 'oct-HSM', k } });
  expect(messageOf(imported)).toEqual(refused);
  expect(messageOf(await post(vault, 'by-one/rotate', {}))).toEqual(refused);
  const { json } = await post(vault, 'by-one/backup', {});
  expect(messageOf(await vault.send('POST', `/keys/restore${recent}`, { value: json.value }))).toEqual(
    refused,
  );
  expect((await vault.send('GET', `/keys/hsm${recent}`)).status).toBe(404);

  const made = await post(vault, 'software/create', { kty: 'EC' });
  expect([made.status, made.json.attributes.hsmPlatform]).toEqual([200, '0']);
  const digest = Buffer.alloc(32, 1).toString('base64url');
  expect((await post(vault, 'by-one/sign', { alg: 'ES256', value: digest })).status).toBe(200);
  expect((await post(vault, 'by-one/release', { target: mint() })).status).toBe(200);
  vault.close();
});

test.each([
  ['attestationAuthorities', ['http://attest.example.com']],
  ['attestationAuthorities', ['attest.example.com']],
  ['attestationAuthorities', 'any'],
  ['hsmKeys', 'hardware'],
])('a file that says %s: %j is refused', async (name, value) => {
  const file = join(folder.path, 'wrong.yaml');
  writeFileSync(file, JSON.stringify({ data: join(folder.path, 'none'), [name]: value }));
  const { code, stdout, stderr } = await strongroom(['start', '--config', file]);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain(`'${name}`);
});

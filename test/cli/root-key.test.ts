/**
 * Proves the operator's hold on the root key: rotation under way and at rest, a passphrase that is really needed,
 * and refusals that leave every byte of the data as it was.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  fingerprint,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
let data: string;
let right: string;
let wrong: string;
const passphrase = 'correct horse battery staple';
beforeAll(async () => {
  folder = await temporaryFolder();
  data = join(folder.path, 'data');
  right = join(folder.path, 'right');
  wrong = join(folder.path, 'wrong');
  await writeFile(right, `${passphrase}\n`, { mode: 0o600 });
  await writeFile(wrong, 'wrong horse battery staple\n', { mode: 0o600 });
});
afterAll(() => folder.remove());

const setScript = `
  import { SecretClient } from '@azure/keyvault-secrets';
  import { DefaultAzureCredential } from '@azure/identity';
  const client = new SecretClient('https://dev.vault.azure.net', new DefaultAzureCredential());
  const [, name, value] = process.argv;
  if (value !== undefined) await client.setSecret(name, value);
  else console.log((await client.getSecret(name)).value);`;

async function client(...args: string[]): Promise<string> {
  const words = ['node', '--input-type=module', '-e', setScript, ...args];
  const ran = await strongroom(['exec', '--data', data, '--', ...words]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return ran.stdout;
}

interface RootKeyDocument {
  readonly protector: string;
  readonly current: string;
  readonly keys: readonly { id: string; key: string }[];
}

function rootKeyFile(): RootKeyDocument {
  return JSON.parse(readFileSync(join(data, 'root-key.json'), 'utf8')) as RootKeyDocument;
}

/** One server's life after another on the same folder: each test goes on from the one before. */
test('rotation while the server serves: the old key is gone, the data is all there', async () => {
  const server = await startProcess(data);
  await client('before', 'set before the rotation');
  const old = rootKeyFile();
  const ran = await strongroom(['root-key', 'rotate', '--json', '--data', data]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  const { keyId, moved } = JSON.parse(ran.stdout) as { keyId: string; moved: number };
  expect(moved).toBeGreaterThan(0);
  const now = rootKeyFile();
  expect(now.keys.map(({ id }) => id)).toEqual([keyId]);
  expect(now.current).toBe(keyId);
  expect(now.keys[0]?.key).not.toBe(old.keys[0]?.key);
  expect(await client('before')).toBe('set before the rotation\n');
  expect(await server.end()).toMatchObject({ code: 0 });

  // The old file opens nothing any more.
  const kept = readFileSync(join(data, 'root-key.json'));
  await writeFile(join(data, 'root-key.json'), JSON.stringify(old));
  const before = fingerprint(data);
  const refused = await strongroom(['vault', 'list', '--data', data]);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(fingerprint(data)).toEqual(before);
  await writeFile(join(data, 'root-key.json'), kept);
});

test('rotation while no server serves', async () => {
  const { current } = rootKeyFile();
  const ran = await strongroom(['root-key', 'rotate', '--data', data]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(rootKeyFile().keys.map(({ id }) => id)).not.toContain(current);
  expect(ran.stdout).toContain(`The root key is now ${rootKeyFile().current}`);
});

test('a passphrase that is too short is refused and changes nothing', async () => {
  const short = join(folder.path, 'short');
  await writeFile(short, 'eleven byte\n');
  const before = rootKeyFile();
  const ran = await strongroom(['root-key', 'protect', '--new-passphrase-file', short, '--data', data]);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toContain('at least 12 bytes');
  expect(ran.stderr).not.toContain('eleven byte');
  expect(rootKeyFile()).toEqual(before);
});

test('a passphrase put on while the server serves is needed from the next start on', async () => {
  const server = await startProcess(data);
  const plain = Buffer.from(rootKeyFile().keys[0]?.key ?? '', 'base64url');
  const ran = await strongroom(['root-key', 'protect', '--new-passphrase-file', right, '--data', data]);
  expect(ran).toMatchObject({ code: 0, stdout: 'The root key is under the passphrase.\n', stderr: '' });
  expect(await client('before')).toBe('set before the rotation\n');
  const status = await strongroom(['status', '--data', data]);
  expect(status.stdout).toMatch(/root key +under a passphrase/);
  await server.end();
  expect(rootKeyFile().protector).toBe('passphrase');
  const file = readFileSync(join(data, 'root-key.json'), 'utf8');
  for (const form of ['base64url', 'base64', 'hex'] as const)
    expect(file).not.toContain(plain.toString(form));
});

test.each([
  ['no passphrase', [], {}, 'STRONGROOM_PASSPHRASE'],
  ['a wrong one in a file', ['--passphrase-file', 'wrong'], {}, 'the passphrase is wrong'],
  [
    'a wrong one in a variable',
    [],
    { STRONGROOM_PASSPHRASE: 'not the passphrase' },
    'the passphrase is wrong',
  ],
  ['an empty one', [], { STRONGROOM_PASSPHRASE: '' }, 'the passphrase is wrong'],
])('with %s nothing starts and nothing is changed', async (_what, flags, env, message) => {
  const named = flags.map((flag) => (flag === 'wrong' ? wrong : flag));
  const before = fingerprint(data);
  for (const words of [
    ['start', '--dev', '--port', '0', '--local-port', '0'],
    ['vault', 'list'],
  ]) {
    const ran = await strongroom([...words, '--data', data, ...named], { env });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/^strongroom: [^\n]*\n$/);
    expect(ran.stderr).toContain(message);
    expect(ran.stderr).not.toContain('wrong horse');
    expect(ran.stderr).not.toContain('not the passphrase');
  }
  expect(fingerprint(data)).toEqual(before);
});

test.each([
  ['a file', ['--passphrase-file', 'right'], {}],
  ['a variable', [], { STRONGROOM_PASSPHRASE: passphrase }],
  [
    'a file, whatever a variable says',
    ['--passphrase-file', 'right'],
    { STRONGROOM_PASSPHRASE: 'an old one' },
  ],
])('with the passphrase in %s everything works', async (_what, flags, env) => {
  const named = flags.map((flag) => (flag === 'right' ? right : flag));
  const server: ServerProcess = await startProcess(data, named, { env });
  expect(await client('before')).toBe('set before the rotation\n');
  expect(await server.end()).toMatchObject({ code: 0 });
  const offline = await strongroom(['vault', 'list', '--json', '--data', data, ...named], { env });
  expect(offline.code).toBe(0);
});

test('rotation keeps the passphrase; taking it off works without a server', async () => {
  const given = ['--data', data, '--passphrase-file', right];
  expect((await strongroom(['root-key', 'rotate', ...given])).code).toBe(0);
  expect(rootKeyFile().protector).toBe('passphrase');
  const ran = await strongroom(['root-key', 'protect', '--json', ...given]);
  expect(JSON.parse(ran.stdout)).toEqual({ protector: 'file' });
  const server = await startProcess(data);
  expect(await client('before')).toBe('set before the rotation\n');
  const verified = await strongroom(['audit', 'verify', '--data', data]);
  expect(verified).toMatchObject({ code: 0, stderr: '' });
  await server.end();
});

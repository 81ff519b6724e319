/**
 * Proves how `start` begins: a banner that a person can act on, settings from flags, environment and file in that
 * order, and clear refusals that create and change nothing.
 */

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  bareEnvironment,
  fingerprint,
  launch,
  program,
  run,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
let server: ServerProcess;
/** A stopped server's data, to be copied by tests that damage it. */
let stopped: string;
beforeAll(async () => {
  folder = await temporaryFolder();
  stopped = join(folder.path, 'stopped');
  const [running, other] = await Promise.all([
    startProcess(join(folder.path, 'serving')),
    startProcess(stopped),
  ]);
  server = running;
  await other.end();
});
afterAll(async () => {
  await server.end();
  await folder.remove();
});

const anyPorts = ['--port', '0', '--local-port', '0'];

function start(data: string, args: readonly string[] = [], env: Record<string, string> = {}) {
  return strongroom(['start', '--dev', '--data', data, ...anyPorts, ...args], { env });
}

test('the banner fits a small terminal, says where and how, and holds nothing secret', async () => {
  const home = join(folder.path, 'home');
  await mkdir(home);
  const running = launch(program, ['start', '--dev', ...anyPorts], { cwd: home });
  await running.seen(/Stop with Ctrl-C/);
  const { stdout: json } = await strongroom(['env', '--json'], { cwd: home });
  running.child.kill('SIGTERM');
  const { stdout, stderr } = await running.finished;
  const lines = stdout.trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(24);
  for (const line of lines.slice(1)) expect(line.length).toBeLessThanOrEqual(100);
  expect(stdout).toContain('https://dev.vault.azure.net/');
  // The default folder needs no naming.
  expect(stdout).toContain('  bin/strongroom exec -- node examples/secrets.mjs\n');
  const { AZURE_CLIENT_SECRET: secret } = JSON.parse(json) as Record<string, string>;
  expect(secret).toMatch(/^\S{30,}$/);
  expect(stdout + stderr).not.toContain(secret);
  expect(existsSync(join(home, '.strongroom'))).toBe(true);
});

test.concurrent('the lines to copy work in a shell, whatever the folder is called', async () => {
  const odd = join(folder.path, "it's a folder; echo no");
  const running = await startProcess(odd);
  const line = /^ {2}(bin\/strongroom exec .*) -- node examples\/secrets\.mjs$/m.exec(running.stdout())?.[1];
  const ran = await run('sh', ['-c', `${line} -- sh -c 'echo "$NODE_EXTRA_CA_CERTS"'`]);
  await running.end();
  expect(ran).toMatchObject({ code: 0, stdout: `${join(odd, 'ca.pem')}\n` });
});

test.concurrent('the data folder is for its owner alone', async () => {
  const modes = fingerprint(server.folder);
  for (const file of ['strongroom.db', 'root-key.json', 'audit/audit-00000001.jsonl']) {
    expect(modes[file]).toMatch(/^600 /);
  }
});

test.concurrent('a second server on the same folder is refused', async () => {
  const ran = await start(server.folder);
  expect(ran).toMatchObject({
    code: 1,
    stdout: '',
    stderr: `strongroom: Another process is using ${server.folder}.\n`,
  });
  expect((await strongroom(['status', '--data', server.folder])).code).toBe(0);
});

test.concurrent('a port that is taken is named, with the flag that changes it', async () => {
  const taken = createServer();
  await once(taken.listen(0, '127.0.0.1'), 'listening');
  const { port } = taken.address() as AddressInfo;
  for (const flag of ['--port', '--local-port']) {
    const ran = await start(join(folder.path, `taken${flag}`), [flag, String(port)]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toBe(
      `strongroom: Port ${port} on 127.0.0.1 is in use. Choose another with ${flag}.\n`,
    );
  }
  taken.close();
});

test.concurrent.each([
  ['a port that is none', ['--port', '65536'], 'port'],
  ['a port in words', ['--port', 'https'], 'port'],
  ['an address that is a name', ['--listen', 'localhost'], 'listen'],
  ['a domain of one label', ['--domain', 'localhost'], 'domain'],
  ['a level that is none', ['--log-level', 'loud'], 'logLevel'],
  ['a certificate without its key', ['--tls-cert', '/nowhere.pem'], 'tlsCert'],
  ['a passphrase file that is not there', ['--passphrase-file', '/no/such/file'], 'passphraseFile'],
])('%s is refused by the setting’s name, before anything is made', async (what, args, setting) => {
  const data = join(folder.path, `wrong ${what}`);
  const ran = await start(data, args);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toContain(`'${setting}`);
  expect(existsSync(data)).toBe(false);
});

test.concurrent('every wrong setting is named at once, and a passphrase is never repeated', async () => {
  const data = join(folder.path, 'many wrong');
  const env = {
    STRONGROOM_DRAIN: 'soon',
    STRONGROOM_MAX_IN_FLIGHT: '0',
    STRONGROOM_PASSPHRASE: 'not to be shown',
  };
  const { code, stderr } = await start(data, ['--domain', 'x'], env);
  expect(code).toBe(2);
  for (const name of ['drain', 'maxInFlight', 'domain']) expect(stderr).toContain(`'${name}'`);
  expect(stderr).not.toContain('not to be shown');
  expect(existsSync(data)).toBe(false);
});

test.concurrent.each([
  ['one that is not there', undefined, 'cannot be read'],
  ['one that is not YAML', 'passphrase: "secret words\n  : [', 'is not a YAML mapping'],
  ['one that is a list', '- 1\n- 2\n', 'is not a YAML mapping'],
  ['one with a setting that does not exist', 'prot: 1\n', 'prot'],
])('a configuration file is refused: %s', async (what, text, message) => {
  const file = join(folder.path, `wrong ${what}.yaml`);
  if (text !== undefined) await writeFile(file, text);
  const data = join(folder.path, `wrong file ${what}`);
  const ran = await start(data, ['--config', file]);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toContain(message);
  expect(ran.stderr).not.toContain('secret words');
  expect(existsSync(data)).toBe(false);
});

test.concurrent('flags come before the environment, the environment before the file', async () => {
  const names = ['flag', 'environment', 'file'] as const;
  const place = Object.fromEntries(names.map((name) => [name, join(folder.path, `from ${name}`)]));
  const file = join(folder.path, 'settings.yaml');
  await writeFile(file, `data: ${place.file}\ndomain: file.example\nlogLevel: warn\n`);
  const base = ['start', '--dev', ...anyPorts, '--config', file];
  const cases = [
    { args: [], env: {}, data: place.file, domain: 'file.example' },
    {
      args: [],
      env: { STRONGROOM_DATA: place.environment, STRONGROOM_DOMAIN: 'environment.example' },
      data: place.environment,
      domain: 'environment.example',
    },
    {
      args: ['--data', place.flag ?? '', '--domain', 'flag.example'],
      env: { STRONGROOM_DATA: place.environment, STRONGROOM_DOMAIN: 'environment.example' },
      data: place.flag,
      domain: 'flag.example',
    },
  ];
  for (const { args, env, data, domain } of cases) {
    const running = launch(program, [...base, ...args], { env });
    await running.seen(/Stop with Ctrl-C/);
    const status = await strongroom(['status', '--json', '--data', data ?? '']);
    running.child.kill('SIGTERM');
    await running.finished;
    expect(JSON.parse(status.stdout)).toMatchObject({ data, domain, serving: true });
  }
});

test.concurrent('the file may be named by the environment, for the client commands too', async () => {
  const file = join(folder.path, 'named.yaml');
  await writeFile(file, `data: ${server.folder}\n`);
  const ran = await strongroom(['status', '--json'], { env: { STRONGROOM_CONFIG: file } });
  expect(JSON.parse(ran.stdout)).toMatchObject({ pid: server.pid });
});

async function copyOf(what: string): Promise<string> {
  const copy = join(folder.path, `copy ${what}`);
  await cp(stopped, copy, { recursive: true });
  return copy;
}

test.concurrent.each(['start', 'vault list', 'audit verify'])(
  'without its root key the data is left as it is: %s',
  async (words) => {
    const data = await copyOf(`without key ${words}`);
    await rename(join(data, 'root-key.json'), join(folder.path, `moved ${words}`));
    const before = fingerprint(data);
    const ran =
      words === 'start' ? await start(data) : await strongroom([...words.split(' '), '--data', data]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(
      /^strongroom: The root key .*root-key\.json is missing.*nothing was changed\.\n$/s,
    );
    expect(fingerprint(data)).toEqual(before);
  },
);

test.concurrent.each(['start', 'vault list', 'audit verify'])(
  'with another server’s root key the data is left as it is: %s',
  async (words) => {
    const data = await copyOf(`other key ${words}`);
    await rm(join(data, 'root-key.json'));
    await cp(join(server.folder, 'root-key.json'), join(data, 'root-key.json'));
    const before = fingerprint(data);
    const ran =
      words === 'start' ? await start(data) : await strongroom([...words.split(' '), '--data', data]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toBe(
      'strongroom: The root key is not the one that sealed this data. Nothing was changed.\n',
    );
    expect(fingerprint(data)).toEqual(before);
  },
);

test.concurrent('a root key that others can read is refused, with the command that mends it', async () => {
  const data = await copyOf('readable');
  await chmod(join(data, 'root-key.json'), 0o640);
  const before = fingerprint(data);
  const ran = await start(data);
  expect(ran.code).toBe(1);
  expect(ran.stderr).toContain(`chmod 600 ${join(data, 'root-key.json')}`);
  expect(fingerprint(data)).toEqual(before);
});

test.concurrent.each(['not JSON', '{"format":"strongroom-root-key/2"}', ''])(
  'a damaged root key file is refused without repeating what it holds: %j',
  async (text) => {
    const data = await copyOf(`damaged ${text.length}`);
    await writeFile(join(data, 'root-key.json'), text);
    const before = fingerprint(data);
    const ran = await start(data);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/^strongroom: .*is not a root key file of this version of Strongroom\.\n$/);
    expect(fingerprint(data)).toEqual(before);
  },
);

test.concurrent('a folder whose path leaves no room for a socket is refused before it is made', async () => {
  const data = join(folder.path, 'x'.repeat(120));
  const ran = await start(data);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(/^strongroom: The setting 'data' cannot be used: .*too long.*\n$/);
  expect(await readdir(folder.path)).not.toContain('x'.repeat(120));
});

test.concurrent('the environment of these tests holds no setting of the caller’s', () => {
  expect(Object.keys(bareEnvironment()).filter((name) => /^(?:STRONGROOM|AZURE)_/.test(name))).toEqual([]);
});

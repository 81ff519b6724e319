/**
 * Proves that `exec` and `env` set what they say and nothing more, that a command's exit code is passed on as it
 * is, and that a throw-away server leaves nothing behind, however its command ends.
 */
import { mkdir, readdir, watch, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Finished,
  launch,
  program,
  type RunOptions,
  run,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
let server: ServerProcess;
beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startProcess(join(folder.path, 'data'));
});
afterAll(async () => {
  await server.end();
  await folder.remove();
});

function exec(words: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return strongroom(['exec', '--data', server.folder, '--', ...words], options);
}

test.concurrent.each([
  ['0', 'exit 0', 0],
  ['7', 'exit 7', 7],
  ['a signal', 'kill -KILL $$', 137],
  ['a signal that it sends itself', 'kill -TERM $$', 143],
])('the exit code is the command’s: %s', async (_what, script, code) => {
  expect(await exec(['sh', '-c', script])).toMatchObject({ code, stdout: '', stderr: '' });
});

test.concurrent('a command that is not there gives 127, one that cannot be run 126', async () => {
  const missing = await exec(['no-such-command-anywhere']);
  expect(missing).toMatchObject({ code: 127, stdout: '' });
  expect(missing.stderr).toBe(
    'strongroom: no-such-command-anywhere cannot be run: there is no such command\n',
  );
  const file = join(folder.path, 'not-executable');
  await writeFile(file, 'text', { mode: 0o644 });
  expect(await exec([file])).toMatchObject({ code: 126 });
});

test.concurrent('the command’s own options, input and output are its own', async () => {
  const ran = await exec([
    'sh',
    '-c',
    'printf "%s|" "$@"; echo problem >&2',
    'sh',
    '--data',
    'a b',
    '-x',
    '',
  ]);
  expect(ran).toEqual({ code: 0, signal: null, stdout: '--data|a b|-x||', stderr: 'problem\n' });
});

test.concurrent('without a server it says what to do, and runs nothing', async () => {
  const empty = join(folder.path, 'empty');
  await mkdir(empty);
  const ran = await strongroom(['exec', '--data', empty, '--', 'sh', '-c', 'echo ran']);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toBe(
    `strongroom: No server serves ${empty}. Start one with \`strongroom start --dev\`, name its folder with --data, or use \`exec --ephemeral\`.\n`,
  );
  expect(await readdir(empty)).toEqual([]);
});

const otherSignIns = {
  AZURE_AUTHORITY_HOST: 'https://login.example.org',
  AZURE_CLIENT_CERTIFICATE_PATH: '/nowhere.pem',
  AZURE_FEDERATED_TOKEN_FILE: '/nowhere',
  AZURE_USERNAME: 'someone',
  AZURE_PASSWORD: 'something',
  MSI_ENDPOINT: 'http://127.0.0.1:1',
  MSI_SECRET: 'x',
  IDENTITY_ENDPOINT: 'http://127.0.0.1:1',
  IDENTITY_HEADER: 'x',
  AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:1',
  ARM_CLIENT_CERTIFICATE_PATH: '/nowhere.pfx',
  ARM_USE_OIDC: 'true',
  ARM_USE_MSI: 'true',
  ARM_MSI_ENDPOINT: 'http://127.0.0.1:1',
  ARM_ENVIRONMENT: 'china',
  ARM_METADATA_HOSTNAME: 'management.example.org',
};

test.concurrent('the variables of other sign-ins are really unset, others passed on', async () => {
  const env = { ...otherSignIns, MINE: 'kept', STRONGROOM_PASSPHRASE: 'the passphrase of the root key' };
  const { code, stdout } = await exec(['env'], { env });
  expect(code).toBe(0);
  const names = stdout.split('\n').map((line) => line.split('=')[0]);
  for (const name of Object.keys(otherSignIns)) expect(names).not.toContain(name);
  expect(stdout).toContain('MINE=kept\n');
  expect(stdout).toContain(`HTTPS_PROXY=http://127.0.0.1:${server.localPort}\n`);
  expect(stdout).not.toMatch(/undefined|null/);
  expect(stdout).not.toContain('the passphrase of the root key');
});

test.concurrent('a shell that evaluates `env` has what `exec` gives to a command', async () => {
  const env = { ...otherSignIns, JAVA_TOOL_OPTIONS: `-Dquoted="it's"` };
  const script = `eval "$(${program} env --data '${server.folder}')" && env`;
  const evaluated = await run('sh', ['-c', script], { env });
  const executed = await exec(['env'], { env });
  expect(evaluated.stderr).toBe('');
  const settled = (text: string) =>
    text
      .split('\n')
      .filter((line) => !/^(?:_|PWD|OLDPWD|SHLVL)=/.test(line))
      .sort();
  expect(settled(evaluated.stdout)).toEqual(settled(executed.stdout));
  expect(evaluated.stdout).toContain(`JAVA_TOOL_OPTIONS=-Dquoted="it's" -Dhttps.proxyHost=127.0.0.1`);
});

test.concurrent('`env --json` says the same with null for what is to be unset', async () => {
  const { stdout } = await strongroom(['env', '--json', '--data', server.folder]);
  const variables = JSON.parse(stdout) as Record<string, string | null>;
  expect(variables.MSI_ENDPOINT).toBeNull();
  const shell = await strongroom(['env', '--data', server.folder]);
  const lines = shell.stdout.trimEnd().split('\n');
  expect(lines).toHaveLength(Object.keys(variables).length);
  for (const [name, value] of Object.entries(variables)) {
    expect(lines).toContain(value === null ? `unset ${name}` : `export ${name}='${value}'`);
  }
});

test.concurrent.each([
  ['fish', 'set -gx HTTPS_PROXY ', 'set -e MSI_ENDPOINT'],
  ['powershell', '$env:HTTPS_PROXY = ', 'Remove-Item Env:MSI_ENDPOINT'],
])('`env --shell %s` speaks that shell’s language', async (shell, set, unset) => {
  const { stdout } = await strongroom(['env', '--shell', shell, '--data', server.folder]);
  expect(stdout).toContain(set);
  expect(stdout).toContain(unset);
});

/** A place for temporary files that only this test's processes use, so that what is left in it is theirs. */
async function ownTemporary(name: string): Promise<string> {
  const path = join(folder.path, name);
  await mkdir(path);
  return path;
}

async function leftIn(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => name.startsWith('strongroom'));
}

test.concurrent.each([
  ['0', 'exit 0', 0],
  ['7', 'exit 7', 7],
  ['a signal', 'kill -TERM $$', 143],
])('a throw-away server passes the exit code on and goes: %s', async (what, script, code) => {
  const temporary = await ownTemporary(`ephemeral ${what}`);
  const env = { TMPDIR: temporary };
  const words = ['sh', '-c', `ls -d "$TMPDIR"/strongroom*; ${script}`];
  const ran = await strongroom(['exec', '--ephemeral', '--', ...words], { env });
  expect(ran).toMatchObject({ code, stderr: '' });
  expect(ran.stdout).toContain(`${temporary}/strongroom-`);
  expect(await leftIn(temporary)).toEqual([]);
});

test.concurrent('a throw-away server goes when its command is not there', async () => {
  const temporary = await ownTemporary('ephemeral missing');
  const ran = await strongroom(['exec', '--ephemeral', '--', 'no-such-command-anywhere'], {
    env: { TMPDIR: temporary },
  });
  expect(ran.code).toBe(127);
  expect(await leftIn(temporary)).toEqual([]);
});

test.concurrent.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s is the command’s to act on, and the throw-away server still goes', async (signal, code) => {
  const temporary = await ownTemporary(`ephemeral ${signal}`);
  const running = launch(program, ['exec', '--ephemeral', '--', 'sh', '-c', 'echo ready; read line'], {
    env: { TMPDIR: temporary },
  });
  await running.seen(/ready/);
  running.child.kill(signal);
  expect(await running.finished).toMatchObject({ code, signal: null, stderr: '' });
  expect(await leftIn(temporary)).toEqual([]);
});

test.concurrent('a command that finishes in its own way on a signal is waited for', async () => {
  const script = 'trap "echo cleaned up; exit 5" INT; echo ready; while :; do read line || true; done';
  const running = launch(program, ['exec', '--data', server.folder, '--', 'sh', '-c', script]);
  await running.seen(/ready/);
  running.child.kill('SIGINT');
  expect(await running.finished).toMatchObject({ code: 5, stdout: 'ready\ncleaned up\n' });
});

test.concurrent('a signal while the throw-away server is starting runs nothing and leaves nothing', async () => {
  const temporary = await ownTemporary('ephemeral early');
  const running = launch(program, ['exec', '--ephemeral', '--', 'sh', '-c', 'echo ran'], {
    env: { TMPDIR: temporary },
  });
  for await (const { filename } of watch(temporary)) {
    if (filename?.startsWith('strongroom-')) break;
  }
  running.child.kill('SIGINT');
  expect(await running.finished).toMatchObject({ code: 130, stdout: '' });
  expect(await leftIn(temporary)).toEqual([]);
});

test.concurrent('a throw-away server listens on loopback alone, whatever the settings around it say', async () => {
  const script = `
    import { execFileSync } from 'node:child_process';
    import { connect } from 'node:net';
    import { dirname } from 'node:path';
    const data = dirname(process.env.NODE_EXTRA_CA_CERTS);
    const { port } = JSON.parse(execFileSync(process.argv[1], ['status', '--json', '--data', data]));
    // Loopback on most systems, but not the address that the server listens on.
    for (const host of ['127.0.0.1', '127.0.0.2']) {
      const socket = connect(port, host);
      await new Promise((resolve) => {
        socket.once('connect', () => resolve(console.log(host, 'open')));
        socket.once('error', () => resolve(console.log(host, 'closed')));
      });
      socket.destroy();
    }`;
  const words = ['node', '--input-type=module', '-e', script, program];
  const ran = await strongroom(['exec', '--ephemeral', '--', ...words], {
    env: { STRONGROOM_LISTEN: '0.0.0.0', STRONGROOM_DATA: folder.path },
  });
  expect(ran).toMatchObject({ code: 0, stdout: '127.0.0.1 open\n127.0.0.2 closed\n' });
});

/**
 * Proves that the operator's commands do what their help says, alike with a serving process and without one; that
 * `--json` is always JSON; and that what was not understood, failed or is not there has its own exit code.
 */
import { readFileSync } from 'node:fs';
import { cp, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/program.ts';
import {
  checkout,
  type Finished,
  fingerprint,
  launch,
  program,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';
import { makeCertificate } from '../support/sign-in.ts';

let folder: TemporaryFolder;
let server: ServerProcess;
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

/** Every command and the options that its help must name, besides --help. */
const help: Readonly<Record<string, readonly string[]>> = {
  start: [
    '--dev',
    '--listen',
    '--port',
    '--public-port',
    '--local-port',
    '--domain',
    '--tls-cert',
    '--tls-key',
    '--proxy-allow',
    '--log-level',
    '--data',
    '--config',
    '--passphrase-file',
  ],
  exec: ['--ephemeral', '--managed-identity', '--data', '--config'],
  env: ['--shell', '--managed-identity', '--json', '--data', '--config'],
  status: ['--json', '--data', '--config'],
  'vault create': [
    '--resource-group',
    '--location',
    '--sku',
    '--access-policies',
    '--retention-days',
    '--json',
  ],
  'vault list': ['--json', '--data', '--passphrase-file'],
  'vault show': ['--json', '--data', '--passphrase-file'],
  'vault set-policy': ['--secrets', '--keys', '--certificates', '--json', '--data', '--passphrase-file'],
  'vault rotate-key': ['--json', '--data', '--passphrase-file'],
  'identity create': [
    '--managed',
    '--system-assigned',
    '--resource-id',
    '--issuer',
    '--subject',
    '--public-client',
    '--redirect-uri',
    '--first-party',
    '--json',
  ],
  'identity create-user': ['--display-name', '--password-file', '--json', '--passphrase-file'],
  'identity set-password': ['--password-file', '--json', '--passphrase-file'],
  'identity create-group': ['--json'],
  'identity members': ['--json'],
  'identity add-member': ['--json'],
  'identity remove-member': ['--json'],
  'identity add-certificate': ['--days', '--json'],
  'identity add-federated': ['--name', '--issuer', '--subject', '--audience', '--json'],
  'identity enable': ['--json'],
  'identity disable': ['--json'],
  'identity delete': ['--json'],
  'identity directory-admin': ['--revoke', '--json'],
  'identity list': ['--json'],
  'identity secret': ['--days', '--json'],
  'identity secrets': ['--json'],
  'identity remove-secret': ['--json'],
  'identity grant': ['--role', '--vault', '--scope', '--json'],
  'identity grants': ['--json'],
  'identity revoke': ['--json'],
  'identity rotate-key': ['--revoke', '--json'],
  'root-key rotate': ['--json', '--passphrase-file'],
  'root-key protect': ['--new-passphrase-file', '--json', '--passphrase-file'],
  'audit verify': ['--json', '--passphrase-file'],
  backup: ['--force', '--json', '--data', '--passphrase-file', '--database-url', '--database-tls-ca'],
  restore: ['--json', '--data', '--passphrase-file', '--database-url-file'],
  'audit tail': ['--lines', '--follow'],
  version: ['--json'],
};

function commandOf(words: string): Command {
  return words.split(' ').reduce((command, word) => {
    const found = command.commands.find((each) => each.name() === word);
    if (found === undefined) throw new Error(`no command ${word}`);
    return found;
  }, buildProgram());
}

function leaves(command: Command, path: readonly string[] = []): string[] {
  if (command.commands.length === 0) return [path.join(' ')];
  return command.commands.flatMap((each) => leaves(each, [...path, each.name()]));
}

test.each(Object.entries(help))('%s --help names its options', (words, options) => {
  const text = commandOf(words).helpInformation();
  expect(text).toMatch(new RegExp(`^Usage: strongroom ${words} \\[options\\]`));
  for (const option of options) expect(text).toMatch(new RegExp(`^  (?:-., )?${option} .*\\S`, 'm'));
});

test('no command is left out here', () => {
  expect(leaves(buildProgram()).toSorted()).toEqual(Object.keys(help).toSorted());
});

test.concurrent('--help of a command goes to standard output', async () => {
  const ran = await strongroom(['vault', 'show', '--help']);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(ran.stdout).toMatch(/^Usage: strongroom vault show \[options\] <name>/);
});

test.concurrent('the first help lists every command', async () => {
  const { code, stdout } = await strongroom(['--help']);
  expect(code).toBe(0);
  for (const words of Object.keys(help))
    expect(stdout).toMatch(new RegExp(`^  ${words.split(' ')[0]} `, 'm'));
});

test.concurrent.each([
  ['no such command', ['open']],
  ['no such command of a group', ['vault', 'open']],
  ['no such option', ['status', '--nope']],
  ['a missing argument', ['vault', 'create']],
  ['an argument too many', ['vault', 'list', 'extra']],
  ['a number in words', ['identity', 'secret', 'x', '--days', 'many']],
  ['a missing option', ['identity', 'grant', 'x']],
  ['a file that is not there', ['identity', 'create-user', 'a@b.c', '--password-file', '/no/such/file']],
  ['a file without a certificate', ['identity', 'add-certificate', 'x', '/dev/null']],
  ['a choice that is none', ['env', '--shell', 'basic']],
  ['nothing to run', ['exec']],
  ['a group alone', ['vault']],
])('%s gives exit code 2 and a word of help, on standard error', async (_what, words) => {
  const { code, stdout, stderr } = await strongroom(words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(/^error: .*\n\(add --help for usage\)\n$|^Usage: /);
});

test.concurrent('version says what runs, and agrees with package.json', async () => {
  const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
  const json = JSON.parse((await strongroom(['version', '--json'])).stdout) as Record<string, string>;
  expect(json.strongroom).toBe(manifest.version);
  const { stdout } = await strongroom(['version']);
  expect(stdout).toBe(`strongroom ${json.strongroom} (Node.js ${json.node}, OpenSSL ${json.openssl})\n`);
});

test.concurrent('status of a serving process, in words and as JSON', async () => {
  const json = await strongroom(['status', '--json', '--data', server.folder]);
  const status = JSON.parse(json.stdout) as Record<string, unknown>;
  expect(status).toMatchObject({
    serving: true,
    pid: server.pid,
    port: server.port,
    localPort: server.localPort,
  });
  const { code, stdout } = await strongroom(['status', '--data', server.folder]);
  expect(code).toBe(0);
  expect(stdout).toContain(`yes, process ${server.pid}`);
});

test.concurrent('status without a server gives exit code 3 and makes nothing', async () => {
  const none = join(folder.path, 'none');
  expect(await strongroom(['status', '--data', none])).toEqual({
    code: 3,
    signal: null,
    stdout: '',
    stderr: `No server serves ${none}.\n`,
  });
  const json = await strongroom(['status', '--json', '--data', none]);
  expect([json.code, JSON.parse(json.stdout)]).toEqual([3, { serving: false, data: none }]);
  expect(await readdir(folder.path)).not.toContain('none');
});

test.concurrent('status sees past the socket that a killed server left', async () => {
  const copy = join(folder.path, 'left');
  const killed = await startProcess(copy);
  await killed.end('SIGKILL');
  expect(await readdir(copy)).toContain('control.sock');
  expect((await strongroom(['status', '--data', copy])).code).toBe(3);
  const again = await startProcess(copy);
  expect((await strongroom(['status', '--data', copy])).code).toBe(0);
  await again.end();
});

test.concurrent.each(['vault list', 'identity list', 'root-key rotate', 'audit verify'])(
  'where there is no Strongroom, %s says so and makes none',
  async (words) => {
    const name = `nowhere ${words}`;
    const ran = await strongroom([...words.split(' '), '--data', join(folder.path, name)]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/^strongroom: There is no Strongroom in .*\n$/);
    expect(await readdir(folder.path)).not.toContain(name);
  },
);

describe.each(['serving', 'stopped'])('the data is %s', (state) => {
  const data = () => (state === 'serving' ? server.folder : stopped);
  const run = (...words: string[]): Promise<Finished> => strongroom([...words, '--data', data()]);
  const json = async (...words: string[]) => {
    const ran = await run(...words, '--json');
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    // biome-ignore lint/suspicious/noExplicitAny: answers of many shapes
    return JSON.parse(ran.stdout) as any;
  };

  test('vaults are made, listed, shown, and given new keys', async () => {
    const made = await json('vault', 'create', 'second', '--retention-days', '7', '--sku', 'premium');
    expect(made).toMatchObject({ name: 'second', sku: 'premium', softDeleteRetentionInDays: 7 });
    expect((await json('vault', 'list')).vaults.map((vault: { name: string }) => vault.name)).toEqual([
      'dev',
      'second',
    ]);
    expect(await json('vault', 'show', 'SECOND')).toEqual(made);
    expect(await json('vault', 'rotate-key', 'second')).toEqual({ version: 2, moved: 0 });
  });

  test('identities are made, given secrets and roles, and have both taken away', async () => {
    const made = await json('identity', 'create', 'payroll');
    expect(made).toMatchObject({ name: 'payroll', kind: 'application' });
    const managed = await json('identity', 'create', 'robot', '--managed');
    expect(managed.kind).not.toBe(made.kind);

    const secret = await json('identity', 'secret', 'payroll', '--days', '30');
    expect(secret.secret).toMatch(/^\S{30,}$/);
    const listed = await run('identity', 'secrets', made.clientId, '--json');
    expect(JSON.parse(listed.stdout).secrets).toHaveLength(1);
    expect(listed.stdout).not.toContain(secret.secret);
    expect(secret.secret.startsWith(JSON.parse(listed.stdout).secrets[0].hint)).toBe(true);
    await json('identity', 'remove-secret', 'payroll', secret.keyId);
    expect((await json('identity', 'secrets', 'payroll')).secrets).toEqual([]);

    const grant = await json(
      'identity',
      'grant',
      'payroll',
      '--role',
      'Key Vault Secrets User',
      '--vault',
      'dev',
    );
    expect(grant).toMatchObject({ principalId: made.objectId, role: 'Key Vault Secrets User' });
    expect((await json('identity', 'grants', 'payroll')).grants).toEqual([grant]);
    await json('identity', 'revoke', grant.id);
    expect((await json('identity', 'grants', 'payroll')).grants).toEqual([]);
  });

  test('users are made with passwords that no command line shows, and are in groups', async () => {
    const file = join(folder.path, `password ${state}`);
    await writeFile(file, 'correct horse battery\nnot this\n', { mode: 0o600 });
    const ada = await json('identity', 'create-user', 'ada@example.com', '--password-file', file);
    expect(ada).toMatchObject({ kind: 'user', userName: 'ada@example.com', name: 'ada@example.com' });
    expect(ada).not.toHaveProperty('password');
    const bob = await json('identity', 'create-user', 'bob@example.com', '--display-name', 'Bob');
    expect(bob.password).toMatch(/^\S{20}$/);
    expect((await json('identity', 'set-password', 'bob@example.com')).password).not.toBe(bob.password);

    await json('identity', 'create-group', 'people');
    await json('identity', 'create-group', 'everyone');
    await json('identity', 'add-member', 'people', 'ada@example.com');
    await json('identity', 'add-member', 'everyone', 'people');
    const names = async (group: string) =>
      (await json('identity', 'members', group)).members.map((one: { name: string }) => one.name);
    expect([await names('people'), await names('everyone')]).toEqual([['ada@example.com'], ['people']]);
    await json('identity', 'remove-member', 'people', ada.objectId);
    expect(await names('people')).toEqual([]);
    expect((await run('identity', 'list')).stdout).toMatch(/^Bob +user +\S+$/m);
  });

  test('identities prove themselves by certificates and foreign tokens, are disabled, and deleted', async () => {
    const file = join(folder.path, `certificate ${state}`);
    const certificate = await makeCertificate(Date.now(), 'ec');
    await writeFile(file, `${certificate.keyPem}${certificate.pem}`, { mode: 0o600 });
    const made = await json('identity', 'create', 'builder', '--first-party', 'deployment');
    const kept = await json('identity', 'add-certificate', 'builder', file, '--days', '7');
    expect(kept).toMatchObject({
      kind: 'certificate',
      thumbprint: certificate.sha1.toString('hex').toUpperCase(),
    });
    const trust = ['--name', 'ci', '--issuer', 'https://ci.example', '--subject', 'repo'];
    const federated = await json('identity', 'add-federated', 'builder', ...trust);
    expect(federated).toMatchObject({ kind: 'federated', subject: 'repo' });
    const listed = await run('identity', 'secrets', 'builder');
    expect(listed.stdout).toMatch(/^\S+ +certificate +[0-9A-F]{40} +\S+\n\S+ +federated +repo +\S+$/m);
    await json('identity', 'remove-secret', 'builder', kept.keyId);
    expect((await json('identity', 'secrets', 'builder')).secrets).toHaveLength(1);

    expect(await json('identity', 'directory-admin', 'builder')).toMatchObject({
      directoryAdministrator: true,
    });
    expect(await json('identity', 'disable', 'builder')).toMatchObject({ enabled: false });
    expect(await json('identity', 'enable', 'builder')).not.toHaveProperty('enabled');
    expect(await json('identity', 'delete', 'builder')).toEqual({ removed: made.objectId });
    expect(await run('identity', 'secrets', 'builder')).toMatchObject({ code: 3 });
  });

  test('keys are rotated', async () => {
    expect(await json('identity', 'rotate-key')).toEqual({ rotated: true, revoked: false });
    expect(await json('identity', 'rotate-key', '--revoke')).toEqual({ rotated: true, revoked: true });
    expect((await json('root-key', 'rotate')).moved).toBeGreaterThan(0);
  });

  test('what the commands did is in the audit log, which is whole', async () => {
    const verified = await json('audit', 'verify');
    expect(verified).toMatchObject({ problems: [], problemCount: 0 });
    const { stdout } = await run('audit', 'tail', '-n', '1000');
    const names = stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { operationName: string }).operationName);
    for (const name of [
      'VaultPut',
      'PrincipalCreate',
      'ClientSecretCreate',
      'RoleAssignmentWrite',
      'RootKeyRotate',
    ]) {
      expect(names).toContain(name);
    }
    const words = await run('audit', 'verify');
    expect(words.stdout).toMatch(/^\d+ records in 1 files, from \S+Z to \S+Z\nThe audit log is whole\.\n$/);
  });
});

test.concurrent.each([
  [1, ['vault', 'create', 'dev']],
  [1, ['vault', 'create', 'under_score']],
  [1, ['vault', 'create', '../dev']],
  [3, ['vault', 'show', 'third']],
  [3, ['vault', 'rotate-key', 'third']],
  [1, ['identity', 'create', 'developer']],
  [3, ['identity', 'secret', 'nobody']],
  [1, ['identity', 'create-user', 'no address']],
  [1, ['identity', 'create-group', 'developer']],
  [3, ['identity', 'add-member', 'developer', 'administrator']],
  [3, ['identity', 'disable', 'nobody']],
  [3, ['identity', 'delete', 'nobody']],
  [1, ['identity', 'create', 'x', '--redirect-uri', 'relative']],
  [3, ['identity', 'revoke', '00000000-0000-4000-8000-000000000000']],
  [3, ['identity', 'grant', 'developer', '--role', 'No such', '--vault', 'dev']],
  [3, ['identity', 'grant', 'developer', '--role', 'Key Vault Reader', '--vault', 'third']],
  [1, ['identity', 'grant', 'developer', '--role', 'Key Vault Reader']],
])('exit code %i and one line for %j', async (code, words) => {
  const ran = await strongroom([...words, '--data', server.folder]);
  expect(ran).toMatchObject({ code, stdout: '' });
  expect(ran.stderr).toMatch(/^strongroom: [^\n]+\n$/);
});

test.concurrent('lists for people have headings', async () => {
  const { stdout } = await strongroom(['vault', 'list', '--data', server.folder]);
  expect(stdout.split('\n')[0]).toMatch(/^NAME +ADDRESS +SKU +PERMISSIONS$/);
  const three = await strongroom(['audit', 'tail', '-n', '3', '--data', server.folder]);
  expect(three.stdout.trimEnd().split('\n')).toHaveLength(3);
});

describe('an audit log that was changed', () => {
  async function changed(name: string, change: (text: string) => string): Promise<string> {
    const copy = join(folder.path, name);
    await cp(stopped, copy, { recursive: true });
    const file = join(copy, 'audit', 'audit-00000001.jsonl');
    await writeFile(file, change(readFileSync(file, 'utf8')), { mode: 0o600 });
    return copy;
  }
  const lines = (text: string) => text.trimEnd().split('\n');
  const changes: Record<string, (text: string) => string> = {
    'one byte is another': (text) => text.replace('"category":"AuditLog"', '"category":"AuditLoh"'),
    'a byte of the last record is another': (text) => {
      const all = lines(text);
      const last = all.at(-1) ?? '';
      return `${[...all.slice(0, -1), last.replace('"time":"2', '"time":"3')].join('\n')}\n`;
    },
    'a line is gone': (text) => `${lines(text).toSpliced(1, 1).join('\n')}\n`,
    'the end is gone': (text) => `${lines(text).slice(0, -2).join('\n')}\n`,
    'two lines are exchanged': (text) => {
      const all = lines(text);
      return `${[all[0], all[2], all[1], ...all.slice(3)].join('\n')}\n`;
    },
    'everything is gone': () => '',
  };

  test.concurrent.each(Object.entries(changes))(
    'is found out when %s, and nothing is written',
    async (what, change) => {
      const copy = await changed(`changed ${what}`, change);
      const before = fingerprint(copy);
      const json = await strongroom(['audit', 'verify', '--json', '--data', copy]);
      expect(json).toMatchObject({ code: 1, stderr: '' });
      expect(JSON.parse(json.stdout).problemCount).toBeGreaterThan(0);
      const words = await strongroom(['audit', 'verify', '--data', copy]);
      expect(words).toMatchObject({ code: 1, stderr: '' });
      expect(words.stdout).toContain('The audit log has been tampered with, or lost records.\n');
      expect(fingerprint(copy)).toEqual(before);
    },
  );

  test('no server starts on it, and the refusal says what to do', async () => {
    const copy = await changed('changed start', changes['one byte is another'] ?? ((text) => text));
    const before = fingerprint(copy);
    const ran = await strongroom(['start', '--dev', '--port', '0', '--local-port', '0', '--data', copy]);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(
      /^strongroom: The audit log is damaged: audit-00000001\.jsonl, line \d+: [^\n]*\n$/,
    );
    expect(fingerprint(copy)).toEqual(before);
  });
});

test('audit tail follows what a server writes, until it is interrupted', async () => {
  const following = launch(program, ['audit', 'tail', '-n', '1', '--follow', '--data', server.folder]);
  await following.seen(/\n/);
  await strongroom(['vault', 'create', 'followed', '--data', server.folder]);
  await following.seen(/"operationName":"VaultPut".*\n/);
  following.child.kill('SIGINT');
  const { code, stdout } = await following.finished;
  expect(code).toBe(0);
  for (const line of stdout.trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
});

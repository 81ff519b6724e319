/**
 * Proves that a backup taken while the server serves makes the same server again, on either database, for who has the
 * root key and nobody else; and that whatever is wrong with it is found before anything is changed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { systemClock } from '../../src/core/clock.ts';
import { systemRandom } from '../../src/crypto/random.ts';
import { fileProtection } from '../../src/crypto/root-key/protector.ts';
import { RootKeyFile } from '../../src/crypto/root-key/root-key-file.ts';
import { backUpServer, restoreServer } from '../../src/service.ts';
import { hasPostgres, newPostgresDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres-cluster.ts';
import {
  bareEnvironment,
  checkout,
  type Finished,
  filesBelow,
  fingerprint,
  program,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';
import {
  type Identity,
  makeIdentity,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import { makeVault, type VaultCaller } from '../support/vault-rest.ts';

let folder: TemporaryFolder;
let server: TestServer;
let reader: Identity;
let backup: string;
let rootKey: string;
let report: { rows: Record<string, number>; bytes: number; seconds: number; rootKeyId: string };
/** All that clients see of the server that was backed up. */
let expected: unknown;
let oldToken: string;

/** Whichever database this run is for. */
const onSqlite = { databaseUrl: undefined };
const at = (...path: string[]) => join(folder.path, ...path);
const big = 'x'.repeat(25_000);

beforeAll(async () => {
  folder = await temporaryFolder();
  server = await startTestServer({ settings: onSqlite });
  await populate(server);
  await makeVault(server, 'loaded');
  reader = await makeIdentity(server, 'reader', [{ role: 'Key Vault Secrets User', vault: 'dev' }]);
  oldToken = await tokenFor(server);
  expected = await everything(server);
  backup = at('server.backup');
  rootKey = at('root-key.json');
  copyFileSync(join(server.folder, 'root-key.json'), rootKey);
  report = await backUpUnderLoad();
});
afterAll(async () => {
  await server?.close();
  await folder?.remove();
});

async function populate(to: TestServer): Promise<void> {
  const call = vaultCaller(to, await tokenFor(to));
  const must = async (...request: Parameters<VaultCaller>) => {
    const reply = await call(...request);
    if (reply.status !== 200) throw new Error(`${request[1]}: ${reply.text}`);
    return reply;
  };
  await must('PUT', '/secrets/plain', { value: 'ünïcödé 🔑 "quoted"\n' });
  await must('PUT', '/secrets/Tagged', {
    value: '',
    contentType: 'text/plain',
    tags: { a: 'ä', empty: '' },
    attributes: { nbf: 1_600_000_000, exp: 4_000_000_000 },
  });
  await must('PUT', '/secrets/disabled', { value: 'no', attributes: { enabled: false } });
  await must('PUT', '/secrets/big', { value: big });
  for (let version = 0; version < 40; version += 1)
    await must('PUT', '/secrets/versioned', { value: `value ${version}` });
  for (const name of ['deleted', 'deleted-too']) {
    await must('PUT', `/secrets/${name}`, { value: `the old ${name}` });
    await must('PUT', `/secrets/${name}`, { value: name });
    await must('DELETE', `/secrets/${name}`);
  }
  await makeVault(to, 'other');
  const other = vaultCaller(to, await tokenFor(to), 'other');
  await other('PUT', '/secrets/plain', { value: 'of another vault' });
  await to.control('vault rotate-key', { name: 'other' });
  await other('PUT', '/secrets/newer', { value: 'under a newer key' });
}

/** Status and body of whatever can be read, without what comes and goes by the names `load-…`. */
async function everything(from: TestServer): Promise<unknown> {
  const token = await tokenFor(from);
  const seen: Record<string, unknown> = {};
  for (const vault of ['dev', 'other']) {
    const call = vaultCaller(from, token, vault);
    const look = async (path: string) => {
      const reply = await call('GET', path);
      seen[`${vault} ${path}`] = [reply.status, reply.json];
      return reply;
    };
    for (const kind of ['secrets', 'deletedsecrets']) {
      const { json } = await look(`/${kind}?maxresults=25`);
      for (const { id, recoveryId } of json.value as { id: string; recoveryId?: string }[]) {
        await look(new URL(recoveryId ?? id).pathname);
        const versions = await look(`${new URL(id).pathname}/versions`);
        for (const entry of (versions.json.value ?? []) as { id: string }[])
          await look(new URL(entry.id).pathname);
      }
    }
  }
  const control = (await from.control('vault list')) as { vaults: object[] };
  return {
    seen,
    vaults: control.vaults.map((vault) => ({ ...vault, vaultUri: undefined })),
    identities: await from.control('identity list'),
  };
}

/** Takes the backup while the server serves and writes. */
async function backUpUnderLoad() {
  const call = vaultCaller(server, await tokenFor(server), 'loaded');
  let isDone = false;
  const writing = (async () => {
    for (let n = 0; !isDone; n += 1) {
      const reply = await call('PUT', `/secrets/load-${n % 7}`, { value: `${n}` });
      if (reply.status !== 200) throw new Error(reply.text);
    }
  })();
  const ran = await strongroom(['backup', backup, '--json', '--data', server.folder]);
  isDone = true;
  await writing;
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ran.stdout);
}

/** A new folder with a root key in it. */
function newFolder(name: string, key = rootKey): string {
  mkdirSync(at(name), { mode: 0o700 });
  copyFileSync(key, at(name, 'root-key.json'));
  return at(name);
}

test('the report counts what is in the backup, which is private and has no half-made companion', () => {
  const { rows, ...rest } = report;
  expect(rows).toMatchObject({ root_keys: 1, vaults: 3, tenants: 1 });
  expect(rows.objects).toBeGreaterThanOrEqual(9);
  expect(rows.object_versions).toBeGreaterThanOrEqual(50);
  expect(rest).toMatchObject({ file: backup, bytes: statSync(backup).size });
  expect(rest.seconds).toBeGreaterThan(0);
  expect(statSync(backup).mode & 0o777).toBe(0o600);
  expect(existsSync(`${backup}.partial`)).toBe(false);
});

test('nothing but the name of the root key is readable in it', () => {
  const bytes = readFileSync(backup);
  const visible = bytes.toString('latin1').match(/[\x20-\x7e]{12,}/g) ?? [];
  expect(visible.slice(0, 2)).toEqual(['strongroom-backup/1', report.rootKeyId]);
  for (const word of ['vault', 'secret', 'tenant', 'plain', 'sealed_items', big.slice(0, 40)])
    expect(visible.join('\n')).not.toContain(`${word}`.padEnd(6, '_'));
});

/** Where a backup goes to: the arguments of commands, and the settings of the server. */
interface Target {
  readonly data: string;
  readonly args: readonly string[];
  readonly settings: Readonly<Record<string, unknown>>;
}

const databases: TestDatabase[] = [];
afterAll(async () => {
  for (const database of databases) await database.drop();
});

async function newTarget(kind: string, name: string): Promise<Target> {
  const data = newFolder(name);
  if (kind === 'sqlite') return { data, args: ['--data', data], settings: { data, ...onSqlite } };
  const database = await newPostgresDatabase();
  databases.push(database);
  const { url: databaseUrl } = database;
  return { data, args: ['--data', data, '--database-url', databaseUrl], settings: { data, databaseUrl } };
}

/** What was said on standard error, but for what is true of the tests' PostgreSQL. */
function complaintsOf({ stderr }: Finished): string[] {
  return stderr.split('\n').filter((line) => line !== '' && !line.includes('fsync is off'));
}

/** Restores the backup and compares the restored server with the one that was backed up. */
async function restored(
  from: string,
  kind: string,
  name: string,
): Promise<Target & { close(): Promise<void>; restored: TestServer }> {
  const target = await newTarget(kind, name);
  const ran = await strongroom(['restore', from, ...target.args]);
  expect([ran.code, complaintsOf(ran)]).toEqual([0, []]);
  expect(ran.stdout).toMatch(
    /^Restored 3 vaults, \d+ secrets, \d+ versions, 4 identities, \d+ role assignments from .* s\)\.\n$/,
  );
  const again = await startTestServer({ settings: target.settings });
  expect(await everything(again)).toEqual(expected);
  return { ...target, restored: again, close: () => again.close() };
}

describe.each(hasPostgres ? ['sqlite', 'postgres'] : ['sqlite'])('into %s', (kind) => {
  let target: Awaited<ReturnType<typeof restored>>;
  beforeAll(async () => {
    target = await restored(backup, kind, `first-${kind}`);
  });
  afterAll(() => target?.close());

  test('tokens, client secrets and roles are those of before', async () => {
    expect((await vaultCaller(target.restored, oldToken)('GET', '/secrets/plain')).status).toBe(200);
    const token = await tokenFor(target.restored, { identity: reader });
    const call = vaultCaller(target.restored, token);
    expect(await call('GET', '/secrets/big')).toMatchObject({ status: 200, json: { value: big } });
    expect((await call('PUT', '/secrets/big', { value: '' })).status).toBe(403);
    expect((await vaultCaller(target.restored, token, 'other')('GET', '/secrets/plain')).status).toBe(403);
  });

  test('each secret that was written meanwhile has the version that its head names', async () => {
    const call = vaultCaller(target.restored, await tokenFor(target.restored), 'loaded');
    const { json } = await call('GET', '/secrets');
    for (const { id } of json.value as { id: string }[]) {
      const path = new URL(id).pathname;
      const head = await call('GET', path);
      expect(head.status).toBe(200);
      const versions = (await call('GET', `${path}/versions`)).json.value as { id: string }[];
      const values = await Promise.all(
        versions.map(async (entry) => (await call('GET', new URL(entry.id).pathname)).json.value as string),
      );
      expect(Math.max(...values.map(Number))).toBe(Number(head.json.value));
    }
  });

  test('what was restored can be written to, recovered, backed up and restored once more', async () => {
    const again = at(`again-${kind}.backup`);
    const ran = await strongroom(['backup', again, ...target.args]);
    expect([ran.code, complaintsOf(ran)]).toEqual([0, []]);
    expect(ran.stdout).toContain(`Backed up 3 vaults, `);
    expect(ran.stdout).toContain('nobody can open this backup');
    await (await restored(again, 'sqlite', `second-${kind}`)).close();
    const call = vaultCaller(target.restored, await tokenFor(target.restored));
    expect((await call('POST', '/deletedsecrets/deleted/recover')).status).toBe(200);
    expect((await call('GET', '/secrets/deleted')).json.value).toBe('deleted');
    expect((await call('DELETE', '/deletedsecrets/deleted-too')).status).toBe(204);
    expect((await call('PUT', '/secrets/plain', { value: 'new' })).status).toBe(200);
  });

  test('the restore is in the audit log, which is whole', async () => {
    const log = readFileSync(join(target.data, 'audit', 'audit-00000001.jsonl'), 'utf8');
    const [record] = log.split('\n').filter((line) => line.includes('ServerRestore'));
    expect(JSON.parse(record ?? '{}')).toMatchObject({ resultType: 'Success' });
    expect((await strongroom(['audit', 'verify', ...target.args])).code).toBe(0);
  });

  test('a second restore is refused, while the server runs and when it is stopped', async () => {
    expect(await strongroom(['restore', backup, ...target.args])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: `strongroom: Another process is using ${target.data}. Stop the server first.\n`,
    });
    await target.restored.restart(async () => {
      const before = contentOf(target.data);
      const ran = await strongroom(['restore', backup, ...target.args]);
      expect(ran).toMatchObject({ code: 1, stdout: '' });
      expect(complaintsOf(ran)).toEqual([
        'strongroom: There is data here already. A backup is restored into an empty server only.',
      ]);
      expect(contentOf(target.data)).toEqual(before);
    });
  });
});

/** The folder's files but for those that hold nothing: the lock, and what SQLite makes when a file is looked at. */
function contentOf(data: string): Readonly<Record<string, string>> {
  const files = Object.entries(fingerprint(data));
  return Object.fromEntries(files.filter(([name]) => !/^(?:lock|strongroom\.db-(?:shm|wal))$/.test(name)));
}

async function assertRefused(file: string, data: string, message: string | RegExp): Promise<void> {
  const before = contentOf(data);
  const ran = await strongroom(['restore', file, '--data', data]);
  expect(ran).toMatchObject({ code: 1, stdout: '' });
  expect(ran.stderr).toMatch(/^strongroom: [^\n]*\n$/);
  expect(ran.stderr).toMatch(message);
  expect(contentOf(data)).toEqual(before);
}

describe('refused, with nothing changed:', () => {
  test('a backup that was altered or cut short, wherever', async () => {
    const data = newFolder('damaged');
    const whole = readFileSync(backup);
    const file = at('damaged.backup');
    const flipped = (position: number) => {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(position) ^ 0x10, position);
      return bytes;
    };
    const damaged = [
      whole.subarray(0, 60),
      whole.subarray(0, 200),
      whole.subarray(0, whole.length >> 1),
      whole.subarray(0, -1),
      Buffer.concat([whole, Buffer.alloc(1)]),
      Buffer.concat([whole, whole]),
      flipped(70),
      flipped(whole.length >> 1),
      flipped(whole.length - 1),
    ];
    const before = contentOf(data);
    const config = loadConfig({ flags: { data }, environment: {} });
    for (const bytes of damaged) {
      writeFileSync(file, bytes);
      await expect(restoreServer(config, { file })).rejects.toThrow(
        `${file} is damaged: it was altered or cut short. Nothing was restored.`,
      );
      expect(contentOf(data)).toEqual(before);
    }
    await assertRefused(file, data, 'is damaged');
    // The folder is still good for the whole one.
    expect((await strongroom(['restore', backup, '--data', data])).code).toBe(0);
  });

  test('another root key, no root key, and one that others can read', async () => {
    const other = at('other-root-key.json');
    await RootKeyFile.create({ clock: systemClock, random: systemRandom }, other, fileProtection);
    const wrong = newFolder('wrong-key', other);
    await assertRefused(backup, wrong, `opens with the root key ${report.rootKeyId} only`);
    mkdirSync(at('no-key'));
    await assertRefused(
      backup,
      at('no-key'),
      /There is no root key at .*Put there a copy of the root-key\.json/,
    );
    expect(filesBelow(at('no-key'))).toEqual([]);
    const open = newFolder('open-key');
    writeFileSync(join(open, 'root-key.json'), readFileSync(rootKey), { mode: 0o644 });
    chmodSync(join(open, 'root-key.json'), 0o644);
    await assertRefused(backup, open, 'chmod 600');
  });

  test('what is no backup, no file, or not there', async () => {
    const data = newFolder('no-backup');
    await assertRefused(rootKey, data, 'is not a backup of a Strongroom server');
    writeFileSync(at('empty'), '');
    await assertRefused(at('empty'), data, 'is not a backup of a Strongroom server');
    await assertRefused(at('nowhere'), data, 'there is no such file or folder');
    await assertRefused(folder.path, data, 'is not a file');
  });

  test('a backup over a file that is there, unless that is asked for', async () => {
    const file = at('precious');
    writeFileSync(file, 'precious');
    const ran = await strongroom(['backup', file, '--data', server.folder]);
    expect(ran).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('--force') });
    expect(readFileSync(file, 'utf8')).toBe('precious');
    expect((await strongroom(['backup', file, '--force', '--data', server.folder])).code).toBe(0);
    expect(readFileSync(file, 'latin1')).toMatch(/^strongroom-backup\/1\n/);
    const ofFolder = await strongroom(['backup', folder.path, '--force', '--data', server.folder]);
    expect(ofFolder).toMatchObject({ code: 1, stderr: expect.stringContaining('It is not a file') });
  });

  test('a backup of nothing, to nowhere, or beside what another run has begun', async () => {
    const none = await strongroom(['backup', at('none.backup'), '--data', at('none')]);
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no database in') });
    expect(existsSync(at('none'))).toBe(false);
    const nowhere = await strongroom(['backup', at('none', 'b'), '--data', server.folder]);
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('no such file or folder') });
    writeFileSync(at('begun.backup.partial'), 'half');
    const begun = await strongroom(['backup', at('begun.backup'), '--data', server.folder]);
    expect(begun).toMatchObject({ code: 1, stderr: expect.stringContaining('another run is under way') });
    expect(readFileSync(at('begun.backup.partial'), 'utf8')).toBe('half');
    expect(existsSync(at('begun.backup'))).toBe(false);
  });
});

/** A stopped server's folder that is the backup's. */
async function stoppedServer(name: string): Promise<string> {
  const data = newFolder(name);
  expect((await strongroom(['restore', backup, '--data', data])).code).toBe(0);
  return data;
}

test('a backup without a server changes nothing in the folder, and goes to standard output too', async () => {
  const data = await stoppedServer('stopped');
  const database = () => readFileSync(join(data, 'strongroom.db')).toString('latin1');
  const before = database();
  const child = spawn(program, ['backup', '-', '--data', data], {
    cwd: checkout,
    env: bareEnvironment(),
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.resume();
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(database()).toBe(before);
  writeFileSync(at('streamed.backup'), Buffer.concat(chunks));
  const into = newFolder('streamed');
  expect((await strongroom(['restore', at('streamed.backup'), '--data', into])).code).toBe(0);
});

test('a backup from the middle of a rotation needs the new root key only', async () => {
  const data = await stoppedServer('rotating');
  // What a rotation leaves that ends after the new key has become known, and before any row has moved.
  const script = `
    const { openStore } = await import(${JSON.stringify(join(checkout, 'src/service/data.ts'))});
    const { loadConfig } = await import(${JSON.stringify(join(checkout, 'src/config.ts'))});
    const { systemClock: clock } = await import(${JSON.stringify(join(checkout, 'src/core/clock.ts'))});
    const { systemRandom: random } = await import(${JSON.stringify(join(checkout, 'src/crypto/random.ts'))});
    const { silentLog: log } = await import(${JSON.stringify(join(checkout, 'src/core/log.ts'))});
    const { createRootSealedStore } = await import(${JSON.stringify(join(checkout, 'src/storage/sealing.ts'))});
    const config = loadConfig({ flags: { data: ${JSON.stringify(data)} }, environment: {} });
    const { db, rootKey, close } = await openStore({ config, clock, random, log });
    const before = rootKey.current.id;
    const id = rootKey.stage();
    const handover = { by: before, sealed: rootKey.sealUnder(id, before) };
    if (!(await createRootSealedStore(db).addRootKey({ id, handover }))) throw new Error('not added');
    rootKey.promote(id);
    await close();
    console.log(id);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [id] = (await once(child.stdout, 'data')).map((text) => String(text).trim());
  expect(await once(child, 'close')).toEqual([0, null]);
  const file = at('rotating.backup');
  const ran = await strongroom(['backup', file, '--json', '--data', data]);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ran.stdout)).toMatchObject({ rootKeyId: id, rows: { root_keys: 1 } });
  // Completes the rotation: the file holds the new key alone now.
  expect((await strongroom(['vault', 'list', '--data', data])).code).toBe(0);
  const keys = JSON.parse(readFileSync(join(data, 'root-key.json'), 'utf8')).keys as { id: string }[];
  expect(keys.map((key) => key.id)).toEqual([id]);
  const into = newFolder('rotated', join(data, 'root-key.json'));
  expect(await strongroom(['restore', file, '--data', into])).toMatchObject({ code: 0, stderr: '' });
  const again = await startTestServer({ settings: { data: into, ...onSqlite } });
  try {
    expect(await everything(again)).toEqual(expected);
    await again.control('root-key rotate');
    expect(await everything(again)).toEqual(expected);
  } finally {
    await again.close();
  }
  await assertRefused(file, newFolder('unrotated'), `opens with the root key ${id} only`);
});

test('another server’s root key beside the database makes no backup', async () => {
  const data = await stoppedServer('mixed-up');
  const other = at('mixed-up.json');
  await RootKeyFile.create({ clock: systemClock, random: systemRandom }, other, fileProtection);
  copyFileSync(other, join(data, 'root-key.json'));
  const foreign = await strongroom(['backup', at('mixed-up.backup'), '--data', data]);
  expect(foreign).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('not the one that sealed this data'),
  });
  // The same id over other bytes: what is sealed tells.
  const document = JSON.parse(readFileSync(rootKey, 'utf8'));
  document.keys[0].key = JSON.parse(readFileSync(other, 'utf8')).keys[0].key;
  writeFileSync(join(data, 'root-key.json'), JSON.stringify(document));
  const forged = await strongroom(['backup', at('mixed-up.backup'), '--data', data]);
  expect(forged).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('not the one that sealed this data'),
  });
  expect(existsSync(at('mixed-up.backup'))).toBe(false);
});

describe('cut short', () => {
  const configOf = (data: string) => loadConfig({ flags: { data }, environment: {} });

  /** Ends the work at its first sign of the step. */
  function endingAt(step: string) {
    const controller = new AbortController();
    const progress = (now: string) => {
      if (now === step) controller.abort();
    };
    return { signal: controller.signal, progress };
  }

  test('by a signal, a backup leaves no file and a restore no database', async () => {
    const to = { file: at('interrupted.backup'), replace: false };
    const message = 'Interrupted: nothing was written.';
    await expect(backUpServer(configOf(server.folder), { to, ...endingAt('reading') })).rejects.toThrow(
      message,
    );
    expect([to.file, `${to.file}.partial`].filter(existsSync)).toEqual([]);
    const data = newFolder('interrupted');
    for (const step of ['checking', 'writing']) {
      const ended = restoreServer(configOf(data), { file: backup, ...endingAt(step) });
      await expect(ended).rejects.toThrow(message);
      expect(filesBelow(data).sort()).toEqual(['lock', 'root-key.json']);
    }
  });

  /** Runs the command's work in a process that is gone, as by kill -9, once half of the step is done. */
  async function killedAt(step: string, run: string): Promise<void> {
    const script = `
      const { backUpServer, restoreServer } = await import(${JSON.stringify(join(checkout, 'src/service.ts'))});
      const { loadConfig } = await import(${JSON.stringify(join(checkout, 'src/config.ts'))});
      const configOf = (data) => loadConfig({ flags: { data }, environment: {} });
      const progress = (now, done, total) => {
        if (now === '${step}' && done >= total / 2) process.kill(process.pid, 'SIGKILL');
      };
      await ${run};`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
    expect(await once(child, 'close')).toEqual([null, 'SIGKILL']);
  }

  test('by a crash, a restore leaves an empty server, which can be filled', async () => {
    const data = newFolder('crashed');
    await killedAt(
      'writing',
      `restoreServer(configOf(${JSON.stringify(data)}), { file: ${JSON.stringify(backup)}, progress })`,
    );
    expect(filesBelow(data)).toContain('strongroom.db');
    expect(await strongroom(['restore', backup, '--data', data])).toMatchObject({ code: 0, stderr: '' });
    const again = await startTestServer({ settings: { data, ...onSqlite } });
    try {
      expect(await everything(again)).toEqual(expected);
    } finally {
      await again.close();
    }
  });

  test('by a crash, a backup has no file of its name', async () => {
    const file = at('crashed.backup');
    const to = JSON.stringify({ file, replace: false });
    await killedAt(
      'reading',
      `backUpServer(configOf(${JSON.stringify(server.folder)}), { to: ${to}, progress })`,
    );
    expect(existsSync(file)).toBe(false);
    expect(existsSync(`${file}.partial`)).toBe(true);
  });
});

test('a root key under a passphrase opens the backup with the passphrase only', async () => {
  const data = await stoppedServer('passphrase');
  const passphrase = at('passphrase.txt');
  writeFileSync(passphrase, 'correct horse battery staple\n', { mode: 0o600 });
  const protect = ['root-key', 'protect', '--new-passphrase-file', passphrase, '--data', data];
  expect((await strongroom(protect)).code).toBe(0);
  const file = at('passphrase.backup');
  const given = ['--passphrase-file', passphrase];
  const without = await strongroom(['backup', file, '--data', data]);
  expect(without).toMatchObject({ code: 1, stderr: expect.stringContaining('protected by a passphrase') });
  expect(existsSync(file)).toBe(false);
  expect((await strongroom(['backup', file, '--data', data, ...given])).code).toBe(0);
  cpSync(join(data, 'root-key.json'), at('protected.json'));
  const into = newFolder('from-passphrase', at('protected.json'));
  await assertRefused(file, into, 'protected by a passphrase');
  expect((await strongroom(['restore', file, '--data', into, ...given])).code).toBe(0);
});

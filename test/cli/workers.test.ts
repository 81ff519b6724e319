/**
 * Proves that the server of several processes starts, serves, is operated and stops as one does, and that its
 * supervisor holds no secret. What it does when processes die is in test/crash/processes.test.ts.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { chmod, cp, mkdir, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  apiVersion,
  connectTo,
  connectVault,
  controlOf,
  putSecret,
  readSecret,
  signIn,
} from '../support/cluster-client.ts';
import {
  childrenOf,
  hasProc,
  isAlive,
  killAll,
  processesOf,
  processOf,
} from '../support/cluster-processes.ts';
import { connectEach } from '../support/cluster-workers.ts';
import {
  findTool,
  launch,
  program,
  type RunOptions,
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';
import { memoryHolds } from '../support/process-memory.ts';

const two = ['--workers', '2'];

let folder: TemporaryFolder;
let data: string;
/** All that a test starts; what is left is killed. */
let servers: ServerProcess[];
beforeEach(async () => {
  folder = await temporaryFolder();
  data = join(folder.path, 'data');
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await killAll(server);
  await folder.remove();
});

async function start(args: readonly string[] = two, options: RunOptions = {}): Promise<ServerProcess> {
  const server = await startProcess(data, args, options);
  servers.push(server);
  return server;
}

describe.skipIf(!hasProc)('a server of two workers', () => {
  let own: TemporaryFolder;
  let server: ServerProcess;
  let token: string;
  let at: string;
  beforeAll(async () => {
    own = await temporaryFolder();
    at = join(own.path, 'data');
    server = await startProcess(at, two);
    token = await signIn(server);
  });
  afterAll(async () => {
    if (server !== undefined) await killAll(server);
    await own.remove();
  });

  test('serves with both, says so once, and answers the operator', async () => {
    expect(server.stdout().match(/serves at port/g)).toHaveLength(1);
    const { workers, writer } = processesOf(server.pid);
    expect([...workers.keys()].sort()).toEqual([1, 2]);
    expect(writer).toBeDefined();
    const status = await strongroom(['status', '--json', '--data', at]);
    expect(JSON.parse(status.stdout)).toMatchObject({ serving: true, port: server.port });

    const each = await connectEach(server, token, 2);
    await putSecret(each.at(1), 'shared', 'from one');
    expect(await readSecret(each.at(2), 'shared')).toBe('from one');
    await putSecret(each.at(2), 'shared', 'from two');
    expect(await readSecret(each.at(1), 'shared')).toBe('from two');
    each.close();
  });

  test.skipIf(findTool('curl') === undefined)(
    'exec reaches the workers through the loopback listener',
    async () => {
      const url = 'https://dev.vault.azure.net/secrets?api-version=7.4';
      const script = `for i in 1 2 3 4; do curl -s -o /dev/null -w '%{http_code} ' '${url}'; done`;
      const ran = await strongroom(['exec', '--data', at, '--', 'sh', '-c', script]);
      expect(ran).toMatchObject({ code: 0, stdout: '401 401 401 401 ' });
    },
  );

  test('the supervisor and the writer hold no root key in memory or environment', async () => {
    const text = keyTextOf(JSON.parse(readFileSync(join(at, 'root-key.json'), 'utf8')));
    const key = Buffer.from(text, 'base64');
    expect(key).toHaveLength(32);
    // The search itself is tried on a process that has the key.
    expect(memoryHolds(await processOf(server.pid, 1), key)).toBe(true);
    for (const pid of [server.pid, await processOf(server.pid, 'writer')]) {
      expect(memoryHolds(pid, key)).toBe(false);
      expect(memoryHolds(pid, Buffer.from(text))).toBe(false);
      expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain(text);
    }
  });

  test('stops with code 0, and nothing is left', async () => {
    const { workers, writer } = processesOf(server.pid);
    expect(await server.end()).toMatchObject({ code: 0, signal: null });
    for (const pid of [...workers.values(), writer ?? 0]) expect(isAlive(pid)).toBe(false);
    expect(await strongroom(['status', '--data', at])).toMatchObject({ code: 3 });
  });
});

describe.skipIf(!hasProc)('stopping several processes', () => {
  /** A request to set a secret whose body is sent only in part; `finish` sends the rest. */
  async function slowUpload(server: ServerProcess, token: string, name: string) {
    const host = 'dev.vault.azure.net';
    const body = JSON.stringify({ value: `slow ${name}` });
    const sent = request({
      host: '127.0.0.1',
      port: server.port,
      servername: host,
      ca: readFileSync(join(data, 'ca.pem')),
      agent: false,
      method: 'PUT',
      path: `/secrets/${name}${apiVersion}`,
      headers: {
        Host: host,
        Authorization: `Bearer ${token}`,
        'Content-Type': 'application/json',
        'Content-Length': body.length,
        Expect: '100-continue',
      },
    });
    sent.on('error', () => undefined);
    sent.flushHeaders();
    await once(sent, 'continue');
    sent.write(body.slice(0, 5));
    return async (): Promise<number> => {
      sent.end(body.slice(5));
      const [response] = await once(sent, 'response');
      response.resume();
      return response.statusCode;
    };
  }

  test('SIGTERM: requests under way in both workers are answered, then all end', async () => {
    const server = await start();
    const token = await signIn(server);
    const uploads = [];
    for (const name of ['a', 'b', 'c', 'd']) uploads.push(await slowUpload(server, token, name));
    const children = childrenOf(server.pid);
    const ended = server.end('SIGTERM');
    await server.seen(/strongroom: SIGTERM, finishing what is under way/);
    for (const finish of uploads) expect(await finish()).toBe(200);
    expect(await ended).toMatchObject({ code: 0, signal: null });
    expect(children.filter(isAlive)).toEqual([]);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s to the whole group: answered, code 0, said once',
    async (signal) => {
      const args = ['start', '--dev', '--data', data, '--port', '0', '--local-port', '0', ...two];
      const group = launch('setsid', [program, ...args]);
      const [, port] = await group.seen(/serves at port (\d+)[\s\S]*Stop with Ctrl-C\.\n/);
      const server = { ...group, folder: data, port: Number(port), localPort: 0, end: () => group.finished };
      const finish = await slowUpload(server, await signIn(server), 'grouped');
      process.kill(-group.pid, signal);
      await group.seen(new RegExp(`strongroom: ${signal}, finishing what is under way`));
      expect(await finish()).toBe(200);
      const { code, stderr } = await group.finished;
      expect({ code, stderr }).toEqual({
        code: 0,
        stderr: `strongroom: ${signal}, finishing what is under way\n`,
      });
    },
  );

  test('a stop that comes while a worker is being started again ends that one too', async () => {
    // A process that does not hear is killed after the drain: not within this test.
    const server = await start(two, { env: { STRONGROOM_DRAIN: '600000' } });
    const killed = await processOf(server.pid, 2);
    process.kill(killed, 'SIGKILL');
    await processOf(server.pid, 2, killed);
    const starting = childrenOf(server.pid);
    expect(await server.end('SIGTERM')).toMatchObject({ code: 0, signal: null });
    expect(starting.filter(isAlive)).toEqual([]);
  });
});

describe.skipIf(!hasProc)('a start of several processes that cannot be', () => {
  const begin = (args: readonly string[], at = data) =>
    strongroom(['start', '--dev', '--data', at, '--local-port', '0', ...args]);

  test('a port in use is refused in the words of a server of one process', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = ['--port', String((taken.address() as AddressInfo).port)];
    const one = await begin([...port, '--workers', '1']);
    const several = await begin([...port, ...two], join(folder.path, 'other'));
    taken.close();
    expect(several).toEqual(one);
    expect(several.code).toBe(1);
    expect(several.stderr).toMatch(/^strongroom: Port \d+ on 127\.0\.0\.1 is in use\. .*--port\.\n$/);
  });

  test('another server’s root key, none, and a second server on the folder are refused', async () => {
    const server = await start();
    const second = await begin(['--port', '0', ...two]);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(second.stderr).toBe(`strongroom: Another process is using ${data}.\n`);
    expect(await server.end()).toMatchObject({ code: 0 });

    const copy = join(folder.path, 'copy');
    await cp(data, copy, { recursive: true });
    await rm(join(copy, 'root-key.json'));
    const without = await begin(['--port', '0', ...two], copy);
    expect(without).toMatchObject({ code: 1, stdout: '' });
    expect(without.stderr).toMatch(/root-key\.json is missing/);

    const foreign = await startProcess(join(folder.path, 'foreign'));
    servers.push(foreign);
    await cp(join(foreign.folder, 'root-key.json'), join(copy, 'root-key.json'));
    await chmod(join(copy, 'root-key.json'), 0o600);
    const wrong = await begin(['--port', '0', ...two], copy);
    expect(wrong.stderr).toContain('The root key is not the one that sealed this data.');
  });
});

describe.skipIf(!hasProc)('operating several processes', () => {
  test('identities, vaults and rotated keys are known to all workers', async () => {
    const server = await start();
    const token = await signIn(server);
    const each = await connectEach(server, token, 2);
    await putSecret(each.at(1), 'old', 'sealed before');
    expect(await readSecret(each.at(2), 'old')).toBe('sealed before');
    const at = ['--json', '--data', data];
    for (const words of [
      ['vault', 'rotate-key', 'dev'],
      ['root-key', 'rotate'],
    ]) {
      const rotated = await strongroom([...words, ...at]);
      expect(rotated, rotated.stderr).toMatchObject({ code: 0 });
      for (const slot of [1, 2]) {
        expect(await readSecret(each.at(slot), 'old')).toBe('sealed before');
        await putSecret(each.at(slot), `new-${slot}`, `${words[0]} by ${slot}`);
      }
      for (const slot of [1, 2])
        expect(await readSecret(each.at(3 - slot), `new-${slot}`)).toBe(`${words[0]} by ${slot}`);
    }
    each.close();

    expect(await strongroom(['vault', 'create', 'second', ...at])).toMatchObject({ code: 0 });
    const made = JSON.parse((await strongroom(['identity', 'create', 'reader', ...at])).stdout);
    const { secret } = await controlOf<{ secret: string }>(server, 'identity secret', { identity: 'reader' });
    const grant = await controlOf<{ id: string }>(server, 'identity grant', {
      identity: 'reader',
      role: 'Key Vault Secrets User',
      vault: 'second',
    });
    const bearer = await signIn(server, { clientId: made.clientId, clientSecret: secret });
    const headers = { Authorization: `Bearer ${bearer}` };
    const statuses = async () => {
      const all = [];
      // Connections go to the workers in turn.
      for (let index = 0; index < 4; index += 1) {
        const vault = connectTo(server, 'second.vault.azure.net', headers);
        all.push((await vault.send('GET', `/secrets/none${apiVersion}`)).status);
        vault.close();
      }
      return all;
    };
    expect(await statuses()).toEqual([404, 404, 404, 404]);
    await controlOf(server, 'identity revoke', { id: grant.id });
    expect(await statuses()).toEqual([403, 403, 403, 403]);
    expect(await server.end()).toMatchObject({ code: 0 });

    // What was rotated opens again with what is in the folder.
    const again = await start();
    const vault = connectVault(again, await signIn(again));
    expect(await readSecret(vault, 'old')).toBe('sealed before');
    expect(await readSecret(vault, 'new-2')).toBe('root-key by 2');
    vault.close();
  });

  test('a root key under a passphrase is opened by each worker, and after a rotation by the next one', async () => {
    await mkdir(data, { mode: 0o700 });
    const passphrase = join(folder.path, 'passphrase');
    writeFileSync(passphrase, 'correct horse battery staple\n', { mode: 0o600 });
    const args = [...two, '--passphrase-file', passphrase];
    const server = await start(args);
    expect(readFileSync(join(data, 'root-key.json'), 'utf8')).toContain('passphrase');
    const token = await signIn(server);
    const vault = connectVault(server, token);
    await putSecret(vault, 'kept', 'always');
    const rotated = await strongroom(['root-key', 'rotate', '--json', '--data', data]);
    expect(rotated, rotated.stderr).toMatchObject({ code: 0 });
    vault.close();
    const killed = await processOf(server.pid, 2);
    process.kill(killed, 'SIGKILL');
    await processOf(server.pid, 2, killed);
    const each = await connectEach(server, token, 2);
    for (const slot of [1, 2]) expect(await readSecret(each.at(slot), 'kept')).toBe('always');
    each.close();
    expect(await server.end()).toMatchObject({ code: 0 });
  });
});

/** The one string of the file that is a key's length. */
function keyTextOf(value: unknown): string {
  if (typeof value === 'string') {
    return /^[A-Za-z0-9+/_-]{43}=?$/.test(value) ? value : '';
  }
  if (typeof value !== 'object' || value === null) return '';
  for (const each of Object.values(value)) {
    const found = keyTextOf(each);
    if (found !== '') return found;
  }
  return '';
}

/**
 * Proves what a server of several processes does when one of them is killed or stopped: what it had is closed, the
 * others serve on, nothing waits for ever, and what died comes back.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  apiVersion,
  type Connection,
  connectVault,
  controlOf,
  putSecret,
  readSecret,
  signIn,
} from '../support/cluster-client.ts';
import { type Knock, knockPlain, knockTls } from '../support/cluster-knocks.ts';
import {
  childrenOf,
  hasProc,
  isAlive,
  killAll,
  processesOf,
  processOf,
  until,
  whileStopped,
} from '../support/cluster-processes.ts';
import { connectEach } from '../support/cluster-workers.ts';
import {
  type ServerProcess,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

describe.skipIf(!hasProc)('of two workers and a writer', () => {
  let folder: TemporaryFolder;
  let data: string;
  let server: ServerProcess;
  let token: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
    data = join(folder.path, 'data');
    server = await startProcess(data, ['--workers', '2']);
    token = await signIn(server);
  });
  afterAll(async () => {
    if (server !== undefined) await killAll(server);
    await folder.remove();
  });

  test('a worker that was stopped through a change does not answer with what it knew', async () => {
    const each = await connectEach(server, token, 2);
    await putSecret(each.at(1), 'changed', 'old');
    expect(await readSecret(each.at(2), 'changed')).toBe('old');
    const { answer } = await whileStopped(await processOf(server.pid, 2), async () => {
      await putSecret(each.at(1), 'changed', 'new');
      // The request is in its socket when it goes on.
      return { answer: readSecret(each.at(2), 'changed') };
    });
    expect(await answer).toBe('new');
    each.close();
  });

  test.each([1, 2])('worker %i dies: the other serves on, and it comes back', async (victim) => {
    const each = await connectEach(server, token, 2);
    const survivor = each.at(3 - victim);
    await putSecret(survivor, 'kept', 'always');
    const killed = await processOf(server.pid, victim);
    process.kill(killed, 'SIGKILL');
    let served = 0;
    await until(async () => {
      expect(await readSecret(survivor, 'kept')).toBe('always');
      await putSecret(survivor, 'written-meanwhile', String(served));
      served += 1;
      const now = processesOf(server.pid).workers.get(victim);
      return now !== undefined && now !== killed;
    });
    expect(served).toBeGreaterThan(0);
    each.close();
    const again = await connectEach(server, token, 2);
    expect(await readSecret(again.at(victim), 'kept')).toBe('always');
    again.close();
    // The operator's socket is the first worker's, and comes back with it.
    await until(async () => (await strongroom(['status', '--data', data])).code === 0);
  });

  test('connections that a worker was handed and did not take end with it, and later ones are answered', async () => {
    const listeners = [() => knockTls(server.port), () => knockPlain(server.localPort)];
    const pid = await processOf(server.pid, 2);
    const handed: Knock[] = [];
    await whileStopped(pid, async () => {
      for (const listener of listeners) {
        // In turn: one goes to each worker, and all others to the one that takes them.
        const knocks = Array.from({ length: 4 }, listener);
        const waiting = () => knocks.filter((knock) => knock.state() === 'waiting');
        await until(() => waiting().length === 1);
        handed.push(...waiting());
      }
      process.kill(pid, 'SIGKILL');
    });
    await until(() => handed.every((knock) => knock.state() === 'closed'));
    await processOf(server.pid, 2, pid);
    for (let round = 0; round < 10; round += 1) {
      const knocks = listeners.map((listener) => listener());
      await until(() => knocks.every((knock) => knock.state() === 'answered'));
      for (const knock of knocks) knock.close();
    }
  });

  test('an operator’s command ends with the worker that has it, and can be repeated', async () => {
    const pid = await processOf(server.pid, 1);
    const asked = await whileStopped(pid, async () => {
      // It reaches the socket of the one that is stopped before that ends: connecting needs nobody's consent.
      const socket = connect(join(data, 'control.sock'));
      await once(socket, 'connect');
      socket.write('POST / HTTP/1.1\r\n');
      const ended = new Promise<string>((resolve) => {
        socket.once('error', ({ name }) => resolve(name)).once('close', () => resolve('closed'));
      });
      process.kill(pid, 'SIGKILL');
      return { ended };
    });
    expect(await asked.ended).toMatch(/Error|closed/);
    await until(() =>
      controlOf(server, 'status').then(
        () => true,
        () => false,
      ),
    );
  });

  test('the writer dies: writes wait or are refused with 503, and go on when it is back', async () => {
    const vault = connectVault(server, token);
    await putSecret(vault, 'before', '1');
    process.kill(await processOf(server.pid, 'writer'), 'SIGKILL');
    await until(async () => {
      expect(await readSecret(vault, 'before')).toBe('1');
      return isWritten(vault, 'after');
    });
    expect(await readSecret(vault, 'after')).toBe('written');
    vault.close();
  });

  test('the writer is stopped: writes are refused with 503, reads are from the disk, and all goes on', async () => {
    const each = await connectEach(server, token, 2);
    await putSecret(each.at(1), 'known', 'before');
    for (const slot of [1, 2]) expect(await readSecret(each.at(slot), 'known')).toBe('before');
    const stopped = await processOf(server.pid, 'writer');
    await whileStopped(stopped, async () => {
      // Without the writer nobody says that something has changed: what is there is seen all the same.
      disableOnDisk(join(data, 'strongroom.db'), 'known');
      await until(async () => (await readSecret(each.at(1), 'known')) === 403);
      await until(async () => (await readSecret(each.at(2), 'known')) === 403);
      const refused = isWritten(each.at(1), 'meanwhile');
      expect(await isWritten(each.at(2), 'meanwhile')).toBe(false);
      expect(await refused).toBe(false);
      expect(await readSecret(each.at(1), 'kept')).toBe('always');
    });
    for (const slot of [1, 2]) await until(() => isWritten(each.at(slot), 'again'));
    expect(await processOf(server.pid, 'writer')).toBe(stopped);

    // Killed, it leaves its lock to the next one.
    await whileStopped(stopped, async () => {
      const refused = isWritten(each.at(1), 'cut');
      process.kill(stopped, 'SIGKILL');
      await refused;
    });
    for (const slot of [1, 2]) {
      await until(() => isWritten(each.at(slot), 'by-the-next'));
      expect(await readSecret(each.at(3 - slot), 'by-the-next')).toBe('written');
    }
    each.close();
  });

  test('the supervisor is killed: its processes end, and the next start works at once', async () => {
    const vault = connectVault(server, token);
    await putSecret(vault, 'kept', 'always');
    const orphans = childrenOf(server.pid);
    expect(orphans).toHaveLength(3);
    process.kill(server.pid, 'SIGKILL');
    const ended = server.finished;
    server = await startProcess(data, ['--workers', '2']);
    expect(await ended).toMatchObject({ signal: 'SIGKILL' });
    const again = connectVault(server, token);
    expect(await readSecret(again, 'kept')).toBe('always');
    await putSecret(again, 'kept', 'still');
    await until(() => !orphans.some(isAlive));
    vault.close();
    again.close();
    expect(await server.end()).toMatchObject({ code: 0, signal: null });
  });

  /** Whether a write was done; what is not done is refused with 503 and the time of the next attempt. */
  async function isWritten(vault: Connection, name: string): Promise<boolean> {
    const { status, retryAfter } = await vault.send('PUT', `/secrets/${name}${apiVersion}`, {
      value: 'written',
    });
    if (status === 200) return true;
    expect([status, retryAfter]).toEqual([503, '1']);
    return false;
  }

  function disableOnDisk(path: string, name: string): void {
    const database = new DatabaseSync(path);
    const { changes } = database
      .prepare(
        'update object_versions set enabled = 0 where name_key in (select name_key from objects where name = ?)',
      )
      .run(name);
    database.close();
    expect(changes).toBe(1);
  }
});

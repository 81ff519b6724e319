/**
 * Proves that of several processes one rotates a key that is due, once, and records it once; and that a leader which was
 * stopped beyond its lease rotates nothing when it goes on.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { type Connection, connectVault, signIn } from '../support/cluster-client.ts';
import { hasProc, until, whileStopped } from '../support/cluster-processes.ts';
import { type FastNode, useFastNodes } from '../support/fast-nodes.ts';
import type { Running } from '../support/process.ts';

const version = '?api-version=7.4';
const nodes = useFastNodes();

function rotationsSaid({ stdout, stderr }: Running, name: string): number {
  const lines = `${stdout()}${stderr()}`.split('\n');
  return lines.filter((line) => line.includes('key: rotated') && line.includes(`"name":"${name}"`)).length;
}

function rotationsRecorded(own: string, name: string): number {
  const audit = join(own, 'audit');
  const files = readdirSync(audit, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.jsonl'),
  );
  const lines = files.flatMap((file) => readFileSync(join(audit, file), 'utf8').split('\n'));
  return lines.filter((line) => line.includes('"KeyRotateIfDue"') && line.includes(`/keys/${name}/`)).length;
}

const policy = {
  lifetimeActions: [{ trigger: { timeAfterCreate: 'P7D' }, action: { type: 'Rotate' } }],
};

async function createKey(vault: Connection, name: string): Promise<void> {
  for (const [method, path, body] of [
    ['POST', 'create', { kty: 'EC' }],
    ['PUT', 'rotationpolicy', policy],
  ] as const) {
    expect(await vault.send(method, `/keys/${name}/${path}${version}`, body)).toMatchObject({ status: 200 });
  }
}

async function versionsOf(vault: Connection, name: string): Promise<number> {
  return (await vault.send('GET', `/keys/${name}/versions${version}`)).json.value.length;
}

describe.skipIf(!hasProc)('two workers over SQLite', () => {
  test('the one that leads rotates; the one that has led does not', async () => {
    const own = nodes.folderOf('workers');
    await mkdir(own, { mode: 0o700 });
    await nodes.start(own, 'writer');
    const old = await nodes.start(own, '1');
    const sql = new DatabaseSync(join(own, 'strongroom.db'), { timeout: 5_000 });
    const leads = (worker: FastNode) =>
      sql
        .prepare(`select holder from leases where name = 'jobs' and holder like ?`)
        .get(`%/${worker.pid}/%`) !== undefined;
    /** As if it had been made long ago. */
    const makeDue = (name: string) => {
      for (const statement of [
        'update object_versions set created = 1 where kind = ? and name_key = ?',
        'update objects set due_at = 1 where kind = ? and name_key = ?',
      ]) {
        expect(sql.prepare(statement).run('keys', name.toUpperCase()).changes).toBe(1);
      }
    };
    await until(() => leads(old));
    const next = await nodes.start(own, '2');
    const workers = [old, next];
    const vault = connectVault(next, await signIn(old));
    for (const name of ['first', 'second', 'third']) await createKey(vault, name);

    makeDue('first');
    await until(() => workers.some((worker) => rotationsSaid(worker, 'first') > 0));
    // On a busy machine a lease is soon over here, and the lead may have moved on.
    const [leader, follower] = leads(old) ? [old, next] : [next, old];
    await whileStopped(leader.pid, async () => {
      makeDue('second');
      await until(() => leads(follower));
      await until(() => rotationsSaid(follower, 'second') > 0);
    });
    await leader.seen(/The lead was lost to another process/);
    makeDue('third');
    await until(() => workers.some((worker) => rotationsSaid(worker, 'third') > 0));

    for (const name of ['first', 'second', 'third']) {
      const said = workers.map((worker) => rotationsSaid(worker, name));
      expect([name, said.reduce((sum, count) => sum + count)]).toEqual([name, 1]);
      await until(() => rotationsRecorded(own, name) > 0);
      expect([name, await versionsOf(vault, name), rotationsRecorded(own, name)]).toEqual([name, 2, 1]);
    }
    expect(rotationsSaid(leader, 'second')).toBe(0);
    vault.close();
    sql.close();
  });
});

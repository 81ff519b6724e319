/**
 * Proves how nodes share one PostgreSQL: with the address from a flag, the environment or a file, only with the root
 * key of the data, and through a rotation of that key by one of them while the other serves.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Connection, connectVault, signIn } from '../support/cluster-client.ts';
import { type Node, startNodes } from '../support/cluster-nodes.ts';
import { until } from '../support/cluster-processes.ts';
import { hasPostgres, newPostgresDatabase } from '../support/postgres.ts';
import { startPostgres, type TestDatabase } from '../support/postgres-cluster.ts';
import { strongroom, type TemporaryFolder, temporaryFolder } from '../support/process.ts';

const version = '?api-version=7.4';

interface RootKeyText {
  readonly current: string;
  readonly keys: readonly { readonly id: string }[];
}

describe.skipIf(!hasPostgres)('nodes on one PostgreSQL', () => {
  let folder: TemporaryFolder;
  let database: TestDatabase;
  let nodes: Node[] = [];
  beforeAll(async () => {
    folder = await temporaryFolder();
    database = await newPostgresDatabase();
    nodes = await startNodes(folder.path, database.url, { nodes: 2 });
  });
  afterAll(async () => {
    for (const node of nodes) await node.kill();
    await database?.drop();
    await folder?.remove();
  });

  const rootKeyOf = ({ folder: own }: Node): RootKeyText =>
    JSON.parse(readFileSync(join(own, 'root-key.json'), 'utf8'));
  const put = async (vault: Connection, name: string, value: string) =>
    expect(await vault.send('PUT', `/secrets/${name}${version}`, { value })).toMatchObject({ status: 200 });
  const read = async (vault: Connection, name: string) =>
    (await vault.send('GET', `/secrets/${name}${version}`)).json.value;

  test('a rotation by one node: the other serves on, and its file has the new key', async () => {
    const [one, two] = nodes;
    if (one === undefined || two === undefined) throw new Error('two nodes were started');
    const token = await signIn(one);
    const vaults = [connectVault(one, token), connectVault(two, token)] as const;
    await put(vaults[0], 'before', 'sealed under the old key');
    expect(await read(vaults[1], 'before')).toBe('sealed under the old key');
    const rotated = await strongroom(['root-key', 'rotate', '--json', '--data', one.folder]);
    expect(rotated, rotated.stderr).toMatchObject({ code: 0 });
    const { keyId } = JSON.parse(rotated.stdout) as { keyId: string };
    expect(rootKeyOf(one).current).toBe(keyId);
    await until(async () => {
      expect(await read(vaults[1], 'before')).toBe('sealed under the old key');
      return rootKeyOf(two).current === keyId;
    });
    await put(vaults[1], 'after', 'by the other node');
    expect(await read(vaults[1], 'after')).toBe('by the other node');
    for (const vault of vaults) vault.close();
    // Each opens the data with its own file alone.
    for (const node of nodes) {
      await node.kill();
      await node.start();
      const vault = connectVault(node, await signIn(node));
      expect(await read(vault, 'after')).toBe('by the other node');
      vault.close();
    }
  });

  const begin = (name: string, args: readonly string[], env: Record<string, string> = {}) =>
    strongroom(
      ['start', '--dev', '--data', join(folder.path, name), '--port', '0', '--local-port', '0', ...args],
      { env },
    );

  test.each([
    ['a flag', (url: string) => [['--database-url', url], {}] as const],
    ['the environment', (url: string) => [[], { STRONGROOM_DATABASE_URL: url }] as const],
    [
      'a file',
      (url: string) => {
        const file = join(folder.path, 'url');
        writeFileSync(file, `${url}\n`, { mode: 0o600 });
        return [['--database-url-file', file], {}] as const;
      },
    ],
  ])('a node without the root key is refused, its database named by %s', async (_what, given) => {
    const [args, env] = given(database.url);
    for (const workers of ['1', '2']) {
      const ran = await begin('without', [...args, '--workers', workers, '--log-level', 'silent'], env);
      expect(ran).toMatchObject({ code: 1, stdout: '' });
      expect(ran.stderr).toMatch(
        /^strongroom: The root key .*root-key\.json is missing, and the database cannot be opened without it\..*\n$/,
      );
    }
  });

  test('a wrong password is refused without being repeated', async () => {
    const hba = ['host all all 127.0.0.1/32 scram-sha-256'];
    const cluster = await startPostgres({ hba });
    const url = cluster.url.replace('postgres@', 'postgres:hunter2-is-wrong@');
    const ran = await begin('password', ['--database-url', url, '--workers', '2']);
    await cluster.remove();
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toMatch(/strongroom: The database at 127\.0\.0\.1:\d+ cannot be used: .*password/);
    expect(ran.stderr).not.toContain('hunter2');
  });
});

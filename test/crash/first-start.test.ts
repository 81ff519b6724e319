/**
 * Proves that a first start which is killed half-way leaves a folder that the next start completes: the root key,
 * the database, the audit log and the development identities are all made in several steps.
 */
import { type FSWatcher, watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  launch,
  program,
  startProcess,
  strongroom,
  type TemporaryFolder,
  temporaryFolder,
} from '../support/process.ts';

let folder: TemporaryFolder;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

/** Resolves at the folder's change number `count`, or when the banner is out. */
function changed(watcher: FSWatcher, count: number): Promise<void> {
  let seen = 0;
  return new Promise((resolve) => {
    watcher.on('change', () => {
      seen += 1;
      if (seen === count) resolve();
    });
  });
}

test.concurrent.each([1, 3, 8, 18, 30])('killed at change %i of its folder', async (count) => {
  const data = join(folder.path, `at ${count}`);
  await mkdir(data, { mode: 0o700 });
  const watcher = watch(data);
  const reached = changed(watcher, count);
  const starting = launch(program, ['start', '--dev', '--data', data, '--port', '0', '--local-port', '0']);
  await Promise.race([reached, starting.seen(/Stop with Ctrl-C/)]);
  starting.child.kill('SIGKILL');
  expect((await starting.finished).signal).toBe('SIGKILL');
  watcher.close();

  const server = await startProcess(data);
  const script =
    'test -n "$AZURE_CLIENT_SECRET" && test -r "$NODE_EXTRA_CA_CERTS" && test -r "$SSL_CERT_FILE"';
  expect(await strongroom(['exec', '--data', data, '--', 'sh', '-c', script])).toMatchObject({ code: 0 });
  const { stdout } = await strongroom(['vault', 'list', '--json', '--data', data]);
  expect((JSON.parse(stdout) as { vaults: { name: string }[] }).vaults.map(({ name }) => name)).toEqual([
    'dev',
  ]);
  expect((await strongroom(['audit', 'verify', '--data', data])).code).toBe(0);
  expect(await server.end()).toMatchObject({ code: 0 });
});

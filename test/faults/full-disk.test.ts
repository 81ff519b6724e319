/**
 * Proves on a real file system without room (a small tmpfs, which needs root) that every write is refused with the
 * 503, that reads are not answered unrecorded, and that the server goes on by itself when there is room again.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditedDuring } from '../support/audit-records.ts';
import { optional } from '../support/optional.ts';
import {
  onPostgres,
  type RawResponse,
  startTestServer,
  type TestServer,
  tokenFor,
  vaultCaller,
} from '../support/server.ts';
import type { VaultCaller } from '../support/vault-rest.ts';
import { stateOf, writeOperations } from './operations.ts';

const mount = mountSmallDisk();
afterAll(() => mount?.unmount());

/** A file system of sixteen megabytes; undefined where none can be had. */
function mountSmallDisk(): { folder: string; unmount: () => void } | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  const unmount = () => {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  };
  return { folder, unmount };
}

/** Takes all the room that is left; answers a function that gives it back. */
function fill(folder: string): () => void {
  const path = join(folder, 'filler');
  const descriptor = openSync(path, 'w');
  const page = Buffer.alloc(4096, 1);
  try {
    while (statfsSync(folder).bavail > 0) writeSync(descriptor, page);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return () => {
    ftruncateSync(descriptor, 0);
    closeSync(descriptor);
  };
}

const hasDisk = optional('a full file system', mount !== undefined, 'only root can mount one');
const folder = mount?.folder ?? '';

/** A server whose data folder is on the small disk; its audit log too, unless it has a place elsewhere. */
async function startThere(
  name: string,
  auditFolder?: string,
): Promise<{ server: TestServer; call: VaultCaller }> {
  const data = join(folder, name);
  if (auditFolder !== undefined) {
    mkdirSync(data);
    symlinkSync(auditFolder, join(data, 'audit'));
  }
  const server = await startTestServer({ settings: { data } });
  const call = vaultCaller(server, await tokenFor(server));
  await call('PUT', '/secrets/acknowledged', { value: 'before' });
  await call('GET', '/secrets/acknowledged');
  return { server, call };
}

async function expectAllThere(server: TestServer, call: VaultCaller): Promise<void> {
  await server.restart();
  expect((await call('GET', '/secrets/acknowledged')).json.value).toBe('before');
  expect(await server.control('audit verify')).toMatchObject({ problems: [] });
}

describe.skipIf(!hasDisk)('a full disk', () => {
  let server: TestServer;
  let call: VaultCaller;
  beforeAll(async () => {
    ({ server, call } = await startThere('both'));
  });
  afterAll(() => server.close());

  test.each(writeOperations)('$name is refused, undone, and done when there is room', async (operation) => {
    const secret = operation.name.replaceAll(' ', '-');
    const prepared = await operation.prepare(call, secret);
    const before = await stateOf(call, secret);
    const free = fill(folder);
    // The last page of the log may have room for a few more records.
    let told: RawResponse;
    do told = await call('GET', '/secrets/acknowledged');
    while (told.status === 200);
    const refused = await operation.send(call, secret, prepared);
    free();
    expect([told.status, told.text.includes('before')]).toEqual([503, false]);
    expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
    // It finds out by a request, which is refused and recorded, that there is room.
    while ((await call('GET', '/secrets/acknowledged')).status === 503);
    expect(await stateOf(call, secret)).toEqual(before);
    expect((await operation.send(call, secret, prepared)).status).toBe(operation.done);
  });

  test('what was acknowledged is there after a restart, and the audit log is whole', () =>
    expectAllThere(server, call));
});

describe.skipIf(!hasDisk || onPostgres)('a full disk with the audit log on another', () => {
  let server: TestServer;
  let call: VaultCaller;
  const elsewhere = mkdtempSync(join(tmpdir(), 'strongroom-log-'));
  beforeAll(async () => {
    ({ server, call } = await startThere('alone', elsewhere));
  });
  afterAll(async () => {
    await server.close();
    rmSync(elsewhere, { recursive: true });
  });

  test.each(writeOperations)(
    '$name is refused by SQLite, recorded, and undone; reads go on',
    async (operation) => {
      const secret = operation.name.replaceAll(' ', '-');
      const prepared = await operation.prepare(call, secret);
      const before = await stateOf(call, secret);
      const free = fill(folder);
      const records = await auditedDuring(server, async () => {
        const refused = await operation.send(call, secret, prepared);
        expect([refused.status, refused.headers['retry-after']]).toEqual([503, '1']);
      });
      const during = await stateOf(call, secret);
      const cached = await call('GET', '/secrets/acknowledged');
      free();
      expect(records.map(({ properties }) => properties.httpStatusCode)).toEqual([503]);
      expect(during).toEqual(before);
      expect(cached.json.value).toBe('before');
      expect((await operation.send(call, secret, prepared)).status).toBe(operation.done);
    },
  );

  test('what was acknowledged is there after a restart, and the audit log is whole', () =>
    expectAllThere(server, call));
});

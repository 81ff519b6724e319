/** Proves what becomes of keys through the official `KeyClient`: lists, deletion, backup, rotation, release policies. */
import type { KeyClient } from '@azure/keyvault-keys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manualClock } from '../support/identity.ts';
import { keyClient, refusal } from '../support/key-clients.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { makeVault } from '../support/vault-rest.ts';

const clock = manualClock(Math.floor(Date.now() / 1000) * 1000);
const vaultUrl = 'https://dev.vault.azure.net';

let server: TestServer;
let client: KeyClient;
beforeAll(async () => {
  server = await startTestServer({ clock });
  client = keyClient(server);
});
afterAll(() => server.close());

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of pages) items.push(item);
  return items;
}

describe('lists', () => {
  test('of keys, versions and deleted keys, in pages as large as asked for, each once', async () => {
    await makeVault(server, 'lists', { sku: 'premium' });
    const there = keyClient(server, { vault: 'lists' });
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) await there.createEcKey(name, { tags: { name } });
    const versions = [await there.getKey('a'), await there.createEcKey('a'), await there.createEcKey('a')];

    const listed = await all(there.listPropertiesOfKeys());
    expect(listed.map(({ name }) => name)).toEqual(names);
    expect(listed[1]).toMatchObject({ id: 'https://lists.vault.azure.net/keys/b', tags: { name: 'b' } });
    expect(listed[1]?.version).toBeUndefined();
    const pages = await all(there.listPropertiesOfKeys().byPage({ maxPageSize: 2 }));
    expect(pages.map((page) => page.map(({ name }) => name))).toEqual([['a', 'b'], ['c', 'd'], ['e']]);

    const ids = versions.map(({ id }) => id).sort();
    expect((await all(there.listPropertiesOfKeyVersions('a'))).map(({ id }) => id)).toEqual(ids);
    const byTwo = await all(there.listPropertiesOfKeyVersions('a').byPage({ maxPageSize: 2 }));
    expect(byTwo.map((page) => page.length)).toEqual([2, 1]);
    expect(await all(there.listPropertiesOfKeyVersions('nosuch'))).toEqual([]);

    for (const name of ['b', 'd', 'e']) await (await there.beginDeleteKey(name)).pollUntilDone();
    expect((await all(there.listPropertiesOfKeys())).map(({ name }) => name)).toEqual(['a', 'c']);
    const deleted = await all(there.listDeletedKeys().byPage({ maxPageSize: 2 }));
    expect(deleted.map((page) => page.map(({ name }) => name))).toEqual([['b', 'd'], ['e']]);
    expect(deleted[0]?.[0]?.properties).toMatchObject({
      recoveryId: 'https://lists.vault.azure.net/deletedkeys/b',
      tags: { name: 'b' },
      deletedOn: new Date(clock.now()),
      scheduledPurgeDate: new Date(clock.now() + 90 * 86_400_000),
    });
  });
});

describe('deletion', () => {
  test('deleted, read, recovered, deleted again by a poller that was written down, and purged', async () => {
    const made = await client.createEcKey('gone', { tags: { kept: 'yes' } });
    const deleted = await (await client.beginDeleteKey('gone')).pollUntilDone();
    expect(deleted.key).toEqual(made.key);
    expect(deleted.properties).toMatchObject({
      ...made.properties,
      recoveryId: `${vaultUrl}/deletedkeys/gone`,
      deletedOn: new Date(clock.now()),
      scheduledPurgeDate: new Date(clock.now() + 90 * 86_400_000),
    });
    expect(await client.getDeletedKey('gone')).toEqual(deleted);
    await expect(client.getKey('gone')).rejects.toEqual(refusal(404, 'KeyNotFound', /gone/));
    await expect(client.createEcKey('gone')).rejects.toEqual(
      refusal(409, 'Conflict', /^Key gone is currently in a deleted but recoverable state/),
    );
    const recovered = await (await client.beginRecoverDeletedKey('gone')).pollUntilDone();
    expect(recovered.properties.version).toBe(made.properties.version);
    expect(await client.getKey('gone')).toEqual(made);

    const written = (await client.beginDeleteKey('gone')).toString();
    const resumed = await client.beginDeleteKey('gone', { resumeFrom: written });
    expect((await resumed.pollUntilDone()).name).toBe('gone');
    await client.purgeDeletedKey('gone');
    await expect(client.getDeletedKey('gone')).rejects.toEqual(
      refusal(404, 'KeyNotFound', 'Deleted Key not found: gone'),
    );
    await expect(client.beginRecoverDeletedKey('gone')).rejects.toEqual(refusal(404, 'KeyNotFound', /gone/));
  });

  test('backup and restore keep every version, its id, and what its key does', async () => {
    const versions = [
      await client.createEcKey('kept', { tags: { n: '1' } }),
      await client.createEcKey('kept'),
    ];
    const digest = Buffer.alloc(32, 3);
    const by = client.getCryptographyClient('kept', { keyVersion: `${versions[0]?.properties.version}` });
    const { result: signature } = await by.sign('ES256', digest);
    const backup = await client.backupKey('kept');
    expect(backup?.length).toBeGreaterThan(100);
    if (backup === undefined) return;
    await expect(client.restoreKeyBackup(backup)).rejects.toEqual(
      refusal(409, 'Conflict', /^There was a conflict restoring the key 'https:/),
    );
    await (await client.beginDeleteKey('kept')).pollUntilDone();
    await client.purgeDeletedKey('kept');
    const restored = await client.restoreKeyBackup(backup);
    expect(restored).toEqual(versions[1]);
    for (const version of versions)
      expect(await client.getKey('kept', { version: `${version.properties.version}` })).toEqual(version);
    expect((await by.verify('ES256', digest, signature)).result).toBe(true);
    expect((await by.verify('ES256', digest, (await by.sign('ES256', digest)).result)).result).toBe(true);
    await expect(client.restoreKeyBackup(backup.subarray(1))).rejects.toEqual(
      refusal(400, 'Malformed backup blob', /^Backup blob /),
    );
  });
});

describe('rotation', () => {
  test('a policy that was never set, one that was, and what rotation makes under it', async () => {
    const made = await client.createEcKey('turning', { curve: 'P-384', keyOps: ['sign'], tags: { t: '1' } });
    const unset = await client.getKeyRotationPolicy('turning');
    expect(unset).toMatchObject({
      lifetimeActions: [{ action: 'Notify', timeBeforeExpiry: 'P30D' }],
    });
    expect([unset.id, unset.expiresIn, unset.createdOn]).toEqual([undefined, undefined, undefined]);
    const policy = {
      expiresIn: 'P90D',
      lifetimeActions: [
        { action: 'Rotate' as const, timeAfterCreate: 'P30D' },
        { action: 'Notify' as const, timeBeforeExpiry: 'P20D' },
      ],
    };
    const set = await client.updateKeyRotationPolicy('turning', policy);
    expect(set).toMatchObject({ ...policy, id: `${vaultUrl}/keys/turning/rotationpolicy` });
    expect(await client.getKeyRotationPolicy('turning')).toEqual(set);

    const rotated = await client.rotateKey('turning');
    expect(rotated).toMatchObject({ keyType: 'EC', keyOperations: ['sign'] });
    expect(rotated.key?.crv).toBe('P-384');
    expect(rotated.key?.x).not.toEqual(made.key?.x);
    expect(rotated.properties.version).not.toBe(made.properties.version);
    expect(rotated.properties.expiresOn).toEqual(new Date(clock.now() + 90 * 86_400_000));
    expect(await client.getKey('turning')).toEqual(rotated);
    await expect(client.rotateKey('nosuch')).rejects.toEqual(refusal(404, 'KeyNotFound', /nosuch/));
    await expect(client.getKeyRotationPolicy('nosuch')).rejects.toEqual(
      refusal(404, 'KeyNotFound', /nosuch/),
    );
  });
});

describe('release', () => {
  const policy = (immutable: boolean, equals: string) => {
    const condition = { authority: 'https://attest.test', allOf: [{ claim: 'c', equals }] };
    const document = JSON.stringify({ version: '1.0.0', anyOf: [condition] });
    return { encodedPolicy: Buffer.from(document), immutable };
  };

  test('exportable keys have a policy, others have none', async () => {
    await expect(client.createEcKey('release-1', { hsm: true, exportable: true })).rejects.toEqual(
      refusal(400, 'BadParameter', 'AKV.SKR.1004: Exportable keys must have release policy.'),
    );
    await expect(
      client.createEcKey('release-1', { hsm: true, exportable: false, releasePolicy: policy(false, 'x') }),
    ).rejects.toEqual(
      refusal(400, 'BadParameter', 'AKV.SKR.1005: Non-exportable keys must not have release policy.'),
    );
    await expect(client.getKey('release-1')).rejects.toEqual(refusal(404, 'KeyNotFound', /./));
  });

  test('a policy changes until it is immutable', async () => {
    const made = await client.createEcKey('release-2', {
      hsm: true,
      exportable: true,
      releasePolicy: policy(false, 'x'),
    });
    expect(made.properties.exportable).toBe(true);
    expect(Buffer.from(made.properties.releasePolicy?.encodedPolicy ?? '').toString()).toContain(
      '"equals":"x"',
    );
    expect(made.properties.releasePolicy?.contentType).toBe('application/json; charset=utf-8');
    const changed = await client.updateKeyProperties('release-2', { releasePolicy: policy(true, 'y') });
    expect(changed.properties.releasePolicy?.immutable).toBe(true);
    const again = client.updateKeyProperties('release-2', { releasePolicy: policy(false, 'z') });
    await expect(again).rejects.toEqual(
      refusal(400, 'BadParameter', 'AKV.SKR.1020: Immutable Key Release Policy cannot be modified.'),
    );
    expect((await client.getKey('release-2')).properties).toEqual(changed.properties);
  });

  test('a key that is not exportable is not released', async () => {
    await client.createEcKey('stays', { hsm: true });
    await expect(client.releaseKey('stays', 'a.b.c')).rejects.toEqual(refusal(403, 'Forbidden', /./));
    await expect(client.releaseKey('nosuch', 'a.b.c')).rejects.toEqual(refusal(404, 'KeyNotFound', /nosuch/));
  });
});

/** Proves that deleted vaults go when their time comes, whole, recorded, and by the process alone that leads. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTestDomain, secretGrant, type TestDomain } from '../../test/support/domain.ts';
import { secretActions as actions } from '../authorization/actions.ts';
import { silentLog } from '../core/log.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { purgeDueVaults } from '../domain/vaults/deleted-vaults.ts';
import { createManagedVaults } from '../domain/vaults/managed-vaults.ts';
import type { Vault, VaultRecord } from '../domain/vaults/vault.ts';
import { fenced, LeaseLost } from '../storage/database.ts';
import { createLeaseStore } from '../storage/leases.ts';
import { createVaultStore } from '../storage/vaults.ts';
import type { Fence } from './lease-store.ts';
import { purgeVaultsJob } from './purge-vaults.ts';

let domain: TestDomain;
let fence: Fence;

beforeEach(async () => {
  domain = await openTestDomain();
  const lease = await createLeaseStore(domain.data.db).take('jobs', 'test', undefined);
  fence = { lease: 'jobs', term: lease?.term ?? 0 };
});
afterEach(() => domain.close());

const day = 86_400_000;
const store = () => createVaultStore(domain.data.db);

async function deletedVault(name: string, more: object = {}): Promise<Vault> {
  const vault = await domain.vault(name, more);
  const value = SecretBytes.fromText('v');
  const unset = { enabled: undefined, notBefore: undefined, expires: undefined };
  await domain.core.secrets.set(secretGrant(vault, actions.set, 's'), {
    ...unset,
    ...{ contentType: undefined, tags: undefined, value },
  });
  const { clock, random } = domain.tools;
  const vaults = createManagedVaults({ store: store(), vaultKeys: domain.core.vaultKeys, clock, random });
  expect(await vaults.remove(vault)).toBe(true);
  return vault;
}

function job(audit: { writable: boolean; purged: string[] }) {
  return purgeVaultsJob({
    log: silentLog,
    purgeDue: (by) =>
      purgeDueVaults({ store: createVaultStore(fenced(domain.data.db, by)), clock: domain.clock }),
    audit: {
      assertWritable() {
        if (!audit.writable) throw new Error('the audit log is full');
      },
      purged: async ({ name }) => void audit.purged.push(name),
    },
  });
}

test('a vault goes with everything in it when its retention ends, protected or not, and no other does', async () => {
  const short = await deletedVault('short', { softDeleteRetentionInDays: 7 });
  const guarded = await deletedVault('guarded', {
    softDeleteRetentionInDays: 7,
    enablePurgeProtection: true,
  });
  await deletedVault('long');
  await domain.vault('alive', { softDeleteRetentionInDays: 7 });
  const audit = { writable: true, purged: [] as string[] };
  const { run } = job(audit);
  domain.clock.advance(7 * day - 1);
  await run(fence);
  expect(audit.purged).toEqual([]);
  domain.clock.advance(1);
  await run(fence);
  expect(audit.purged.sort()).toEqual(['guarded', 'short']);
  expect((await store().list()).map(({ name }) => name)).toEqual(['alive', 'long']);
  for (const { id } of [short, guarded]) {
    for (const table of ['objects', 'object_versions', 'vault_keys'] as const) {
      const rows = await domain.data.db.read
        .selectFrom(table)
        .selectAll()
        .where('vault_id', '=', id)
        .execute();
      expect(rows).toEqual([]);
    }
  }
  await run(fence);
  expect(audit.purged).toHaveLength(2);
});

test('what a purge that was cut short has left goes too, though its time has not come', async () => {
  const { id } = await deletedVault('cut-short');
  await store().beginPurge({ id, now: domain.clock.now(), atWish: true });
  await store().purgeSome(id);
  await domain.reopen();
  const audit = { writable: true, purged: [] as string[] };
  await job(audit).run(fence);
  expect(audit.purged).toEqual(['cut-short']);
  expect(await store().byName('cut-short')).toBeUndefined();
});

test('nothing goes that cannot be recorded, and nothing by who does not lead any more', async () => {
  await deletedVault('kept');
  domain.clock.advance(90 * day);
  const audit = { writable: false, purged: [] as string[] };
  await expect(job(audit).run(fence)).rejects.toThrow('the audit log is full');
  audit.writable = true;
  await expect(job(audit).run({ ...fence, term: fence.term + 1 })).rejects.toThrow(LeaseLost);
  expect(await store().byName('kept')).toBeDefined();
  await job(audit).run(fence);
  expect(audit.purged).toEqual(['kept']);
});

test('what is under way elsewhere is ended before anything is gone, and for vaults that go alone', async () => {
  const short = await deletedVault('short', { softDeleteRetentionInDays: 7 });
  await deletedVault('long', { softDeleteRetentionInDays: 90 });
  domain.clock.advance(7 * day);
  const ended: unknown[] = [];
  const beforePurge = async ({ name }: VaultRecord) => {
    const asked = { version: undefined, outContentType: undefined };
    const kept = await domain.core.secrets.get(secretGrant(short, actions.get, 's'), asked);
    ended.push([name, kept.value?.exposeText()]);
  };
  for await (const { name } of purgeDueVaults({ store: store(), clock: domain.clock, beforePurge })) {
    expect(name).toBe('short');
  }
  expect(ended).toEqual([['short', 'v']]);
});

test('one that cannot be removed does not hold up the others', async () => {
  const { id } = await deletedVault('stuck', { softDeleteRetentionInDays: 7 });
  await deletedVault('freed', { softDeleteRetentionInDays: 7 });
  domain.clock.advance(7 * day);
  const { purgeSome, ...rest } = store();
  const failing = {
    ...rest,
    purgeSome: (of: string) => (of === id ? Promise.reject(new Error('a damaged row')) : purgeSome(of)),
  };
  const gone: string[] = [];
  const purge = async () => {
    for await (const { name } of purgeDueVaults({ store: failing, clock: domain.clock })) gone.push(name);
  };
  await expect(purge()).rejects.toThrow('a damaged row');
  expect(gone).toEqual(['freed']);
});

/** Proves that what the job does with keys is written under the lead, and by nobody who has lost it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDomain, type TestDomain } from '../../test/support/domain.ts';
import { noChoices } from '../../test/support/key-domain.ts';
import { type Action, keyActions as actions } from '../authorization/actions.ts';
import { systemGrant } from '../authorization/grant.ts';
import type { DueKey } from '../domain/keys/rotation.ts';
import type { Vault } from '../domain/vaults/vault.ts';
import type { Fence } from '../jobs/lease-store.ts';
import { createLeaseStore } from '../storage/leases.ts';

let domain: TestDomain;
let vault: Vault;
beforeAll(async () => {
  domain = await openTestDomain();
  vault = await domain.vault('led');
});
afterAll(() => domain.close());

async function takeLead(holder: string): Promise<Fence> {
  const leases = createLeaseStore(domain.data.db);
  const taken = await leases.take('jobs', holder, await leases.read('jobs'));
  if (taken === undefined) throw new Error('the lead cannot be taken');
  return { lease: 'jobs', term: taken.term };
}

async function runDue(fence: Fence): Promise<DueKey[]> {
  const done: DueKey[] = [];
  for await (const each of domain.core.keys.runDue(fence, vault)) done.push(each);
  return done;
}

test('a rotation and a mark under a lead that was lost are refused, and done by the one who has it', async () => {
  const { keys, rotation } = domain.core.keys;
  const grant = (action: Action, name: string) => systemGrant(vault, action, { kind: 'keys', name });
  const spec = { type: 'EC', curve: 'P-256' } as const;
  const expires = Math.floor(domain.clock.now() / 1000) + 10 * 86_400;
  await keys.create(grant(actions.create, 'rotated'), { ...noChoices, spec });
  await keys.create(grant(actions.create, 'marked'), { ...noChoices, spec, expires });
  const after = { trigger: { timeAfterCreate: 'P7D' }, action: { type: 'Rotate' } };
  const policy = { lifetimeActions: [after], expiryTime: undefined };
  await rotation.setPolicy(grant(actions.setRotationPolicy, 'rotated'), policy);
  domain.clock.advance(8 * 86_400_000);

  const lost = await takeLead('one');
  const held = await takeLead('another');
  const refused = await runDue(lost);
  expect(refused.map(({ name, what }) => [name, what])).toEqual([
    ['marked', 'failed'],
    ['rotated', 'failed'],
  ]);
  for (const { error } of refused) expect(error).toMatchObject({ name: 'LeaseLost' });
  const page = { limit: 5, after: undefined };
  expect((await keys.listVersions(grant(actions.list, 'rotated'), page)).items).toHaveLength(1);
  expect((await runDue(held)).map(({ name, what }) => [name, what])).toEqual([
    ['marked', 'nearExpiry'],
    ['rotated', 'rotated'],
  ]);
  expect(await runDue(held)).toEqual([]);
});

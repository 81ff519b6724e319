/** What stores refuse whose writes are under locks: in the write's own transaction, so that no lock comes too late. */
import { describe, expect, it } from 'vitest';
import type { RoleAssignment, RoleAssignmentStore } from '../../src/authorization/role-assignments.ts';
import type { RoleDefinition, RoleDefinitionStore } from '../../src/authorization/role-definitions.ts';
import type { DirectoryStore } from '../../src/domain/resources/directory-store.ts';
import type { Lock, LockLevel, LockStore } from '../../src/domain/resources/lock-store.ts';
import {
  identityId,
  type UserAssignedIdentityStore,
} from '../../src/domain/resources/user-assigned-identity-store.ts';
import type { VaultStore } from '../../src/domain/vaults/vault-store.ts';
import type { ObjectWriter } from '../../src/domain/versioned/object-store.ts';
import type { PrincipalStore } from '../../src/identity/principals.ts';
import { guid, objectKey, sealedVersion, vaultKeyRow, vaultRecord } from './rows.ts';
import { federatedCredential, identityRecord } from './user-assigned-identity-store.ts';

interface Stores {
  readonly directory: DirectoryStore;
  readonly vaults: VaultStore;
  readonly assignments: RoleAssignmentStore;
  readonly definitions: RoleDefinitionStore;
  readonly writer: ObjectWriter;
  readonly identities: UserAssignedIdentityStore;
  readonly principals: PrincipalStore;
}

/** Stores of one database: those under locks, and the same for those whom no lock concerns. */
export interface LockedStores {
  readonly locked: Stores;
  readonly free: Stores;
  readonly locks: LockStore;
}

const subscriptionId = guid(901);
const subscription = `/subscriptions/${subscriptionId}`;
const place = { subscriptionId, name: 'Group.1' };
const group = `${subscription}/resourceGroups/Group.1`;
const vault = `${group}/providers/Microsoft.KeyVault/vaults/Vault-1`;
const wasIdentity = identityRecord(31);
const identity = identityId(wasIdentity);
const wasCredential = federatedCredential(wasIdentity.objectId);
const now = 1_800_000_000_000;

function lockOn(scope: string, level: LockLevel): Lock {
  return { scope, name: 'keep', level, notes: undefined, owners: [] };
}

const assignment: RoleAssignment = {
  ...{ id: guid(1), tenantId: guid(900), principalId: guid(100), roleId: guid(200), scope: vault },
  created: 1,
};
const definition: RoleDefinition = {
  ...{ id: guid(2), tenantId: guid(900), name: 'role', description: '', condition: undefined },
  ...{ actions: [], notActions: [], dataActions: [], notDataActions: [], assignableScopes: [group] },
  ...{ created: 1, updated: 2, createdBy: guid(3), updatedBy: guid(3) },
};
const putDefinition = { definition, was: undefined, most: 10 };

/** A live vault, a deleted one, a group, an assignment, a role and an identity: something for everything to be done with. */
async function seeded(makeStores: () => Promise<LockedStores>): Promise<LockedStores> {
  const stores = await makeStores();
  const { directory, vaults, assignments, definitions, identities, principals } = stores.free;
  await directory.addTenant({ id: guid(900), name: 't' });
  await directory.addSubscription({ id: subscriptionId, tenantId: guid(900), name: 's' });
  await directory.addResourceGroup({ ...place, location: 'local', tags: {} });
  for (const n of [1, 2]) await vaults.add(vaultRecord(n), vaultKeyRow(guid(n)));
  await vaults.remove(vaultRecord(2), now);
  await assignments.add(assignment);
  await definitions.put(putDefinition);
  await identities.add(wasIdentity);
  await principals.addCredential(wasCredential);
  return stores;
}

const wasGroup = { ...place, location: 'local', tags: {} };
const wasDeleted = vaultRecord(2, { deleted: { at: now, purgeAt: now + 90 * 86_400_000 } });

type Act = (stores: Stores) => Promise<unknown>;
/** Every write that a caller of the management plane can ask for: what it is done to, and how. */
const writes: readonly [name: string, scope: string, act: Act][] = [
  ['a vault is made', group, ({ vaults }) => vaults.add(vaultRecord(3), vaultKeyRow(guid(3)))],
  [
    'a vault is changed',
    vault,
    ({ vaults }) => vaults.replace(vaultRecord(1, { tags: { a: 'b' } }), vaultRecord(1)),
  ],
  [
    'a vault is recovered',
    group,
    ({ vaults }) => vaults.recover({ was: wasDeleted, now, updatedBy: undefined }),
  ],
  ['a vault is purged', subscription, ({ vaults }) => vaults.beginPurge({ id: guid(2), now, atWish: true })],
  [
    'a group is made',
    subscription,
    ({ directory }) => directory.addResourceGroup({ ...wasGroup, name: 'new' }),
  ],
  [
    'a group is changed',
    group,
    ({ directory }) => directory.replaceResourceGroup({ ...wasGroup, tags: { a: 'b' } }, wasGroup),
  ],
  [
    'a subscription is tagged',
    subscription,
    ({ directory }) => directory.replaceSubscriptionTags(subscriptionId, { a: 'b' }, {}),
  ],
  [
    'a tag name is made',
    subscription,
    ({ directory }) => directory.replaceTagNames(subscriptionId, { a: [] }, {}),
  ],
  [
    'a role is given',
    vault,
    ({ assignments }) =>
      assignments.put({
        assignment: { ...assignment, id: guid(9), roleId: guid(201) },
        place: {},
        isCustomRole: false,
        most: 10,
      }),
  ],
  [
    'a role is written',
    group,
    ({ definitions }) =>
      definitions.put({ ...putDefinition, definition: { ...definition, description: 'x' }, was: definition }),
  ],
  ['an identity is made', group, ({ identities }) => identities.add(identityRecord(32))],
  [
    'an identity is changed',
    identity,
    ({ identities }) => identities.replace({ ...wasIdentity, tags: {} }, wasIdentity),
  ],
  [
    'a credential is added',
    identity,
    ({ principals }) => principals.addCredential({ ...wasCredential, keyId: guid(701) }),
  ],
  ['a credential is changed', identity, ({ principals }) => principals.replaceCredential(wasCredential)],
  [
    'a secret is set',
    vault,
    ({ writer }) =>
      writer.change(objectKey(1, 'S'), { version: undefined }, () => ({
        head: {
          name: 's',
          currentVersion: sealedVersion(1).version,
          deletedAt: undefined,
          purgeAt: undefined,
          detail: undefined,
          dueAt: undefined,
        },
        add: [sealedVersion(1)],
        result: true,
      })),
  ],
];
const deletions: readonly [name: string, scope: string, act: Act][] = [
  ['a vault is deleted', vault, ({ vaults }) => vaults.remove(vaultRecord(1), now)],
  ['a group is deleted', group, ({ directory }) => directory.removeResourceGroup({ ...place, now })],
  ['a role is taken', vault, ({ assignments }) => assignments.remove({ id: assignment.id, was: assignment })],
  ['an identity is deleted', identity, ({ identities }) => identities.remove(wasIdentity)],
  [
    'a credential is removed',
    identity,
    ({ principals }) => principals.removeCredential(wasIdentity.objectId, wasCredential.keyId),
  ],
  ['a role is removed', group, ({ definitions }) => definitions.remove(definition)],
];

/** The scope and what it is in, by whole ids. */
function upwards(scope: string): readonly string[] {
  return [subscription, group, vault, identity].filter((above) => `${scope}/`.startsWith(`${above}/`));
}

/** Defines the suite; `makeStores` gives the stores of an empty database each time. */
export function underLocksContract(makeStores: () => Promise<LockedStores>): void {
  describe('writes under locks', () => {
    it.each([...writes, ...deletions])(
      '%s unless that or what it is in is read-only',
      async (_name, scope, act) => {
        const { locked, locks } = await seeded(makeStores);
        for (const above of upwards(scope)) {
          await locks.put(
            lockOn(above.toUpperCase().replace('/SUBSCRIPTIONS', '/subscriptions'), 'ReadOnly'),
            undefined,
          );
          await expect(act(locked)).rejects.toMatchObject({ kind: 'scopeLocked' });
          expect(await locks.remove(above, 'keep')).toBe(true);
        }
        // A refusal has changed nothing, or this would find it done.
        expect(await act(locked)).not.toBe(false);
      },
    );

    it('everything is written while nothing may be deleted', async () => {
      const { locked, locks } = await seeded(makeStores);
      for (const scope of [...upwards(vault), identity])
        await locks.put(lockOn(scope, 'CanNotDelete'), undefined);
      for (const [, , act] of writes) expect(await act(locked)).not.toBe(false);
    });

    it.each(deletions)('nothing that may not be deleted goes: %s', async (_name, scope, act) => {
      const { locked, locks } = await seeded(makeStores);
      for (const above of upwards(scope)) {
        await locks.put(lockOn(above, 'CanNotDelete'), undefined);
        await expect(act(locked)).rejects.toMatchObject({
          kind: 'scopeLocked',
          message: expect.stringContaining(`are locked: '${above}'`),
        });
        await locks.remove(above, 'keep');
      }
      expect(await act(locked)).not.toBe(false);
    });

    it('neither a vault nor a group goes while there is a lock on what is in it', async () => {
      const { locked, locks } = await seeded(makeStores);
      await locks.put(lockOn(`${vault}/secrets/s`, 'CanNotDelete'), undefined);
      await expect(locked.vaults.remove(vaultRecord(1), now)).rejects.toMatchObject({ kind: 'scopeLocked' });
      await expect(locked.directory.removeResourceGroup({ ...place, now })).rejects.toMatchObject({
        kind: 'scopeLocked',
      });
      expect(await locked.vaults.byName('vault-1')).toEqual(vaultRecord(1));
    });

    it.each([`${group}0`, `${vault}0`, `/subscriptions/${guid(902)}`])(
      'a lock on %s is no hindrance',
      async (scope) => {
        const { locked, locks } = await seeded(makeStores);
        await locks.put(lockOn(scope, 'ReadOnly'), undefined);
        for (const [, , act] of writes) expect(await act(locked)).not.toBe(false);
      },
    );

    it('locks do not count for those who are not under them', async () => {
      const { free, locks } = await seeded(makeStores);
      await locks.put(lockOn(subscription, 'ReadOnly'), undefined);
      for (const [, , act] of writes) expect(await act(free)).not.toBe(false);
    });

    it('lets either the removal of a group or what is to be in it win, never both', async () => {
      const { locked, locks } = await seeded(makeStores);
      const { directory, vaults } = locked;
      for (const n of [11, 12, 13, 14]) {
        const at = { subscriptionId, name: `race-${n}` };
        await directory.addResourceGroup({ ...at, location: 'local', tags: {} });
        const scope = `${subscription}/resourceGroups/${at.name}`;
        const [removed, put, added] = await Promise.all([
          directory.removeResourceGroup({ ...at, now }).catch(() => 'locked'),
          locks.put(lockOn(scope, 'CanNotDelete'), at),
          vaults.add(vaultRecord(n, { resourceGroup: at.name }), vaultKeyRow(guid(n))),
        ]);
        const isThere = (await directory.resourceGroup(subscriptionId, at.name)) !== undefined;
        expect([removed, put]).toEqual(isThere ? ['locked', 'created'] : [true, 'groupAbsent']);
        const isLive = (await vaults.byName(`vault-${n}`))?.deleted === undefined && added === 'added';
        expect(isLive && !isThere).toBe(false);
      }
    });

    it('nothing is written once a lock has been answered, whatever was under way', async () => {
      const { locked, locks } = await seeded(makeStores);
      let was = vaultRecord(1);
      const rewrite = async (n: number) => {
        const next = vaultRecord(1, { tags: { n: String(n) } });
        if (await locked.vaults.replace(next, was)) was = next;
      };
      for (let round = 0; round < 10; round += 1) {
        const writing = rewrite(round).catch((error: unknown) => error);
        await locks.put(lockOn(vault, 'ReadOnly'), place);
        const seen = await locked.vaults.byName('vault-1');
        await writing;
        // What was under way was done before the lock, or not at all.
        expect(await locked.vaults.byName('vault-1')).toEqual(seen);
        await expect(rewrite(-1)).rejects.toMatchObject({ kind: 'scopeLocked' });
        await locks.remove(vault, 'keep');
      }
    });
  });
}

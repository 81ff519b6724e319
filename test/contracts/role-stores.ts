/** What the stores of role assignments and of a tenant's own roles must do; run on each database. */
import { describe, expect, it } from 'vitest';
import type {
  AssignmentWrite,
  RoleAssignment,
  RoleAssignmentStore,
} from '../../src/authorization/role-assignments.ts';
import type { RoleDefinition, RoleDefinitionStore } from '../../src/authorization/role-definitions.ts';
import type { DirectoryStore } from '../../src/domain/resources/directory-store.ts';
import type { VaultStore } from '../../src/domain/vaults/vault-store.ts';
import { guid, vaultKeyRow, vaultRecord } from './rows.ts';

export interface RoleStores {
  readonly assignments: RoleAssignmentStore;
  readonly definitions: RoleDefinitionStore;
  readonly directory: DirectoryStore;
  readonly vaults: VaultStore;
}

const subscriptionId = guid(901);
const subscription = `/subscriptions/${subscriptionId}`;

function assignment(n: number, more: Partial<RoleAssignment> = {}): RoleAssignment {
  return {
    id: guid(n),
    tenantId: guid(900),
    principalId: guid(100),
    roleId: guid(200),
    scope: `${subscription}/resourceGroups/Group-${n}`,
    created: 1_700_000_000_000 + n,
    ...more,
  };
}

/** At the subscription, which needs nothing to be there. */
function write(
  n: number,
  more: Partial<RoleAssignment> = {},
  of: Partial<AssignmentWrite> = {},
): AssignmentWrite {
  return {
    assignment: assignment(n, { scope: subscription, ...more }),
    place: { subscriptionId },
    isCustomRole: false,
    most: 10,
    ...of,
  };
}

function definition(n: number, more: Partial<RoleDefinition> = {}): RoleDefinition {
  return {
    id: guid(n),
    tenantId: guid(900),
    name: `Role ${n}`,
    description: 'é ☂',
    condition: undefined,
    actions: ['a/*'],
    notActions: ['a/delete'],
    dataActions: [],
    notDataActions: [],
    assignableScopes: [subscription],
    created: 1,
    updated: 2,
    createdBy: guid(101),
    updatedBy: guid(102),
    ...more,
  };
}

/** Defines the suite; `makeStores` gives empty stores each time. */
export function roleAssignmentStoreContract(makeStores: () => Promise<RoleStores>): void {
  describe('role assignment store', () => {
    it("gives back principals' assignments as they were added, and nobody else's", async () => {
      const { assignments: store } = await makeStores();
      const others = assignment(3, { principalId: guid(101), tenantId: guid(902) });
      const full = assignment(2, {
        ...{ principalType: 'User', condition: "ActionMatches{'x'} 'é'", description: 'why \u0000' },
        ...{ createdBy: guid(5), updatedBy: guid(6), updated: 7 },
      });
      for (const added of [full, others, assignment(1)]) expect(await store.add(added)).toEqual(added);
      expect(await store.ofPrincipals([guid(100)])).toEqual([assignment(1), full]);
      expect(await store.ofPrincipals([guid(101), guid(102)])).toEqual([others]);
      expect(await store.ofPrincipals([guid(102)])).toEqual([]);
      expect(await store.ofPrincipals([])).toEqual([]);
      expect(await store.list()).toEqual([assignment(1), full, others]);
      expect(await store.list(guid(902))).toEqual([others]);
      expect(await store.byId(guid(2))).toEqual(full);
      expect(await store.byId(guid(4))).toBeUndefined();
    });

    it('takes any number of principals in one question', async () => {
      const { assignments: store } = await makeStores();
      await store.add(assignment(1, { principalId: guid(3500) }));
      const principals = Array.from({ length: 3600 }, (_, n) => guid(n));
      expect((await store.ofPrincipals(principals)).map(({ id }) => id)).toEqual([guid(1)]);
    });

    it('answers the one that is there for the same principal, role and scope, whatever its case', async () => {
      const { assignments: store } = await makeStores();
      const first = await store.add(assignment(1));
      expect(await store.add(assignment(2, { scope: first.scope.toUpperCase() }))).toEqual(first);
      await store.add(assignment(3, { scope: first.scope, roleId: guid(201) }));
      await store.add(assignment(4, { scope: `${first.scope}x` }));
      expect(await store.list()).toHaveLength(3);
    });

    it('removes by id, and with `was` only what it was, and says whether there was one', async () => {
      const { assignments: store } = await makeStores();
      await store.add(assignment(1));
      await store.add(assignment(2));
      expect(await store.remove({ id: guid(1) })).toBe('removed');
      expect(await store.remove({ id: guid(1) })).toBe('missing');
      for (const other of [{ roleId: guid(201) }, { principalId: guid(101) }, { scope: '/' }])
        expect(await store.remove({ id: guid(2), was: assignment(2, other) })).toBe('missing');
      expect(await store.list()).toEqual([assignment(2)]);
      expect(await store.remove({ id: guid(2), was: assignment(2) })).toBe('removed');
    });

    it('keeps the last that gives one of some roles at a scope without a condition, of two removed at once too', async () => {
      const { assignments: store } = await makeStores();
      const unlessLastOf = [guid(200), guid(201)];
      const at = (n: number, more: Partial<RoleAssignment> = {}) =>
        store.add(assignment(n, { scope: subscription, principalId: guid(100 + n), ...more }));
      const remove = (n: number) => store.remove({ id: guid(n), unlessLastOf });
      await at(1);
      // None of these counts: under a condition, of another role, at another scope, of a name that begins alike.
      await at(2, { condition: 'c' });
      await at(3, { roleId: guid(202) });
      await at(4, { scope: `${subscription}/resourceGroups/a` });
      await at(5, { scope: '/' });
      await at(6, { scope: `${subscription}0` });
      expect(await remove(1)).toBe('last');
      for (let n = 10; n < 20; n += 2) {
        await at(n, { roleId: guid(201) });
        expect(await remove(n === 10 ? 1 : n - 1)).toBe('removed');
        await at(n + 1);
        expect((await Promise.all([remove(n), remove(n + 1)])).sort()).toEqual(['last', 'removed']);
        // Whichever it was, the next round begins with one.
        await store.remove({ id: guid(n) });
        await at(n + 1);
      }
      await at(30);
      expect(await remove(19)).toBe('removed');
      expect(await store.remove({ id: guid(30) })).toBe('removed');
    });

    it('puts: makes, changes what may change, and tells what stands in the way', async () => {
      const { assignments: store } = await makeStores();
      const made = await store.put(write(1, { description: 'first', createdBy: guid(7), created: 5 }));
      expect(made).toMatchObject({ outcome: 'created', assignment: { id: guid(1), description: 'first' } });
      const changed = await store.put(
        write(1, { condition: 'c', createdBy: guid(8), updatedBy: guid(8), created: 9 }),
      );
      const now = { description: undefined, condition: 'c', createdBy: guid(7), updatedBy: guid(8) };
      expect(changed).toMatchObject({ outcome: 'updated', assignment: { ...now, created: 5, updated: 9 } });
      expect(await store.byId(guid(1))).toMatchObject({
        condition: 'c',
        createdBy: guid(7),
        created: 5,
        updated: 9,
      });
      for (const other of [
        { principalId: guid(101) },
        { roleId: guid(201) },
        { tenantId: guid(902) },
        { scope: '/' },
      ])
        expect(await store.put(write(1, other))).toMatchObject({ outcome: 'differs' });
      const again = await store.put(write(2, { scope: subscription.toUpperCase() }));
      expect(again).toMatchObject({ outcome: 'exists', assignment: { id: guid(1) } });
      expect(await store.list()).toHaveLength(1);
    });

    it('lets no subscription have too many', async () => {
      const { assignments: store } = await makeStores();
      const scope = `${subscription}/resourceGroups/a`;
      await store.add(assignment(1, { scope }));
      await store.add(assignment(2, { scope: `/subscriptions/${guid(902)}` }));
      expect(await store.put(write(3, {}, { most: 2 }))).toMatchObject({ outcome: 'created' });
      expect(await store.put(write(4, { roleId: guid(201) }, { most: 2 }))).toEqual({ outcome: 'full' });
      expect(await store.put(write(3, {}, { most: 2 }))).toMatchObject({ outcome: 'updated' });
    });

    it('makes none in a group or on a vault that is not there', async () => {
      const { assignments: store, directory, vaults } = await makeStores();
      const group = { subscriptionId, resourceGroup: 'GROUP.1' };
      const vault = { ...group, vault: 'vault-1' };
      const outcome = async (n: number, place: AssignmentWrite['place']) =>
        (await store.put(write(n, { scope: `${subscription}/x${n}` }, { place }))).outcome;
      expect(await outcome(1, group)).toBe('scopeAbsent');
      await directory.addTenant({ id: guid(900), name: 't' });
      await directory.addSubscription({ id: subscriptionId, tenantId: guid(900), name: 's' });
      await directory.addResourceGroup({ subscriptionId, name: 'Group.1', location: 'local', tags: {} });
      await directory.addResourceGroup({ subscriptionId, name: 'Group.2', location: 'local', tags: {} });
      expect(await outcome(1, group)).toBe('created');
      expect(await outcome(2, vault)).toBe('scopeAbsent');
      await vaults.add(vaultRecord(1), vaultKeyRow(guid(1)));
      expect(await outcome(2, vault)).toBe('created');
      expect(await outcome(3, { ...vault, vault: 'vault-2' })).toBe('scopeAbsent');
      expect(await outcome(3, { ...vault, resourceGroup: 'Group.2' })).toBe('scopeAbsent');
    });

    it('makes none of a role of the tenant that is not there', async () => {
      const { assignments: store, definitions } = await makeStores();
      const ask = () => store.put(write(1, { roleId: guid(300) }, { isCustomRole: true }));
      expect(await ask()).toEqual({ outcome: 'roleAbsent' });
      await put(definitions, definition(300));
      expect(await ask()).toMatchObject({ outcome: 'created' });
    });

    it('of several at once with one id, or of one grant, one is made', async () => {
      const { assignments: store } = await makeStores();
      const sameId = [1, 2, 3, 4].map((n) => store.put(write(1, { roleId: guid(200 + n) })));
      expect((await Promise.all(sameId)).map(({ outcome }) => outcome).sort()).toEqual([
        ...['created', 'differs', 'differs', 'differs'],
      ]);
      const sameGrant = [11, 12, 13, 14].map((n) => store.put(write(n, { roleId: guid(300) })));
      expect((await Promise.all(sameGrant)).map(({ outcome }) => outcome).sort()).toEqual([
        ...['created', 'exists', 'exists', 'exists'],
      ]);
      expect(await store.list()).toHaveLength(2);
    });
  });
}

/** A new role, as far as who writes it knows. */
function put(store: RoleDefinitionStore, role: RoleDefinition, most = 10) {
  return store.put({ definition: role, was: undefined, most });
}

/** Defines the suite; `makeStores` gives empty stores each time. */
export function roleDefinitionStoreContract(makeStores: () => Promise<RoleStores>): void {
  describe('role definition store', () => {
    it('gives back roles as they were put, by id and by tenant', async () => {
      const { definitions: store } = await makeStores();
      const foreign = definition(3, { tenantId: guid(902), name: 'Role 1' });
      for (const added of [definition(2), foreign, definition(1)])
        expect(await put(store, added)).toBe('created');
      expect(await store.list(guid(900))).toEqual([definition(1), definition(2)]);
      expect(await store.byIds([guid(3), guid(1), guid(9)])).toEqual([definition(1), foreign]);
      expect(await store.byIds([])).toEqual([]);
    });

    it('replaces a role, which keeps when and by whom it was made', async () => {
      const { definitions: store } = await makeStores();
      await put(store, definition(1));
      const next = definition(1, { name: 'ROLE 1', actions: [], created: 8, updated: 9, createdBy: guid(9) });
      expect(await store.put({ definition: next, was: definition(1), most: 1 })).toBe('updated');
      expect(await store.list(guid(900))).toEqual([{ ...next, created: 1, createdBy: guid(101) }]);
    });

    it('neither replaces nor removes a role that is not what its writer saw', async () => {
      const { definitions: store } = await makeStores();
      const wider = definition(1, { assignableScopes: [subscription, `/subscriptions/${guid(902)}`] });
      await put(store, wider);
      const write = { definition: definition(1, { name: 'mine' }), most: 10 };
      for (const was of [undefined, definition(1), { ...wider, updated: 3 }])
        expect(await store.put({ ...write, was })).toBe('changed');
      expect(await store.remove(definition(1))).toBe('changed');
      expect(await store.list(guid(900))).toEqual([wider]);
      expect(await store.put({ ...write, was: { ...wider } })).toBe('updated');
      expect(await store.put({ definition: definition(2), was: definition(2), most: 10 })).toBe('changed');
    });

    it('of several who replace what they saw, one does', async () => {
      const { definitions: store } = await makeStores();
      await put(store, definition(1));
      const puts = [1, 2, 3, 4].map((n) =>
        store.put({ definition: definition(1, { updated: 10 + n }), was: definition(1), most: 10 }),
      );
      expect((await Promise.all(puts)).sort()).toEqual(['changed', 'changed', 'changed', 'updated']);
    });

    it('refuses names that are taken, ids of another tenant, and too many', async () => {
      const { definitions: store } = await makeStores();
      await put(store, definition(1));
      await put(store, definition(2));
      expect(await put(store, definition(3, { name: 'rOLE 1' }))).toBe('taken');
      expect(await put(store, definition(2, { name: 'role 1' }))).toBe('taken');
      expect(await put(store, definition(1, { tenantId: guid(902) }))).toBe('foreign');
      expect(await put(store, definition(3), 2)).toBe('full');
      expect(await put(store, definition(3, { tenantId: guid(902) }), 2)).toBe('created');
      expect(await store.list(guid(900))).toEqual([definition(1), definition(2)]);
    });

    it('of several at once with one name, one is made', async () => {
      const { definitions: store } = await makeStores();
      const puts = [1, 2, 3, 4].map((n) => put(store, definition(n, { name: 'Same' })));
      expect((await Promise.all(puts)).sort()).toEqual(['created', 'taken', 'taken', 'taken']);
    });

    it('removes a role that is assigned to nobody', async () => {
      const { definitions: store, assignments } = await makeStores();
      await put(store, definition(1));
      await assignments.add(assignment(5, { roleId: guid(1) }));
      expect(await store.remove(definition(1))).toBe('assigned');
      await assignments.remove({ id: guid(5) });
      expect(await store.remove(definition(1))).toBe('removed');
      expect(await store.remove(definition(1))).toBe('missing');
    });

    it('a role and an assignment of it, removed and made at the same time, do not miss each other', async () => {
      const { definitions: store, assignments } = await makeStores();
      for (let n = 1; n <= 5; n += 1) {
        await put(store, definition(n));
        const [removed, made] = await Promise.all([
          store.remove(definition(n)),
          assignments.put(write(100 + n, { roleId: guid(n) }, { isCustomRole: true })),
        ]);
        const outcome = removed === 'removed' ? 'roleAbsent' : 'created';
        expect([removed, made.outcome]).toEqual([removed, outcome]);
      }
    });
  });
}

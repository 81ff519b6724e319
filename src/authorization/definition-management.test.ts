/** Proves that a role that changes while it is being replaced or removed is decided on as it is then. */
import { expect, test } from 'vitest';
import { manualClock } from '../../test/support/identity.ts';
import { type DefinitionManagementDeps, putDefinition, removeDefinition } from './definition-management.ts';
import { rolesFrom } from './principal-roles.ts';
import type { RoleDefinition } from './role-definitions.ts';

const tenantId = '10000000-0000-4000-8000-000000000000';
const id = '60000000-0000-4000-8000-000000000000';
const [own, other] = ['a', 'b'].map(
  (name) => `/subscriptions/50000000-0000-4000-8000-000000000000/resourceGroups/${name}`,
) as [string, string];
const principal = {
  ...{ objectId: '30000000-0000-4000-8000-000000000000', tenantId, appId: undefined, kind: 'user' as const },
  ...{ issuer: 'i', userName: undefined, groups: [] },
};
const at = { principal, tenantId, scope: own };
const input = {
  ...{ name: 'r', description: '', assignableScopes: [own] },
  ...{ actions: ['*/read'], notActions: [], dataActions: [], notDataActions: [] },
};

function definition(assignableScopes: readonly string[]): RoleDefinition {
  const made = { created: 1, updated: 1, createdBy: 'x', updatedBy: 'x' };
  return { ...input, ...made, id, tenantId, condition: undefined, assignableScopes };
}

/** An owner of one group, and a store in which the role becomes the next one each time that it has been looked at. */
function ownerWhile(...states: (RoleDefinition | undefined)[]) {
  const roleId = '8e3af657-a8ff-443c-a75c-2fe8c4bcb635';
  const assignment = { id: 'o', tenantId, principalId: principal.objectId, roleId, scope: own, created: 0 };
  const written: string[] = [];
  const ask = (was: RoleDefinition | undefined, done: 'updated' | 'removed') => {
    const now = states[0];
    if (now !== was) return 'changed';
    written.push(done);
    return done;
  };
  const deps = {
    assignments: { rolesOf: async () => rolesFrom({ assignments: [assignment] }) },
    definitions: {
      async byIds() {
        const seen = states.length > 1 ? states.shift() : states[0];
        return seen === undefined ? [] : [seen];
      },
      put: async ({ was }: { was: RoleDefinition | undefined }) => ask(was, 'updated'),
      remove: async (was: RoleDefinition) => ask(was, 'removed'),
    },
    clock: manualClock(5),
  } as unknown as DefinitionManagementDeps;
  return { deps, written };
}

test('who may not change what it has become changes nothing', async () => {
  for (const seen of [undefined, definition([own])]) {
    const { deps, written } = ownerWhile(seen, definition([own, other]));
    const put = putDefinition(deps, at, { name: id, input });
    await expect(put).rejects.toMatchObject({ kind: 'authorizationFailed' });
    expect(written).toEqual([]);
  }
  const { deps, written } = ownerWhile(definition([own]), definition([own, other]));
  await expect(removeDefinition(deps, at, id)).rejects.toMatchObject({ kind: 'authorizationFailed' });
  expect(written).toEqual([]);
});

test('who may changes what is there then', async () => {
  const now = { ...definition([own]), created: 3, createdBy: 'y' };
  const put = ownerWhile(definition([own]), now);
  expect(await putDefinition(put.deps, at, { name: id, input })).toMatchObject({
    created: 3,
    createdBy: 'y',
  });
  expect(put.written).toEqual(['updated']);
  const removal = ownerWhile(definition([own]), now);
  expect(await removeDefinition(removal.deps, at, id)).toEqual(now);
  expect(removal.written).toEqual(['removed']);
});

/** Proves who can be in a group, and that circles of groups end. */
import { describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { systemRandom } from '../crypto/random.ts';
import { addMember, createGroup, removeMember, transitiveMembers } from './groups.ts';
import { createApplication, deletePrincipal } from './principals.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenant = '22222222-2222-4222-8222-222222222222';

async function setup() {
  const deps = { store: memoryPrincipalStore(), clock: manualClock(), random: systemRandom };
  const group = (displayName: string, of = tenantId) => createGroup(deps, { tenantId: of, displayName });
  const application = await createApplication(deps, { tenantId, displayName: 'web' });
  return { deps, store: deps.store, group, application };
}

describe('groups', () => {
  it('have members of every kind, directly and through others, each once', async () => {
    const { store, group, application } = await setup();
    const [outer, inner] = [await group('outer'), await group('inner')];
    await addMember(store, outer.objectId, inner.objectId);
    await addMember(store, outer.objectId, application.objectId);
    await addMember(store, inner.objectId, application.objectId);
    await addMember(store, inner.objectId, outer.objectId);
    const ids = (await transitiveMembers(store, outer.objectId)).map(({ objectId }) => objectId);
    expect(ids).toEqual([inner.objectId, application.objectId].toSorted());
    await removeMember(store, inner.objectId, application.objectId);
    await expect(removeMember(store, inner.objectId, application.objectId)).rejects.toMatchObject({
      kind: 'notFound',
    });
  });

  it('do not have themselves, other tenants, or applications without a service principal', async () => {
    const { deps, store, group, application } = await setup();
    const team = await group('team');
    const waiting = { tenantId, displayName: 'waiting', detail: { awaitsServicePrincipal: true as const } };
    const attempts: [string, string, string][] = [
      [team.objectId, team.objectId, 'badParameter'],
      [team.objectId, (await group('foreign', otherTenant)).objectId, 'notFound'],
      [team.objectId, (await createApplication(deps, waiting)).objectId, 'notFound'],
      [application.objectId, team.objectId, 'notFound'],
      ['nobody', application.objectId, 'notFound'],
    ];
    for (const [to, member, kind] of attempts)
      await expect(addMember(store, to, member)).rejects.toMatchObject({ kind });
    expect(await transitiveMembers(store, team.objectId)).toEqual([]);
  });

  it('are left by who is deleted, and gone when deleted', async () => {
    const { store, group, application } = await setup();
    const team = await group('team');
    await addMember(store, team.objectId, application.objectId);
    await deletePrincipal(store, team.objectId);
    expect(await store.groupsOf(application.objectId)).toEqual([]);
    await expect(deletePrincipal(store, team.objectId)).rejects.toMatchObject({ kind: 'notFound' });
  });
});

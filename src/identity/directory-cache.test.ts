/** Proves that the directory is asked once while nothing changes, and never answers from before a change. */
import { expect, test } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { createChangeHub, everyKey } from '../core/changes.ts';
import { systemRandom } from '../crypto/random.ts';
import { createDirectoryCache } from './directory-cache.ts';
import { addMember, createGroup } from './groups.ts';
import { createApplication, setEnabled } from './principals.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';

async function setup() {
  const store = memoryPrincipalStore();
  const deps = { store, clock: manualClock(), random: systemRandom };
  const state = { fresh: true, reads: 0 };
  const hub = createChangeHub(() => state.fresh);
  const counting = {
    ...store,
    byObjectId(objectId: string) {
      state.reads += 1;
      return store.byObjectId(objectId);
    },
  };
  const { objectId } = await createApplication(deps, { tenantId, displayName: 'web' });
  return { deps, store, state, hub, counting, objectId, cache: createDirectoryCache(counting, hub) };
}

test('what is in memory is answered without waiting, until the principal changes', async () => {
  const { store, state, hub, cache, objectId } = await setup();
  expect(cache.known(objectId)).toBeUndefined();
  expect(await cache.isEnabled(objectId)).toBe(true);
  expect(cache.isEnabled(objectId)).toBe(true);
  expect(cache.groupsOf(objectId)).toEqual([]);
  expect(state.reads).toBe(1);
  await setEnabled(store, objectId, false);
  hub.publish([{ topic: 'principal', key: 'another' }]);
  expect(cache.isEnabled(objectId)).toBe(true);
  hub.publish([{ topic: 'principal', key: objectId }]);
  expect(await cache.isEnabled(objectId)).toBe(false);
});

test('a change of anybody’s membership makes all be asked again', async () => {
  const { deps, store, hub, cache, objectId } = await setup();
  expect(await cache.groupsOf(objectId)).toEqual([]);
  const group = await createGroup(deps, { tenantId, displayName: 'team' });
  await addMember(store, group.objectId, objectId);
  hub.publish([{ topic: 'principal', key: everyKey }]);
  expect(await cache.groupsOf(objectId)).toEqual([group.objectId]);
});

test('nothing is answered from memory while the news is not up to date', async () => {
  const { state, cache, objectId } = await setup();
  await cache.entryOf(objectId);
  state.fresh = false;
  expect(cache.known(objectId)).toBeUndefined();
  await cache.entryOf(objectId);
  expect(state.reads).toBe(2);
});

test('what was read before a change is not kept after it', async () => {
  const { store, hub, counting, objectId } = await setup();
  const late = createDirectoryCache(
    {
      ...counting,
      async groupsOf(id) {
        const groups = await store.groupsOf(id);
        await setEnabled(store, objectId, false);
        hub.publish([{ topic: 'principal', key: objectId }]);
        return groups;
      },
    },
    hub,
  );
  await late.entryOf(objectId);
  expect(late.known(objectId)).toBeUndefined();
});

test('a principal that the directory does not know is not enabled', async () => {
  const { cache } = await setup();
  expect(await cache.isEnabled('nobody')).toBe(false);
  expect(cache.known('nobody')).toEqual({ principal: undefined, groups: [] });
});

/** Proves which application an audience means, and that memory of it ends with what it was made of. */
import { describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { createChangeHub, everyKey } from '../core/changes.ts';
import { systemRandom } from '../crypto/random.ts';
import { createApplication, type PrincipalStore, setEnabled } from './principals.ts';
import { createResourceFinder } from './resource-applications.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenant = '22222222-2222-4222-8222-222222222222';

function setup() {
  let isFresh = true;
  let lists = 0;
  const clock = manualClock();
  const memory = memoryPrincipalStore();
  const store: PrincipalStore = {
    ...memory,
    list(of, page) {
      lists += 1;
      return memory.list(of, page);
    },
  };
  const hub = createChangeHub(() => isFresh);
  const deps = { store, clock, random: systemRandom };
  return {
    store,
    find: createResourceFinder(store, hub),
    lists: () => lists,
    lapse: () => {
      isFresh = false;
    },
    changed: () => hub.publish([{ topic: 'principal', key: everyKey }]),
    async make(uris: readonly string[], of = tenantId) {
      clock.advance(1);
      return createApplication(deps, {
        tenantId: of,
        displayName: 'app',
        detail: { identifierUris: uris },
      });
    },
  };
}

describe('the application that an audience means', () => {
  it('is found by client id, bare and as a URI, and by its own URIs, in its tenant alone', async () => {
    const { make, find } = setup();
    const app = await make(['api://orders', 'https://orders.example']);
    const { appId = '' } = app;
    for (const audience of [
      appId,
      `api://${appId}`,
      appId.toUpperCase(),
      'api://orders',
      'https://orders.example',
    ])
      expect(await find(tenantId, audience), audience).toEqual(app);
    for (const audience of ['api://order', 'api://orders/', 'orders', '', 'constructor'])
      expect(await find(tenantId, audience), audience).toBeUndefined();
    expect(await find(otherTenant, 'api://orders')).toBeUndefined();
    expect(await find(otherTenant, appId)).toBeUndefined();
  });

  it('is the older of two that have one URI, and none that is disabled', async () => {
    const { make, find, store, changed } = setup();
    const first = await make(['api://shared']);
    await make(['api://shared']);
    expect(await find(tenantId, 'api://shared')).toEqual(first);
    await setEnabled(store, first.objectId, false);
    changed();
    expect(await find(tenantId, 'api://shared')).toBeUndefined();
    expect(await find(tenantId, first.appId ?? '')).toBeUndefined();
  });

  it('is looked for once until something changes, and each time while nobody vouches for what changed', async () => {
    const { make, find, lists, changed, lapse } = setup();
    await Promise.all([1, 2, 3].map(() => find(tenantId, 'api://later')));
    await find(tenantId, 'api://another');
    expect(lists()).toBe(1);
    const app = await make(['api://later']);
    changed();
    expect(await find(tenantId, 'api://later')).toEqual(app);
    expect(lists()).toBe(2);
    lapse();
    await find(tenantId, 'api://later');
    expect(lists()).toBe(3);
  });
});

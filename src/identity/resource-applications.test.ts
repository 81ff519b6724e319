/** Proves which application an audience means. */
import { describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { systemRandom } from '../crypto/random.ts';
import { createApplication, setEnabled } from './principals.ts';
import { createResourceFinder } from './resource-applications.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenant = '22222222-2222-4222-8222-222222222222';

function setup() {
  const store = memoryPrincipalStore();
  const deps = { store, clock: manualClock(), random: systemRandom };
  const make = (uris: readonly string[], of = tenantId) =>
    createApplication(deps, { tenantId: of, displayName: 'app', detail: { identifierUris: uris } });
  return { store, make, find: createResourceFinder(store) };
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
    for (const audience of ['api://order', 'api://orders/', 'orders', '', 'constructor', 'api://orders\0'])
      expect(await find(tenantId, audience), audience).toBeUndefined();
    expect(await find(otherTenant, 'api://orders')).toBeUndefined();
    expect(await find(otherTenant, appId)).toBeUndefined();
  });

  it('is none that is disabled, and another one in another tenant', async () => {
    const { make, find, store } = setup();
    const app = await make(['api://shared']);
    const foreign = await make(['api://shared'], otherTenant);
    expect(await find(otherTenant, 'api://shared')).toEqual(foreign);
    await setEnabled(store, app.objectId, false);
    expect(await find(tenantId, 'api://shared')).toBeUndefined();
    expect(await find(tenantId, app.appId ?? '')).toBeUndefined();
    expect(await find(otherTenant, 'api://shared')).toEqual(foreign);
  });
});

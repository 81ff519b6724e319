import { describe, expect, it } from 'vitest';
import { principalStoreContract } from '../../test/contracts/principal-store.ts';
import { manualClock, memoryPrincipalStore } from '../../test/support/identity.ts';
import { isGuid } from '../core/names.ts';
import { systemRandom } from '../crypto/random.ts';
import { createApplication, createManagedIdentity } from './principals.ts';

principalStoreContract(async () => memoryPrincipalStore());

const tenantId = '11111111-1111-4111-8111-11111111111A';

describe('principals', () => {
  const make = () => ({ store: memoryPrincipalStore(), clock: manualClock(), random: systemRandom });

  it('registers an application under ids of its own, in lower case', async () => {
    const deps = make();
    const made = await createApplication(deps, { tenantId, displayName: 'web' });
    expect(made).toMatchObject({
      kind: 'application',
      tenantId: tenantId.toLowerCase(),
      created: deps.clock.now(),
    });
    expect(made.objectId).not.toBe(made.appId);
    expect(isGuid(made.objectId)).toBe(true);
    expect(await deps.store.byAppId(made.appId ?? '')).toEqual(made);
  });

  it('registers a managed identity with its resource id once', async () => {
    const deps = make();
    const input = { tenantId, displayName: 'vm', resourceId: '/subscriptions/s/x' };
    expect(await createManagedIdentity(deps, input)).toMatchObject({
      kind: 'managedIdentity',
      resourceId: '/subscriptions/s/x',
    });
    await expect(createManagedIdentity(deps, input)).rejects.toMatchObject({ kind: 'alreadyExists' });
  });

  it.each([
    ['a tenant that is no GUID', { tenantId: 'adfs', displayName: 'web' }],
    ['an empty name', { tenantId, displayName: ' ' }],
    ['an endless name', { tenantId, displayName: 'x'.repeat(257) }],
  ])('refuses %s', async (_what, input) => {
    await expect(createApplication(make(), input)).rejects.toMatchObject({ kind: 'badParameter' });
  });
});

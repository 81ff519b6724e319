import { decodeJwt } from 'jose';
import { describe, expect, it } from 'vitest';
import { manualClock, memoryPrincipalStore, memorySigningKeyStore } from '../../test/support/identity.ts';
import { createChangeHub } from '../core/changes.ts';
import { systemRandom } from '../crypto/random.ts';
import { createTokenIssuer } from './issuer.ts';
import { azureIssuerNames, issuerOf } from './issuer-names.ts';
import { createKeyRing } from './key-ring.ts';
import { type IdentitySelector, issueManagedIdentityToken } from './managed-identity.ts';
import { createApplication, createManagedIdentity } from './principals.ts';

const tenantId = '11111111-1111-4111-8111-111111111111';
const otherTenant = '22222222-2222-4222-8222-222222222222';
const resourceId =
  '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web';

function setup() {
  const clock = manualClock();
  const store = memoryPrincipalStore();
  const keys = createKeyRing({ store: memorySigningKeyStore(), clock, feed: createChangeHub() });
  const issuer = createTokenIssuer({ keys, clock, random: systemRandom });
  const deps = { store, clock, random: systemRandom };
  const ask = (selector: IdentitySelector, systemAssigned?: string) =>
    issueManagedIdentityToken(
      { store, issuer },
      { tenantId, ...(systemAssigned === undefined ? {} : { systemAssigned }) },
      { selector, audience: 'https://vault.azure.net', issuer: issuerOf(azureIssuerNames, '1.0', tenantId) },
    );
  return { deps, ask };
}

describe('managed identity', () => {
  it('issues a token of 24 hours for the only identity, with the claims of one', async () => {
    const { deps, ask } = setup();
    const identity = await createManagedIdentity(deps, { tenantId, displayName: 'web', resourceId });
    const { token, expiresAt, notBefore, clientId } = await ask({});
    expect(expiresAt - notBefore).toBe(86_400);
    expect(clientId).toBe(identity.appId);
    expect(decodeJwt(token)).toMatchObject({
      oid: identity.objectId,
      appid: identity.appId,
      appidacr: '2',
      idtyp: 'app',
      xms_mirid: resourceId,
      ver: '1.0',
    });
  });

  it('finds an identity by client id, object id and resource id, in any case', async () => {
    const { deps, ask } = setup();
    await createManagedIdentity(deps, { tenantId, displayName: 'other' });
    const { appId = '', objectId } = await createManagedIdentity(deps, {
      tenantId,
      displayName: 'web',
      resourceId,
    });
    for (const selector of [
      { clientId: appId.toUpperCase() },
      { objectId: objectId.toUpperCase() },
      { resourceId: resourceId.toLowerCase() },
    ]) {
      expect(await ask(selector)).toMatchObject({ clientId: appId });
    }
  });

  it("gives the machine's own identity when none is named, and asks for a name when there are several", async () => {
    const { deps, ask } = setup();
    await createManagedIdentity(deps, { tenantId, displayName: 'a' });
    const own = await createManagedIdentity(deps, { tenantId, displayName: 'b' });
    expect(await ask({}, own.objectId)).toMatchObject({ clientId: own.appId });
    await expect(ask({})).rejects.toMatchObject({
      kind: 'invalidRequest',
      message: expect.stringMatching(/^Multiple user assigned identities exist/),
    });
  });

  it('has no identity for an application, another tenant, an unknown or an empty name, or nobody', async () => {
    const { deps, ask } = setup();
    const application = await createApplication(deps, { tenantId, displayName: 'app' });
    const foreign = await createManagedIdentity(deps, { tenantId: otherTenant, displayName: 'f' });
    for (const selector of [
      {},
      { clientId: application.appId ?? '' },
      { objectId: foreign.objectId },
      { clientId: '' },
      { resourceId: '' },
      { resourceId },
    ]) {
      await expect(ask(selector)).rejects.toMatchObject({
        kind: 'invalidRequest',
        message: 'Identity not found',
      });
    }
    const both = { clientId: foreign.appId ?? '', objectId: foreign.objectId };
    await expect(ask(both)).rejects.toMatchObject({ kind: 'invalidRequest' });
  });
});

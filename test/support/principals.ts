/** Principals for tests, and a directory that knows the given ones. */
import type { DirectoryCache } from '../../src/identity/directory-cache.ts';
import type { PrincipalRecord } from '../../src/identity/principals.ts';

export const testTenant = '11111111-1111-4111-8111-111111111111';

/** An enabled application, but for what is given. */
export function principalRecord(given: Partial<PrincipalRecord> & { objectId: string }): PrincipalRecord {
  return {
    tenantId: testTenant,
    appId: undefined,
    kind: 'application',
    displayName: 'made for a test',
    resourceId: undefined,
    created: 0,
    userName: undefined,
    applicationId: undefined,
    enabled: true,
    detail: {},
    ...given,
  };
}

/** Answers from the list as it is at each moment. */
export function directoryOf(
  principals: readonly PrincipalRecord[],
): Pick<DirectoryCache, 'known' | 'entryOf'> {
  const known = (objectId: string) => ({
    principal: principals.find((principal) => principal.objectId === objectId),
    groups: [],
  });
  return { known, entryOf: async (objectId) => known(objectId) };
}

/**
 * Which application a token's audience means: one of the tenant, by its client id or by an identifier URI that it has
 * registered.
 */
import { isGuid } from '../core/names.ts';
import type { TokenVersion } from './issuer-names.ts';
import type { PrincipalRecord, PrincipalStore } from './principals.ts';

/** Finds the enabled application of the tenant that an audience names; undefined for none. */
export type ResourceFinder = (tenantId: string, audience: string) => Promise<PrincipalRecord | undefined>;

export function createResourceFinder(
  store: Pick<PrincipalStore, 'byAppId' | 'byIdentifierUri'>,
): ResourceFinder {
  return async (tenantId, audience) => {
    // PostgreSQL's text holds no U+0000, and no URI does.
    if (audience.includes('\0')) return undefined;
    const appId = audience.replace(/^api:\/\//i, '').toLowerCase();
    const byId = isGuid(appId) ? await store.byAppId(appId) : undefined;
    const found = byId ?? (await store.byIdentifierUri(tenantId, audience));
    return found?.tenantId === tenantId && found.enabled ? found : undefined;
  };
}

/**
 * The form of token that an application takes: v2.0 if its manifest asks for that (`requestedAccessTokenVersion`), else
 * v1.0, whichever endpoint its clients use.
 */
export function tokenVersionOf({ detail }: PrincipalRecord): TokenVersion {
  const api = detail.declared?.api as { requestedAccessTokenVersion?: unknown } | undefined;
  return api?.requestedAccessTokenVersion === 2 ? '2.0' : '1.0';
}

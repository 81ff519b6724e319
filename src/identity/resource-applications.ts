/**
 * Which application a token's audience means: one of the tenant, by its client id or by an identifier URI that it has
 * registered. The URIs of all applications are kept in memory, as long as the feed vouches that none has changed.
 */
import type { ChangeFeed } from '../core/changes.ts';
import { isGuid } from '../core/names.ts';
import type { TokenVersion } from './issuer-names.ts';
import type { PrincipalRecord, PrincipalStore } from './principals.ts';

/** Finds the enabled application of the tenant that an audience names; undefined for none. */
export type ResourceFinder = (tenantId: string, audience: string) => Promise<PrincipalRecord | undefined>;

/** From identifier URIs to the object ids of those who have them. */
export type UriIndex = ReadonlyMap<string, string>;
const pageSize = 500;

export function createResourceFinder(
  store: Pick<PrincipalStore, 'byAppId' | 'byObjectId' | 'list'>,
  feed: ChangeFeed,
): ResourceFinder {
  const kept = new Map<string, Promise<UriIndex>>();
  feed.subscribe('principal', () => kept.clear());

  function uris(tenantId: string): Promise<UriIndex> {
    const there = feed.fresh() ? kept.get(tenantId) : undefined;
    if (there !== undefined) return there;
    const reading = readIdentifierUris(store, tenantId);
    // A change meanwhile clears it, and whoever asks after that change reads again.
    kept.set(tenantId, reading);
    reading.catch(() => {
      if (kept.get(tenantId) === reading) kept.delete(tenantId);
    });
    return reading;
  }

  return async (tenantId, audience) => {
    const appId = audience.replace(/^api:\/\//i, '').toLowerCase();
    const byId = isGuid(appId) ? await store.byAppId(appId) : undefined;
    const objectId = byId?.objectId ?? (await uris(tenantId)).get(audience);
    const found = byId ?? (objectId === undefined ? undefined : await store.byObjectId(objectId));
    return found?.tenantId === tenantId && found.enabled ? found : undefined;
  };
}

/** Of a URI that two applications have, it is the older one's: what was first stays what it was. */
export async function readIdentifierUris(
  store: Pick<PrincipalStore, 'list'>,
  tenantId: string,
): Promise<UriIndex> {
  const owners = new Map<string, PrincipalRecord>();
  let after: string | undefined;
  do {
    const page = await store.list({ tenantId, kind: 'application' }, { limit: pageSize, after });
    for (const application of page.items) {
      for (const uri of application.detail.identifierUris ?? []) {
        const other = owners.get(uri);
        if (other === undefined || application.created < other.created) owners.set(uri, application);
      }
    }
    after = page.next;
  } while (after !== undefined);
  return new Map([...owners].map(([uri, { objectId }]) => [uri, objectId]));
}

/**
 * The form of token that an application takes: v2.0 if its manifest asks for that (`requestedAccessTokenVersion`), else
 * v1.0, whichever endpoint its clients use.
 */
export function tokenVersionOf({ detail }: PrincipalRecord): TokenVersion {
  const api = detail.declared?.api as { requestedAccessTokenVersion?: unknown } | undefined;
  return api?.requestedAccessTokenVersion === 2 ? '2.0' : '1.0';
}

/** Sign-ins' grants, and counts of guesses, in memory, for tests of the rules. */
import type { FailureStore, SignInFailures } from '../../src/identity/lock-out.ts';
import type { LoginGrant, LoginGrantStore } from '../../src/identity/login-grants.ts';

export function memoryLoginGrants(): LoginGrantStore {
  const grants = new Map<string, LoginGrant>();
  const isSame = (a: LoginGrant | undefined, b: LoginGrant) => JSON.stringify(a) === JSON.stringify(b);
  const remove = (which: (grant: LoginGrant) => boolean) => {
    const gone = [...grants.values()].filter(which);
    for (const { id } of gone) grants.delete(id);
    return gone.length;
  };
  return {
    byId: async (id) => grants.get(id),
    byFamily: async (kind, family) =>
      [...grants.values()]
        .filter((grant) => grant.kind === kind && grant.family === family)
        .sort((a, b) => b.created - a.created)[0],
    async addOnce(grant) {
      const there = grants.get(grant.id) ?? grant;
      grants.set(grant.id, there);
      return there;
    },
    async exchange({ from, adds, session }) {
      const alive = session === undefined ? undefined : grants.get(session.id);
      if (session !== undefined && alive === undefined) return false;
      if (from !== undefined && !isSame(grants.get(from.was.id), from.was)) return false;
      if (from !== undefined) grants.set(from.becomes.id, from.becomes);
      if (session !== undefined && alive !== undefined)
        grants.set(session.id, { ...alive, expires: session.expires });
      for (const grant of adds) grants.set(grant.id, grant);
      return true;
    },
    revokeFamily: async (family) => remove((grant) => grant.id === family || grant.family === family),
    prune: async (now) => remove((grant) => grant.expires <= now),
  };
}

export function memoryFailures(): FailureStore {
  const kept = new Map<string, SignInFailures>();
  return {
    of: async (objectId) => kept.get(objectId),
    async replace(next, was) {
      if (JSON.stringify(kept.get(next.objectId)) !== JSON.stringify(was)) return false;
      kept.set(next.objectId, next);
      return true;
    },
    clear: async (objectId) => void kept.delete(objectId),
    async count(objectId, { now, until }) {
      const was = kept.get(objectId);
      const current = was !== undefined && now < was.lockedUntil ? was : { failures: 0, lockedUntil: until };
      const { failures, lockedUntil } = current;
      kept.set(objectId, { objectId, failures: failures + 1, last: now, lockedUntil });
    },
    async prune(before, most) {
      const strangers = [...kept.values()].filter(({ objectId }) => objectId.includes('/'));
      const latest = strangers.sort((a, b) => b.last - a.last)[most]?.last ?? Number.NEGATIVE_INFINITY;
      for (const { objectId, last } of [...kept.values()])
        if (last < before || (objectId.includes('/') && last <= latest)) kept.delete(objectId);
    },
  };
}

/** Sign-ins' grants in memory, for tests of the rules. */
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

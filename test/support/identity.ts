/** In-memory stand-ins for the identity service's surroundings: time that tests move, and stores without a disk. */
import type { Clock } from '../../src/core/clock.ts';
import { Failure } from '../../src/core/errors.ts';
import { pageOf } from '../../src/core/paging.ts';
import type { ClientCredential, PrincipalRecord, PrincipalStore } from '../../src/identity/principals.ts';
import type { SigningKey, SigningKeyStore } from '../../src/identity/signing-keys.ts';

/** A clock that stands still until it is moved; timers run when their time is passed, in order. */
export interface ManualClock extends Clock {
  /** Time passes. */
  advance(ms: number): void;
  /** The wall clock is set anew; no time passes, so that no timer runs. */
  jump(ms: number): void;
}

export function manualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let wall = start;
  let passed = 0;
  const timers = new Map<object, { at: number; run: () => void }>();
  return {
    now: () => wall,
    monotonic: () => passed,
    after(ms, run) {
      const handle = {};
      timers.set(handle, { at: passed + ms, run });
      return { cancel: () => void timers.delete(handle) };
    },
    advance(ms) {
      wall += ms;
      passed += ms;
      const due = [...timers].filter(([, timer]) => timer.at <= passed).sort(([, a], [, b]) => a.at - b.at);
      for (const [handle, timer] of due) {
        // One that ran before it may have cancelled it.
        if (timers.delete(handle)) timer.run();
      }
    },
    jump(ms) {
      wall += ms;
    },
  };
}

export function memoryPrincipalStore(): PrincipalStore {
  const principals: PrincipalRecord[] = [];
  const credentials: ClientCredential[] = [];
  const members: { groupId: string; memberId: string }[] = [];
  const same = (a: string | undefined, b: string | undefined) =>
    a !== undefined && a.toLowerCase() === b?.toLowerCase();
  const find = (fits: (row: PrincipalRecord) => boolean) => Promise.resolve(principals.find(fits));
  const assertFree = (added: PrincipalRecord, others: readonly PrincipalRecord[]) => {
    const taken = others.some(
      (row) =>
        row.objectId === added.objectId ||
        same(row.appId, added.appId) ||
        same(row.applicationId, added.applicationId) ||
        (row.tenantId === added.tenantId &&
          (same(row.resourceId, added.resourceId) ||
            same(row.userName, added.userName) ||
            (added.detail.identifierUris ?? []).some((uri) => row.detail.identifierUris?.includes(uri)))),
    );
    if (taken) throw new Failure('alreadyExists', 'taken');
  };
  const dropMembers = (fits: (row: { groupId: string; memberId: string }) => boolean) => {
    const kept = members.filter((row) => !fits(row));
    return members.splice(0, members.length, ...kept).length > kept.length;
  };
  const directGroups = (objectId: string) =>
    members.filter((row) => row.memberId === objectId).map((row) => row.groupId);
  return {
    byAppId: (appId) => find((row) => row.appId === appId),
    byObjectId: (objectId) => find((row) => row.objectId === objectId),
    byApplicationId: (applicationId) => find((row) => row.applicationId === applicationId),
    byResourceId: (tenantId, resourceId) =>
      find((row) => row.tenantId === tenantId && same(row.resourceId, resourceId)),
    byIdentifierUri: (tenantId, uri) =>
      find((row) => row.tenantId === tenantId && row.detail.identifierUris?.includes(uri) === true),
    byUserName: (tenantId, userName) =>
      find((row) => row.tenantId === tenantId && same(row.userName, userName)),
    async list({ tenantId, kind }, { limit, after }) {
      const kinds = typeof kind === 'string' ? [kind] : kind;
      const rows = principals
        .filter((row) => row.tenantId === tenantId && (kinds === undefined || kinds.includes(row.kind)))
        .filter((row) => after === undefined || row.objectId > after)
        .sort((a, b) => (a.objectId < b.objectId ? -1 : 1));
      return pageOf(rows.slice(0, limit + 1), limit, (row) => row.objectId);
    },
    async add(added) {
      assertFree(added, principals);
      principals.push(added);
    },
    async replace(principal, was) {
      const at = principals.findIndex((row) => JSON.stringify(row) === JSON.stringify(was));
      if (at < 0) return false;
      assertFree(principal, principals.toSpliced(at, 1));
      principals[at] = principal;
      if (principal.objectId === was.objectId) return true;
      dropMembers((row) => row.groupId === was.objectId || row.memberId === was.objectId);
      for (const [i, row] of credentials.entries())
        if (row.objectId === was.objectId) credentials[i] = { ...row, objectId: principal.objectId };
      return true;
    },
    async remove(objectId) {
      const at = principals.findIndex((row) => row.objectId === objectId);
      if (at < 0) return false;
      principals.splice(at, 1);
      dropMembers((row) => row.groupId === objectId || row.memberId === objectId);
      credentials.splice(0, credentials.length, ...credentials.filter((row) => row.objectId !== objectId));
      return true;
    },
    membersOf: async (groupId) =>
      principals
        .filter((row) => members.some((m) => m.groupId === groupId && m.memberId === row.objectId))
        .sort((a, b) => (a.objectId < b.objectId ? -1 : 1)),
    directGroupsOf: async (objectId) => directGroups(objectId).sort(),
    async groupsOf(objectId) {
      const found = new Set<string>();
      const open = [objectId];
      for (let id = open.pop(); id !== undefined; id = open.pop()) {
        const above = directGroups(id).filter((group) => !found.has(group));
        for (const group of above) found.add(group);
        open.push(...above);
      }
      found.delete(objectId);
      return [...found].sort();
    },
    async addMember(groupId, memberId) {
      const group = principals.find((row) => row.objectId === groupId && row.kind === 'group');
      if (group === undefined || !principals.some((row) => row.objectId === memberId))
        throw new Failure('notFound', 'no such');
      if (directGroups(memberId).includes(groupId)) throw new Failure('alreadyExists', 'taken');
      members.push({ groupId, memberId });
    },
    removeMember: async (groupId, memberId) =>
      dropMembers((row) => row.groupId === groupId && row.memberId === memberId),
    credentialsOf: async (objectId) =>
      credentials.filter((row) => row.objectId === objectId).sort((a, b) => a.created - b.created),
    async addCredential(added) {
      if (!principals.some((row) => row.objectId === added.objectId))
        throw new Failure('notFound', 'no such');
      if (credentials.some((row) => row.keyId === added.keyId)) throw new Failure('alreadyExists', 'taken');
      credentials.push(added);
    },
    async replaceCredential(credential) {
      const { objectId, keyId } = credential;
      const at = credentials.findIndex((row) => row.objectId === objectId && row.keyId === keyId);
      if (at >= 0) credentials[at] = credential;
      return at >= 0;
    },
    async removeCredential(objectId, keyId) {
      const at = credentials.findIndex((row) => row.objectId === objectId && row.keyId === keyId);
      if (at >= 0) credentials.splice(at, 1);
      return at >= 0;
    },
  };
}

export function memorySigningKeyStore(): SigningKeyStore & { saves: number } {
  let keys: readonly SigningKey[] = [];
  const store: SigningKeyStore & { saves: number } = {
    saves: 0,
    load: async () => ({ keys, revision: store.saves }),
    async save(replacement, revision) {
      if (revision !== store.saves) return undefined;
      keys = replacement;
      store.saves += 1;
      return store.saves;
    },
  };
  return store;
}

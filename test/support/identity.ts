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
  const sameResource = (a: PrincipalRecord, tenantId: string, resourceId: string | undefined) =>
    resourceId !== undefined &&
    a.tenantId === tenantId &&
    a.resourceId?.toLowerCase() === resourceId.toLowerCase();
  return {
    byAppId: async (appId) => principals.find((principal) => principal.appId === appId),
    byObjectId: async (objectId) => principals.find((principal) => principal.objectId === objectId),
    byResourceId: async (tenantId, resourceId) =>
      principals.find((principal) => sameResource(principal, tenantId, resourceId)),
    async list({ tenantId, kind }, { limit, after }) {
      const rows = principals
        .filter((row) => row.tenantId === tenantId && (kind === undefined || row.kind === kind))
        .filter((row) => after === undefined || row.objectId > after)
        .sort((a, b) => (a.objectId < b.objectId ? -1 : 1));
      return pageOf(rows.slice(0, limit + 1), limit, (row) => row.objectId);
    },
    async add(added) {
      const taken = principals.some(
        (row) =>
          row.objectId === added.objectId ||
          (added.appId !== undefined && row.appId === added.appId) ||
          sameResource(row, added.tenantId, added.resourceId),
      );
      if (taken) throw new Failure('alreadyExists', 'taken');
      principals.push(added);
    },
    credentialsOf: async (objectId) =>
      credentials.filter((row) => row.objectId === objectId).sort((a, b) => a.created - b.created),
    async addCredential(added) {
      if (!principals.some((row) => row.objectId === added.objectId))
        throw new Failure('notFound', 'no such');
      if (credentials.some((row) => row.keyId === added.keyId)) throw new Failure('alreadyExists', 'taken');
      credentials.push(added);
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

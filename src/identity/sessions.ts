/**
 * Sessions of users with clients, and their refresh tokens: opaque, for one use, each followed by the next. One that
 * comes again after its successor was given out was stolen, from one side or the other: the whole session ends
 * (RFC 9700 §4.14.2).
 */
import type { Clock } from '../core/clock.ts';
import { Failure } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import { grantId, type LoginGrant, type LoginGrantStore, newHolding } from './login-grants.ts';

/** Who signed in, by which client, and what was asked for. */
export interface SessionSubject {
  readonly objectId: string;
  readonly tenantId: string;
  readonly clientId: string;
  /** What a refresh without a scope of its own gets again; space-separated, as asked. */
  readonly scope: string;
  /** Whether the client proved itself when the session began. */
  readonly isProven: boolean;
  /** Key id of the password that the user signed in with: the session does not outlive it. */
  readonly passwordId: string;
}

/** A refresh token that may be redeemed. */
export interface RefreshGrant extends SessionSubject {
  readonly grant: LoginGrant;
}

export interface Sessions {
  /**
   * Begins a session. `from` is the code or device code that it comes of, which is used up in the same step; resolves
   * to undefined if that is not what it was any more.
   */
  begin(subject: SessionSubject, from?: LoginGrant): Promise<string | undefined>;
  /** Reads a refresh token of the client's; fails with `invalidGrant`, and ends the session of one that was used before. */
  find(token: string, clientId: string): Promise<RefreshGrant>;
  /** Uses the token up and gives its successor; fails with `invalidGrant` if the session has ended meanwhile. */
  rotate(found: RefreshGrant): Promise<string>;
  /** Ends the session of the token. */
  end(found: RefreshGrant): Promise<void>;
}

/** Entra ID's 90 days without use. */
export const sessionLifetime = 90 * 24 * 60 * 60_000;
/**
 * Milliseconds in which a token that was just used may be used again: several processes of one client share it (az
 * keeps one for all of them), and an answer can get lost. Azure's own never become invalid by use.
 */
const grace = 30_000;
const mostConflicts = 5;

type Detail = Omit<SessionSubject, 'objectId'>;

export function createSessions(deps: { store: LoginGrantStore; clock: Clock; random: Random }): Sessions {
  const { store, clock, random } = deps;

  function newToken(family: string, objectId: string, detail: Detail): { token: string; grant: LoginGrant } {
    const token = newHolding(random);
    const created = clock.now();
    const id = grantId('refresh', token);
    const expires = created + sessionLifetime;
    return {
      token,
      grant: { id, kind: 'refresh', family, objectId, detail, created, expires, used: undefined },
    };
  }

  return {
    async begin({ objectId, ...subject }, from) {
      const now = clock.now();
      // A code that is used again ends the session that it led to, which therefore has a name beforehand.
      const family = from?.kind === 'code' ? from.family : random.guid();
      const { token, grant } = newToken(family, objectId, subject);
      const session: LoginGrant = { ...grant, id: family, kind: 'session', detail: {} };
      const step = from === undefined ? {} : { from: { was: from, becomes: { ...from, used: now } } };
      return (await store.exchange({ ...step, adds: [session, grant] })) ? token : undefined;
    },

    async find(token, clientId) {
      const grant = await store.byId(grantId('refresh', token));
      const { objectId } = grant ?? {};
      if (grant === undefined || objectId === undefined) throw invalidToken();
      const detail = grant.detail as Detail;
      if (detail.clientId !== clientId) throw invalidToken();
      if (grant.used !== undefined && clock.now() >= grant.used + grace) {
        await store.revokeFamily(grant.family);
        throw revoked();
      }
      if (clock.now() >= grant.expires) throw expired();
      return { ...detail, objectId, grant };
    },

    async rotate({ grant, objectId, ...detail }) {
      let was: LoginGrant | undefined = grant;
      for (let conflict = 0; conflict < mostConflicts; conflict += 1) {
        const next = newToken(grant.family, objectId, detail);
        const becomes = { ...was, used: was.used ?? clock.now() };
        const session = { id: grant.family, expires: next.grant.expires };
        if (await store.exchange({ from: { was, becomes }, adds: [next.grant], session })) return next.token;
        was = await store.byId(grant.id);
        if (was === undefined || (await store.byId(grant.family)) === undefined) throw revoked();
      }
      throw new Failure('unavailable', 'The refresh token is being used elsewhere.', { retryAfter: 1 });
    },

    async end({ grant }) {
      await store.revokeFamily(grant.family);
    },
  };
}

function invalidToken(): Failure {
  return new Failure('invalidGrant', 'AADSTS70000: The provided refresh token is not valid for this client.');
}

function expired(): Failure {
  return new Failure('invalidGrant', 'AADSTS700082: The refresh token has expired due to inactivity.');
}

/** Entra ID's AADSTS50173. */
export function revoked(): Failure {
  return new Failure(
    'invalidGrant',
    'AADSTS50173: The provided grant has expired due to it being revoked, a fresh auth token is needed.',
  );
}

/**
 * What sign-in remembers between requests: authorization codes, device codes, sessions with their refresh tokens, and
 * assertions that were used. Of what a client holds only a digest is kept, so that a copy of the database redeems nothing.
 */
import type { Random } from '../core/random.ts';
import { sha256Base64 } from '../crypto/digests.ts';

export type LoginGrantKind = 'assertion' | 'code' | 'device' | 'session' | 'refresh';

/** One of them. Times are milliseconds since 1970. */
export interface LoginGrant {
  /** A digest of what the client holds; of a session, a GUID. */
  readonly id: string;
  readonly kind: LoginGrantKind;
  /**
   * What belongs together and is revoked together: the id of the session that a code leads to and that refresh tokens
   * come of. A device code's is the digest of its user code.
   */
  readonly family: string;
  /** The user who signed in; undefined while nobody has. */
  readonly objectId: string | undefined;
  /** Plain JSON, whose form is its kind's. */
  readonly detail: object;
  readonly created: number;
  readonly expires: number;
  /** When it was redeemed, or undone; undefined before. */
  readonly used: number | undefined;
}

/** One step: what was becomes something else, and others are added, all at once or not at all. */
export interface LoginGrantExchange {
  /** The step is not taken if this has changed or is gone. */
  readonly from?: { readonly was: LoginGrant; readonly becomes: LoginGrant };
  readonly adds: readonly LoginGrant[];
  /** A session that must be there still, and that lasts until `expires` from then on. */
  readonly session?: { readonly id: string; readonly expires: number };
}

/** What sign-in needs from storage, the same on all nodes. */
export interface LoginGrantStore {
  byId(id: string): Promise<LoginGrant | undefined>;
  /** The newest of the kind in a family. */
  byFamily(kind: LoginGrantKind, family: string): Promise<LoginGrant | undefined>;
  /** Adds it unless its id is taken; resolves to the one that is there then. */
  addOnce(grant: LoginGrant): Promise<LoginGrant>;
  /** Takes the step; false if something was not as it says. */
  exchange(exchange: LoginGrantExchange): Promise<boolean>;
  /** Removes a session with all that belongs to it; resolves to how many there were. */
  revokeFamily(family: string): Promise<number>;
  /** Removes what expired before `now`. */
  prune(now: number): Promise<number>;
}

/** The id of what a client holds; kinds do not mix, whatever the client sends. */
export function grantId(kind: LoginGrantKind, held: string): string {
  return sha256Base64(`${kind}:${held}`);
}

/** A new secret for a client to hold: 256 bits, base64url. */
export function newHolding(random: Random): string {
  return Buffer.from(random.bytes(32)).toString('base64url');
}

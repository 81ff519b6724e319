/**
 * Ports: objects with versions (secrets, keys, certificates), as rows. A store keeps and finds; it knows no rule.
 * Times are Unix seconds. The order of lists is that of `nameKey` and of `version`, by code unit.
 */
import type { StoredKind } from '../../core/names.ts';
import type { Envelope } from '../../crypto/sealing.ts';

/** One object of one vault. */
export interface ObjectKey {
  readonly vaultId: string;
  readonly kind: StoredKind;
  /** The upper-cased name. */
  readonly nameKey: string;
}

/** How change feeds name the object. */
export function objectChangeKey({ vaultId, kind, nameKey }: ObjectKey): string {
  return `${vaultId}|${kind}|${nameKey}`;
}

/** What an object is, apart from its versions. Deleting sets two times and moves nothing. */
export interface ObjectHead {
  /** The name as its creator wrote it. */
  readonly name: string;
  readonly currentVersion: string;
  readonly deletedAt: number | undefined;
  readonly purgeAt: number | undefined;
  /** What only this kind of object has as a whole, as JSON made by its noun (a key's rotation policy). */
  readonly detail: string | undefined;
  /** When a job is to look at the object; undefined for never, and while it is deleted. */
  readonly dueAt: number | undefined;
}

export interface ObjectVersion {
  readonly version: string;
  readonly enabled: boolean;
  readonly notBefore: number | undefined;
  readonly expires: number | undefined;
  readonly created: number;
  readonly updated: number;
  readonly managed: boolean;
  readonly tags: Readonly<Record<string, string>> | undefined;
  /** What only this kind of object has, as JSON made by its noun (a secret's content type). */
  readonly detail: string | undefined;
}

/** A version together with its sealed value. */
export interface SealedVersion extends ObjectVersion {
  readonly envelope: Envelope;
}

export interface HeadAndVersion<V extends ObjectVersion = ObjectVersion> {
  readonly head: ObjectHead;
  readonly version: V;
}

export interface RowRange {
  /** Rows strictly after this key; undefined for the first. */
  readonly after: string | undefined;
  readonly limit: number;
}

/** A place in the list of what is due. */
export interface DuePlace {
  readonly dueAt: number;
  readonly nameKey: string;
}

export interface ObjectReader {
  head(key: ObjectKey): Promise<ObjectHead | undefined>;
  /** The head and the asked or current version with its value; undefined if either is missing. */
  sealedVersion(
    key: ObjectKey,
    version: string | undefined,
  ): Promise<HeadAndVersion<SealedVersion> | undefined>;
  /** Heads, live or deleted, each with its current version. */
  listHeads(
    of: { vaultId: string; kind: StoredKind; deleted: boolean },
    range: RowRange,
  ): Promise<readonly HeadAndVersion[]>;
  listVersions(key: ObjectKey, range: RowRange): Promise<readonly ObjectVersion[]>;
  listSealedVersions(key: ObjectKey, range: RowRange): Promise<readonly SealedVersion[]>;
  /** Live objects of a kind that a job is to look at, with their current versions, the longest due first, then by name. */
  listDue(
    of: { vaultId: string; kind: StoredKind; now: number },
    range: { after: DuePlace | undefined; limit: number },
  ): Promise<readonly HeadAndVersion[]>;
  /** The ids of the vaults in which a job is to look at a live object of the kind. */
  vaultsWithDue(kind: StoredKind, now: number): Promise<readonly string[]>;
  /** Deleted objects of any kind whose time has come, at most `limit`. */
  dueForPurge(vaultId: string, now: number, limit: number): Promise<readonly ObjectKey[]>;
}

/** What an object is now, for the decision on a change. */
export interface ObjectState {
  readonly head: ObjectHead | undefined;
  /** The version asked for (or the current one), if it is there. */
  readonly version: ObjectVersion | undefined;
}

/** The outcome of a decision: what to write, and what to answer. */
export interface ObjectChange<T> {
  /** The new head; `undefined` removes the object with all its versions; `'same'` leaves it. */
  readonly head: ObjectHead | undefined | 'same';
  readonly add?: readonly SealedVersion[];
  /** Versions that are removed before others are added: one whose value is to be another is dropped and added. */
  readonly drop?: readonly string[];
  /** Replaces the version's attributes, tags and detail, never its value. */
  readonly update?: ObjectVersion;
  readonly result: T;
}

export interface ObjectWriter {
  /**
   * Reads the object's state, lets `decide` choose, and writes its choice durably, provided that the state is still
   * the one that was decided on; if not, it decides again. What `decide` throws comes out and nothing is written, so
   * that it must be a pure function. Of the version's attributes this holds only for a decision that writes them
   * (`update`): all others are to be decided on the head. Throws `StaleVaultKey` when an added version is sealed under a vault key that has been removed.
   */
  change<T>(
    key: ObjectKey,
    ask: { version: string | undefined },
    decide: (state: ObjectState) => ObjectChange<T>,
  ): Promise<T>;
  /**
   * The same for several objects of one vault: all that `decide` chose is written, or nothing. Callers name the objects
   * in one order, that of their kinds, so that no two wait for each other. `decide` answers one change for each object,
   * in that order; here the states must be the same as a whole, versions with their attributes too.
   */
  changeTogether<T>(
    objects: readonly { readonly key: ObjectKey; readonly version?: string | undefined }[],
    decide: (states: readonly ObjectState[]) => {
      readonly changes: readonly ObjectChange<unknown>[];
      readonly result: T;
    },
  ): Promise<T>;
}

/** The vault key that sealed a value was rotated away before the value was written: seal again. */
export class StaleVaultKey extends Error {
  constructor() {
    super('the vault key of this value is no longer in use');
    this.name = 'StaleVaultKey';
  }
}

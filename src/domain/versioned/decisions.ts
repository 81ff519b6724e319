/**
 * What becomes of one object of a kind when a version is added or changed, when it is deleted, recovered, purged or
 * restored: pure functions of its state, which refuse or say what is to be written. A write of several objects
 * composes them.
 */
import type { Vault } from '../vaults/vault.ts';
import {
  deletedButRecoverable,
  existsAlready,
  mustBeDeletedFirst,
  type Noun,
  notFound,
  purgeProtected,
  restoreConflict,
} from './nouns.ts';
import type {
  HeadAndVersion,
  ObjectChange,
  ObjectState,
  ObjectVersion,
  SealedVersion,
} from './object-store.ts';

/** What decisions need to know of a kind of object. */
export interface Ruled {
  readonly noun: Noun;
  /** When a job is to look at the object, from its own data and its current version. */
  readonly dueAt?: (headDetail: string | undefined, current: ObjectVersion) => number | undefined;
}

/** What PATCH may change; what is undefined stays as it is. */
export interface VersionPatch {
  readonly enabled: boolean | undefined;
  readonly notBefore: number | undefined;
  readonly expires: number | undefined;
  readonly tags: Readonly<Record<string, string>> | undefined;
  /** A pure function; it may refuse. */
  readonly detail: ((current: string | undefined) => string | undefined) | undefined;
}

type Decision = ObjectChange<HeadAndVersion>;

const secondsPerDay = 86_400;

/** A new version, which becomes the current one; `name` is that of an object that is not there yet. */
export function decideAddition(
  { noun, dueAt }: Ruled,
  { head }: ObjectState,
  of: {
    name: string;
    sealed: SealedVersion;
    headDetail?: (current: string | undefined) => string | undefined;
  },
): Decision {
  if (head?.deletedAt !== undefined) throw deletedButRecoverable(noun, head.name);
  const { envelope: _sealed, ...version } = of.sealed;
  const detail = of.headDetail === undefined ? head?.detail : of.headDetail(head?.detail);
  const newHead = {
    name: head?.name ?? of.name,
    currentVersion: version.version,
    deletedAt: undefined,
    purgeAt: undefined,
    detail,
    dueAt: dueAt?.(detail, version),
  };
  return { head: newHead, add: [of.sealed], result: { head: newHead, version } };
}

/** `of.name` and `of.version` are what was asked for, as a refusal names it; `now` in Unix seconds. */
export function decideUpdate(
  { noun, dueAt }: Ruled,
  { head, version: current }: ObjectState,
  of: { name: string; version: string | undefined; patch: VersionPatch; now: number },
): Decision {
  // A missing name is named without the version that was asked for, as Azure does.
  if (head === undefined || head.deletedAt !== undefined) throw notFound(noun, of.name);
  if (current === undefined) throw notFound(noun, of.name, of.version);
  const { patch } = of;
  const next: ObjectVersion = {
    ...current,
    enabled: patch.enabled ?? current.enabled,
    notBefore: patch.notBefore ?? current.notBefore,
    expires: patch.expires ?? current.expires,
    tags: patch.tags ?? current.tags,
    detail: patch.detail === undefined ? current.detail : patch.detail(current.detail),
    updated: of.now,
  };
  const isCurrent = next.version === head.currentVersion;
  const due = isCurrent ? dueAt?.(head.detail, next) : head.dueAt;
  const newHead = due === head.dueAt ? head : { ...head, dueAt: due };
  return {
    head: newHead === head ? 'same' : newHead,
    update: next,
    result: { head: newHead, version: next },
  };
}

/** The object's own data; `change` is a pure function of it and of the current version. */
export function decideHeadUpdate(
  { noun, dueAt }: Ruled,
  state: ObjectState,
  of: {
    name: string;
    change: (detail: string | undefined, current: ObjectVersion) => string | undefined;
  },
): Decision {
  const { head, version } = liveObject(noun, state, of.name);
  const detail = of.change(head.detail, version);
  const newHead = { ...head, detail, dueAt: dueAt?.(detail, version) };
  return { head: newHead, result: { head: newHead, version } };
}

export function decideDeletion(
  noun: Noun,
  state: ObjectState,
  of: { name: string; vault: Pick<Vault, 'softDeleteRetentionInDays'>; now: number },
): Decision {
  const { head, version } = liveObject(noun, state, of.name);
  const purgeAt = of.now + of.vault.softDeleteRetentionInDays * secondsPerDay;
  const deleted = { ...head, deletedAt: of.now, purgeAt, dueAt: undefined };
  return { head: deleted, result: { head: deleted, version } };
}

export function decideRecovery(
  { noun, dueAt }: Ruled,
  { head, version }: ObjectState,
  { name }: { name: string },
): Decision {
  if (head === undefined || version === undefined) throw notFound(noun, name);
  if (head.deletedAt === undefined) throw existsAlready(noun, head.name);
  const due = dueAt?.(head.detail, version);
  const live = { ...head, deletedAt: undefined, purgeAt: undefined, dueAt: due };
  return { head: live, result: { head: live, version } };
}

export function decidePurge(
  noun: Noun,
  { head }: ObjectState,
  of: { name: string; vault: Pick<Vault, 'name' | 'location' | 'enablePurgeProtection'> },
): ObjectChange<undefined> {
  if (head === undefined) throw notFound(noun, of.name);
  if (head.deletedAt === undefined) throw mustBeDeletedFirst(noun);
  if (of.vault.enablePurgeProtection) throw purgeProtected(of.vault);
  return { head: undefined, result: undefined };
}

/** An exported object under its own name; `identify` gives the identifier that a refusal quotes. */
export function decideImport(
  { noun, dueAt }: Ruled,
  { head }: ObjectState,
  of: {
    name: string;
    currentVersion: string;
    headDetail: string | undefined;
    sealed: readonly SealedVersion[];
    identify: (name: string, version: string) => string;
  },
): Decision {
  const { name, currentVersion, headDetail: detail } = of;
  const current = of.sealed.find(({ version }) => version === currentVersion);
  if (current === undefined) throw new TypeError('the current version is not among the versions');
  if (head !== undefined) throw restoreConflict(noun, of.identify(head.name, currentVersion));
  const { envelope: _sealed, ...version } = current;
  const due = dueAt?.(detail, version);
  const newHead = { name, currentVersion, deletedAt: undefined, purgeAt: undefined, detail, dueAt: due };
  return { head: newHead, add: of.sealed, result: { head: newHead, version } };
}

function liveObject(noun: Noun, { head, version }: ObjectState, name: string): HeadAndVersion {
  if (head === undefined || head.deletedAt !== undefined || version === undefined) throw notFound(noun, name);
  return { head, version };
}

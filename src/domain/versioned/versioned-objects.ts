/**
 * Objects with versions, soft delete and recovery: the rules that secrets, keys and certificates share, written
 * once and used by composition. Every operation takes a grant and acts on its target only.
 *
 * States of a name: absent → live (first version) → deleted → live (recover) or absent (purge, or its time comes).
 */
import { type Clock, unixSeconds } from '../../core/clock.ts';
import { objectKey } from '../../core/names.ts';
import type { Page, PageRequest } from '../../core/paging.ts';
import { pageOf } from '../../core/paging.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { VaultKeyMissing, type VaultKeys } from '../sealing/vault-keys.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import {
  deletedButRecoverable,
  deletedNotFound,
  disabled,
  existsAlready,
  mustBeDeletedFirst,
  type Noun,
  notFound,
  purgeProtected,
  restoreConflict,
} from './nouns.ts';
import {
  type DuePlace,
  type HeadAndVersion,
  type ObjectKey,
  type ObjectReader,
  type ObjectState,
  type ObjectVersion,
  type ObjectWriter,
  type SealedVersion,
  StaleVaultKey,
} from './object-store.ts';
import type { OpenedVersion, ValueCache } from './value-cache.ts';

export interface VersionedDeps<V> {
  readonly reader: ObjectReader;
  readonly writer: ObjectWriter;
  readonly values: ValueCache<V>;
  readonly vaultKeys: VaultKeys;
  readonly clock: Clock;
}

/** What a noun makes of its objects. */
export interface Kind<V> {
  readonly noun: Noun;
  /** What is kept of a version that was read; `unseal` opens its value, now or later. */
  readonly open: (version: ObjectVersion, unseal: () => Promise<SecretBytes>) => V | Promise<V>;
  /** Undoes `open` for what is not kept. */
  readonly close?: (value: V) => void;
  /** When a job is to look at the object, from its own data and its current version. */
  readonly dueAt?: (headDetail: string | undefined, current: ObjectVersion) => number | undefined;
}

/** A version that its value is still to be sealed for. */
export interface OpenVersion {
  readonly version: ObjectVersion;
  readonly value: SecretBytes;
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

/** A new version, decided on what the object is: pure functions, which may refuse. */
export interface Addition {
  readonly next: OpenVersion;
  /** The object's own data, if it changes with the version. */
  readonly headDetail?: (current: string | undefined) => string | undefined;
  /** What the object must still be, head and current version: what `next` was made from. `absent`: no live object. */
  readonly after?: HeadAndVersion | 'absent' | undefined;
}

/** A version that was read. What memory does not keep is the caller's own, who undoes its `open` after use. */
export type ReadVersion<V> = OpenedVersion<V> & { readonly isOwn?: true };

/** Azure refuses to back up an object with more versions (LIMITS.md §2). */
export const mostVersionsInBackup = 500;

const secondsPerDay = 86_400;

/** The key of the grant's target object; throws for a grant on a whole vault. */
export function keyOf(noun: Noun, grant: VaultGrant): ObjectKey {
  return { vaultId: grant.vault.id, kind: noun.kind, nameKey: objectKey(nameOf(grant)) };
}

export function nameOf(grant: VaultGrant): string {
  if (grant.target.name === undefined) throw new TypeError('the grant names no object');
  return grant.target.name;
}

/** An object that was exported, and how a refusal names its identifier. */
export interface ImportedObject {
  readonly name: string;
  readonly currentVersion: string;
  readonly headDetail: string | undefined;
  readonly versions: readonly OpenVersion[];
  readonly identify: (name: string, version: string) => string;
}

export interface VersionedObjects<V> {
  /** Adds a version and makes it the current one; 409 while the name is deleted. Throws `ObjectChanged`. */
  add(grant: VaultGrant, addition: Addition): Promise<HeadAndVersion>;
  /** The asked or current version, opened; refuses a disabled one where its noun does. */
  readValue(grant: VaultGrant, version: string | undefined): Promise<ReadVersion<V>>;
  /** The same for a version that is in memory, without waiting; undefined says nothing about others. */
  knownValue(grant: VaultGrant, version: string | undefined): OpenedVersion<V> | undefined;
  update(grant: VaultGrant, version: string | undefined, patch: VersionPatch): Promise<HeadAndVersion>;
  /** Changes the object's own data; `change` is a pure function of it and of the current version. */
  updateHead(
    grant: VaultGrant,
    change: (detail: string | undefined, current: ObjectVersion) => string | undefined,
  ): Promise<HeadAndVersion>;
  /** Live objects of a vault that a job is to look at, the longest due first; read by and by. */
  listDue(vaultId: string): AsyncIterable<HeadAndVersion>;
  list(grant: VaultGrant, page: PageRequest): Promise<Page<HeadAndVersion>>;
  /** Empty, not an error, for a name that is not there. */
  listVersions(grant: VaultGrant, page: PageRequest): Promise<{ name: string; page: Page<ObjectVersion> }>;
  delete(grant: VaultGrant): Promise<HeadAndVersion>;
  getDeleted(grant: VaultGrant): Promise<HeadAndVersion>;
  listDeleted(grant: VaultGrant, page: PageRequest): Promise<Page<HeadAndVersion>>;
  recover(grant: VaultGrant): Promise<HeadAndVersion>;
  purge(grant: VaultGrant): Promise<void>;
  /** All versions, opened, at most 500 and one: the caller refuses what is too many. */
  export(grant: VaultGrant): Promise<Omit<ImportedObject, 'identify'>>;
  /** Puts an exported object back under its name and version ids; 409 if the name is taken in any state. */
  import(grant: VaultGrant, object: ImportedObject): Promise<HeadAndVersion>;
}

export function createVersionedObjects<V>(deps: VersionedDeps<V>, kind: Kind<V>): VersionedObjects<V> {
  const { noun } = kind;
  const all: Parts<V> = { ...deps, kind };
  return {
    add: (grant, addition) => add(all, grant, addition),
    readValue: (grant, version) => readValue(all, grant, version),
    knownValue: (grant, version) => deps.values.get(keyOf(noun, grant), version?.toLowerCase()),
    update: (grant, version, patch) => update(all, grant, { version, patch }),
    updateHead: (grant, change) => updateHead(all, grant, change),
    listDue: (vaultId) => listDue(deps, noun, vaultId),
    list: (grant, page) => list(deps, noun, { grant, page, deleted: false }),
    listVersions: (grant, page) => listVersions(deps, noun, { grant, page }),
    delete: (grant) => remove(deps, noun, grant),
    getDeleted: (grant) => getDeleted(deps, noun, grant),
    listDeleted: (grant, page) => list(deps, noun, { grant, page, deleted: true }),
    recover: (grant) => recover(all, grant),
    purge: (grant) => purge(deps, noun, grant),
    export: (grant) => exportAll(all, grant),
    import: (grant, object) => importAll(all, grant, object),
  };
}

type Parts<V> = VersionedDeps<V> & { readonly kind: Kind<V> };
type Deps = Omit<VersionedDeps<never>, 'values'>;

async function add<V>(
  deps: Parts<V>,
  grant: VaultGrant,
  { next, headDetail, after }: Addition,
): Promise<HeadAndVersion> {
  const { noun, dueAt } = deps.kind;
  const key = keyOf(noun, grant);
  const name = nameOf(grant);
  return withFreshKey(deps, key.vaultId, async () => {
    const sealed = await sealVersion(deps, key, next);
    return deps.writer.change(key, { version: undefined }, ({ head, version: current }) => {
      if (after !== undefined && !isStill(after, { head, version: current })) {
        // Memory that has not heard of it yet would only say the same again.
        deps.values.forget(key);
        throw new ObjectChanged();
      }
      if (head?.deletedAt !== undefined) throw deletedButRecoverable(noun, head.name);
      const detail = headDetail === undefined ? head?.detail : headDetail(head?.detail);
      const newHead = {
        name: head?.name ?? name,
        currentVersion: sealed.version,
        deletedAt: undefined,
        purgeAt: undefined,
        detail,
        dueAt: dueAt?.(detail, next.version),
      };
      const result = { head: newHead, version: next.version };
      // Written as it is, so that the store vouches for the version too, and not for the head alone.
      const update = after === undefined || after === 'absent' ? {} : { update: after.version };
      return { head: newHead, add: [sealed], ...update, result };
    });
  });
}

/** Whether the object is in this state; members stand in the order in which the store gives them. */
function isStill(after: HeadAndVersion | 'absent', now: ObjectState): boolean {
  if (after === 'absent') return now.head === undefined || now.head.deletedAt !== undefined;
  return JSON.stringify([after.head, after.version]) === JSON.stringify([now.head, now.version]);
}

/** The object has changed since a new version was made from what it was: make it again. */
export class ObjectChanged extends Error {
  constructor() {
    super('the object has changed since a new version was made from it');
    this.name = 'ObjectChanged';
  }
}

async function readValue<V>(
  deps: Parts<V>,
  grant: VaultGrant,
  version: string | undefined,
): Promise<ReadVersion<V>> {
  const { noun, open, close } = deps.kind;
  const key = keyOf(noun, grant);
  const asked = version?.toLowerCase();
  const kept = deps.values.get(key, asked);
  if (kept !== undefined) return kept;
  const mark = deps.values.mark(key);
  const found = await deps.reader.sealedVersion(key, version);
  deps.values.saw(key, found?.head);
  if (found === undefined || found.head.deletedAt !== undefined) throw notFound(noun, nameOf(grant), version);
  if (!found.version.enabled && noun.disabled !== undefined) throw disabled(noun.disabled, noun);
  const { envelope: _sealed, ...metadata } = found.version;
  const value = await open(metadata, () => unseal(deps, key, found.version));
  const opened = { head: found.head, version: metadata, value };
  const now = deps.values.put(key, asked, { opened, mark });
  if (now === undefined) return { ...opened, isOwn: true };
  if (now === opened) return opened;
  close?.(value);
  return now;
}

async function update<V>(
  deps: Parts<V>,
  grant: VaultGrant,
  { version, patch }: { version: string | undefined; patch: VersionPatch },
): Promise<HeadAndVersion> {
  const { noun, dueAt } = deps.kind;
  const now = unixSeconds(deps.clock.now());
  return deps.writer.change(keyOf(noun, grant), { version }, (state) => {
    const { head, version: current } = state;
    // A missing name is named without the version that was asked for, as Azure does.
    if (head === undefined || head.deletedAt !== undefined) throw notFound(noun, nameOf(grant));
    if (current === undefined) throw notFound(noun, nameOf(grant), version);
    const next: ObjectVersion = {
      ...current,
      enabled: patch.enabled ?? current.enabled,
      notBefore: patch.notBefore ?? current.notBefore,
      expires: patch.expires ?? current.expires,
      tags: patch.tags ?? current.tags,
      detail: patch.detail === undefined ? current.detail : patch.detail(current.detail),
      updated: now,
    };
    const isCurrent = next.version === head.currentVersion;
    const due = isCurrent ? dueAt?.(head.detail, next) : head.dueAt;
    const newHead = due === head.dueAt ? head : { ...head, dueAt: due };
    return {
      head: newHead === head ? 'same' : newHead,
      update: next,
      result: { head: newHead, version: next },
    };
  });
}

async function updateHead<V>(
  deps: Parts<V>,
  grant: VaultGrant,
  change: (detail: string | undefined, current: ObjectVersion) => string | undefined,
): Promise<HeadAndVersion> {
  const { noun, dueAt } = deps.kind;
  return deps.writer.change(keyOf(noun, grant), { version: undefined }, ({ head, version }) => {
    if (head === undefined || head.deletedAt !== undefined || version === undefined)
      throw notFound(noun, nameOf(grant));
    const detail = change(head.detail, version);
    const newHead = { ...head, detail, dueAt: dueAt?.(detail, version) };
    return { head: newHead, result: { head: newHead, version } };
  });
}

async function list(
  deps: Deps,
  noun: Noun,
  { grant, page, deleted }: { grant: VaultGrant; page: PageRequest; deleted: boolean },
): Promise<Page<HeadAndVersion>> {
  const rows = await deps.reader.listHeads(
    { vaultId: grant.vault.id, kind: noun.kind, deleted },
    { after: page.after, limit: page.limit + 1 },
  );
  return pageOf(rows, page.limit, (row) => objectKey(row.head.name));
}

/** How many objects that are due are read at once. */
const duePage = 100;

/** By pages from where the last one ended, so that what stays due does not keep the rest from its turn. */
async function* listDue(deps: Deps, noun: Noun, vaultId: string): AsyncGenerator<HeadAndVersion> {
  const of = { vaultId, kind: noun.kind, now: unixSeconds(deps.clock.now()) };
  let after: DuePlace | undefined;
  for (;;) {
    const page = await deps.reader.listDue(of, { after, limit: duePage });
    yield* page;
    const last = page.at(-1)?.head;
    if (last?.dueAt === undefined || page.length < duePage) return;
    after = { dueAt: last.dueAt, nameKey: objectKey(last.name) };
  }
}

async function listVersions(
  deps: Deps,
  noun: Noun,
  { grant, page }: { grant: VaultGrant; page: PageRequest },
): Promise<{ name: string; page: Page<ObjectVersion> }> {
  const key = keyOf(noun, grant);
  const head = await deps.reader.head(key);
  if (head === undefined || head.deletedAt !== undefined) {
    return { name: nameOf(grant), page: { items: [], next: undefined } };
  }
  const rows = await deps.reader.listVersions(key, { after: page.after, limit: page.limit + 1 });
  return { name: head.name, page: pageOf(rows, page.limit, (row) => row.version) };
}

async function remove(deps: Deps, noun: Noun, grant: VaultGrant): Promise<HeadAndVersion> {
  const now = unixSeconds(deps.clock.now());
  return deps.writer.change(keyOf(noun, grant), { version: undefined }, ({ head, version }) => {
    if (head === undefined || head.deletedAt !== undefined || version === undefined)
      throw notFound(noun, nameOf(grant));
    const purgeAt = now + grant.vault.softDeleteRetentionInDays * secondsPerDay;
    const deleted = { ...head, deletedAt: now, purgeAt, dueAt: undefined };
    return { head: deleted, result: { head: deleted, version } };
  });
}

async function getDeleted(deps: Deps, noun: Noun, grant: VaultGrant): Promise<HeadAndVersion> {
  const found = await deps.reader.sealedVersion(keyOf(noun, grant), undefined);
  if (found === undefined || found.head.deletedAt === undefined) throw deletedNotFound(noun, nameOf(grant));
  // A disabled object is refused here too (recorded for secrets; the answer has no value either way).
  if (!found.version.enabled && noun.disabled !== undefined) throw disabled(noun.disabled, noun);
  return found;
}

async function recover<V>(deps: Parts<V>, grant: VaultGrant): Promise<HeadAndVersion> {
  const { noun, dueAt } = deps.kind;
  return deps.writer.change(keyOf(noun, grant), { version: undefined }, ({ head, version }) => {
    if (head === undefined || version === undefined) throw notFound(noun, nameOf(grant));
    if (head.deletedAt === undefined) throw existsAlready(noun, head.name);
    const due = dueAt?.(head.detail, version);
    const live = { ...head, deletedAt: undefined, purgeAt: undefined, dueAt: due };
    return { head: live, result: { head: live, version } };
  });
}

async function purge(deps: Deps, noun: Noun, grant: VaultGrant): Promise<void> {
  return deps.writer.change(keyOf(noun, grant), { version: undefined }, ({ head }) => {
    if (head === undefined) throw notFound(noun, nameOf(grant));
    if (head.deletedAt === undefined) throw mustBeDeletedFirst(noun);
    if (grant.vault.enablePurgeProtection) throw purgeProtected(grant.vault);
    return { head: undefined, result: undefined };
  });
}

async function exportAll<V>(deps: Parts<V>, grant: VaultGrant): Promise<Omit<ImportedObject, 'identify'>> {
  const { noun } = deps.kind;
  const key = keyOf(noun, grant);
  const head = await deps.reader.head(key);
  if (head === undefined || head.deletedAt !== undefined) throw notFound(noun, nameOf(grant));
  const rows = await deps.reader.listSealedVersions(key, {
    after: undefined,
    limit: mostVersionsInBackup + 1,
  });
  const versions: OpenVersion[] = [];
  for (const row of rows) {
    const { envelope: _sealed, ...version } = row;
    versions.push({ version, value: await unseal(deps, key, row) });
  }
  return { name: head.name, currentVersion: head.currentVersion, headDetail: head.detail, versions };
}

async function importAll<V>(
  deps: Parts<V>,
  grant: VaultGrant,
  object: ImportedObject,
): Promise<HeadAndVersion> {
  const { noun, dueAt } = deps.kind;
  const key = { vaultId: grant.vault.id, kind: noun.kind, nameKey: objectKey(object.name) };
  return withFreshKey(deps, key.vaultId, async () => {
    const sealed = await Promise.all(object.versions.map((version) => sealVersion(deps, key, version)));
    const current = sealed.find((version) => version.version === object.currentVersion);
    if (current === undefined) throw new TypeError('the current version is not among the versions');
    return deps.writer.change(key, { version: undefined }, ({ head }) => {
      if (head !== undefined) throw restoreConflict(noun, object.identify(head.name, current.version));
      const { name, currentVersion, headDetail: detail } = object;
      const due = dueAt?.(detail, current);
      const newHead = { name, currentVersion, deletedAt: undefined, purgeAt: undefined, detail, dueAt: due };
      return { head: newHead, add: sealed, result: { head: newHead, version: current } };
    });
  });
}

async function sealVersion(deps: Deps, key: ObjectKey, next: OpenVersion): Promise<SealedVersion> {
  const envelope = await deps.vaultKeys.seal({ ...key, version: next.version.version }, next.value);
  return { ...next.version, envelope };
}

/** Seals once more when the vault's key was rotated away between sealing and writing. */
async function withFreshKey<T>(deps: Deps, vaultId: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!(error instanceof StaleVaultKey)) throw error;
    deps.vaultKeys.forget(vaultId);
    return write();
  }
}

/** Opens a version's value; reads the row again when the vault's key was rotated away since. */
async function unseal<V>(deps: Parts<V>, key: ObjectKey, sealed: SealedVersion): Promise<SecretBytes> {
  const place = { ...key, version: sealed.version };
  try {
    return await deps.vaultKeys.open(place, sealed.envelope);
  } catch (error) {
    if (!(error instanceof VaultKeyMissing)) throw error;
    const again = await deps.reader.sealedVersion(key, sealed.version);
    if (again === undefined) throw notFound(deps.kind.noun, key.nameKey);
    return deps.vaultKeys.open(place, again.version.envelope);
  }
}

/** Removes deleted objects of a vault whose retention has ended; answers how many. */
export async function purgeDue(
  deps: Pick<Deps, 'reader' | 'writer' | 'clock'>,
  vaultId: string,
): Promise<number> {
  const now = unixSeconds(deps.clock.now());
  let purged = 0;
  for (;;) {
    const due = await deps.reader.dueForPurge(vaultId, now, 100);
    for (const key of due) {
      // Decided again inside the write: the object may have been recovered since the list was read.
      purged += await deps.writer.change(key, { version: undefined }, ({ head }) => {
        const isDue = head?.purgeAt !== undefined && head.purgeAt <= now;
        return isDue ? { head: undefined, result: 1 } : { head: 'same', result: 0 };
      });
    }
    if (due.length === 0) return purged;
  }
}

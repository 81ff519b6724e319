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
import type { VaultKeys } from '../sealing/vault-keys.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import {
  decideAddition,
  decideDeletion,
  decideHeadUpdate,
  decideImport,
  decidePurge,
  decideRecovery,
  decideUpdate,
  type Ruled,
  type VersionPatch,
} from './decisions.ts';
import { listDue } from './due.ts';
import { deletedNotFound, disabled, type Noun, notFound } from './nouns.ts';
import type {
  HeadAndVersion,
  ObjectKey,
  ObjectReader,
  ObjectState,
  ObjectVersion,
  ObjectWriter,
  SealedVersion,
} from './object-store.ts';
import { type OpenVersion, sealVersion, unsealVersion, withFreshKey } from './sealed-versions.ts';
import type { OpenedVersion, ValueCache } from './value-cache.ts';

export interface VersionedDeps<V> {
  readonly reader: ObjectReader;
  readonly writer: ObjectWriter;
  readonly values: ValueCache<V>;
  readonly vaultKeys: VaultKeys;
  readonly clock: Clock;
}

/** What a noun makes of its objects. */
export interface Kind<V> extends Ruled {
  /** What is kept of a version that was read; `unseal` opens its value, now or later. */
  readonly open: (version: ObjectVersion, unseal: () => Promise<SecretBytes>) => V | Promise<V>;
  /** Undoes `open` for what is not kept. */
  readonly close?: (value: V) => void;
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
    listDue: (vaultId) => listDue(deps, noun.kind, vaultId),
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
  const { kind } = deps;
  const key = keyOf(kind.noun, grant);
  const name = nameOf(grant);
  return withFreshKey(deps, key.vaultId, async () => {
    const sealed = await sealVersion(deps, key, next);
    return deps.writer.change(key, { version: undefined }, (state) => {
      if (after !== undefined && !isStill(after, state)) {
        // Memory that has not heard of it yet would only say the same again.
        deps.values.forget(key);
        throw new ObjectChanged();
      }
      assertNotManaged(kind.noun, state.version, kind.noun.addition);
      const decision = decideAddition(kind, state, { name, sealed, ...(headDetail && { headDetail }) });
      // Written as it is, so that the store vouches for the version too, and not for the head alone.
      return after === undefined || after === 'absent' ? decision : { ...decision, update: after.version };
    });
  });
}

/** What a certificate keeps is changed by the certificate alone; a kind without the rule has none such. */
export function assertNotManaged(noun: Noun, version: ObjectVersion | undefined, operation: string): void {
  if (version?.managed && noun.managed !== undefined) throw noun.managed(operation);
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
  const { kind, clock } = deps;
  const of = { name: nameOf(grant), version, patch, now: unixSeconds(clock.now()) };
  return deps.writer.change(keyOf(kind.noun, grant), { version }, (state) => {
    assertNotManaged(kind.noun, state.version, 'update');
    return decideUpdate(kind, state, of);
  });
}

async function updateHead<V>(
  deps: Parts<V>,
  grant: VaultGrant,
  change: (detail: string | undefined, current: ObjectVersion) => string | undefined,
): Promise<HeadAndVersion> {
  const { kind } = deps;
  const name = nameOf(grant);
  return deps.writer.change(keyOf(kind.noun, grant), { version: undefined }, (state) => {
    assertNotManaged(kind.noun, state.version, 'update');
    return decideHeadUpdate(kind, state, { name, change });
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
  const of = { name: nameOf(grant), vault: grant.vault, now: unixSeconds(deps.clock.now()) };
  return deps.writer.change(keyOf(noun, grant), { version: undefined }, (state) => {
    assertNotManaged(noun, state.version, 'delete');
    return decideDeletion(noun, state, of);
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
  const { kind } = deps;
  return deps.writer.change(keyOf(kind.noun, grant), { version: undefined }, (state) => {
    assertNotManaged(kind.noun, state.version, 'recover');
    return decideRecovery(kind, state, { name: nameOf(grant) });
  });
}

async function purge(deps: Deps, noun: Noun, grant: VaultGrant): Promise<void> {
  const of = { name: nameOf(grant), vault: grant.vault };
  return deps.writer.change(keyOf(noun, grant), { version: undefined }, (state) => {
    assertNotManaged(noun, state.version, 'purge');
    return decidePurge(noun, state, of);
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
    assertNotManaged(noun, row, 'backup');
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
  const { kind } = deps;
  const key = { vaultId: grant.vault.id, kind: kind.noun.kind, nameKey: objectKey(object.name) };
  return withFreshKey(deps, key.vaultId, async () => {
    const sealed = await Promise.all(object.versions.map((version) => sealVersion(deps, key, version)));
    return deps.writer.change(key, { version: undefined }, (state) =>
      decideImport(kind, state, { ...object, sealed }),
    );
  });
}

async function unseal<V>(deps: Parts<V>, key: ObjectKey, sealed: SealedVersion): Promise<SecretBytes> {
  const value = await unsealVersion(deps, key, sealed);
  if (value === undefined) throw notFound(deps.kind.noun, key.nameKey);
  return value;
}

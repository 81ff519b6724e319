/** What must hold of a certificate and of what belongs to it at every moment, whoever has done what to it. */
import { expect } from 'vitest';
import { type Family, familyKeys } from '../../src/domain/certificates/certificate-family.ts';
import { parseDetail, parsePending, parseState } from '../../src/domain/certificates/certificate-state.ts';
import type {
  ObjectHead,
  ObjectKey,
  ObjectReader,
  SealedVersion,
} from '../../src/domain/versioned/object-store.ts';

/** An object as it is in the store. */
export interface StoredObject {
  readonly head: ObjectHead;
  readonly versions: readonly SealedVersion[];
}

/** What is stored under a certificate's name: absent ones are undefined. Not read at once: nobody must be writing. */
export async function storedFamily(
  reader: ObjectReader,
  vaultId: string,
  name: string,
): Promise<Family<StoredObject | undefined>> {
  const of = async (key: ObjectKey): Promise<StoredObject | undefined> => {
    const head = await reader.head(key);
    const versions = await reader.listSealedVersions(key, { after: undefined, limit: 1000 });
    if (head === undefined && versions.length > 0) throw new Error('versions of no object');
    return head && { head, versions };
  };
  const keys = familyKeys(vaultId, name);
  return {
    certificate: await of(keys.certificate),
    key: await of(keys.key),
    pending: await of(keys.pending),
    secret: await of(keys.secret),
  };
}

/** Fails for a certificate without its key and secret, for either without it, and for a key that nobody waits for. */
export function expectWhole({ certificate, key, pending, secret }: Family<StoredObject | undefined>): void {
  if (certificate === undefined) {
    expect([key, pending, secret]).toEqual([undefined, undefined, undefined]);
    return;
  }
  const issued = certificate.versions.filter(({ detail }) => parseDetail(detail).x5t !== undefined);
  const ids = issued.map(({ version }) => version);
  // A version that is still to be issued stands alone and is disabled.
  const blank = certificate.versions.filter((version) => !issued.includes(version));
  expect(blank.length).toBe(ids.length === 0 ? 1 : 0);
  for (const { enabled } of blank) expect(enabled).toBe(false);
  for (const linked of [key, secret]) {
    expect(linked?.versions.map(({ version }) => version) ?? []).toEqual(ids);
    for (const each of linked?.versions ?? []) {
      const { enabled, notBefore, expires, tags, updated, managed } = each;
      expect(managed).toBe(true);
      const of = issued.find(({ version }) => version === each.version);
      expect({ enabled, notBefore, expires, tags, updated }).toEqual({
        ...{ enabled: of?.enabled, notBefore: of?.notBefore, expires: of?.expires },
        ...{ tags: of?.tags, updated: of?.updated },
      });
    }
    if (linked === undefined) continue;
    // No job looks at them by themselves, and no rotation policy is theirs.
    expect(linked.head).toMatchObject({ dueAt: undefined, detail: undefined });
    expect(linked.head.currentVersion).toBe(certificate.head.currentVersion);
  }
  const { deletedAt, purgeAt } = certificate.head;
  for (const object of [key, pending, secret])
    if (object !== undefined) expect(object.head).toMatchObject({ deletedAt, purgeAt });
  const status = pending && parsePending(pending.head.detail).status;
  const said = parseState(certificate.head.detail).pending;
  expect(said).toBe(status === undefined ? undefined : status === 'inProgress' ? 'inProgress' : 'ended');
  if (pending !== undefined) expect(pending.versions).toHaveLength(status === 'inProgress' ? 1 : 0);
}

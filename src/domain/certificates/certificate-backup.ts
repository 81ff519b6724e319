/** A certificate's backup: its versions, each with its key and its secret, in one blob. */

import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { parseKeyDetail } from '../keys/key-detail.ts';
import { providerFor } from '../keys/key-objects.ts';
import type { SealedItems } from '../sealing/sealed-items.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { decideImport } from '../versioned/decisions.ts';
import { certificateNoun, keyNoun, restoreConflict, secretNoun } from '../versioned/nouns.ts';
import { type BackedUpObject, createObjectBackups, type ObjectBackups } from '../versioned/object-backup.ts';
import type { HeadAndVersion, ObjectKey, ObjectVersion, SealedVersion } from '../versioned/object-store.ts';
import { type OpenVersion, sealVersion, unsealVersion, withFreshKey } from '../versioned/sealed-versions.ts';
import { nameOf } from '../versioned/versioned-objects.ts';
import { changeFamily, familyKeys } from './certificate-family.ts';
import { type CertificateDeps, certificateKind, createCertificateObjects } from './certificate-objects.ts';
import { formatState, parseDetail, parseState } from './certificate-state.ts';

export interface CertificateBackups {
  readonly blobs: ObjectBackups;
  backup(grant: VaultGrant): Promise<string>;
  restore(
    grant: VaultGrant,
    input: { blob: string; identify: (name: string, version: string) => string },
  ): Promise<HeadAndVersion>;
}

/** The value of a version in the blob: what the three have sealed, in base64, and what is said of key and secret. */
interface Packed {
  readonly certificate: string;
  readonly key: PackedVersion;
  readonly secret: PackedVersion;
}

interface PackedVersion {
  readonly version: ObjectVersion;
  readonly value: string;
}

type Deps = CertificateDeps & { readonly sealedItems: SealedItems };

export function createCertificateBackups(deps: Deps): CertificateBackups {
  const blobs = createObjectBackups(deps, certificateNoun);
  const objects = createCertificateObjects(deps);
  return {
    blobs,
    async backup(grant) {
      const { headDetail, versions, ...object } = await objects.export(grant);
      // What is under way is not part of it, nor what was done about the versions so far.
      const detail = formatState({ ...parseState(headDetail), pending: undefined });
      const packed: OpenVersion[] = [];
      try {
        for (const version of versions) packed.push(await pack(deps, grant, version));
        return await blobs.seal(grant.vault, { ...object, headDetail: detail, versions: packed });
      } finally {
        for (const { value } of packed) value.wipe();
      }
    },
    async restore(grant, { blob, identify }) {
      const { versions, ...object } = await blobs.open(grant.vault, blob);
      const unpacked = versions.map((version) => unpack(version));
      try {
        return await restore(deps, grant, { object, versions: unpacked, identify });
      } finally {
        for (const { key, secret } of unpacked) for (const { value } of [key, secret]) value.wipe();
      }
    },
  };
}

async function pack(deps: Deps, grant: VaultGrant, { version, value }: OpenVersion): Promise<OpenVersion> {
  if (parseDetail(version.detail).x5t === undefined)
    throw new Failure('conflict', 'A certificate cannot be backed up while its first version is pending.');
  const keys = familyKeys(grant.vault.id, nameOf(grant));
  const packed: Packed = {
    certificate: toBase64(value),
    key: await packLinked(deps, keys.key, version),
    secret: await packLinked(deps, keys.secret, version),
  };
  value.wipe();
  return { version, value: SecretBytes.fromText(JSON.stringify(packed)) };
}

async function packLinked(
  deps: Deps,
  key: ObjectKey,
  { version, updated, enabled }: ObjectVersion,
): Promise<PackedVersion> {
  const found = await deps.reader.sealedVersion(key, version);
  const value = found && (await unsealVersion(deps, key, found.version));
  // Deleted or changed while it is being read, or damaged: either way there is nothing whole to be kept.
  if (found?.version.updated !== updated || found.version.enabled !== enabled || value === undefined)
    throw new Failure('conflict', 'The certificate was changed while it was being backed up. Try again.');
  const { envelope: _sealed, ...metadata } = found.version;
  const text = toBase64(value);
  value.wipe();
  return { version: metadata, value: text };
}

function toBase64(value: SecretBytes): string {
  return Buffer.from(value.exposeBytes()).toString('base64');
}

interface Sealed {
  readonly certificate: SealedVersion[];
  readonly key: SealedVersion[];
  readonly secret: SealedVersion[];
}

async function restore(
  deps: Deps,
  grant: VaultGrant,
  of: {
    object: Omit<BackedUpObject, 'versions'>;
    versions: readonly Unpacked[];
    identify: (name: string, version: string) => string;
  },
): Promise<HeadAndVersion> {
  const { object, versions, identify } = of;
  const { name, currentVersion, headDetail } = object;
  const vaultId = grant.vault.id;
  const details = versions.map(({ key }) => parseKeyDetail(key.version.detail));
  // A backup brings no HSM key into a vault, or onto a server, that makes none.
  if (details.some(({ hsm }) => hsm)) providerFor(deps.keys, grant.vault, true);
  return withFreshKey(deps, vaultId, async () => {
    const sealed = await sealAll(deps, vaultId, { name, versions });
    const linked = { name, currentVersion, headDetail: undefined, identify };
    return changeFamily(deps.writer, { vaultId, name }, (states) => {
      const certificate = decideImport(certificateKind, states.certificate, {
        ...{ name, currentVersion, headDetail, identify },
        sealed: sealed.certificate,
      });
      if (states.pending.head !== undefined)
        throw restoreConflict(certificateNoun, identify(name, currentVersion));
      const key = decideImport({ noun: keyNoun }, states.key, { ...linked, sealed: sealed.key });
      const secret = decideImport({ noun: secretNoun }, states.secret, { ...linked, sealed: sealed.secret });
      return { changes: { certificate, key, secret }, result: certificate.result };
    });
  });
}

interface Unpacked {
  readonly certificate: OpenVersion;
  readonly key: OpenVersion;
  readonly secret: OpenVersion;
}

/** The seal of the blob vouches for what is inside. */
function unpack({ version, value }: OpenVersion): Unpacked {
  const { certificate, key, secret } = JSON.parse(value.exposeText()) as Packed;
  value.wipe();
  return {
    certificate: { version, value: fromBase64(certificate) },
    key: unpackLinked(key),
    secret: unpackLinked(secret),
  };
}

function unpackLinked({ version, value }: PackedVersion): OpenVersion {
  const { notBefore, expires, tags, detail } = version;
  // JSON leaves out what is undefined.
  return { version: { ...version, notBefore, expires, tags, detail }, value: fromBase64(value) };
}

function fromBase64(text: string): SecretBytes {
  return new SecretBytes(Buffer.from(text, 'base64'));
}

async function sealAll(
  deps: Deps,
  vaultId: string,
  { name, versions }: { name: string; versions: readonly Unpacked[] },
): Promise<Sealed> {
  const keys = familyKeys(vaultId, name);
  const sealed: Sealed = { certificate: [], key: [], secret: [] };
  for (const version of versions) {
    for (const member of ['certificate', 'key', 'secret'] as const)
      sealed[member].push(await sealVersion(deps, keys[member], version[member]));
  }
  return sealed;
}

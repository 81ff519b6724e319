/** What all operations on certificates work with: versions, the keys behind them, and who issues. */
import type { Random } from '../../core/random.ts';
import type { KeyDeps } from '../keys/key-objects.ts';
import { certificateNoun, notFound } from '../versioned/nouns.ts';
import { deletionOf, type Shown } from '../versioned/object-operations.ts';
import type { HeadAndVersion, ObjectKey, SealedVersion } from '../versioned/object-store.ts';
import { unsealVersion } from '../versioned/sealed-versions.ts';
import {
  createVersionedObjects,
  type Kind,
  type VersionedDeps,
  type VersionedObjects,
} from '../versioned/versioned-objects.ts';
import {
  type CertificateDetail,
  type CertificateValue,
  certificateDueAt,
  parseDetail,
  parseState,
  parseValue,
} from './certificate-state.ts';
import type { ShownCertificate } from './certificate-types.ts';

/** What is kept of a version that was read: its own data, and the certificate if it was issued. */
export interface OpenCertificate {
  readonly detail: CertificateDetail;
  /** DER in base64. */
  readonly cer: string | undefined;
}

export interface CertificateDeps extends VersionedDeps<OpenCertificate> {
  readonly random: Random;
  /** What the linked keys are made with and kept by. */
  readonly keys: Pick<KeyDeps, 'providers'>;
}

/** What a version takes of memory, roughly. */
export function openCertificateSize({ cer }: OpenCertificate): number {
  return 512 + (cer?.length ?? 0);
}

export const certificateKind: Kind<OpenCertificate> = {
  noun: certificateNoun,
  dueAt: certificateDueAt,
  open: async (version, unseal) => {
    const value = await unseal();
    const opened = { detail: parseDetail(version.detail), cer: leafOf(parseValue(value)) };
    value.wipe();
    return opened;
  },
};

export function createCertificateObjects(deps: CertificateDeps): VersionedObjects<OpenCertificate> {
  return createVersionedObjects(deps, certificateKind);
}

/** The certificate itself; undefined while it is pending. */
export function leafOf({ chain, leaf }: CertificateValue): string | undefined {
  return chain[leaf];
}

/** The value of a version, live or deleted, opened anew. */
export async function openValue(
  deps: CertificateDeps,
  key: ObjectKey,
  version: SealedVersion,
): Promise<CertificateValue> {
  const value = await unsealVersion(deps, key, version);
  if (value === undefined) throw notFound(certificateNoun, key.nameKey, version.version);
  const parsed = parseValue(value);
  value.wipe();
  return parsed;
}

/** A certificate as a bundle shows it. */
export function toBundle({ head, version }: HeadAndVersion, cer: string | undefined): ShownCertificate {
  const { policy, created, updated, pending } = parseState(head.detail);
  return {
    ...toItem({ head, version }),
    cer,
    policy: { name: head.name, policy, created, updated },
    hasPending: pending !== undefined,
  };
}

/** A certificate as a list shows it. */
export function toItem({ head, version }: Shown): ShownCertificate {
  const { x5t, subject, preserveCertOrder } = parseDetail(version.detail);
  return {
    name: head.name,
    version,
    ...{ x5t, subject, preserveCertOrder },
    cer: undefined,
    policy: undefined,
    hasPending: false,
    deleted: deletionOf(head),
  };
}

/** Secrets: values with versions. The rules of versions and deletion are those of `versioned`. */

import { secretActions as actions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { unixSeconds } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { pfxToPem } from '../../crypto/x509/pkcs12.ts';
import type { SealedItems } from '../sealing/sealed-items.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { notFound, secretNoun } from '../versioned/nouns.ts';
import { createObjectBackups } from '../versioned/object-backup.ts';
import {
  createObjectOperations,
  type Deletion,
  deletionOf,
  type ObjectOperations,
  type Shown,
} from '../versioned/object-operations.ts';
import type { ObjectVersion } from '../versioned/object-store.ts';
import {
  createVersionedObjects,
  type Kind,
  keyOf,
  nameOf,
  type VersionedDeps,
} from '../versioned/versioned-objects.ts';

/** A secret's version as it is shown; `value` only where the operation gives it. Times are Unix seconds. */
export interface Secret {
  readonly name: string;
  readonly version: ObjectVersion;
  readonly contentType: string | undefined;
  readonly value: SecretBytes | undefined;
  readonly deleted: Deletion | undefined;
}

/** What a caller chooses about a version; undefined is not given. */
export interface SecretAttributes {
  readonly enabled: boolean | undefined;
  readonly notBefore: number | undefined;
  readonly expires: number | undefined;
  readonly contentType: string | undefined;
  readonly tags: Readonly<Record<string, string>> | undefined;
}

/** The formats of a certificate's secret (Azure's `ContentType` enumeration). */
export type CertificateFormat = 'application/x-pkcs12' | 'application/x-pem-file';

export interface Secrets extends ObjectOperations<Secret> {
  set(grant: VaultGrant, input: SecretAttributes & { value: SecretBytes }): Promise<Secret>;
  /** `outContentType` asks for a PFX secret as PEM; any other conversion is refused. */
  /** What `get` answers for a version that is in memory, without waiting; undefined says nothing about others. */
  known(grant: VaultGrant, version: string | undefined): Secret | undefined;
  get(
    grant: VaultGrant,
    input: { version: string | undefined; outContentType: CertificateFormat | undefined },
  ): Promise<Secret>;
  update(grant: VaultGrant, input: SecretAttributes & { version: string | undefined }): Promise<Secret>;
  /** The current version without its value, which is not opened; a disabled one too. */
  describe(grant: VaultGrant): Promise<Secret>;
}

/** A value is opened when its version is read, and a disabled one is not read. */
export const secretKind: Kind<SecretBytes> = { noun: secretNoun, open: (_version, unseal) => unseal() };

interface Deps extends VersionedDeps<SecretBytes> {
  readonly sealedItems: SealedItems;
  readonly random: Random;
}

export function createSecrets(deps: Deps): Secrets {
  const objects = createVersionedObjects(deps, secretKind);
  const backups = createObjectBackups(deps, secretNoun);
  return {
    ...createObjectOperations({ objects, backups, actions, show: toSecret }),
    async set(grant, input) {
      assertGranted(grant, actions.set);
      return toSecret(
        await objects.add(grant, { next: { version: newVersion(deps, input), value: input.value } }),
        input.value,
      );
    },
    known(grant, version) {
      assertGranted(grant, actions.get);
      const found = objects.knownValue(grant, version);
      return found === undefined ? undefined : toSecret(found, found.value);
    },
    async get(grant, { version, outContentType }) {
      assertGranted(grant, actions.get);
      const found = await objects.readValue(grant, version);
      const secret = toSecret(found, found.value);
      return outContentType === undefined ? secret : convert(secret, outContentType);
    },
    async describe(grant) {
      assertGranted(grant, actions.list);
      const found = await deps.reader.sealedVersion(keyOf(secretNoun, grant), undefined);
      if (found === undefined || found.head.deletedAt !== undefined)
        throw notFound(secretNoun, nameOf(grant));
      const { envelope: _sealed, ...version } = found.version;
      return toSecret({ head: found.head, version });
    },
    async update(grant, input) {
      assertGranted(grant, actions.update);
      const { contentType, version, ...patch } = input;
      const detail = contentType === undefined ? undefined : () => formatSecretDetail(contentType);
      return toSecret(await objects.update(grant, version, { ...patch, detail }));
    },
  };
}

function newVersion(deps: Deps, input: SecretAttributes): ObjectVersion {
  const now = unixSeconds(deps.clock.now());
  return {
    version: deps.random.version(),
    enabled: input.enabled ?? true,
    notBefore: input.notBefore,
    expires: input.expires,
    created: now,
    updated: now,
    managed: false,
    tags: input.tags,
    detail: input.contentType === undefined ? undefined : formatSecretDetail(input.contentType),
  };
}

/** What a secret's version has besides the attributes of every version. */
export function formatSecretDetail(contentType: string): string {
  return JSON.stringify({ contentType });
}

function toSecret({ head, version }: Shown, value?: SecretBytes): Secret {
  const detail =
    version.detail === undefined ? undefined : (JSON.parse(version.detail) as { contentType?: string });
  return { name: head.name, version, contentType: detail?.contentType, value, deleted: deletionOf(head) };
}

async function convert(secret: Secret, to: CertificateFormat): Promise<Secret> {
  if (secret.contentType === to || secret.value === undefined) return secret;
  if (secret.contentType !== 'application/x-pkcs12' || to !== 'application/x-pem-file') {
    throw new Failure(
      'badParameter',
      'outContentType can only turn a secret of application/x-pkcs12 into application/x-pem-file.',
    );
  }
  const pfx = new SecretBytes(Buffer.from(secret.value.exposeText(), 'base64'));
  return { ...secret, contentType: to, value: await pfxToPem(pfx, '') };
}

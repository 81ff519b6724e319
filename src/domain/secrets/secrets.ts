/** Secrets: values with versions. The rules of versions and deletion are those of `versioned`. */

import { secretActions as actions } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import { unixSeconds } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import type { Page, PageRequest } from '../../core/paging.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { pfxToPem } from '../../crypto/x509/pkcs12.ts';
import type { SealedItems } from '../sealing/sealed-items.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import { secretNoun } from '../versioned/nouns.ts';
import { createObjectBackups } from '../versioned/object-backup.ts';
import type { HeadAndVersion, ObjectHead, ObjectVersion } from '../versioned/object-store.ts';
import { createVersionedObjects, type Kind, type VersionedDeps } from '../versioned/versioned-objects.ts';

/** A secret's version as it is shown; `value` only where the operation gives it. Times are Unix seconds. */
export interface Secret {
  readonly name: string;
  readonly version: ObjectVersion;
  readonly contentType: string | undefined;
  readonly value: SecretBytes | undefined;
  readonly deleted: { readonly deletedAt: number; readonly purgeAt: number } | undefined;
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

export interface Secrets {
  set(grant: VaultGrant, input: SecretAttributes & { value: SecretBytes }): Promise<Secret>;
  /** `outContentType` asks for a PFX secret as PEM; any other conversion is refused. */
  /** What `get` answers for a version that is in memory, without waiting; undefined says nothing about others. */
  known(grant: VaultGrant, version: string | undefined): Secret | undefined;
  get(
    grant: VaultGrant,
    input: { version: string | undefined; outContentType: CertificateFormat | undefined },
  ): Promise<Secret>;
  update(grant: VaultGrant, input: SecretAttributes & { version: string | undefined }): Promise<Secret>;
  list(grant: VaultGrant, page: PageRequest): Promise<Page<Secret>>;
  listVersions(grant: VaultGrant, page: PageRequest): Promise<Page<Secret>>;
  delete(grant: VaultGrant): Promise<Secret>;
  getDeleted(grant: VaultGrant): Promise<Secret>;
  listDeleted(grant: VaultGrant, page: PageRequest): Promise<Page<Secret>>;
  recover(grant: VaultGrant): Promise<Secret>;
  purge(grant: VaultGrant): Promise<void>;
  /** A sealed blob of every version; refused above 500 versions. */
  backup(grant: VaultGrant): Promise<string>;
  /** `identify` gives the identifier that a refusal quotes. */
  restore(
    grant: VaultGrant,
    input: { blob: string; identify: (name: string, version: string) => string },
  ): Promise<Secret>;
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
  const page = (rows: Page<HeadAndVersion>): Page<Secret> => ({
    ...rows,
    items: rows.items.map((row) => toSecret(row)),
  });
  return {
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
    async update(grant, input) {
      assertGranted(grant, actions.update);
      const { contentType, version, ...patch } = input;
      const detail = contentType === undefined ? undefined : () => detailOf(contentType);
      return toSecret(await objects.update(grant, version, { ...patch, detail }));
    },
    async list(grant, request) {
      assertGranted(grant, actions.list);
      return page(await objects.list(grant, request));
    },
    async listVersions(grant, request) {
      assertGranted(grant, actions.list);
      const { name, page: rows } = await objects.listVersions(grant, request);
      return {
        ...rows,
        items: rows.items.map((version) => toSecret({ head: { name }, version })),
      };
    },
    async delete(grant) {
      assertGranted(grant, actions.delete);
      return toSecret(await objects.delete(grant));
    },
    async getDeleted(grant) {
      assertGranted(grant, actions.getDeleted);
      return toSecret(await objects.getDeleted(grant));
    },
    async listDeleted(grant, request) {
      assertGranted(grant, actions.list);
      return page(await objects.listDeleted(grant, request));
    },
    async recover(grant) {
      assertGranted(grant, actions.recover);
      return toSecret(await objects.recover(grant));
    },
    async purge(grant) {
      assertGranted(grant, actions.purge);
      return objects.purge(grant);
    },
    async backup(grant) {
      assertGranted(grant, actions.backup);
      return backups.seal(grant.vault, await objects.export(grant));
    },
    async restore(grant, { blob, identify }) {
      assertGranted(grant, actions.restore);
      const backup = await backups.open(grant.vault, blob);
      return toSecret(await objects.import(grant, { ...backup, identify }));
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
    detail: input.contentType === undefined ? undefined : detailOf(input.contentType),
  };
}

function detailOf(contentType: string): string {
  return JSON.stringify({ contentType });
}

/** Of a list of versions no more is known of the head than its name. */
type Shown = Pick<HeadAndVersion, 'version'> & { head: Pick<ObjectHead, 'name'> & Partial<ObjectHead> };

function toSecret({ head, version }: Shown, value?: SecretBytes): Secret {
  const { name, deletedAt, purgeAt } = head;
  const detail =
    version.detail === undefined ? undefined : (JSON.parse(version.detail) as { contentType?: string });
  const deleted = deletedAt === undefined || purgeAt === undefined ? undefined : { deletedAt, purgeAt };
  return { name, version, contentType: detail?.contentType, value, deleted };
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

/**
 * An object's backup blob: all versions with their ids and values, sealed under the server's backup key, which lives
 * under the root key and outlasts its rotation. So a blob opens only on a server of the same root of trust, and any
 * change to it is refused. Form: base64url, unpadded, of a readable prefix and the sealed JSON.
 */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import type { ObjectKind } from '../../core/names.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import {
  open,
  SealBroken,
  type SealingKey,
  seal,
  sealingKey,
  sealingKeyLength,
} from '../../crypto/sealing.ts';
import type { SealedItems } from '../sealing/sealed-items.ts';
import type { Vault } from '../vaults/vault.ts';
import type { Noun } from './nouns.ts';
import type { OpenVersion } from './sealed-versions.ts';
import { type ImportedObject, mostVersionsInBackup } from './versioned-objects.ts';

/** An object as it goes into a blob and comes out of one. */
export type BackedUpObject = Omit<ImportedObject, 'identify'>;

export interface ObjectBackups {
  /** Refuses an object with too many versions, or too large to be restored. */
  seal(vault: Vault, object: BackedUpObject): Promise<string>;
  /** Refuses anything but a whole, unaltered blob that this server made for the vault's subscription. */
  open(vault: Vault, blob: string): Promise<BackedUpObject>;
}

interface Deps {
  readonly sealedItems: SealedItems;
  readonly random: Random;
}

/** The readable beginning of a blob, and how values are written in it. */
const forms: Readonly<Partial<Record<ObjectKind, { prefix: string; encoding: 'utf8' | 'base64' }>>> = {
  secrets: { prefix: ')StrongroomSecretBackupV1.', encoding: 'utf8' },
  keys: { prefix: ')StrongroomKeyBackupV1.', encoding: 'base64' },
  certificates: { prefix: ')StrongroomCertificateBackupV1.', encoding: 'utf8' },
};

const versionSchema = v.object({
  version: v.string(),
  enabled: v.boolean(),
  notBefore: v.optional(v.number()),
  expires: v.optional(v.number()),
  created: v.number(),
  updated: v.number(),
  managed: v.boolean(),
  // Not a record, which leaves out names such as `constructor`; the seal vouches for what is inside.
  tags: v.optional(v.custom<Record<string, string>>((tags) => typeof tags === 'object' && tags !== null)),
  detail: v.optional(v.string()),
  value: v.string(),
});

const backupSchema = v.object({
  tenantId: v.string(),
  subscriptionId: v.string(),
  name: v.string(),
  currentVersion: v.string(),
  headDetail: v.optional(v.string()),
  versions: v.array(versionSchema),
});

/** The longest blob, in characters: a restore takes no more, so that a backup must not give more. */
export const longestBackup = 31 * 1024 * 1024;

export function createObjectBackups(deps: Deps, noun: Noun): ObjectBackups {
  const form = forms[noun.kind];
  if (form === undefined) throw new TypeError(`there is no form of backup for ${noun.kind}`);
  const prefix = Buffer.from(form.prefix, 'ascii');
  const identity = `backup|${noun.kind}`;
  return {
    async seal(vault, object) {
      if (object.versions.length > mostVersionsInBackup) {
        throw new Failure(
          'badParameter',
          `A ${noun.singular} with more than ${mostVersionsInBackup} versions cannot be backed up.`,
        );
      }
      const { tenantId, subscriptionId } = vault;
      const versions = object.versions.map(({ version, value }) => ({
        ...version,
        value: Buffer.from(value.exposeBytes()).toString(form.encoding),
      }));
      const plain = SecretBytes.fromText(JSON.stringify({ tenantId, subscriptionId, ...object, versions }));
      const sealed = seal(await backupKey(deps), plain, { identity, random: deps.random });
      const blob = Buffer.concat([prefix, sealed]).toString('base64url');
      if (blob.length > longestBackup)
        throw new Failure('badParameter', `The ${noun.singular} is too large to be backed up.`);
      return blob;
    },
    async open(vault, blob) {
      const bytes = Buffer.from(blob, 'base64url');
      // Decoding forgives padding, stray characters and loose final bits; a blob with any of them was tampered with.
      if (bytes.toString('base64url') !== blob || !bytes.subarray(0, prefix.length).equals(prefix)) {
        throw new Failure('malformedBackupBlob', 'Backup blob contains invalid or corrupt version.');
      }
      const plain = unsealed(await backupKey(deps), bytes.subarray(prefix.length), identity);
      const { versions, ...object } = v.parse(backupSchema, JSON.parse(plain.exposeText()));
      if (object.subscriptionId !== vault.subscriptionId || object.tenantId !== vault.tenantId) {
        throw new Failure(
          'badParameter',
          'A backup can be restored only within the subscription that it was made in.',
        );
      }
      const { name, currentVersion, headDetail } = object;
      const opened = versions.map((version) => toOpenVersion(version, form.encoding));
      return { name, currentVersion, headDetail, versions: opened };
    },
  };
}

async function backupKey(deps: Deps): Promise<SealingKey> {
  const make = () => new SecretBytes(deps.random.bytes(sealingKeyLength));
  return sealingKey('backup', await deps.sealedItems.getOrMake('backup-key', make));
}

function unsealed(key: SealingKey, sealed: Uint8Array, identity: string): SecretBytes {
  try {
    return open(key, sealed, identity);
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    throw new Failure('malformedBackupBlob', 'Backup blob is corrupt.', { cause: error });
  }
}

function toOpenVersion(
  { value, ...rest }: v.InferOutput<typeof versionSchema>,
  encoding: 'utf8' | 'base64',
): OpenVersion {
  const { notBefore, expires, tags, detail } = rest;
  return {
    version: { ...rest, notBefore, expires, tags, detail },
    value: new SecretBytes(Buffer.from(value, encoding)),
  };
}

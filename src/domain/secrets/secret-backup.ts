/**
 * A secret's backup blob: all versions with their ids and values, sealed under the server's backup key, which lives
 * under the root key and outlasts its rotation. So a blob opens only on a server of the same root of trust, and any
 * change to it is refused. Form: base64url, unpadded, of a readable prefix and the sealed JSON.
 */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import { open, SealBroken, type SealingKey, seal } from '../../crypto/sealing.ts';
import type { OpenVersion } from '../versioned/versioned-objects.ts';

const prefix = Buffer.from(')StrongroomSecretBackupV1.', 'ascii');
const identity = 'backup|secrets';

export interface SecretBackup {
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly name: string;
  readonly currentVersion: string;
  readonly versions: readonly OpenVersion[];
}

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
  versions: v.array(versionSchema),
});

/** The longest blob, in characters: a restore takes no more, so that a backup must not give more. */
export const longestBackup = 31 * 1024 * 1024;

export function sealBackup(key: SealingKey, backup: SecretBackup, random: Random): string {
  const versions = backup.versions.map(({ version, value }) => ({ ...version, value: value.exposeText() }));
  const plain = SecretBytes.fromText(JSON.stringify({ ...backup, versions }));
  return Buffer.concat([prefix, seal(key, plain, { identity, random })]).toString('base64url');
}

/** Throws `malformedBackupBlob` for anything but a whole, unaltered blob of this server. */
export function openBackup(key: SealingKey, blob: string): SecretBackup {
  const bytes = Buffer.from(blob, 'base64url');
  // Decoding forgives padding, stray characters and loose final bits; a blob with any of them was tampered with.
  if (bytes.toString('base64url') !== blob || !bytes.subarray(0, prefix.length).equals(prefix)) {
    throw new Failure('malformedBackupBlob', 'Backup blob contains invalid or corrupt version.');
  }
  try {
    const parsed = v.parse(
      backupSchema,
      JSON.parse(open(key, bytes.subarray(prefix.length), identity).exposeText()),
    );
    return { ...parsed, versions: parsed.versions.map(toOpenVersion) };
  } catch (error) {
    if (error instanceof SealBroken)
      throw new Failure('malformedBackupBlob', 'Backup blob is corrupt.', { cause: error });
    throw error;
  }
}

function toOpenVersion({ value, ...rest }: v.InferOutput<typeof versionSchema>): OpenVersion {
  const { notBefore, expires, tags, detail } = rest;
  return { version: { ...rest, notBefore, expires, tags, detail }, value: SecretBytes.fromText(value) };
}

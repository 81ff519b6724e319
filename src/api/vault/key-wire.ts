/** Keys as JSON: schemas of what comes in, shapes of what goes out, in the order of Azure's members. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import { keyOperations, ktyOf } from '../../domain/keys/key-detail.ts';
import type { Key, KeyAttributes } from '../../domain/keys/key-objects.ts';
import { parseKeyTransportAlgorithm } from '../../domain/keys/key-spec.ts';
import type { KeyChoices, WrappedKey } from '../../domain/keys/keys.ts';
import type { Vault } from '../../domain/vaults/vault.ts';
import { type ApiVersion, has } from '../versions.ts';
import type { AnyCall } from './object-routes.ts';
import {
  type AttributesWire,
  attributesWire,
  isJsonObject,
  objectSchema,
  tagsSchema,
  timeSchema,
} from './wire.ts';

const longestTag = 256;
/** Characters: far more than a private RSA-4096 key takes. */
const longestJwkMember = 16 * 1024;

/** Bytes in base64url; padding is forgiven, anything else is not. */
export const bytesSchema = v.pipe(
  v.string('It must be text in base64url.'),
  v.regex(/^[A-Za-z0-9_-]*={0,2}$/, 'It must be text in base64url.'),
  v.transform((text): Uint8Array => Buffer.from(text, 'base64url')),
);

const int32 = v.nullish(v.pipe(v.number(), v.safeInteger('It must be a whole number.')));
const shortText = v.nullish(v.pipe(v.string(), v.maxLength(64)));

const attributes = v.nullish(
  objectSchema({
    enabled: v.nullish(v.boolean()),
    nbf: timeSchema,
    exp: timeSchema,
    exportable: v.nullish(v.boolean()),
  }),
);

const releasePolicy = v.nullish(
  objectSchema({
    contentType: v.nullish(v.string()),
    data: v.nullish(v.string()),
    immutable: v.nullish(v.boolean()),
  }),
);

const common = {
  attributes,
  tags: tagsSchema(longestTag),
  release_policy: releasePolicy,
  key_ops: v.nullish(v.array(v.picklist(keyOperations, 'It is not an operation of a key.'))),
};

/** `kty`; a plain `oct` is not for vaults (recorded). */
const vaultKeyTypes = ['EC', 'EC-HSM', 'RSA', 'RSA-HSM', 'oct-HSM', 'AKP', 'AKP-HSM'] as const;
type VaultKty = (typeof vaultKeyTypes)[number];

const durationText = v.nullish(v.pipe(v.string(), v.maxLength(64)));

/** A rotation policy, on the data plane and as a member of a key as a resource. */
export const rotationPolicySchema = objectSchema({
  lifetimeActions: v.nullish(
    v.pipe(
      v.array(
        objectSchema({
          trigger: v.nullish(objectSchema({ timeAfterCreate: durationText, timeBeforeExpiry: durationText })),
          action: v.nullish(objectSchema({ type: durationText })),
        }),
      ),
      v.maxLength(16),
    ),
  ),
  attributes: v.nullish(objectSchema({ expiryTime: durationText })),
});

export const createSchema = objectSchema({
  ...common,
  kty: v.picklist(vaultKeyTypes, 'It is not a type of key that vaults have.'),
  key_size: int32,
  public_exponent: int32,
  crv: shortText,
  alg: shortText,
});

export const updateSchema = objectSchema(common);

const badKey = 'The property "key" must be a valid JsonWebKey object.';

export const importSchema = objectSchema({
  ...common,
  Hsm: v.nullish(v.boolean()),
  // What is no JWK is refused by `parseImportedKey`, in Azure's own words.
  key: v.optional(v.unknown()),
});

const operationsSchema = common.key_ops;

/** The api-version that brought keys for algorithms other than those of RFC 7518. */
export const akpSince = '2026-05-01-preview';

/** Whether the caller's version has keys of the type. */
export function hasType(version: ApiVersion, type: string): boolean {
  return type !== 'AKP' || has(version, akpSince);
}

/** A type of the API apart into what it is and where it is to be. */
export function splitKty(kty: VaultKty): { type: 'EC' | 'RSA' | 'oct' | 'AKP'; hsm: boolean } {
  const [type = '', hsm] = kty.split('-');
  return { type: type as 'EC', hsm: hsm !== undefined };
}

export function attributesOf(body: v.InferOutput<typeof updateSchema>): KeyAttributes {
  return {
    enabled: body.attributes?.enabled ?? undefined,
    notBefore: body.attributes?.nbf ?? undefined,
    expires: body.attributes?.exp ?? undefined,
    tags: body.tags ?? undefined,
  };
}

export function choicesOf(body: v.InferOutput<typeof updateSchema>): Omit<KeyChoices, 'hsm'> {
  const policy = body.release_policy ?? undefined;
  return {
    ...attributesOf(body),
    operations: body.key_ops ?? undefined,
    exportable: body.attributes?.exportable ?? undefined,
    releasePolicy: policy && {
      contentType: policy.contentType ?? undefined,
      data: policy.data ?? undefined,
      immutable: policy.immutable ?? undefined,
    },
  };
}

/** The key of an import: its type, its operations, and where its private part comes from. */
export function parseImportedKey(
  { grant: { vault }, apiVersion }: AnyCall,
  body: v.InferOutput<typeof importSchema>,
): Pick<KeyChoices, 'hsm' | 'operations'> & { from: PlainKey | WrappedKey } {
  const key = isJsonObject(body.key) ? body.key : {};
  const { kty: named, key_ops: operations, key_hsm: wrapped } = key;
  const kty = vaultKeyTypes.find((known) => known === named);
  const parsed = v.safeParse(operationsSchema, operations);
  if (kty === undefined || !parsed.success) throw new Failure('badParameter', badKey);
  const { type, hsm: isHsmType } = splitKty(kty);
  if (!hasType(apiVersion, type)) throw new Failure('badParameter', badKey);
  const hsm = isHsmType || body.Hsm === true;
  const from =
    wrapped === undefined || wrapped === null
      ? plainKey(key, type)
      : wrappedKey(wrapped, { type, hsm, vault });
  return { hsm, operations: parsed.output ?? body.key_ops ?? undefined, from };
}

const jwkMembers = ['n', 'e', 'd', 'dp', 'dq', 'qi', 'p', 'q', 'k', 'crv', 'x', 'y', 'alg', 'pub', 'priv'];

/** The private key in the JWK itself: its members as text, not looked into. */
interface PlainKey {
  readonly kty: 'RSA' | 'EC' | 'oct' | 'AKP';
  readonly members: Readonly<Record<string, string>>;
}

function plainKey(key: Readonly<Record<string, unknown>>, kty: PlainKey['kty']): PlainKey {
  const members: Record<string, string> = {};
  for (const name of jwkMembers) {
    const value = key[name];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'string' || value.length > longestJwkMember)
      throw new Failure('badParameter', `${badKey}\r\nIts member ${name} is not usable.`);
    members[name] = value;
  }
  return { kty, members };
}

/** The file that a BYOK tool makes (Azure's key transfer blob), in base64url. */
const transferBlob = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]*={0,2}$/),
  v.transform((text) => Buffer.from(text, 'base64url').toString('utf8')),
  v.parseJson(),
  v.object({
    schema_version: v.literal('1.0.0'),
    header: v.object({ kid: v.string(), alg: v.literal('dir'), enc: v.string() }),
    ciphertext: bytesSchema,
  }),
);

function wrappedKey(
  blob: unknown,
  of: { type: 'RSA' | 'EC' | 'oct' | 'AKP'; hsm: boolean; vault: Vault },
): WrappedKey {
  if (!of.hsm)
    throw new Failure('badParameter', 'A key that is wrapped for transfer is imported as an HSM key only.');
  const parsed = v.safeParse(transferBlob, blob);
  if (!parsed.success) throw new Failure('badParameter', `${badKey}\r\nkey_hsm is not a key transfer blob.`);
  const { header, ciphertext } = parsed.output;
  return {
    algorithm: parseKeyTransportAlgorithm(header.enc),
    wrapped: ciphertext,
    type: of.type,
    under: keyOfIdentifier(header.kid, of.vault),
  };
}

const identifier = /^https:\/\/([a-z0-9-]+)\.[^/]+\/keys\/([0-9a-z-]{1,127})(?:\/([0-9a-f]{32}))?\/?$/i;

function keyOfIdentifier(kid: string, vault: Vault): { name: string; version: string | undefined } {
  const [, host, name, version] = identifier.exec(kid) ?? [];
  if (name === undefined || host?.toLowerCase() !== vault.name.toLowerCase()) {
    throw new Failure('badParameter', `${badKey}\r\nkey_hsm is wrapped for a key that is not of this vault.`);
  }
  return { name, version };
}

export function kidOf({ origin }: AnyCall, { name, version }: Key): string {
  return `${origin}/keys/${name}/${version.version}`;
}

interface KeyAttributesWire extends AttributesWire {
  readonly exportable: boolean | undefined;
  readonly hsmPlatform: string | undefined;
  readonly key_size: number | undefined;
}

function keyAttributesWire({ grant, apiVersion }: AnyCall, { version, detail }: Key): KeyAttributesWire {
  const { spec } = detail;
  return {
    ...attributesWire(version, { vault: grant.vault, apiVersion }),
    // Recorded: a certificate's key does not say it, for its policy does.
    exportable: has(apiVersion, '7.3') && !version.managed ? detail.exportable : undefined,
    hsmPlatform: has(apiVersion, '7.5') ? detail.platform : undefined,
    key_size: has(apiVersion, '2026-04-01') && spec.type === 'oct' ? spec.bits : undefined,
  };
}

/** The bundle: recovery facts first for a deleted key, then key, attributes, tags, managed, release_policy. */
export function keyWire(call: AnyCall, key: Key) {
  const { detail, version, deleted } = key;
  const { n, e, crv, x, y, alg, pub } = detail.jwk;
  const { releasePolicy: policy } = detail;
  return {
    ...recoveryWire(call, key),
    key: { kid: kidOf(call, key), kty: ktyOf(detail), key_ops: detail.operations, n, e, crv, x, y, alg, pub },
    attributes: keyAttributesWire(call, key),
    tags: version.tags,
    managed: version.managed ? true : undefined,
    release_policy:
      policy === undefined || deleted !== undefined || !has(call.apiVersion, '7.3') ? undefined : policy,
  };
}

/** An item of a list: `kid` is without version in a list of keys. */
export function keyItemWire(call: AnyCall, key: Key, { withVersion }: { withVersion: boolean }) {
  return {
    ...recoveryWire(call, key),
    kid: withVersion ? kidOf(call, key) : `${call.origin}/keys/${key.name}`,
    attributes: keyAttributesWire(call, key),
    tags: key.version.tags,
    managed: key.version.managed ? true : undefined,
  };
}

function recoveryWire({ origin }: AnyCall, { name, deleted }: Key) {
  return {
    recoveryId: deleted && `${origin}/deletedkeys/${name}`,
    deletedDate: deleted?.deletedAt,
    scheduledPurgeDate: deleted?.purgeAt,
  };
}

export function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

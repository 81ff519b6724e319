/**
 * What a key's version has besides the attributes of every version: kept as JSON beside it, in clear, since all of it
 * is public; and its material, which is sealed together with what must not be changed behind the server's back.
 */
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { KeyType } from '../../crypto/algorithms.ts';
import type { KeySpec, PublicJwk } from '../../crypto/provider.ts';
import type { ReleasePolicy } from './release-policy.ts';

/**
 * The API's `JsonWebKeyOperation`; `import` is of a key that others are brought in under. The two secure ones came with
 * 2026-04-01: Azure's clients send them, its document does not list them.
 */
export const keyOperations = [
  'encrypt',
  'decrypt',
  'sign',
  'verify',
  'wrapKey',
  'unwrapKey',
  'import',
  'export',
  'secureWrapKey',
  'secureUnwrapKey',
] as const;
export type KeyOperation = (typeof keyOperations)[number];

export interface KeyDetail {
  readonly spec: KeySpec;
  /** Shown as `RSA-HSM` and the like. */
  readonly hsm: boolean;
  /** The provider that has the key, and the platform that it was made on. */
  readonly provider: string;
  readonly platform: string;
  readonly jwk: PublicJwk;
  readonly operations: readonly KeyOperation[];
  readonly exportable: boolean;
  readonly releasePolicy: ReleasePolicy | undefined;
}

export function formatKeyDetail(detail: KeyDetail): string {
  return JSON.stringify(detail);
}

/** The reverse of `formatKeyDetail`. */
export function parseKeyDetail(text: string | undefined): KeyDetail {
  if (text === undefined) throw new TypeError('a key without its detail');
  const { releasePolicy, ...detail } = JSON.parse(text) as KeyDetail;
  return { ...detail, releasePolicy };
}

/** `kty` of the API. */
export function ktyOf({ spec, hsm }: Pick<KeyDetail, 'spec' | 'hsm'>): string {
  return hsm ? `${spec.type}-HSM` : spec.type;
}

const usual: Readonly<Record<KeyType, readonly KeyOperation[]>> = {
  RSA: ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'],
  EC: ['sign', 'verify'],
  oct: ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'],
  AKP: ['sign', 'verify'],
};

/** `key_ops` of a key that is made without any (recorded for RSA and EC). */
export function usualOperations(type: KeyType): readonly KeyOperation[] {
  return usual[type];
}

const possible: Readonly<Record<KeyType, readonly KeyOperation[]>> = {
  RSA: keyOperations,
  EC: ['sign', 'verify', 'export'],
  oct: keyOperations.filter((operation) => operation !== 'import'),
  AKP: ['sign', 'verify', 'export'],
};

export function canEver(type: KeyType, operation: KeyOperation): boolean {
  return possible[type].includes(operation);
}

const formVersion = 1;
const exportableFlag = 1;
const header = 6;

/** What is sealed together with a key's material, so that no change of a row in the database changes it. */
export interface SealedWithKey {
  /** Whether the key may ever leave the server. */
  readonly exportable: boolean;
  /** `data` of the release policy that the key was made with, if that was immutable then. */
  readonly policy: string | undefined;
}

/**
 * The detail as far as it is to be believed of a key's release: where its row says more than what was sealed with the
 * key, the seal is right.
 */
export function withSealed(detail: KeyDetail, { exportable, policy: data }: SealedWithKey): KeyDetail {
  const { releasePolicy } = detail;
  const isFixed = releasePolicy !== undefined && data !== undefined;
  return {
    ...detail,
    exportable: detail.exportable && exportable,
    releasePolicy: isFixed ? { ...releasePolicy, data, immutable: true } : releasePolicy,
  };
}

/** The bytes that are sealed: form, flags, the policy with its length, and the provider's material. */
export function packMaterial(material: SecretBytes, { exportable, policy = '' }: SealedWithKey): SecretBytes {
  const text = Buffer.from(policy, 'utf8');
  const packed = Buffer.alloc(header + text.length + material.length);
  packed[0] = formVersion;
  packed[1] = exportable ? exportableFlag : 0;
  packed.writeUInt32BE(text.length, 2);
  packed.set(text, header);
  packed.set(material.exposeBytes(), header + text.length);
  return new SecretBytes(packed);
}

/** Takes apart what `packMaterial` made; the material shares its bytes. */
export function unpackMaterial(packed: SecretBytes): SealedWithKey & { readonly material: SecretBytes } {
  const { buffer, byteOffset, byteLength } = packed.exposeBytes();
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  if (bytes[0] !== formVersion) throw new TypeError('key material of an unknown form');
  const end = header + bytes.readUInt32BE(2);
  const policy = bytes.toString('utf8', header, end);
  return {
    exportable: bytes[1] === exportableFlag,
    policy: policy === '' ? undefined : policy,
    material: new SecretBytes(bytes.subarray(end)),
  };
}

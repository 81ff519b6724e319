/** The key in a certificate's policy: which kinds there are, and what a policy and its key usages make of one. */
import { Failure } from '../../core/errors.ts';
import type { CurveName } from '../../crypto/algorithms.ts';
import type { KeySpec } from '../../crypto/provider.ts';
import type { KeyUsage } from '../../crypto/x509/certificate-content.ts';
import { canEver, type KeyOperation, keyOperations, usualOperations } from '../keys/key-detail.ts';
import { badPolicy, type Given } from './policy-input.ts';

const keyTypes = ['RSA', 'RSA-HSM', 'EC', 'EC-HSM'] as const;
export type CertificateKeyType = (typeof keyTypes)[number];

export interface CertificateKey {
  readonly kty: CertificateKeyType;
  /** Bits; of a curve, those of its field. */
  readonly size: number;
  /** EC only. */
  readonly curve: CurveName | undefined;
  /** Whether the linked secret holds the private key. */
  readonly exportable: boolean;
  /** Whether a renewal keeps the key. */
  readonly reuse: boolean;
}

export interface CertificateKeyInput {
  readonly kty?: Given<string>;
  /** 0 counts as not given. */
  readonly size?: Given<number>;
  readonly curve?: Given<string>;
  readonly exportable?: Given<boolean>;
  readonly reuse?: Given<boolean>;
}

const rsaSizes = [2048, 3072, 4096];
const ecSizes = [256, 384, 521];
/** The curve that a size alone means comes first. */
const curves: readonly { readonly name: CurveName; readonly size: number }[] = [
  { name: 'P-256', size: 256 },
  { name: 'P-384', size: 384 },
  { name: 'P-521', size: 521 },
  { name: 'P-256K', size: 256 },
];
const exponent = 65_537;

/** Bits of a curve's field. */
export function curveSize(curve: CurveName): number {
  return curves.find(({ name }) => name === curve)?.size ?? 0;
}

/**
 * Members that are not given stay as they were, as far as they are for a key of the new type; else they take Azure's
 * defaults: RSA of 2048 bits, P-256, exportable unless in an HSM. Throws `badParameter`.
 */
export function parseCertificateKey(
  input: CertificateKeyInput,
  previous: CertificateKey | undefined,
): CertificateKey {
  const kty = parseKeyType(input.kty) ?? previous?.kty ?? 'RSA';
  const was = previous !== undefined && typeOf(previous.kty) === typeOf(kty) ? previous : undefined;
  return {
    kty,
    ...(typeOf(kty) === 'RSA' ? parseRsa(input, was) : parseEc(input, was)),
    exportable: parseExportable(input.exportable, { kty, was: previous }),
    reuse: input.reuse ?? previous?.reuse ?? false,
  };
}

/** The type that is given; undefined for none. */
export function parseKeyType(given: Given<string>): CertificateKeyType | undefined {
  if (given === undefined || given === null || given === '') return undefined;
  const known = keyTypes.find((type) => type === given);
  if (known === undefined) throw badPolicy(`The key of a certificate is of type ${keyTypes.join(', ')}.`);
  return known;
}

function parseRsa(
  { size, curve }: CertificateKeyInput,
  was: CertificateKey | undefined,
): Pick<CertificateKey, 'size' | 'curve'> {
  if (curve !== undefined && curve !== null && curve !== '') throw badPolicy('crv is for EC keys only.');
  return { size: supported(size || was?.size || 2048, rsaSizes), curve: undefined };
}

function parseEc(
  input: CertificateKeyInput,
  was: CertificateKey | undefined,
): Pick<CertificateKey, 'size' | 'curve'> {
  const size = input.size ? supported(input.size, ecSizes) : undefined;
  const named = parseCurve(input.curve);
  // P-256K has the size of P-256: a size alone does not take it away.
  const stays = was?.curve !== undefined && (size === undefined || size === was.size);
  const curve = named ?? (stays ? was.curve : curves.find((row) => row.size === (size ?? 256))?.name);
  if (curve === undefined || (size !== undefined && size !== curveSize(curve)))
    throw badPolicy('key_size is not that of the curve.');
  return { size: curveSize(curve), curve };
}

function parseCurve(given: Given<string>): CurveName | undefined {
  if (given === undefined || given === null || given === '') return undefined;
  // Its name until api-version 7.0.
  const curve = curves.find(({ name }) => name === (given === 'SECP256K1' ? 'P-256K' : given));
  if (curve === undefined) throw badPolicy(`A curve is one of ${curves.map(({ name }) => name).join(', ')}.`);
  return curve.name;
}

/** What is given, or what was chosen before; never for a key in an HSM. */
export function parseExportable(
  given: Given<boolean>,
  { kty, was }: { kty: CertificateKeyType; was: CertificateKey | undefined },
): boolean {
  if (isHsmType(kty)) {
    if (given === true) throw badPolicy('A key in an HSM is not exportable.');
    return false;
  }
  // What an HSM key was is no choice of its caller's.
  return given ?? (was === undefined || isHsmType(was.kty) ? true : was.exportable);
}

function supported(size: number, sizes: readonly number[]): number {
  if (sizes.includes(size)) return size;
  const supportedSizes = sizes.join(', ');
  throw new Failure(
    'badParameter',
    `Unsupported key size (${size}). Supported sizes are [${supportedSizes}]`,
  );
}

function typeOf(kty: CertificateKeyType): 'RSA' | 'EC' {
  return kty.startsWith('RSA') ? 'RSA' : 'EC';
}

function isHsmType(kty: CertificateKeyType): boolean {
  return kty.endsWith('-HSM');
}

/** What key is to be made, and whether in an HSM. */
export function keySpecOf({ key }: { readonly key: CertificateKey }): { spec: KeySpec; hsm: boolean } {
  const { kty, size, curve } = key;
  const spec: KeySpec = curve === undefined ? { type: 'RSA', bits: size, exponent } : { type: 'EC', curve };
  return { spec, hsm: isHsmType(kty) };
}

/** What each usage lets the key do (Azure's documents; `keyAgreement` nothing, for want of such an operation). */
const operationsOf: Readonly<Record<KeyUsage, readonly KeyOperation[]>> = {
  digitalSignature: ['sign', 'verify'],
  nonRepudiation: ['sign', 'verify'],
  keyCertSign: ['sign', 'verify'],
  cRLSign: ['sign', 'verify'],
  keyEncipherment: ['wrapKey', 'unwrapKey'],
  dataEncipherment: ['encrypt', 'decrypt'],
  encipherOnly: ['encrypt'],
  decipherOnly: ['decrypt'],
  keyAgreement: [],
};

/**
 * `key_ops` of the linked key: what the usages allow and its type can. Without usages the certificate restricts
 * nothing (RFC 5280 §4.2.1.3), and neither does this.
 */
export function keyOperationsOf(policy: {
  readonly key: CertificateKey;
  readonly x509: { readonly keyUsage: readonly KeyUsage[] };
}): KeyOperation[] {
  const type = typeOf(policy.key.kty);
  const { keyUsage } = policy.x509;
  if (keyUsage.length === 0) return [...usualOperations(type)];
  const allowed = new Set(keyUsage.flatMap((usage) => operationsOf[usage]));
  return keyOperations.filter((operation) => allowed.has(operation) && canEver(type, operation));
}

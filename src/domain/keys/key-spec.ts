/** Names of the API to what they stand for: kinds of keys, algorithms. Each throws `badParameter` for a name it does not know. */
import { Failure } from '../../core/errors.ts';
import {
  type CurveName,
  type EncryptionAlgorithm,
  findEncryptionAlgorithm,
  findKeyTransportAlgorithm,
  findSignatureAlgorithm,
  type KeyTransportAlgorithm,
  type KeyType,
  type MlDsaName,
  type SignatureAlgorithm,
} from '../../crypto/algorithms.ts';
import type { KeySpec } from '../../crypto/provider.ts';

/** What a caller says of a key that is to be made; undefined is not given. */
export interface KeySpecInput {
  readonly type: KeyType;
  readonly size: number | undefined;
  readonly exponent: number | undefined;
  readonly curve: string | undefined;
  readonly algorithm: string | undefined;
}

const rsaSizes = [2048, 3072, 4096];
const aesSizes = [128, 192, 256];
/** F4, and the largest that the API's int32 holds. */
const exponents = { least: 65_537, most: 2 ** 31 - 1 };
const parameterSets: readonly string[] = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] satisfies MlDsaName[];
const curves: ReadonlyMap<string, CurveName> = new Map([
  ['P-256', 'P-256'],
  ['P-384', 'P-384'],
  ['P-521', 'P-521'],
  ['P-256K', 'P-256K'],
  // Its name until api-version 7.0.
  ['SECP256K1', 'P-256K'],
]);

export function parseKeySpec(input: KeySpecInput): KeySpec {
  const { type, size, exponent, curve, algorithm } = input;
  switch (type) {
    case 'RSA':
      assertAbsent(type, { crv: curve, alg: algorithm });
      return {
        type,
        bits: sizeOf(size ?? 2048, rsaSizes),
        exponent: exponentOf(exponent ?? exponents.least),
      };
    case 'EC':
      assertAbsent(type, { key_size: size, public_exponent: exponent, alg: algorithm });
      return { type, curve: parseCurve(curve ?? 'P-256') };
    case 'oct':
      assertAbsent(type, { crv: curve, public_exponent: exponent, alg: algorithm });
      return { type, bits: sizeOf(size ?? 256, aesSizes) };
    case 'AKP':
      assertAbsent(type, { crv: curve, key_size: size, public_exponent: exponent });
      return { type, parameterSet: parameterSetOf(algorithm) };
  }
}

function parseCurve(name: string): CurveName {
  const curve = curves.get(name);
  if (curve === undefined) throw badProperty('crv', `There is no curve ${quoted(name)}.`);
  return curve;
}

function parameterSetOf(name: string | undefined): MlDsaName {
  if (name === undefined) throw badProperty('alg', 'An AKP key needs its algorithm.');
  if (!parameterSets.includes(name)) throw badProperty('alg', `There is no AKP key for ${quoted(name)}.`);
  return name as MlDsaName;
}

function sizeOf(size: number, of: readonly number[]): number {
  if (!of.includes(size))
    throw new Failure(
      'badParameter',
      `Unsupported key size (${size}). Supported sizes are [${of.join(', ')}]`,
    );
  return size;
}

function exponentOf(exponent: number): number {
  if (exponent < exponents.least || exponent > exponents.most || exponent % 2 === 0) {
    throw badProperty('public_exponent', `It must be odd, and from ${exponents.least} to ${exponents.most}.`);
  }
  return exponent;
}

function assertAbsent(type: KeyType, members: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined) throw badProperty(name, `It is not for keys of type ${type}.`);
  }
}

export function parseSignatureAlgorithm(name: string): SignatureAlgorithm {
  return known('alg', name, findSignatureAlgorithm(name));
}

export function parseEncryptionAlgorithm(name: string): EncryptionAlgorithm {
  return known('alg', name, findEncryptionAlgorithm(name));
}

/** `enc` of a release, and of a key that was wrapped for import. */
export function parseKeyTransportAlgorithm(name: string): KeyTransportAlgorithm {
  return known('enc', name, findKeyTransportAlgorithm(name));
}

function known<T>(property: string, name: string, row: T | undefined): T {
  if (row === undefined)
    throw badProperty(property, `There is no algorithm ${quoted(name)} for this operation.`);
  return row;
}

function badProperty(name: string, why: string): Failure {
  return new Failure('badParameter', `Property ${name} has invalid value\r\n${why}`);
}

/** What cannot be a name is not repeated: it may be a value that a caller has put in the wrong place, and is audited. */
function quoted(name: string): string {
  return /^[\w-]{1,24}$/.test(name) ? `'${name}'` : "'…'";
}

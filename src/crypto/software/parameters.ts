/** The curves and parameter sets of keys: what OpenSSL and JWKs call each, and how long its parts are. */
import type { CurveName, MlDsaName } from '../algorithms.ts';

export interface Curve {
  readonly name: CurveName;
  /** OpenSSL's name, for key generation and ECDH. */
  readonly openssl: 'prime256v1' | 'secp384r1' | 'secp521r1' | 'secp256k1';
  /** `crv` of RFC 7518 §6.2.1.1 and RFC 8812 §3.1, as `node:crypto` reads and writes it. */
  readonly jose: string;
  /** Octets of a coordinate and of a private value. */
  readonly bytes: number;
}

export const curves: Readonly<Record<CurveName, Curve>> = {
  'P-256': { name: 'P-256', openssl: 'prime256v1', jose: 'P-256', bytes: 32 },
  'P-384': { name: 'P-384', openssl: 'secp384r1', jose: 'P-384', bytes: 48 },
  'P-521': { name: 'P-521', openssl: 'secp521r1', jose: 'P-521', bytes: 66 },
  'P-256K': { name: 'P-256K', openssl: 'secp256k1', jose: 'secp256k1', bytes: 32 },
};

/** Names by which curves come in: the API's, RFC 8812's for secp256k1, and `SECP256K1` of api-version 2016-10-01. */
const curveByName = new Map<string, Curve>([
  ...Object.entries(curves),
  ['secp256k1', curves['P-256K']],
  ['SECP256K1', curves['P-256K']],
]);

/** The curve of a JWK's `crv`; undefined for one that is not served. */
export function findCurve(crv: string | undefined): Curve | undefined {
  return crv === undefined ? undefined : curveByName.get(crv);
}

/** FIPS 204 table 1 and 2. */
export interface MlDsa {
  readonly name: MlDsaName;
  /** The key type of `node:crypto`. */
  readonly type: 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87';
  /** Octets of the public key. */
  readonly publicBytes: number;
}

export const mlDsaSets: Readonly<Record<MlDsaName, MlDsa>> = {
  'ML-DSA-44': { name: 'ML-DSA-44', type: 'ml-dsa-44', publicBytes: 1312 },
  'ML-DSA-65': { name: 'ML-DSA-65', type: 'ml-dsa-65', publicBytes: 1952 },
  'ML-DSA-87': { name: 'ML-DSA-87', type: 'ml-dsa-87', publicBytes: 2592 },
};

const mlDsaByName = new Map<string, MlDsa>(Object.entries(mlDsaSets));

/** The parameter set of an AKP key's `alg`; undefined for one that is not served. */
export function findMlDsa(alg: string | undefined): MlDsa | undefined {
  return alg === undefined ? undefined : mlDsaByName.get(alg);
}

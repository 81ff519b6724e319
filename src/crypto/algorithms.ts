/**
 * Every algorithm of the keys API, as a row: the API's name (RFC 7518, PKCS#11, FIPS 204), the keys that it is for, and
 * what the providers need to know. A name is resolved once, at the edge; below it only rows are passed on.
 */

export type KeyType = 'RSA' | 'EC' | 'oct' | 'AKP';
/** P-256K is secp256k1 (SEC 2). */
export type CurveName = 'P-256' | 'P-384' | 'P-521' | 'P-256K';
/** FIPS 204 parameter sets; also the names of their algorithms. */
export type MlDsaName = 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87';
export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

/** What `sign` and `verify` can do. `digestBytes` is the exact length of the value to be signed; undefined for a message of any length. */
export interface SignatureAlgorithm {
  readonly name: string;
  readonly keyType: KeyType;
  readonly scheme: 'pkcs1' | 'pss' | 'ecdsa' | 'hmac' | 'ml-dsa';
  readonly hash: HashName | undefined;
  readonly digestBytes: number | undefined;
  /** The one curve or parameter set that the algorithm is for. */
  readonly only: CurveName | MlDsaName | undefined;
}

/** What `encrypt`, `decrypt`, `wrapKey` and `unwrapKey` can do. */
export interface EncryptionAlgorithm {
  readonly name: string;
  readonly keyType: 'RSA' | 'oct';
  readonly scheme: 'rsa-oaep' | 'rsa1_5' | 'aes-gcm' | 'aes-cbc' | 'aes-kw' | 'aes-kwp';
  /** OAEP's hash, also of its MGF1. */
  readonly hash: HashName | undefined;
  /** The one key size in bits; undefined for any. */
  readonly bits: 128 | 192 | 256 | undefined;
  /** CBC with PKCS#7 padding. */
  readonly padded: boolean;
  readonly encrypts: boolean;
  readonly wraps: boolean;
}

/** How a private key travels: an ephemeral AES-256 key under RSA-OAEP, and the key under it with AES-KWP (PKCS#11 CKM_RSA_AES_KEY_WRAP). */
export interface KeyTransportAlgorithm {
  readonly name: 'CKM_RSA_AES_KEY_WRAP' | 'RSA_AES_KEY_WRAP_256' | 'RSA_AES_KEY_WRAP_384';
  readonly oaepHash: HashName;
}

export const hashBytes: Readonly<Record<HashName, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

function signature(
  name: string,
  of: Omit<SignatureAlgorithm, 'name' | 'digestBytes' | 'only'> & { only?: CurveName | MlDsaName },
): SignatureAlgorithm {
  const signsDigest = of.scheme !== 'hmac' && of.hash !== undefined;
  const digestBytes = signsDigest && of.hash !== undefined ? hashBytes[of.hash] : undefined;
  return { name, ...of, only: of.only, digestBytes };
}

function encryption(
  name: string,
  of: Pick<EncryptionAlgorithm, 'scheme'> & Partial<EncryptionAlgorithm>,
): EncryptionAlgorithm {
  const isRsa = of.scheme === 'rsa-oaep' || of.scheme === 'rsa1_5';
  const wrapsOnly = of.scheme === 'aes-kw' || of.scheme === 'aes-kwp';
  return {
    name,
    keyType: isRsa ? 'RSA' : 'oct',
    hash: undefined,
    bits: undefined,
    padded: false,
    encrypts: !wrapsOnly,
    wraps: isRsa || wrapsOnly,
    ...of,
  };
}

export const signatureAlgorithms: readonly SignatureAlgorithm[] = [
  signature('RS256', { keyType: 'RSA', scheme: 'pkcs1', hash: 'sha256' }),
  signature('RS384', { keyType: 'RSA', scheme: 'pkcs1', hash: 'sha384' }),
  signature('RS512', { keyType: 'RSA', scheme: 'pkcs1', hash: 'sha512' }),
  signature('PS256', { keyType: 'RSA', scheme: 'pss', hash: 'sha256' }),
  signature('PS384', { keyType: 'RSA', scheme: 'pss', hash: 'sha384' }),
  signature('PS512', { keyType: 'RSA', scheme: 'pss', hash: 'sha512' }),
  signature('ES256', { keyType: 'EC', scheme: 'ecdsa', hash: 'sha256', only: 'P-256' }),
  signature('ES384', { keyType: 'EC', scheme: 'ecdsa', hash: 'sha384', only: 'P-384' }),
  signature('ES512', { keyType: 'EC', scheme: 'ecdsa', hash: 'sha512', only: 'P-521' }),
  signature('ES256K', { keyType: 'EC', scheme: 'ecdsa', hash: 'sha256', only: 'P-256K' }),
  signature('HS256', { keyType: 'oct', scheme: 'hmac', hash: 'sha256' }),
  signature('HS384', { keyType: 'oct', scheme: 'hmac', hash: 'sha384' }),
  signature('HS512', { keyType: 'oct', scheme: 'hmac', hash: 'sha512' }),
  signature('ML-DSA-44', { keyType: 'AKP', scheme: 'ml-dsa', hash: undefined, only: 'ML-DSA-44' }),
  signature('ML-DSA-65', { keyType: 'AKP', scheme: 'ml-dsa', hash: undefined, only: 'ML-DSA-65' }),
  signature('ML-DSA-87', { keyType: 'AKP', scheme: 'ml-dsa', hash: undefined, only: 'ML-DSA-87' }),
];

export const encryptionAlgorithms: readonly EncryptionAlgorithm[] = [
  encryption('RSA1_5', { scheme: 'rsa1_5' }),
  encryption('RSA-OAEP', { scheme: 'rsa-oaep', hash: 'sha1' }),
  encryption('RSA-OAEP-256', { scheme: 'rsa-oaep', hash: 'sha256' }),
  encryption('A128GCM', { scheme: 'aes-gcm', bits: 128 }),
  encryption('A192GCM', { scheme: 'aes-gcm', bits: 192 }),
  encryption('A256GCM', { scheme: 'aes-gcm', bits: 256 }),
  encryption('A128CBC', { scheme: 'aes-cbc', bits: 128 }),
  encryption('A192CBC', { scheme: 'aes-cbc', bits: 192 }),
  encryption('A256CBC', { scheme: 'aes-cbc', bits: 256 }),
  encryption('A128CBCPAD', { scheme: 'aes-cbc', bits: 128, padded: true }),
  encryption('A192CBCPAD', { scheme: 'aes-cbc', bits: 192, padded: true }),
  encryption('A256CBCPAD', { scheme: 'aes-cbc', bits: 256, padded: true }),
  encryption('A128KW', { scheme: 'aes-kw', bits: 128 }),
  encryption('A192KW', { scheme: 'aes-kw', bits: 192 }),
  encryption('A256KW', { scheme: 'aes-kw', bits: 256 }),
  encryption('A128KWPAD', { scheme: 'aes-kwp', bits: 128 }),
  encryption('A192KWPAD', { scheme: 'aes-kwp', bits: 192 }),
  encryption('A256KWPAD', { scheme: 'aes-kwp', bits: 256 }),
  encryption('CKM_AES_KEY_WRAP', { scheme: 'aes-kw' }),
  encryption('CKM_AES_KEY_WRAP_PAD', { scheme: 'aes-kwp' }),
];

export const keyTransportAlgorithms: readonly KeyTransportAlgorithm[] = [
  { name: 'CKM_RSA_AES_KEY_WRAP', oaepHash: 'sha1' },
  { name: 'RSA_AES_KEY_WRAP_256', oaepHash: 'sha256' },
  { name: 'RSA_AES_KEY_WRAP_384', oaepHash: 'sha384' },
];

const signatureByName = new Map(signatureAlgorithms.map((row) => [row.name, row]));
const encryptionByName = new Map(encryptionAlgorithms.map((row) => [row.name, row]));
const transportByName = new Map<string, KeyTransportAlgorithm>(
  keyTransportAlgorithms.map((row) => [row.name, row]),
);

export function findSignatureAlgorithm(name: string): SignatureAlgorithm | undefined {
  return signatureByName.get(name);
}

export function findEncryptionAlgorithm(name: string): EncryptionAlgorithm | undefined {
  return encryptionByName.get(name);
}

export function findKeyTransportAlgorithm(name: string): KeyTransportAlgorithm | undefined {
  return transportByName.get(name);
}

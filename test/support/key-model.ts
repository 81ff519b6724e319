/**
 * What a vault of keys should be and answer, as plain data: the model that random sequences of requests are held to.
 * It knows the rules of versions, of deletion and of use; of a key itself it knows what the server showed when it came.
 */
import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  verify,
} from 'node:crypto';

export type Json = Readonly<Record<string, unknown>>;

/** A kind of key: how it is asked for, and what it can do. */
export interface ModelKind {
  readonly label: string;
  /** Made by the server from this, or brought along: then `jwk` has its private members too. */
  readonly create?: Json;
  readonly jwk?: Json;
  /** The members that are shown of every key of the kind, and those that are the key itself. */
  readonly shown: Json;
  readonly own: readonly string[];
  readonly signs: string;
  /** Of what is signed; undefined where messages are. */
  readonly hash: 'sha256' | 'sha384' | undefined;
  readonly encrypts: string | undefined;
  readonly wraps: string | undefined;
  readonly operations: readonly string[];
  /** Those that it has if none are named. */
  readonly usual: readonly string[];
}

const every = ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'];
const signing = {
  ...{ operations: ['sign', 'verify'], usual: ['sign', 'verify'] },
  ...{ encrypts: undefined, wraps: undefined },
};

function imported(name: 'rsa' | 'p384' | 'aes'): Json {
  if (name === 'aes') return { kty: 'oct-HSM', k: randomBytes(16).toString('base64url') };
  const { privateKey } =
    name === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  return privateKey.export({ format: 'jwk' }) as Json;
}

/** The kinds of keys; those that are brought along are made anew. */
export function modelKinds(): readonly ModelKind[] {
  const [rsa, p384, aes] = [imported('rsa'), imported('p384'), imported('aes')];
  return [
    {
      ...signing,
      ...{ label: 'EC', create: { kty: 'EC' }, shown: { kty: 'EC', crv: 'P-256' }, own: ['x', 'y'] },
      ...{ signs: 'ES256', hash: 'sha256' },
    },
    {
      ...signing,
      ...{ label: 'P-256K', create: { kty: 'EC-HSM', crv: 'P-256K' } },
      ...{ shown: { kty: 'EC-HSM', crv: 'P-256K' }, own: ['x', 'y'], signs: 'ES256K', hash: 'sha256' },
    },
    {
      ...signing,
      ...{ label: 'ML-DSA', create: { kty: 'AKP', alg: 'ML-DSA-44' } },
      ...{ shown: { kty: 'AKP', alg: 'ML-DSA-44' }, own: ['pub'], signs: 'ML-DSA-44', hash: undefined },
    },
    {
      ...signing,
      ...{ label: 'imported P-384', jwk: p384, shown: { kty: 'EC', crv: 'P-384' }, own: ['x', 'y'] },
      ...{ signs: 'ES384', hash: 'sha384' },
    },
    {
      ...{ label: 'imported RSA', jwk: rsa, shown: { kty: 'RSA' }, own: ['n', 'e'], signs: 'PS256' },
      ...{ hash: 'sha256', encrypts: 'RSA-OAEP-256', wraps: 'RSA-OAEP', operations: every, usual: every },
    },
    {
      ...{ label: 'AES', create: { kty: 'oct-HSM', key_size: 128 }, shown: { kty: 'oct-HSM' }, own: [] },
      ...{ signs: 'HS256', hash: undefined, encrypts: 'A128CBCPAD', wraps: 'A128KW', operations: every },
      usual: ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'],
    },
    {
      ...{ label: 'imported AES', jwk: aes, shown: { kty: 'oct-HSM' }, own: [], signs: 'HS512' },
      ...{ hash: undefined, encrypts: 'A128GCM', wraps: 'CKM_AES_KEY_WRAP_PAD', operations: every },
      usual: ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'],
    },
  ];
}

export interface ModelVersion {
  readonly id: string;
  readonly kind: ModelKind;
  /** The members that are the key itself. */
  readonly own: Json;
  operations: readonly string[];
  enabled: boolean;
  nbf: number | undefined;
  exp: number | undefined;
  tags: Json | undefined;
  readonly created: number;
  updated: number;
}

export interface ModelPolicy {
  readonly lifetimeActions: readonly Json[];
  readonly attributes: { readonly expiryTime?: string; readonly created: number; readonly updated: number };
}

export interface ModelKey {
  readonly name: string;
  readonly versions: ModelVersion[];
  policy: ModelPolicy | undefined;
  deletedAt: number | undefined;
}

export interface ModelVault {
  readonly origin: string;
  readonly retention: number;
  readonly purgeProtection: boolean;
  /** By upper-cased name. */
  readonly keys: Map<string, ModelKey>;
}

export const secondsPerDay = 86_400;

export function currentOf({ versions }: ModelKey): ModelVersion {
  const last = versions.at(-1);
  if (last === undefined) throw new Error('a key has a version');
  return last;
}

/** The key, if it is live or if it is deleted, as asked. */
export function findKey(vault: ModelVault, name: string, state: 'live' | 'deleted'): ModelKey | undefined {
  const key = vault.keys.get(name.toUpperCase());
  return (key?.deletedAt === undefined) === (state === 'live') ? key : undefined;
}

export function findVersion(key: ModelKey | undefined, id: string | undefined): ModelVersion | undefined {
  if (key === undefined) return undefined;
  return id === undefined ? currentOf(key) : key.versions.find((version) => version.id === id);
}

function attributesOf(vault: ModelVault, version: ModelVersion): Json {
  const { enabled, nbf, exp, created, updated, kind } = version;
  const level = vault.retention < 90 ? 'CustomizedRecoverable' : 'Recoverable';
  return {
    enabled,
    ...(nbf === undefined ? {} : { nbf }),
    ...(exp === undefined ? {} : { exp }),
    created,
    updated,
    recoveryLevel: vault.purgeProtection ? level : `${level}+Purgeable`,
    recoverableDays: vault.retention,
    exportable: false,
    hsmPlatform: '0',
    ...(kind.shown.kty === 'oct-HSM' ? { key_size: 128 } : {}),
  };
}

function deletionOf(vault: ModelVault, { name, deletedAt }: ModelKey): Json {
  if (deletedAt === undefined) return {};
  return {
    recoveryId: `${vault.origin}/deletedkeys/${name}`,
    deletedDate: deletedAt,
    scheduledPurgeDate: deletedAt + vault.retention * secondsPerDay,
  };
}

/** The reply with one version of a key. */
export function bundleOf(vault: ModelVault, key: ModelKey, version: ModelVersion): Json {
  const kid = `${vault.origin}/keys/${key.name}/${version.id}`;
  return {
    ...deletionOf(vault, key),
    key: { kid, key_ops: version.operations, ...version.kind.shown, ...version.own },
    attributes: attributesOf(vault, version),
    ...(version.tags === undefined ? {} : { tags: version.tags }),
  };
}

/** An item of a list. */
export function itemOf(vault: ModelVault, key: ModelKey, version?: ModelVersion): Json {
  const shown = version ?? currentOf(key);
  const id = `${vault.origin}/keys/${key.name}`;
  return {
    ...(version === undefined ? deletionOf(vault, key) : {}),
    kid: version === undefined ? id : `${id}/${version.id}`,
    attributes: attributesOf(vault, shown),
    ...(shown.tags === undefined ? {} : { tags: shown.tags }),
  };
}

/** The reply with a key's rotation policy. */
export function policyReply(vault: ModelVault, { name, policy }: ModelKey): Json {
  const usual = { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } };
  if (policy === undefined) return { lifetimeActions: [usual], attributes: null };
  return { id: `${vault.origin}/keys/${name}/rotationpolicy`, ...policy };
}

export type Operation = 'sign' | 'verify' | 'encrypt' | 'decrypt' | 'wrapKey' | 'unwrapKey';

/** Why a version is not used, as status and inner code; undefined if it is. */
export function refusalOf(
  version: ModelVersion,
  operation: Operation,
  now: number,
): [403, string] | undefined {
  const timeless = operation === 'verify' || operation === 'decrypt' || operation === 'unwrapKey';
  if (!version.enabled) return [403, 'KeyDisabled'];
  if (!timeless && version.exp !== undefined && now >= version.exp) return [403, 'KeyExpired'];
  if (!timeless && version.nbf !== undefined && now < version.nbf) return [403, 'KeyNotYetValid'];
  return version.operations.includes(operation) ? undefined : [403, 'KeyOperationForbidden'];
}

/** A message by chance, and what of it is sent to be signed: its digest, or itself. */
export interface ToBeSigned {
  readonly message: Buffer;
  readonly value: Buffer;
}

export function toBeSigned(kind: ModelKind | undefined, message: Buffer): ToBeSigned {
  const hash = kind === undefined ? 'sha256' : kind.hash;
  return { message, value: hash === undefined ? message : createHash(hash).update(message).digest() };
}

/** Whether the signature is one by this version, as `node:crypto` sees it; undefined where there is no public key. */
export function isSignedBy(
  { kind, own }: ModelVersion,
  message: Buffer,
  signature: Buffer,
): boolean | undefined {
  if (kind.own.length === 0) return undefined;
  const key = publicKeyOf({ ...kind.shown, ...own } as Record<string, string>);
  const options =
    key.asymmetricKeyType === 'rsa'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { dsaEncoding: 'ieee-p1363' as const };
  return verify(kind.hash, message, { key, ...options }, signature);
}

/** From a JWK as the server shows it. */
export function publicKeyOf({ kty = '', crv, ...rest }: Readonly<Record<string, string>>): KeyObject {
  if (rest.pub !== undefined) return mlDsaKey(rest.pub);
  const names = { kty: kty.replace('-HSM', ''), ...(crv && { crv: crv === 'P-256K' ? 'secp256k1' : crv }) };
  return createPublicKey({ key: { ...rest, ...names }, format: 'jwk' });
}

/** SubjectPublicKeyInfo of an ML-DSA key (RFC 9881 §4): the parameter set is known by the length. */
function mlDsaKey(pub: string): KeyObject {
  const bytes = Buffer.from(pub, 'base64url');
  const arc = { 1312: 0x11, 1952: 0x12, 2592: 0x13 }[bytes.length] ?? 0;
  const algorithm = Buffer.from([...Buffer.from('300b06096086480165030403', 'hex'), arc]);
  const bits = Buffer.concat([Buffer.of(3, 0x82), uint16(bytes.length + 1), Buffer.of(0), bytes]);
  const head = Buffer.concat([Buffer.of(0x30, 0x82), uint16(algorithm.length + bits.length)]);
  return createPublicKey({ key: Buffer.concat([head, algorithm, bits]), format: 'der', type: 'spki' });
}

function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

/** Other bytes in base64url, of the same length. */
export function bent(text: string): string {
  const bytes = Buffer.from(text, 'base64url');
  const middle = bytes.length >> 1;
  bytes[middle] = (bytes[middle] ?? 0) ^ 0x11;
  return bytes.toString('base64url');
}
